"""Small transforms that recipes are chained from: scaling, momentum, weight decay."""

from __future__ import annotations

from portnn import ops, tree
from portnn._typing import Array, Tree
from portnn.ops._options import check_flag
from portnn.optim._checks import Schedule, check_rate, finite, fraction, not_negative
from portnn.optim._optimizer import Optimizer, chain, in_float32, recipe
from portnn.optim._steps import count, like, per_dtype, real_step, start_count, zeros

__all__ = ["add_decayed_weights", "assemble", "scale", "scale_by_learning_rate", "trace"]


@recipe
def scale(factor: float) -> Optimizer:
    """Multiply every gradient by one number.

    Args:
        factor: a Python number.

    Returns:
        A transform without state.

    Example:
        >>> import numpy as np
        >>> transform = scale(-0.5)
        >>> params = np.asarray([1.0, 2.0])
        >>> transform.update(np.asarray([4.0, 2.0]), transform.init(params), params)[0].tolist()
        [-2.0, -1.0]
    """
    factor = finite("factor", factor, "try -0.01")

    def advance(grads: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        return tree.map(lambda g: g * factor, grads), state

    return in_float32(lambda params: (), advance)


@recipe
def scale_by_learning_rate(learning_rate: float | Schedule) -> Optimizer:
    """Multiply by minus the learning rate, the last transform of every recipe.

    Args:
        learning_rate: a number > 0, or a schedule: a function that is given the number of steps done
            before this one (a 0-d floating-point array of the parameters' dtype, so that it also works
            under a compiler) and returns a number or a 0-d array. See `portnn.optim.schedules`.

    Returns:
        A transform; with a schedule its state is the step counter.

    Example:
        >>> import numpy as np
        >>> transform = scale_by_learning_rate(lambda step: 1.0 / (step + 1.0))
        >>> params = np.asarray([1.0])
        >>> updates, state = transform.update(params, transform.init(params), params)
        >>> transform.update(params, state, params)[0].tolist()
        [-0.5]
    """
    rate = check_rate(learning_rate)
    if not callable(rate):
        return scale(-rate)

    def start(params: Tree) -> Tree:
        return {"step": start_count(params)}

    def advance(grads: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        step = state["step"]
        factor = per_dtype(lambda dtype: like(-rate(real_step(step, dtype)), dtype))
        return tree.map(lambda g: ops.multiply(g, factor(g)), grads), {"step": count(step)}

    return in_float32(start, advance)


@recipe
def trace(momentum: float, *, dampening: float = 0.0, nesterov: bool = False) -> Optimizer:
    """Momentum: a running sum of gradients that forgets at a fixed rate.

    ``b = momentum b + (1 - dampening) g`` and ``b = g`` at the first step, as in torch.optim.SGD;
    Nesterov's variant returns ``g + momentum b``, which looks one step ahead (Sutskever et al. 2013, On the
    importance of initialization and momentum in deep learning, section 2).

    Args:
        momentum: what remains of the sum at each step, in [0, 1).
        dampening: the part of each later gradient that is left out, in [0, 1).
        nesterov: whether to look ahead; needs momentum > 0 and dampening 0.

    Returns:
        A transform whose state holds the sums.

    Example:
        >>> import numpy as np
        >>> transform = trace(0.5)
        >>> params = np.asarray([0.0])
        >>> updates, state = transform.update(np.asarray([1.0]), transform.init(params), params)
        >>> transform.update(np.asarray([1.0]), state, params)[0].tolist()
        [1.5]
    """
    check_flag("trace", "nesterov", nesterov)
    momentum = fraction("momentum", momentum)
    dampening = fraction("dampening", dampening, "0.0 switches it off")
    if nesterov and not (momentum > 0.0 and dampening == 0.0):
        raise ValueError(
            f"nesterov=True needs momentum > 0 and dampening = 0, got {momentum} and {dampening}; "
            "set momentum=0.9, dampening=0.0"
        )

    def start(params: Tree) -> Tree:
        return {"sum": zeros(params), **({"step": start_count(params)} if dampening else {})}

    def advance(grads: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        new, fed = {}, grads
        if dampening:
            step = state["step"]
            share = per_dtype(lambda dtype: _first_or(real_step(step, dtype), 1.0 - dampening, dtype))
            fed = tree.map(lambda g: ops.multiply(g, share(g)), grads)
            new["step"] = count(step)
        total = tree.map(lambda b, g: ops.add(b * momentum, g), state["sum"], fed)
        ahead = tree.map(lambda b, g: ops.add(g, b * momentum), total, grads) if nesterov else total
        return ahead, {"sum": total, **new}

    return in_float32(start, advance)


def _first_or(t: Array, value: float, dtype: object) -> Array | float:
    """One at step zero, `value` later."""
    return like(ops.where(ops.equal(t, 0.0), t + 1.0, value), dtype)


@recipe
def add_decayed_weights(weight_decay: float) -> Optimizer:
    """Add a multiple of the parameters to the gradients.

    In front of a method this is the gradient of the penalty ``weight_decay / 2 * sum(p**2)`` (L2); behind it,
    before the learning rate, it is the decoupled weight decay of Loshchilov and Hutter 2019, Decoupled
    weight decay regularization, algorithm 2.

    Args:
        weight_decay: the multiple, >= 0.

    Returns:
        A transform without state.

    Example:
        >>> import numpy as np
        >>> transform = add_decayed_weights(0.5)
        >>> params = np.asarray([2.0])
        >>> transform.update(np.asarray([1.0]), transform.init(params), params)[0].tolist()
        [2.0]
    """
    decay = not_negative("weight_decay", weight_decay)

    def advance(grads: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        return tree.map(lambda g, p: ops.add(g, p * decay), grads, params), state

    return in_float32(lambda params: (), advance)


def assemble(
    learning_rate: float | Schedule, *method: Optimizer, penalty: float = 0.0, decay: float = 0.0
) -> Optimizer:
    """A recipe: L2 penalty, method, decoupled decay, learning rate; what is zero is left out."""
    before = [add_decayed_weights(penalty)] if not_negative("weight_decay", penalty) else []
    after = [add_decayed_weights(decay)] if not_negative("weight_decay", decay) else []
    return chain(*before, *method, *after, scale_by_learning_rate(learning_rate))
