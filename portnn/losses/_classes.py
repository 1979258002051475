"""Losses for one class of several. Logits have the shape (..., classes), and the result drops that axis.

A label outside 0 to classes - 1 raises a ValueError, in plans too. Inside the user's own ``jax.jit``, where
values are unknown, it gives an infinite loss and is never taken for another class.
"""

from __future__ import annotations

from math import isfinite

from portnn import ops
from portnn._typing import Array
from portnn.autodiff import stop_gradient
from portnn.losses._checks import check_class_targets, check_fraction, check_vector
from portnn.losses._focal import check_gamma, modulated
from portnn.losses._loss import Task, make_loss
from portnn.losses._reduce import Reduction, check_reduction, reduced
from portnn.ops._cross_entropy import label_cross_entropy
from portnn.ops._helpers import held
from portnn.ops._weights import over
from portnn.tracing import in_range

__all__ = ["focal", "kl_divergence", "multiclass_hinge", "softmax_cross_entropy"]


def _classes(name: str, labels: Array, n: int, exempt: int | None = None) -> Array:
    """Return labels checked to be below n, in a signed dtype that can hold n.

    Libraries wrap numbers beyond a dtype when they compare with them.
    """
    labels = in_range(labels, what=f"{name}: targets", high=n, exempt=exempt)
    return ops.astype(labels, "int64" if ops.iinfo(labels.dtype).bits == 64 else "int32", copy=False)


def _one_hot(labels: Array, logits: Array) -> Array:
    """Booleans of the shape of the logits: True at each label, nowhere for a label that is no class."""
    classes = ops.arange(logits.shape[-1], dtype="int32", like=logits)
    return ops.equal(ops.expand_dims(labels, axis=-1), classes)


def _is_class(labels: Array, n: int) -> Array:
    """True where a label is one of n classes."""
    return ops.logical_and(ops.greater_equal(labels, 0), ops.less(labels, n))


def _in_dtype_of(logits: Array, targets: Array) -> Array:
    return targets if targets.dtype == logits.dtype else ops.astype(targets, logits.dtype)


@make_loss(task=Task.CLASSES, link=ops.softmax)
def softmax_cross_entropy(
    logits: Array,
    targets: Array,
    *,
    label_smoothing: float = 0.0,
    class_weights: Array | None = None,
    ignore_index: int | None = None,
    sample_weight: Array | None = None,
    reduction: Reduction = "mean",
) -> Array:
    """Cross-entropy between targets and the softmax of logits: ``-sum(targets * log_softmax(logits))``.

    The meaning of the options is that of ``torch.nn.functional.cross_entropy``. The mean over integer
    labels divides by the sum of the weights (class weight of the label times sample weight); if all
    samples are ignored it is 0. The gradient is softmax minus target (Bishop, Pattern recognition and
    machine learning, 2006, equation 4.109).

    Args:
        logits: real floating-point array of shape (..., classes).
        targets: integer labels of shape (...), or one-hot or soft targets of the shape of `logits`, of any
            real dtype. A label that is not a class is an error.
        label_smoothing: share of the target, from 0 to below 1, that is spread over all classes.
        class_weights: factor for each class, of shape (classes,).
        ignore_index: integer label of samples that count for nothing; only with integer labels.
        sample_weight: weight for each sample, of shape (n,) or any longer beginning of (...).
        reduction: "mean", "sum", or "none" for a loss of shape (...).

    Returns:
        The loss in nats, in the dtype of the logits; a scalar unless `reduction` is "none".

    Raises:
        TypeError: if dtypes are wrong, such as labels that are not integers.
        ValueError: if shapes do not fit, the batch is empty, or a label or an option is out of range.

    Example:
        >>> import numpy as np
        >>> logits = np.asarray([[2.0, 0.0], [0.0, 0.0]])
        >>> round(float(softmax_cross_entropy(logits, np.asarray([0, 1]))), 4)
        0.41
        >>> softmax_cross_entropy(logits, np.asarray([0, 1]), reduction="none").round(4).tolist()
        [0.1269, 0.6931]
    """
    name = "softmax_cross_entropy"
    labelled = check_class_targets(name, logits, targets)
    check_reduction(name, logits.shape[:-1], sample_weight, reduction)
    if label_smoothing == 0.0 and class_weights is None and ignore_index is None:
        soft = targets if labelled else _in_dtype_of(logits, targets)
        if reduction == "mean" and sample_weight is None:
            return ops.softmax_cross_entropy(logits, soft, mean=True)
        return reduced(ops.softmax_cross_entropy(logits, soft), sample_weight, reduction)
    _check_options(name, logits, labelled, label_smoothing, class_weights, ignore_index)
    if not labelled:
        soft = _smoothed(_in_dtype_of(logits, targets), label_smoothing, class_weights)
        return reduced(ops.softmax_cross_entropy(logits, soft), sample_weight, reduction)
    options = (label_smoothing, class_weights, ignore_index)
    losses, share = _labelled(logits, targets, *options, scaled=reduction == "mean")
    return reduced(losses, sample_weight, reduction, share)


def _check_options(
    name: str,
    logits: Array,
    labelled: bool,
    label_smoothing: float,
    class_weights: Array | None,
    ignore_index: int | None,
) -> None:
    check_fraction(name, "label_smoothing", label_smoothing)
    if class_weights is not None:
        check_vector(name, "class_weights", class_weights, logits.shape[-1])
    if ignore_index is not None and not labelled:
        raise ValueError(f"{name}: ignore_index needs integer labels; give such samples a sample_weight of 0")


def _smoothed(targets: Array, label_smoothing: float, class_weights: Array | None) -> Array:
    """``w_c ((1 - e) t_c + e / C)`` with smoothing e, class weights w and C classes."""
    if label_smoothing:
        targets = targets * (1.0 - label_smoothing) + label_smoothing / targets.shape[-1]
    return targets if class_weights is None else ops.multiply(targets, _in_dtype_of(targets, class_weights))


def _labelled(
    logits: Array,
    labels: Array,
    label_smoothing: float,
    class_weights: Array | None,
    ignore_index: int | None,
    *,
    scaled: bool,
) -> tuple[Array, Array | None]:
    """Return the losses of integer labels and their weights in the mean; both may be rescaled."""
    share, labels = None, _classes("softmax_cross_entropy", labels, logits.shape[-1], ignore_index)
    ignore_index = held(labels, ignore_index)
    if ignore_index is not None:
        kept = ops.not_equal(labels, ignore_index)
        logits = ops.where(ops.expand_dims(kept, axis=-1), logits, 0.0)  # NaN times zero would be NaN
    if label_smoothing == 0.0 and class_weights is None:
        losses = label_cross_entropy(logits, labels, mean=False)
    else:
        hot = ops.astype(_one_hot(labels, logits), logits.dtype)
        if class_weights is not None and scaled:
            class_weights = _of_those_present(class_weights, hot)
        losses = ops.softmax_cross_entropy(logits, _smoothed(hot, label_smoothing, class_weights))
        losses = ops.where(_is_class(labels, logits.shape[-1]), losses, float("inf"))
        if class_weights is not None:
            share = ops.sum(_smoothed(hot, 0.0, class_weights), axis=-1)
    if ignore_index is not None:
        losses = ops.where(kept, losses, 0.0)  # infinite if the index is no class
        share = ops.astype(kept, losses.dtype) if share is None else ops.where(kept, share, 0.0)
    return losses, share


def _of_those_present(class_weights: Array, hot: Array) -> Array:
    """Return class weights over the largest one of a class that has a sample, in the logits' dtype."""
    present = ops.any(ops.reshape(ops.greater(hot, 0.0), (-1, hot.shape[-1])), axis=0)
    largest = stop_gradient(ops.max(ops.where(present, ops.abs(class_weights), 0.0)))
    far = ops.greater(class_weights * 2.0**-60, largest)  # weights of absent classes, which could overflow
    weights = over(ops.where(far, largest, class_weights), largest)
    return _in_dtype_of(hot, ops.where(far, 2.0**60, weights))


@make_loss(task=Task.CLASSES, link=ops.softmax)
def focal(
    logits: Array,
    targets: Array,
    *,
    gamma: float = 2.0,
    alpha: Array | None = None,
    sample_weight: Array | None = None,
    reduction: Reduction = "mean",
) -> Array:
    """Cross-entropy with well-classified samples damped: ``-(1 - p)^gamma log(p)``.

    Here p is the probability of the class. For several labels with a sigmoid each there is `sigmoid_focal`.
    Lin, Goyal, Girshick, He and Dollár, Focal loss for dense object detection (2017), equations 4 and 5.

    Args:
        logits: real floating-point array of shape (..., classes).
        targets: integer labels of shape (...), or one-hot targets of the shape of `logits`.
        gamma: the exponent, at least 0; 0 gives `softmax_cross_entropy`.
        alpha: factor for each class, of shape (classes,). It does not enter the divisor of the mean.
        sample_weight: weight for each sample, of shape (n,) or any longer beginning of (...).
        reduction: "mean", "sum", or "none" for a loss of shape (...).

    Returns:
        The loss in the dtype of the logits; a scalar unless `reduction` is "none".

    Raises:
        TypeError: if dtypes are wrong, such as labels that are not integers.
        ValueError: if shapes do not fit, the batch is empty, or a label or an option is out of range.

    Example:
        >>> import numpy as np
        >>> logits, labels = np.asarray([[2.0, 0.0], [0.0, 0.0]]), np.asarray([0, 1])
        >>> focal(logits, labels, reduction="none").round(4).tolist()
        [0.0018, 0.1733]
    """
    labelled = check_class_targets("focal", logits, targets)
    check_reduction("focal", logits.shape[:-1], sample_weight, reduction)
    check_gamma("focal", gamma)
    if alpha is not None:
        check_vector("focal", "alpha", alpha, logits.shape[-1])
    if labelled:
        targets = _classes("focal", targets, logits.shape[-1])
        losses = label_cross_entropy(logits, targets, mean=False)
    else:
        targets = _in_dtype_of(logits, targets)
        losses = ops.softmax_cross_entropy(logits, targets)
    losses = modulated(losses, gamma)
    if alpha is not None:
        hot = ops.astype(_one_hot(targets, logits), logits.dtype) if labelled else targets
        factor = ops.sum(_smoothed(hot, 0.0, alpha), axis=-1)
        if labelled:
            factor = ops.where(_is_class(targets, logits.shape[-1]), factor, 1.0)
        losses = ops.multiply(losses, factor)
    return reduced(losses, sample_weight, reduction)


@make_loss(task=Task.CLASSES)
def multiclass_hinge(
    logits: Array,
    targets: Array,
    *,
    margin: float = 1.0,
    sample_weight: Array | None = None,
    reduction: Reduction = "mean",
) -> Array:
    """Hinge loss of C classes: the sum over ``c != y`` of ``max(0, margin - x_y + x_c)``, divided by C.

    As ``torch.nn.functional.multi_margin_loss``; Weston and Watkins, Support vector machines for multi-class
    pattern recognition (1999), section 3. The predictions are scores: they have no probabilities.

    Args:
        logits: real floating-point array of scores, of shape (..., classes).
        targets: integer labels of shape (...). A label that is not a class is an error.
        margin: by how much the score of the class is to exceed the others.
        sample_weight: weight for each sample, of shape (n,) or any longer beginning of (...).
        reduction: "mean", "sum", or "none" for a loss of shape (...).

    Returns:
        The loss in the dtype of the logits; a scalar unless `reduction` is "none".

    Raises:
        TypeError: if the labels are not integers, or the logits not floating-point.
        ValueError: if shapes do not fit, the batch is empty, or a label or an option is out of range.

    Example:
        >>> import numpy as np
        >>> float(multiclass_hinge(np.asarray([[0.5, 0.0, -2.0]]), np.asarray([0])).round(4))
        0.1667
    """
    name = "multiclass_hinge"
    if not check_class_targets(name, logits, targets):
        raise ValueError(
            f"{name}: expected integer labels of shape {tuple(logits.shape[:-1])}; take the argmax"
        )
    check_reduction(name, logits.shape[:-1], sample_weight, reduction)
    if not isfinite(margin):
        raise ValueError(f"{name}: margin must be finite, got {margin}")
    n = logits.shape[-1]
    targets = _classes(name, targets, n)
    hot = _one_hot(targets, logits)
    own = ops.sum(ops.where(hot, logits, 0.0), axis=-1, keepdims=True)
    excess = ops.maximum(ops.subtract(logits, own) + margin, 0.0)
    losses = ops.sum(ops.where(hot, 0.0, excess), axis=-1) / n
    losses = ops.where(_is_class(targets, n), losses, float("inf"))
    return reduced(losses, sample_weight, reduction)


@make_loss(task=Task.CLASSES, link=ops.softmax)
def kl_divergence(
    logits: Array, targets: Array, *, sample_weight: Array | None = None, reduction: Reduction = "mean"
) -> Array:
    """Kullback-Leibler divergence of the softmax of logits from target distributions.

    ``sum(t * (log(t) - log_softmax(x)))`` with ``0 log(0) = 0``; Kullback and Leibler, On information and
    sufficiency (1951). The mean is over samples, which PyTorch calls "batchmean".

    Args:
        logits: real floating-point array of shape (..., classes).
        targets: probabilities of the same shape, each row of sum 1.
        sample_weight: weight for each sample, of shape (n,) or any longer beginning of (...).
        reduction: "mean", "sum", or "none" for a loss of shape (...).

    Returns:
        The divergence in nats, in the dtype of the logits; a scalar unless `reduction` is "none".

    Raises:
        TypeError: if an array is not floating-point.
        ValueError: if shapes differ or the batch is empty.

    Example:
        >>> import numpy as np
        >>> round(float(kl_divergence(np.asarray([[0.0, 0.0]]), np.asarray([[1.0, 0.0]]))), 4)
        0.6931
    """
    if check_class_targets("kl_divergence", logits, targets):
        raise ValueError(
            f"kl_divergence: expected probabilities of shape {tuple(logits.shape)}, got labels of shape "
            f"{tuple(targets.shape)}; softmax_cross_entropy takes labels"
        )
    check_reduction("kl_divergence", logits.shape[:-1], sample_weight, reduction)
    t = _in_dtype_of(logits, targets)
    entropy = ops.sum(ops.multiply(t, ops.log(ops.where(ops.greater(t, 0.0), t, 1.0))), axis=-1)
    return reduced(ops.add(ops.softmax_cross_entropy(logits, t), entropy), sample_weight, reduction)
