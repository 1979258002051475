"""Relatives of Adam whose correction depends on the step in a way of its own: NAdam and RAdam."""

from __future__ import annotations

import math

from portnn import ops, tree
from portnn._typing import Array, DType, Tree
from portnn.optim._adaptive import average, average_squares
from portnn.optim._checks import fractions, not_negative, positive
from portnn.optim._optimizer import Optimizer, in_float32, recipe
from portnn.optim._steps import (
    count,
    like,
    one_minus_power,
    per_dtype,
    real_step,
    start_count,
    start_product,
    tame,
    zeros,
)

__all__ = ["scale_by_nadam", "scale_by_radam"]


@recipe
def scale_by_nadam(
    betas: tuple[float, float] = (0.9, 0.999), *, eps: float = 1e-8, momentum_decay: float = 4e-3
) -> Optimizer:
    """Adam with Nesterov momentum, without its learning rate.

    With ``mu_t = b1 (1 - 0.96**(t momentum_decay) / 2)`` and the product ``P_t`` of these, the update is
    ``(mu_{t+1} m / (1 - P_{t+1}) + (1 - mu_t) g / (1 - P_t)) / (sqrt(v / (1 - b2**t)) + eps)``
    (Dozat 2016, Incorporating Nesterov momentum into Adam, algorithm 2 and its momentum schedule).

    Args:
        betas: what remains of the two running means at each step, each in [0, 1).
        eps: added to the root, > 0.
        momentum_decay: how quickly the momentum grows to ``b1``, >= 0.

    Returns:
        A transform whose state holds the step, ``P_t`` and the running means.

    Example:
        >>> import numpy as np
        >>> transform = scale_by_nadam()
        >>> params = np.asarray([0.0])
        >>> updates, _ = transform.update(np.asarray([3.0]), transform.init(params), params)
        >>> round(float(updates[0]), 4)
        1.0565
    """
    b1, b2 = fractions("betas", betas)
    eps = positive("eps", eps, "try 1e-8")
    decay = not_negative("momentum_decay", momentum_decay) * math.log(0.96)

    def start(params: Tree) -> Tree:
        moments = {"mean": zeros(params), "square": zeros(params)}
        return {"step": start_count(params), "product": start_product(params), **moments}

    def advance(grads: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        grads = tree.map(tame, grads)
        step, product, numbers = _nadam_numbers(b1, b2, decay, state["step"], state["product"])
        mean = average(b1, state["mean"], grads)
        square = average_squares(b2, state["square"], grads)
        of = per_dtype(lambda dtype: [like(x, dtype) for x in numbers])

        def ratio(m: Array, v: Array, g: Array) -> Array:
            past, present, c = of(m)
            ahead = ops.add(ops.multiply(m, past), ops.multiply(g, present))
            return ops.divide(ahead, ops.divide(ops.sqrt(v), c) + eps)

        updates = tree.map(ratio, mean, square, grads)
        return updates, {"step": step, "product": product, "mean": mean, "square": square}

    return in_float32(start, advance)


def _nadam_numbers(
    b1: float, b2: float, decay: float, step: Array | None, product: Array | None
) -> tuple[Array | None, Array | None, tuple[Array, ...]]:
    """The next step and product, and the factors of mean and gradient and the root of the correction."""
    if step is None or product is None:
        return None, None, ()
    step = count(step)
    t = real_step(step, product.dtype)
    now = b1 - ops.exp(t * decay) * (0.5 * b1)
    later = b1 - ops.exp((t + 1.0) * decay) * (0.5 * b1)
    product = ops.broadcast_to(ops.multiply(product, now), ())
    past = ops.divide(later, 1.0 - ops.multiply(product, later))
    present = ops.divide(1.0 - now, 1.0 - product)
    return step, product, (past, present, ops.sqrt(one_minus_power(b2, t)))


@recipe
def scale_by_radam(betas: tuple[float, float] = (0.9, 0.999), *, eps: float = 1e-8) -> Optimizer:
    """Adam whose second moment counts only once enough gradients have been seen.

    With ``r_t`` the length of the simple moving average that has the variance of ``v`` and ``r`` its limit,
    the update is ``m' sqrt((r_t - 4) (r_t - 2) r / ((r - 4) (r - 2) r_t)) sqrt(1 - b2**t) / (sqrt(v) +
    eps)`` if ``r_t > 5`` and ``m'`` before (Liu et al. 2020, On the variance of the adaptive learning rate
    and beyond, algorithm 2, with torch.optim's threshold of 5). Steps before that are proportional to the
    gradient, as scaled down by `tame` if it is enormous.

    Args:
        betas: what remains of the two running means at each step, each in [0, 1).
        eps: added to the root, > 0.

    Returns:
        A transform whose state holds the step and the running means.

    Example:
        >>> import numpy as np
        >>> transform = scale_by_radam()
        >>> params = np.asarray([0.0])
        >>> updates, _ = transform.update(np.asarray([3.0]), transform.init(params), params)
        >>> round(float(updates[0]), 4)
        3.0
    """
    b1, b2 = fractions("betas", betas)
    eps = positive("eps", eps, "try 1e-8")

    def start(params: Tree) -> Tree:
        return {"step": start_count(params), "mean": zeros(params), "square": zeros(params)}

    def advance(grads: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        step = count(state["step"])
        grads = tree.map(tame, grads)
        mean = average(b1, state["mean"], grads)
        square = average_squares(b2, state["square"], grads)
        numbers = per_dtype(lambda dtype: _radam_numbers(b1, b2, real_step(step, dtype), dtype))

        def ratio(m: Array, v: Array) -> Array:
            known, factor = numbers(m)
            return ops.multiply(ops.divide(m, ops.where(known, ops.sqrt(v) + eps, 1.0)), factor)

        return tree.map(ratio, mean, square), {"step": step, "mean": mean, "square": square}

    return in_float32(start, advance)


def _radam_numbers(b1: float, b2: float, t: Array, dtype: DType) -> tuple[Array, Array]:
    """Whether the variance is known (``r_t > 5``), and the factor of the mean in either case."""
    limit = 2.0 / (1.0 - b2) - 1.0
    r = _average_length(b2, limit, t)
    known = ops.greater(r, 5.0)
    r = ops.maximum(r, 5.0)  # the root is then real in the branch that is not chosen, too
    scale = limit / ((limit - 4.0) * (limit - 2.0)) if limit > 5.0 else 0.0  # r_t < r: no step gets there
    rectified = ops.sqrt(ops.divide(ops.multiply(r - 4.0, r - 2.0), r) * scale)
    chosen = ops.where(known, ops.multiply(rectified, ops.sqrt(one_minus_power(b2, t))), 1.0)
    return known, like(ops.divide(chosen, one_minus_power(b1, t)), dtype)


def _average_length(b2: float, limit: float, t: Array) -> Array:
    """``r_t = r - 2 t b2**t / (1 - b2**t)``, which cancels badly: at t = 5, 1999 - 1994 in float32.

    With ``s = -log(b2) / 2`` and ``y = s t`` it is ``(r - 1/s) + t - (y coth(y) - 1) / s``, whose terms are
    of the size of the result; ``y coth(y) - 1`` is a series below 0.1 (Abramowitz and Stegun, Handbook of
    mathematical functions, 4.5.67), exact there to a relative 1e-15.
    """
    if b2 == 0.0:
        return t * 0.0 + limit
    s = -0.5 * math.log(b2)
    y = t * s
    large = ops.maximum(y, 0.1)
    q = ops.square(ops.minimum(y, 0.1))
    series = ops.multiply(q, _horner(q, (1 / 3, -1 / 45, 2 / 945, -1 / 4725, 2 / 93555)))
    excess = ops.where(ops.greater(y, 0.1), ops.divide(large, ops.tanh(large)) - 1.0, series)
    return ops.add(t + (limit - 1.0 / s), excess * (-1.0 / s))


def _horner(x: Array, coefficients: tuple[float, ...]) -> Array:
    """The polynomial with these coefficients, the constant one first."""
    value = x * 0.0 + coefficients[-1]
    for c in coefficients[-2::-1]:
        value = ops.multiply(value, x) + c
    return value
