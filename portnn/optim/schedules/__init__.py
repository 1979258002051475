"""Learning rates as functions of the step.

A schedule is given the number of steps done so far: a Python int, and it returns a float; or a 0-d array,
and it returns a 0-d array of the same floating-point dtype (float32 for integers), so that it works inside a
compiled step. Any function of that kind is a schedule.
"""

from typing import TYPE_CHECKING

from portnn._suggest import missing
from portnn.optim._checks import Schedule
from portnn.optim.schedules._decay import constant, exponential, multi_step, polynomial, step
from portnn.optim.schedules._waves import cosine, cosine_restarts, one_cycle, warmup

__all__ = [
    "Schedule", "constant", "cosine", "cosine_restarts", "exponential", "multi_step", "one_cycle",
    "polynomial", "step", "warmup",
]  # fmt: skip

if not TYPE_CHECKING:

    def __getattr__(name: str) -> None:
        raise missing(__name__, name, __all__)
