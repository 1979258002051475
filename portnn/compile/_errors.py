"""What is said when there cannot be a plan."""

from __future__ import annotations

from typing import final

__all__ = ["PlanError", "PlanWarning", "RetraceWarning"]


@final
class PlanError(TypeError):
    """There can be no plan for this; it can be carried out without one."""


@final
class PlanWarning(UserWarning):
    """Something is carried out without a plan, and so more slowly; the message says why."""


@final
class RetraceWarning(UserWarning):
    """A function is written down again and again, since an argument that plans depend on keeps changing."""
