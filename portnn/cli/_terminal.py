"""What is written where: results on standard output, what happens meanwhile on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any, TextIO

__all__ = ["console", "count", "decimal", "emit", "note", "save_text", "table"]


def console(*, stderr: bool = False) -> Any:
    """A console of rich, which knows terminals, their width, and NO_COLOR."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True)


def note(text: str) -> None:
    """Say something that is no result."""
    _write(sys.stderr, text)


def emit(text: str, data: Any, as_json: bool) -> None:
    """Write a result, for people or for machines."""
    _write(sys.stdout, _json(data) if as_json else text)


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
    stream.write(text + "\n")
    stream.flush()


def decimal(value: float) -> str:
    """A number with four decimals, or with an exponent where that would be long."""
    return f"{value:.4g}" if abs(value) >= 1e8 else f"{value:.4f}"


def count(n: int, word: str) -> str:
    """A number and its word: "1 class", "3 classes"."""
    plural = word + ("es" if word.endswith("s") else "s")
    return f"{n:,} {word if n == 1 else plural}"


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
    """Write a text file as a whole: under another name first."""
    from pathlib import Path

    target = Path(path)
    temporary = target.with_name(f".{target.name}.part")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
