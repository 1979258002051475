"""Adam and its relatives: running means of the gradients over running means of their sizes.

All of them correct the bias of means that start at zero, with ``1 - beta**t`` computed as
``-expm1(t log beta)``, and scale down a gradient whose squares would overflow (`tame` in `_steps.py`).
"""

from __future__ import annotations

from portnn import ops, tree
from portnn._typing import Array, DType, Tree
from portnn.ops._options import check_flag
from portnn.optim._adaptive import average, average_squares
from portnn.optim._checks import fractions, positive
from portnn.optim._optimizer import Optimizer, in_float32, recipe
from portnn.optim._steps import count, like, one_minus_power, per_dtype, real_step, start_count, tame, zeros

__all__ = ["scale_by_adam", "scale_by_adamax", "scale_by_lion"]


@recipe
def scale_by_adam(
    betas: tuple[float, float] = (0.9, 0.999),
    *,
    eps: float = 1e-8,
    amsgrad: bool = False,
    eps_first: bool = False,
) -> Optimizer:
    """Adam without its learning rate.

    ``m = b1 m + (1 - b1) g``, ``v = b2 v + (1 - b2) g**2``, update ``m' / (sqrt(v') + eps)`` with ``m' = m
    / (1 - b1**t)`` and ``v' = v / (1 - b2**t)`` (Kingma and Ba 2015, Adam: a method for stochastic
    optimization, algorithm 1). AMSGrad puts the largest `v` so far in the place of `v` (Reddi, Kale and
    Kumar 2018, On the convergence of Adam and beyond, algorithm 2, with the bias correction that
    torch.optim keeps). With `eps_first` it is added to ``sqrt(v)`` before the correction: the more efficient
    order at the end of section 2 of Kingma and Ba, which scikit-learn follows.

    Args:
        betas: what remains of the two running means at each step, each in [0, 1).
        eps: added to the root, > 0.
        amsgrad: whether to keep the largest second moment.
        eps_first: whether `eps` is added before the bias is corrected.

    Returns:
        A transform whose state holds the step and the running means.

    Example:
        >>> import numpy as np
        >>> transform = scale_by_adam()
        >>> params = np.asarray([0.0, 0.0])
        >>> updates, _ = transform.update(np.asarray([3.0, -0.01]), transform.init(params), params)
        >>> [round(x, 4) for x in updates.tolist()]
        [1.0, -1.0]
    """
    check_flag("scale_by_adam", "amsgrad", amsgrad)
    check_flag("scale_by_adam", "eps_first", eps_first)
    b1, b2 = fractions("betas", betas)
    eps = positive("eps", eps, "try 1e-8")

    def start(params: Tree) -> Tree:
        state = {"step": start_count(params), "mean": zeros(params), "square": zeros(params)}
        return {**state, "largest": zeros(params)} if amsgrad else state

    def advance(grads: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        step = count(state["step"])
        grads = tree.map(tame, grads)
        new = {
            "step": step,
            "mean": average(b1, state["mean"], grads),
            "square": average_squares(b2, state["square"], grads),
        }
        square = new["square"]
        if amsgrad:
            square = new["largest"] = tree.map(ops.maximum, state["largest"], square)
        coefficients = per_dtype(lambda dtype: _adam_coefficients(b1, b2, eps, real_step(step, dtype), dtype))
        early = eps if eps_first else None

        def ratio(m: Array, v: Array) -> Array:
            factor, shift = coefficients(m)
            return ops.multiply(ops.divide(m, ops.add(ops.sqrt(v), early or shift)), factor)

        return tree.map(ratio, new["mean"], square), new

    return in_float32(start, advance)


def _adam_coefficients(b1: float, b2: float, eps: float, t: Array, dtype: DType) -> tuple[Array, Array]:
    """Both corrections on 0-d numbers: ``m' / (sqrt(v') + eps) = m / (sqrt(v) + eps c) * c / (1 - b1**t)``,
    where ``c = sqrt(1 - b2**t)``.
    """
    c = ops.sqrt(one_minus_power(b2, t))
    return like(ops.divide(c, one_minus_power(b1, t)), dtype), like(c * eps, dtype)


@recipe
def scale_by_adamax(betas: tuple[float, float] = (0.9, 0.999), *, eps: float = 1e-8) -> Optimizer:
    """Adam with the largest gradient, exponentially forgotten, in the place of the root mean square.

    ``u = max(b2 u, |g| + eps)``, update ``m / ((1 - b1**t) u)`` (Kingma and Ba 2015, algorithm 2; `eps`,
    which torch.optim adds there, keeps a zero gradient from being divided by zero).

    Args:
        betas: what remains of the running mean and of the largest gradient at each step, each in [0, 1).
        eps: added to the size of the gradient, > 0.

    Returns:
        A transform whose state holds the step, the running means and the largest gradients.

    Example:
        >>> import numpy as np
        >>> transform = scale_by_adamax()
        >>> params = np.asarray([0.0, 0.0])
        >>> updates, _ = transform.update(np.asarray([3.0, -0.01]), transform.init(params), params)
        >>> [round(x, 4) for x in updates.tolist()]
        [1.0, -1.0]
    """
    b1, b2 = fractions("betas", betas)
    eps = positive("eps", eps, "try 1e-8")

    def start(params: Tree) -> Tree:
        return {"step": start_count(params), "mean": zeros(params), "largest": zeros(params)}

    def advance(grads: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        step = count(state["step"])
        mean = average(b1, state["mean"], grads)
        largest = tree.map(lambda u, g: ops.maximum(u * b2, ops.abs(g) + eps), state["largest"], grads)
        correction = per_dtype(lambda dtype: like(one_minus_power(b1, real_step(step, dtype)), dtype))
        updates = tree.map(lambda m, u: ops.divide(ops.divide(m, u), correction(m)), mean, largest)
        return updates, {"step": step, "mean": mean, "largest": largest}

    return in_float32(start, advance)


@recipe
def scale_by_lion(betas: tuple[float, float] = (0.9, 0.99)) -> Optimizer:
    """The sign of an average of the gradient and its running mean.

    Update ``sign(b1 m + (1 - b1) g)``, then ``m = b2 m + (1 - b2) g`` (Chen et al. 2023, Symbolic discovery
    of optimization algorithms, algorithm 2).

    Args:
        betas: the weight of the mean in the update, and what remains of the mean at each step, in [0, 1).

    Returns:
        A transform whose state holds the running means.

    Example:
        >>> import numpy as np
        >>> transform = scale_by_lion()
        >>> params = np.zeros(3)
        >>> transform.update(np.asarray([3.0, 0.0, -0.01]), transform.init(params), params)[0].tolist()
        [1.0, 0.0, -1.0]
    """
    b1, b2 = fractions("betas", betas)

    def advance(grads: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        updates = tree.map(ops.sign, average(b1, state["mean"], grads))
        return updates, {"mean": average(b2, state["mean"], grads)}

    return in_float32(lambda params: {"mean": zeros(params)}, advance)
