"""Cross-entropies of softmax and sigmoid as one unit each: probability minus target is their gradient.

With the exponential and its logarithm apart, small losses round to nothing and large ones overflow.
"""

from __future__ import annotations

from math import prod

from array_api_compat import device

from portnn._typing import Array
from portnn.ops._arithmetic import multiply, negative, subtract
from portnn.ops._broadcasting import match, reshape, where
from portnn.ops._broadcasting import sum as sum_
from portnn.ops._half import in_float32
from portnn.ops._helpers import indices_at, plain
from portnn.ops._manipulation import expand_dims
from portnn.ops._options import check_flag, refuse_complex
from portnn.ops._softmax import log_softmax, lowest, sigmoid, softmax
from portnn.ops._statistical import mean as mean_
from portnn.tracing import in_range, is_kind, namespace, primitive

__all__ = ["sigmoid_cross_entropy", "softmax_cross_entropy"]


_FEW = 256  # classes up to which the rows of a table of targets are looked up


def _hot(labels: Array, x: Array) -> Array:
    """True at the label of each sample; a label out of range gives a row without."""
    return plain(labels)[..., None] == indices_at(x, x.shape[-1])


# Over rows as short as those of logits, finding a position and looking up what is there takes libraries much
# less time than a reduction of each row or a choice for each element.
def _at(x: Array, places: Array) -> Array:
    """The element of each row at a place that exists, (...) of (..., classes)."""
    xp = namespace(x, places)
    first = xp.reshape(indices_at(x, prod(places.shape)) * x.shape[-1], places.shape)
    found = xp.take(xp.reshape(x, (-1,)), xp.reshape(places + first, (-1,)), axis=0)
    return xp.reshape(found, places.shape)


def _label_terms(x: Array, labels: Array) -> tuple[Array, Array, Array, Array, Array]:
    """The losses, and what the slope is made of: whether labels are classes, those that are nearest to them,
    the exponentials and their sums.
    """
    xp = namespace(x, labels)
    places = xp.argmax(x, axis=len(x.shape) - 1, keepdims=False)  # as `ops.argmax` asks: a plan does it once
    top = xp.maximum(_at(x, places), lowest(x))
    shifted = x - top[..., None]
    e = xp.exp(shifted)
    total = xp.sum(e, axis=-1, keepdims=True)
    labels = xp.astype(plain(labels), places.dtype, copy=False)  # a byte has no room for some classes
    nearest = xp.minimum(xp.maximum(labels, 0), x.shape[-1] - 1)
    known = labels == nearest
    chosen = xp.where(known, _at(shifted, nearest), -float("inf"))  # what is no class has an infinite loss
    return xp.log(total[..., 0]) - chosen, known, nearest, e, total


def _targets(x: Array, known: Array, nearest: Array, share: float) -> Array:
    """`share` at the label of each sample, zero elsewhere and where the label is no class."""
    xp = namespace(x, known)
    n = x.shape[-1]
    if n > _FEW:
        hot = (nearest[..., None] == indices_at(x, n)) & known[..., None]
        return xp.astype(xp.where(hot, xp.asarray(share, dtype=x.dtype, device=device(x)), 0.0), x.dtype)
    table = xp.eye(n + 1, n, dtype=x.dtype, device=device(x)) * share
    rows = xp.take(table, xp.reshape(xp.where(known, nearest, n), (-1,)), axis=0)
    return xp.reshape(rows, x.shape)


@primitive
def _label_cross_entropy(x: Array, labels: Array, /, *, mean: bool) -> Array:
    loss, *_ = _label_terms(x, labels)
    return _mean(loss) if mean else loss


@_label_cross_entropy.saves
def _label_cross_entropy_and_slope(x: Array, labels: Array, /, *, mean: bool) -> tuple[Array, Array]:
    """The loss, and its derivative (softmax(x) - one_hot(labels)) / n, n = 1 without a mean."""
    loss, known, nearest, e, total = _label_terms(x, labels)
    share = 1.0 / prod(loss.shape) if mean else 1.0
    slope = e * (share / total) - _targets(plain(x), known, nearest, share)
    return _mean(loss) if mean else loss, slope


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
label_cross_entropy = _label_cross_entropy  # for labels that have been checked


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


@in_float32
def softmax_cross_entropy(logits: Array, targets: Array, /, *, mean: bool = False) -> Array:
    """Cross-entropy of softmax probabilities, ``-sum(targets * log_softmax(logits))``, per sample.

    Args:
        logits: real floating-point array of shape (..., classes).
        targets: integer labels of shape (...), or probabilities of the shape of `logits`.
        mean: whether to take the mean over the samples in the same step; there must be some.

    Returns:
        Losses of shape (...) in nats, or their mean.

    Raises:
        TypeError: if `mean` is not True or False, or labels are not integers.
        ValueError: if the shapes do not fit, or a label is not a class. Where values are unknown, as inside
            ``jax.jit``, such a label gives inf.

    Example:
        >>> import numpy as np
        >>> loss = softmax_cross_entropy(np.asarray([[0.0, 0.0], [1e4, -1e4]]), np.asarray([0, 1]))
        >>> loss.round(4).tolist()
        [0.6931, 20000.0]
    """
    mean = check_flag("softmax_cross_entropy", "mean", mean)
    refuse_complex("softmax_cross_entropy", logits=logits, targets=targets)
    if mean and 0 in logits.shape:
        raise ValueError(
            f"softmax_cross_entropy: the mean of no samples is not defined; got logits {logits.shape}"
        )
    if len(targets.shape) == len(logits.shape) - 1 and targets.shape == logits.shape[:-1]:
        if not is_kind(targets, "integral"):
            raise TypeError(
                f"softmax_cross_entropy: targets of shape {tuple(targets.shape)} are class labels and must "
                f"be integers, got dtype {targets.dtype}; convert with astype"
            )
        targets = in_range(targets, what="softmax_cross_entropy: targets", high=logits.shape[-1])
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
