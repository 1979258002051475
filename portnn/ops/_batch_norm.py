"""Batch norm: every channel to mean 0 and variance 1 over the batch and all positions.

As in `_row_norms`, the mean is taken twice, and the variance is that of the differences. Sums are products
with ones, and sums of products are products of a row with a column, for each sample and channel: BLAS reads
each array once and writes none.
"""

from __future__ import annotations

from math import prod

from portnn._typing import Array
from portnn.ops._affine import over_batch
from portnn.ops._arithmetic import add, divide, maximum, multiply, subtract
from portnn.ops._broadcasting import match, reshape
from portnn.ops._exponential import sqrt
from portnn.ops._half import in_float32
from portnn.ops._helpers import ones_at, zeros_at
from portnn.ops._linear_algebra import matmul
from portnn.ops._options import check_positive, refuse_complex
from portnn.tracing import at_home, check_floating, primitive

__all__ = ["batch_norm"]


def _totals(x: Array) -> Array:
    """The sum over each channel, (channels,)."""
    if len(x.shape) == 2:
        return over_batch(x)
    n, c, size = x.shape[0], x.shape[1], prod(x.shape[2:])
    return over_batch(reshape(matmul(reshape(x, (n * c, size)), ones_at(x, (size, 1))), (n, c)))


def _products(a: Array, b: Array) -> Array:
    """The sum of ``a * b`` over each channel, (channels,)."""
    if len(a.shape) == 2:
        return over_batch(multiply(a, b))
    n, c, size = a.shape[0], a.shape[1], prod(a.shape[2:])
    return over_batch(reshape(matmul(reshape(a, (n, c, 1, size)), reshape(b, (n, c, size, 1))), (n, c)))


def _along(a: Array, x: Array) -> Array:
    """An array (channels,) in the shape in which it broadcasts with x."""
    return a if len(x.shape) == 2 else reshape(a, (a.shape[0], *[1] * (len(x.shape) - 2)))


def _centre(x: Array) -> tuple[Array, Array, Array]:
    """The channels without their rounded means, these means, and the means of what is left."""
    share = 1.0 / (prod(x.shape) // x.shape[1])
    mean = multiply(_totals(x), share)
    centred = subtract(x, _along(mean, x))
    return centred, mean, multiply(_totals(centred), share)


@primitive
def _batch_norm(x: Array, weight: Array, bias: Array, /, *, eps: float) -> tuple[Array, Array, Array]:
    return _batch_norm_and_centred(x, weight, bias, eps=eps)[0]


@_batch_norm.saves
def _batch_norm_and_centred(
    x: Array, weight: Array, bias: Array, /, *, eps: float
) -> tuple[tuple[Array, Array, Array], tuple[Array, Array]]:
    """The result with the means and variances; the differences and what is left of a mean in them."""
    share = 1.0 / (prod(x.shape) // x.shape[1])
    centred, mean, left = _centre(x)
    variance = subtract(multiply(_products(centred, centred), share), multiply(left, left))
    variance = maximum(variance, 0.0)
    k = divide(weight, sqrt(add(variance, eps)))
    y = add(multiply(centred, _along(k, x)), _along(subtract(bias, multiply(left, k)), x))
    return (y, add(mean, left), variance), (centred, left)


def _batch_norm_rule(
    g: tuple[Array, Array, Array],
    y: tuple[Array, Array, Array],
    x: Array,
    weight: Array,
    bias: Array,
    *,
    eps: float,
    saved: tuple[Array, Array] | None = None,
) -> tuple[Array, Array, Array]:
    """The gradients by input, weight and bias (Ioffe and Szegedy, 2015, section 3), gathered by channel.

    With s = 1 / sqrt(variance + eps), z = (x - mean) s and n elements in a channel, the weight gets sum(g z),
    the bias sum(g), and the input

        weight s (g - sum(g) / n - z sum(g z) / n)  +  g_mean / n  +  2 g_variance (x - mean) / n
    """
    g, g_mean, g_variance = g
    share = 1.0 / (prod(x.shape) // x.shape[1])
    centred, left = _centre(x)[::2] if saved is None else saved
    s = divide(1.0, sqrt(add(y[2], eps)))
    total = _totals(g)
    by_weight = multiply(s, subtract(_products(g, centred), multiply(left, total)))
    k = multiply(weight, s)
    slope = multiply(share, subtract(multiply(2.0, g_variance), multiply(k, multiply(s, by_weight))))
    level = subtract(multiply(share, subtract(g_mean, multiply(k, total))), multiply(left, slope))
    by_x = add(add(multiply(g, _along(k, x)), multiply(centred, _along(slope, x))), _along(level, x))
    return match(by_x, x), match(by_weight, weight), match(total, bias)


_batch_norm.vjp_joint(_batch_norm_rule)


@at_home
@in_float32
def batch_norm(
    x: Array, weight: Array | None = None, bias: Array | None = None, /, *, eps: float = 1e-5
) -> tuple[Array, Array, Array]:
    """Batch norm: ``(x - mean) / sqrt(variance + eps) * weight + bias``, by channel, over all other axes.

    Ioffe and Szegedy, Batch normalization: accelerating deep network training by reducing internal covariate
    shift (2015). The squares of the differences must be finite.

    Args:
        x: real floating-point array of shape (n, channels, ...), with at least one element a channel.
        weight: array of shape (channels,); None for ones.
        bias: array of shape (channels,); None for zeros.
        eps: added to the variance, > 0.

    Returns:
        An array of the shape of `x`; the means and the variances (of the population, by n) of the channels,
        each of shape (channels,).

    Raises:
        TypeError: if `x` is not floating-point, or `eps` no number.
        ValueError: if the shapes do not fit together, there are no elements, or `eps` is not positive.

    Example:
        >>> import numpy as np
        >>> y, mean, variance = batch_norm(np.asarray([[1.0, 0.0], [3.0, 8.0]]))
        >>> y.round(4).tolist(), mean.tolist(), variance.tolist()
        ([[-1.0, -1.0], [1.0, 1.0]], [2.0, 4.0], [1.0, 16.0])
    """
    check_floating("batch_norm", x)
    refuse_complex("batch_norm", weight=weight, bias=bias)
    eps = check_positive("batch_norm", "eps", eps)
    shape = tuple(x.shape)
    if len(shape) < 2 or 0 in shape:
        raise ValueError(f"batch_norm: expected an input of shape (n, channels, ...), not empty, got {shape}")
    channels = shape[1:2]
    for name, a in (("weight", weight), ("bias", bias)):
        if a is not None and tuple(a.shape) != channels:
            raise ValueError(f"batch_norm: expected a {name} of shape {channels}, got {tuple(a.shape)}")
    weight = ones_at(x, channels) if weight is None else weight
    bias = zeros_at(x, channels) if bias is None else bias
    return _batch_norm(x, weight, bias, eps=eps)
