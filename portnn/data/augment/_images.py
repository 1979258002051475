"""Images and the arguments that belong to them, checked and brought to one form."""

from __future__ import annotations

from math import isfinite
from typing import Any

from portnn import ops
from portnn._typing import Array, DType

__all__ = ["check_fill", "check_images", "float_dtype", "per_image", "restore"]


def check_images(name: str, images: Array) -> tuple[int, int, int]:
    """The number, height and width of images.

    Raises:
        TypeError: if they are no array of real numbers.
        ValueError: if the shape is not that of images, or there is no pixel.
    """
    if not (hasattr(images, "shape") and hasattr(images, "dtype")):
        raise TypeError(f"{name}: images must be an array, got {type(images).__name__}; use asarray first")
    if not ops.isdtype(images.dtype, ("real floating", "integral")):
        raise TypeError(f"{name}: images must hold floats or integers, got {images.dtype}; cast with astype")
    shape = tuple(images.shape)
    if len(shape) not in (3, 4):
        raise ValueError(
            f"{name}: images must be (n, height, width) or (n, channels, height, width), got {shape}; reshape"
        )
    if 0 in shape:
        raise ValueError(f"{name}: images of shape {shape} have no pixel; pass at least one image")
    return shape[0], shape[-2], shape[-1]


def check_fill(images: Array, fill: float) -> None:
    """Check that the dtype of images can hold the fill value.

    Raises:
        TypeError: if it is not a real number.
        ValueError: if it is too large, or a fraction while the images hold integers.
    """
    if isinstance(fill, bool) or not hasattr(fill, "__float__") or isinstance(fill, complex):
        raise TypeError(f"fill must be a real number, got {type(fill).__name__}")
    value = float(fill)
    if ops.isdtype(images.dtype, "integral"):
        limits = ops.iinfo(images.dtype)
        if not (limits.min <= value <= limits.max and value.is_integer()):
            raise ValueError(
                f"fill must be a whole number from {limits.min} to {limits.max} for images of "
                f"{images.dtype}, got {fill!r:.40}; or cast the images to float32"
            )
    elif isfinite(value) and abs(value) > float(ops.finfo(images.dtype).max):
        raise ValueError(f"fill={fill!r:.40} is too large for images of {images.dtype}")


def float_dtype(images: Array) -> DType | str:
    """The dtype to compute in: that of floating-point images, float32 for integers."""
    return images.dtype if ops.isdtype(images.dtype, "real floating") else "float32"


def restore(pixels: Array, images: Array) -> Array:
    """Pixels in the dtype of the images; integers are rounded."""
    if ops.isdtype(images.dtype, "real floating"):
        return pixels
    return ops.astype(ops.round(pixels), images.dtype)


def per_image(name: str, argument: str, value: Any, images: Array) -> Any:
    """A number as a float; an array with one number for each image as (n, 1, 1), in the dtype to compute in.

    Raises:
        TypeError: if it is neither.
        ValueError: if the number is not finite, or the array has another shape.
    """
    n = images.shape[0]
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not isfinite(value):
            raise ValueError(f"{name}: {argument} must be finite, got {value}")
        return float(value)
    if not hasattr(value, "dtype"):
        raise TypeError(
            f"{name}: {argument} must be a number or an array of shape ({n},), got {type(value).__name__}"
        )
    if tuple(value.shape) not in ((), (n,)):
        raise ValueError(
            f"{name}: {argument} must be a number or an array of shape ({n},), one for each image, "
            f"got shape {tuple(value.shape)}"
        )
    return ops.reshape(ops.astype(value, float_dtype(images), copy=False), (-1, 1, 1))
