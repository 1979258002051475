"""Sigmoid, softmax and their logarithms, with numbers that stay finite.

Each rule stands under its formula: `x` is the input, `y` the output, `g` the gradient of the loss by `y`.
Exponentials are taken of differences from the maximum (Blanchard, Higham and Higham, Accurately computing
the log-sum-exp and softmax functions, IMA J. Numer. Anal. 41, 2021).
"""

from __future__ import annotations

from collections.abc import Callable

from array_api_compat import device

from portnn._typing import Array, Axis, DType
from portnn.ops._arithmetic import divide, minimum, multiply, subtract
from portnn.ops._broadcasting import keep, reshape, where
from portnn.ops._broadcasting import sum as sum_
from portnn.ops._comparison import equal
from portnn.ops._exponential import exp
from portnn.ops._half import in_float32
from portnn.ops._helpers import normalize_axes, normalize_axis, plain, reduced_count
from portnn.ops._options import check_flag
from portnn.tracing import check_floating, namespace, primitive

__all__ = ["log_softmax", "logsumexp", "sigmoid", "softmax"]


@primitive
def sigmoid(x: Array, /) -> Array:
    """Logistic function ``1 / (1 + exp(-x))``, accurate at both ends.

    Args:
        x: real floating-point array.

    Returns:
        Values between 0 and 1, in the shape and dtype of `x`.

    Example:
        >>> import numpy as np
        >>> sigmoid(np.asarray([-1000.0, 0.0, 1000.0])).tolist()
        [0.0, 0.5, 1.0]
    """
    check_floating("sigmoid", x)
    xp = namespace(x)
    e = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, 1.0, e) / (1.0 + e)


# y' = y (1 - y)
sigmoid.vjp(lambda g, y, x: multiply(g, multiply(y, subtract(1.0, y))))


def shift(x: Array, axis: Axis) -> Array:
    """Return the maximum along `axis`; for an empty row, or one of -inf only, the lowest finite number, so
    that differences from it are -inf and not NaN.
    """
    x = plain(x)
    xp = namespace(x)
    if reduced_count(x, axis) == 0:
        gone = normalize_axes(axis, len(x.shape))
        shape = tuple([1 if a in gone else n for a, n in enumerate(x.shape)])
        return xp.full(shape, lowest(x), dtype=x.dtype, device=device(x))
    return xp.maximum(xp.max(x, axis=axis, keepdims=True), lowest(x))


_limits: dict[tuple[type, DType], float] = {}


def lowest(x: Array) -> float:
    """The lowest finite number of the dtype of `x`; remembered, since libraries take their time to say."""
    key = (type(x), x.dtype)
    if key not in _limits:
        _limits[key] = float(namespace(x).finfo(x.dtype).min)
    return _limits[key]


@primitive
def _softmax(x: Array, /, *, axis: int) -> Array:
    check_floating("softmax", x)
    xp = namespace(x)
    e = xp.exp(x - shift(x, axis))
    # The largest term is one, so the sum is at least that, or zero in a row of nothing but -inf.
    return e / xp.maximum(xp.sum(e, axis=axis, keepdims=True), 1.0)


# With s = sum(g y) along the axis: y (g - s)
_softmax.vjp(
    lambda g, y, x, axis: multiply(y, subtract(g, sum_(multiply(g, y), axis=axis, keepdims=True))),
)


def _by_axis(function: Callable[..., Array], x: Array, axis: int) -> Array:
    """Apply `function` along an axis; a scalar counts as a row of one entry, as in PyTorch."""
    if not x.shape:
        return reshape(function(reshape(x, (1,)), axis=normalize_axis(axis, 1)), ())
    normalize_axis(axis, len(x.shape))
    return function(x, axis=axis)


@in_float32
def softmax(x: Array, /, *, axis: int = -1) -> Array:
    """Exponentials over their sum, ``exp(x) / sum(exp(x))``; of an empty axis, an empty array.

    A row of nothing but -inf, such as a wholly masked row of attention, gives zeros, not NaN.

    Args:
        x: real floating-point array.
        axis: the axis along which the result sums to 1; a scalar counts as a row of one entry.

    Returns:
        Probabilities in the shape and dtype of `x`.

    Raises:
        TypeError: if `x` is not floating-point, or `axis` no integer.
        ValueError: if there is no such axis.

    Example:
        >>> import numpy as np
        >>> softmax(np.asarray([1e4, 1e4])).tolist()
        [0.5, 0.5]
    """
    return _by_axis(_softmax, x, axis)


@primitive
def _logsumexp(x: Array, /, *, axis: Axis, keepdims: bool) -> Array:
    check_floating("logsumexp", x)
    xp = namespace(x)
    top = shift(x, axis)
    total = xp.sum(xp.exp(_below(x, top)), axis=axis, keepdims=True)
    y = xp.where(total == 0, -float("inf"), xp.log(xp.where(total == 0, 1.0, total)) + top)
    return y if keepdims else xp.squeeze(y, axis=_gone(x, axis))


def _below(x: Array, top: Array) -> Array:
    """Differences from the maximum, where an infinite one counts as the highest finite number."""
    highest = -lowest(top)
    return subtract(minimum(x, highest), minimum(top, highest))


def _gone(x: Array, axis: Axis) -> tuple[int, ...]:
    return normalize_axes(axis, len(x.shape))


def _logsumexp_rule(g: Array, y: Array, x: Array, axis: Axis, keepdims: bool) -> Array:
    """The softmax, from the differences to the maximum: exp(x - y) would carry the rounding of y."""
    e = exp(_below(x, shift(x, axis)))
    total = sum_(e, axis=axis, keepdims=True)
    return multiply(keep(g, x, axis, keepdims), divide(e, where(equal(total, 0.0), 1.0, total)))


_logsumexp.vjp(_logsumexp_rule)


@in_float32
def logsumexp(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Logarithm of the sum of exponentials, without overflow.

    Args:
        x: real floating-point array.
        axis: the axes to reduce; None for all.
        keepdims: whether the reduced axes stay, with length one.

    Returns:
        ``log(sum(exp(x)))`` in the dtype of `x`; -inf for a row that is empty or holds only -inf, inf
        for a row with inf.

    Raises:
        TypeError: if `x` is not floating-point, or an option is of another type.
        ValueError: if there is no such axis.

    Example:
        >>> import numpy as np
        >>> round(float(logsumexp(np.asarray([1e4, 1e4]))), 4)
        10000.6931
    """
    normalize_axes(axis, len(x.shape))
    return _logsumexp(x, axis=axis, keepdims=check_flag("logsumexp", "keepdims", keepdims))


@primitive
def _log_softmax(x: Array, /, *, axis: int) -> Array:
    check_floating("log_softmax", x)
    xp = namespace(x)
    shifted = x - shift(x, axis)
    total = xp.sum(xp.exp(shifted), axis=axis, keepdims=True)  # at least one, or zero: see `_softmax`
    return shifted - xp.log(xp.maximum(total, 1.0))


# g - softmax(x) sum(g)
_log_softmax.vjp(
    lambda g, y, x, axis: subtract(g, multiply(exp(y), sum_(g, axis=axis, keepdims=True))),
)


@in_float32
def log_softmax(x: Array, /, *, axis: int = -1) -> Array:
    """Logarithm of `softmax`, without overflow or loss of small probabilities.

    Args:
        x: real floating-point array.
        axis: the axis along which the probabilities sum to 1; a scalar counts as a row of one entry.

    Returns:
        Log-probabilities in the shape and dtype of `x`; all -inf in a row of nothing but -inf.

    Raises:
        TypeError: if `x` is not floating-point, or `axis` no integer.
        ValueError: if there is no such axis.

    Example:
        >>> import numpy as np
        >>> log_softmax(np.asarray([0.0, -1e4])).tolist()
        [0.0, -10000.0]
    """
    return _by_axis(_log_softmax, x, axis)
