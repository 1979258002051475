"""The pages of docs/ as the tests see them: blocks of code, what they print, and what is left out."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
# A comment above a fence says why its code cannot run here, or which package it needs.
FENCE = re.compile(
    r"^(?:<!-- (?P<mark>not run|needs): (?P<note>[^\n]*?) -->\n)?"
    r"```(?P<language>[a-z]*)\n(?P<text>.*?)^```$(?:\n\n```text\n(?P<shown>.*?)^```$)?",
    flags=re.DOTALL | re.MULTILINE,
)
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w.]*\w)")


@dataclass(frozen=True)
class Block:
    """Python and what it shall print (None: whatever it likes), or a session of portnn's commands."""

    language: str
    line: int
    code: str
    shown: str | None
    left_out: str | None
    needs: str | None


def pages() -> list[Path]:
    """All pages, in the order of their names."""
    return sorted(DOCS.rglob("*.md"))


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of a page that are run."""
    text = page.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        if found["language"] in ("python", "console"):
            mark, note = found["mark"], found["note"]
            yield Block(
                found["language"],
                text.count("\n", 0, found.start("text")),
                found["text"],
                found["shown"],
                note if mark == "not run" else None,
                note if mark == "needs" else None,
            )


def name_of(page: Path) -> str:
    return page.relative_to(DOCS).as_posix()


def differs(shown: str, printed: str) -> str | None:
    """What is wrong with an output: words have to agree, numbers with a point to two of a hundred."""
    parts = [_pattern(part) for part in shown.strip().split("...")]
    found = re.fullmatch(r"(?s:.*?)".join(parts), printed.strip())
    if found is None:
        return f"expected\n{shown}\ngot\n{printed}"
    for expected, got in zip(_points(shown), found.groups(), strict=True):
        if abs(float(got) - float(expected)) > 0.02 * abs(float(expected)) + 1e-7:
            return f"expected {expected}, got {got}, in\n{printed}"
    return None


def _points(text: str) -> list[str]:
    return [n for n in NUMBER.findall(text) if "." in n or "e" in n]


def _pattern(text: str) -> str:
    """A regular expression of a text, in which numbers with a point are groups."""
    pieces, last = [], 0
    for number in NUMBER.finditer(text):
        if number[0] in _points(number[0]):
            pieces += [_words(text[last : number.start()]), r"(-?\d+(?:\.\d+)?(?:e[-+]?\d+)?)"]
            last = number.end()
    return "".join([*pieces, _words(text[last:])])


def _words(text: str) -> str:
    return r"\s+".join(map(re.escape, re.split(r"\s+", text)))


def run(block: Block, page: Path, names: dict[str, Any]) -> None:
    """Carry out a block of Python as a reader in the repository's folder would."""
    data = f'"{(ROOT / "examples" / "data").as_posix()}'
    code = "\n" * block.line + block.code.replace('"examples/data', data)
    exec(compile(code, str(page), "exec"), names)  # the page's own lines in a traceback


def run_session(block: Block, page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Carry out the lines ``$ portnn ...`` of a session, and compare what they print (not their progress)."""
    from portnn.cli import main

    for part in block.code.removeprefix("$ ").split("\n$ "):
        command, _, shown = part.partition("\n")
        words = shlex.split(command.replace("examples/data", (ROOT / "examples" / "data").as_posix()))
        assert words[0] == "portnn", f"{page}:{block.line + 1}: {command}"
        code = main(words[1:])
        printed = capsys.readouterr()
        assert code == 0, printed.err
        wrong = differs(shown, printed.out)
        assert wrong is None, f"{page}:{block.line + 1}: {command}: {wrong}"


def run_page(page: Path, capsys: pytest.CaptureFixture[str], needs: set[str]) -> int:
    """Carry out a page in order, with the blocks that need certain packages; how many those were."""
    names = vars(sys.modules["page"])
    used = 0
    for block in blocks(page):
        if block.left_out or (block.needs and block.needs not in needs):
            continue
        used += block.needs is not None
        if block.language == "console":
            run_session(block, page, capsys)
            continue
        run(block, page, names)
        printed = capsys.readouterr().out
        wrong = None if block.shown is None else differs(block.shown, printed)
        assert wrong is None, f"{page}:{block.line + 1}: {wrong}"
    return used
