"""What a lockstep comparison found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

__all__ = ["LineDifference", "LockstepReport"]


@final
@dataclass(frozen=True)
class LineDifference:
    """How far the results of one line are apart on two backends.

    Attributes:
        index: the line, counted from 0.
        name: the primitive.
        text: the line as it is printed.
        kind: dtypes and shapes of its results.
        absolute: the largest difference, of the same inputs.
        relative: the same relative to the size of the numbers; infinite where NaN, infinities, integers or
            shapes differ.
        tolerance: what `relative` may be.
        accumulated: as `relative`, each backend with its own results of the lines before.
        note: what else there is to say, such as NaN on one of the two.
    """

    index: int
    name: str
    text: str
    kind: str
    absolute: float
    relative: float
    tolerance: float
    accumulated: float
    note: str = ""

    @property
    def differs(self) -> bool:
        """Whether the difference is larger than tolerated."""
        return self.relative > self.tolerance


@final
@dataclass(frozen=True)
class LockstepReport:
    """Two runs of one program, line by line: made by `portnn.lockstep`; ``print(report)`` shows the worst.

    Attributes:
        function: the name of the function.
        sides: the two backends, with their dtypes where those were given.
        lines: the difference of each line.
    """

    function: str
    sides: tuple[str, str]
    lines: tuple[LineDifference, ...] = field(repr=False)

    @property
    def first(self) -> LineDifference | None:
        """The first line that differs by more than is tolerated; None if there is none."""
        return next((line for line in self.lines if line.differs), None)

    def worst(self, count: int = 10) -> list[LineDifference]:
        """The lines that differ most, measured by what is tolerated."""

        def excess(line: LineDifference) -> float:
            if not line.tolerance:
                return float("inf") if line.relative else 0.0
            return line.relative / line.tolerance

        return sorted(self.lines, key=excess, reverse=True)[:count]

    def __str__(self) -> str:
        first = self.first
        verdict = f"no primitive differs by more than is tolerated; lines compared: {len(self.lines)}"
        if first is not None:
            verdict = f"the first primitive that differs: {first.name}, in line {first.index}: {first.text}"
        head = ("line", "primitive", "results", "max |a - b|", "relative", "tolerance", "accumulated", "")
        rows = [head] + [
            (
                str(line.index),
                line.name,
                line.kind,
                f"{line.absolute:.2g}",
                f"{line.relative:.2g}",
                f"{line.tolerance:.2g}",
                f"{line.accumulated:.2g}",
                line.note,
            )
            for line in self.worst()
            if line.relative or line.accumulated
        ]
        widths = [max([len(row[i]) for row in rows]) for i in range(len(head))]
        table = ["  ".join([f"{c:<{w}}" for c, w in zip(row, widths, strict=True)]).rstrip() for row in rows]
        if len(rows) == 1:
            table = ["every result is the same on both"]
        return "\n".join([f"lockstep of {self.function}: {' and '.join(self.sides)}", verdict, *table])
