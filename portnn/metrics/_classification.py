"""Accuracy and the confusion matrix."""

from __future__ import annotations

from portnn import ops
from portnn._typing import Array
from portnn.metrics._checks import check_arrays, check_weights, float_dtype, mean
from portnn.metrics._labels import as_labels, count_classes
from portnn.ops._indexing import scatter_add
from portnn.ops._options import check_flag


def accuracy(
    y_true: Array, y_pred: Array, *, normalize: bool = True, sample_weight: Array | None = None
) -> Array:
    """The share of samples whose label is predicted exactly.

    With several labels per sample, a sample counts when its whole row is right (subset accuracy).

    Args:
        y_true: true labels, integer or boolean, of shape (n,); or zeros and ones of shape (n, labels).
        y_pred: predicted labels, of the same shape.
        normalize: False returns the number (or total weight) of right samples instead of their share.
        sample_weight: weights of shape (n,), zero or more.

    Returns:
        A 0-d floating-point array, from 0 to 1 when normalised.

    Raises:
        TypeError: labels are not integers, or the arrays are of different libraries.
        ValueError: shapes differ, the arrays are empty, or weights are negative or not finite.

    Example:
        >>> import numpy as np
        >>> float(accuracy(np.asarray([7, 2, 1, 0]), np.asarray([7, 2, 1, 6])))
        0.75
    """
    check_flag("accuracy", "normalize", normalize)
    check_arrays(sample_weight, y_true=y_true, y_pred=y_pred)
    check_weights(sample_weight, y_true.shape[0])
    true, pred = as_labels(y_true, y_pred)
    right = ops.equal(true, pred)
    if len(right.shape) == 2:
        right = ops.all(right, axis=1)
    hits = ops.astype(right, float_dtype(sample_weight, y_true))
    if normalize:
        return mean(hits, sample_weight)
    if sample_weight is not None:
        hits = ops.multiply(hits, ops.astype(sample_weight, hits.dtype, copy=False))
    return ops.sum(hits)


def confusion_matrix(
    y_true: Array, y_pred: Array, *, n_classes: int | None = None, sample_weight: Array | None = None
) -> Array:
    """How often each class was taken for each: row i, column j counts samples of class i predicted as j.

    Args:
        y_true: true labels, integer or boolean, of shape (n,), from 0 to n_classes - 1.
        y_pred: predicted labels, of the same shape.
        n_classes: the number of classes; None reads it from the largest label of both.
        sample_weight: weights of shape (n,), zero or more; the matrix then holds sums of weights.

    Returns:
        An array of shape (n_classes, n_classes): integers, or floating-point numbers with weights.

    Raises:
        TypeError: labels are not integers, or the arrays are of different libraries.
        ValueError: shapes differ, the arrays are empty, a label is out of range, weights are negative or
            not finite, or labels are not known yet (inside ``jax.jit``) and n_classes is None.

    Example:
        >>> import numpy as np
        >>> confusion_matrix(np.asarray([0, 1, 2, 2]), np.asarray([0, 2, 2, 2])).tolist()
        [[1, 0, 0], [0, 0, 1], [0, 0, 2]]
    """
    check_arrays(sample_weight, y_true=y_true, y_pred=y_pred)
    check_weights(sample_weight, y_true.shape[0])
    true, pred = as_labels(y_true, y_pred)
    if len(true.shape) != 1:
        raise ValueError(
            f"confusion_matrix takes one label per sample, got shape {tuple(true.shape)}; "
            "for one-hot rows pass argmax(y, axis=-1), for several labels give it one column at a time"
        )
    true, pred, n = count_classes(true, pred, n_classes)
    return count_pairs(true, pred, n, sample_weight)


def count_pairs(true: Array, pred: Array, n: int, sample_weight: Array | None) -> Array:
    """The confusion matrix of checked labels."""
    if n * n > ops.iinfo(true.dtype).max:
        raise ValueError(
            f"confusion_matrix: n_classes={n} needs more cells than {true.dtype} can number; precision, "
            "recall and f1 need no matrix"
        )
    cells = ops.add(ops.multiply(true, n), pred)
    return ops.reshape(count_labels(cells, n * n, sample_weight), (n, n))


def count_labels(labels: Array, n: int, sample_weight: Array | None) -> Array:
    """Count each number from 0 to n - 1, or sum its weights; larger numbers are ignored.

    Sorting needs no (samples, n) array, and integers stay exact.

    Args:
        labels: integers (samples,), not negative.
        n: the length of the result.
        sample_weight: weights (samples,), or None.

    Returns:
        An array (n,) of the dtype of the labels, or a floating-point one with weights.
    """
    if sample_weight is not None:
        weights = ops.astype(sample_weight, float_dtype(sample_weight), copy=False)
        return scatter_add(weights, labels, length=n)
    ordered = ops.sort(labels)
    edges = ops.searchsorted(ordered, ops.arange(n + 1, dtype=labels.dtype, like=labels))
    return ops.astype(ops.subtract(edges[1:], edges[:-1]), labels.dtype, copy=False)
