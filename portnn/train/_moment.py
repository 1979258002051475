"""Where a training stands, so that it can be written down and gone on from."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

__all__ = ["Moment", "Part", "stops"]


@final
@dataclass(frozen=True)
class Part:
    """What the first steps of an epoch gave that is not over.

    Attributes:
        step: how many steps of it are done.
        losses: their losses.
        right: what the measure counted in them; None if there is no measure, or nothing is done.
    """

    step: int = 0
    losses: tuple[float, ...] = ()
    right: float | None = None


@final
@dataclass(frozen=True)
class Moment:
    """Where a training stands, given to callbacks that have a method ``keep``.

    Attributes:
        epoch: how many epochs of this training are done.
        total: how many there are to be.
        step: how many steps of the present epoch are done besides, 0 after an epoch.
        steps: how many steps an epoch has.
        number: how many steps the network has been trained for in its life.
        ended: whether a callback stopped the training.
        save: writes all that is needed to go on from here to a file.
    """

    epoch: int
    total: int
    step: int
    steps: int
    number: int
    ended: bool
    save: Callable[[str | os.PathLike[str]], None]


def stops(first: int, steps: int, before: int, every: Sequence[int]) -> list[int]:
    """Where an epoch pauses: after which of its steps, and after its last.

    Args:
        first: how many of its steps are done.
        steps: how many it has.
        before: how many steps came before the epoch.
        every: it pauses after each step whose number is a multiple of one of these.

    Example:
        >>> stops(0, 10, 100, [4])
        [4, 8, 10]
    """
    marked = [i for i in range(first + 1, steps) if any((before + i) % k == 0 for k in every)]
    return [*marked, steps]
