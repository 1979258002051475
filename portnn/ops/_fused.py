"""Functions of neural networks that are better as one unit: fewer steps, or numbers that stay finite.

Each stands under its formula with its rule beside it. `x` is the input, `y` the output, `g` the gradient
of the loss by `y`. Exponentials are taken of differences from the maximum (Blanchard, Higham and Higham,
Accurately computing the log-sum-exp and softmax functions, IMA J. Numer. Anal. 41, 2021).
"""

from __future__ import annotations

from portnn._typing import Array, Axis, DType
from portnn.ops._arithmetic import multiply, negative, subtract
from portnn.ops._broadcasting import keep, match, reshape, where
from portnn.ops._broadcasting import sum as sum_
from portnn.ops._comparison import equal
from portnn.ops._exponential import exp
from portnn.ops._helpers import indices_at, plain, plain_namespace
from portnn.ops._linear_algebra import matmul, matrix_transpose
from portnn.ops._manipulation import expand_dims
from portnn.trace import namespace, primitive

__all__ = [
    "linear", "log_softmax", "logsumexp", "sigmoid", "sigmoid_cross_entropy", "softmax",
    "softmax_cross_entropy",
]  # fmt: skip


def _rows(x: Array) -> Array:
    """All axes but the last as one."""
    return x if len(x.shape) == 2 else reshape(x, (-1, x.shape[-1]))


@primitive
def _linear(x: Array, weight: Array, bias: Array, /) -> Array:
    return namespace(x, weight, bias).matmul(x, weight) + bias


# y = x W + b:  the gradients are g Wᵀ,  xᵀ g  and the sum of g over the batch.
_linear.vjp(
    lambda g, y, x, w, b: match(matmul(g, matrix_transpose(w)), x),
    lambda g, y, x, w, b: match(matmul(matrix_transpose(_rows(x)), _rows(g)), w),
    lambda g, y, x, w, b: match(g, b),
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
    return matmul(x, weight) if bias is None else _linear(x, weight, bias)


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
    xp = namespace(x)
    e = xp.exp(-xp.abs(x))
    return xp.where(x >= 0, 1.0, e) / (1.0 + e)


# y' = y (1 - y)
sigmoid.vjp(lambda g, y, x: multiply(g, multiply(y, subtract(1.0, y))))


def _shift(x: Array, axis: Axis) -> Array:
    """The maximum along `axis`; in a row of nothing but -inf the lowest finite number, so that differences
    from it are -inf and not NaN.
    """
    xp = plain_namespace(x)
    top = xp.max(plain(x), axis=axis, keepdims=True)
    return xp.maximum(top, _lowest(top))


_limits: dict[tuple[type, DType], float] = {}


def _lowest(x: Array) -> float:
    """The lowest finite number of the dtype of `x`; remembered, since libraries take their time to say."""
    key = (type(x), x.dtype)
    if key not in _limits:
        _limits[key] = float(namespace(x).finfo(x.dtype).min)
    return _limits[key]


@primitive
def _softmax(x: Array, /, *, axis: int) -> Array:
    xp = namespace(x)
    e = xp.exp(x - _shift(x, axis))
    total = xp.sum(e, axis=axis, keepdims=True)
    return e / xp.where(total == 0, 1.0, total)


# With s = sum(g y) along the axis: y (g - s)
_softmax.vjp(
    lambda g, y, x, axis: multiply(y, subtract(g, sum_(multiply(g, y), axis=axis, keepdims=True))),
)


def softmax(x: Array, /, *, axis: int = -1) -> Array:
    """Exponentials over their sum, ``exp(x) / sum(exp(x))``.

    A row of nothing but -inf, such as a wholly masked row of attention, gives zeros, not NaN.

    Args:
        x: real floating-point array.
        axis: the axis along which the result sums to 1.

    Returns:
        Probabilities in the shape and dtype of `x`.

    Example:
        >>> import numpy as np
        >>> softmax(np.asarray([1e4, 1e4])).tolist()
        [0.5, 0.5]
    """
    return _softmax(x, axis=axis)


@primitive
def _logsumexp(x: Array, /, *, axis: Axis, keepdims: bool) -> Array:
    xp = namespace(x)
    top = _shift(x, axis)
    total = xp.sum(xp.exp(x - top), axis=axis, keepdims=True)
    y = xp.where(total == 0, -float("inf"), xp.log(xp.where(total == 0, 1.0, total)) + top)
    return y if keepdims else xp.squeeze(y, axis=_gone(x, axis))


def _gone(x: Array, axis: Axis) -> tuple[int, ...]:
    return tuple(range(len(x.shape))) if axis is None else (axis,) if isinstance(axis, int) else axis


def _logsumexp_rule(g: Array, y: Array, x: Array, axis: Axis, keepdims: bool) -> Array:
    """exp(x - y), and zeros in a row of nothing but -inf."""
    y, g = keep(y, x, axis, keepdims), keep(g, x, axis, keepdims)
    safe = where(equal(y, -float("inf")), 0.0, y)
    return multiply(g, exp(subtract(x, safe)))


_logsumexp.vjp(_logsumexp_rule)


def logsumexp(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Logarithm of the sum of exponentials, without overflow.

    Args:
        x: real floating-point array, not empty along `axis`.
        axis: the axes to reduce; None for all.
        keepdims: whether the reduced axes stay, with length one.

    Returns:
        ``log(sum(exp(x)))`` in the dtype of `x`; -inf for a row of nothing but -inf.

    Example:
        >>> import numpy as np
        >>> round(float(logsumexp(np.asarray([1e4, 1e4]))), 4)
        10000.6931
    """
    return _logsumexp(x, axis=axis, keepdims=keepdims)


@primitive
def _log_softmax(x: Array, /, *, axis: int) -> Array:
    xp = namespace(x)
    shifted = x - _shift(x, axis)
    total = xp.sum(xp.exp(shifted), axis=axis, keepdims=True)
    return shifted - xp.log(xp.where(total == 0, 1.0, total))


# g - softmax(x) sum(g)
_log_softmax.vjp(
    lambda g, y, x, axis: subtract(g, multiply(exp(y), sum_(g, axis=axis, keepdims=True))),
)


def log_softmax(x: Array, /, *, axis: int = -1) -> Array:
    """Logarithm of `softmax`, without overflow or loss of small probabilities.

    Args:
        x: real floating-point array.
        axis: the axis along which the probabilities sum to 1.

    Returns:
        Log-probabilities in the shape and dtype of `x`; all -inf in a row of nothing but -inf.

    Example:
        >>> import numpy as np
        >>> log_softmax(np.asarray([0.0, -1e4])).tolist()
        [0.0, -10000.0]
    """
    return _log_softmax(x, axis=axis)


def _hot(labels: Array, x: Array) -> Array:
    """True at the label of each sample; a label out of range gives a row without."""
    return plain(labels)[..., None] == indices_at(x, x.shape[-1])


@primitive
def _label_cross_entropy(x: Array, labels: Array, /) -> Array:
    xp = namespace(x, labels)
    shifted = x - _shift(x, -1)
    # A row without a label has the maximum of nothing, -inf, and so an infinite loss.
    chosen = xp.max(xp.where(_hot(labels, x), shifted, -float("inf")), axis=-1)
    return xp.log(xp.sum(xp.exp(shifted), axis=-1)) - chosen


def _label_cross_entropy_rule(g: Array, y: Array, x: Array, labels: Array) -> Array:
    """g (softmax(x) - one_hot(labels))."""
    xp = plain_namespace(x)
    target = xp.astype(_hot(labels, x), x.dtype)
    return multiply(expand_dims(g, axis=-1), subtract(softmax(x), target))


_label_cross_entropy.vjp(_label_cross_entropy_rule, None)


@primitive
def _soft_cross_entropy(x: Array, targets: Array, /) -> Array:
    xp = namespace(x, targets)
    logp = _log_softmax.function(x, axis=-1)
    return -xp.sum(targets * xp.where(targets == 0, 0.0, logp), axis=-1)


def _soft_cross_entropy_rule(g: Array, y: Array, x: Array, targets: Array) -> Array:
    """g (softmax(x) sum(targets) - targets)."""
    total = sum_(targets, axis=-1, keepdims=True)
    return match(multiply(expand_dims(g, axis=-1), subtract(multiply(softmax(x), total), targets)), x)


_soft_cross_entropy.vjp(
    _soft_cross_entropy_rule,
    lambda g, y, x, t: match(negative(multiply(expand_dims(g, axis=-1), log_softmax(x))), t),
)


def softmax_cross_entropy(logits: Array, targets: Array, /) -> Array:
    """Cross-entropy of softmax probabilities, ``-sum(targets * log_softmax(logits))``, per sample.

    Args:
        logits: real floating-point array of shape (..., classes).
        targets: integer labels of shape (...), or probabilities of the shape of `logits`.

    Returns:
        Losses of shape (...) in nats. A label out of range gives inf.

    Raises:
        ValueError: if the shapes do not fit.

    Example:
        >>> import numpy as np
        >>> loss = softmax_cross_entropy(np.asarray([[0.0, 0.0], [1e4, -1e4]]), np.asarray([0, 1]))
        >>> loss.round(4).tolist()
        [0.6931, 20000.0]
    """
    if len(targets.shape) == len(logits.shape) - 1 and targets.shape == logits.shape[:-1]:
        return _label_cross_entropy(logits, targets)
    if targets.shape == logits.shape and logits.shape:
        return _soft_cross_entropy(logits, targets)
    raise ValueError(
        f"softmax_cross_entropy: targets of shape {tuple(targets.shape)} do not fit logits of shape "
        f"{tuple(logits.shape)}; expected labels of shape {tuple(logits.shape[:-1])} or rows like the logits"
    )


@primitive
def sigmoid_cross_entropy(logits: Array, targets: Array, /) -> Array:
    """Cross-entropy of sigmoid probabilities, elementwise.

    Computed as ``max(x, 0) - x t + log(1 + exp(-|x|))``, which neither overflows nor loses small losses.

    Args:
        logits: real floating-point array.
        targets: array that broadcasts with it, values between 0 and 1, of the same dtype.

    Returns:
        Losses in nats, of the broadcast shape.

    Example:
        >>> import numpy as np
        >>> sigmoid_cross_entropy(np.asarray([0.0, 1e4]), np.asarray([1.0, 0.0])).round(4).tolist()
        [0.6931, 10000.0]
    """
    xp = namespace(logits, targets)
    return xp.maximum(logits, 0.0) - logits * targets + xp.log1p(xp.exp(-xp.abs(logits)))


# By the logits: g (sigmoid(x) - t); by the targets: -g x
sigmoid_cross_entropy.vjp(
    lambda g, y, x, t: match(multiply(g, subtract(sigmoid(x), t)), x),
    lambda g, y, x, t: match(negative(multiply(g, x)), t),
)
