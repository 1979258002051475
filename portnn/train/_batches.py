"""Batches for a custom training loop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from portnn import ops, tree
from portnn._typing import Tree
from portnn.ops._indexing import gather
from portnn.ops._options import check_flag
from portnn.train._step import order_of

__all__ = ["batches"]


def batches(
    arrays: Tree,
    batch_size: int,
    *,
    seed: int = 0,
    epoch: int = 0,
    shuffle: bool = True,
    drop_last: bool = False,
) -> Iterator[Tree]:
    """Yield the batches of one epoch, in an order set by the seed and the epoch.

    The order is that of `Network.fit` with the same seed, on every backend.

    Args:
        arrays: a tree of arrays of one library and device with the samples along their first axis, such as
            ``(x, y)`` or ``{"image": x, "angle": a}``.
        batch_size: samples per batch; the last batch has the rest.
        seed: the seed of the orders.
        epoch: the number of the epoch; each has its own order.
        shuffle: whether to shuffle the samples.
        drop_last: whether to drop a smaller last batch, for which `jit` would make another plan.

    Yields:
        Trees like `arrays` with some of the samples.

    Raises:
        TypeError: if `batch_size` is not an integer.
        ValueError: if there are no arrays, they differ in length, or `batch_size` is not positive.

    Example:
        >>> import numpy as np
        >>> data = {"x": np.arange(5), "y": np.arange(5) * 10}
        >>> [batch["y"].tolist() for batch in batches(data, 2, seed=0, epoch=1)]
        [[30, 40], [20, 10], [0]]
    """
    check_flag("batches", "shuffle", shuffle)
    check_flag("batches", "drop_last", drop_last)
    sizes = {tuple(a.shape)[:1] for a in tree.leaves(arrays)}
    if len(sizes) != 1 or () in sizes:
        raise ValueError(
            f"batches: expected arrays with as many samples each, got {sorted(sizes)[:4]}; "
            "their first axis counts the samples"
        )
    if isinstance(batch_size, bool) or not hasattr(batch_size, "__index__"):
        raise TypeError(f"batches: batch_size must be an integer, got {type(batch_size).__name__}")
    size = batch_size.__index__()
    if size < 1:
        raise ValueError(f"batches: batch_size must be at least 1, got {size}")
    [(n,)] = sizes
    return _batches(arrays, n, size, order_of(n, seed, epoch) if shuffle else None, drop_last)


def _batches(arrays: Tree, n: int, size: int, order: Any, drop_last: bool) -> Iterator[Tree]:
    order = None if order is None else ops.asarray(order, like=tree.leaves(arrays)[0])
    for start in range(0, n, size):
        stop = min(start + size, n)
        if drop_last and stop - start < size:
            return
        if order is None:
            yield tree.map(lambda a, s=slice(start, stop): a[s, ...], arrays)
        else:
            yield tree.map(lambda a, rows=order[start:stop]: gather(a, rows, axis=0), arrays)
