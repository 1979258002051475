"""Data larger than the device's memory: chunks of it stream through two pinned and two device buffers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any, final

import numpy as np

from portnn._typing import Array
from portnn.backend._library import SHARE
from portnn.compile._cupy._driver import Driver

__all__ = ["Staging", "fits", "steps_in_slot"]

_SLOT = 1 / 8  # of the free memory: there are two slots, and steps need the rest


def fits(driver: Driver, data: Sequence[Any]) -> bool:
    """Return whether data may be on the device as a whole."""
    return sum(map(_bytes_of, data)) <= SHARE * driver.free_bytes()


def steps_in_slot(driver: Driver, data: Sequence[Any], batch: int, most: int) -> int:
    """Return for how many steps a slot holds the samples: as many as fit, at least one."""
    step = sum(map(_bytes_of, data)) * batch / data[0].shape[0]
    return max(1, min(most, int(_SLOT * driver.free_bytes() / max(step, 1.0))))


def _bytes_of(x: Any) -> int:
    return prod(x.shape) * np.dtype(str(x.dtype)).itemsize


@final
class Staging:
    """Two slots, filled in turn while the steps of the other one's samples run.

    Args:
        driver: the device.
        data: arrays in host memory with the samples first.
        rows: how many samples a slot holds.

    Attributes:
        rows: how many samples a slot holds.
        slots: for each slot the arrays on the device.
    """

    def __init__(self, driver: Driver, data: Sequence[Any], rows: int) -> None:
        self._driver = driver
        self._data = data
        self.rows = rows
        shapes = [((rows, *x.shape[1:]), x.dtype.name) for x in data]  # in the byte order of this machine
        self._pinned = [[driver.pinned(*s) for s in shapes] for _ in range(2)]
        self.slots: list[list[Array]] = [[driver.empty(*s) for s in shapes] for _ in range(2)]
        self._sent = [driver.event(), driver.event()]
        self._used = [driver.event(), driver.event()]
        self._next = 0
        for slot in self.slots:  # steps are written down, and warmed up, with what is there
            for array in slot:
                driver.put(array, np.zeros(array.shape, str(array.dtype)))

    def replace(self, data: Sequence[Any]) -> None:
        """Stream other arrays of the same shapes and dtypes; none for the time being."""
        self._data = data

    def nbytes(self) -> int:
        """The bytes of the slots on the device."""
        return sum([_bytes_of(x) for slot in self.slots for x in slot])

    def chunks(self, order: Any | None, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Bring the samples of an epoch to the device, a chunk at a time.

        Args:
            order: a host permutation of the samples, or None.
            start: the first place in the order.
            stop: the place after the last.

        Yields:
            The slot where the next samples are, and how many. What the own stream is given until the next
            chunk is asked for may read them; the host does not wait for it.
        """
        for event in self._used:  # whatever used the slots until now did so on the own stream
            self._driver.mark(event, copying=False)
        for begin in range(start, stop, self.rows):
            end = min(begin + self.rows, stop)
            slot, self._next = self._next, 1 - self._next
            self._fill(slot, order, begin, end)
            yield slot, end - begin
            self._driver.mark(self._used[slot], copying=False)

    def _fill(self, slot: int, order: Any | None, begin: int, end: int) -> None:
        driver = self._driver
        driver.wait_on_host(self._sent[slot])  # the pinned buffer is read until its last copy is done
        for source, pinned in zip(self._data, self._pinned[slot], strict=True):
            if order is None:
                pinned[: end - begin] = source[begin:end]
            else:
                np.take(source, order[begin:end], axis=0, out=pinned[: end - begin], mode="clip")
        driver.wait(self._used[slot], copying=True)  # the steps of its last samples must be over
        for target, pinned in zip(self.slots[slot], self._pinned[slot], strict=True):
            driver.send(target[: end - begin], pinned[: end - begin])
        driver.mark(self._sent[slot], copying=True)
        driver.wait(self._sent[slot], copying=False)
