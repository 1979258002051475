"""Rows of a table looked up by numbers, with a gradient that is summed in a fixed order."""

from __future__ import annotations

from math import prod

from portnn._typing import Array
from portnn.ops._broadcasting import reshape
from portnn.ops._helpers import indices_at, plain
from portnn.ops._indexing import as_index, from_first, positions, scatter_add
from portnn.ops._linear_algebra import matmul
from portnn.ops._options import check_whole
from portnn.tracing import is_kind, namespace, primitive

__all__ = ["embedding"]

_FEW = 256  # rows up to which the gradient is a product with the one-hot matrix, see `_embedding_rule`


@primitive
def _embedding(weight: Array, indices: Array, /, *, padding: int | None) -> Array:
    xp = namespace(weight, indices)
    rows = xp.take(weight, as_index(xp.reshape(indices, (-1,))), axis=0)
    return xp.reshape(rows, (*indices.shape, weight.shape[1]))


def _embedding_rule(g: Array, y: Array, weight: Array, indices: Array, padding: int | None) -> Array:
    """The sum of the gradients of each row's uses: Hᵀ g with the one-hot matrix H of the indices.

    The product does rows × uses × features multiplications, the sorted sum of `take` about log₂(uses) passes
    over the gradients. On NumPy, 640 uses and 64 features, the product took 0.06 ms for 30 rows, 0.5 ms for
    300 and 2.9 ms for 1000, the sorted sum 0.4, 0.6 and 0.5 ms; the table's size decides, not the uses.
    """
    n, m = weight.shape[0], prod(indices.shape)
    xp = namespace(plain(weight), plain(indices))
    places = xp.reshape(from_first(indices, n), (-1,))
    rows = reshape(g, (m, weight.shape[1]))
    if padding is not None:
        places = xp.where(places == padding, n, places)  # one row more, for what counts nowhere
    if n > _FEW:
        return scatter_add(rows, places, length=n + 1)[:n, ...]
    hot = xp.astype(xp.expand_dims(indices_at(weight, n), axis=1) == places, plain(g).dtype)
    return matmul(hot, rows)


_embedding.vjp(_embedding_rule, None)


def embedding(weight: Array, indices: Array, /, *, padding: int | None = None) -> Array:
    """The rows of a table at the indices.

    The gradient is deterministic on every library and device: it is summed in a fixed order.

    Args:
        weight: floating-point array of shape (rows, features).
        indices: integers of any shape; negative ones count from the last row, as for `take`.
        padding: a row whose uses add nothing to the gradient; a negative number counts from the last one.

    Returns:
        An array of shape (*indices.shape, features).

    Raises:
        TypeError: if the indices or `padding` are not integers.
        ValueError: if `weight` has not two axes, or there is no row `padding`.
        IndexError: if a row does not exist. Where values are unknown, as inside ``jax.jit``, such a row is
            NaN.

    Example:
        >>> import numpy as np
        >>> embedding(np.asarray([[0.0, 0.5], [1.0, 1.5]]), np.asarray([1, 0, 1])).tolist()
        [[1.0, 1.5], [0.0, 0.5], [1.0, 1.5]]
    """
    if not is_kind(indices, "integral"):
        raise TypeError(f"embedding: indices must be integers, got {indices.dtype}; convert with astype")
    if len(weight.shape) != 2:
        raise ValueError(f"embedding: expected a weight of shape (rows, features), got {tuple(weight.shape)}")
    if padding is not None:
        padding, rows = check_whole("embedding", "padding", padding), weight.shape[0]
        if not -rows <= padding < rows:
            raise ValueError(f"embedding: padding must be one of {rows} rows, got {padding!s:.40}")
        padding %= rows
    indices = positions("embedding: indices", indices, weight.shape[0])
    return look_up(weight, indices, padding=padding)


look_up = _embedding  # for checked rows, counted from the first
