"""Cross-entropies of softmax and sigmoid as one unit each: probability minus target is their gradient.

With the exponential and its logarithm apart, small losses round to nothing and large ones overflow.
"""

from __future__ import annotations

from portnn._typing import Array
from portnn.ops._arithmetic import multiply, negative, subtract
from portnn.ops._broadcasting import match
from portnn.ops._broadcasting import sum as sum_
from portnn.ops._helpers import indices_at, plain, plain_namespace
from portnn.ops._manipulation import expand_dims
from portnn.ops._softmax import log_softmax, shift, sigmoid, softmax
from portnn.trace import namespace, primitive

__all__ = ["sigmoid_cross_entropy", "softmax_cross_entropy"]


def _hot(labels: Array, x: Array) -> Array:
    """True at the label of each sample; a label out of range gives a row without."""
    return plain(labels)[..., None] == indices_at(x, x.shape[-1])


@primitive
def _label_cross_entropy(x: Array, labels: Array, /) -> Array:
    xp = namespace(x, labels)
    shifted = x - shift(x, -1)
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
