"""Whether a training can be a plan."""

from __future__ import annotations

from typing import Any
from warnings import warn

from portnn.compile import Loop, PlanWarning, Precision, has_loops
from portnn.train import Dataset, Plan, Snapshot, plan_training

__all__ = ["loop_or_reason"]


def loop_or_reason(
    step: Any,
    start: Snapshot,
    data: Dataset,
    plan: Plan,
    measure: Any,
    threads: int | None,
    precision: Precision,
    *,
    numbered: bool,
) -> Loop | str:
    """The training as a plan, or why there is none: without plans for its library, or with a warning."""
    if not has_loops(data.backend.xp):
        return f"eager: there are no plans for {data.backend.name}"
    try:
        return plan_training(step, start, data, plan, measure, threads, precision, numbered=numbered)
    except (TypeError, AttributeError) as error:  # what cannot be written down; if it is a mistake, it shows
        why = str(error)[:220]
        warn(f"fit: no plan, so training is slower, with the same numbers: {why}", PlanWarning, stacklevel=6)
        return f"eager: {why}"
