"""What is reported of a training or an evaluation, by the task that the loss is for."""

from __future__ import annotations

from math import inf

from portnn import ops
from portnn._typing import Array
from portnn.losses import Task

__all__ = ["check_predictions", "count_right", "decide", "score_of"]


def decide(predictions: Array, task: Task) -> Array:
    """Decisions from raw predictions: the likeliest class, or yes for each label with a positive logit."""
    if task is Task.CLASSES:
        return ops.argmax(predictions, axis=-1)
    return ops.greater(predictions, 0.0)


def check_predictions(name: str, y: Array, task: Task, dtype: str, *, raw: bool, before: int = 0) -> None:
    """Check that predictions are usable.

    No prediction may be NaN, and values must be finite. Of the raw predictions of classes, the largest one of
    each sample must be finite, since an infinite one gives no probabilities. Other raw predictions may be
    infinite: they give probabilities of 0 or 1.

    Args:
        name: the method that was called.
        y: predictions (n, ...).
        task: what the loss is for.
        dtype: what the network computes in.
        raw: whether they are the output of the last layer.
        before: the number of samples before these, for positions in errors.

    Raises:
        ValueError: if one is not; the message names the first such sample.
    """
    finite = ops.isfinite(y)
    if bool(ops.all(finite)):
        return
    if raw and task is Task.CLASSES:
        largest = ops.max(
            ops.where(finite, y, -inf), axis=-1, keepdims=True
        )  # XLA's maximum of NaN may be a number
        good = ops.logical_and(ops.less(y, inf), ops.isfinite(largest))
    else:
        good = finite if task is Task.VALUES else ops.logical_not(ops.isnan(y))
    rows = ops.all(ops.reshape(good, (good.shape[0], -1)), axis=1)
    if bool(ops.all(rows)):
        return
    first = before + int(ops.argmin(ops.astype(rows, "int32")))
    raise ValueError(
        f"{name}: the prediction for sample {first} is NaN or infinite; the parameters, or the inputs for "
        f"them, are too large for {dtype}; scale inputs to about 1, or train with a smaller learning rate"
    )


def _truth(y: Array, task: Task, decisions: Array) -> Array:
    """Targets in the form of decisions: labels from one-hot rows, booleans from numbers."""
    if task is Task.LABELS:
        return ops.greater(y, 0.5)
    return ops.argmax(y, axis=-1) if len(y.shape) > len(decisions.shape) else y


def count_right(predictions: Array, y: Array, weight: Array | None, task: Task) -> Array:
    """How many samples of a batch are wholly right, by weight; a 0-d array, so that no GPU has to wait."""
    decisions = decide(predictions, task)
    right = ops.equal(decisions, _truth(y, task, decisions))
    while len(right.shape) > 1:
        right = ops.all(right, axis=-1)
    return ops.count_nonzero(right) if weight is None else ops.sum(ops.where(right, weight, 0.0))


def score_of(predictions: Array, shown: Array, y: Array, task: Task, weight: Array | None) -> float:
    """Accuracy for classes and labels, R² for values.

    Args:
        predictions: raw predictions.
        shown: what the loss's link makes of them.
        y: targets.
        task: what the loss is for.
        weight: sample weights, or None.
    """
    from portnn import metrics  # a score is not needed to train

    if task is Task.VALUES:
        return float(metrics.r2(y, shown, sample_weight=weight))
    if weight is None:  # whole numbers: exact, and the same on every backend
        return int(count_right(predictions, y, None, task)) / predictions.shape[0]
    decisions = decide(predictions, task)
    return float(metrics.accuracy(_truth(y, task, decisions), decisions, sample_weight=weight))
