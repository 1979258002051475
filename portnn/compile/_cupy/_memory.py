"""The memory of CUDA graphs: a graph writes to the addresses of its capture, so it keeps that memory."""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, final
from weakref import WeakSet

__all__ = ["Block", "Chunk", "GraphMemory"]

_UNIT = 512  # bytes: the alignment of everything, as in CuPy's pool
_SMALL = 2**20  # bytes: smaller blocks share slabs, so that they do not fragment large ranges
_SLAB = 2**21


class Owner(Protocol):
    """An object that holds device memory as long as it exists, such as CuPy's `MemoryPointer`."""

    @property
    def ptr(self) -> int:
        """The address."""


@final
class Chunk:
    """A piece of memory with its free ranges.

    It returns to its allocator when neither a graph nor a block holds it any more.
    """

    __slots__ = ("__weakref__", "address", "freed", "owner", "ranges", "size", "small")

    def __init__(self, owner: Owner, size: int, *, small: bool) -> None:
        self.owner = owner
        self.address = owner.ptr
        self.size = size
        self.small = small
        self.ranges = [(0, size)]  # (start, stop), sorted, never touching
        self.freed: deque[tuple[int, int]] = deque()  # filled by any thread that drops a block

    def take(self, start: int, size: int) -> Block:
        """Allocate the beginning of a free range."""
        n = next(i for i, found in enumerate(self.ranges) if found[0] == start)
        stop = self.ranges[n][1]
        self.ranges[n : n + 1] = [(start + size, stop)] if start + size < stop else []
        return Block(self, start, start + size)

    def settle(self) -> None:
        """Merge freed blocks into the free ranges."""
        while self.freed:
            insort(self.ranges, self.freed.popleft())
        joined: list[tuple[int, int]] = []
        for start, stop in self.ranges:
            if joined and joined[-1][1] == start:
                joined[-1] = joined[-1][0], stop
            else:
                joined.append((start, stop))
        self.ranges = joined


@final
class Block:
    """A range in use: dropping it frees it, and it keeps its chunk alive."""

    __slots__ = ("_chunk", "_range")

    def __init__(self, chunk: Chunk, start: int, stop: int) -> None:
        self._chunk, self._range = chunk, (start, stop)

    @property
    def address(self) -> int:
        """The address of its first byte."""
        return self._chunk.address + self._range[0]

    def __del__(self) -> None:
        self._chunk.freed.append(self._range)  # atomic, since another thread may be allocating


@final
class GraphMemory:
    """The memory of the graphs of one stream. They never run at the same time, so they share it.

    Only the graphs that were captured with a chunk hold it: it is in use while they exist, and goes back to
    the allocator afterwards.
    """

    def __init__(self) -> None:
        self._chunks: WeakSet[Chunk] = WeakSet()
        self._used: list[Chunk] | None = None  # in a session
        self._source: Callable[[int], Owner] | None = None

    @contextmanager
    def session(self, source: Callable[[int], Owner]) -> Iterator[list[Any]]:
        """Allow allocations for one capture, by one thread.

        Args:
            source: allocates memory, as CuPy's allocators do.

        Yields:
            The list of chunks used so far; the owner of the graph has to hold it.
        """
        used: list[Chunk] = []
        before = self._used, self._source
        self._used, self._source = used, source
        try:
            yield used
        finally:
            self._used, self._source = before

    @property
    def source(self) -> Callable[[int], Owner] | None:
        """The allocator of the current session; None outside of one."""
        return self._source

    def malloc(self, size: int) -> Block:
        """Allocate at least `size` bytes, in the smallest free range that is large enough."""
        assert self._used is not None, "graph memory is asked for in a session"
        assert self._source is not None, "a session has a source"
        size = max(_UNIT, -(-size // _UNIT) * _UNIT)
        small = size <= _SMALL
        best: tuple[int, int, int, Chunk] | None = None
        for chunk in list(self._chunks):
            if chunk.small is small:
                chunk.settle()
                for start, stop in chunk.ranges:
                    found = stop - start, chunk.address, start
                    if size <= found[0] and (best is None or found < best[:3]):
                        best = *found, chunk
        if best is None:
            chunk = Chunk(self._source(_SLAB if small else size), _SLAB if small else size, small=small)
            self._chunks.add(chunk)
            best = 0, 0, 0, chunk
        if all(chunk is not best[3] for chunk in self._used):
            self._used.append(best[3])
        return best[3].take(best[2], size)
