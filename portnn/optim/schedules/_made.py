"""Schedules that know the call that made them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any, ParamSpec, final

from portnn._made import Made
from portnn._suggest import with_known_options
from portnn.optim._checks import Schedule

__all__ = ["MadeSchedule", "scheduled"]

P = ParamSpec("P")


@final
@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False, repr=False)  # jax.jit needs weak ones
class MadeSchedule(Made):
    """A schedule of portnn: a function of the step that compares, hashes and prints as the call.

    Args:
        function: from the step to the learning rate.
        made: the call that made it.

    Example:
        >>> from portnn.optim.schedules import cosine
        >>> cosine(0.1, 100), cosine(0.1, 100) == cosine(0.1, steps=100)
        (cosine(0.1, 100), True)
    """

    function: Schedule
    made: partial[Any] | None

    def __call__(self, step: Any) -> Any:
        """Return the learning rate at a step."""
        return self.function(step)


def scheduled(make: Callable[P, Schedule]) -> Callable[P, Schedule]:
    """Make what makes schedules name them after the call."""
    checked = with_known_options(make)

    @wraps(make)
    def made(*args: P.args, **options: P.kwargs) -> Schedule:
        return MadeSchedule(checked(*args, **options), partial(made, *args, **options))

    return made
