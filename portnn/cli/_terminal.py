"""What is written where: results on standard output, what happens meanwhile on standard error."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any, TextIO

__all__ = [
    "console",
    "count",
    "decimal",
    "emit",
    "emit_csv",
    "note",
    "save_text",
    "short",
    "table",
    "visible",
]

# Characters that move the cursor or change colors or the direction of text: C0, C1, line ends, bidi controls.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def console(*, stderr: bool = False) -> Any:
    """A console of rich, which knows terminals, their width, and NO_COLOR."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True)


def visible(text: str) -> str:
    r"""Return text on one line, with control characters escaped, such as \x1b."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


def _lines(text: str) -> str:
    return "\n".join(map(visible, text.split("\n")))


def note(text: str, *, before: str = "") -> None:
    """Write a message to standard error, escaped; `before` is written as it is."""
    _write(sys.stderr, before + _lines(text))


def emit(text: str, data: Any, as_json: bool) -> None:
    """Write a result, for people or for machines."""
    _write(sys.stdout, _json(data) if as_json else _lines(text))


def emit_csv(text: str) -> None:
    """Write CSV: unchanged to a file or pipe, with control characters escaped to a terminal."""
    _write(sys.stdout, _lines(text) if sys.stdout.isatty() else text)


def _json(data: Any) -> str:
    """JSON, which has no infinities and no NaN: null instead."""
    try:
        return json.dumps(data, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(data), allow_nan=False)


def _finite(data: Any) -> Any:
    """Plain data with None for numbers that are not finite."""
    if isinstance(data, dict):
        return {name: _finite(value) for name, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not isfinite(data) else data


def _write(stream: TextIO, text: str) -> None:
    """Write lines at once, so that they come in order with those on the other stream."""
    try:
        stream.write(text + "\n")
        stream.flush()
    except UnicodeEncodeError as error:
        odd = text[error.start : error.start + 1]
        raise ValueError(
            f"cannot write {odd!r} in {error.encoding}, which the output is in; set PYTHONIOENCODING=utf-8"
        ) from None
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(error.errno, f"cannot write the output: {error.strerror}") from None


def decimal(value: float) -> str:
    """A number with four decimals, or with an exponent where that would be long."""
    return f"{value:.4g}" if abs(value) >= 1e8 else f"{value:.4f}"


def count(n: int, word: str) -> str:
    """A number and its word: "1 class", "3 classes"."""
    plural = word + ("es" if word.endswith("s") else "s")
    return f"{n:,} {word if n == 1 else plural}"


def short(text: str, most: int = 40) -> str:
    """The beginning of a name, where many stand beside each other."""
    text = visible(text[: 2 * most])
    return text if len(text) <= most else text[: most - 3] + "..."


def table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """Columns side by side; all but the first `left` are aligned to the right."""
    lines = [tuple(head), *map(tuple, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]

    def written(line: Sequence[str]) -> str:
        cells = [
            f"{c:<{w}}" if i < left else f"{c:>{w}}"
            for i, (c, w) in enumerate(zip(line, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    return "\n".join(map(written, lines))


def save_text(path: str, text: str) -> None:
    """Write a text file as a whole, or leave what was there."""
    from portnn.serialize import whole_file

    with whole_file(path) as file:
        file.write(text.encode("utf-8"))
