"""Arrays of a graph before they have names: shapes in which some lengths follow the size of the batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, final

from portnn._typing import Array
from portnn.export._errors import ExportError

__all__ = ["Length", "Size", "Tensor", "fitted", "fixed"]


@final
@dataclass(frozen=True)
class Size:
    """An integer that follows the batch, ``per_sample * n + rest``.

    Attributes:
        per_sample: how much it grows with each sample; not zero.
        rest: what it has besides.
    """

    per_sample: int
    rest: int

    def __add__(self, other: int) -> Size:
        return Size(self.per_sample, self.rest + other)

    def __str__(self) -> str:
        product = "n" if self.per_sample == 1 else f"{self.per_sample}n"
        return f"{product}{self.rest:+}" if self.rest else product


Length: TypeAlias = int | Size


def fitted(values: Sequence[int], batches: Sequence[int]) -> Length | None:
    """The integer that was `values` for batches of these sizes; None if it does not grow evenly with them."""
    if len({*values}) == 1:
        return values[0]
    per_sample, odd = divmod(values[1] - values[0], batches[1] - batches[0])
    rest = values[0] - per_sample * batches[0]
    even = all(v == per_sample * n + rest for v, n in zip(values, batches, strict=True))
    return None if odd or not even else Size(per_sample, rest)


def fixed(lengths: Iterable[Length]) -> list[int]:
    """Lengths that are the same for every batch.

    Raises:
        ExportError: if one of them is not.
    """
    found = list(lengths)
    known = [length for length in found if isinstance(length, int)]
    if len(known) < len(found):
        raise ExportError(f"an axis follows the batch that must not: lengths {', '.join(map(str, found))}")
    return known


@final
class Tensor:
    """An array of a graph.

    Attributes:
        shape: the length of each axis.
        dtype: the name of its dtype.
        arrays: for a constant its values, an array for each size of batch that was tried; else None.
    """

    __slots__ = ("arrays", "dtype", "shape")

    def __init__(self, shape: tuple[Length, ...], dtype: str, arrays: tuple[Array, ...] | None) -> None:
        self.shape = shape
        self.dtype = dtype
        self.arrays = arrays

    @property
    def follows(self) -> list[int]:
        """The axes whose lengths follow the batch."""
        return [axis for axis, length in enumerate(self.shape) if isinstance(length, Size)]

    def __repr__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"
