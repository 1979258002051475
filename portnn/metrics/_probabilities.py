"""Metrics of scores and probabilities."""

from __future__ import annotations

from portnn import ops
from portnn._typing import Array
from portnn.metrics._checks import check_arrays, check_finite, check_weights, holds, mean
from portnn.metrics._labels import check_count, check_label_dtype, to_integer
from portnn.ops._options import check_flag
from portnn.tracing import in_range

# Probabilities may have been computed in float32 over many classes and cast since. Logits and unscaled
# scores, which the check is for, miss a sum of one by far more.
_SLACK = 1e-4


def top_k_accuracy(
    y_true: Array, y_score: Array, *, k: int = 2, normalize: bool = True, sample_weight: Array | None = None
) -> Array:
    """The share of samples whose true class is among the k with the highest scores.

    Among equal scores the class with the higher number ranks first, as in scikit-learn.

    Args:
        y_true: true labels, integer or boolean, of shape (n,), from 0 to classes - 1.
        y_score: floating-point scores of shape (n, classes): logits or probabilities.
        k: how many classes count, from 1 to classes.
        normalize: False returns the number (or total weight) of such samples instead of their share.
        sample_weight: weights of shape (n,), zero or more.

    Returns:
        A 0-d array of the scores' dtype.

    Raises:
        TypeError: labels are not integers, scores are not floating-point, or libraries are mixed.
        ValueError: shapes do not fit, arrays are empty, a label or k is out of range, or a score is NaN.

    Example:
        >>> import numpy as np
        >>> scores = np.asarray([[0.5, 0.3, 0.2], [0.1, 0.3, 0.6]])
        >>> float(top_k_accuracy(np.asarray([1, 0]), scores, k=2))
        0.5
    """
    check_flag("top_k_accuracy", "normalize", normalize)
    labels = _check(y_true, y_score, "y_score", sample_weight)
    classes = y_score.shape[1]
    if check_count(k, "k") > classes:
        raise ValueError(f"k must be between 1 and the number of classes, {classes}; got {k}")
    own = ops.expand_dims(labels, axis=1)
    score = ops.take_along_axis(y_score, own, axis=1)
    numbers = ops.arange(classes, dtype=labels.dtype, like=labels)
    tied_before = ops.logical_and(ops.equal(y_score, score), ops.greater(numbers, own))
    before = ops.logical_or(ops.greater(y_score, score), tied_before)
    rank = ops.sum(ops.astype(before, labels.dtype), axis=1)
    hits = ops.astype(ops.less(rank, k), y_score.dtype)
    if normalize:
        return mean(hits, sample_weight)
    if sample_weight is not None:
        hits = ops.multiply(hits, ops.astype(sample_weight, hits.dtype, copy=False))
    return ops.sum(hits)


def log_loss(y_true: Array, probabilities: Array, *, sample_weight: Array | None = None) -> Array:
    """The mean of minus the natural logarithm of the probability given to the true class.

    Probabilities are kept between eps and 1 - eps, the machine epsilon of their dtype, so that a sure
    and wrong answer costs much, but not infinity.

    Args:
        y_true: true labels, integer or boolean, of shape (n,), from 0 to classes - 1.
        probabilities: floating-point, of shape (n, classes) with rows that sum to one, or of shape (n,):
            the probability of class 1 of two.
        sample_weight: weights of shape (n,), zero or more.

    Returns:
        A 0-d array of the probabilities' dtype, in nats.

    Raises:
        TypeError: labels are not integers, probabilities not floating-point, or libraries are mixed.
        ValueError: shapes do not fit, arrays are empty, a label is out of range, or the probabilities are
            NaN, outside 0 to 1, or do not sum to one.

    The formula is equation 4.108 of Bishop, "Pattern Recognition and Machine Learning" (2006), divided
    by the number of samples.

    Example:
        >>> import numpy as np
        >>> p = np.asarray([[0.9, 0.1], [0.2, 0.8]])
        >>> round(float(log_loss(np.asarray([0, 1]), p)), 4)
        0.1643
    """
    p = probabilities
    if hasattr(p, "shape") and len(p.shape) == 1 and ops.isdtype(p.dtype, "real floating"):
        p = ops.stack([ops.subtract(1.0, p), p], axis=1)
    labels = _check(y_true, p, "probabilities", sample_weight)
    _check_distribution(p)
    eps = float(ops.finfo(p.dtype).eps)
    own = ops.take_along_axis(p, ops.expand_dims(labels, axis=1), axis=1)
    bounded = ops.clip(ops.squeeze(own, axis=1), eps, 1.0 - eps)
    return mean(ops.negative(ops.log(bounded)), sample_weight)


def _check(y_true: Array, scores: Array, name: str, sample_weight: Array | None) -> Array:
    """The labels as integers, once they and the scores fit together."""
    check_arrays(sample_weight, y_true=y_true, **{name: scores})
    check_weights(sample_weight, y_true.shape[0])
    check_label_dtype(y_true, "y_true")
    if len(y_true.shape) != 1:
        raise ValueError(
            f"y_true must have shape (n,), got {tuple(y_true.shape)}; "
            "for one-hot rows pass argmax(y_true, axis=-1)"
        )
    if not ops.isdtype(scores.dtype, "real floating"):
        raise TypeError(f"{name} must be floating-point, got dtype {scores.dtype}; cast it with astype")
    if len(scores.shape) != 2:
        raise ValueError(f"{name} must have shape (n, classes), got {tuple(scores.shape)}")
    if holds(ops.any(ops.isnan(scores))):
        raise ValueError(f"{name} holds NaN; look for the step that made it, or leave those samples out")
    return in_range(to_integer(y_true, "y_true"), what="y_true", high=scores.shape[1])


def _check_distribution(p: Array) -> None:
    """See that each row is a distribution, up to the rounding of a float32 softmax."""
    check_finite(p, "probabilities")
    if holds(ops.any(ops.logical_or(ops.less(p, 0.0), ops.greater(p, 1.0)))):
        raise ValueError("probabilities must lie between 0 and 1; for logits pass softmax(logits, axis=-1)")
    slack = max(_SLACK, float(ops.finfo(p.dtype).eps))
    if holds(ops.any(ops.greater(ops.abs(ops.subtract(ops.sum(p, axis=1), 1.0)), slack))):
        raise ValueError("each row of probabilities must sum to 1; for logits pass softmax(logits, axis=-1)")
