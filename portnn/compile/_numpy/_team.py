"""Threads that share the large calls of a plan.

NumPy lets other threads run while it computes, and so does its BLAS. Waking another thread takes some 20 us,
so a team is for calls, or chains of them, that take many times as long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import copy_context
from itertools import pairwise
from typing import TypeAlias, final

__all__ = ["Part", "Team", "ranges"]

Part: TypeAlias = Callable[[], None]
"""A piece of work that writes where no other part reads or writes."""


def ranges(n: int, parts: int, unit: int = 1) -> list[tuple[int, int]]:
    """Where each of some parts of n things begins and ends; all but the last are whole units.

    Example:
        >>> ranges(100, 2, unit=16)
        [(0, 48), (48, 100)]
    """
    ends = [n * i // parts // unit * unit for i in range(parts)]
    return [(a, b) for a, b in pairwise([*ends, n]) if a < b]


@final
class Team:
    """Some threads, this one among them.

    Args:
        size: how many.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._others = None
        if size > 1:
            from concurrent.futures import ThreadPoolExecutor  # few need it, and it takes a while to import

            self._others = ThreadPoolExecutor(size - 1, "portnn")

    def together(self, parts: Sequence[Part]) -> Part:
        """Several parts as one, which ends when all of them have ended."""
        first, rest = parts[0], parts[1:]
        if self._others is None or not rest:
            assert not rest, "a team of one has one part"
            return first
        submit = self._others.submit

        def run() -> None:
            # What numpy.errstate says belongs to a context, which other threads do not have by themselves.
            waiting = [submit(copy_context().run, part) for part in rest]
            try:
                first()
            finally:
                for one in waiting:
                    one.result()

        return run
