"""Streams and events as vector clocks: events must order any two uses of the same memory."""

from __future__ import annotations

import numpy as np

OWN, COPYING, HOST = "own", "copying", "host"


class Race(AssertionError):
    """Two streams use the same memory, one of them to write, and nothing orders them."""


class Clocks:
    """The part of a driver that knows two streams and the host.

    Each keeps what it knows of the others: how many of their uses of memory come before what it does next.
    """

    def __init__(self) -> None:
        self._now = {name: {OWN: 0, COPYING: 0, HOST: 0} for name in (OWN, COPYING, HOST)}
        self._uses: list[tuple[str, int, int, int, bool]] = []

    def touch(self, stream, *, reads=(), writes=()):
        """Note that a stream uses memory, and look for uses that are not known to be over."""
        knows = self._now[stream]
        knows[stream] += 1
        for arrays, writing in ((reads, False), (writes, True)):
            for x in arrays:
                low, high = np.lib.array_utils.byte_bounds(x)
                for other, time, start, stop, wrote in self._uses:
                    if (
                        other != stream
                        and (writing or wrote)
                        and start < high
                        and low < stop
                        and time > knows[other]
                    ):
                        raise Race(f"{stream} uses memory that {other} may still be using")
                self._uses.append((stream, knows[stream], low, high, writing))
        # What the host asks for, it has asked for: streams know all that the host did before.
        if stream == HOST:
            for name in (OWN, COPYING):
                self._now[name][HOST] = knows[HOST]

    def pinned(self, shape, dtype):
        return np.zeros(shape, dtype)

    def event(self):
        return {}

    def send(self, target, source):
        self.touch(HOST, writes=[source])  # the host has just filled it
        self.touch(COPYING, reads=[source], writes=[target])
        target[...] = source

    def mark(self, event, *, copying):
        event.clear()
        event.update(self._now[COPYING if copying else OWN])

    def wait(self, event, *, copying):
        self._learn(COPYING if copying else OWN, event)

    def wait_on_host(self, event):
        self._learn(HOST, event)

    def _learn(self, stream, event):
        for name, time in event.items():
            self._now[stream][name] = max(self._now[stream][name], time)
