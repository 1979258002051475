"""The program that plants mistakes: what it plants, and that found ones count and equivalent ones do not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants.__main__ import PORTNN
from tests.mutants.sites import read
from tests.mutants.trial import Reach

ROOT = Path(__file__).parents[2]

SAMPLE = """\
STEP = 1

def positive(x):
    if x > 0:
        return x
    return 0

def doubled(x, *, factor=2):
    return x * factor

def untested(x):
    return x + 1

def down(n):
    while n > 0:
        n -= STEP
    return n

def tripled(x):
    return x * 3
"""
TESTS = """\
from sample.core import doubled, down, positive, tripled

SEEN = []

def test_positive():
    assert [positive(x) for x in (-1, 0, 1)] == [0, 0, 1]

def test_doubled():
    assert doubled(4) == 8

def test_down():
    assert down(3) == 0

def test_wrong():
    assert positive(2) == 3

def test_before():
    SEEN.append(1)

def test_that_fails_alone():
    assert SEEN
    assert tripled(0) == 0
"""
PROGRAM = """\
import sys
from pathlib import Path
from tests.mutants.__main__ import parse, run
from tests.mutants.coverage_map import Project
common = dict(package="sample", folders=["sample/"], left_out={}, tests=["tests"], tests_left_out={})
sys.exit(run(Project(root=Path(sys.argv[1]), patience=0.2, **common), parse(sys.argv[2:])))
"""


def plant(folder: Path, *options: str) -> tuple[subprocess.CompletedProcess[str], dict[tuple[int, str], str]]:
    """Every possible mistake in the sample: what was printed, and what became of the mistakes."""
    command = [sys.executable, "-c", PROGRAM, str(folder), "--cache", str(folder / "cache"), *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    given = [*command, "--json", str(folder / "found.json"), "--count", "999"]
    done = subprocess.run(given, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    found = json.loads((folder / "found.json").read_text())
    return done, {(o["site"]["line"], o["site"]["replacement"]): o["verdict"] for o in found}


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    for name, text in (("sample/__init__", ""), ("sample/core", SAMPLE), ("tests/test_core", TESTS)):
        file = tmp_path / f"{name}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    settings = '[tool.pytest.ini_options]\npythonpath = ["."]\naddopts = ["--import-mode=importlib"]\n'
    (tmp_path / "pyproject.toml").write_text(settings)
    return tmp_path


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs forks")
def test_found_and_equivalent_mistakes(sample):
    done, verdicts = plant(sample)
    assert verdicts == {
        (1, "2"): "killed",  # by `down`, which uses the constant
        (4, "(x >= 0)"): "survived",  # the same function
        (4, "(not x > 0)"): "killed",
        (4, "1"): "killed",
        (5, "return None"): "killed",
        (6, "return None"): "killed",
        (6, "1"): "killed",
        (8, "3"): "killed",  # a default
        (9, "return None"): "killed",
        (9, "(x / factor)"): "killed",
        (12, "return None"): "survived",
        (12, "(x - 1)"): "survived",
        (12, "2"): "survived",
        (15, "(n >= 0)"): "killed",
        (15, "(not n > 0)"): "killed",
        (15, "1"): "killed",
        (16, "n += STEP"): "timeout",
        (17, "return None"): "killed",
        (20, "return None"): "survived",  # the test that fails fails without it, too
        (20, "(x / 3)"): "survived",
        (20, "4"): "survived",
    }
    assert done.returncode == 1
    assert (
        "13 killed by a failing test, 1 by the time limit, 7 survived (3 that no test executes" in done.stdout
    )
    assert "sample/core.py:4: comparison\n--- sample/core.py" in done.stdout
    assert (
        "core.py:20: survived, as tests/test_core.py::test_that_fails_alone fails without it, too"
        in done.stdout
    )
    assert "-    if x > 0:\n+    if (x >= 0):\n" in done.stdout
    assert "sample/core.py:12: arithmetic (no test executes it)" in done.stdout
    assert (sample / "sample" / "core.py").read_text() == SAMPLE, "no file changes"


MISTAKES = {
    "a < b": {"(a <= b)"},
    "a is None": {"(a is not None)"},
    "a not in b": {"(a in b)"},
    "a == b < c": {"(a != b < c)", "(a == b <= c)"},
    "a + b": {"(a - b)"},
    "a // b": {"(a * b)"},
    "a ** b": {"(a * b)"},
    "a and b": {"(a or b)"},
    "not a": {"a"},
    "-a": {"a"},
    "-1": {"1", "(-2)"},
    "0.5": {"1.5"},
    "True": {"False"},
    "f(a, b=c)": {"f(a)", "pass"},
    "f(a, b=True)": {"False", "pass"},
    "a if b else c": {"(a if not b else c)"},
    "[a for a in b if c]": {"(not c)"},
    "a += b": {"a -= b"},
    "a.b = c": {"pass"},
    "a = b": set(),
    "raise E(f'{a + 1}', 2)": {"pass"},
    "assert a > 1": set(),
    "'a text'": set(),
    "f'{a + 1}'": set(),
    "a: int | None = b": set(),
    "isinstance(a, int | None)": {"pass"},
    "zip(a, b, strict=True)": {"pass"},
    "cast(int, 1)": {"pass"},
    "def __repr__(self):\n        return 1": set(),
    "if TYPE_CHECKING:\n        f(1)": set(),
    "while a:\n        break": {"(not a)", "continue"},
}


@pytest.mark.parametrize(("text", "wrong"), MISTAKES.items(), ids=[text[:20] for text in MISTAKES])
def test_what_is_planted(text, wrong):
    source = read("m.py", f"def outer():\n    {text}\n".encode())
    assert {site.replacement for site in source.sites} == wrong
    for site in source.sites:
        assert source.mutated(site).decode() != source.text.decode()


def test_what_is_planted_where_the_import_executes_it():
    """A default belongs to its function, a field to its class, a constant to what is made from it."""
    text = b"N = 1\nM = N\nclass C:\n    x: int = 2\n\n    def f(self, y=3):\n        return M\n"
    found = {site.replacement: site for site in read("m.py", text).sites}
    body = ("m.py", 7, 8)
    assert {name: (site.probe, site.inside) for name, site in found.items()} == {
        "2": (None, frozenset()),
        "3": (None, frozenset([body])),
        "4": (None, frozenset([body])),
        "return None": (body, frozenset()),
    }
    assert found["3"].names == {"C", "x"}


def test_every_mistake_of_the_package_has_statements_that_can_show_it():
    """A class's `__repr__` and overloads are no probes, though they belong to what the import executes."""
    every = [read(f.relative_to(ROOT).as_posix(), f.read_bytes()) for f in PORTNN.sources()]
    probes = {probe for source in every for probe in source.probes}
    reach = Reach(every)
    for source in every:
        for site in source.sites:
            assert reach.of(site) <= probes, site
