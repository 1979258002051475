"""A listing as text: short names for its values, and one line for each of its lines."""

from __future__ import annotations

from typing import Any, final

from portnn.program._line import Line, Listing, dtype_name
from portnn.tracing import Value

__all__ = ["Names", "kind_of", "listing_text"]

_WIDEST = 60  # characters of an argument that is no array


def kind_of(value: Value) -> str:
    """The dtype and shape, such as ``float32[64, 10]``."""
    return f"{dtype_name(value.dtype)}{list(value.shape)}"


@final
class Names:
    """A name for each value of a listing: inputs by their labels, constants ``c0``, results ``%0``."""

    def __init__(self, listing: Listing) -> None:
        self.constants = listing.constants()
        self._names = {id(value): f"c{i}" for i, value in enumerate(self.constants)}
        self._names.update(
            {id(value): label for value, label in zip(listing.inputs, listing.labels, strict=True)}
        )
        count = 0
        for line in listing.lines:
            for value in line.outputs():
                if id(value) not in self._names:
                    self._names[id(value)] = f"%{count}"
                    count += 1

    def __getitem__(self, value: Value) -> str:
        return self._names.get(id(value), "_")  # constants that a primitive gives and nobody reads

    def results(self, line: Line) -> str:
        """The names of what a line makes."""
        return ", ".join([self[value] for value in line.outputs()])

    def call(self, line: Line) -> str:
        """A line without its results, such as ``sum(%3, axis=-1)``."""
        args = [self.shown(arg) for arg in line.args]
        args += [f"{key}={self.shown(option)}" for key, option in line.options.items()]
        return f"{line.name}({', '.join(args)})"

    def shown(self, item: Any) -> str:
        """An argument, an option or a result."""
        if type(item) is Value:
            return self[item]
        if isinstance(item, tuple | list):
            inside = ", ".join([self.shown(i) for i in item])
            comma = "," if len(item) == 1 and isinstance(item, tuple) else ""
            return f"({inside}{comma})" if isinstance(item, tuple) else f"[{inside}]"
        if isinstance(item, dict):
            return "{" + ", ".join([f"{key!r}: {self.shown(i)}" for key, i in item.items()]) + "}"
        if isinstance(item, slice):
            parts = [item.start, item.stop] + ([] if item.step is None else [item.step])
            return ":".join(["" if part is None else self.shown(part) for part in parts])
        return _plain(item)


def _plain(item: Any) -> str:
    """An object that is no array: numbers in full, dtypes and functions by their names."""
    if item is Ellipsis:
        return "..."
    if isinstance(item, bool | int | float | complex | str | None):
        text = repr(item)
    elif isinstance(getattr(item, "__name__", None), str):
        text = item.__name__
    else:
        text = str(item)
    text = " ".join(text.split())
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 3]}..."


def listing_text(listing: Listing, totals: str) -> str:
    """Inputs, constants, lines and results, in columns, and the totals."""
    names = Names(listing)
    rows: list[tuple[str, str, str] | str] = [f"{listing.name}({', '.join(listing.labels)})", "inputs"]
    rows += [(names[value], kind_of(value), "") for value in listing.inputs]
    if names.constants:
        rows.append("constants")
        rows += [(names[value], kind_of(value), _number(value)) for value in names.constants]
    rows.append("lines")
    for line in listing.lines:
        kinds = ", ".join([kind_of(value) for value in line.outputs()])
        rows.append((names.results(line), kinds, names.call(line)))
    cells = [row for row in rows if isinstance(row, tuple)]
    first, second = (max([len(row[i]) for row in cells], default=0) for i in (0, 1))
    text = [row if isinstance(row, str) else _columns(row, first, second) for row in rows]
    return "\n".join([*text, "result", f"  {names.shown(listing.result)}", totals])


def _columns(row: tuple[str, str, str], first: int, second: int) -> str:
    return f"  {row[0]:<{first}}  {row[1]:<{second}}  {row[2]}".rstrip()


def _number(value: Value) -> str:
    """The value of a constant without axes; arrays are not shown."""
    if value.shape:
        return ""
    name = dtype_name(value.dtype)
    kinds: dict[str, type] = {"bool": bool, "complex": complex, "int": int, "uint": int}
    kind = kinds.get(name.rstrip("0123456789"), float)
    return f"= {kind(value.constant)!r}"
