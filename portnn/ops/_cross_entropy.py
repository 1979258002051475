"""Cross-entropies of softmax and sigmoid as one unit each: probability minus target is their gradient.

With the exponential and its logarithm apart, small losses round to nothing and large ones overflow.
"""

from __future__ import annotations

from math import prod

from portnn._typing import Array
from portnn.ops._arithmetic import multiply, negative, subtract
from portnn.ops._broadcasting import match, reshape, where
from portnn.ops._broadcasting import sum as sum_
from portnn.ops._helpers import indices_at, plain
from portnn.ops._manipulation import expand_dims
from portnn.ops._softmax import log_softmax, lowest, sigmoid, softmax
from portnn.ops._statistical import mean as mean_
from portnn.tracing import namespace, primitive

__all__ = ["sigmoid_cross_entropy", "softmax_cross_entropy"]


def _hot(labels: Array, x: Array) -> Array:
    """True at the label of each sample; a label out of range gives a row without."""
    labels = plain(labels)
    classes = indices_at(x, x.shape[-1])
    if labels.dtype != classes.dtype and labels.dtype == namespace(labels).int32:
        classes = namespace(classes).astype(classes, labels.dtype)  # compared without a conversion of each
    return labels[..., None] == classes


def _peak(x: Array) -> Array:
    """What `shift` gives along the last axis, by way of the positions: over short rows libraries find those
    several times faster, and a step that counts right answers needs them anyway.
    """
    xp = namespace(x)
    n = x.shape[-1]
    places = xp.argmax(x, axis=-1, keepdims=False)
    first = xp.reshape(indices_at(x, prod(places.shape)) * n, places.shape)
    flat = xp.take(xp.reshape(x, (-1,)), xp.reshape(places + first, (-1,)), axis=0)
    return xp.maximum(xp.reshape(flat, (*places.shape, 1)), lowest(x))


def _label_terms(x: Array, labels: Array) -> tuple[Array, Array, Array, Array]:
    """The losses; and where the labels are, the exponentials and their sums, from which the slope is made."""
    xp = namespace(x, labels)
    hot = _hot(labels, x)
    shifted = x - _peak(x)
    e = xp.exp(shifted)
    total = xp.sum(e, axis=-1, keepdims=True)
    # A row without a label has the maximum of nothing, -inf, and so an infinite loss.
    chosen = xp.max(xp.where(hot, shifted, -float("inf")), axis=-1)
    return xp.log(total[..., 0]) - chosen, hot, e, total


@primitive
def _label_cross_entropy(x: Array, labels: Array, /, *, mean: bool) -> Array:
    loss, *_ = _label_terms(x, labels)
    return _mean(loss) if mean else loss


@_label_cross_entropy.saves
def _label_cross_entropy_and_slope(x: Array, labels: Array, /, *, mean: bool) -> tuple[Array, Array]:
    """The loss, and its derivative (softmax(x) - one_hot(labels)) / n, n = 1 without a mean."""
    xp = namespace(x, labels)
    loss, hot, e, total = _label_terms(x, labels)
    if not mean:
        p = e / total
        return loss, xp.where(hot, p - 1.0, p)
    share = 1.0 / prod(loss.shape)
    p = e * (share / total)
    return _mean(loss), xp.where(hot, p - share, p)


def _mean(loss: Array) -> Array:
    """Divided before it is summed, which cannot overflow in half precision."""
    return namespace(loss).sum(loss * (1.0 / prod(loss.shape)))


def _label_cross_entropy_rule(
    g: Array, y: Array, x: Array, labels: Array, *, mean: bool, saved: Array | None = None
) -> Array:
    """The gradient times the slope."""
    slope = saved
    if slope is None:
        hot, p = _hot(labels, x), softmax(x)
        slope = where(hot, subtract(p, 1.0), p)
        if mean:
            slope = multiply(slope, 1.0 / prod(x.shape[:-1]))
    return multiply(g if mean else reshape(g, (*g.shape, 1)), slope)


_label_cross_entropy.vjp(_label_cross_entropy_rule, None)


@primitive
def _soft_cross_entropy(x: Array, targets: Array, /) -> Array:
    xp = namespace(x, targets)
    logp = log_softmax(x)
    return -xp.sum(targets * xp.where(targets == 0, 0.0, logp), axis=-1)


def _soft_cross_entropy_rule(g: Array, y: Array, x: Array, targets: Array) -> Array:
    """g (softmax(x) sum(targets) - targets)."""
    total = sum_(targets, axis=-1, keepdims=True)
    return match(multiply(expand_dims(g, axis=-1), subtract(multiply(softmax(x), total), targets)), x)


_soft_cross_entropy.vjp(
    _soft_cross_entropy_rule,
    lambda g, y, x, t: match(negative(multiply(expand_dims(g, axis=-1), log_softmax(x))), t),
)


def softmax_cross_entropy(logits: Array, targets: Array, /, *, mean: bool = False) -> Array:
    """Cross-entropy of softmax probabilities, ``-sum(targets * log_softmax(logits))``, per sample.

    Args:
        logits: real floating-point array of shape (..., classes).
        targets: integer labels of shape (...), or probabilities of the shape of `logits`.
        mean: whether to take the mean over the samples in the same step; there must be some.

    Returns:
        Losses of shape (...) in nats, or their mean. A label out of range gives inf.

    Raises:
        ValueError: if the shapes do not fit.

    Example:
        >>> import numpy as np
        >>> loss = softmax_cross_entropy(np.asarray([[0.0, 0.0], [1e4, -1e4]]), np.asarray([0, 1]))
        >>> loss.round(4).tolist()
        [0.6931, 20000.0]
    """
    if mean and 0 in logits.shape:
        raise ValueError(
            f"softmax_cross_entropy: the mean of no samples is not defined; got logits {logits.shape}"
        )
    if len(targets.shape) == len(logits.shape) - 1 and targets.shape == logits.shape[:-1]:
        return _label_cross_entropy(logits, targets, mean=mean)
    if targets.shape == logits.shape and logits.shape:
        losses = _soft_cross_entropy(logits, targets)
        return mean_(losses) if mean else losses
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
