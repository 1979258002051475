"""Stopping a training that diverges, with parameters that still work."""

from __future__ import annotations

from math import isfinite
from typing import Any, final

from portnn import ops, tree
from portnn._typing import Array, Tree

__all__ = ["DivergenceError", "Guard", "all_finite"]


class DivergenceError(ArithmeticError, ValueError):
    """The loss, or a gradient, stopped being finite; the parameters are the last good ones.

    It is a ValueError, too, as scikit-learn's estimators raise one.
    """


def all_finite(arrays: Tree) -> bool:
    """Return whether all numbers of a tree of arrays are finite; reads one number from the device."""
    found = [ops.all(ops.isfinite(a)) for a in tree.leaves(arrays)]
    return not found or bool(ops.all(ops.stack(found)))


@final
class Guard:
    """Watches the losses of a training, and remembers the snapshot from which they were last finite.

    Reading a loss makes a GPU wait for it, so losses are read `interval` at a time; the snapshot is then up
    to that many steps old.

    Args:
        interval: how many steps to let pass between looks.
    """

    def __init__(self, interval: int) -> None:
        self._interval = interval
        self._pending: list[tuple[int, Array]] = []
        self._candidate: Any = None
        self.good: Any = None

    def watch(self, step: int, loss: Array, snapshot: Any) -> None:
        """Take note of a step.

        Args:
            step: its number, counted from 1.
            loss: the loss before the update of this step.
            snapshot: what this loss was computed from.

        Raises:
            DivergenceError: if a loss since the last look is not finite.
        """
        if not self._pending:
            self._candidate = snapshot
        self._pending.append((step, loss))
        if len(self._pending) >= self._interval:
            self.look()

    def look(self) -> None:
        """Read the losses that were not read yet.

        Raises:
            DivergenceError: if one is not finite.
        """
        pending, self._pending = self._pending, []
        for step, loss in pending:
            value = float(loss)
            if not isfinite(value):
                raise self.diverged(step, value)
            self.good = self._candidate  # what the first of them was computed from

    def diverged(self, step: int, value: float) -> DivergenceError:
        """The error for a loss that is not finite.

        Args:
            step: the number of the step, counted from 1.
            value: the loss.
        """
        return DivergenceError(
            f"the loss is {value} at step {step}; try a smaller learning rate, "
            "portnn.optim.clip_by_global_norm, or inputs scaled to about 1; "
            "the parameters are those before it went wrong"
        )
