"""Where the intermediate results of a plan lie: one block of memory, shared by values that never meet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import numpy as np

from portnn.tracing import Value

__all__ = ["Arena", "array_at", "layout_of"]

_ALIGNMENT = 64  # bytes of a cache line, and of the widest vector registers


@final
class Arena:
    """A block of memory that is given out piece by piece and taken back."""

    def __init__(self) -> None:
        self.size = 0
        self._free: list[tuple[int, int]] = []  # (offset, length), by offset

    def take(self, nbytes: int) -> int:
        """The offset of a free piece; the smallest that is large enough."""
        nbytes = _rounded(nbytes)
        fitting = [(length, offset) for offset, length in self._free if length >= nbytes]
        if fitting:
            length, offset = min(fitting)
            self._free.remove((offset, length))
            if length > nbytes:
                self._free.append((offset + nbytes, length - nbytes))
            return offset
        offset = self.size
        if self._free:
            last, length = max(self._free)
            if last + length == self.size:  # a free piece at the end grows
                self._free.remove((last, length))
                offset = last
        self.size = offset + nbytes
        return offset

    def give(self, offset: int, nbytes: int) -> None:
        """Take a piece back, and join it with free neighbours."""
        pieces = sorted([*self._free, (offset, _rounded(nbytes))])
        joined = [pieces[0]]
        for start, length in pieces[1:]:
            before, size = joined[-1]
            if before + size == start:
                joined[-1] = (before, size + length)
            else:
                joined.append((start, length))
        self._free = joined

    def allocate(self) -> Any:
        """The memory, aligned; not written to before it is used."""
        raw = np.empty(self.size + _ALIGNMENT, dtype=np.uint8)
        start = -raw.ctypes.data % _ALIGNMENT
        return raw[start : start + self.size]


def _rounded(nbytes: int) -> int:
    return max(_ALIGNMENT, -(-nbytes // _ALIGNMENT) * _ALIGNMENT)


def layout_of(value: Value) -> tuple[int, ...]:
    """The axes from the outermost to the innermost in memory, as eager execution lays them out."""
    strides: Sequence[int] = value.strides or ()
    return tuple(sorted(range(len(strides)), key=lambda axis: (-abs(strides[axis]), axis)))


def array_at(memory: Any, offset: int, value: Value) -> Any:
    """An array in memory with the shape, dtype and layout of a value."""
    dtype = np.dtype(value.dtype)
    order = layout_of(value)
    if order == tuple(range(len(order))):
        return np.ndarray(value.shape, dtype, memory, offset)
    shape = tuple([value.shape[axis] for axis in order])
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    flat = memory[offset : offset + size].view(dtype)
    return flat.reshape(shape).transpose(np.argsort(order))
