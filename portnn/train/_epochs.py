"""Epochs: going through the data again and again, however steps are carried out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Protocol, final

from portnn import ops
from portnn._typing import Array
from portnn.ops._indexing import gather
from portnn.train._guard import DivergenceError, all_finite
from portnn.train._loop import Dataset, Snapshot
from portnn.train._moment import Part, stops

__all__ = ["Plan", "Steps", "check_finite", "count_of", "count_steps", "is_shuffled", "run_epochs"]


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


class Steps(Protocol):
    """A way to carry out the steps of a training.

    Attributes:
        now: what the last step left.
    """

    now: Snapshot

    def run(self, order: Any, before: int, part: Part, stop: int) -> Part:
        """Carry out steps of an epoch.

        Args:
            order: the order of its samples, an array of NumPy; None for as they stand.
            before: how many steps the network had been trained for when the epoch began.
            part: what is done of the epoch.
            stop: the last step to carry out, counted within the epoch.

        Returns:
            What is done of the epoch then.

        Raises:
            DivergenceError: if a loss, a gradient, or the parameters in the end are not finite.
        """

    def write(self, now: Snapshot, number: int) -> None:
        """Go on from a snapshot, after a step of this number."""


def run_epochs(
    steps: Steps,
    data: Dataset,
    plan: Plan,
    *,
    resume: Callable[[Snapshot], Snapshot],
    pause: Callable[[Snapshot, int, Part], None],
) -> Iterator[tuple[Snapshot, dict[str, float]]]:
    """Train, an epoch at a time.

    Args:
        steps: carries them out: `EagerSteps` or `PlannedSteps`.
        data: what to learn from.
        plan: how to go through it.
        resume: is given what an epoch ended with, before the next, and returns what that begins with.
        pause: is given the snapshot, how many epochs are done, and the part of the next, where the plan says.

    Yields:
        After each epoch the snapshot and its values: "loss", the mean over the epoch's samples by their
        weights as they were met, and "accuracy" if there is a measure.

    Raises:
        DivergenceError: if a loss, a gradient, or the parameters after an epoch are not finite.
    """
    count = count_steps(data.size, plan.batch_size, 1)
    weight = None if data.weight is None else data.backend.to_numpy(data.weight)
    for epoch in range(plan.done, plan.epochs):
        order = data.order(plan.seed, plan.first_epoch + epoch) if is_shuffled(data, plan) else None
        part, before = plan.begin(epoch), plan.first_step + epoch * count
        for stop in stops(part.step, count, epoch * count, plan.every):
            part = steps.run(order, before, part, stop)
            if stop < count:
                pause(steps.now, epoch, part)
        yield steps.now, _logs(part, _shares(data.size, weight, plan.batch_size, order))
        steps.write(resume(steps.now), before + count)


def _logs(part: Part, shares: list[float]) -> dict[str, float]:
    """The values of an epoch, of which all is done."""
    logs = {"loss": sum(v * n for v, n in zip(part.losses, shares, strict=True)) / sum(shares)}
    if part.right is not None:
        logs["accuracy"] = part.right / sum(shares)
    return logs


def count_of(part: Part, data: Dataset) -> Array:
    """What was counted in a part, as the measure counts: in the library's integers, or as the weights are."""
    like = data.backend
    if data.weight is None:
        dtype = ops.count_nonzero(ops.zeros((1,), dtype="bool", like=like)).dtype
        return ops.asarray(int(part.right or 0), dtype=dtype, like=like)
    return ops.asarray(part.right or 0.0, dtype=data.weight.dtype, like=like)


def is_shuffled(data: Dataset, plan: Plan) -> bool:
    """Whether epochs have an order of their own: not if a step sees all samples anyway."""
    return plan.shuffle and (plan.batch_size or data.size) < data.size


def _shares(count: int, weight: Any, batch_size: int | None, order: Any) -> list[float]:
    """Return the weight of each batch in the mean of an epoch: the sum of its samples' weights.

    The weights are NumPy arrays: on an accelerator each sum would be a kernel launch and a wait.
    """
    size = batch_size or count
    if weight is None:
        return [float(min(size, count - start)) for start in range(0, count, size)]
    weight = weight if order is None else gather(weight, order, axis=0)
    return [float(ops.sum(weight[i : min(i + size, count)])) for i in range(0, count, size)]


def check_finite(now: Snapshot, number: int) -> None:
    """A loss is computed before its step's update, so the last update of an epoch is looked at itself."""
    if not all_finite(now.params):
        raise DivergenceError(
            f"parameters are not finite after step {number}; try a smaller learning rate; "
            "the parameters are the last good ones"
        )


def count_steps(n: int, batch_size: int | None, epochs: int) -> int:
    """The number of steps that `epochs` epochs over `n` samples take."""
    return epochs * (1 if batch_size is None else ceil(n / batch_size))
