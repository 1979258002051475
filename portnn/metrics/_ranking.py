"""Metrics of an order: whether what is true was given the higher scores."""

from __future__ import annotations

from typing import Literal, TypeAlias

from portnn import ops
from portnn._typing import Array
from portnn.metrics._checks import check_arrays, check_same_shape, check_weights, holds, mean, ratio
from portnn.metrics._labels import check_indicators, check_label_dtype
from portnn.ops._half import in_float32
from portnn.ops._weights import relative

OverLabels: TypeAlias = Literal["macro", "weighted", "micro"] | None

_AVERAGES = ("macro", "weighted", "micro", None)


@in_float32
def average_precision(
    y_true: Array,
    y_score: Array,
    *,
    average: OverLabels = "macro",
    sample_weight: Array | None = None,
) -> Array:
    """The area under the steps of the curve of precision over recall.

        AP = Σ (Rₖ − Rₖ₋₁) Pₖ

    over the distinct scores, from the highest on: Rₖ is the share of the true samples with a score of at
    least the k-th, and Pₖ the share of true ones among all samples with such a score. The mean over labels
    is known as mean average precision. A label that is never true has 0.

    Args:
        y_true: whether it is true: zeros and ones, or booleans, of shape (n,), or (n, labels) with a column
            for each label.
        y_score: floating-point scores of the same shape, the higher the likelier: logits or probabilities.
        average: how labels are combined: ``"macro"``: the plain mean; ``"weighted"``: the mean weighted by
            how often a label is true; ``"micro"``: all labels' samples as those of one; None: a score for
            each label. With one label it has no meaning.
        sample_weight: weights of shape (n,), zero or more.

    Returns:
        A 0-d array of the scores' dtype, from 0 to 1; of shape (labels,) if average is None.

    Raises:
        TypeError: labels are not integers, scores are not floating-point, or libraries are mixed.
        ValueError: shapes differ, arrays are empty, a label is neither 0 nor 1, a score is NaN, or the
            average is unknown.

    Example:
        >>> import numpy as np
        >>> score = np.asarray([0.9, 0.8, 0.3, 0.1])
        >>> round(float(average_precision(np.asarray([1, 0, 1, 0]), score)), 4)
        0.8333
    """
    _check(y_true, y_score, average, sample_weight)
    true = ops.astype(y_true, y_score.dtype)
    weight = None if sample_weight is None else relative(sample_weight, y_score.dtype)
    if len(true.shape) == 1:
        return _one_label(true, y_score, weight)
    labels = true.shape[1]
    if average == "micro":
        every = None if weight is None else ops.repeat(weight, labels)
        return _one_label(ops.reshape(true, (-1,)), ops.reshape(y_score, (-1,)), every)
    scores = ops.stack([_one_label(true[:, k], y_score[:, k], weight) for k in range(labels)])
    if average is None:
        return scores
    return mean(scores, None) if average == "macro" else _weigh(scores, true, weight)


def _check(y_true: Array, y_score: Array, average: OverLabels, sample_weight: Array | None) -> None:
    if average not in _AVERAGES:
        raise ValueError(f"average must be one of {_AVERAGES}, got {str(average)[:40]!r}")
    check_arrays(sample_weight, y_true=y_true, y_score=y_score)
    check_weights(sample_weight, y_true.shape[0])
    check_label_dtype(y_true, "y_true")
    if not ops.isdtype(y_score.dtype, "real floating"):
        raise TypeError(f"y_score must be floating-point, got dtype {y_score.dtype}; cast it with astype")
    check_same_shape(y_true, y_score)
    if len(y_true.shape) > 2 or y_true.shape[-1] == 0:
        raise ValueError(f"y_true must have shape (n,) or (n, labels), got {tuple(y_true.shape)}")
    check_indicators(y_true, "y_true")
    if holds(ops.any(ops.isnan(y_score))):
        raise ValueError("y_score holds NaN; look for the step that made it, or leave those samples out")


def _one_label(true: Array, score: Array, weight: Array | None) -> Array:
    """The average precision of one label, as a mean over its true samples.

    Each adds to the recall; the precision is that of all samples with a score as high as its own.
    """
    weight = ops.ones_like(true) if weight is None else weight
    descending = ops.negative(score)
    order = ops.argsort(descending, stable=True)
    ranked = ops.take(descending, order)
    hits = ops.take(ops.multiply(true, weight), order)
    last = ops.subtract(ops.searchsorted(ranked, ranked, side="right"), 1)  # of those with the same score
    found = ops.take(ops.cumulative_sum(hits), last)
    seen = ops.take(ops.cumulative_sum(ops.take(weight, order)), last)
    return ratio(ops.sum(ops.multiply(hits, ratio(found, seen))), ops.sum(hits))


def _weigh(scores: Array, true: Array, weight: Array | None) -> Array:
    """The mean of the labels' scores, weighted by how often they are true."""
    column = true if weight is None else ops.multiply(true, ops.expand_dims(weight, axis=1))
    often = ops.sum(column, axis=0)
    return ratio(ops.sum(ops.multiply(scores, often)), ops.sum(often))
