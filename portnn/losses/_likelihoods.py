"""Negative log-likelihoods: losses for real values whose predictions are parameters of a distribution."""

from __future__ import annotations

from math import log

from portnn import ops
from portnn._typing import Array
from portnn.autodiff import stop_gradient
from portnn.losses._checks import check_floating, check_library, check_real_targets, check_same_shape
from portnn.losses._loss import Task, make_loss
from portnn.losses._reduce import Reduction, check_reduction, reduced
from portnn.ops._options import check_flag

__all__ = ["gaussian_nll", "poisson_nll"]

# The least variance that counts, as in PyTorch: below it the loss would reward certainty without end.
_LEAST_LOG_VARIANCE = log(1e-6)


def _rates(predictions: Array, *, log_input: bool = True) -> Array:
    """The expected counts."""
    return ops.exp(predictions) if log_input else predictions


@make_loss(task=Task.VALUES, link=_rates)
def poisson_nll(
    predictions: Array,
    targets: Array,
    *,
    log_input: bool = True,
    sample_weight: Array | None = None,
    reduction: Reduction = "mean",
) -> Array:
    """Negative log-likelihood of counts under Poisson distributions, without the term of the target alone.

    ``exp(x) - t x`` for the logarithm x of the expected count, or ``x - t log(x + 1e-8)`` for the count
    itself. As ``torch.nn.functional.poisson_nll_loss``; McCullagh and Nelder, Generalized linear models
    (1989), section 6.2.

    Args:
        predictions: logarithms of expected counts, a real floating-point array of any shape; at most 88 in
            float32 and 709 in float64, beyond which the count is infinite.
        targets: counts, of the same shape and any real dtype.
        log_input: False if the predictions are the expected counts themselves, which are not negative.
        sample_weight: weight for each sample, of shape (n,) or any longer beginning of that shape.
        reduction: "mean" over all elements, "sum", or "none" for a loss of that shape.

    Returns:
        The loss in the dtype of the predictions; a scalar unless `reduction` is "none".

    Raises:
        TypeError: if the predictions are not floating-point or the targets not real.
        ValueError: if shapes differ or the batch is empty.

    Example:
        >>> import numpy as np
        >>> poisson_nll(np.asarray([0.0, 1.0]), np.asarray([2, 3]), reduction="none").round(4).tolist()
        [1.0, -0.2817]
    """
    check_flag("poisson_nll", "log_input", log_input)
    check_floating("poisson_nll", "predictions", predictions)
    check_real_targets("poisson_nll", targets)
    check_same_shape("poisson_nll", "predictions", predictions, targets)
    check_reduction("poisson_nll", predictions.shape, sample_weight, reduction)
    t = ops.astype(targets, predictions.dtype, copy=False)
    rate = _rates(predictions, log_input=log_input)
    log_rate = predictions if log_input else ops.log(predictions + 1e-8)
    return reduced(ops.subtract(rate, ops.multiply(t, log_rate)), sample_weight, reduction)


def _means(predictions: Array, *, log_variance: Array | None = None) -> Array:
    """The means among the predictions."""
    return predictions if log_variance is not None else predictions[..., : predictions.shape[-1] // 2]


@make_loss(task=Task.VALUES, link=_means)
def gaussian_nll(
    predictions: Array,
    targets: Array,
    log_variance: Array | None = None,
    *,
    sample_weight: Array | None = None,
    reduction: Reduction = "mean",
) -> Array:
    """Negative log-likelihood of values under normal distributions, without its constant.

    ``(v + (m - t)^2 / exp(v)) / 2`` for the mean m and the logarithm v of the variance. The logarithm,
    since it may be any number: no output of a network stands for a variance that is not positive. A
    variance below 1e-6 counts as that, as in ``torch.nn.functional.gaussian_nll_loss``, and like there the
    gradient by v does not stop below it. Nix and Weigend, Estimating the mean and variance of the
    target probability distribution (1994), equation 2.

    Args:
        predictions: real floating-point array: the means alone, of the shape of the targets; or, for a
            network that predicts both, of shape (..., 2 k) with k means before k logarithms of variances.
        targets: array of shape (..., k) and any real dtype.
        log_variance: logarithms of variances, of the shape of the targets; None: `predictions` has them.
        sample_weight: weight for each sample, of shape (n,) or any longer beginning of (..., k).
        reduction: "mean" over all elements, "sum", or "none" for a loss of shape (..., k).

    Returns:
        The loss in the dtype of the predictions; a scalar unless `reduction` is "none".

    Raises:
        TypeError: if predictions or `log_variance` are not floating-point, or the targets not real.
        ValueError: if shapes do not fit or the batch is empty.

    Example:
        >>> import numpy as np
        >>> mean, log_variance = np.asarray([[1.0]]), np.asarray([[0.0]])
        >>> float(gaussian_nll(mean, np.asarray([[3.0]]), log_variance))
        2.0
        >>> float(gaussian_nll(np.asarray([[1.0, 0.0]]), np.asarray([[3.0]])))
        2.0
    """
    _check_gaussian(predictions, targets, log_variance)
    check_reduction("gaussian_nll", targets.shape, sample_weight, reduction)
    mean = _means(predictions, log_variance=log_variance)
    v = predictions[..., predictions.shape[-1] // 2 :] if log_variance is None else log_variance
    d = ops.subtract(mean, ops.astype(targets, predictions.dtype, copy=False))
    # v minus itself is 0 with the derivative 1: below the least variance the gradient goes on as if at it.
    least = ops.subtract(v, stop_gradient(v)) + _LEAST_LOG_VARIANCE
    raised = ops.where(ops.less(v, _LEAST_LOG_VARIANCE), least, v)
    losses = ops.add(raised, ops.multiply(ops.square(d), ops.exp(ops.negative(raised)))) * 0.5
    return reduced(losses, sample_weight, reduction)


def _check_gaussian(predictions: Array, targets: Array, log_variance: Array | None) -> None:
    name = "gaussian_nll"
    check_floating(name, "predictions", predictions)
    check_real_targets(name, targets)
    if log_variance is not None:
        check_floating(name, "log_variance", log_variance)
        check_same_shape(name, "predictions", predictions, targets)
        check_same_shape(name, "log_variance", log_variance, targets)
        return
    check_library(name, predictions, targets)
    shape, wanted = tuple(predictions.shape), tuple(targets.shape)
    if not wanted or shape != (*wanted[:-1], 2 * wanted[-1]):
        raise ValueError(
            f"{name}: targets have shape {wanted}, predictions {shape}; without log_variance the last axis "
            "of the predictions holds as many means, then as many logarithms of variances"
        )
