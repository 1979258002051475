"""Schedules along a cosine, warm-up, and the one cycle that joins them."""

from __future__ import annotations

import math
from typing import Literal

from portnn._typing import Array
from portnn.optim._checks import Schedule, check_rate, fraction, not_negative, positive, whole
from portnn.optim.schedules._made import scheduled
from portnn.optim.schedules._numbers import Number, at_least, at_most, cos, floor, log, pick, power, real_step

__all__ = ["cosine", "cosine_restarts", "one_cycle", "warmup"]


def _between(first: float, last: float, part: Number) -> Number:
    """From `first` at 0 to `last` at 1 along half a wave of the cosine."""
    return (cos(part * math.pi) + 1.0) * ((first - last) / 2) + last


@scheduled
def cosine(learning_rate: float, steps: int, *, end: float = 0.0) -> Schedule:
    """From `learning_rate` to `end` along half a wave, where it stays.

    ``end + (learning_rate - end) * (1 + cos(pi * step / steps)) / 2`` (Loshchilov and Hutter 2017, SGDR:
    stochastic gradient descent with warm restarts, equation 5).

    Args:
        learning_rate: the first learning rate, > 0.
        steps: the number of steps until `end`, >= 1.
        end: the last learning rate, >= 0.

    Returns:
        A function of the step. torch.optim.lr_scheduler.CosineAnnealingLR has the same values up to `steps`;
        after that it rises again, and this one does not.

    Example:
        >>> schedule = cosine(1.0, 4)
        >>> [round(schedule(t), 4) for t in (0, 1, 2, 4, 9)]
        [1.0, 0.8536, 0.5, 0.0, 0.0]
    """
    rate, end = positive("learning_rate", learning_rate), not_negative("end", end, "0.0 goes down to nothing")
    steps = whole("steps", steps, 1, "give the number of steps of the training")
    return lambda step: _between(rate, end, at_most(real_step(step), float(steps)) / steps)


@scheduled
def cosine_restarts(learning_rate: float, period: int, *, growth: int = 1, end: float = 0.0) -> Schedule:
    """Half a wave after another, each starting afresh at `learning_rate`.

    Args:
        learning_rate: the learning rate at the start of each wave, > 0.
        period: the number of steps of the first wave (``T_0`` in the paper), >= 1.
        growth: each wave is so many times as long as the one before (``T_mult``), >= 1.
        end: the learning rate that each wave goes down to, >= 0.

    Returns:
        A function of the step (Loshchilov and Hutter 2017, SGDR, section 3);
        torch.optim.lr_scheduler.CosineAnnealingWarmRestarts has the same values.

    Example:
        >>> schedule = cosine_restarts(1.0, 2, growth=2)
        >>> [round(schedule(t), 4) for t in (0, 1, 2, 4, 6)]
        [1.0, 0.5, 1.0, 0.5, 1.0]
    """
    rate, end = positive("learning_rate", learning_rate), not_negative("end", end, "0.0 goes down to nothing")
    period = whole("period", period, 1, "give the number of steps of the first wave")
    growth = whole("growth", growth, 1, "1 keeps the period, 2 doubles it each time")

    def schedule(step: Array | int) -> Number:
        t = real_step(step)
        if growth == 1:
            return _between(rate, end, t / period - floor(t / period))
        start, length = _wave(t, period, growth)
        return _between(rate, end, (t - start) / length)

    return schedule


def _wave(t: Number, period: int, growth: int) -> tuple[Number, Number]:
    """Start and length of the wave that step `t` lies in.

    Wave n starts at ``period * (growth**n - 1) / (growth - 1)``. Solved for n by a logarithm, which may be
    one off just at a restart: the power is rounded to the whole number that it is, and moved on or back.
    """
    waves = log(t * ((growth - 1) / period) + 1.0) * (1.0 / math.log(growth))
    scale = floor(power(float(growth), floor(waves)) + 0.5)
    start = (scale - 1.0) * (period / (growth - 1))
    scale = pick(t < start, scale / growth, pick(t >= start + scale * period, scale * growth, scale))
    return (scale - 1.0) * (period / (growth - 1)), scale * period


@scheduled
def warmup(schedule: float | Schedule, steps: int, *, start_factor: float = 1 / 3) -> Schedule:
    """A linear rise in front of any schedule, which begins when the rise is over.

    Goyal et al. 2017, Accurate, large minibatch SGD, section 2.2.

    Args:
        schedule: a schedule, or a number > 0.
        steps: the number of steps of the rise, >= 1.
        start_factor: the part of the schedule's first value that the rise starts from, in [0, 1).

    Returns:
        A function of the step; torch.optim.lr_scheduler.LinearLR and the schedule joined by SequentialLR
        have the same values.

    Example:
        >>> from portnn.optim.schedules import exponential
        >>> schedule = warmup(exponential(1.0, 0.5), 4, start_factor=0.0)
        >>> [schedule(t) for t in (0, 1, 4, 5)]
        [0.0, 0.25, 1.0, 0.5]
    """
    inner = check_rate(schedule)
    steps = whole("steps", steps, 1, "give the number of steps of the rise")
    first = fraction("start_factor", start_factor, "try 0.1")

    def warmed(step: Array | int) -> Number:
        t = real_step(step)
        rate = inner(at_least(t - steps, 0.0)) if callable(inner) else inner
        return rate * (at_most(t, float(steps)) * ((1.0 - first) / steps) + first)

    return warmed


@scheduled
def one_cycle(
    max_rate: float,
    steps: int,
    *,
    rise: float = 0.3,
    anneal: Literal["cosine", "linear"] = "cosine",
    start_divisor: float = 25.0,
    end_divisor: float = 1e4,
) -> Schedule:
    """Up from a part of `max_rate` to it, then down to a much smaller part.

    From ``first = max_rate / start_divisor`` to `max_rate` and on to ``first / end_divisor``.

    Smith and Topin 2019, Super-convergence: very fast training of neural networks using large learning rates.

    Args:
        max_rate: the largest learning rate, > 0.
        steps: the number of steps of the cycle, >= 2; after it the last value stays.
        rise: the part of the steps that goes up, in [0, 1).
        anneal: along half a wave of the cosine, or along straight lines.
        start_divisor: the largest learning rate over the first, >= 1.
        end_divisor: the first learning rate over the last, >= 1.

    Returns:
        A function of the step; torch.optim.lr_scheduler.OneCycleLR has the same values.

    Example:
        >>> schedule = one_cycle(1.0, 11, rise=0.5, anneal="linear", start_divisor=10.0, end_divisor=10.0)
        >>> [round(schedule(t), 4) for t in (0, 4, 10, 12)]
        [0.1, 0.9, 0.01, 0.01]
    """
    top = positive("max_rate", max_rate)
    steps = whole("steps", steps, 2, "give the number of steps of the training")
    rise = fraction("rise", rise, "try 0.3")
    first = top / _divisor("start_divisor", start_divisor)
    last = first / _divisor("end_divisor", end_divisor)
    if anneal not in ("cosine", "linear"):
        raise ValueError(f"anneal must be 'cosine' or 'linear', got {anneal!r}; try 'cosine'")
    along = _between if anneal == "cosine" else _straight
    turn, stop = rise * steps - 1.0, steps - 1.0  # torch counts the first step as done when the cycle begins

    def schedule(step: Array | int) -> Number:
        t = at_most(real_step(step), stop)
        down = along(top, last, (t - turn) / (stop - turn))
        return pick(t <= turn, along(first, top, t / turn), down) if turn > 0.0 else down

    return schedule


def _straight(first: float, last: float, part: Number) -> Number:
    """From `first` at 0 to `last` at 1 along a straight line."""
    return part * (last - first) + first


def _divisor(name: str, value: float) -> float:
    x = positive(name, value, "try 25.0")
    if x < 1.0:
        raise ValueError(f"{name} must be >= 1, got {x}; try 25.0")
    return x
