"""Questions that layers ask of their arguments, with one wording for the answers."""

from __future__ import annotations

from portnn._typing import Array
from portnn.trace import is_kind

__all__ = ["check_features", "check_size"]


def check_size(layer: str, name: str, value: int) -> None:
    """A hyperparameter that counts something is a positive integer."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{layer}: {name} must be an integer, got {type(value).__name__}")
    if value < 1:
        raise ValueError(f"{layer}: {name} must be at least 1, got {value}")


def check_features(layer: str, x: Array, features: int) -> None:
    """The input is a floating-point array whose last axis has the expected length."""
    shape = x.shape
    if not shape or shape[-1] != features:
        flatten = "; put portnn.Flatten() in front of images" if len(shape) > 2 else ""
        raise ValueError(
            f"{layer}: expected an input of shape (..., {features}), got {tuple(shape)}{flatten}"
        )
    if not is_kind(x, "real floating"):
        raise TypeError(
            f"{layer}: expected a real floating-point input, got {x.dtype}; "
            "put portnn.Rescale() in front of pixels, or convert with astype"
        )
