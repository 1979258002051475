"""A learning rate that can be changed between steps, although they are planned or compiled."""

from __future__ import annotations

from portnn import ops, tree
from portnn._typing import Tree
from portnn.ops._half import widened
from portnn.optim._checks import check_wrapped, positive
from portnn.optim._named import find, replace
from portnn.optim._optimizer import Optimizer, recipe, round_like
from portnn.optim._steps import like, per_dtype, start_product

__all__ = ["adjustable", "scale_learning_rate"]

_FACTOR = "learning rate factor"


@recipe
def adjustable(optimizer: Optimizer) -> Optimizer:
    """An optimiser whose learning rate can be scaled while it is used, by `scale_learning_rate`.

    The updates are multiplied by a factor that is part of the state, an array that starts at one: what
    `jit` or `Network.fit` have planned serves every value. All updates of the recipes are multiples of their
    learning rate, so this factor is one of the rate, be it a number or a schedule.

    Args:
        optimizer: any optimiser.

    Returns:
        An optimiser with the same updates until its state is changed.

    Raises:
        TypeError: if it is given no optimiser.

    Example:
        >>> import numpy as np
        >>> from portnn import optim
        >>> optimizer, params = adjustable(optim.sgd(1.0)), np.asarray([1.0])
        >>> state = scale_learning_rate(optimizer.init(params), 0.25)
        >>> optimizer.update(np.asarray([4.0]), state, params)[0].tolist()
        [-1.0]
    """
    check_wrapped("adjustable", optimizer, Optimizer)

    def start(params: Tree) -> Tree:
        return {_FACTOR: start_product(params), "inner": optimizer.start(params)}

    def advance(grads: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        updates, inner = optimizer.advance(grads, state["inner"], params)
        factor = per_dtype(lambda dtype: like(state[_FACTOR], dtype))
        updates = tree.map(lambda u: ops.multiply(u, factor(u)), tree.map(widened, updates))
        return round_like(updates, grads), {_FACTOR: state[_FACTOR], "inner": inner}

    return Optimizer(start, advance)


def scale_learning_rate(state: Tree, factor: float) -> Tree:
    """Multiply the learning rate of an optimiser that is `adjustable`, from the next step on.

    Args:
        state: its state.
        factor: what to multiply by, > 0.

    Returns:
        The new state; the old one is not changed.

    Raises:
        ValueError: if the state is of an optimiser that is not adjustable, or the factor is not positive.

    Example:
        >>> import numpy as np
        >>> from portnn import optim
        >>> optimizer, params = optim.adjustable(optim.adam(0.1)), np.asarray([1.0])
        >>> state = scale_learning_rate(optimizer.init(params), 0.5)
        >>> updates, state = optimizer.update(np.asarray([4.0]), state, params)
        >>> round(float(updates[0]), 4)
        -0.05
    """
    factor = positive("factor", factor, "0.1 makes the learning rate a tenth")
    before = find(state, _FACTOR)
    if before is None:
        raise ValueError(
            "scale_learning_rate: the learning rate of this optimiser is fixed; wrap it: "
            "optim.adjustable(optim.adam(0.001))"
        )
    # Broadcast: NumPy makes a scalar of a product without axes.
    return replace(state, _FACTOR, ops.broadcast_to(ops.multiply(before, factor), ()))
