"""Text in rows of fields: its encoding, lines, quotes and separator, and the number of fields of each row.

All work is done on whole arrays of bytes, so time and memory are linear in the size of the file. The parser
then gets text in which every row has the same number of fields and every quote is in its place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from portnn.data._errors import DataError

__all__ = ["BLANKS", "NUMBER", "Rows", "split_rows"]

BLANKS = " "  # stands for runs of spaces and tabs
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)

_SEPARATORS = ",;\t|"
_MOST_FIELDS = 1 << 18  # pandas needs kilobytes for a column
_SAMPLE = 30  # rows, and fields of each row, that are examined for the separator
_LF, _CR, _SPACE, _TAB, _QUOTE = b'\n\r \t"'
_COMMA_NUMBER = re.compile(r"[+-]?[0-9]+,[0-9]+")
_SEP_LINE = re.compile(rb'"?sep=([^\r\n])"?(?:\r\n|\n|\r|$)', re.IGNORECASE)
_BYTE_ORDER_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"), (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"),
)  # fmt: skip

Bytes: TypeAlias = NDArray[np.uint8]
Mask: TypeAlias = NDArray[np.bool_]


@final
@dataclass(frozen=True, eq=False)
class Rows:
    """Text whose rows all have the same number of fields.

    Attributes:
        text: UTF-8 without blank lines; rows end with a line feed.
        starts: where each row begins in it.
        lines: the line of the file in which each row begins, counted from 1.
        width: the number of fields of each row.
        separator: one character, or `BLANKS`.
    """

    text: bytes
    starts: NDArray[np.int64]
    lines: NDArray[np.int64]
    width: int
    separator: str


@final
@dataclass(frozen=True, eq=False)
class _Text:
    """Bytes with a mask of quoted ones, in rows that may differ in width.

    Attributes:
        data: the bytes; outside quotes a line ends with LF alone.
        inside: for each byte, whether it is in a quoted field; None without quotes.
        starts: where each row begins.
        ends: where its line feed is, or the end of the text.
        lines: the line of the file in which each row begins.
    """

    data: Bytes
    inside: Mask | None
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    lines: NDArray[np.int64]

    @property
    def is_whole(self) -> bool:
        """Return whether the rows cover the whole text without gaps."""
        after = np.minimum(self.ends[-1] + 1, len(self.data))
        joined = self.starts[0] == 0 and after == len(self.data)
        return bool(joined and np.array_equal(self.starts[1:], self.ends[:-1] + 1))

    def outside(self, mask: Mask) -> Mask:
        """Return a mask of bytes, without those in quotes."""
        return mask if self.inside is None else mask & ~self.inside

    def filled(self, blanks: bytes) -> _Text:
        """Return the rows that are not blank."""
        full = self.starts < self.ends
        first = self.data[np.where(full, self.starts, 0)]
        for i in np.flatnonzero(full & np.isin(first, np.frombuffer(blanks, np.uint8))).tolist():
            full[i] = bool(self.data[self.starts[i] : self.ends[i]].tobytes().strip(blanks))
        if full.all():
            return self
        return _Text(self.data, self.inside, self.starts[full], self.ends[full], self.lines[full])

    def head(self) -> _Text:
        """Return the first rows."""
        n = min(_SAMPLE, len(self.starts))
        end = int(self.ends[n - 1])
        inside = None if self.inside is None else self.inside[:end]
        return _Text(self.data[:end], inside, self.starts[:n], self.ends[:n], self.lines[:n])


def split_rows(data: bytes, name: str, separator: str | None = None) -> Rows:
    """Find the rows and the separator of a file, and check that all rows have the same number of fields.

    Args:
        data: the bytes of the file.
        name: its name, for messages.
        separator: what separates fields; None detects it.

    Raises:
        DataError: the file is empty, is not text, or has a misplaced quote or rows of different widths.
    """
    utf8 = _decoded(data, name)
    first = 1
    if given := _SEP_LINE.match(utf8):  # written by Excel for itself
        separator = separator or given[1].decode("latin-1")
        utf8, first = utf8[given.end() :], 2
    every = _lines(utf8, first)
    text = every.filled(b" \t")
    if not len(text.starts):
        raise DataError(f"{name}: the file is empty")
    separator = separator or _separator(text.head(), name)
    if separator == "\t":
        text = every.filled(b" ")  # a row of tabs is a row of empty fields
    if text.inside is not None:
        _check_quotes(text, separator, name)
    width = int(_fields(text.head(), separator)[0])
    if width > _MOST_FIELDS:
        raise DataError(
            f"{name}, line {text.lines[0]}: the row has {width:,} fields, at most {_MOST_FIELDS:,} are read; "
            "save the numbers as an array (.npy)"
        )
    if not _all_have(text, separator, width):
        counts = _fields(text, separator)
        i = int(np.argmax(counts != width))
        raise DataError(
            f"{name}, line {text.lines[i]}: the row has {counts[i]} fields, expected {width} "
            "as in the first row"
        )
    kept, starts = _without_gaps(text)
    return Rows(kept, starts, text.lines, width, separator)


def _decoded(data: bytes, name: str) -> bytes:
    """Return the text as UTF-8 without a byte order mark."""
    encoding = next((word for mark, word in _BYTE_ORDER_MARKS if data.startswith(mark)), "utf-8")
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{name}: not {encoding.upper()} text (line {line}, byte 0x{data[error.start]:02x}); "
            "save it in UTF-8"
        ) from None
    data = data if encoding == "utf-8" else text.encode()
    if b"\0" in data:
        line = data.count(b"\n", 0, data.index(b"\0")) + 1
        raise DataError(f"{name}, line {line}: holds a NUL byte, expected text; save it in UTF-8")
    return data


def _lines(utf8: bytes, first: int) -> _Text:
    """Find the rows; `first` is the number of the first line."""
    inside = None
    if b'"' not in utf8:
        if b"\r" in utf8:
            utf8 = utf8.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        data = np.frombuffer(utf8, np.uint8)
        breaks = ends = np.flatnonzero(data == _LF)
    else:
        data, inside = _unified(np.frombuffer(utf8, np.uint8))
        # Inside quotes the ends of lines stay as they are: CR, LF or both.
        lone = (data == _CR) & np.append(data[1:] != _LF, True) if b"\r" in utf8 else False
        breaks = np.flatnonzero((data == _LF) | lone)
        ends = breaks[~inside[breaks]]
    before = np.arange(len(ends)) if len(breaks) == len(ends) else np.searchsorted(breaks, ends)
    if len(data) and not (len(ends) and ends[-1] == len(data) - 1):
        ends = np.append(ends, len(data))
    starts = np.append(0, ends[:-1] + 1) if len(ends) else ends
    # A line ends with its first line break; the number of breaks before a row gives its line.
    before = np.append(0, before + 1)[: len(starts)]
    return _Text(data, inside, starts, ends, first + before)


def _unified(data: Bytes) -> tuple[Bytes, Mask]:
    """Return text in which lines outside quotes end with LF, and the mask of quoted bytes.

    The first quote opens, the second closes, and so on: two in a row, which stand for one, close and open.
    """
    quotes = np.flatnonzero(data == _QUOTE)
    lengths = np.diff(quotes, prepend=0, append=len(data))
    inside = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    returns = (data == _CR) & ~inside
    if returns.any():
        doubled = returns & np.append(data[1:] == _LF, False)
        data = np.where(returns & ~doubled, np.uint8(_LF), data)[~doubled]
        inside = inside[~doubled]
    return data, inside


def _check_quotes(text: _Text, separator: str, name: str) -> None:
    """Check that quoted fields begin and end where fields do."""
    quotes = np.flatnonzero(text.data == _QUOTE)
    bound = np.zeros(256, dtype=np.bool_)
    bound[list(f'{separator}\n"'.encode() + b"\t" * (separator == BLANKS))] = True
    padded = np.concatenate([np.asarray([_LF], np.uint8), text.data, np.asarray([_LF], np.uint8)])
    opens = np.arange(len(quotes)) % 2 == 0
    stray = np.zeros(len(quotes), dtype=np.bool_)
    stray[::2] = ~bound[padded[quotes[::2]]]
    wrong = stray.copy()
    wrong[1::2] = ~bound[padded[quotes[1::2] + 2]]
    if not wrong.any():
        if len(quotes) % 2 == 0:
            return
        wrong[-1] = True
    i = int(np.argmax(wrong))
    at = quotes[i] if opens[i] else quotes[i - 1]
    row = int(np.searchsorted(text.starts, at, side="right")) - 1
    line = int(text.lines[row]) + int(np.count_nonzero(text.data[text.starts[row] : at] == _LF))
    what = (
        "a quote stands inside a field; put the whole field in quotes, and double those inside"
        if stray[i]
        else "the quoted field that begins here does not end before a separator or the end of a line"
    )
    raise DataError(f"{name}, line {line}: {what}")


def _fields(text: _Text, separator: str) -> NDArray[np.int64]:
    """Count the fields of each row."""
    if separator != BLANKS:
        return 1 + _count(text, text.outside(text.data == ord(separator)))
    blank = text.outside((text.data == _SPACE) | (text.data == _TAB) | (text.data == _LF))
    return _count(text, ~blank & np.append(True, blank[:-1]))


def _all_have(text: _Text, separator: str, width: int) -> bool:
    """Return whether all rows have `width` fields; without blank lines, the ends of all fields show it."""
    if separator == BLANKS or not text.is_whole:
        return bool((_fields(text, separator) == width).all())
    ends = np.flatnonzero(text.outside((text.data == ord(separator)) | (text.data == _LF)))
    if text.ends[-1] == len(text.data):
        ends = np.append(ends, len(text.data))
    return np.array_equal(ends[width - 1 :: width], text.ends) and len(ends) == width * len(text.ends)


def _count(text: _Text, mask: Mask) -> NDArray[np.int64]:
    """Count the bytes of each row that are in a mask."""
    bounds = np.stack([text.starts, text.ends], axis=1).ravel()
    return np.add.reduceat(np.append(mask, False), bounds, dtype=np.int64)[::2]


def _separator(text: _Text, name: str) -> str:
    """Return the separator that occurs equally often in each of some rows.

    If there are several, choose the one with the largest share of numeric fields, where a decimal comma is
    allowed: "1,5;2" is separated by the semicolon.
    """
    counts = {s: _fields(text, s) for s in (*_SEPARATORS, BLANKS)}
    alike = [s for s in counts if counts[s][0] > 1 and (counts[s] == counts[s][0]).all()]
    if len(alike) == 1 and alike[0] != BLANKS:
        return alike[0]
    shares = {s: _numeric_share(text, s) for s in alike}
    others = {s: share for s, share in shares.items() if s != BLANKS}
    half = len(text.starts) / 2
    # Of "1, 2" and "3, 4, 5" the commas are wrong, not the blanks.
    uneven = any(np.count_nonzero(counts[s] > 1) >= half for s in _SEPARATORS if s not in alike)
    blanks = 0.0 if uneven else shares.get(BLANKS, 0.0)
    if not others and not blanks:
        return _likely(text, counts)
    if not others or (others.keys() == {"\t"} and blanks > others["\t"]):
        return BLANKS
    best = [s for s in others if others[s] == max(others.values())]
    if blanks == 1.0 > others[best[0]]:
        best.append(BLANKS)
    if len(best) > 1:
        raise DataError(
            f"{name}: fields may be separated by {best[0]!r} or by {best[1]!r}; "
            "say which: separator=... (on the command line --separator)"
        )
    return best[0]


def _likely(text: _Text, counts: dict[str, NDArray[np.int64]]) -> str:
    """Return the separator of a single column, or of rows of different widths, for the error."""
    often = {s: np.bincount(c[c > 1]).max(initial=0) for s, c in counts.items()}
    rare = often[BLANKS] <= len(text.starts) / 2
    if rare or any(often[s] for s in _SEPARATORS) or not _numeric_share(text, BLANKS):
        often[BLANKS] = 0
    return max(_SEPARATORS + BLANKS, key=lambda s: often[s])


def _numeric_share(text: _Text, separator: str) -> float:
    """Return the share of numbers, with decimal point or comma, among the fields that are not empty."""
    numbers = found = 0
    for row in _sampled(text, separator):
        for field in row[:_SAMPLE]:
            bare = field.strip(" \t").removeprefix('"').removesuffix('"').strip(" \t")
            numbers += bool(NUMBER.fullmatch(bare) or (separator != "," and _COMMA_NUMBER.fullmatch(bare)))
            found += bool(bare)
    return numbers / max(found, 1)


def _sampled(text: _Text, separator: str) -> list[list[str]]:
    """Return the fields of some rows, with their quotes."""
    data = text.data.copy()
    cuts = (data == _SPACE) | (data == _TAB) if separator == BLANKS else data == ord(separator)
    data[text.outside(cuts)] = 0  # a byte that does not occur in text
    rows = (data[a:b].tobytes().decode() for a, b in zip(text.starts, text.ends, strict=True))
    return [[f for f in row.split("\0") if f or separator != BLANKS] for row in rows]


def _without_gaps(text: _Text) -> tuple[bytes, NDArray[np.int64]]:
    """Return the rows joined without blank lines, and where each begins."""
    if text.is_whole:
        return text.data.tobytes(), text.starts
    after = np.minimum(text.ends + 1, len(text.data))
    steps = np.zeros(len(text.data) + 1, dtype=np.int8)
    np.add.at(steps, text.starts, 1)
    np.add.at(steps, after, -1)
    kept = np.cumsum(steps[:-1], dtype=np.int8).astype(np.bool_)
    lengths = after - text.starts
    return text.data[kept].tobytes(), np.append(0, np.cumsum(lengths)[:-1]).astype(np.int64)
