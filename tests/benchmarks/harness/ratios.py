"""Ratios of times that were taken in turns."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

__all__ = ["Ratio", "ratio"]


@final
@dataclass(frozen=True)
class Ratio:
    """The ratios of the rounds, summed up.

    Attributes:
        median: half of the rounds are below.
        low: the lower quartile.
        high: the upper quartile.
        smallest: of all rounds.
        largest: of all rounds.
        rounds: their number.
    """

    median: float
    low: float
    high: float
    smallest: float
    largest: float
    rounds: int

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f} to {self.high:.2f})"


def ratio(over: Sequence[float], under: Sequence[float]) -> Ratio:
    """How much longer one took than the other, round by round.

    Neighbouring rounds share what the machine did meanwhile, so each round gives a ratio of its own, and the
    median of those is the figure; it is not the ratio of the medians.

    Args:
        over: seconds in each round.
        under: seconds of the other in the same rounds.

    Raises:
        ValueError: if there are no rounds, or not as many of one as of the other.

    Example:
        >>> print(ratio([2.0, 4.0, 9.0], [1.0, 2.0, 3.0]))
        2.00 (2.00 to 2.50)
    """
    if not over or len(over) != len(under):
        raise ValueError(f"expected as many rounds of both, at least one, got {len(over)} and {len(under)}")
    each = sorted(a / b for a, b in zip(over, under, strict=True))
    low, _, high = statistics.quantiles(each, n=4, method="inclusive") if len(each) > 1 else each * 3
    return Ratio(statistics.median(each), low, high, each[0], each[-1], len(each))
