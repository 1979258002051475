"""Gradient clipping, by value and by the norm of all gradients together."""

from __future__ import annotations

from functools import reduce
from math import prod
from typing import Any

from portnn import ops, tree
from portnn._typing import Array, Tree
from portnn.ops._half import widened
from portnn.optim._checks import positive
from portnn.optim._optimizer import Optimizer, in_float32, recipe
from portnn.optim._steps import like, per_dtype

__all__ = ["NonFiniteGradientError", "clip_by_global_norm", "clip_by_value", "global_norm"]


class NonFiniteGradientError(ValueError):
    """A gradient holds an infinity or NaN, so that no multiple of it is a useful step.

    Attributes:
        path: where in the tree the first such leaf stands.

    Example:
        >>> NonFiniteGradientError("0.weight").path
        '0.weight'
    """

    def __init__(self, path: str) -> None:
        super().__init__(
            f"grads{f'[{path}]' if path else ''}: expected finite numbers, got an infinity or NaN; "
            "lower the learning rate, or look for log(0), sqrt(0) or a division by zero in the loss"
        )
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path,)


@recipe
def clip_by_value(limit: float) -> Optimizer:
    """Bring every element of the gradients into ``[-limit, limit]``.

    Args:
        limit: the bound, > 0. An infinite element becomes the bound, NaN stays NaN.

    Returns:
        A transform without state.

    Example:
        >>> import numpy as np
        >>> transform = clip_by_value(1.0)
        >>> params = np.zeros(3)
        >>> transform.update(np.asarray([-5.0, 0.5, 2.0]), transform.init(params), params)[0].tolist()
        [-1.0, 0.5, 1.0]
    """
    limit = positive("limit", limit, "try 1.0")

    def advance(grads: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        return tree.map(lambda g: ops.clip(g, -limit, limit), grads), state

    return in_float32(lambda params: (), advance)


def _filled(grads: Tree) -> list[Array]:
    """The leaves that have elements."""
    return [g for g in tree.leaves(grads) if prod(g.shape)]


def _peak(leaves: list[Array]) -> Array:
    """The largest absolute value of all; infinite or NaN if an element is."""
    return reduce(ops.maximum, [ops.max(ops.abs(g)) for g in leaves])


def _norm_over(leaves: list[Array], unit: Array) -> Array:
    """The norm in units of `unit`, which is at least the largest element, so that no square overflows."""
    return ops.sqrt(reduce(ops.add, [ops.sum(ops.square(ops.divide(g, unit))) for g in leaves]))


def global_norm(grads: Tree) -> Array:
    """The Euclidean norm of all leaves together.

    It is computed in units of the largest element (as LAPACK's ``dlassq``), so it overflows only if the norm
    itself does.

    Args:
        grads: tree of real floating-point arrays with at least one element.

    Returns:
        0-d array; infinite or NaN if an element is.

    Raises:
        ValueError: if there is no element.

    Example:
        >>> import numpy as np
        >>> float(global_norm({"w": np.asarray([3.0]), "b": np.asarray(4.0)}))
        5.0
    """
    leaves = _filled(grads)
    if not leaves:
        raise ValueError("global_norm: expected a tree with at least one element, got none; add a leaf")
    dtype = ops.result_type(*leaves)
    leaves = [widened(g) for g in leaves]
    peak = _peak(leaves)
    usable = ops.logical_and(ops.isfinite(peak), ops.greater(peak, 0.0))
    norm = ops.where(usable, ops.multiply(peak, _norm_over(leaves, ops.where(usable, peak, 1.0))), peak)
    return like(norm, dtype)


@recipe
def clip_by_global_norm(max_norm: float) -> Optimizer:
    """Scale all gradients by one factor so that their norm is at most `max_norm`.

    Pascanu, Mikolov and Bengio 2013, On the difficulty of training recurrent neural networks, algorithm 1.
    Gradients within the bound come back bit for bit.

    Args:
        max_norm: the bound on the Euclidean norm of all leaves together, > 0.

    Returns:
        A transform without state. Its update raises `NonFiniteGradientError` if an element is infinite or
        NaN. To know, it reads one number from the device. A compiler such as ``jax.jit`` cannot read numbers:
        there the updates become NaN instead, and show in the loss.

    Example:
        >>> import numpy as np
        >>> transform = clip_by_global_norm(1.0)
        >>> params = np.zeros(2)
        >>> updates, _ = transform.update(np.asarray([3.0, 4.0]), transform.init(params), params)
        >>> [round(x, 4) for x in updates.tolist()]
        [0.6, 0.8]
    """
    limit = positive("max_norm", max_norm, "try 1.0")

    def advance(grads: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        leaves = _filled(grads)
        if not leaves:
            return grads, state
        peak = _peak(leaves)
        _refuse_non_finite(peak, grads)
        # In units of the peak, but never of less than the bound: limit / unit then cannot overflow, and the
        # factor of gradients within the bound is a number divided by itself.
        unit = ops.maximum(peak, limit)
        room = ops.divide(limit, unit)
        factor = ops.divide(room, ops.maximum(_norm_over(leaves, unit), room))
        of = per_dtype(lambda dtype: like(factor, dtype))
        return tree.map(lambda g: ops.multiply(g, of(g)), grads), state

    return in_float32(lambda params: (), advance)


def _refuse_non_finite(peak: Array, grads: Tree) -> None:
    """Raise the named error if the peak is known and not finite."""
    try:
        finite = bool(ops.isfinite(peak))
    except TypeError:  # a tracer of another library: jax.jit refuses by this class
        return
    if not finite:
        raise NonFiniteGradientError(
            next(path for path, g in tree.items(grads) if not bool(ops.all(ops.isfinite(g))))
        )
