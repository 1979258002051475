"""A cache of compiled loops, so that an equal training need not plan again."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import final

from portnn._typing import Array, Tree
from portnn.compile._loop import Loop, Step, make_loop
from portnn.compile._precision import Precision
from portnn.compile._signature import signature
from portnn.compile._threads import threads_allowed
from portnn.tracing import Extent

__all__ = ["KeptLoops", "forget_loops", "kept_loop"]

_MOST = 16  # loops


@final
@dataclass(frozen=True, eq=False)
class _Idle:
    """A loop that is not in use."""

    key: Hashable
    loop: Loop
    nbytes: int
    valid: Callable[[], bool]


@final
class KeptLoops:
    """A cache of loops by key; each is lent to one borrower at a time.

    The most recently used loops are kept, up to a number, and up to the bytes of `Loop.room` on the host
    and on each device.

    Args:
        most: the largest number of loops.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._lock = Lock()
        self._idle: list[_Idle] = []  # the most recently used at the end
        self._left_behind: list[_Idle] = []
        self._process = os.getpid()

    @contextmanager
    def lend(
        self,
        key: Hashable | None,
        make: Callable[[], Loop],
        carry: Tree,
        data: Sequence[Array],
        extents: Sequence[Extent] = (),
        valid: Callable[[], bool] = lambda: True,
    ) -> Iterator[Loop]:
        """Lend a loop bound to a carry and data.

        After an error inside the context the loop is dropped, since it may have stopped halfway.

        Args:
            key: equal for interchangeable loops; None for a loop that is not kept.
            make: makes a loop, bound to `carry` and `data`, if none is idle.
            carry: as for `portnn.compile.make_loop`.
            data: likewise.
            extents: likewise.
            valid: returns whether the key still identifies the step; called before the loop is kept, and
                before it is lent again.
        """
        idle = None if key is None else self._taken(key)
        if idle is None or not idle.valid():
            loop = self._made(make)
        else:
            loop = idle.loop
            loop.bind(carry, data, extents)
        process = os.getpid()
        yield loop
        if key is not None and os.getpid() == process and valid():
            loop.unbind()
            self._put(_Idle(key, loop, loop.nbytes(), valid))

    def forget(self) -> None:
        """Drop all idle loops."""
        with self._lock:
            idle, self._idle = self._idle, []
        del idle  # outside the lock: freeing a loop may take a while

    def __len__(self) -> int:
        return len(self._idle)

    def nbytes(self, place: str = "cpu") -> int:
        """Return the bytes that idle loops hold on the host or a device."""
        return sum([idle.nbytes for idle in self._idle if idle.loop.place == place])

    def _made(self, make: Callable[[], Loop]) -> Loop:
        try:
            return make()
        except MemoryError:
            if not self._idle:
                raise
        self.forget()
        return make()

    def _taken(self, key: Hashable) -> _Idle | None:
        """Remove and return an idle loop; None if there is none."""
        marks = hash(key)
        with self._lock:
            for i in reversed(range(len(self._idle))):
                found = self._idle[i]
                if hash(found.key) == marks and found.key == key:
                    return self._idle.pop(i)
        return None

    def _put(self, idle: _Idle) -> None:
        """Keep a loop if it fits, and drop those for which no room is left."""
        if idle.nbytes > idle.loop.room:
            return
        dropped: list[_Idle] = []
        with self._lock:
            self._idle.append(idle)
            while len(self._idle) > self._most:
                dropped.append(self._idle.pop(0))
            same = [i for i in self._idle if i.loop.place == idle.loop.place]
            total = sum([i.nbytes for i in same])
            for old in same:
                if total <= old.loop.room:
                    break
                total -= old.nbytes
                self._idle.remove(old)
                dropped.append(old)
        dropped.clear()  # outside the lock

    def renew(self) -> None:
        """Start empty in a child process, which lacks the threads and devices of its parent."""
        self._lock = Lock()
        # Not freed: that would use threads and devices that do not exist here.
        self._left_behind, self._idle = [*self._left_behind, *self._idle], []


_loops = KeptLoops()
atexit.register(_loops.forget)  # while the libraries are loaded
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_loops.renew)


def forget_loops() -> None:
    """Drop all plans that are kept between trainings, and free their memory.

    The next training of each network traces its step again.
    """
    _loops.forget()


@contextmanager
def kept_loop(
    key: Hashable | None,
    step: Step,
    carry: Tree,
    data: Sequence[Array],
    batch_size: int | None,
    *,
    extents: Sequence[Extent] = (),
    shuffled: bool = True,
    threads: int | None = None,
    precision: Precision = "float32",
    valid: Callable[[], bool] = lambda: True,
) -> Iterator[Loop]:
    """Return a loop kept from an equal training, bound to these arrays, or else a new one.

    Up to 16 loops are kept, with up to 64 MB on the host and a small fraction of a device's memory. A loop in
    use is never lent twice: another thread, or a nested training, gets its own.

    Args:
        key: identifies what `step` does: equal keys mean equal steps, including every number in them. Use
            `portnn.compile.fingerprint` of everything that the step calls: layer, loss, optimizer, penalty,
            frozen paths, metrics, the number of parts of a batch. Properties of the arrays (structure,
            shapes, dtypes, layout, device, weights or none) and the arguments below are added here. None for
            a step that is not kept.
        step: as for `make_loop`. It must not refer to anything that changes, or to the data of one training:
            changing values belong in the carry, and `portnn.tracing.extent_of` has what is known of the data.
        carry: as for `make_loop`.
        data: likewise.
        batch_size: likewise.
        extents: likewise.
        shuffled: likewise.
        threads: likewise.
        precision: likewise.
        valid: returns whether `key` still identifies `step`. Called before the loop is kept, since its plans
            may contain what a callback changed during the training; and before it is lent again, since they
            contain arrays that the step referred to.

    Yields:
        The loop, for use inside the context. After an error it is dropped.
    """
    make = partial(
        make_loop, step, carry, data, batch_size, extents=extents, shuffled=shuffled, threads=threads,
        precision=precision,
    )  # fmt: skip
    if key is not None:
        arrays, _ = signature((carry, tuple(data)))
        allowed = threads_allowed() if threads is None else threads
        key = (key, arrays, batch_size, len(extents), shuffled, threads, allowed, precision)
    with _loops.lend(key, make, carry, data, extents, valid) as loop:
        yield loop
