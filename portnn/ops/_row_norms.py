"""Layer, group and RMS norm: every sample by itself to mean 0 and variance 1, or to mean square 1.

Rows of a matrix are normalised; the rest is shapes. The mean is taken twice, of the input and of what is left
without it: the first one's rounding errors, which for a mean of 10⁴ times the deviation are as large as the
result, are gone then. The variance is that of the differences (Chan, Golub and LeVeque, Algorithms for
computing the sample variance, The American Statistician 37, 1983). Sums over rows are products with ones,
which BLAS carries out in a fraction of the time of a sum.
"""

from __future__ import annotations

from math import prod

from portnn._typing import Array
from portnn.ops._arithmetic import add, divide, multiply, subtract
from portnn.ops._broadcasting import reshape
from portnn.ops._exponential import sqrt, square
from portnn.ops._half import in_float32
from portnn.ops._helpers import ones_at
from portnn.ops._linear_algebra import matmul
from portnn.ops._options import check_positive, check_whole, refuse_complex
from portnn.tracing import check_floating, primitive

__all__ = ["group_norm", "layer_norm", "rms_norm"]


def _means(x: Array) -> Array:
    """The mean of each row, (rows, 1); divided before it is summed, which cannot overflow."""
    n = x.shape[1]
    return matmul(x, multiply(ones_at(x, (n, 1)), 1.0 / n))


def _factors(mean_square: Array, eps: float) -> Array:
    return divide(1.0, sqrt(add(mean_square, eps)))


def _centred(x: Array) -> Array:
    """The rows without their means."""
    x = subtract(x, _means(x))
    return subtract(x, _means(x))


@primitive
def _standardize(x: Array, /, *, eps: float) -> Array:
    return _standardize_and_factors(x, eps=eps)[0]


@_standardize.saves
def _standardize_and_factors(x: Array, /, *, eps: float) -> tuple[Array, Array]:
    """The rows with mean 0 and variance 1, and the factors that made them so."""
    x = _centred(x)
    s = _factors(_means(square(x)), eps)
    return multiply(x, s), s


def _standardize_rule(g: Array, y: Array, x: Array, *, eps: float, saved: Array | None = None) -> Array:
    """s (g - mean(g) - y mean(g y))  with  s = 1 / sqrt(variance + eps); Ba, Kiros and Hinton, Layer
    normalization (2016), differentiated as Ioffe and Szegedy do in Batch normalization (2015), section 3.
    """
    s = _factors(_means(square(_centred(x))), eps) if saved is None else saved
    rest = add(_means(g), multiply(y, _means(multiply(g, y))))
    return multiply(s, subtract(g, rest))


_standardize.vjp(_standardize_rule)


@primitive
def _rescale(x: Array, /, *, eps: float) -> Array:
    return _rescale_and_factors(x, eps=eps)[0]


@_rescale.saves
def _rescale_and_factors(x: Array, /, *, eps: float) -> tuple[Array, Array]:
    """The rows with mean square 1, and the factors that made them so."""
    s = _factors(_means(square(x)), eps)
    return multiply(x, s), s


def _rescale_rule(g: Array, y: Array, x: Array, *, eps: float, saved: Array | None = None) -> Array:
    """s (g - y mean(g y))  with  s = 1 / sqrt(mean(x²) + eps)."""
    s = _factors(_means(square(x)), eps) if saved is None else saved
    return multiply(s, subtract(g, multiply(y, _means(multiply(g, y)))))


_rescale.vjp(_rescale_rule)


def _trailing(name: str, x: Array, weight: Array | None, shape: tuple[int, ...] | None) -> tuple[int, ...]:
    """The shape of the last axes that are normalised, which the input has.

    Raises:
        TypeError: if the input is not floating-point.
        ValueError: if it has another shape, or the weight has.
    """
    check_floating(name, x)
    found = tuple(x.shape)
    if shape is None:
        shape = found[-1:] if weight is None else tuple(weight.shape)
    if not isinstance(shape, tuple | list):
        raise TypeError(f"{name}: shape must be a tuple of lengths, got {type(shape).__name__}")
    shape = tuple(shape)
    if not shape or 0 in shape or found[-len(shape) :] != shape:
        raise ValueError(
            f"{name}: expected an input of shape (..., {str(shape)[1:-1].rstrip(',')}), got {found}"
        )
    if weight is not None and tuple(weight.shape) != shape:
        raise ValueError(f"{name}: expected a weight of shape {shape}, got {tuple(weight.shape)}")
    return shape


def _epsilon(x: Array) -> float:
    """Return the machine epsilon of the dtype that PyTorch computes in: float32 for 16-bit numbers."""
    return 2.0**-52 if str(x.dtype).endswith("float64") else 2.0**-23


def _rows(x: Array, width: int) -> Array:
    return reshape(x, (prod(x.shape) // width, width))


def _affine(x: Array, weight: Array | None, bias: Array | None) -> Array:
    x = x if weight is None else multiply(x, weight)
    return x if bias is None else add(x, bias)


@in_float32
def layer_norm(
    x: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    /,
    *,
    shape: tuple[int, ...] | None = None,
    eps: float = 1e-5,
) -> Array:
    """Layer norm: ``(x - mean) / sqrt(variance + eps) * weight + bias`` over the last axes.

    Ba, Kiros and Hinton, Layer normalization (2016). The squares of the differences must be finite.

    Args:
        x: real floating-point array of shape (..., *shape).
        weight: array of shape `shape`, or None.
        bias: the same.
        shape: the lengths of the axes to normalise over; by default those of the weight, else the last one.
        eps: added to the variance, > 0.

    Returns:
        An array of the shape of `x`.

    Raises:
        TypeError: if `x` is not floating-point, or an option is of another type.
        ValueError: if the shapes do not fit together, or `eps` is not positive.

    Example:
        >>> import numpy as np
        >>> layer_norm(np.asarray([[1.0, 3.0], [1e6, 1e6 + 4.0]])).round(4).tolist()
        [[-1.0, 1.0], [-1.0, 1.0]]
    """
    eps = check_positive("layer_norm", "eps", eps)
    refuse_complex("layer_norm", weight=weight, bias=bias)
    shape = _trailing("layer_norm", x, weight, shape)
    y = _standardize(_rows(x, prod(shape)), eps=eps)
    return _affine(reshape(y, tuple(x.shape)), weight, bias)


@in_float32
def rms_norm(
    x: Array,
    weight: Array | None = None,
    /,
    *,
    shape: tuple[int, ...] | None = None,
    eps: float | None = None,
) -> Array:
    """RMS norm: ``x / sqrt(mean(x**2) + eps) * weight`` over the last axes.

    Zhang and Sennrich, Root mean square layer normalization (2019). The squares must be finite.

    Args:
        x: real floating-point array of shape (..., *shape).
        weight: array of shape `shape`, or None.
        shape: the lengths of the axes to normalise over; by default those of the weight, else the last one.
        eps: added to the mean square, > 0; None, as in PyTorch, for the machine epsilon of the dtype of `x`
            (of float32 for 16-bit numbers).

    Returns:
        An array of the shape of `x`.

    Raises:
        TypeError: if `x` is not floating-point, or an option is of another type.
        ValueError: if the shapes do not fit together, or `eps` is not positive.

    Example:
        >>> import numpy as np
        >>> rms_norm(np.asarray([1.0, 7.0])).round(4).tolist()
        [0.2, 1.4]
    """
    refuse_complex("rms_norm", weight=weight)
    shape = _trailing("rms_norm", x, weight, shape)
    eps = _epsilon(x) if eps is None else check_positive("rms_norm", "eps", eps)
    y = _rescale(_rows(x, prod(shape)), eps=eps)
    return _affine(reshape(y, tuple(x.shape)), weight, None)


@in_float32
def group_norm(
    x: Array, weight: Array | None = None, bias: Array | None = None, /, *, groups: int, eps: float = 1e-5
) -> Array:
    """Group norm: each sample's channels normalised group by group, over all positions.

    Wu and He, Group normalization (2018). With a group a channel it is instance norm (Ulyanov, Vedaldi and
    Lempitsky, Instance normalization, 2016).

    Args:
        x: real floating-point array of shape (n, channels, ...).
        weight: array of shape (channels,), or None.
        bias: the same.
        groups: the number of groups, a divisor of the number of channels.
        eps: added to the variance, > 0.

    Returns:
        An array of the shape of `x`.

    Raises:
        TypeError: if `x` is not floating-point, or an option is of another type.
        ValueError: if the shapes do not fit together, or `eps` is not positive.

    Example:
        >>> import numpy as np
        >>> group_norm(np.asarray([[1.0, 3.0, 0.0, 8.0]]), groups=2).round(4).tolist()
        [[-1.0, 1.0, -1.0, 1.0]]
    """
    check_floating("group_norm", x)
    refuse_complex("group_norm", weight=weight, bias=bias)
    eps, groups = check_positive("group_norm", "eps", eps), check_whole("group_norm", "groups", groups, 1)
    shape = tuple(x.shape)
    channels = shape[1] if len(shape) > 1 else 0
    if channels == 0 or channels % groups or 0 in shape[2:]:
        raise ValueError(
            f"group_norm: expected an input of shape (n, channels, ...), channels a multiple of "
            f"groups={groups}, got {shape}"
        )
    for name, a in (("weight", weight), ("bias", bias)):
        if a is not None and tuple(a.shape) != (channels,):
            raise ValueError(f"group_norm: expected a {name} of shape ({channels},), got {tuple(a.shape)}")
    y = reshape(_standardize(_rows(x, prod(shape[1:]) // groups), eps=eps), shape)
    along = (channels, *[1] * (len(shape) - 2))
    return _affine(y, *[None if a is None else reshape(a, along) for a in (weight, bias)])
