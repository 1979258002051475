"""Losses for yes or no, for one or several labels, with logits and targets of the same shape."""

from __future__ import annotations

from portnn import ops
from portnn._typing import Array
from portnn.losses._checks import check_floating, check_fraction, check_real_targets, check_same_shape
from portnn.losses._focal import check_gamma, modulated
from portnn.losses._loss import Task, make_loss
from portnn.losses._reduce import Reduction, check_reduction, reduced

__all__ = ["hinge", "sigmoid_cross_entropy", "sigmoid_focal"]


def _checked(name: str, logits: Array, targets: Array, sample_weight: Array | None, reduction: str) -> Array:
    """Check what all of these losses take; the targets in the dtype of the logits."""
    check_floating(name, "logits", logits)
    check_real_targets(name, targets)
    check_same_shape(name, "logits", logits, targets)
    check_reduction(name, logits.shape, sample_weight, reduction)
    return targets if targets.dtype == logits.dtype else ops.astype(targets, logits.dtype)


@make_loss(task=Task.LABELS, link=ops.sigmoid)
def sigmoid_cross_entropy(
    logits: Array,
    targets: Array,
    *,
    positive_weights: Array | None = None,
    label_smoothing: float = 0.0,
    sample_weight: Array | None = None,
    reduction: Reduction = "mean",
) -> Array:
    """Cross-entropy between targets and the sigmoid of logits: ``-t log(p) - (1 - t) log(1 - p)``.

    Also called binary cross-entropy or log loss; the gradient is sigmoid minus target (Bishop, Pattern
    recognition and machine learning, 2006, equation 4.91).

    Args:
        logits: real floating-point array of any shape, (n, labels) as a rule.
        targets: 0 or 1, or probabilities between, of the shape of `logits` and any real dtype.
        positive_weights: factor on the loss of positive targets, of a shape that broadcasts to that of
            `logits`: () for all labels, (labels,) for each. PyTorch's ``pos_weight``.
        label_smoothing: share of the target, from 0 to below 1, that is moved to one half.
        sample_weight: weight for each sample, of shape (n,) or any longer beginning of the shape of `logits`.
        reduction: "mean" over all elements, "sum", or "none" for a loss of the shape of `logits`.

    Returns:
        The loss in nats, in the dtype of the logits; a scalar unless `reduction` is "none".

    Raises:
        TypeError: if the logits are not floating-point or the targets not real.
        ValueError: if shapes do not fit, the batch is empty, or an option is out of range.

    Example:
        >>> import numpy as np
        >>> logits, targets = np.asarray([[0.0, 2.0]]), np.asarray([[1, 0]])
        >>> sigmoid_cross_entropy(logits, targets, reduction="none").round(4).tolist()
        [[0.6931, 2.1269]]
    """
    name = "sigmoid_cross_entropy"
    t = _checked(name, logits, targets, sample_weight, reduction)
    check_fraction(name, "label_smoothing", label_smoothing)
    if positive_weights is not None:
        _check_positive_weights(name, positive_weights, tuple(logits.shape))
    if label_smoothing:
        t = t * (1.0 - label_smoothing) + label_smoothing / 2.0
    losses = ops.sigmoid_cross_entropy(logits, t)
    if positive_weights is not None:
        # The positive part, t softplus(-x), once more for each unit of weight above 1.
        extra = ops.multiply(t, ops.astype(positive_weights, logits.dtype, copy=False) - 1.0)
        losses = ops.add(losses, ops.multiply(extra, ops.logaddexp(ops.negative(logits), 0.0)))
    return reduced(losses, sample_weight, reduction)


def _check_positive_weights(name: str, weights: Array, shape: tuple[int, ...]) -> None:
    check_floating(name, "positive_weights", weights)
    found = tuple(weights.shape)
    fits = len(found) <= len(shape) and all(
        a in (1, b) for a, b in zip(reversed(found), reversed(shape), strict=False)
    )
    if not fits:
        raise ValueError(
            f"{name}: positive_weights have shape {found}, which does not broadcast to the logits' {shape}"
        )


@make_loss(task=Task.LABELS, link=ops.sigmoid)
def sigmoid_focal(
    logits: Array,
    targets: Array,
    *,
    gamma: float = 2.0,
    alpha: float | None = None,
    sample_weight: Array | None = None,
    reduction: Reduction = "mean",
) -> Array:
    """Sigmoid cross-entropy with well-classified elements damped: ``-(1 - p)^gamma log(p)``.

    Here p is the probability of the true answer. Lin, Goyal, Girshick, He and Dollár, Focal loss for dense
    object detection (2017), equations 4 and 5.

    Args:
        logits: real floating-point array of any shape, (n, labels) as a rule.
        targets: 0 or 1, of the shape of `logits` and any real dtype.
        gamma: the exponent, at least 0; 0 gives `sigmoid_cross_entropy`.
        alpha: factor for positive targets, from 0 to 1, where negative ones get ``1 - alpha``; or None.
        sample_weight: weight for each sample, of shape (n,) or any longer beginning of the shape of `logits`.
        reduction: "mean" over all elements, "sum", or "none" for a loss of the shape of `logits`.

    Returns:
        The loss in the dtype of the logits; a scalar unless `reduction` is "none".

    Raises:
        TypeError: if the logits are not floating-point or the targets not real.
        ValueError: if shapes do not fit, the batch is empty, or an option is out of range.

    Example:
        >>> import numpy as np
        >>> sigmoid_focal(np.asarray([0.0, 2.0]), np.asarray([1, 1]), reduction="none").round(4).tolist()
        [0.1733, 0.0018]
    """
    t = _checked("sigmoid_focal", logits, targets, sample_weight, reduction)
    check_gamma("sigmoid_focal", gamma)
    if alpha is not None and not 0.0 <= alpha <= 1.0:
        raise ValueError(f"sigmoid_focal: alpha must be from 0 to 1, got {alpha}")
    losses = modulated(ops.sigmoid_cross_entropy(logits, t), gamma)
    if alpha is not None:
        losses = ops.multiply(losses, t * (2.0 * alpha - 1.0) + (1.0 - alpha))
    return reduced(losses, sample_weight, reduction)


@make_loss(task=Task.LABELS)
def hinge(
    logits: Array, targets: Array, *, sample_weight: Array | None = None, reduction: Reduction = "mean"
) -> Array:
    """Hinge loss ``max(0, 1 - s x)`` with sign ``s = 2 t - 1``, the loss of support vector machines.

    Cortes and Vapnik, Support-vector networks (1995). Targets are 0 and 1 as in all losses for labels, not
    -1 and 1. The predictions are scores, positive for yes: they have no probabilities.

    Args:
        logits: real floating-point array of scores of any shape, (n, labels) as a rule.
        targets: 0 or 1, of the shape of `logits` and any real dtype.
        sample_weight: weight for each sample, of shape (n,) or any longer beginning of the shape of `logits`.
        reduction: "mean" over all elements, "sum", or "none" for a loss of the shape of `logits`.

    Returns:
        The loss in the dtype of the logits; a scalar unless `reduction` is "none".

    Raises:
        TypeError: if the logits are not floating-point or the targets not real.
        ValueError: if shapes differ or the batch is empty.

    Example:
        >>> import numpy as np
        >>> hinge(np.asarray([0.5, 0.5, -3.0]), np.asarray([1, 0, 0]), reduction="none").tolist()
        [0.5, 1.5, 0.0]
    """
    t = _checked("hinge", logits, targets, sample_weight, reduction)
    margins = ops.subtract(1.0, ops.multiply(logits, t * 2.0 - 1.0))
    return reduced(ops.maximum(margins, 0.0), sample_weight, reduction)
