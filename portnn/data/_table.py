"""Tables: named columns of numbers or of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from portnn.data._errors import DataError

__all__ = ["EXACT", "Table"]

EXACT = 2**53  # whole numbers up to here are all in float64


@final
@dataclass(frozen=True, eq=False)
class Table:
    """Columns of equal length, as `read_table` returns them.

    Attributes:
        source: where it came from, for messages.
        names: the names of the columns; "1", "2", ... if the file has none.
        columns: for each an array (n,): float64, text, or integers if there are some beyond 2^53.
        named: whether the file has names.
        lines: the line of the file in which each row begins, counted from 1; None if it has no lines.
        guessed: whether `named` was detected and not given.
        texts: numeric columns with leading zeros (codes, perhaps) as text, by name.

    Example:
        >>> import numpy as np
        >>> columns = np.asarray(["cat", "hen"]), np.asarray([4.0, 2.0])
        >>> table = Table("pets", ("kind", "legs"), columns, True)
        >>> table.numbers(["legs"]).tolist()
        [[4.0], [2.0]]
    """

    source: str
    names: tuple[str, ...]
    columns: tuple[NDArray[Any], ...]
    named: bool
    lines: NDArray[Any] | None = None
    guessed: bool = False
    texts: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def header(self) -> str:
        """Say how the first row of the file was read."""
        return f"first row taken as {'header' if self.named else 'data'}"

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.columns[0])

    def column(self, name: str) -> NDArray[Any]:
        """A column by its name.

        Raises:
            DataError: if there is none of this name.
        """
        if name not in self._places:
            known = ", ".join(self.names[:8]) + (", ..." if len(self.names) > 8 else "")
            raise DataError(f"{self.source}: there is no column {name[:60]!r}; the columns are {known}"[:290])
        return self.columns[self._places[name]]

    def place(self, i: int) -> str:
        """Where row `i`, counted from 0, stands, for messages: "row 3 (line 4)"."""
        line = i + 1 if self.lines is None else int(self.lines[i])
        return f"row {i + 1}" if line == i + 1 else f"row {i + 1} (line {line})"

    def numbers(self, names: Sequence[str], dtype: str = "float32") -> NDArray[Any]:
        """Some columns as one array (n, columns).

        Raises:
            DataError: if one is not there, holds text, lacks values, or has one beyond the dtype.
        """
        columns = []
        for name in names:
            values = self.column(name)
            if values.dtype.kind in "UT":
                raise DataError(f"{self.source}: column {name[:60]!r} {self._first_text(values)}")
            bad = ~np.isfinite(values)
            if bad.any():
                raise DataError(
                    f"{self.source}: column {name[:60]!r} has no finite number in "
                    f"{self.place(int(np.argmax(bad)))}; "
                    f"fill such cells, or delete their rows ({np.count_nonzero(bad)})"
                )
            with np.errstate(over="ignore"):
                columns.append(values.astype(dtype))
            if not np.isfinite(columns[-1]).all():
                i = int(np.argmin(np.isfinite(columns[-1])))
                raise DataError(
                    f"{self.source}: column {name[:60]!r} has {values[i]:.6g} in {self.place(i)}, which "
                    f"{dtype} cannot hold; divide the column"
                )
        return np.stack(columns, axis=1)

    def _first_text(self, values: NDArray[Any]) -> str:
        """What makes a column text: the first field that is no number; of numbers kept as text the first."""
        fields = [(i, text) for i, text in enumerate(values.tolist()) if text]
        if not fields:
            return "is empty"
        i, text = next((field for field in fields if not _is_number(field[1])), fields[0])
        return f"holds text, {text[:40]!r} in {self.place(i)}"


def _is_number(text: str) -> bool:
    if "_" in text:  # as `read_table` reads it
        return False
    try:
        float(text)
    except ValueError:
        return False
    return True
