"""Reading images at places between their pixels."""

from __future__ import annotations

from math import prod

from portnn import ops
from portnn._typing import Array
from portnn.data.augment._images import check_fill, check_images, float_dtype, restore
from portnn.ops._indexing import gather as take
from portnn.tracing import at_home

__all__ = ["clip_places", "gather", "read", "sample"]

_LARGEST = 2**31 - 1  # of the integers that count pixels


@at_home
def sample(images: Array, rows: Array, columns: Array, *, fill: float = 0.0) -> Array:
    """Images read at given places, by bilinear interpolation.

    With r = ⌊row⌋, c = ⌊column⌋ and the remainders s, t the value is

        (1 − s) ((1 − t) x[r, c] + t x[r, c+1]) + s ((1 − t) x[r+1, c] + t x[r+1, c+1])

    where x is `fill` outside the image. Inside the image that is what `scipy.ndimage.map_coordinates` of
    order 1 computes, and everywhere with its mode "grid-constant".

    Args:
        images: of shape (n, height, width) or (n, channels, height, width).
        rows: where to read, in pixels from the centre of the first row: of shape (new_height, new_width),
            or (n, new_height, new_width) with places for each image; finite.
        columns: the same along the other axis.
        fill: the value outside the image; a whole number within their range for images of integers.

    Returns:
        Images of shape (n, [channels,] new_height, new_width) and the dtype of `images`.

    Raises:
        TypeError: if the arrays do not hold real numbers, or are of different libraries.
        ValueError: if shapes do not fit, or the batch has more than 2³¹ pixels.

    Example:
        >>> import numpy as np
        >>> image = np.asarray([[[0.0, 10.0], [20.0, 30.0]]])
        >>> sample(image, np.asarray([[0.5, 1.0]]), np.asarray([[0.5, 0.25]])).tolist()
        [[[15.0, 22.5]]]
    """
    n, _, _ = check_images("sample", images)
    _check_places(n, rows, columns)
    return read(images, rows, columns, fill)


def read(images: Array, rows: Array, columns: Array, fill: float) -> Array:
    """`sample`, for places that broadcast to (n, new_height, new_width)."""
    check_fill(images, fill)
    r, c = clip_places(images, rows, columns)
    # What stands beyond the last pixel is the frame, which has no neighbour.
    top = ops.minimum(ops.floor(r), float(images.shape[-2] - 1))
    left = ops.minimum(ops.floor(c), float(images.shape[-1] - 1))
    s, t = ops.subtract(r, top), ops.subtract(c, left)
    pixels = ops.astype(images, float_dtype(images), copy=False)
    a, b, d, e = gather(pixels, top, left, fill, corners=True)
    upper = ops.add(a, ops.multiply(t, ops.subtract(b, a)))
    lower = ops.add(d, ops.multiply(t, ops.subtract(e, d)))
    return restore(ops.add(upper, ops.multiply(s, ops.subtract(lower, upper))), images)


def clip_places(images: Array, rows: Array, columns: Array) -> tuple[Array, Array]:
    """Places in the dtype to compute in, none further than a pixel outside, and the same in each channel."""
    places = []
    for given, size in ((rows, images.shape[-2]), (columns, images.shape[-1])):
        x = ops.clip(ops.astype(given, float_dtype(images), copy=False), -1.0, float(size))
        many = len(images.shape) == 4 and len(x.shape) == 3
        places.append(ops.expand_dims(x, axis=1) if many else x)
    return places[0], places[1]


def _check_places(n: int, rows: Array, columns: Array) -> None:
    for name, x in (("rows", rows), ("columns", columns)):
        if not (hasattr(x, "dtype") and ops.isdtype(x.dtype, ("real floating", "integral"))):
            raise TypeError(f"sample: {name} must be an array of real numbers, got {type(x).__name__}")
    shape = tuple(rows.shape)
    if shape != tuple(columns.shape) or len(shape) not in (2, 3) or (len(shape) == 3 and shape[0] != n):
        raise ValueError(
            f"sample: rows and columns must both be (height, width) or ({n}, height, width), "
            f"got {shape} and {tuple(columns.shape)}"
        )


def gather(images: Array, rows: Array, columns: Array, fill: float, *, corners: bool) -> list[Array]:
    """Pixels of images at whole places from -1 to height or width; with `corners`, also the next ones.

    Args:
        images: (n, [channels,] height, width).
        rows: whole numbers that broadcast to (n, [channels,] new_height, new_width).
        columns: likewise.
        fill: the value of the places that lie outside.
        corners: whether to return the pixels to the right, below, and both as well.
    """
    framed = _frame(images, fill)
    *lead, height, width = framed.shape
    count = prod(framed.shape)
    if count > _LARGEST:
        raise ValueError(
            f"images of shape {tuple(images.shape)} are too many for one call; pass parts of them in turn"
        )
    pixels = ops.reshape(framed, (-1,))
    starts = ops.arange(0, count, height * width, dtype="int32", like=images)
    first = ops.reshape(starts, (*lead, 1, 1))
    # Places in the frame, counted over all images laid end to end.
    inside = ops.add(ops.multiply(_whole(rows), width), _whole(columns))
    places = ops.add(ops.add(inside, first), width + 1)
    steps = (0, 1, width, width + 1) if corners else (0,)
    return [take(pixels, ops.add(places, step) if step else places, axis=0) for step in steps]


def _whole(x: Array) -> Array:
    return ops.astype(x, "int32", copy=False)


def _frame(images: Array, fill: float) -> Array:
    """A border of one pixel around each image."""
    *lead, height, width = images.shape
    side = ops.full((*lead, height, 1), fill, dtype=images.dtype, like=images)
    edge = ops.full((*lead, 1, width + 2), fill, dtype=images.dtype, like=images)
    wide = ops.concat([side, images, side], axis=-1)
    return ops.concat([edge, wide, edge], axis=-2)
