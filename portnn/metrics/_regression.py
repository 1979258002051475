"""Metrics of predicted values."""

from __future__ import annotations

from typing import Literal, TypeAlias

from portnn import ops
from portnn._typing import Array
from portnn.metrics._checks import (
    check_arrays,
    check_finite,
    check_same_shape,
    check_weights,
    float_dtype,
    mean,
)
from portnn.ops._half import in_float32

MultiOutput: TypeAlias = Literal["uniform_average", "raw_values"]


@in_float32
def mean_absolute_error(
    y_true: Array,
    y_pred: Array,
    *,
    sample_weight: Array | None = None,
    multioutput: MultiOutput = "uniform_average",
) -> Array:
    """The mean distance between prediction and truth, in the unit of the values.

    Args:
        y_true: true values, real, of shape (n,) or (n, outputs).
        y_pred: predicted values, of the same shape.
        sample_weight: weights of shape (n,), zero or more.
        multioutput: ``"uniform_average"`` averages the outputs' scores, ``"raw_values"`` returns them.

    Returns:
        A floating-point array, 0-d or of shape (outputs,).

    Raises:
        TypeError: values are not real numbers, or the arrays are of different libraries.
        ValueError: shapes differ, arrays are empty, or hold NaN or infinity.

    Example:
        >>> import numpy as np
        >>> float(mean_absolute_error(np.asarray([1.0, 2.0]), np.asarray([1.5, 1.0])))
        0.75
    """
    true, pred = _check(y_true, y_pred, sample_weight, multioutput)
    return _combine(mean(ops.abs(ops.subtract(true, pred)), sample_weight), y_true, multioutput)


@in_float32
def mean_squared_error(
    y_true: Array,
    y_pred: Array,
    *,
    sample_weight: Array | None = None,
    multioutput: MultiOutput = "uniform_average",
) -> Array:
    """The mean squared distance between prediction and truth, in the unit of the values squared.

    Args:
        y_true: true values, real, of shape (n,) or (n, outputs).
        y_pred: predicted values, of the same shape.
        sample_weight: weights of shape (n,), zero or more.
        multioutput: ``"uniform_average"`` averages the outputs' scores, ``"raw_values"`` returns them.

    Returns:
        A floating-point array, 0-d or of shape (outputs,).

    Raises:
        TypeError: values are not real numbers, or the arrays are of different libraries.
        ValueError: shapes differ, arrays are empty, or hold NaN or infinity.

    Example:
        >>> import numpy as np
        >>> float(mean_squared_error(np.asarray([1.0, 2.0]), np.asarray([1.5, 1.0])))
        0.625
    """
    true, pred = _check(y_true, y_pred, sample_weight, multioutput)
    return _combine(mean(ops.square(ops.subtract(true, pred)), sample_weight), y_true, multioutput)


@in_float32
def root_mean_squared_error(
    y_true: Array,
    y_pred: Array,
    *,
    sample_weight: Array | None = None,
    multioutput: MultiOutput = "uniform_average",
) -> Array:
    """The square root of the mean squared error, in the unit of the values.

    With several outputs the root is taken of each before they are averaged.

    Args:
        y_true: true values, real, of shape (n,) or (n, outputs).
        y_pred: predicted values, of the same shape.
        sample_weight: weights of shape (n,), zero or more.
        multioutput: ``"uniform_average"`` averages the outputs' scores, ``"raw_values"`` returns them.

    Returns:
        A floating-point array, 0-d or of shape (outputs,).

    Raises:
        TypeError: values are not real numbers, or the arrays are of different libraries.
        ValueError: shapes differ, arrays are empty, or hold NaN or infinity.

    Example:
        >>> import numpy as np
        >>> float(root_mean_squared_error(np.asarray([1.0, 2.0]), np.asarray([4.0, 5.0])))
        3.0
    """
    true, pred = _check(y_true, y_pred, sample_weight, multioutput)
    squares = mean(ops.square(ops.subtract(true, pred)), sample_weight)
    return _combine(ops.sqrt(squares), y_true, multioutput)


@in_float32
def r2(
    y_true: Array,
    y_pred: Array,
    *,
    sample_weight: Array | None = None,
    multioutput: MultiOutput = "uniform_average",
) -> Array:
    """The coefficient of determination: the share of the variance of the truth that is explained.

        R² = 1 − Σ w (y − ŷ)² / Σ w (y − ȳ)²

    1 is perfect, 0 is as good as always predicting the mean ȳ, below 0 is worse. Where the truth is
    constant, a perfect prediction has 1 and any other 0.

    Args:
        y_true: true values, real, of shape (n,) or (n, outputs), n at least 2.
        y_pred: predicted values, of the same shape.
        sample_weight: weights of shape (n,), zero or more.
        multioutput: ``"uniform_average"`` averages the outputs' scores, ``"raw_values"`` returns them.

    Returns:
        A floating-point array, 0-d or of shape (outputs,).

    Raises:
        TypeError: values are not real numbers, or the arrays are of different libraries.
        ValueError: shapes differ, there are fewer than two samples, or arrays hold NaN or infinity.

    Example:
        >>> import numpy as np
        >>> float(r2(np.asarray([1.0, 2.0, 3.0]), np.asarray([1.0, 2.0, 2.0])))
        0.5
    """
    true, pred = _check(y_true, y_pred, sample_weight, multioutput)
    if true.shape[0] < 2:
        raise ValueError("r2 needs at least 2 samples, got 1: the variance of one value is zero")
    unexplained = mean(ops.square(ops.subtract(true, pred)), sample_weight)
    variance = mean(ops.square(ops.subtract(true, mean(true, sample_weight))), sample_weight)
    constant = ops.equal(variance, 0)
    lost = ops.divide(unexplained, ops.where(constant, 1.0, variance))
    # A constant truth loses all or nothing.
    all_or_nothing = ops.astype(ops.greater(unexplained, 0), lost.dtype)
    return _combine(ops.subtract(1.0, ops.where(constant, all_or_nothing, lost)), y_true, multioutput)


def _check(
    y_true: Array, y_pred: Array, sample_weight: Array | None, multioutput: MultiOutput
) -> tuple[Array, Array]:
    """Both arrays in the dtype to compute in."""
    if multioutput not in ("uniform_average", "raw_values"):
        raise ValueError(
            f"multioutput must be 'uniform_average' or 'raw_values', got {str(multioutput)[:40]!r}"
        )
    check_arrays(sample_weight, y_true=y_true, y_pred=y_pred)
    check_same_shape(y_true, y_pred)
    check_weights(sample_weight, y_true.shape[0])
    for name, y in (("y_true", y_true), ("y_pred", y_pred)):
        if not ops.isdtype(y.dtype, ("real floating", "integral")):
            raise TypeError(f"{name} must hold real numbers, got dtype {y.dtype}")
        if len(y.shape) > 2:
            raise ValueError(f"{name} must have shape (n,) or (n, outputs), got {tuple(y.shape)}; reshape it")
        check_finite(y, name)
    dtype = float_dtype(y_true, y_pred, sample_weight)
    return ops.astype(y_true, dtype, copy=False), ops.astype(y_pred, dtype, copy=False)


def _combine(scores: Array, y_true: Array, multioutput: MultiOutput) -> Array:
    """The outputs' scores, averaged if asked for."""
    return scores if multioutput == "raw_values" or len(y_true.shape) == 1 else ops.mean(scores)
