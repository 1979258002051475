"""Sequences of different lengths in batches of few shapes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from portnn.ops._options import check_flag
from portnn.random import stream

__all__ = ["LengthBatch", "Remainder", "batches_by_length", "pad"]

_SHORTEST = 8  # the first boundary by default: below it, padding costs little
_EXACT = 2**53  # whole numbers up to here are all in float64
_ORDER = 3  # a purpose of the random streams of a seed, beside those of training

Remainder: TypeAlias = Literal["fill", "drop", "keep"]
"""What becomes of the samples that do not fill a batch."""


class LengthBatch(NamedTuple):
    """Which samples make up a batch, and how long it is.

    Attributes:
        rows: the numbers of the samples, int64 (n,).
        weight: 1 for each sample, 0 for one that only fills the batch up, float32 (n,).
        length: to which all are to be padded.

    Example:
        >>> batch = next(batches_by_length([3, 5], 4, boundaries=[8]))
        >>> batch.rows.shape, batch.weight.tolist(), batch.length
        ((4,), [1.0, 1.0, 0.0, 0.0], 8)
    """

    rows: Any
    weight: Any
    length: int


def batches_by_length(
    lengths: Any,
    batch_size: int,
    *,
    boundaries: Sequence[int] | None = None,
    seed: int = 0,
    epoch: int = 0,
    shuffle: bool = True,
    remainder: Remainder = "fill",
) -> Iterator[LengthBatch]:
    """Go through sequences once, those of about the same length together.

    Each sequence belongs to the first boundary that is not below its length, and is padded to it (`pad`).
    So there are as many shapes as boundaries, and a function under `jit` is planned once for each, in the
    first epoch. What is left over at a boundary is filled up with repeated samples of weight 0; pass the
    weights to the loss as ``sample_weight``, whose weighted mean leaves them out.

    Args:
        lengths: how long each sequence is, integers (n,).
        batch_size: sequences a batch.
        boundaries: the lengths to pad to, rising; the last is not below the longest sequence. By default 8,
            16, 32, ... up to the longest.
        seed: what the orders are drawn from.
        epoch: the number of the epoch; each has an order of its own.
        shuffle: whether sequences of a boundary are mixed, and batches of all boundaries; else they come
            as they stand, short ones first.
        remainder: "fill" as said; "drop" leaves out batches that are not full; "keep" gives them as they
            are, so that there are more shapes.

    Yields:
        Batches; the same on every machine for the same arguments.

    Raises:
        TypeError: if lengths or numbers are no integers.
        ValueError: if there are no lengths, or they do not fit the boundaries.

    Example:
        >>> lengths = [3, 12, 7, 30, 8, 16]
        >>> for rows, weight, length in batches_by_length(lengths, 2, shuffle=False):
        ...     print(rows.tolist(), weight.tolist(), length)
        [0, 2] [1.0, 1.0] 8
        [4, 4] [1.0, 0.0] 8
        [1, 5] [1.0, 1.0] 16
        [3, 3] [1.0, 0.0] 30
    """
    check_flag("batches_by_length", "shuffle", shuffle)
    found = np.asarray(lengths)
    if found.size and found.dtype.kind not in "iu":
        raise TypeError(f"batches_by_length: lengths must be integers, got dtype {found.dtype}")
    if found.ndim != 1 or not found.size or found.min() < 0:
        raise ValueError(
            f"batches_by_length: lengths must be of shape (n,) and not negative, got shape {found.shape}"
        )
    size = _whole("batch_size", batch_size)
    if remainder not in get_args(Remainder):
        raise ValueError(
            f"batches_by_length: remainder must be 'fill', 'drop' or 'keep', got {remainder!r:.40}"
        )
    edges = _edges(boundaries, int(found.max()))
    order = stream(seed, _ORDER, epoch) if shuffle else None
    return iter(_in_order(found, size, edges, order, remainder))


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"batches_by_length: {name} must be an integer, got {type(value).__name__}")
    if value.__index__() < 1:
        raise ValueError(f"batches_by_length: {name} must be at least 1, got {value}")
    return int(value.__index__())


def _edges(boundaries: Sequence[int] | None, longest: int) -> list[int]:
    """The lengths to pad to."""
    if boundaries is None:
        edges = [max(longest, 1)]
        while (shorter := _SHORTEST << (len(edges) - 1)) < longest:
            edges.insert(-1, shorter)
        return edges
    edges = [_whole("each boundary", b) for b in boundaries]
    if not edges or edges != sorted(set(edges)):
        raise ValueError(f"batches_by_length: boundaries must rise, got {edges[:6]}")
    if edges[-1] < longest:
        raise ValueError(
            f"batches_by_length: a sequence has length {longest}, beyond the last boundary {edges[-1]}; "
            "cut it, or add a boundary"
        )
    return edges


def _in_order(
    lengths: Any, size: int, edges: list[int], rng: np.random.Generator | None, remainder: Remainder
) -> list[LengthBatch]:
    """The batches of an epoch."""
    places = np.searchsorted(edges, lengths)
    found = []
    for place, length in enumerate(edges):
        rows = np.flatnonzero(places == place)
        rows = rows if rng is None else rng.permutation(rows)
        for start in range(0, len(rows), size):
            batch = _full(rows, start, size, length, remainder)
            if batch is not None:
                found.append(batch)
    return found if rng is None else [found[i] for i in rng.permutation(len(found))]


def _full(rows: Any, start: int, size: int, length: int, remainder: Remainder) -> LengthBatch | None:
    part = rows[start : start + size]
    n = len(part)
    if n < size and remainder == "drop":
        return None
    filled = np.resize(part, size) if remainder == "fill" else part
    weight = (np.arange(len(filled)) < n).astype(np.float32)
    return LengthBatch(filled.astype(np.int64), weight, length)


def pad(sequences: Sequence[Any], length: int | None = None, *, fill: float = 0) -> tuple[Any, Any]:
    """Sequences of different lengths as one array, and the mask that says what of it is real.

    Args:
        sequences: arrays or lists (t, ...) that differ in their first axis at most.
        length: how long to make them; by default as long as the longest.
        fill: the value after the end of a sequence. If it is a fraction and the sequences are integers, the
            array is float64, the dtype of their sum in NumPy.

    Returns:
        The array (n, length, ...) of their common dtype, and booleans (n, length), True for what is real;
        both NumPy's.

    Raises:
        TypeError: if `fill` is not a number.
        ValueError: if there are no sequences, one is longer than `length`, they differ in other axes, or no
            dtype holds both them and `fill`.

    Example:
        >>> x, mask = pad([[5, 6, 7], [8]], 4)
        >>> x.tolist(), mask.tolist()
        ([[5, 6, 7, 0], [8, 0, 0, 0]], [[True, True, True, False], [True, False, False, False]])
    """
    parts = [np.asarray(s) for s in sequences]
    filled = [p for p in parts if p.size] or parts  # an empty list has a dtype that nobody chose
    shapes = {p.shape[1:] for p in filled}
    if len(shapes) != 1 or any(p.ndim < 1 for p in parts):
        raise ValueError(
            f"pad: expected sequences of shape (t, ...) alike but for t, got {sorted(shapes)[:4]}"
        )
    longest = max(len(p) for p in parts)
    if length is not None and length < longest:
        raise ValueError(f"pad: a sequence has length {longest}, more than {length}; cut it first")
    n = longest if length is None else length
    [rest] = shapes
    x = np.full((len(parts), n, *rest), fill, dtype=_dtype_with(fill, filled))
    mask = np.zeros((len(parts), n), dtype=np.bool_)
    for row, part in enumerate(parts):
        if len(part):
            x[row, : len(part)] = part
            mask[row, : len(part)] = True
    return x, mask


def _dtype_with(fill: float, parts: list[Any]) -> np.dtype[Any]:
    """Return the common dtype of sequences, or a wider one that also holds `fill`."""
    if not isinstance(fill, (int, float, complex, np.number, np.bool_)):
        raise TypeError(f"pad: fill must be a number, got {type(fill).__name__}")
    value = fill.item() if isinstance(fill, np.generic) else fill
    dtype = np.result_type(*parts)
    if dtype.kind not in "biufc":
        raise TypeError(f"pad: expected sequences of numbers, got dtype {dtype}")
    if _holds(dtype, value):
        return dtype
    wider = np.result_type(dtype, value)
    integers = [part for part in parts if part.dtype.kind in "iu" and part.size]
    largest = max([max(int(part.max()), -int(part.min())) for part in integers], default=0)
    if not _holds(wider, value) or (wider.kind in "fc" and largest > _EXACT):
        raise ValueError(
            f"pad: no dtype holds fill={value!r:.40} beside sequences of {dtype}; cast them with astype, or "
            "choose another value"
        )
    return wider


def _holds(dtype: np.dtype[Any], value: Any) -> bool:
    """Return whether a dtype can hold a number: integers exactly, others with rounding."""
    if dtype.kind in "biu":
        limits = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        return whole and limits[0] <= value <= limits[1]
    if isinstance(value, complex) and dtype.kind == "f":
        return False
    size = abs(value)
    return size <= float(np.finfo(dtype).max) or size == inf or size != size
