"""The affine map of a linear layer as one unit: three products, and no step more than they need."""

from __future__ import annotations

from array_api_compat import device

from portnn._typing import Array
from portnn.ops._broadcasting import match, reshape
from portnn.ops._helpers import plain
from portnn.ops._linear_algebra import dot, matmul
from portnn.ops._options import refuse_complex
from portnn.tracing import namespace, primitive

__all__ = ["linear"]


def _rows(x: Array) -> Array:
    """All axes but the last as one."""
    return x if len(x.shape) == 2 else reshape(x, (-1, x.shape[-1]))


@primitive
def _linear(x: Array, weight: Array, bias: Array, /) -> Array:
    return dot(namespace(x, weight, bias), x, weight) + bias


def _product(a: Array, b: Array) -> Array:
    """``a @ b``; between arrays of one type the operator will do, and costs less than the function."""
    return a @ b if type(a) is type(b) and a.dtype == b.dtype else matmul(a, b)


def over_batch(g: Array) -> Array:
    """The sum over the batch as a product with ones, 1ᵀ g: BLAS takes half the time of a sum over the first
    axis for 64 rows of ten, a ninth for 60,000, and rounds less.
    """
    like = plain(g)
    xp = namespace(like)
    return matmul(xp.ones((g.shape[0],), dtype=like.dtype, device=device(like)), g)


# y = x W + b:  the gradients are g Wᵀ,  xᵀ g  and the sum of g over the batch.
_linear.vjp(
    lambda g, y, x, w, b: match(_product(g, w.mT), x),
    lambda g, y, x, w, b: match(_product(_rows(x).mT, _rows(g)), w),
    lambda g, y, x, w, b: match(over_batch(_rows(g)), b),
)


def linear(x: Array, weight: Array, bias: Array | None = None, /) -> Array:
    """The affine map ``x @ weight + bias``.

    Args:
        x: floating-point array of shape (..., in_features).
        weight: array of shape (in_features, out_features).
        bias: array of shape (out_features,), or None.

    Returns:
        An array of shape (..., out_features).

    Raises:
        ValueError: if the shapes do not fit together.

    Example:
        >>> import numpy as np
        >>> linear(np.asarray([[1.0, 2.0]]), np.asarray([[1.0], [10.0]]), np.asarray([0.5])).tolist()
        [[21.5]]
    """
    shape = weight.shape
    if (
        len(shape) != 2
        or not x.shape
        or x.shape[-1] != shape[0]
        or (bias is not None and bias.shape != shape[1:])
    ):
        raise ValueError(
            f"linear: shapes do not fit: x {tuple(x.shape)}, weight {tuple(shape)}"
            f"{'' if bias is None else f', bias {tuple(bias.shape)}'}; expected (..., in), (in, out), (out,)"
        )
    refuse_complex("linear", x=x, weight=weight, bias=bias)
    return matmul(x, weight) if bias is None else _linear(x, weight, bias)
