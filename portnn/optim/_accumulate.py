"""Gradients of several batches for one step."""

from __future__ import annotations

from portnn import ops, tree
from portnn._typing import Tree
from portnn.ops._half import widened
from portnn.optim._checks import check_wrapped, whole
from portnn.optim._named import choose
from portnn.optim._optimizer import Optimizer, recipe, round_like
from portnn.optim._steps import count, start_count, zeros

__all__ = ["accumulate"]


@recipe
def accumulate(optimizer: Optimizer, steps: int) -> Optimizer:
    """An optimiser that takes a step on the mean of so many gradients, and none in between.

    With a loss that is a mean over samples, batches of one size give the step of the batch that they make
    up together, in less memory. In between the updates are zero, and the state of `optimizer`, its schedule
    included, stays as it is. There is no branch on a value: the step is worked out each time and taken
    when it is due. `Network.fit(accumulate=...)` instead works each batch through in parts, which also
    holds for weights and for a smaller last batch.

    Args:
        optimizer: what takes the steps.
        steps: how many gradients, at least 1.

    Returns:
        The optimiser.

    Raises:
        TypeError: if `optimizer` is none, or `steps` no int.
        ValueError: if `steps` is below 1.

    Example:
        >>> import numpy as np
        >>> from portnn import optim
        >>> optimizer, params = accumulate(optim.sgd(1.0), 2), np.asarray([1.0])
        >>> state, taken = optimizer.init(params), []
        >>> for gradient in (2.0, 4.0, 6.0):
        ...     updates, state = optimizer.update(np.asarray([gradient]), state, params)
        ...     taken += updates.tolist()
        >>> taken
        [0.0, -3.0, 0.0]
    """
    check_wrapped("accumulate", optimizer, Optimizer)
    every = whole("steps", steps, 1, "try 4")

    def start(params: Tree) -> Tree:
        total = zeros(tree.map(widened, params))
        return {"sum": total, "step": start_count(params), "inner": optimizer.start(params)}

    def advance(grads: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        step = count(state["step"])
        if step is None:  # no parameters
            return grads, state
        total = tree.map(lambda s, g: ops.add(s, widened(g)), state["sum"], grads)
        due = ops.equal(step, every)
        mean = tree.map(lambda g: ops.divide(g, float(every)), total)
        updates, inner = optimizer.advance(mean, state["inner"], params)
        updates = round_like(updates, grads)
        return choose(due, updates, zeros(updates)), {
            "sum": choose(due, zeros(total), total),
            "step": choose(due, ops.zeros_like(step), step),
            "inner": choose(due, inner, state["inner"]),
        }

    return Optimizer(start, advance)
