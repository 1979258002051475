"""Distorting images by amounts that are drawn from a key."""

from __future__ import annotations

from functools import partial
from math import ceil, exp
from typing import Any

from portnn import ops, random
from portnn._typing import Array
from portnn.data.augment._affine import sources
from portnn.data.augment._images import check_images, float_dtype, per_image
from portnn.data.augment._sampling import read
from portnn.tracing import at_home

__all__ = ["distort", "elastic"]


@at_home
def elastic(key: Array, images: Array, *, alpha: Any = 34.0, sigma: float = 4.0, fill: float = 0.0) -> Array:
    """Images bent by random fields, as ink is on a crumpled sheet.

    Each pixel is read at a place moved by α (u ∗ G): u are numbers from −1 to 1, one for each pixel and
    direction, and G is a Gaussian of standard deviation σ. Outside the image u is zero. The fields of
    Simard, Steinkraus, Platt, "Best practices for convolutional neural networks applied to visual document
    analysis" (2003), whose σ and α are the defaults. The Gaussian is a product of two: each smoothing is a
    product of matrices, K_height u K_width.

    Args:
        key: a key of `portnn.random`.
        images: of shape (n, height, width) or (n, channels, height, width).
        alpha: the strength, in pixels before smoothing: a number, or an array of shape (n,).
        sigma: the width of the Gaussian in pixels, positive.
        fill: the value outside the image; a whole number within their range for images of integers.

    Returns:
        Images of the same shape and dtype.

    Raises:
        TypeError: if an argument is of the wrong type, or arrays are of different libraries.
        ValueError: if shapes do not fit, or sigma is not positive.

    Example:
        >>> import numpy as np
        >>> from portnn import random
        >>> images = np.ones((2, 28, 28), dtype=np.float32)
        >>> elastic(random.key(0, like=images), images).shape
        (2, 28, 28)
    """
    return _distort("elastic", key, images, alpha=alpha, sigma=sigma, fill=fill)


@at_home
def distort(
    key: Array,
    images: Array,
    *,
    angle: Any = 0.0,
    scale: Any = 0.0,
    shear: Any = 0.0,
    shift: Any = 0.0,
    alpha: Any = 0.0,
    sigma: float = 4.0,
    fill: float = 0.0,
) -> Array:
    """Images distorted at random in all ways at once, and interpolated once.

    Each amount says how far the distortion goes at most: a number for all images, or an array of shape
    (n,) with one for each. What is drawn for one kind does not depend on which others are used.

    Args:
        key: a key of `portnn.random`.
        images: of shape (n, height, width) or (n, channels, height, width).
        angle: turn by −angle to angle degrees.
        scale: height and width, each by a factor from 1 − scale to 1 + scale; below 1.
        shear: move the row above the centre by −shear to shear columns.
        shift: move down and to the right, each by −shift to shift pixels.
        alpha: bend, as `elastic` does.
        sigma: the width of its Gaussian in pixels, positive.
        fill: the value outside the image; a whole number within their range for images of integers.

    Returns:
        Images of the same shape and dtype.

    Raises:
        TypeError: if an argument is of the wrong type, or arrays are of different libraries.
        ValueError: if shapes do not fit, a scale is 1 or more, or sigma is not positive.

    Example:
        >>> import numpy as np
        >>> from portnn import random
        >>> images = np.ones((2, 28, 28), dtype=np.uint8)
        >>> distort(random.key(0, like=images), images, angle=15.0, scale=0.2, alpha=36.0, sigma=5.5).dtype
        dtype('uint8')
    """
    amounts = {"angle": angle, "scale": scale, "shear": shear, "shift": shift}
    return _distort("distort", key, images, **amounts, alpha=alpha, sigma=sigma, fill=fill)


# Each kind of distortion has a key of its own, by its place here.
_KINDS = ("angle", "height", "width", "shear", "down", "right", "field")


def _distort(
    name: str, key: Array, images: Array, *, alpha: Any, sigma: float, fill: float, **amounts: Any
) -> Array:
    """`distort`, under the name that errors name."""
    check_images(name, images)
    _check(name, amounts.get("scale", 0.0), sigma)
    draw = partial(_drawn, name, key, images, amounts)
    scale = [_add_one(draw(side, "scale")) for side in ("height", "width")]
    shift = [draw(way, "shift") for way in ("down", "right")]
    places = sources(
        name, images, draw("angle", "angle"), scale, draw("shear", "shear"), (shift[0], shift[1])
    )
    strength = per_image(name, "alpha", alpha, images)
    if not (isinstance(strength, float) and strength == 0.0):
        fields = _smooth(_centred(key, "field", (2, *_extent(images)), images), sigma)
        places = tuple(ops.add(p, ops.multiply(fields[i, ...], strength)) for i, p in enumerate(places))
    return read(images, *places, fill)


def _check(name: str, scale: Any, sigma: Any) -> None:
    if isinstance(scale, int | float) and not -1.0 < scale < 1.0:
        raise ValueError(f"{name}: scale must be below 1, else images vanish, got {scale}; write scale=0.15")
    if isinstance(sigma, bool) or not isinstance(sigma, int | float):
        raise TypeError(f"{name}: sigma must be a number, got {type(sigma).__name__}")
    if not 0.0 < sigma < float("inf"):
        raise ValueError(f"{name}: sigma must be positive and finite, got {sigma}")


def _extent(images: Array) -> tuple[int, int, int]:
    """The number, height and width of images."""
    return images.shape[0], images.shape[-2], images.shape[-1]


def _centred(key: Array, kind: str, shape: tuple[int, ...], images: Array) -> Array:
    """Random numbers from -1 to 1; drawn in float32, so that they are the same for images of any dtype."""
    drawn = random.uniform(random.fold_in(key, _KINDS.index(kind)), shape, low=-1.0, high=1.0)
    return ops.astype(drawn, float_dtype(images), copy=False)


def _drawn(name: str, key: Array, images: Array, amounts: dict[str, Any], kind: str, argument: str) -> Any:
    """A random amount for each image, or the number zero where there is to be none."""
    limit = per_image(name, argument, amounts.get(argument, 0.0), images)
    if isinstance(limit, float) and limit == 0.0:
        return 0.0
    limit = limit if isinstance(limit, float) else ops.reshape(limit, (-1,))
    return ops.multiply(_centred(key, kind, (images.shape[0],), images), limit)


def _add_one(x: Any) -> Any:
    return 1.0 if isinstance(x, float) else x + 1.0


def _smooth(fields: Array, sigma: float) -> Array:
    """Fields (..., height, width) convolved with a Gaussian; beyond their edges they are zero."""
    height, width = fields.shape[-2:]
    return ops.matmul(_gaussian(height, sigma, fields), ops.matmul(fields, _gaussian(width, sigma, fields)))


def _gaussian(size: int, sigma: float, like: Array) -> Array:
    """The symmetric matrix that convolves with a Gaussian: K[i, j] = exp(-(i - j)²/2σ²) / Σₖ exp(-k²/2σ²)."""
    reach = ceil(8 * sigma)  # further off a float64 has no room for it
    total = sum(exp(-0.5 * (k / sigma) ** 2) for k in range(-reach, reach + 1))
    i = ops.arange(size, dtype=like.dtype, like=like)
    distance = ops.subtract(ops.expand_dims(i, axis=1), i) / sigma
    return ops.exp(ops.square(distance) * -0.5) / total
