"""A running mean of the parameters, which often serves better than the last of them."""

from __future__ import annotations

from portnn import ops, tree
from portnn._typing import Array, Tree
from portnn.ops._half import widened
from portnn.optim._checks import check_wrapped, fraction
from portnn.optim._named import find
from portnn.optim._optimizer import Optimizer, has_half, recipe, round_like
from portnn.optim._steps import count, like, one_minus_power, per_dtype, real_step, start_count

__all__ = ["ema", "ema_params"]

_AVERAGE = "parameter average"


@recipe
def ema(optimizer: Optimizer, decay: float = 0.999) -> Optimizer:
    """An optimiser that keeps an exponential moving average of the parameters beside its own state.

    After step t the average is ``sum(decay**(t - i) p_i) / sum(decay**(t - i))`` over the parameters ``p_i``
    after each step so far: the average of Polyak and Juditsky 1992 (Acceleration of stochastic
    approximation by averaging) with a memory of about ``1 / (1 - decay)`` steps, without the bias
    towards the initial parameters that a plain recursion has (Kingma and Ba 2015, Adam, section 7.2).
    Training itself is the same.

    `Network.fit` shows the average: after each epoch it stands in ``network.params``, so that it is what is
    evaluated, watched by callbacks, and saved. In a loop of your own `ema_params` reads it.

    Args:
        optimizer: what makes the updates, a whole recipe.
        decay: what remains of the average at each step, in [0, 1).

    Returns:
        The optimiser.

    Raises:
        TypeError: if `optimizer` is none.
        ValueError: if `decay` is out of its range.

    Example:
        >>> import numpy as np
        >>> from portnn import optim
        >>> optimizer, params = ema(optim.sgd(1.0), 0.5), np.asarray([0.0])
        >>> state = optimizer.init(params)
        >>> for _ in range(2):
        ...     updates, state = optimizer.update(np.asarray([-3.0]), state, params)
        ...     params = optim.apply_updates(params, updates)
        >>> params.tolist(), [round(x, 4) for x in optim.ema_params(state).tolist()]
        ([6.0], [5.0])
    """
    check_wrapped("ema", optimizer, Optimizer)
    decay = fraction("decay", decay, "try 0.999")

    def start(params: Tree) -> Tree:
        copy = tree.map(lambda p: ops.asarray(p, like=p, copy=True), params)
        wide = {"wide": tree.map(widened, copy)} if has_half(params) else {}
        return {_AVERAGE: copy, **wide, "step": start_count(params), "inner": optimizer.start(params)}

    def advance(grads: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        updates, inner = optimizer.advance(grads, state["inner"], params)
        step = count(state["step"])
        share = per_dtype(
            lambda dtype: like(ops.divide(1.0 - decay, one_minus_power(decay, real_step(step, dtype))), dtype)
        )

        def follow(mean: Array, p: Array, u: Array) -> Array:
            after = widened(ops.add(p, ops.astype(u, p.dtype, copy=False)))
            return ops.add(mean, ops.multiply(ops.subtract(after, mean), share(after)))

        # In a half precision, adding a thousandth of a difference would not change the average.
        average = tree.map(follow, state.get("wide", state[_AVERAGE]), params, updates)
        wide = {"wide": average} if "wide" in state else {}
        return updates, {_AVERAGE: round_like(average, params), **wide, "step": step, "inner": inner}

    return Optimizer(start, advance)


def ema_params(state: Tree) -> Tree | None:
    """The averaged parameters in the state of an optimiser.

    Args:
        state: the state of an optimiser that `ema` made, or of one that holds such a one.

    Returns:
        A tree like the parameters; None if the optimiser keeps no average.

    Example:
        >>> import numpy as np
        >>> from portnn import optim
        >>> params = {"w": np.asarray([1.0, 2.0])}
        >>> ema_params(optim.ema(optim.adam(0.1)).init(params))["w"].tolist()
        [1.0, 2.0]
        >>> ema_params(optim.adam(0.1).init(params)) is None
        True
    """
    return find(state, _AVERAGE)
