"""Epochs: going through the data again and again, with a guard and a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import ceil
from typing import Any, final

from portnn import ops, tree
from portnn._typing import Array
from portnn.optim import NonFiniteGradientError
from portnn.train._guard import DivergenceError, Guard
from portnn.train._loop import Batch, Dataset, Snapshot
from portnn.train._moment import Part, stops
from portnn.train._progress import Progress

__all__ = ["Plan", "check_finite", "count_of", "count_steps", "is_shuffled", "run_epochs", "shares_of"]


@final
@dataclass(frozen=True)
class Plan:
    """How to go through the data.

    Attributes:
        epochs: how often.
        batch_size: samples a step; None for all.
        shuffle: whether each epoch has an order of its own.
        seed: what the orders are drawn from.
        first_epoch: the number of epochs that went before, so that going on repeats no order.
        first_step: the number of steps that went before.
        done: how many of the epochs are done already, by a training that this one goes on from.
        part: what is done of the next one.
        every: pause after steps whose number within the training is a multiple of one of these.
    """

    epochs: int
    batch_size: int | None
    shuffle: bool
    seed: int
    first_epoch: int
    first_step: int
    done: int = 0
    part: Part = field(default_factory=Part)
    every: tuple[int, ...] = ()

    def begin(self, epoch: int) -> Part:
        """What is done of an epoch."""
        return self.part if epoch == self.done else Part()


def run_epochs(
    step: Callable[[Snapshot, Batch, int], tuple[Snapshot, Array, Array]],
    start: Snapshot,
    data: Dataset,
    plan: Plan,
    guard: Guard,
    *,
    measure: Callable[[Array, Array, Array | None], Array] | None,
    progress: Progress,
    resume: Callable[[Snapshot], Snapshot],
    pause: Callable[[Snapshot, int, Part], None],
) -> Iterator[tuple[Snapshot, dict[str, float]]]:
    """Train, an epoch at a time.

    Args:
        step: made by `make_step`.
        start: where to begin.
        data: what to learn from.
        plan: how to go through it.
        guard: watches the losses; its `good` snapshot is what to keep after an error.
        measure: counts the right predictions of a batch by their weights, a 0-d array; None if that has no
            meaning.
        progress: is told of each step.
        resume: is given what an epoch ended with, before the next, and returns what that begins with.
        pause: is given the snapshot, how many epochs are done, and the part of the next, where the plan says.

    Yields:
        After each epoch the snapshot and its values: "loss", the mean over the epoch's samples by their
        weights as they were met, and "accuracy" if there is a measure.

    Raises:
        DivergenceError: if a loss, a gradient, or the parameters after an epoch are not finite.
    """
    steps = count_steps(data.size, plan.batch_size, 1)
    now = start
    for epoch in range(plan.done, plan.epochs):
        order = data.order(plan.seed, plan.first_epoch + epoch) if is_shuffled(data, plan) else None
        part = plan.begin(epoch)
        before, losses, right = (
            epoch * steps,
            list[Array](),
            None if part.right is None else count_of(part, data),
        )
        pauses = set(stops(part.step, steps, before, plan.every)[:-1])
        for i, batch in enumerate(data.batches(plan.batch_size, order, part.step), part.step + 1):
            number = plan.first_step + before + i
            after, loss, predictions = _guarded(step, now, batch, number, guard)
            losses.append(loss)
            if measure is not None:
                count = measure(predictions, batch.y, batch.weight)
                right = count if right is None else ops.add(right, count)
            now = after
            progress.step()
            if i in pauses:
                guard.look()
                check_finite(now, number)
                pause(
                    now, epoch, Part(i, _values(part, losses, data), None if right is None else float(right))
                )
        guard.look()
        check_finite(now, plan.first_step + before + steps)
        values = _values(part, losses, data)
        shares = shares_of(data, plan.batch_size, order)
        logs = {"loss": sum(v * n for v, n in zip(values, shares, strict=True)) / sum(shares)}
        if right is not None:
            logs["accuracy"] = float(right) / sum(shares)
        yield now, logs
        now = resume(now)


def _values(part: Part, losses: list[Array], data: Dataset) -> tuple[float, ...]:
    """The losses of an epoch: those of its part that was done before, and of the steps since."""
    return (*part.losses, *data.backend.to_numpy(ops.stack(losses)).tolist())


def count_of(part: Part, data: Dataset) -> Array:
    """What was counted in a part, as the measure counts: in the library's integers, or as the weights are."""
    like = data.backend
    if data.weight is None:
        dtype = ops.count_nonzero(ops.zeros((1,), dtype="bool", like=like)).dtype
        return ops.asarray(int(part.right or 0), dtype=dtype, like=like)
    return ops.asarray(part.right or 0.0, dtype=data.weight.dtype, like=like)


def _guarded(
    step: Any, now: Snapshot, batch: Batch, number: int, guard: Guard
) -> tuple[Snapshot, Array, Array]:
    """A step whose loss, and whose gradient if the optimiser looks at it, the guard has seen."""
    try:
        after, loss, predictions = step(now, batch, number)
    except NonFiniteGradientError as error:
        guard.look()
        raise DivergenceError(
            f"at step {number}: {str(error)[:200]}; the parameters are the last good ones"
        ) from error
    guard.watch(number, loss, now)
    return after, loss, predictions


def is_shuffled(data: Dataset, plan: Plan) -> bool:
    """Whether epochs have an order of their own: not if a step sees all samples anyway."""
    return plan.shuffle and (plan.batch_size or data.size) < data.size


def shares_of(data: Dataset, batch_size: int | None, order: Array | None) -> list[float]:
    """What each batch counts for in the mean of an epoch: its samples by their weights."""
    size = batch_size or data.size
    if data.weight is None:
        return [float(min(size, data.size - start)) for start in range(0, data.size, size)]
    weight = data.weight if order is None else ops.take(data.weight, data.backend.asarray(order), axis=0)
    parts = [weight[i : min(i + size, data.size)] for i in range(0, data.size, size)]
    shares: list[float] = data.backend.to_numpy(ops.stack([ops.sum(part) for part in parts])).tolist()
    return shares


def check_finite(now: Snapshot, number: int) -> None:
    """A loss is computed before its step's update, so the last update of an epoch is looked at itself."""
    if not all(bool(ops.all(ops.isfinite(p))) for p in tree.leaves(now.params)):
        raise DivergenceError(
            f"parameters are not finite after step {number}; try a smaller learning rate; "
            "the parameters are the last good ones"
        )


def count_steps(n: int, batch_size: int | None, epochs: int) -> int:
    """The number of steps that `epochs` epochs over `n` samples take."""
    return epochs * (1 if batch_size is None else ceil(n / batch_size))
