"""What a training leaves behind: a number for each quantity and epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import final

__all__ = ["History"]


@final
class History(Mapping[str, list[float]]):
    """The course of a training: for each quantity, its value after each epoch.

    Args:
        **columns: the quantities to begin with.

    Attributes:
        plan: what a step of the training was carried out as, for people to read: the calls of its plan, or
            why there was none.

    Example:
        >>> history = History()
        >>> history.record({"loss": 2.3, "accuracy": 0.1})
        >>> history.record({"loss": 1.1, "accuracy": 0.6})
        >>> history["loss"], len(history["accuracy"])
        ([2.3, 1.1], 2)
    """

    def __init__(self, **columns: list[float]) -> None:
        self._columns = {name: list(values) for name, values in columns.items()}
        self.plan = ""

    def record(self, logs: Mapping[str, float]) -> None:
        """Add the values of an epoch at once, so that an interruption leaves all columns equally long."""
        longer = {name: [*self._columns.get(name, ()), float(value)] for name, value in logs.items()}
        self._columns = {**self._columns, **longer}

    def __getitem__(self, name: str) -> list[float]:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __repr__(self) -> str:
        last = {name: round(values[-1], 4) for name, values in self._columns.items() if values}
        return f"History({max(map(len, self._columns.values()), default=0)} epochs, last: {last})"
