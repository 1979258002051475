"""Epochs of a training whose step is a plan: as `run_epochs`, without Python between the calls of a step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import isfinite
from typing import Any, final

from portnn import ops
from portnn._typing import Array, Tree
from portnn.compile import Loop, Precision, make_loop
from portnn.train._epochs import Plan, check_finite, count_of, count_steps, is_shuffled, shares_of
from portnn.train._guard import DivergenceError, Guard
from portnn.train._loop import Batch, Dataset, Snapshot
from portnn.train._moment import Part, stops
from portnn.train._progress import Progress

__all__ = ["plan_training", "run_planned_epochs"]

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
        measure: as for `run_epochs`.
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
        batch = Batch(x, y, weight, x.shape[0])
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


def run_planned_epochs(
    loop: Loop,
    data: Dataset,
    plan: Plan,
    guard: Guard,
    *,
    counted: bool,
    progress: Progress,
    resume: Callable[[Snapshot], Snapshot],
    pause: Callable[[Snapshot, int, Part], None],
) -> Iterator[tuple[Snapshot, dict[str, float]]]:
    """Train with a loop, an epoch at a time.

    Args:
        loop: made by `plan_training`.
        data: what to learn from.
        plan: how to go through it.
        guard: its `good` snapshot is what to keep after an error.
        counted: whether there is a measure.
        progress: is told of each step.
        resume: as for `run_epochs`.
        pause: likewise.

    Yields:
        As `run_epochs`, and the same numbers.

    Raises:
        DivergenceError: as `run_epochs`.
    """
    steps = count_steps(data.size, plan.batch_size, 1)
    watch = _Watch(loop, guard, _CHUNK if data.backend.on_host else steps)
    for epoch in range(plan.done, plan.epochs):
        order = data.host_order(plan.seed, plan.first_epoch + epoch) if is_shuffled(data, plan) else None
        part, before = plan.begin(epoch), epoch * steps
        for stop in stops(part.step, steps, before, plan.every):
            losses = watch.run(order, plan.first_step + before, part.step, stop, progress)
            params, state, moments, right, number = loop.carry()
            now = Snapshot(params, state, moments)
            watch.check(now)
            part = Part(stop, (*part.losses, *losses), float(right) if counted else None)
            if stop < steps:
                pause(now, epoch, part)
        shares = shares_of(data, plan.batch_size, order)
        logs = {"loss": sum(v * n for v, n in zip(part.losses, shares, strict=True)) / sum(shares)}
        if part.right is not None:
            logs["accuracy"] = part.right / sum(shares)
        yield now, logs
        last = None if number is None else plan.first_step + before + steps
        loop.write(_carry(resume(now), data, Part() if counted else None, last))


@final
class _Watch:
    """Carries out epochs in pieces, and goes back to the last good parameters when a loss is not finite.

    A plan overwrites its parameters, so a snapshot is kept of the beginning of a piece. What went wrong
    within it is found by carrying the same steps out once more up to there: they give the same bits.
    """

    def __init__(self, loop: Loop, guard: Guard, piece: int) -> None:
        self._loop = loop
        self._guard = guard
        self._piece = piece
        self._number = 0
        self._before: tuple[Any, Any, int, int] | None = None  # snapshot, order, first step, number of steps

    def run(self, order: Any, number: int, begin: int, stop: int, progress: Progress) -> list[float]:
        """The losses of some steps of an epoch, whose first step comes after step `number`."""
        losses: list[float] = []
        for first in range(begin, stop, self._piece):
            count = min(self._piece, stop - first)
            saved = self._loop.save()
            found = self._loop.run(order, first, count).tolist()
            bad = next((i for i, loss in enumerate(found) if not isfinite(loss)), None)
            if bad is not None:
                self._go_back(saved, order, first, bad)
                raise self._guard.diverged(number + first + bad + 1, found[bad])
            losses += found
            self._before = saved, order, first, count
            progress.step(count)
        self._number = number + stop
        return losses

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

    def check(self, now: Snapshot) -> None:
        """Look at the parameters after an epoch, whose last update no loss has seen."""
        try:
            check_finite(now, self._number)
        except DivergenceError:
            assert self._before is not None, "an epoch has steps"
            self._go_back(*self._before[:3], self._before[3])
            raise
