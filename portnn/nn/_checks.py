"""Questions that layers ask of their arguments, with one wording for the answers."""

from __future__ import annotations

from operator import index
from typing import SupportsIndex

from portnn._typing import Array, Tree
from portnn.tracing import is_kind

__all__ = ["check_features", "check_params", "check_size"]


def check_size(layer: str, name: str, value: SupportsIndex) -> int:
    """A hyperparameter that counts something is a positive integer, perhaps NumPy's; as one of Python."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{layer}: {name} must be an integer, got {type(value).__name__}")
    size = index(value)
    if size < 1:
        raise ValueError(f"{layer}: {name} must be at least 1, got {size}")
    return size


def check_params(layer: str, params: Tree, names: tuple[str, ...]) -> None:
    """The parameters are a dictionary that has the names."""
    if not isinstance(params, dict) or False in [name in params for name in names]:
        found = sorted(map(str, params))[:4] if isinstance(params, dict) else type(params).__name__
        raise ValueError(
            f"{layer}: expected parameters named {', '.join(names)} as init makes them, got {found!s:.100}"
        )


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
