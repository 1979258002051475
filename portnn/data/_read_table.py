"""Tables from files: CSV in its usual forms, and Parquet."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from itertools import chain, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portnn.data._errors import DataError
from portnn.data._files import PathLike, as_path, open_packed, shown
from portnn.data._table import Table

__all__ = ["read_table"]

_LOOK = 3  # lines that decide about the header


def read_table(file: PathLike, *, header: bool | None = None) -> Table:
    r"""Read a table of numbers and text.

    A CSV file may be separated by commas, semicolons or tabs, plain, gzipped or alone in a zip archive, in
    UTF-8. A file whose name ends with ``.parquet`` is read by PyArrow (``pip install "portnn[parquet]"``).

    Args:
        file: path of the file.
        header: whether the first line of a CSV file has the names; None looks: it has if a field is text
            where the line below has a number, or if all its fields are text.

    Returns:
        The table. A column whose fields are all numbers or empty is float64, an empty field NaN; any other
        is text.

    Raises:
        DataError: the file is empty, damaged, not UTF-8, or a line has another number of fields.
        FileNotFoundError: there is no such file.
        ImportError: the file is Parquet, and PyArrow is not installed.
        IsADirectoryError: the path is a folder.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder) / "pets.csv"
        ...     _ = file.write_text("kind,legs,grams\ncat,4,3500\nhen,2,\n")
        ...     table = read_table(file)
        >>> table.names, table.column("kind").tolist(), table.column("grams").tolist()
        (('kind', 'legs', 'grams'), ['cat', 'hen'], [3500.0, nan])
    """
    path = as_path(file, "file")
    if path.suffix.lower() in (".parquet", ".pq"):
        return _read_parquet(path)
    name = shown(path)
    with _lines(path, name) as lines:
        first = list(islice(lines, _LOOK))
        if not first:
            raise DataError(f"{name}: the file is empty")
        mark = max(",;\t", key=first[0].count)
        looked = list(csv.reader(first, delimiter=mark))
        named = _has_names(looked) if header is None else header
        width = len(looked[0])
        if len(looked) == named:
            raise DataError(f"{name}: no rows follow the header line")
        names = tuple(text.strip() for text in looked[0]) if named else tuple(map(str, range(1, width + 1)))
        if len(set(names)) < width:
            twice = next(n for n in names if names.count(n) > 1)
            raise DataError(f"{name}: two columns have the name {twice[:60]!r}")
        numeric = all(_number(text) is not None and text.strip() for text in looked[named])
        matrix = _fast(chain(first[named:], lines), mark, width) if numeric else None
    if matrix is None:
        with _lines(path, name) as lines:
            columns, begins = _slow(lines, mark, named, width, name)
    else:
        columns, begins = tuple(matrix.T), np.arange(len(matrix)) + 1 + named
    return Table(name, names, columns, named, lines.counted(begins))


class _Lines:
    """The lines of a text, without those that are blank.

    Args:
        text: the text, line by line.
    """

    def __init__(self, text: Iterable[str]) -> None:
        self._blank: list[int] = []
        self._left = self._filled(text)

    def _filled(self, text: Iterable[str]) -> Iterator[str]:
        for number, line in enumerate(text, 1):
            if line.strip():
                yield line
            else:
                self._blank.append(number)

    def __iter__(self) -> Iterator[str]:
        return self._left

    def counted(self, numbers: Any) -> Any:
        """The numbers of lines with the blank ones counted as well, as an editor does."""
        before = np.asarray(self._blank, dtype=np.int64) - np.arange(len(self._blank))
        return numbers + np.searchsorted(before, numbers, side="right")


@contextmanager
def _lines(path: Any, name: str) -> Iterator[_Lines]:
    """The lines of a text file, without those that are empty."""
    with open_packed(path) as stream:
        text = TextIOWrapper(stream, encoding="utf-8-sig", newline="")
        try:
            yield _Lines(text)
        except UnicodeDecodeError as error:
            raise DataError(f"{name}: not UTF-8 text (byte {error.start})") from None
        except csv.Error as error:
            raise DataError(f"{name}: not a CSV file: {str(error)[:120]}") from None


def _has_names(rows: list[list[str]]) -> bool:
    """Whether the first row names the columns."""
    text = [_number(field) is None for field in rows[0]]
    if len(rows) == 1 or all(text):
        return all(text)
    return any(t and _number(below) is not None for t, below in zip(text, rows[1], strict=False))


def _number(text: str) -> float | None:
    """A field as a number, NaN if it is empty, None if it is text."""
    if not text.strip():
        return float("nan")
    if "_" in text:  # Python reads 1_000 as a number, other programs do not
        return None
    try:
        return float(text)
    except ValueError:
        return None


def _fast(lines: Iterator[str], mark: str, width: int) -> NDArray[Any] | None:
    """All lines at once if they hold nothing but numbers, else None."""
    try:
        found = np.loadtxt(lines, delimiter=mark, quotechar='"', comments=None, ndmin=2)
    except UnicodeDecodeError:
        raise
    except ValueError:
        return None
    return found if found.shape[1] == width else None


def _slow(
    lines: _Lines, mark: str, named: bool, width: int, name: str
) -> tuple[tuple[NDArray[Any], ...], NDArray[Any]]:
    """Line by line, with text and empty fields; and the lines that rows begin in."""
    reader = csv.reader(lines, delimiter=mark)
    rows: list[list[str]] = []
    ends = [0]
    for row in reader:
        if len(row) != width:
            line = lines.counted(ends[-1] + 1)
            raise DataError(f"{name}, line {line}: the row has {len(row)} fields, expected {width}")
        rows.append(row)
        ends.append(reader.line_num)
    columns = tuple(_column(list(fields)) for fields in zip(*rows[named:], strict=True))
    return columns, np.asarray(ends[named:-1]) + 1


def _column(fields: list[str]) -> NDArray[Any]:
    """Numbers if all fields are numbers or empty and some is there, else text."""
    numbers = [_number(field) for field in fields]
    if None in numbers or not any(field.strip() for field in fields):
        return np.asarray([field.strip() for field in fields], dtype=np.str_)
    return np.asarray(numbers, dtype=np.float64)


def _read_parquet(path: Any) -> Table:
    """A Parquet file, of numbers, booleans and text."""
    name = shown(path)
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise ImportError('Parquet files need PyArrow: pip install "portnn[parquet]"') from None
    if not path.is_file():
        raise FileNotFoundError(f"{name}: no such file")
    try:
        table = parquet.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{name}: not a whole Parquet file: {str(error)[:120]}") from None
    if not table.num_rows or not table.num_columns:
        raise DataError(f"{name}: the table is empty")
    return Table(name, tuple(table.column_names), tuple(_arrow_column(c) for c in table.columns), True)


def _arrow_column(column: Any) -> NDArray[Any]:
    values = column.to_pylist()
    if all(value is None or isinstance(value, int | float) for value in values):
        return np.asarray([float("nan") if value is None else value for value in values], dtype=np.float64)
    return np.asarray(["" if value is None else str(value) for value in values], dtype=np.str_)
