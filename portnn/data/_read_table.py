"""Tables from files: text in rows of fields (CSV), and Parquet."""

from __future__ import annotations

import re
from io import BytesIO
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portnn.data._errors import DataError
from portnn.data._files import PathLike, as_path, open_packed, shown
from portnn.data._separated import BLANKS, NUMBER, Rows, split_rows
from portnn.data._table import EXACT, Table

__all__ = ["read_table"]

MISSING = ("", "?", "NA", "N/A", "n/a", "<NA>", "#N/A", "NaN", "nan", "NAN", "NULL", "null", "None")

_LOOK = 50  # rows that are examined for the header
_RUN = 3  # this many consecutive integers, such as 0, 1, 2, may be names
_WHOLE = re.compile(r"[+-]?[0-9]+", re.ASCII)
_INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.ASCII | re.IGNORECASE)
_ZEROS = re.compile(r"[+-]?0[0-9]+", re.ASCII)
_MARK = "\ufeff".encode()
_AROUND = " \t\r\n"  # may stand around a number
_PACKED = 1 << 24  # bytes that any compressed file may unpack to: a table takes several times its text
_WIDE = 1 << 26  # bytes of text in a column, above which long fields may not widen the others


def read_table(file: PathLike, *, header: bool | None = None, separator: str | None = None) -> Table:
    r"""Read a table of numbers and text with pandas (``pip install "portnn[table]"``).

    The fields of a CSV file may be separated by commas, semicolons, tabs, vertical bars or runs of spaces.
    The file may be plain, gzipped or alone in a zip archive; in UTF-8, or in UTF-16 with a byte order mark.
    Fields may be quoted. Blank lines are ignored. A file whose name ends with ``.parquet`` is read by
    PyArrow (``pip install "portnn[parquet]"``).

    The first row is the header if it has words above numbers and no numbers, or only words that no other
    row has in the same column. It is data if it has numbers and no words above numbers, or only words that
    occur again in the same column. Any other case is an error, except for names that count up by one
    (label, 0, 1, 2). `Table.header` says what was assumed.

    A column is numeric if each field is a number or marks a missing value: an empty field, ?, NA, N/A, nan,
    null, None. A number has a decimal point, no other characters between its digits, and fits in float64
    (1e400 is text).

    Args:
        file: path of the file.
        header: whether the first row of a CSV file has the names; None detects it.
        separator: the character between fields of a CSV file, " " for runs of spaces and tabs; None chooses
            the one that occurs equally often in every row.

    Returns:
        The table. A numeric column is float64, with NaN for missing values; integers beyond 2^53, which
        float64 cannot represent exactly, are int64 or uint64. Any other column is text: the fields as in the
        file, without spaces around them.

    Raises:
        DataError: the file is empty, damaged, or not text; a row has a different number of fields; a quote is
            misplaced; or the header or the separator cannot be determined.
        FileNotFoundError: there is no such file.
        ImportError: pandas is not installed; for a Parquet file, PyArrow.
        IsADirectoryError: the path is a folder.
        TypeError: header or separator is of the wrong type.
        ValueError: the separator is not a single character.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder) / "pets.csv"
        ...     _ = file.write_text("kind,legs,grams\ncat,4,3500\nhen,2,\n")
        ...     table = read_table(file)
        >>> table.names, table.column("kind").tolist(), table.column("grams").tolist()
        (('kind', 'legs', 'grams'), ['cat', 'hen'], [3500.0, nan])
        >>> table.header
        'first row taken as header'
    """
    path = as_path(file, "file")
    _check_options(header, separator)
    if path.suffix.lower() in (".parquet", ".pq"):
        return _read_parquet(path)
    _import_pandas()
    name = shown(path)
    with open_packed(path, _PACKED) as stream:
        rows = split_rows(stream.read(), name, separator)
    first = _strings(rows, 0, min(len(rows.starts), _LOOK), range(rows.width))
    looked = [[field.strip(" \t") for field in row] for row in zip(*first, strict=True)]
    named = _has_names(looked, name) if header is None else header
    if len(rows.starts) == named:
        raise DataError(f"{name}: no rows follow the header line")
    names = tuple(looked[0]) if named else tuple(map(str, range(1, rows.width + 1)))
    _check_names(names, name)
    columns, texts = _columns(rows, int(named))
    return Table(
        name, names, columns, named, rows.lines[int(named) :], header is None,
        {names[i]: text for i, text in texts.items()},
    )  # fmt: skip


def _check_options(header: bool | None, separator: str | None) -> None:
    if not (header is None or isinstance(header, bool)):
        raise TypeError(f"header must be True, False or None, got {type(header).__name__}")
    if separator is None:
        return
    if not isinstance(separator, str):
        raise TypeError(f"separator must be a str or None, got {type(separator).__name__}")
    if len(separator) != 1 or not separator.isascii() or separator.isalnum() or separator in '\n\r\0"+-.':
        raise ValueError(f"separator must be a single character such as ',' or ';', got {separator[:20]!r}")


def _check_names(names: tuple[str, ...], source: str) -> None:
    if len(set(names)) < len(names):
        seen: set[str] = set()
        twice = next(n for n in names if n in seen or seen.add(n))  # type: ignore[func-returns-value]  # tells
        raise DataError(
            f"{source}: two columns have the name {twice[:60]!r}; rename one, or pass header=False "
            "(--no-header) if the first row is data"
        )


def _has_names(rows: list[list[str]], source: str) -> bool:
    """Return whether the first row names the columns: it has words above numbers, and no numbers."""
    first = rows[0]
    kinds = [_kind(field) for field in first]
    below = [
        _kind(next((row[i] for row in rows[1:] if row[i] not in MISSING), "")) for i in range(len(first))
    ]
    pairs = list(zip(kinds, below, strict=True))
    named = [i for i, (a, b) in enumerate(pairs) if a == "word" and b in ("number", "digits")]
    data = [i for i, (a, b) in enumerate(pairs) if a == "number" or a == b == "digits"]
    if not (named and data):
        return bool(named) or (not data and _may_have_names(rows, pairs, source))
    numbers = [first[i] for i in data]
    index = len(numbers) >= _RUN and all(map(_is_index, numbers))
    if index and all(int(b) == int(a) + 1 for a, b in pairwise(numbers)):
        return True
    why = (
        f"in the first row {first[named[0]][:30]!r} stands above a number, "
        f"but {first[data[0]][:30]!r} is a number"
    )
    raise _undecided(source, why)


def _may_have_names(rows: list[list[str]], pairs: list[tuple[str, str]], source: str) -> bool:
    """Return the same for a first row without numbers or words above numbers: it names text columns."""
    first = rows[0]
    if len(rows) == 1 or not any(a != "missing" for a, _ in pairs):
        return all(a == "word" for a, _ in pairs)
    if not any(a == "word" for a, _ in pairs):
        raise _undecided(source, f"the first row has {next(f for f in first if f not in MISSING)[:30]!r}")
    # Only an empty name above nothing but text is likely.
    lacking = [
        f
        for f, (a, b) in zip(first, pairs, strict=True)
        if a == "missing" and (f or b in ("number", "digits"))
    ]
    if not lacking:
        return _do_not_recur(rows, source)
    if "?" in lacking:
        return False
    if first[0] == "" and len(lacking) == 1 and all(row[0] == str(i) for i, row in enumerate(rows[1:])):
        return True  # an index that pandas has written
    raise _undecided(source, "a field of the first row is missing")


def _do_not_recur(rows: list[list[str]], source: str) -> bool:
    """Return whether the text of the first row is names, since no other row has it in the same column."""
    first = rows[0]
    again = [i for i, field in enumerate(first) if field and any(row[i] == field for row in rows[1:])]
    if len(again) in (0, sum(map(bool, first))):
        return not again
    raise _undecided(source, f"{first[again[0]][:30]!r} of the first row occurs in other rows, too")


def _kind(field: str) -> str:
    """Classify a field: missing, a number, text that begins like a number, or a word."""
    if field in MISSING or not field.strip("-.*!_–— "):
        return "missing"
    if _is_number(field):
        return "number"
    return "digits" if field.strip().lstrip("+-.,$€£ ")[:1].isdigit() else "word"


def _undecided(source: str, why: str) -> DataError:
    return DataError(
        f"{source}: cannot tell whether the first row is a header: {why}; "
        "pass header=True or header=False (--header or --no-header)"
    )


def _is_index(field: str) -> bool:
    return len(field) < 10 and field.isascii() and field.isdigit()


def _is_number(field: str) -> bool:
    """Return whether a field without spaces around it is a number."""
    return bool(NUMBER.fullmatch(field) or _INFINITE.fullmatch(field))


def _is_number_or_missing(field: str) -> bool:
    bare = field.strip(_AROUND)
    return bare in MISSING or _is_number(bare)


def _import_pandas() -> Any:
    try:
        import pandas as pd
    except ImportError:
        raise ImportError('reading tables needs pandas: pip install "portnn[table]"', name="pandas") from None
    return pd


def _parse(rows: Rows, begin: int, end: int | None, **more: Any) -> Any:
    """Return a data frame of some rows, whose columns are named by numbers."""
    pd = _import_pandas()
    stop = len(rows.text) if end is None or end >= len(rows.starts) else int(rows.starts[end])
    if tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1):
        more["float_precision"] = "round_trip"  # later versions always read the nearest number
    text = rows.text[rows.starts[begin] : stop]
    if text.startswith(_MARK):  # one within a file is text; pandas leaves out the first
        text = _MARK + text
    try:
        frame = pd.read_csv(
            BytesIO(text), header=None, names=range(rows.width),
            sep=r"\s+" if rows.separator == BLANKS else rows.separator, index_col=False, engine="c",
            skip_blank_lines=False, keep_default_na=False, low_memory=False, encoding="utf-8", **more,
        )  # fmt: skip
    except pd.errors.ParserError as error:
        raise DataError(f"pandas cannot read the table: {str(error)[:120]}") from None
    expected = (len(rows.starts) if end is None else end) - begin
    if len(frame) != expected:
        raise DataError(f"pandas reads {len(frame)} rows where the file has {expected}")
    return frame


def _strings(rows: Rows, begin: int, end: int | None, columns: Any) -> list[list[str]]:
    """Return the fields of some columns, as in the file."""
    frame = _parse(rows, begin, end, dtype=str, na_filter=False, usecols=list(columns))
    return [frame[i].tolist() for i in columns]


def _columns(rows: Rows, begin: int) -> tuple[tuple[NDArray[Any], ...], dict[int, NDArray[Any]]]:
    """Return all columns, and as text those of numbers with leading zeros.

    pandas separates numbers from text. A column that it reads differently from the rules of `read_table` is
    read again as text.
    """
    columns: dict[int, NDArray[Any]] = {}
    if not _has_controls(rows.text):  # some of them are blanks to pandas
        frame = _parse(rows, begin, None, na_values=list(MISSING))
        zeros = any(dtype.kind in "iu" for dtype in frame.dtypes) and _has_zeros(rows)
        columns = {i: c for i in range(rows.width) if (c := _simple(frame[i], zeros)) is not None}
        del frame
    again = [i for i in range(rows.width) if i not in columns]
    texts = {}
    if again:
        for i, fields in zip(again, _strings(rows, begin, None, again), strict=True):
            columns[i] = _column(fields)
            if columns[i].dtype.kind in "fiu" and any(_ZEROS.fullmatch(f.strip(_AROUND)) for f in fields):
                texts[i] = _text(fields)
    return tuple(columns[i] for i in range(rows.width)), texts


def _has_controls(text: bytes) -> bool:
    """Return whether there are control characters other than ends of lines and tabs."""
    data = np.frombuffer(text, np.uint8)
    return b"\x7f" in text or not np.isin(data[data < ord(" ")], np.frombuffer(b"\n\r\t", np.uint8)).all()


def _has_zeros(rows: Rows) -> bool:
    """Return whether any field begins with 0 and another digit."""
    data = np.frombuffer(b"\n\n" + rows.text, np.uint8)
    digit = data - np.uint8(ord("0")) < 10  # smaller values wrap around
    places = np.flatnonzero((data[2:-1] == ord("0")) & digit[3:] & ~digit[1:-2]) + 2
    signs = np.isin(data[places - 1], np.frombuffer(b"+-", np.uint8))
    bounds = np.frombuffer(f'\n\t "{rows.separator}'.encode(), np.uint8)
    return bool(np.isin(data[places - 1 - signs], bounds).any())


def _simple(series: Any, zeros: bool) -> NDArray[Any] | None:
    """Return a column as pandas read it; None if it has to be read again."""
    kind = series.dtype.kind
    if kind in "iu" and not zeros:
        values = series.to_numpy()
        beyond = len(values) and (values.max() > EXACT or values.min() < -EXACT)
        return values.copy() if beyond else values.astype(np.float64)
    if kind == "f":
        values = series.to_numpy()
        largest = np.fmax.reduce(np.abs(values))
        return values.copy() if largest < EXACT else None  # NaN if all are missing
    if kind in "biu" or series.isna().any():
        return None
    codes, found = series.factorize()  # most text columns have few distinct words
    fields = found.tolist()
    if set(map(type, fields)) != {str} or all(map(_is_number_or_missing, fields)):  # with blanks around
        return None
    return _text(fields, codes)


def _column(fields: list[str]) -> NDArray[Any]:
    """Return numbers if all fields are numbers or missing, and not all are missing; else text."""
    bare = [field.strip(_AROUND) for field in fields]
    known = [field for field in bare if field not in MISSING]
    if not known or not all(map(_is_number, known)):
        return _text(fields)
    values = np.asarray([np.nan if field in MISSING else float(field) for field in bare], dtype=np.float64)
    if any(not _INFINITE.fullmatch(bare[i]) for i in np.flatnonzero(np.isinf(values)).tolist()):
        return _text(fields)
    whole = [i for i in np.flatnonzero(np.abs(values) >= EXACT).tolist() if _WHOLE.fullmatch(bare[i])]
    if all(_integer(bare[i]) == int(values[i]) for i in whole):
        return values
    if len(known) < len(bare) or not all(map(_WHOLE.fullmatch, bare)):
        return _text(fields)
    numbers = [_integer(field) for field in bare]
    for dtype in (np.int64, np.uint64):
        limits = np.iinfo(dtype)
        if limits.min <= min(numbers) and max(numbers) <= limits.max:
            return np.asarray(numbers, dtype=dtype)
    return _text(fields)


def _integer(field: str) -> int:
    """Return an integer, which may have any number of leading zeros."""
    digits = int(field.lstrip("+-").lstrip("0") or "0")
    return -digits if field.startswith("-") else digits


def _text(fields: list[str], codes: Any = None) -> NDArray[Any]:
    """Return text without spaces around it: all fields, or those that the codes select."""
    bare = [field.strip(" \t") for field in fields]
    lengths = np.fromiter(map(len, bare), dtype=np.int64, count=len(bare))
    total = lengths.sum() if codes is None else lengths[codes].sum()
    wide = 4 * (len(bare) if codes is None else len(codes)) * lengths.max() > max(_WIDE, 16 * total)
    text = np.asarray(bare, dtype=np.dtypes.StringDType() if wide else np.str_)
    return text if codes is None else text[codes]


def _read_parquet(path: Any) -> Table:
    """A Parquet file, of numbers, booleans and text."""
    name = shown(path)
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise ImportError('Parquet files need PyArrow: pip install "portnn[parquet]"') from None
    if not path.is_file():
        raise FileNotFoundError(f"{name}: {'not a regular file' if path.exists() else 'no such file'}")
    try:
        table = parquet.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{name}: not a whole Parquet file: {str(error)[:120]}") from None
    if not table.num_rows or not table.num_columns:
        raise DataError(f"{name}: the table is empty")
    names = tuple(table.column_names)
    _check_names(names, name)
    return Table(name, names, tuple(_arrow_column(c) for c in table.columns), True)


def _arrow_column(column: Any) -> NDArray[Any]:
    values = column.to_pylist()
    known = [value for value in values if value is not None]
    if known and all(isinstance(value, int | float) for value in known):
        exact = all(abs(value) <= EXACT for value in known if isinstance(value, int))
        if exact or any(isinstance(value, float) for value in known):
            return np.asarray([np.nan if value is None else value for value in values], dtype=np.float64)
        if len(known) == len(values):
            return np.asarray(values, dtype=np.uint64 if min(values) >= 0 else np.int64)
    return _text(["" if value is None else str(value) for value in values])
