"""The losses of scikit-learn's perceptrons, with its constants, so that loss curves can be compared.

A loss for several outputs is their sum, of which scikit-learn takes the gradient throughout; of squared
errors it reports the mean over the outputs, and so is the value here.
"""

from __future__ import annotations

from portnn import ops
from portnn._typing import Array
from portnn.autodiff import stop_gradient
from portnn.losses import Loss, Task, poisson_nll, sigmoid_cross_entropy, squared_error
from portnn.ops._weights import relative

__all__ = ["half_poisson", "half_squared_error", "labels_log_loss"]


def _labels_log_loss(predictions: Array, targets: Array, *, sample_weight: Array | None = None) -> Array:
    """Sigmoid cross-entropy, summed over labels."""
    return sigmoid_cross_entropy(predictions, targets, sample_weight=sample_weight) * predictions.shape[-1]


def _half_squared_error(predictions: Array, targets: Array, *, sample_weight: Array | None = None) -> Array:
    """Half the squared error: the value that of its mean over outputs, the gradient that of its sum."""
    mean = squared_error(predictions, targets, sample_weight=sample_weight) * 0.5
    outputs = predictions.shape[-1] if len(predictions.shape) > 1 else 1
    if outputs == 1:
        return mean
    return ops.add(mean, ops.subtract(mean, stop_gradient(mean)) * (outputs - 1))


def _half_poisson(predictions: Array, targets: Array, *, sample_weight: Array | None = None) -> Array:
    """Half the deviance of Poisson distributions from the logarithms of their rates, summed over outputs:
    ``exp(x) - t x + t log(t) - t``.
    """
    positive = ops.greater(targets, 0.0)
    entropy = ops.multiply(targets, ops.log(ops.where(positive, targets, 1.0)))
    rest = ops.mean(ops.subtract(entropy, targets), axis=-1)
    if sample_weight is None:
        constant = ops.mean(rest)
    else:
        weight = relative(sample_weight, rest.dtype)
        total = ops.sum(weight)
        total = ops.where(ops.greater(total, 0.0), total, 1.0)
        constant = ops.divide(ops.sum(ops.multiply(rest, weight)), total)
    likelihood = poisson_nll(predictions, targets, sample_weight=sample_weight)
    return ops.add(likelihood, constant) * predictions.shape[-1]


labels_log_loss = Loss(_labels_log_loss, task=Task.LABELS, link=ops.sigmoid)
half_squared_error = Loss(_half_squared_error, task=Task.VALUES)
half_poisson = Loss(_half_poisson, task=Task.VALUES, link=ops.exp)
