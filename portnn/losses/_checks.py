"""Checks that look at shapes and dtypes, never at values: values are not there yet under a tracer."""

from __future__ import annotations

from typing import Any

from portnn._typing import Array, ArrayLike
from portnn.tracing import TracedArray, namespace

__all__ = [
    "check_class_targets", "check_floating", "check_fraction", "check_library", "check_real_targets",
    "check_same_shape", "check_vector",
]  # fmt: skip

# By type of array and dtype. The type stands first, so that dtypes of different libraries are never compared:
# array-api-strict warns of that.
_kinds: dict[tuple[type, Any], str] = {}
_KINDS = ("real floating", "integral", "bool")


def _kind(name: str, argument: str, x: Array) -> str:
    """One of "real floating", "integral", "bool" and "complex"; a TypeError for what is no array."""
    if type(x) is TracedArray:
        x = x.plain
    kind = _kinds.get((type(x), getattr(x, "dtype", None)))
    if kind is None:
        try:
            xp = namespace(x)
        except TypeError as error:
            raise TypeError(f"{name}: {argument}: {error}") from None
        kind = next((k for k in _KINDS if xp.isdtype(x.dtype, k)), "complex")
        _kinds[type(x), x.dtype] = kind
    return kind


def check_floating(name: str, argument: str, x: Array) -> None:
    """`x` is a real floating-point array."""
    if _kind(name, argument, x) != "real floating":
        raise TypeError(
            f"{name}: {argument} must be a real floating-point array, got dtype {x.dtype}; "
            "convert it with astype"
        )


def check_real_targets(name: str, targets: Array) -> None:
    """Targets are real: floating-point numbers, integers or booleans."""
    if _kind(name, "targets", targets) == "complex":
        raise TypeError(f"{name}: targets must be real, got dtype {targets.dtype}; take the real part first")


def check_library(name: str, x1: Array, x2: Array) -> None:
    """Two arrays belong to one library."""
    if type(x1) is not type(x2):
        try:
            namespace(*[x.plain if type(x) is TracedArray else x for x in (x1, x2)])
        except TypeError as error:
            raise TypeError(f"{name}: {error}") from None


def check_same_shape(name: str, argument: str, predictions: Array, targets: Array) -> None:
    """Targets have the library and the shape of the predictions; they are never broadcast."""
    check_library(name, predictions, targets)
    if predictions.shape != targets.shape:
        raise ValueError(
            f"{name}: targets have shape {tuple(targets.shape)}, {argument} {tuple(predictions.shape)}; "
            "both must be the same, so reshape one of them"
        )


def check_class_targets(name: str, logits: Array, targets: Array) -> bool:
    """Targets are integer labels of shape ``logits.shape[:-1]``, or one-hot or soft like the logits.

    Returns:
        True for labels.
    """
    check_floating(name, "logits", logits)
    check_real_targets(name, targets)
    check_library(name, logits, targets)
    shape, wanted = targets.shape, logits.shape
    if not wanted:
        raise ValueError(f"{name}: logits must have an axis of classes, got shape ()")
    if shape == wanted:
        return False
    if shape != wanted[:-1]:
        raise ValueError(
            f"{name}: targets have shape {tuple(shape)}, logits {tuple(wanted)}; expected integer labels of "
            f"shape {tuple(wanted[:-1])} or probabilities of shape {tuple(wanted)}"
        )
    if _kind(name, "targets", targets) != "integral":
        values = _kind(name, "targets", targets) == "real floating"
        hint = "numbers of classes to integers; to predict values take losses.squared_error"
        raise TypeError(
            f"{name}: targets of shape {tuple(shape)} are class labels and must be integers, got dtype "
            f"{targets.dtype}; convert {hint if values else 'them with astype'}"
        )
    return True


def check_vector(name: str, argument: str, x: ArrayLike, n: int) -> None:
    """`x` is a floating-point array with an element for each of `n` classes or labels."""
    check_floating(name, argument, x)
    if tuple(x.shape) != (n,):
        raise ValueError(
            f"{name}: {argument} has shape {tuple(x.shape)}, expected ({n},), one for each class"
        )


def check_fraction(name: str, argument: str, value: float) -> None:
    """`value` is at least 0 and below 1."""
    if not 0.0 <= value < 1.0:
        raise ValueError(f"{name}: {argument} must be at least 0 and below 1, got {value}")
