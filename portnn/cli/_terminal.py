"""What is written where: results on standard output, what happens meanwhile on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["console", "count", "emit", "note", "save_text", "table"]


def console(*, stderr: bool = False) -> Any:
    """A console of rich, which knows terminals, their width, and NO_COLOR."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True)


def note(text: str) -> None:
    """Say something that is no result."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def emit(text: str, data: Any, as_json: bool) -> None:
    """Write a result, for people or for machines."""
    print(json.dumps(data, allow_nan=False) if as_json else text)  # noqa: T201


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
