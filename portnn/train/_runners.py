"""Runners: execute the steps of a training, eagerly or compiled, and stop when they diverge."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import ExitStack
from dataclasses import dataclass
from math import isfinite
from typing import Any, Protocol, TypeAlias, final
from warnings import warn

from portnn import ops, tree
from portnn._progress import Progress
from portnn._typing import Array, Tree
from portnn.backend import get_backend
from portnn.backend._finite import all_finite as finite_array
from portnn.compile import Loop, PlanWarning, has_loops, kept_loop
from portnn.optim import NonFiniteGradientError
from portnn.random import fold_in
from portnn.tracing import extent_of
from portnn.train._state import EpochProgress, FitConfig, Snapshot
from portnn.train._step import Batch, Dataset, Step, noise_key

__all__ = [
    "CompiledRunner", "DivergenceError", "EagerRunner", "Guard", "StepRunner", "Work",
    "all_finite", "make_runner",
]  # fmt: skip

_CHUNK = 32  # steps between snapshots on the host, where each costs a copy of the parameters
_LOOK = 32  # steps between reads of the loss where reading synchronizes an accelerator

Measure: TypeAlias = Callable[[Array, Array, Array | None], Array]


class DivergenceError(ArithmeticError, ValueError):
    """A loss or gradient is not finite; the parameters are the last good ones.

    A ValueError, as scikit-learn's estimators raise.
    """


@final
@dataclass(frozen=True)
class Work:
    """The step of a training, and its data.

    Attributes:
        step: one training step, made by `make_step`.
        data: the samples.
        batch_size: samples per step; None for all.
        shuffled: whether epochs are shuffled.
        seed: the seed of the noise of layers that need a key; None if none does.
        measure: counts the correct predictions of a batch by weight, a 0-d array; None without accuracy.
        key: returns a key that is equal for steps that do the same, or None; None if the loop is not kept.
    """

    step: Step
    data: Dataset
    batch_size: int | None
    shuffled: bool = False
    seed: int | None = None
    measure: Measure | None = None
    key: Callable[[], tuple[Hashable, ...] | None] | None = None

    def count(self, progress: EpochProgress) -> Array:
        """The count so far, in the dtype of the measure: the library's integers, or that of the weights."""
        like, weight = self.data.backend, self.data.weight
        if weight is None:
            dtype = ops.count_nonzero(ops.zeros((1,), dtype="bool", like=like)).dtype
            return ops.asarray(int(progress.right or 0), dtype=dtype, like=like)
        return ops.asarray(progress.right or 0.0, dtype=weight.dtype, like=like)


class StepRunner(Protocol):
    """A way to run the steps of a training.

    Attributes:
        now: the arrays after the last step.
        guard: has the snapshot to keep after an error.
    """

    now: Snapshot
    guard: Guard

    def run(self, order: Any, before: int, progress: EpochProgress, stop: int) -> EpochProgress:
        """Run steps of an epoch.

        Args:
            order: the order of its samples, a NumPy array; None for unshuffled.
            before: the number of steps that the network was trained for before the epoch.
            progress: the progress of the epoch.
            stop: the last step to run, counted within the epoch.

        Returns:
            The new progress of the epoch.

        Raises:
            DivergenceError: if a loss, a gradient, or the final parameters are not finite.
        """

    def write(self, now: Snapshot, number: int) -> None:
        """Continue from a snapshot after the step with this number."""

    def explain(self) -> str:
        """Describe how steps are run."""


def all_finite(arrays: Tree) -> bool:
    """Return whether all numbers in a tree are finite; reads one number from the device."""
    leaves = tree.leaves(arrays)
    if all(map(get_backend("numpy").owns, leaves)):
        return all(map(finite_array, leaves))
    return bool(ops.all(ops.stack([ops.all(ops.isfinite(a)) for a in leaves])))


def check_finite(now: Snapshot, number: int) -> None:
    """Check the parameters after the last step: a loss is computed before the update of its step."""
    if not all_finite(now.params):
        raise DivergenceError(
            f"parameters are not finite after step {number}; try a smaller learning rate; "
            "the parameters are the last good ones"
        )


@final
class Guard:
    """Monitor the losses of a training, and keep the snapshot from which they were last finite.

    Reading a loss synchronizes a GPU, so losses are read `interval` at a time; the snapshot is up to that
    many steps old.

    Args:
        interval: the number of steps between reads.
    """

    def __init__(self, interval: int) -> None:
        self._interval = interval
        self._pending: list[tuple[int, Array]] = []
        self._candidate: Snapshot | None = None
        self.good: Snapshot | None = None

    def watch(self, step: int, loss: Array, snapshot: Snapshot) -> None:
        """Record the loss of a step.

        Args:
            step: its number, from 1.
            loss: the loss before the update of this step.
            snapshot: the arrays that the loss was computed from.

        Raises:
            DivergenceError: if a loss since the last read is not finite.
        """
        if not self._pending:
            self._candidate = snapshot
        self._pending.append((step, loss))
        if len(self._pending) >= self._interval:
            self.look()

    def look(self) -> None:
        """Read the pending losses.

        Raises:
            DivergenceError: if one is not finite.
        """
        pending, self._pending = self._pending, []
        for step, loss in pending:
            value = float(loss)
            if not isfinite(value):
                raise self.diverged(step, value)
            self.good = self._candidate  # from which the first of them was computed

    def diverged(self, step: int, value: float) -> DivergenceError:
        """Return the error for a loss that is not finite.

        Args:
            step: the number of the step, from 1.
            value: the loss.
        """
        return DivergenceError(
            f"the loss is {value} at step {step}; try a smaller learning rate, "
            "portnn.optim.clip_by_global_norm, or inputs scaled to about 1; "
            "the parameters are those before it went wrong"
        )


def make_runner(
    work: Work,
    start: Snapshot,
    first: tuple[int, EpochProgress],
    progress: Progress,
    stack: ExitStack,
    config: FitConfig,
) -> StepRunner:
    """Return a runner, compiled if possible and requested.

    Args:
        work: the step and its data.
        start: the initial arrays.
        first: the number of the step before the first one, and the progress of the epoch.
        progress: is notified of the steps.
        stack: holds the loop, which is kept for later equal trainings.
        config: the options of the training.
    """
    data, batch_size = work.data, work.batch_size
    if not config.compile:
        return EagerRunner(work, start, progress, "compile=False")
    if not has_loops(data.backend.xp):
        return EagerRunner(work, start, progress, f"there are no plans for {data.backend.name}")
    carry, step = carry_of(work, start, *first), loop_step(work.step, work.measure)
    options: dict[str, Any] = {"extents": data.extents, "shuffled": work.shuffled}
    options |= {"threads": config.threads, "precision": config.precision}
    known = work.key  # a kept loop must not hold the data of `work`
    key = None if known is None else known()
    options["valid"] = lambda: known is not None and key is not None and (bool(key[0]) or known() == key)
    try:
        loop = stack.enter_context(kept_loop(key, step, carry, data.arrays, batch_size, **options))
    except (TypeError, AttributeError) as error:  # not traceable; a mistake raises again eagerly
        why = str(error)[:220]
        warn(f"fit: no plan, so training is slower, with the same numbers: {why}", PlanWarning, stacklevel=7)
        return EagerRunner(work, start, progress, why)
    stack.enter_context(loop.limits())
    return CompiledRunner(loop, work, start, progress)


def loop_step(step: Step, measure: Measure | None) -> Callable[..., tuple[Tree, Array]]:
    """Return the step of a compiled loop; it refers to nothing that changes between trainings."""

    def traced(carry: Tree, x: Array, y: Array, weight: Array | None = None) -> tuple[Tree, Array]:
        params, state, opt_state, right, number, key = carry
        own = None
        if key is not None:
            number = ops.add(number, 1)
            own = fold_in(key, number)
        wholes = extent_of(x), extent_of(y)  # as the loop declares them while it traces the step
        known = tuple([whole for whole in wholes if whole is not None])
        batch = Batch(x, y, weight, x.shape[0], known if len(known) == len(wholes) else ())
        after, loss, predictions = step(Snapshot(params, state, opt_state), batch, own)
        if measure is not None:
            right = ops.add(right, measure(predictions, y, weight))
        return (after.params, after.state, after.opt_state, right, number, key), loss

    return traced


def carry_of(work: Work, now: Snapshot, number: int, progress: EpochProgress) -> Tree:
    """Return the carry of a compiled loop.

    It has the parameters, the state, the optimizer's state and, where needed, the total of the measure, the
    number of the last step and the key of the training.
    """
    like = work.data.backend
    right = None if work.measure is None else work.count(progress)
    last = key = None
    if work.seed is not None:
        last, key = ops.asarray(number, dtype="uint32", like=like), noise_key(work.seed, like)
    return now.params, now.state, now.opt_state, right, last, key


@final
class EagerRunner:
    """Run the steps of a training eagerly.

    Args:
        work: the step and its data.
        start: the initial arrays.
        progress: is notified of each step.
        why: why the steps are not compiled.
    """

    def __init__(self, work: Work, start: Snapshot, progress: Progress, why: str) -> None:
        self._work, self._progress, self._why = work, progress, why
        self.now = start
        self.guard = Guard(1 if work.data.backend.on_host else _LOOK)

    def run(self, order: Any, before: int, progress: EpochProgress, stop: int) -> EpochProgress:
        """Run steps of an epoch; `StepRunner.run` has the arguments."""
        data, measure = self._work.data, self._work.measure
        losses: list[Array] = []
        right = None if progress.right is None else self._work.count(progress)
        placed = None if order is None else data.home.asarray(order)
        batches = data.batches(self._work.batch_size, placed, progress.step)
        for i, batch in zip(range(progress.step + 1, stop + 1), batches, strict=False):
            loss, predictions = self._advance(batch, before + i)
            losses.append(loss)
            if measure is not None:
                count = measure(predictions, batch.y, batch.weight)
                right = count if right is None else ops.add(right, count)
            self._progress.step()
        self.guard.look()
        check_finite(self.now, before + stop)
        found = data.backend.to_numpy(ops.stack(losses)).tolist() if losses else []
        return EpochProgress(stop, (*progress.losses, *found), None if right is None else float(right))

    def _advance(self, batch: Batch, number: int) -> tuple[Array, Array]:
        """Run a step; the guard checks its loss, and its gradient if the optimizer reads it."""
        seed = self._work.seed
        key = None if seed is None else noise_key(seed, batch.x, number)
        try:
            after, loss, predictions = self._work.step(self.now, batch, key)
        except NonFiniteGradientError as error:
            self.guard.look()
            raise DivergenceError(
                f"at step {number}: {str(error)[:200]}; the parameters are the last good ones"
            ) from error
        self.guard.watch(number, loss, self.now)
        self.now = after
        return loss, predictions

    def write(self, now: Snapshot, number: int) -> None:
        """Continue from a snapshot; `run` gets the step number."""
        self.now = now

    def explain(self) -> str:
        """Return why steps are run eagerly."""
        return f"eager: {self._why}"


@final
class CompiledRunner:
    """Run the steps of a training by a compiled loop.

    A plan overwrites its parameters, so steps run in chunks, with a snapshot before each. After a loss that
    is not finite, the chunk is replayed up to that step, with identical bits.

    Args:
        loop: made for `loop_step` and the carry of `carry_of`.
        work: the step and its data.
        start: the initial arrays.
        progress: is notified of the steps.
    """

    def __init__(self, loop: Loop, work: Work, start: Snapshot, progress: Progress) -> None:
        self._loop, self._work, self._progress = loop, work, progress
        self.guard = Guard(1)
        self.now = start
        self._before: tuple[Any, Any, int, int] | None = None  # snapshot, order, first step, number of steps

    def run(self, order: Any, before: int, progress: EpochProgress, stop: int) -> EpochProgress:
        """Run steps of an epoch; `StepRunner.run` has the arguments."""
        losses: list[float] = []
        piece = _CHUNK if self._work.data.backend.on_host else max(stop, 1)
        for first in range(progress.step, stop, piece):
            losses += self._run_piece(order, before, first, min(piece, stop - first))
        params, state, opt_state, right, *_ = self._loop.carry()
        self.now = Snapshot(params, state, opt_state)
        self._check(before + stop)
        return EpochProgress(stop, (*progress.losses, *losses), None if right is None else float(right))

    def _run_piece(self, order: Any, before: int, first: int, count: int) -> list[float]:
        """Run steps after step `first` of an epoch; return their losses."""
        saved = self._loop.save()
        found: list[float] = self._loop.run(order, first, count, self._progress.step).tolist()
        bad = next((i for i, loss in enumerate(found) if not isfinite(loss)), None)
        if bad is not None:
            self._go_back(saved, order, first, bad)
            raise self.guard.diverged(before + first + bad + 1, found[bad])
        self._before = saved, order, first, count
        return found

    def _go_back(self, saved: Any, order: Any, first: int, bad: int) -> None:
        """Restore the arrays from which the last finite loss was computed."""
        if bad > 0:
            self._loop.restore(saved)
            self._loop.run(order, first, bad - 1)
        elif self._before is not None:
            saved, order, first, count = self._before
            self._loop.restore(saved)
            self._loop.run(order, first, count - 1)
        else:
            return  # the first loss: no snapshot is known to be good
        params, state, opt_state, *_ = self._loop.carry()
        self.guard.good = Snapshot(params, state, opt_state)

    def _check(self, number: int) -> None:
        """Check the parameters after the last step, whose update no loss has seen."""
        try:
            check_finite(self.now, number)
        except DivergenceError:
            if self._before is not None:
                self._go_back(*self._before[:3], self._before[3])
            raise

    def write(self, now: Snapshot, number: int) -> None:
        """Continue from a snapshot after the step with this number."""
        self._loop.write(carry_of(self._work, now, number, EpochProgress()))

    def explain(self) -> str:
        """Return the calls of a step."""
        return self._loop.explain()
