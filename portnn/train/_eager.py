"""Steps that are carried out as they stand, one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

from portnn import ops
from portnn._typing import Array
from portnn.optim import NonFiniteGradientError
from portnn.train._epochs import check_finite, count_of
from portnn.train._guard import DivergenceError, Guard
from portnn.train._loop import Batch, Dataset, Snapshot
from portnn.train._moment import Part
from portnn.train._progress import Progress

__all__ = ["EagerSteps"]


@final
class EagerSteps:
    """Carries out the steps of a training with Python between the calls.

    Args:
        step: made by `make_step`.
        start: where to begin.
        data: what to learn from.
        batch_size: samples a step; None for all.
        measure: counts the right predictions of a batch by their weights, a 0-d array; None if that has no
            meaning.
        guard: watches the losses; its `good` snapshot is what to keep after an error.
        progress: is told of each step.

    Attributes:
        now: what the last step left.
    """

    def __init__(
        self,
        step: Callable[[Snapshot, Batch, int], tuple[Snapshot, Array, Array]],
        start: Snapshot,
        data: Dataset,
        batch_size: int | None,
        measure: Callable[[Array, Array, Array | None], Array] | None,
        guard: Guard,
        progress: Progress,
    ) -> None:
        self._step, self._data, self._batch_size = step, data, batch_size
        self._measure, self._guard, self._progress = measure, guard, progress
        self.now = start

    def run(self, order: Any, before: int, part: Part, stop: int) -> Part:
        """Carry out steps of an epoch; see `Steps`."""
        data, measure = self._data, self._measure
        losses: list[Array] = []
        right = None if part.right is None else count_of(part, data)
        placed = None if order is None else data.home.asarray(order)
        batches = data.batches(self._batch_size, placed, part.step)
        for i, batch in zip(range(part.step + 1, stop + 1), batches, strict=False):
            loss, predictions = self._advance(batch, before + i)
            losses.append(loss)
            if measure is not None:
                count = measure(predictions, batch.y, batch.weight)
                right = count if right is None else ops.add(right, count)
            self._progress.step()
        self._guard.look()
        check_finite(self.now, before + stop)
        found = data.backend.to_numpy(ops.stack(losses)).tolist()
        return Part(stop, (*part.losses, *found), None if right is None else float(right))

    def _advance(self, batch: Batch, number: int) -> tuple[Array, Array]:
        """A step whose loss, and whose gradient if the optimiser looks at it, the guard has seen."""
        try:
            after, loss, predictions = self._step(self.now, batch, number)
        except NonFiniteGradientError as error:
            self._guard.look()
            raise DivergenceError(
                f"at step {number}: {str(error)[:200]}; the parameters are the last good ones"
            ) from error
        self._guard.watch(number, loss, self.now)
        self.now = after
        return loss, predictions

    def write(self, now: Snapshot, number: int) -> None:
        """Go on from a snapshot; the number of a step is told to each."""
        self.now = now
