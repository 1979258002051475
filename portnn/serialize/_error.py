"""The one error of files."""

from __future__ import annotations

__all__ = ["CheckpointError"]


class CheckpointError(ValueError):
    """A file does not hold what it should; the message names the file, the tensor, and what was expected."""
