"""Steps that are a plan: without Python between the calls of one."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any, final

from portnn import ops
from portnn._typing import Array, Tree
from portnn.compile import Loop, Precision, make_loop
from portnn.train._epochs import Plan, check_finite, count_of, count_steps, is_shuffled
from portnn.train._guard import DivergenceError, Guard
from portnn.train._loop import Batch, Dataset, Snapshot
from portnn.train._moment import Part
from portnn.train._progress import Progress

__all__ = ["PlannedSteps", "plan_training"]

_CHUNK = 32  # steps between snapshots on the host, where each costs a copy of the parameters


def plan_training(
    step: Callable[[Snapshot, Batch, Any], tuple[Snapshot, Array, Array]],
    start: Snapshot,
    data: Dataset,
    plan: Plan,
    measure: Callable[[Array, Array, Array | None], Array] | None,
    threads: int | None = None,
    precision: Precision = "float32",
    *,
    numbered: bool = False,
) -> Loop:
    """Write a step of training down.

    Args:
        step: made by `make_step`.
        start: where to begin.
        data: what to learn from.
        plan: how to go through it.
        measure: as for `EagerSteps`.
        threads: as for `portnn.compile.make_loop`.
        precision: likewise.
        numbered: whether the step looks at its number.

    Returns:
        The loop; what it carries are the parameters, the state, the optimiser's state, a sum of what the
        measure counted, and the number of the last step if steps are numbered.

    Raises:
        PlanError: if there are no plans for the library of the data.
        ControlFlowError: if something in the step looks at the value of an array.
    """
    weighted = data.weight is not None

    def planned(carry: Tree, x: Array, y: Array, weight: Array | None = None) -> tuple[Tree, Array]:
        params, state, moments, right, number = carry
        batch = Batch(x, y, weight, x.shape[0], data.extents)
        number = None if number is None else ops.add(number, 1)
        after, loss, predictions = step(Snapshot(params, state, moments), batch, number)
        if measure is not None:
            right = ops.add(right, measure(predictions, y, weight))
        return (after.params, after.state, after.moments, right, number), loss

    arrays = (data.x, data.y, data.weight) if weighted else (data.x, data.y)
    steps = count_steps(data.size, plan.batch_size, 1)
    number = plan.first_step + plan.done * steps + plan.part.step if numbered else None
    carry = _carry(start, data, plan.part if measure is not None else None, number)
    shuffled = is_shuffled(data, plan)
    return make_loop(
        planned, carry, arrays, plan.batch_size, shuffled=shuffled, threads=threads, precision=precision
    )


def _carry(now: Snapshot, data: Dataset, part: Part | None, number: int | None) -> Tree:
    """What a step changes: also what is counted, if there is a measure, and the number of the step before, if
    steps are numbered.
    """
    right = None if part is None else count_of(part, data)
    last = None if number is None else ops.asarray(number, dtype="uint32", like=data.backend)
    return now.params, now.state, now.moments, right, last


@final
class PlannedSteps:
    """Carries out the steps of a training by a loop, without Python between the calls of a step.

    A plan overwrites its parameters, so it works in pieces, and a snapshot is kept of the beginning of each.
    What went wrong within one is found by carrying the same steps out once more up to there: they give the
    same bits.

    Args:
        loop: made by `plan_training`.
        data: what to learn from.
        counted: whether there is a measure.
        guard: its `good` snapshot is what to keep after an error.
        progress: is told of the steps.

    Attributes:
        now: what the last step left.
    """

    now: Snapshot

    def __init__(self, loop: Loop, data: Dataset, counted: bool, guard: Guard, progress: Progress) -> None:
        self._loop, self._data, self._counted = loop, data, counted
        self._guard, self._progress = guard, progress
        self._numbered = False
        self._before: tuple[Any, Any, int, int] | None = None  # snapshot, order, first step, number of steps

    def run(self, order: Any, before: int, part: Part, stop: int) -> Part:
        """Carry out steps of an epoch; see `Steps`."""
        losses: list[float] = []
        piece = _CHUNK if self._data.backend.on_host else stop
        for first in range(part.step, stop, piece):
            losses += self._run_piece(order, before, first, min(piece, stop - first))
        params, state, moments, right, number = self._loop.carry()
        self.now, self._numbered = Snapshot(params, state, moments), number is not None
        self._check(before + stop)
        return Part(stop, (*part.losses, *losses), float(right) if self._counted else None)

    def _run_piece(self, order: Any, before: int, first: int, count: int) -> list[float]:
        """The losses of some steps that come after step `first` of an epoch."""
        saved = self._loop.save()
        found: list[float] = self._loop.run(order, first, count, self._progress.step).tolist()
        bad = next((i for i, loss in enumerate(found) if not isfinite(loss)), None)
        if bad is not None:
            self._go_back(saved, order, first, bad)
            raise self._guard.diverged(before + first + bad + 1, found[bad])
        self._before = saved, order, first, count
        return found

    def _go_back(self, saved: Any, order: Any, first: int, bad: int) -> None:
        """To what the last finite loss was computed from."""
        if bad > 0:
            self._loop.restore(saved)
            self._loop.run(order, first, bad - 1)
        elif self._before is not None:
            saved, order, first, count = self._before
            self._loop.restore(saved)
            self._loop.run(order, first, count - 1)
        else:
            return  # the very first loss: nothing is known to be good
        params, state, moments, *_ = self._loop.carry()
        self._guard.good = Snapshot(params, state, moments)

    def _check(self, number: int) -> None:
        """Look at the parameters after a step, whose update no loss has seen."""
        try:
            check_finite(self.now, number)
        except DivergenceError:
            assert self._before is not None, "an epoch has steps"
            self._go_back(*self._before[:3], self._before[3])
            raise

    def write(self, now: Snapshot, number: int) -> None:
        """Go on from a snapshot, after a step of this number."""
        part = Part() if self._counted else None
        self._loop.write(_carry(now, self._data, part, number if self._numbered else None))
