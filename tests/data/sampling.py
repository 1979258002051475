"""Pictures, and what they are between their pixels, one place after the other."""

from __future__ import annotations

import numpy as np

rng = np.random.default_rng(0)
IMAGES = rng.uniform(0.0, 1.0, (3, 5, 7)).astype(np.float32)
COLOURED = rng.uniform(0.0, 1.0, (2, 3, 5, 7)).astype(np.float32)
BYTES = rng.integers(0, 256, (3, 5, 7)).astype(np.uint8)


def at(image: np.ndarray, row: float, column: float, fill: float) -> float:
    """One image at one place: the weighted mean of four pixels."""

    def pixel(i: int, j: int) -> float:
        inside = 0 <= i < image.shape[0] and 0 <= j < image.shape[1]
        return float(image[i, j]) if inside else fill

    i, j = int(np.floor(row)), int(np.floor(column))
    s, t = row - i, column - j
    upper = (1 - t) * pixel(i, j) + t * pixel(i, j + 1)
    lower = (1 - t) * pixel(i + 1, j) + t * pixel(i + 1, j + 1)
    return (1 - s) * upper + s * lower


def sampled(images: np.ndarray, rows: np.ndarray, columns: np.ndarray, fill: float = 0.0) -> np.ndarray:
    """Every image at every place, one after the other."""
    if images.ndim == 4:
        return np.stack([sampled(images[:, k], rows, columns, fill) for k in range(images.shape[1])], axis=1)
    rows, columns = (np.broadcast_to(a, (len(images), *a.shape[-2:])) for a in (rows, columns))
    out = np.empty(rows.shape)
    for place in np.ndindex(rows.shape):
        out[place] = at(images[place[0]], float(rows[place]), float(columns[place]), fill)
    return out
