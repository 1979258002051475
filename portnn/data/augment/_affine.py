"""Moving, turning, scaling and shearing images by amounts that are given."""

from __future__ import annotations

from math import cos, pi, radians, sin
from typing import Any

from portnn import ops
from portnn._typing import Array
from portnn.data.augment._images import check_fill, check_images, float_dtype, per_image
from portnn.data.augment._sampling import clip_places, gather, read
from portnn.tracing import at_home

__all__ = ["affine", "rotate", "shift", "sources"]


@at_home
def affine(
    images: Array,
    *,
    angle: Any = 0.0,
    scale: Any = 1.0,
    shear: Any = 0.0,
    shift: tuple[Any, Any] = (0.0, 0.0),
    fill: float = 0.0,
) -> Array:
    """Images scaled, then sheared, then turned, all about their centre, then moved.

    Each amount is a number for all images, or an array of shape (n,) with one for each.

    Args:
        images: of shape (n, height, width) or (n, channels, height, width).
        angle: degrees, counterclockwise.
        scale: the factor of size, not zero, or a pair of factors for height and width.
        shear: how many columns to the right a pixel goes that is one row above the centre.
        shift: pixels downwards and to the right.
        fill: the value outside the image; a whole number within their range for images of integers.

    Returns:
        Images of the same shape and dtype.

    Raises:
        TypeError: if an argument is of the wrong type, or arrays are of different libraries.
        ValueError: if shapes do not fit, or a scale is the number zero.

    Example:
        >>> import numpy as np
        >>> image = np.asarray([[[1, 2, 3], [4, 5, 6], [7, 8, 9]]], dtype=np.uint8)
        >>> affine(image, angle=90.0).tolist()
        [[[3, 6, 9], [2, 5, 8], [1, 4, 7]]]
        >>> affine(image, scale=(1.0, 2.0), shift=(1.0, 0.0)).tolist()
        [[[0, 0, 0], [2, 2, 2], [4, 5, 6]]]
    """
    return read(images, *sources("affine", images, angle, scale, shear, shift), fill)


@at_home
def rotate(images: Array, angle: Any, *, fill: float = 0.0) -> Array:
    """Images turned about their centre.

    Args:
        images: of shape (n, height, width) or (n, channels, height, width).
        angle: degrees, counterclockwise: a number, or an array of shape (n,).
        fill: the value outside the image; a whole number within their range for images of integers.

    Returns:
        Images of the same shape and dtype.

    Raises:
        TypeError: as `affine`.
        ValueError: as `affine`.

    Example:
        >>> import numpy as np
        >>> rotate(np.asarray([[[1.0, 2.0], [3.0, 4.0]]]), 180.0).round(3).tolist()
        [[[4.0, 3.0], [2.0, 1.0]]]
    """
    return read(images, *sources("rotate", images, angle, 1.0, 0.0, (0.0, 0.0)), fill)


@at_home
def shift(images: Array, down: Any, right: Any, *, fill: float = 0.0) -> Array:
    """Images moved; what leaves on one side does not come back on the other.

    Whole numbers (integers, or integer arrays) move pixels as they are; others interpolate.

    Args:
        images: of shape (n, height, width) or (n, channels, height, width).
        down: pixels downwards: a number, or an array of shape (n,).
        right: pixels to the right, likewise.
        fill: the value outside the image; a whole number within their range for images of integers.

    Returns:
        Images of the same shape and dtype.

    Raises:
        TypeError: as `affine`.
        ValueError: as `affine`.

    Example:
        >>> import numpy as np
        >>> shift(np.asarray([[[1, 2], [3, 4]]]), 0, 1).tolist()
        [[[0, 1], [0, 3]]]
    """
    check_images("shift", images)
    rows, columns = sources("shift", images, 0.0, 1.0, 0.0, (down, right))
    if not (_is_whole(down) and _is_whole(right)):
        return read(images, rows, columns, fill)
    check_fill(images, fill)
    rows, columns = clip_places(images, rows, columns)
    return gather(images, rows, columns, fill, corners=False)[0]


def _is_whole(x: Any) -> bool:
    """Whether an amount is an integer or an array of integers."""
    return isinstance(x, int) or (hasattr(x, "dtype") and ops.isdtype(x.dtype, "integral"))


def sources(
    name: str, images: Array, angle: Any, scale: Any, shear: Any, shift: tuple[Any, Any]
) -> tuple[Array, Array]:
    """From where each pixel comes: rows and columns that broadcast to (n, height, width)."""
    _, height, width = check_images(name, images)
    dtype = float_dtype(images)
    factors = scale if isinstance(scale, tuple | list) else (scale, scale)
    down, right = (per_image(name, "shift", s, images) for s in _two(name, "shift", shift))
    tall, wide = (_factor(name, s, images) for s in _two(name, "scale", factors))
    y = ops.reshape(ops.arange(height, dtype=dtype, like=images), (-1, 1)) - (height - 1) / 2
    x = ops.reshape(ops.arange(width, dtype=dtype, like=images), (1, -1)) - (width - 1) / 2
    # Each step is undone, the last one first.
    y, x = (a if _is(by, 0.0) else ops.subtract(a, by) for a, by in ((y, down), (x, right)))
    y, x = _turn(y, x, per_image(name, "angle", angle, images))
    shear = per_image(name, "shear", shear, images)
    x = x if _is(shear, 0.0) else ops.add(x, ops.multiply(y, shear))
    y, x = (a if _is(by, 1.0) else ops.divide(a, by) for a, by in ((y, tall), (x, wide)))
    return y + (height - 1) / 2, x + (width - 1) / 2


def _two(name: str, argument: str, pair: Any) -> Any:
    """A pair of amounts, for rows and columns."""
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise TypeError(
            f"{name}: {argument} must be a pair, for rows and columns, got {type(pair).__name__}; "
            f"write {argument}=(1.0, 2.0)"
        )
    return pair


def _factor(name: str, scale: Any, images: Array) -> Any:
    factor = per_image(name, "scale", scale, images)
    if _is(factor, 0.0):
        raise ValueError(f"{name}: scale must not be zero; 1.0 leaves the size as it is")
    return factor


def _is(value: Any, number: float) -> bool:
    """Whether an amount is that Python number; the values of arrays are not looked at."""
    return isinstance(value, float) and value == number


def _turn(y: Array, x: Array, angle: Any) -> tuple[Array, Array]:
    """Undo a turn: read the image where it was before."""
    if _is(angle, 0.0):
        return y, x
    if isinstance(angle, float):
        c, s = cos(radians(angle)), sin(radians(angle))
    else:
        turn = ops.multiply(angle, pi / 180)
        c, s = ops.cos(turn), ops.sin(turn)
    return (
        ops.add(ops.multiply(y, c), ops.multiply(x, s)),
        ops.subtract(ops.multiply(x, c), ops.multiply(y, s)),
    )
