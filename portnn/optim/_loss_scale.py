"""Scaling of the loss, so that gradients of half precision neither vanish nor overflow."""

from __future__ import annotations

from functools import reduce
from math import frexp

from portnn import ops, tree
from portnn._typing import Array, Tree
from portnn.ops._half import widened
from portnn.optim._checks import check_wrapped, positive, whole
from portnn.optim._named import choose, find
from portnn.optim._optimizer import Optimizer, recipe, round_like
from portnn.optim._steps import count, like, per_dtype, start_count, start_product, zeros

__all__ = ["dynamic_loss_scale", "loss_scale"]

_SCALE = "loss scale"
_LARGEST = 2.0**24


@recipe
def dynamic_loss_scale(optimizer: Optimizer, *, initial: float = 2.0**15, interval: int = 2000) -> Optimizer:
    """An optimiser for gradients of a loss that was multiplied by `loss_scale`, for float16.

    The smallest gradients vanish in float16, which ends at 6e-8. Scaling the loss scales them all; before
    the step they are scaled back in the parameters' dtype, in float32 at least. If one is not
    finite the scale was too large: the step is left out and the scale halved. After `interval` good steps
    in a row it is doubled (Micikevicius et al. 2018, Mixed precision training, section 3.2). Nothing
    is read from the device; NumPy itself warns of what overflows. bfloat16 has the range of float32 and
    needs none of this.

    `Network.fit` multiplies the loss by itself; in a loop of your own, differentiate
    ``ops.multiply(loss, optim.loss_scale(state))``.

    Args:
        optimizer: what takes the steps; such as `clip_by_global_norm` belong inside.
        initial: the scale to begin with, a power of two, so that scaling rounds nothing.
        interval: the number of good steps after which the scale is doubled, at least 1.

    Returns:
        The optimiser.

    Raises:
        TypeError: if an argument is of the wrong type.
        ValueError: if `initial` is no power of two from 1 to 2**24, or `interval` below 1.

    Example:
        >>> import numpy as np
        >>> from portnn import optim
        >>> optimizer, params = dynamic_loss_scale(optim.sgd(1.0), initial=8.0), np.asarray([1.0])
        >>> updates, state = optimizer.update(np.asarray([16.0]), optimizer.init(params), params)
        >>> updates.tolist()
        [-2.0]
        >>> updates, state = optimizer.update(np.asarray([np.inf]), state, params)
        >>> updates.tolist(), float(loss_scale(state))
        ([0.0], 4.0)
    """
    check_wrapped("dynamic_loss_scale", optimizer, Optimizer)
    initial = positive("initial", initial, "try 2.0**15")
    if frexp(initial)[0] != 0.5 or not 1.0 <= initial <= _LARGEST:
        raise ValueError(f"initial must be a power of two from 1 to 2**24, got {initial}; try 2.0**15")
    interval = whole("interval", interval, 1, "try 2000")

    def start(params: Tree) -> Tree:
        one = start_product(params)
        scale = None if one is None else ops.broadcast_to(one * initial, ())
        return {_SCALE: scale, "good": start_count(params), "inner": optimizer.start(params)}

    def advance(grads: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        scale, leaves = state[_SCALE], tree.leaves(grads)
        if not leaves:
            return grads, state
        finite = reduce(ops.logical_and, [ops.all(ops.isfinite(g)) for g in leaves])
        back = per_dtype(lambda dtype: like(ops.divide(1.0, scale), dtype))
        wide = tree.map(widened, grads)
        safe = choose(finite, tree.map(lambda g: ops.multiply(g, back(g)), wide), zeros(wide))
        updates, inner = optimizer.advance(safe, state["inner"], params)
        updates = round_like(updates, grads)
        good, scale = _next_scale(finite, count(state["good"]), scale, interval)
        following = {_SCALE: scale, "good": good, "inner": choose(finite, inner, state["inner"])}
        return choose(finite, updates, zeros(updates)), following

    return Optimizer(start, advance)


def _next_scale(finite: Array, good: Array, scale: Array, interval: int) -> tuple[Array, Array]:
    """The number of good steps in a row, and the scale of the next step."""
    grown = ops.equal(good, interval)
    larger = ops.where(grown, ops.minimum(scale * 2.0, _LARGEST), scale)
    smaller = ops.maximum(scale * 0.5, 1.0)
    good = ops.where(ops.logical_and(finite, ops.logical_not(grown)), good, ops.zeros_like(good))
    return good, ops.where(finite, larger, smaller)


def loss_scale(state: Tree) -> Array | None:
    """What the loss is to be multiplied by before it is differentiated.

    Args:
        state: the state of an optimiser that `dynamic_loss_scale` made, or of one that holds such a one.

    Returns:
        A 0-d array; None if the optimiser expects plain gradients.

    Example:
        >>> import numpy as np
        >>> from portnn import optim
        >>> float(loss_scale(optim.dynamic_loss_scale(optim.adam()).init(np.zeros(2))))
        32768.0
    """
    scale: Array | None = find(state, _SCALE)
    return scale
