"""What is said when a plan does less than was hoped for."""

from __future__ import annotations

from typing import final

__all__ = ["PlanWarning", "RetraceWarning"]


@final
class PlanWarning(UserWarning):
    """Something is carried out without a plan, and so more slowly; the message says why."""


@final
class RetraceWarning(UserWarning):
    """A function is written down again and again, since an argument that plans depend on keeps changing."""
