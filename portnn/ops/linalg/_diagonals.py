"""Diagonals and their sums."""

from __future__ import annotations

import array_api_compat

from portnn._typing import Array, DType
from portnn.ops._broadcasting import sum as sum_
from portnn.tracing import namespace, primitive

__all__ = ["diagonal", "trace"]


@primitive
def _embed(d: Array, /, *, rows: int, columns: int, offset: int) -> Array:
    """Matrices of zeros with `d` on a diagonal: the transpose of taking the diagonal."""
    xp, device = namespace(d), array_api_compat.device(d)
    stretch = rows if offset >= 0 else columns
    rest = xp.zeros((*d.shape[:-1], stretch - d.shape[-1]), dtype=d.dtype, device=device)
    full = xp.concat([d, rest], axis=-1)
    spread = xp.expand_dims(full, axis=-1 if offset >= 0 else -2)
    mask = xp.eye(rows, columns, k=offset, dtype=d.dtype, device=device) != 0
    return xp.where(mask, spread, xp.zeros_like(spread))


_embed.vjp(lambda g, y, d, rows, columns, offset: diagonal(g, offset=offset))


@primitive
def _diagonal(x: Array, /, *, offset: int) -> Array:
    return namespace(x).linalg.diagonal(x, offset=offset)


_diagonal.vjp(lambda g, y, x, offset: _embed(g, rows=x.shape[-2], columns=x.shape[-1], offset=offset))


def diagonal(x: Array, /, *, offset: int = 0) -> Array:
    """The elements on a diagonal of each matrix.

    Args:
        x: array of shape (..., m, n).
        offset: 0 for the main diagonal, positive above it, negative below.

    Returns:
        The diagonals, of shape (..., length); it may share memory with `x`.

    Example:
        >>> import numpy as np
        >>> diagonal(np.asarray([[1.0, 2.0], [3.0, 4.0]])).tolist()
        [1.0, 4.0]
    """
    return _diagonal(x, offset=offset)


def trace(x: Array, /, *, offset: int = 0, dtype: DType | None = None) -> Array:
    """The sum of the elements on a diagonal of each matrix.

    Args:
        x: numeric array of shape (..., m, n).
        offset: 0 for the main diagonal, positive above it, negative below.
        dtype: the dtype to sum in, as for `sum`.

    Returns:
        The sums, of shape (...).

    Example:
        >>> import numpy as np
        >>> float(trace(np.asarray([[1.0, 2.0], [3.0, 4.0]])))
        5.0
    """
    return sum_(diagonal(x, offset=offset), axis=-1, dtype=dtype)
