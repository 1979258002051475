"""From the losses of the samples to one number.

The weighted mean divides by the sum of the weights, as scikit-learn's metrics and PyTorch's class
weights do. If that sum is zero, as when every sample is ignored, the mean is 0 and so is its gradient.
Only ratios of weights matter: equal weights of any size give the same bits as weights of 1. The values of
weights are not checked here: a NaN or infinite weight gives NaN. `Network` refuses such weights, and
negative ones.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from portnn import ops
from portnn._typing import Array
from portnn.losses._checks import check_library, check_real_targets
from portnn.ops._weights import relative

__all__ = ["Reduction", "check_reduction", "reduced"]

Reduction: TypeAlias = Literal["mean", "sum", "none"]


def check_reduction(name: str, shape: tuple[int, ...], sample_weight: Array | None, reduction: str) -> None:
    """Check the options that every loss has.

    Args:
        name: the name of the loss.
        shape: the shape of the losses before they are reduced.
        sample_weight: its shape must be the first axes of `shape`.
        reduction: "mean", "sum" or "none".
    """
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{name}: reduction must be 'mean', 'sum' or 'none', got {reduction!r}")
    if reduction == "mean" and 0 in shape:
        raise ValueError(
            f"{name}: the mean of no samples is not defined; the losses have shape {tuple(shape)}"
        )
    if sample_weight is None:
        return
    if not hasattr(sample_weight, "shape"):
        raise TypeError(f"{name}: sample_weight must be an array, got {type(sample_weight).__name__}")
    check_real_targets(name, sample_weight)
    weight = tuple(sample_weight.shape)
    if (not weight and shape) or weight != tuple(shape)[: len(weight)]:
        raise ValueError(
            f"{name}: sample_weight has shape {weight}, expected {tuple(shape)[:1]}, a weight for each sample"
            f"{'' if len(shape) == 1 else f', or any longer beginning of {tuple(shape)}'}"
        )


def reduced(losses: Array, sample_weight: Array | None, reduction: str, share: Array | None = None) -> Array:
    """Weigh and reduce losses.

    Args:
        losses: the losses of the samples.
        sample_weight: a weight for each sample, checked by `check_reduction`, or None.
        reduction: "mean", "sum" or "none".
        share: what each loss counts for in the divisor of the mean: weights, of the shape of the losses,
            that have been multiplied into them already. None is 1.

    Returns:
        A scalar, or an array of the shape of the losses.
    """
    if sample_weight is not None:
        check_library("sample_weight", losses, sample_weight)
    if reduction == "mean":
        return (
            ops.mean(losses)
            if sample_weight is None and share is None
            else _weighted_mean(losses, sample_weight, share)
        )
    if sample_weight is not None:
        weight = _stretched(ops.astype(sample_weight, losses.dtype, copy=False), losses)
        losses = ops.multiply(losses, weight)
    return losses if reduction == "none" else ops.sum(losses)


def _weighted_mean(losses: Array, sample_weight: Array | None, share: Array | None) -> Array:
    """Return the weighted mean of losses; weights are rescaled first."""
    if sample_weight is not None:
        weight = _stretched(relative(sample_weight, losses.dtype), losses)
        losses = ops.multiply(losses, weight)
        share = weight if share is None else ops.multiply(share, weight)
    total = ops.sum(share)
    return ops.divide(ops.sum(losses), ops.where(ops.equal(total, 0.0), 1.0, total))


def _stretched(weight: Array, losses: Array) -> Array:
    """A weight for each sample as a weight for each loss."""
    missing = len(losses.shape) - len(weight.shape)
    if not missing:
        return weight
    return ops.broadcast_to(ops.reshape(weight, (*weight.shape, *(1,) * missing)), tuple(losses.shape))
