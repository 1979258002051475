"""Several images on one canvas, for tasks in which a picture shows more than one thing."""

from __future__ import annotations

from operator import index
from typing import SupportsIndex

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray


def overlay(
    images: NDArray[np.uint8],
    labels: NDArray[np.integer],
    n: int,
    *,
    rng: np.random.Generator,
    size: tuple[int, int] = (36, 36),
    parts: int = 2,
    apart: float = 0.0,
    classes: int = 10,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Lay images over each other at random places; where they meet, the brighter pixel is seen.

    Which images, and where each lies, is drawn evenly and independently, so that one class may come
    twice; places that are too close to each other are drawn again. Each image lies wholly inside.

    Args:
        images: of shape (count, height, width), uint8 or another real dtype, with zero for nothing.
        labels: their classes, integers of shape (count,), from 0 to classes - 1.
        n: how many pictures to make.
        rng: where numbers come from, for instance ``portnn.random.stream(seed)``.
        size: height and width of a picture, not less than those of an image.
        parts: how many images a picture shows.
        apart: how many pixels each two of them are moved against each other at least, as the crow flies.
        classes: how many classes there are.

    Returns:
        Pictures of shape (n, *size) and the dtype of `images`, and whether they show each class: zeros and
        ones, uint8 of shape (n, classes).

    Raises:
        TypeError: a number is not an integer, or labels are not.
        ValueError: shapes do not fit, a label is out of range, the images are larger than a picture, or
            there is no room for them to be so far apart.

    Example:
        >>> from portnn.random import stream
        >>> images = np.full((3, 28, 28), 255, dtype=np.uint8)
        >>> pictures, shown = overlay(images, np.asarray([7, 7, 2]), 5, rng=stream(0))
        >>> pictures.shape, shown.shape, sorted(set(shown.sum(axis=1).tolist()))
        ((5, 36, 36), (5, 10), [1, 2])
    """
    images, labels = np.asarray(images), np.asarray(labels)
    n, parts, classes = (_positive(k, v) for k, v in (("n", n), ("parts", parts), ("classes", classes)))
    room = _check(images, labels, size, classes)
    chosen = rng.integers(0, len(images), (n, parts))
    corners = _places(rng, n, parts, room, apart)
    pictures = np.zeros((n, *size), dtype=images.dtype)
    shown = np.zeros((n, classes), dtype=np.uint8)
    windows = sliding_window_view(pictures, images.shape[1:], axis=(1, 2), writeable=True)
    every = np.arange(n)
    for k in range(parts):
        place = (every, corners[:, k, 0], corners[:, k, 1])
        windows[place] = np.maximum(windows[place], images[chosen[:, k]])
        shown[every, labels[chosen[:, k]]] = 1
    return pictures, shown


_TRIES = 1000


def _places(
    rng: np.random.Generator, n: int, parts: int, room: tuple[int, int], apart: float
) -> NDArray[np.int64]:
    """Upper left corners (n, parts, 2), none too close to another of the same picture."""
    corners = rng.integers(0, room, (n, parts, 2))
    first, second = np.triu_indices(parts, 1)
    for _ in range(_TRIES):
        gaps = ((corners[:, first] - corners[:, second]) ** 2).sum(axis=-1)
        close = np.flatnonzero((gaps < apart**2).any(axis=1))
        if not close.size:
            return corners
        corners[close] = rng.integers(0, room, (close.size, parts, 2))
    raise ValueError(
        f"overlay: no places for {parts} images {apart} pixels apart where there are {room[0]} x {room[1]} "
        "places for each; make size larger, or apart smaller"
    )


def _positive(name: str, value: SupportsIndex) -> int:
    try:
        number = index(value)
    except TypeError:
        raise TypeError(f"overlay: {name} must be an integer, got {type(value).__name__}") from None
    if number < 1:
        raise ValueError(f"overlay: {name} must be 1 or more, got {number}")
    return number


def _check(
    images: NDArray[np.uint8], labels: NDArray[np.integer], size: tuple[int, int], classes: int
) -> tuple[int, int]:
    """How many places there are for an image, up and down and left and right."""
    if images.ndim != 3 or labels.shape != (len(images),) or not images.size:
        raise ValueError(
            "overlay: images must be (count, height, width), labels (count,), at least one of each, "
            f"got {images.shape} and {labels.shape}"
        )
    if labels.dtype.kind not in "iu":
        raise TypeError(f"overlay: labels must be integers, got dtype {labels.dtype}; cast them with astype")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"overlay: labels must lie between 0 and {classes - 1}, got {labels.min()} to {labels.max()}; "
            "say classes=..."
        )
    height, width = (s - i + 1 for s, i in zip(size, images.shape[1:], strict=True))
    if height < 1 or width < 1:
        raise ValueError(f"overlay: images of {images.shape[1:]} do not fit into pictures of size={size}")
    return height, width
