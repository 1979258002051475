"""MNIST as a table of decimal numbers: a label and 784 pixels on each line, perhaps below a header."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

import numpy as np
from numpy.typing import NDArray

from portnn.data._errors import DataError
from portnn.data._files import PathLike, as_path, open_packed, shown

_SIDE = 28
_COLUMNS = 1 + _SIDE * _SIDE
_MAX_LABEL = 9
_MAX_PIXEL = 255
# Large enough to make calls into NumPy cheap, small enough for the index arrays to stay in cache.
_BLOCK = 1 << 18
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_mnist_csv(file: PathLike) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    r"""Read images and labels from a CSV, with the header ``label,1x1,...,28x28`` or without.

    A first line that begins with a digit is a row; any other has to be the header. The file may be plain,
    gzipped or alone in a zip archive; lines end with LF or CRLF, and blank lines at the end are allowed. It
    is parsed in blocks, so beside the result only one block is held.

    Args:
        file: path of the file.

    Returns:
        The images, uint8 of shape (n, 28, 28), and the labels, uint8 of shape (n,).

    Raises:
        DataError: the file is empty, has no rows, is damaged, or begins with neither a row nor the header; or
            a line does not have 785 fields, or has a label over 9, a pixel over 255, or a field that is
            not a whole number.
        FileNotFoundError: there is no such file.
        IsADirectoryError: the path is a folder.

    Example:
        >>> import pathlib, tempfile
        >>> header = ",".join(["label"] + [f"{r}x{c}" for r in range(1, 29) for c in range(1, 29)])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder) / "digits.csv"
        ...     _ = file.write_text(header + "\n" + ",".join(["7"] + ["0"] * 783 + ["255"]))
        ...     images, labels = read_mnist_csv(file)
        >>> images.shape, labels.tolist(), int(images[0, 27, 27])
        ((1, 28, 28), [7], 255)
    """
    path = as_path(file, "file")
    name = shown(path)
    with open_packed(path) as stream:
        first = stream.readline(_BLOCK).removeprefix(_BYTE_ORDER_MARK)
        named = not first[:1].isdigit()
        if named:
            _check_header(first, name)
        blocks = _blocks(stream, b"" if named else first, 1 + named, name)
        tables = [_parse(block, line, name) for line, block in blocks]
    if not tables:
        raise DataError(f"{name}: no rows follow the header line")
    labels = np.concatenate([table[:, 0] for table in tables])
    pixels = np.concatenate([table[:, 1:] for table in tables])
    return pixels.reshape(-1, _SIDE, _SIDE), labels


def _check_header(line: bytes, name: str) -> None:
    """See that the first line names a label and the pixels of one image."""
    if not line:
        raise DataError(f"{name}: the file is empty, expected the header line 'label,1x1,...,28x28'")
    columns = line.rstrip(b"\r\n").split(b",")
    if columns[0] != b"label":
        raise DataError(f"{name}, line 1: expected the header 'label,1x1,...,28x28', found {_quoted(line)}")
    if len(columns) != _COLUMNS:
        raise DataError(f"{name}, line 1: the header has {len(columns)} columns, expected {_COLUMNS}")


def _blocks(stream: IO[bytes], rest: bytes, line: int, name: str) -> Iterator[tuple[int, bytes]]:
    """Runs of whole lines, each with the number of its first line; `rest` was read before, from `line` on.

    The last line that is not blank is always held back, together with the line ends behind it: only the end
    of the file tells whether these are blank lines that may be dropped.
    """
    while piece := stream.read(_BLOCK):
        data = rest + piece
        cut = data.rstrip(b"\r\n").rfind(b"\n") + 1
        block, rest = data[:cut], data[cut:]
        if block:
            yield line, block
        line += block.count(b"\n")
        if len(rest) > _BLOCK:
            raise DataError(f"{name}, line {line}: {len(rest)} bytes without a row of {_COLUMNS} fields")
    if rest := rest.rstrip(b"\r\n"):
        yield line, rest + b"\n"


def _parse(block: bytes, line: int, name: str) -> NDArray[np.uint8]:
    """Whole lines as an (n, 785) table."""
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n")
    table = _parse_plain(np.frombuffer(block, dtype=np.uint8))
    return _parse_lines(block, line, name) if table is None else table


def _parse_plain(text: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """Lines in the usual form, all at once; None where only a look at each field can judge.

    A field's value is ``units + 10 * tens + 100 * hundreds``, gathered from the bytes before its separator.
    """
    digits = text - np.uint8(ord("0"))  # wraps around, so that only digits are below ten
    ends = np.flatnonzero(digits > 9)
    lines = np.flatnonzero(text == ord("\n"))
    if ends.size != lines.size * _COLUMNS or not np.array_equal(ends[_COLUMNS - 1 :: _COLUMNS], lines):
        return None
    if np.count_nonzero(text == ord(",")) + lines.size != ends.size:
        return None
    width = np.diff(ends, prepend=-1) - 1
    if width.min() < 1 or width.max() > 3:
        return None
    units = digits[ends - 1]
    # Where a number is shorter, these read its neighbour (at the first one, the end) and count it zero times.
    tens = digits[ends - 2] * (width > 1)
    upper = digits[ends - 3] * (width > 2) * np.uint8(10) + tens
    table = (upper * np.uint8(10) + units).reshape(-1, _COLUMNS)
    over = (upper > 25) | ((upper == 25) & (units > 5))
    if over.any() or (table[:, 0] > _MAX_LABEL).any():
        return None
    return table


def _parse_lines(block: bytes, line: int, name: str) -> NDArray[np.uint8]:
    """The same field by field: slow, accepts zeros in front, and says what is wrong where."""
    lines = block.removesuffix(b"\n").split(b"\n")
    rows = [_parse_line(text, f"{name}, line {number}") for number, text in enumerate(lines, start=line)]
    return np.asarray(rows, dtype=np.uint8)


def _parse_line(text: bytes, where: str) -> list[int]:
    """One line as 785 numbers."""
    if not text:
        raise DataError(f"{where}: blank line before the last row")
    fields = text.split(b",")
    if len(fields) != _COLUMNS:
        raise DataError(f"{where}: the row has {len(fields)} fields, expected {_COLUMNS}")
    label = _parse_field(fields[0], "label", _MAX_LABEL, where)
    return [label] + [_parse_field(field, "pixel", _MAX_PIXEL, where) for field in fields[1:]]


def _parse_field(field: bytes, kind: str, largest: int, where: str) -> int:
    """One number from 0 to `largest`."""
    if field.removeprefix(b"-").isdigit():
        if field.startswith(b"-"):
            raise DataError(f"{where}: negative {kind} {_quoted(field)}, expected 0 to {largest}")
        digits = field.lstrip(b"0") or b"0"
        if len(digits) <= 3 and int(digits) <= largest:
            return int(digits)
        raise DataError(f"{where}: {kind} {_quoted(field)} is over {largest}")
    raise DataError(f"{where}: {kind} {_quoted(field)} is not a whole number from 0 to {largest}")


def _quoted(text: bytes) -> str:
    """The beginning of some bytes, fit for a message."""
    start = text[:20].decode("ascii", "backslashreplace")
    return repr(start) + ("..." if len(text) > 20 else "")
