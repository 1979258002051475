"""Everything that docs/ says is tried: its code runs, prints what it promises, and names what is there."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import portnn
import portnn.export
from tests.docs.pages import DOCS, ROOT, blocks, differs, name_of, pages, run_page

PAGES = [page for page in pages() if any(True for _ in blocks(page))]
# Code that cannot run in the tests, by its reason: a new one has to be counted here.
LEFT_OUT = {"needs a GPU": 3}
WORDS = 2000  # of a page: ten minutes


@pytest.mark.usefixtures("_place")
@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_code_runs(page: Path, capsys: pytest.CaptureFixture[str]):
    run_page(page, capsys, set())


def test_what_is_left_out_is_counted():
    assert Counter(b.left_out for page in PAGES for b in blocks(page) if b.left_out) == LEFT_OUT


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_fences_are_well_formed(page: Path):
    text = page.read_text(encoding="utf-8")
    assert text.count("\n```") % 2 == 0
    assert len(re.findall(r"^```(?:python|console)$", text, flags=re.MULTILINE)) == len(list(blocks(page)))
    assert len(re.findall(r"^<!-- (?:not run|needs):", text, flags=re.MULTILINE)) == len(
        [b for b in blocks(page) if b.left_out or b.needs]
    )


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_a_page_is_read_in_ten_minutes(page: Path):
    if "runs" not in page.parts:  # tables that a program wrote
        assert len(page.read_text(encoding="utf-8").split()) <= WORDS


def resolve(name: str) -> None:
    """Look a dotted name up: an AttributeError says what is not there."""
    found: Any = portnn
    for part in name.split(".")[1:]:
        if part.endswith("_") or part == "md":
            return
        found = getattr(found, part)


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_names_are_there(page: Path):
    text = page.read_text(encoding="utf-8")
    for name in sorted(set(re.findall(r"(?<!')\b(?:pn|portnn)(?:\.[a-zA-Z]\w*)+", text))):
        if not name.endswith((".md", ".py", ".nn.module")):
            resolve(name)


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_links_and_commands_lead_somewhere(page: Path):
    text = page.read_text(encoding="utf-8")
    links = [t for t in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text) if "://" not in t]
    assert [t for t in links if not (page.parent / t).exists() and "reference/" not in t] == []
    programs = set(re.findall(r"python (\S+\.py)", text)) | set(
        re.findall(r"`((?:tests|examples)/\S+?\.py)", text)
    )
    assert [p for p in programs if not (ROOT / p).exists()] == []
    modules = {m.replace(".", "/") for m in re.findall(r"python -m (tests\.[\w.]+\w)", text)}
    assert [m for m in modules if not (ROOT / f"{m}.py").exists() and not (ROOT / m).is_dir()] == []
    sessions = set(re.findall(r'nox -s "?(\w+)', text))
    known = set(re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text(), flags=re.MULTILINE))
    assert sessions <= known


def test_pictures_are_small_and_shown():
    shown = {
        (page.parent / target).resolve()
        for page in [*pages(), ROOT / "README.md"]
        for target in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
    }
    pictures = {p.resolve() for kind in ("*.png", "*.svg") for p in DOCS.rglob(kind)}
    assert pictures <= shown
    assert [p.name for p in pictures if p.stat().st_size > 700_000] == []


@pytest.mark.parametrize(
    ("shown", "printed", "right"),
    [
        ("0.923 of 10", "0.9236 of 10", True),
        ("0.923 of 10", "0.8 of 10", False),
        ("0.923 of 10", "0.9236 of 11", False),
        ("first\n...\nlast 1.0", "first\n2\n3.5\nlast   1.001\n", True),
        ("first", "first\nsecond", False),
    ],
)
def test_outputs_are_compared(shown, printed, right):
    assert (differs(shown, printed) is None) == right
