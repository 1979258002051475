"""Losses for real values. Predictions and targets have the same shape, (n, outputs) as a rule."""

from __future__ import annotations

from math import isfinite, log

from portnn import ops
from portnn._typing import Array
from portnn.autodiff import stop_gradient
from portnn.losses._checks import check_floating, check_real_targets, check_same_shape
from portnn.losses._loss import Task, make_loss
from portnn.losses._reduce import Reduction, check_reduction, reduced
from portnn.tracing import namespace, primitive

__all__ = ["absolute_error", "cosine_distance", "huber", "log_cosh", "squared_error"]


def _checked_difference(
    name: str, predictions: Array, targets: Array, sample_weight: Array | None, reduction: str
) -> Array:
    """Predictions minus targets, both checked, in the dtype of the predictions."""
    _check(name, predictions, targets)
    check_reduction(name, predictions.shape, sample_weight, reduction)
    return ops.subtract(predictions, _in_dtype_of(predictions, targets))


def _check(name: str, predictions: Array, targets: Array) -> None:
    check_floating(name, "predictions", predictions)
    check_real_targets(name, targets)
    check_same_shape(name, "predictions", predictions, targets)


def _in_dtype_of(predictions: Array, targets: Array) -> Array:
    return targets if targets.dtype == predictions.dtype else ops.astype(targets, predictions.dtype)


@make_loss(task=Task.VALUES)
def squared_error(
    predictions: Array, targets: Array, *, sample_weight: Array | None = None, reduction: Reduction = "mean"
) -> Array:
    """Squared error ``(p - t)^2``; its minimum is the conditional mean.

    Args:
        predictions: real floating-point array of any shape, (n, outputs) as a rule.
        targets: array of the same shape and any real dtype.
        sample_weight: weight for each sample, of shape (n,) or any longer beginning of that shape.
        reduction: "mean" over all elements, "sum", or "none" for a loss of that shape.

    Returns:
        The loss in the dtype of the predictions; a scalar unless `reduction` is "none".

    Raises:
        TypeError: if the predictions are not floating-point or the targets not real.
        ValueError: if shapes differ or the batch is empty.

    Example:
        >>> import numpy as np
        >>> float(squared_error(np.asarray([1.0, 2.0]), np.asarray([1.0, 4.0])))
        2.0
    """
    d = _checked_difference("squared_error", predictions, targets, sample_weight, reduction)
    return reduced(ops.square(d), sample_weight, reduction)


@make_loss(task=Task.VALUES)
def absolute_error(
    predictions: Array, targets: Array, *, sample_weight: Array | None = None, reduction: Reduction = "mean"
) -> Array:
    """Absolute error ``|p - t|``; its minimum is the conditional median, and its derivative at 0 is 0.

    Args:
        predictions: real floating-point array of any shape, (n, outputs) as a rule.
        targets: array of the same shape and any real dtype.
        sample_weight: weight for each sample, of shape (n,) or any longer beginning of that shape.
        reduction: "mean" over all elements, "sum", or "none" for a loss of that shape.

    Returns:
        The loss in the dtype of the predictions; a scalar unless `reduction` is "none".

    Raises:
        TypeError: if the predictions are not floating-point or the targets not real.
        ValueError: if shapes differ or the batch is empty.

    Example:
        >>> import numpy as np
        >>> float(absolute_error(np.asarray([1.0, 2.0]), np.asarray([1.0, 4.0])))
        1.0
    """
    d = _checked_difference("absolute_error", predictions, targets, sample_weight, reduction)
    return reduced(ops.abs(d), sample_weight, reduction)


@make_loss(task=Task.VALUES)
def huber(
    predictions: Array,
    targets: Array,
    *,
    delta: float = 1.0,
    sample_weight: Array | None = None,
    reduction: Reduction = "mean",
) -> Array:
    """Half the squared error up to `delta`, and from there on a straight line with the slope `delta`.

    With ``c = clip(d, -delta, delta)`` that is ``c (d - c / 2)``. Huber, Robust estimation of a location
    parameter (1964).

    Args:
        predictions: real floating-point array of any shape, (n, outputs) as a rule.
        targets: array of the same shape and any real dtype.
        delta: where the parabola ends, positive.
        sample_weight: weight for each sample, of shape (n,) or any longer beginning of that shape.
        reduction: "mean" over all elements, "sum", or "none" for a loss of that shape.

    Returns:
        The loss in the dtype of the predictions; a scalar unless `reduction` is "none".

    Raises:
        TypeError: if the predictions are not floating-point or the targets not real.
        ValueError: if shapes differ, the batch is empty, or `delta` is not positive.

    Example:
        >>> import numpy as np
        >>> huber(np.asarray([0.5, 3.0]), np.asarray([0.0, 0.0]), reduction="none").tolist()
        [0.125, 2.5]
    """
    if not (delta > 0.0 and isfinite(delta)):
        raise ValueError(f"huber: delta must be positive and finite, got {delta}")
    d = _checked_difference("huber", predictions, targets, sample_weight, reduction)
    c = ops.clip(d, -delta, delta)
    return reduced(ops.multiply(c, ops.subtract(d, c * 0.5)), sample_weight, reduction)


@primitive
def _log_cosh(d: Array, /) -> Array:
    """log(cosh(d)): near 0 as ``log(1 + 2 sinh(d/2)^2)``, which keeps the digits of small losses, and
    elsewhere as ``|d| + log(1 + exp(-2|d|)) - log(2)``, which cannot overflow.
    """
    xp = namespace(d)
    a = xp.abs(d)
    s = xp.sinh(xp.minimum(a, 1.0) * 0.5)
    return xp.where(a < 1.0, xp.log1p(s * s * 2.0), a + (xp.log1p(xp.exp(a * -2.0)) - log(2.0)))


_log_cosh.vjp(lambda g, y, d: ops.multiply(g, ops.tanh(d)))


@make_loss(task=Task.VALUES)
def log_cosh(
    predictions: Array, targets: Array, *, sample_weight: Array | None = None, reduction: Reduction = "mean"
) -> Array:
    """``log(cosh(p - t))``: half the squared error if it is small, else the absolute error less log 2.

    Args:
        predictions: real floating-point array of any shape, (n, outputs) as a rule.
        targets: array of the same shape and any real dtype.
        sample_weight: weight for each sample, of shape (n,) or any longer beginning of that shape.
        reduction: "mean" over all elements, "sum", or "none" for a loss of that shape.

    Returns:
        The loss in the dtype of the predictions; a scalar unless `reduction` is "none".

    Raises:
        TypeError: if the predictions are not floating-point or the targets not real.
        ValueError: if shapes differ or the batch is empty.

    Example:
        >>> import numpy as np
        >>> log_cosh(np.asarray([1.0, 1e4]), np.asarray([0.0, 0.0]), reduction="none").round(4).tolist()
        [0.4338, 9999.3069]
    """
    d = _checked_difference("log_cosh", predictions, targets, sample_weight, reduction)
    return reduced(_log_cosh(d), sample_weight, reduction)


@make_loss(task=Task.VALUES)
def cosine_distance(
    predictions: Array, targets: Array, *, sample_weight: Array | None = None, reduction: Reduction = "mean"
) -> Array:
    """One minus the cosine of the angle between predictions and targets along the last axis.

    A zero vector has no direction: its distance to anything is 1, and the gradient there is 0.

    Args:
        predictions: real floating-point array of shape (..., features).
        targets: array of the same shape and any real dtype.
        sample_weight: weight for each sample, of shape (n,) or any longer beginning of (...).
        reduction: "mean", "sum", or "none" for a loss of shape (...).

    Returns:
        The loss, from 0 to 2, in the dtype of the predictions; a scalar unless `reduction` is "none".

    Raises:
        TypeError: if the predictions are not floating-point or the targets not real.
        ValueError: if shapes differ, there are no features, or the batch is empty.

    Example:
        >>> import numpy as np
        >>> p, t = np.asarray([[1.0, 0.0], [0.0, 0.0]]), np.asarray([[3.0, 3.0], [1.0, 0.0]])
        >>> cosine_distance(p, t, reduction="none").round(4).tolist()
        [0.2929, 1.0]
    """
    _check("cosine_distance", predictions, targets)
    shape = tuple(predictions.shape)
    if not shape or not shape[-1]:
        raise ValueError(f"cosine_distance: expected arrays of shape (..., features), got {shape}")
    check_reduction("cosine_distance", shape[:-1], sample_weight, reduction)
    p, t = _scaled(predictions), _scaled(_in_dtype_of(predictions, targets))
    square = ops.multiply(_squares(p), _squares(t))
    zero = ops.equal(square, 0.0)  # asked in this way NaN stays NaN
    dot = ops.sum(ops.multiply(p, t), axis=-1)
    cosine = ops.where(zero, 0.0, ops.divide(dot, ops.sqrt(ops.where(zero, 1.0, square))))
    return reduced(ops.subtract(1.0, cosine), sample_weight, reduction)


def _squares(x: Array) -> Array:
    return ops.sum(ops.square(x), axis=-1)


def _scaled(x: Array) -> Array:
    """Vectors over their largest element, so that no square overflows or underflows.

    The cosine does not depend on the scale, so the gradient needs nothing from it.
    """
    largest = stop_gradient(ops.max(ops.abs(x), axis=-1, keepdims=True))
    tiny = float(ops.finfo(x.dtype).smallest_normal)
    return ops.divide(x, ops.where(ops.greater(largest, tiny), largest, 1.0))
