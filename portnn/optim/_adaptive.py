"""Methods with a learning rate for each element, by the squares of its gradients.

All of them scale down a gradient whose squares would overflow (`tame` in `_steps.py`).
"""

from __future__ import annotations

from portnn import ops, tree
from portnn._typing import Array, Tree
from portnn.ops._options import check_flag
from portnn.optim._checks import fraction, not_negative, positive
from portnn.optim._optimizer import Optimizer, in_float32, recipe
from portnn.optim._steps import tame, zeros

__all__ = ["average", "average_squares", "scale_by_adadelta", "scale_by_adagrad", "scale_by_rms"]


def average(rate: float, old: Tree, new: Tree) -> Tree:
    """The running average ``rate old + (1 - rate) new`` of each leaf."""
    share = 1.0 - rate
    return tree.map(lambda a, g: ops.add(a * rate, g * share), old, new)


def average_squares(rate: float, old: Tree, new: Tree) -> Tree:
    """The running average of squares ``rate old + (1 - rate) new**2`` of each leaf."""
    share = 1.0 - rate
    return tree.map(lambda a, g: ops.add(a * rate, ops.square(g) * share), old, new)


@recipe
def scale_by_rms(alpha: float = 0.99, *, eps: float = 1e-8, centered: bool = False) -> Optimizer:
    """Divide by the root of the running mean of squares: RMSprop without its learning rate.

    ``v = alpha v + (1 - alpha) g**2``, update ``g / (sqrt(v) + eps)`` (Hinton 2012, Neural networks for
    machine learning, lecture 6e). Centred, the variance ``v - a**2`` takes the place of ``v``, with the
    running mean ``a`` (Graves 2013, Generating sequences with recurrent neural networks, equations 38 to
    40).

    Args:
        alpha: what remains of the running means at each step, in [0, 1).
        eps: added to the root, > 0.
        centered: whether to subtract the mean.

    Returns:
        A transform whose state holds the running means.

    Example:
        >>> import numpy as np
        >>> transform = scale_by_rms(0.75)
        >>> params = np.asarray([0.0])
        >>> updates, _ = transform.update(np.asarray([3.0]), transform.init(params), params)
        >>> round(float(updates[0]), 4)
        2.0
    """
    check_flag("scale_by_rms", "centered", centered)
    alpha, eps = fraction("alpha", alpha, "try 0.99"), positive("eps", eps, "try 1e-8")

    def start(params: Tree) -> Tree:
        return {"square": zeros(params), **({"mean": zeros(params)} if centered else {})}

    def advance(grads: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        grads = tree.map(tame, grads)
        new = {"square": average_squares(alpha, state["square"], grads)}
        spread = new["square"]
        if centered:
            new["mean"] = average(alpha, state["mean"], grads)
            spread = tree.map(_variance, spread, new["mean"])
        return tree.map(lambda g, v: ops.divide(g, ops.sqrt(v) + eps), grads, spread), new

    return in_float32(start, advance)


def _variance(v: Array, a: Array) -> Array:
    """``v - a**2``, which rounding may bring below zero."""
    return ops.maximum(ops.subtract(v, ops.square(a)), 0.0)


@recipe
def scale_by_adagrad(*, initial_accumulator_value: float = 0.0, eps: float = 1e-10) -> Optimizer:
    """Divide by the root of the sum of squares so far: Adagrad without its learning rate.

    ``s = s + g**2``, update ``g / (sqrt(s) + eps)`` (Duchi, Hazan and Singer 2011, Adaptive subgradient
    methods for online learning and stochastic optimization, figure 1, diagonal).

    Args:
        initial_accumulator_value: the sum before the first step, >= 0.
        eps: added to the root, > 0.

    Returns:
        A transform whose state holds the sums.

    Example:
        >>> import numpy as np
        >>> transform = scale_by_adagrad(initial_accumulator_value=9.0)
        >>> params = np.asarray([0.0])
        >>> updates, _ = transform.update(np.asarray([4.0]), transform.init(params), params)
        >>> round(float(updates[0]), 4)
        0.8
    """
    initial = not_negative("initial_accumulator_value", initial_accumulator_value)
    eps = positive("eps", eps, "try 1e-10")

    def start(params: Tree) -> Tree:
        return {"sum": tree.map(lambda p: ops.full_like(p, initial), params)}

    def advance(grads: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        grads = tree.map(tame, grads)
        total = tree.map(lambda s, g: ops.add(s, ops.square(g)), state["sum"], grads)
        return tree.map(lambda g, s: ops.divide(g, ops.sqrt(s) + eps), grads, total), {"sum": total}

    return in_float32(start, advance)


@recipe
def scale_by_adadelta(rho: float = 0.9, *, eps: float = 1e-6) -> Optimizer:
    """Divide by the running root mean square of gradients, multiply by that of updates.

    ``v = rho v + (1 - rho) g**2``, update ``d = g sqrt(u + eps) / sqrt(v + eps)``, then
    ``u = rho u + (1 - rho) d**2`` (Zeiler 2012, ADADELTA, algorithm 1).

    Args:
        rho: what remains of the running means at each step, in [0, 1).
        eps: added to both means, > 0.

    Returns:
        A transform whose state holds both running means.

    Example:
        >>> import numpy as np
        >>> transform = scale_by_adadelta(0.75, eps=1e-4)
        >>> params = np.asarray([0.0])
        >>> updates, _ = transform.update(np.asarray([3.0]), transform.init(params), params)
        >>> round(float(updates[0]), 4)
        0.02
    """
    rho, eps = fraction("rho", rho), positive("eps", eps, "try 1e-6")

    def start(params: Tree) -> Tree:
        return {"square": zeros(params), "update_square": zeros(params)}

    def advance(grads: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        grads = tree.map(tame, grads)
        square = average_squares(rho, state["square"], grads)
        updates = tree.map(
            lambda g, v, u: ops.multiply(g, ops.divide(ops.sqrt(u + eps), ops.sqrt(v + eps))),
            grads,
            square,
            state["update_square"],
        )
        return updates, {
            "square": square,
            "update_square": average_squares(rho, state["update_square"], updates),
        }

    return in_float32(start, advance)
