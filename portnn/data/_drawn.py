"""Drawings made like the digits of MNIST: in a box of 20 by 20 pixels, centred by mass in 28 by 28."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from portnn.ops._options import check_flag

__all__ = ["center_digit", "draw_strokes"]

_SIDE, _BOX = 28, 20  # LeCun, Cortes and Burges, "The MNIST database of handwritten digits"
_MIDDLE = (_SIDE - 1) / 2
_MANY = 20_000  # points: minutes of drawing, a second to compute
_AT_ONCE = 64  # pieces of a line, so that their pixels stay in the processor's cache


def center_digit(image: ArrayLike, *, invert: bool = False) -> NDArray[np.uint8]:
    """A picture of one digit as MNIST has it: what is drawn fits a box of 20 by 20 pixels, and its centre of
    mass lies in the middle of 28 by 28.

    The box is scaled with its proportions kept, each pixel the mean of the area that it covers, which
    makes edges grey. LeCun, Bottou, Bengio and Haffner, Gradient-based learning applied to document
    recognition (1998), section III.A.

    Args:
        image: brightness (height, width), light strokes on a dark ground; the darkest value is the ground.
        invert: whether strokes are dark on a light ground, as on paper.

    Returns:
        The picture, uint8 (28, 28), its lightest pixel 255; all 0 if nothing is drawn.

    Raises:
        TypeError: if the image holds no real numbers.
        ValueError: if it has not two axes, is empty, or has NaN or infinity.

    Example:
        >>> import numpy as np
        >>> drawing = np.zeros((100, 60))
        >>> drawing[10:90, 5:15] = 1.0
        >>> digit = center_digit(drawing)
        >>> [(int(i.min()), int(i.max())) for i in digit.nonzero()]  # rows and columns
        [(4, 23), (13, 14)]
    """
    check_flag("center_digit", "invert", invert)
    pixels = np.asarray(image)
    if pixels.dtype.kind not in "buif":
        raise TypeError(f"center_digit: image must hold real numbers, got dtype {pixels.dtype}")
    if pixels.ndim != 2 or not pixels.size:
        raise ValueError(f"center_digit: image must have shape (height, width), got {pixels.shape}")
    light = pixels.astype(np.float64)
    if not np.isfinite(light).all():
        raise ValueError("center_digit: image holds NaN or infinity")
    light = light.max() - light if invert else light - light.min()
    drawn = np.argwhere(light > 0.1 * light.max())  # what is fainter is paper
    if not len(drawn):
        return np.zeros((_SIDE, _SIDE), dtype=np.uint8)
    (top, left), (bottom, right) = drawn.min(axis=0), drawn.max(axis=0) + 1
    box = _scaled(light[top:bottom, left:right])
    return _placed(box / box.max())


def _scaled(box: NDArray[np.float64]) -> NDArray[np.float64]:
    """The box with its longer side 20 pixels long: each pixel the mean over its area."""
    longer = max(box.shape)
    rows, columns = (_means(n, max(1, round(n * _BOX / longer))) for n in box.shape)
    return rows @ box @ columns.T


def _means(n: int, parts: int) -> NDArray[np.float64]:
    """The matrix (parts, n) that takes means over the parts of an axis, parts of a pixel counted as such."""
    edges = np.linspace(0.0, n, parts + 1)
    pixels = np.arange(n)
    covered = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.clip(covered, 0.0, None) * (parts / n)


def _placed(box: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The box in 28 by 28 pixels, its centre of mass as near to the middle as whole pixels allow."""
    picture = np.zeros((_SIDE, _SIDE))
    corner = []
    for axis, n in enumerate(box.shape):
        mass = box.sum(axis=1 - axis)
        centre = float(mass @ np.arange(n) / mass.sum())
        corner.append(min(max(round(_MIDDLE - centre), 0), _SIDE - n))
    top, left = corner
    picture[top : top + box.shape[0], left : left + box.shape[1]] = box
    return np.rint(255 * picture).astype(np.uint8)


def draw_strokes(strokes: Sequence[ArrayLike], *, thickness: float = 2.6) -> NDArray[np.uint8]:
    """Strokes of a pen as a picture like those of MNIST: as `center_digit`, with lines of equal thickness.

    However large, thin or far from the middle something was drawn, the picture is the same. A pixel
    is as light as the line covers it, so that edges are grey.

    Args:
        strokes: for each stroke the points (n, 2) through which it goes, to the right and downwards, in
            any unit.
        thickness: of the lines, in pixels of the picture; those of MNIST have about 2.6.

    Returns:
        The picture, uint8 (28, 28); all 0 if there are no points.

    Raises:
        TypeError: if strokes are no lists of points, or hold no real numbers.
        ValueError: if points are not pairs, not finite, or more than 20,000, or the thickness is not from
            0.5 to 10.

    Example:
        >>> one = draw_strokes([[(140, 20), (140, 260)]], thickness=2)
        >>> one[14, 11:17].tolist()
        [0, 0, 255, 255, 0, 0]
    """
    if not isinstance(thickness, int | float | np.floating | np.integer):
        raise TypeError(f"draw_strokes: thickness must be a number, got {type(thickness).__name__}")
    if not hasattr(strokes, "__iter__"):
        raise TypeError(f"draw_strokes: strokes must be a list of strokes, got {type(strokes).__name__}")
    if not 0.5 <= thickness <= 10:
        raise ValueError(f"draw_strokes: thickness must be from 0.5 to 10, got {thickness}")
    lines = [line for line in map(_points, strokes) if len(line)]
    if sum(map(len, lines)) > _MANY:
        raise ValueError(f"draw_strokes: expected at most {_MANY:,} points, got {sum(map(len, lines)):,}")
    if not lines:
        return np.zeros((_SIDE, _SIDE), dtype=np.uint8)
    every = np.concatenate(lines)
    low, extent = every.min(axis=0), np.ptp(every, axis=0)
    longer = extent.max() if extent.max() > 0 else 1.0
    scale = _BOX - thickness
    extent = extent / longer  # divided first: 1 / longer overflows where strokes are as short as 1e-320
    lines = [((line - low) / longer - extent / 2) * scale for line in lines]
    picture = _inked(lines, thickness)
    mass = picture.sum()
    ys, xs = np.mgrid[:_SIDE, :_SIDE]
    centre = np.asarray([(picture * xs).sum(), (picture * ys).sum()]) / mass
    room = (_SIDE - thickness - extent * scale) / 2  # nothing may leave the picture
    move = np.clip(_MIDDLE - centre, -room, room)
    return np.rint(255 * _inked([line + move for line in lines], thickness)).astype(np.uint8)


def _points(stroke: Any) -> NDArray[np.float64]:
    """The points of a stroke, checked."""
    try:
        given = np.asarray(stroke)
        text = given.size > 0 and given.dtype.kind in "bcSU"  # NumPy would convert it to numbers
        points = np.zeros(0) if text else given.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(f"draw_strokes: a stroke must be a list of points: {error}"[:290]) from None
    if text:
        raise TypeError(f"draw_strokes: a stroke must be a list of points, got dtype {given.dtype}")
    if points.size == 0:
        return np.zeros((0, 2))
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"draw_strokes: a stroke must have shape (points, 2), got {points.shape}")
    if not np.isfinite(points).all() or np.abs(points).max() > 1e6:
        raise ValueError("draw_strokes: coordinates must be finite and at most a million")
    return points


def _inked(lines: list[NDArray[np.float64]], thickness: float) -> NDArray[np.float64]:
    """How much of each pixel is covered by lines around the middle of the picture."""
    begins = np.concatenate([line[:-1] if len(line) > 1 else line for line in lines])
    steps = np.concatenate([np.diff(line, axis=0) if len(line) > 1 else 0 * line for line in lines])
    squares = (steps**2).sum(axis=1)
    shares = steps / np.where(squares > 0, squares, 1.0)[:, None]
    rows, columns = np.mgrid[:_SIDE, :_SIDE].reshape(2, 1, -1) - _MIDDLE
    nearest = np.full(_SIDE * _SIDE, np.inf)
    for i in range(0, len(begins), _AT_ONCE):
        (x0, y0), (dx, dy), (px, py) = (a[i : i + _AT_ONCE].T[:, :, None] for a in (begins, steps, shares))
        x, y = columns - x0, rows - y0
        along = np.clip(x * px + y * py, 0.0, 1.0)  # where on the piece the pixel's nearest point lies
        x -= along * dx
        y -= along * dy
        nearest = np.minimum(nearest, (x * x + y * y).min(axis=0))
    return np.clip(thickness / 2 + 0.5 - np.sqrt(nearest), 0.0, 1.0).reshape(_SIDE, _SIDE)
