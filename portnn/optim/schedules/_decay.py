"""Schedules that fall: by steps, by a factor, by a power. And the one that does not."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from portnn._typing import Array
from portnn.optim._checks import Schedule, not_negative, positive, whole
from portnn.optim.schedules._made import scheduled
from portnn.optim.schedules._numbers import Number, at_most, floor, pick, power, real_step

__all__ = ["constant", "exponential", "multi_step", "polynomial", "step"]


@scheduled
def constant(learning_rate: float) -> Schedule:
    """The same learning rate at every step.

    Args:
        learning_rate: a number > 0.

    Returns:
        A function of the step.

    Example:
        >>> constant(0.1)(1000)
        0.1
    """
    rate = positive("learning_rate", learning_rate)
    return lambda step: real_step(step) * 0.0 + rate


@scheduled
def step(learning_rate: float, every: int, *, factor: float = 0.1) -> Schedule:  # named as in torch's StepLR
    """Multiplied by `factor` every so many steps: ``learning_rate * factor**floor(step / every)``.

    Args:
        learning_rate: the first learning rate, > 0.
        every: the number of steps between two changes, >= 1.
        factor: the factor, > 0.

    Returns:
        A function of the step; torch.optim.lr_scheduler.StepLR has the same values.

    Example:
        >>> schedule = step(0.5, 10, factor=0.5)
        >>> [schedule(t) for t in (0, 9, 10, 20)]
        [0.5, 0.5, 0.25, 0.125]
    """
    rate, factor = positive("learning_rate", learning_rate), positive("factor", factor, "try 0.1")
    every = whole("every", every, 1, "give the number of steps between two changes")
    return lambda step: power(factor, floor(real_step(step) / every)) * rate


@scheduled
def multi_step(learning_rate: float, milestones: Sequence[int], *, factor: float = 0.1) -> Schedule:
    """Multiplied by `factor` at each milestone.

    Args:
        learning_rate: the first learning rate, > 0.
        milestones: the steps from which on the next factor counts, increasing.
        factor: the factor, > 0.

    Returns:
        A function of the step; torch.optim.lr_scheduler.MultiStepLR has the same values.

    Example:
        >>> schedule = multi_step(0.5, [10, 15], factor=0.5)
        >>> [schedule(t) for t in (9, 10, 14, 15)]
        [0.5, 0.25, 0.25, 0.125]
    """
    rate, factor = positive("learning_rate", learning_rate), positive("factor", factor, "try 0.1")
    marks = [whole("milestones", m, 0, "give steps, counted from 0") for m in milestones]
    if any(a >= b for a, b in pairwise(marks)):
        raise ValueError(f"milestones must increase, got {marks[:6]}; sort them and leave out repetitions")

    def schedule(step: Array | int) -> Number:
        t = real_step(step)
        value = t * 0.0 + rate
        for i, mark in enumerate(marks):
            value = pick(t >= mark, rate * factor ** (i + 1), value)
        return value

    return schedule


@scheduled
def exponential(learning_rate: float, factor: float) -> Schedule:
    """Multiplied by `factor` at every step: ``learning_rate * factor**step``.

    Args:
        learning_rate: the first learning rate, > 0.
        factor: the factor, > 0.

    Returns:
        A function of the step; torch.optim.lr_scheduler.ExponentialLR has the same values.

    Example:
        >>> schedule = exponential(1.0, 0.5)
        >>> [schedule(t) for t in (0, 1, 4)]
        [1.0, 0.5, 0.0625]
    """
    rate, factor = positive("learning_rate", learning_rate), positive("factor", factor, "try 0.99")
    return lambda step: power(factor, real_step(step)) * rate


@scheduled
def polynomial(learning_rate: float, steps: int, *, exponent: float = 1.0, end: float = 0.0) -> Schedule:
    """A power of the part that remains: ``end + (learning_rate - end) * (1 - step / steps)**exponent``.

    Args:
        learning_rate: the first learning rate, > 0.
        steps: the number of steps until `end`, which stays from then on, >= 1.
        exponent: 1 falls along a straight line; > 0.
        end: the last learning rate, >= 0.

    Returns:
        A function of the step; with ``end=0`` torch.optim.lr_scheduler.PolynomialLR has the same values.

    Example:
        >>> schedule = polynomial(1.0, 4, exponent=2.0)
        >>> [schedule(t) for t in (0, 2, 4, 9)]
        [1.0, 0.25, 0.0, 0.0]
    """
    rate, end = positive("learning_rate", learning_rate), not_negative("end", end, "0.0 goes down to nothing")
    steps = whole("steps", steps, 1, "give the number of steps of the training")
    exponent = positive("exponent", exponent, "1.0 is a straight line")

    def schedule(step: Array | int) -> Number:
        left = 1.0 - at_most(real_step(step), float(steps)) / steps
        return power(left, exponent) * (rate - end) + end

    return schedule
