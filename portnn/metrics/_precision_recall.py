"""Precision, recall and F1: three ratios of the same tallies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

from portnn import ops
from portnn._typing import Array
from portnn.metrics._checks import check_arrays, check_weights, float_dtype, mean, ratio
from portnn.metrics._classification import count_labels
from portnn.metrics._labels import as_labels, count_classes
from portnn.ops._weights import relative

Average: TypeAlias = Literal["binary", "micro", "macro", "weighted", "samples"] | None

_MANY = 1 << 20  # classes, each of which takes memory whether it occurs or not
_AVERAGES = ("binary", "micro", "macro", "weighted", "samples", None)


def precision(
    y_true: Array,
    y_pred: Array,
    *,
    average: Average = "macro",
    n_classes: int | None = None,
    sample_weight: Array | None = None,
) -> Array:
    """The share of right ones among the samples predicted to be of a class: tp / (tp + fp).

    A class that was never predicted has precision 0.

    Args:
        y_true: true labels, integer or boolean, of shape (n,); or zeros and ones of shape (n, labels).
        y_pred: predicted labels, of the same shape.
        average: ``"macro"``: the plain mean over the classes that occur in either array, with a weight
            above zero (with several labels per sample: over every column); ``"weighted"``: the mean
            weighted by how often a class is true; ``"micro"``: one ratio over all classes together;
            ``"binary"``: the score of class 1, labels being 0 and 1; ``"samples"``: the mean over
            samples, for several labels only; None: a score for each class.
        n_classes: the number of classes; None reads it from the largest label of both.
        sample_weight: weights of shape (n,), zero or more.

    Returns:
        A 0-d floating-point array from 0 to 1; of shape (n_classes,) if average is None.

    Raises:
        TypeError: labels are not integers, or the arrays are of different libraries.
        ValueError: as `confusion_matrix`; or the average is unknown or does not fit the labels.

    Example:
        >>> import numpy as np
        >>> y_true, y_pred = np.asarray([0, 1, 1, 1]), np.asarray([0, 0, 1, 1])
        >>> precision(y_true, y_pred, average=None).tolist()
        [0.5, 1.0]
        >>> float(precision(y_true, y_pred))
        0.75
    """
    return _score(lambda t: ratio(t.hits, t.predicted), y_true, y_pred, average, n_classes, sample_weight)


def recall(
    y_true: Array,
    y_pred: Array,
    *,
    average: Average = "macro",
    n_classes: int | None = None,
    sample_weight: Array | None = None,
) -> Array:
    """The share of the samples of a class that were found: tp / (tp + fn).

    A class that is never true has recall 0.

    Args:
        y_true: true labels, as for `precision`.
        y_pred: predicted labels, of the same shape.
        average: how classes are combined, as for `precision`.
        n_classes: the number of classes; None reads it from the largest label of both.
        sample_weight: weights of shape (n,), zero or more.

    Returns:
        A 0-d floating-point array from 0 to 1; of shape (n_classes,) if average is None.

    Raises:
        TypeError: as `precision`.
        ValueError: as `precision`.

    Example:
        >>> import numpy as np
        >>> recall(np.asarray([0, 1, 1, 1, 1]), np.asarray([0, 0, 1, 1, 1]), average=None).tolist()
        [1.0, 0.75]
    """
    return _score(lambda t: ratio(t.hits, t.true), y_true, y_pred, average, n_classes, sample_weight)


def f1(
    y_true: Array,
    y_pred: Array,
    *,
    average: Average = "macro",
    n_classes: int | None = None,
    sample_weight: Array | None = None,
) -> Array:
    """The harmonic mean of precision and recall: 2 tp / (2 tp + fp + fn).

    A class that is neither true nor predicted has F1 0. The macro average is the mean of the classes'
    F1, not the F1 of mean precision and mean recall.

    Args:
        y_true: true labels, as for `precision`.
        y_pred: predicted labels, of the same shape.
        average: how classes are combined, as for `precision`.
        n_classes: the number of classes; None reads it from the largest label of both.
        sample_weight: weights of shape (n,), zero or more.

    Returns:
        A 0-d floating-point array from 0 to 1; of shape (n_classes,) if average is None.

    Raises:
        TypeError: as `precision`.
        ValueError: as `precision`.

    The formula is van Rijsbergen's effectiveness measure with equal weights (Information Retrieval, 2nd
    edition, 1979, chapter 7).

    Example:
        >>> import numpy as np
        >>> round(float(f1(np.asarray([0, 1, 1, 0]), np.asarray([0, 1, 0, 0]), average="binary")), 4)
        0.6667
    """
    return _score(_f1_of, y_true, y_pred, average, n_classes, sample_weight)


class _Tally(NamedTuple):
    """Counts or sums of weights, an entry per class (per sample if averaged over samples)."""

    hits: Array
    predicted: Array
    true: Array


def _f1_of(t: _Tally) -> Array:
    return ratio(ops.multiply(t.hits, 2.0), ops.add(t.predicted, t.true))


def _score(
    measure: Callable[[_Tally], Array],
    y_true: Array,
    y_pred: Array,
    average: Average,
    n_classes: int | None,
    sample_weight: Array | None,
) -> Array:
    check_arrays(sample_weight, y_true=y_true, y_pred=y_pred)
    check_weights(sample_weight, y_true.shape[0])
    _check_average(average, y_true)
    if sample_weight is not None:
        sample_weight = relative(sample_weight, float_dtype(sample_weight))
    true, pred = as_labels(y_true, y_pred)
    if len(true.shape) == 2:
        return _score_columns(measure, true, pred, average, n_classes, sample_weight)
    true, pred, n = count_classes(true, pred, 2 if average == "binary" and n_classes is None else n_classes)
    if average is not None and n_classes is None and n > _MANY:
        true, pred, n = _numbered(true, pred)
    tally = _tally_classes(true, pred, n, sample_weight)
    occurs = ops.greater(ops.add(tally.predicted, tally.true), 0)
    return _combine(measure, tally, average, ops.astype(occurs, tally.true.dtype))


def _numbered(true: Array, pred: Array) -> tuple[Array, Array, int]:
    """Labels as places in the row of all labels: those that do not occur change no mean."""
    ordered = ops.sort(ops.concat([true, pred]))
    places = [ops.astype(ops.searchsorted(ordered, y), true.dtype, copy=False) for y in (true, pred)]
    return places[0], places[1], int(ordered.shape[0])


def _score_columns(
    measure: Callable[[_Tally], Array],
    true: Array,
    pred: Array,
    average: Average,
    n_classes: int | None,
    sample_weight: Array | None,
) -> Array:
    """Several labels per sample: each column counts, whether it occurs or not."""
    if n_classes not in (None, true.shape[1]):
        raise ValueError(
            f"n_classes is {n_classes}, but y_true has {true.shape[1]} columns of labels; leave it out"
        )
    dtype = float_dtype(sample_weight, true)
    true, pred = ops.astype(true, dtype), ops.astype(pred, dtype)
    both = ops.multiply(true, pred)
    if average == "samples":
        rows = _Tally(ops.sum(both, axis=1), ops.sum(pred, axis=1), ops.sum(true, axis=1))
        return mean(measure(rows), sample_weight)
    if sample_weight is not None:
        w = ops.expand_dims(ops.astype(sample_weight, dtype, copy=False), axis=1)
        both, pred, true = ops.multiply(both, w), ops.multiply(pred, w), ops.multiply(true, w)
    tally = _Tally(ops.sum(both, axis=0), ops.sum(pred, axis=0), ops.sum(true, axis=0))
    return _combine(measure, tally, average, ops.ones_like(tally.true))


def _tally_classes(true: Array, pred: Array, n: int, sample_weight: Array | None) -> _Tally:
    hits = ops.where(ops.equal(true, pred), true, n)  # n marks a miss and is not counted
    counts = [count_labels(labels, n, sample_weight) for labels in (hits, pred, true)]
    dtype = float_dtype(sample_weight, true)
    return _Tally(*[ops.astype(c, dtype, copy=False) for c in counts])


def _combine(measure: Callable[[_Tally], Array], tally: _Tally, average: Average, occurs: Array) -> Array:
    """One score out of the classes' tallies; `occurs` is 1.0 for the classes of the macro average."""
    if average == "micro":
        return measure(_Tally(*[ops.sum(t) for t in tally]))
    scores = measure(tally)
    if average is None:
        return scores
    if average == "binary":
        return scores[1]
    weights = tally.true if average == "weighted" else occurs
    return ratio(ops.sum(ops.multiply(scores, weights)), ops.sum(weights))


def _check_average(average: Average, y_true: Array) -> None:
    if average not in _AVERAGES:
        known = ", ".join(map(repr, _AVERAGES))
        raise ValueError(f"average must be one of {known}, got {str(average)[:40]!r}")
    several = len(y_true.shape) == 2
    if average == "samples" and not several:
        raise ValueError("average='samples' needs several labels per sample, shape (n, labels); try 'macro'")
    if average == "binary" and several:
        raise ValueError("average='binary' needs one label per sample, shape (n,); try 'macro' or None")
