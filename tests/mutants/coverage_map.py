"""Which test executes which statement: one run of all tests, cached until a source changes."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from tests.mutants.importing import import_changed, probing, touched
from tests.mutants.processes import Job, fork_all
from tests.mutants.sites import Probe, Source

__all__ = ["CoverageMap", "File", "Project", "Test", "find", "options"]


@dataclass(frozen=True)
class Project:
    """What is tested, and with what."""

    root: Path
    package: str
    folders: Sequence[str]
    """The folders whose files are changed, below the root."""
    left_out: Mapping[str, str]
    """Files or folders that no test here can execute, and why."""
    tests: Sequence[str]
    """Files and folders of tests; a folder is one unit, except one called "tests", whose files are units."""
    tests_left_out: Mapping[str, str]
    """Files or folders of tests that are not run, and why."""
    tests_of_the_import: Sequence[str] = ()
    """Files of tests that look at what the import makes, such as defaults, and execute nothing."""
    pytest: Sequence[str] = ()
    """Options of pytest."""
    preloaded: Sequence[str] = ()
    """What tests import and no mistake changes: imported once, before the processes part."""
    patience: float = 5.0
    """Seconds of processor time that a test may take on top of 20 times its usual time."""

    def sources(self) -> Iterator[Path]:
        """All files of the package."""
        return iter(sorted((self.root / self.package).rglob("*.py")))

    def is_changed(self, path: str) -> bool:
        """Return whether mistakes are planted in a file."""
        return path.startswith(tuple(self.folders)) and not path.startswith(tuple(self.left_out))

    def test_units(self) -> list[list[str]]:
        """The tests of one process: a file of tests, or the examples of a package."""
        units: list[list[str]] = []
        for name in self.tests:
            top = self.root / name
            files = sorted(top.rglob("test_*.py")) if name == "tests" else []
            packages = [] if name == "tests" else sorted(child for child in top.iterdir() if child.is_dir())
            alone = [] if name == "tests" else sorted(top.glob("*.py"))
            found = [[file] for file in files] + [sorted(p.rglob("*.py")) for p in packages] + [alone]
            units += [[file.relative_to(self.root).as_posix() for file in unit] for unit in found]
        kept = [[f for f in unit if not f.startswith(tuple(self.tests_left_out))] for unit in units]
        return [unit for unit in kept if unit]


@dataclass(frozen=True)
class Test:
    """A test: its seconds of processor time, and the statements that it executes, as bits."""

    id: str
    seconds: float
    hits: int

    @property
    def file(self) -> str:
        """The file of the test."""
        return self.id.partition("::")[0]


@dataclass(frozen=True)
class File:
    """A file of tests: the processor time of its collection, and what that executes."""

    path: str
    seconds: float
    hits: int


@dataclass(frozen=True)
class CoverageMap:
    """The tests, and what they execute."""

    index: Mapping[Probe, int]
    tests: Sequence[Test]
    files: Mapping[str, File]
    failing: Sequence[str]
    """Tests that fail without any mistake, and files that cannot be collected."""


def find(project: Project, sources: Sequence[Source], cache: Path, folder: Path, workers: int) -> CoverageMap:
    """Return the map of the present sources and tests; run test files that are not cached."""
    index = {probe: i for i, probe in enumerate(dict.fromkeys(p for s in sources for p in s.probes))}
    before = _digest(project, index)
    units = {cache / before / f"{_unit_digest(project, unit)}.json": unit for unit in project.test_units()}
    missing = {file: unit for file, unit in units.items() if not file.exists()}
    if missing:
        _measure(project, sources, index, missing, folder, workers)
    tests, files, failing = [], {}, []
    for file, unit in units.items():
        found = json.loads(file.read_text())
        tests += [Test(name, seconds, int(hits, 16)) for name, seconds, hits in found["tests"]]
        seconds, hits = found["collection"]
        files.update({path: File(path, seconds / len(unit), int(hits, 16)) for path in unit})
        failing += found["failing"]
    return CoverageMap(index, tests, files, failing)


def _digest(project: Project, index: Mapping[Probe, int]) -> str:
    """Hash what every test depends on: the package, and helper files of the tests."""
    digest = hashlib.sha256(repr((project, sys.version, list(index))).encode())
    helpers = [file for file in (project.root / "tests").rglob("*.py") if not file.name.startswith("test_")]
    names = [file.relative_to(project.root).as_posix() for file in sorted(helpers)]
    beside = [project.root / name for name in names if not name.startswith(tuple(project.tests_left_out))]
    for file in [*project.sources(), *beside, *sorted(project.root.glob("*.toml"))]:
        digest.update(f"{file} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:32]


def _unit_digest(project: Project, unit: Sequence[str]) -> str:
    contents = [(name, (project.root / name).read_bytes()) for name in unit]
    return hashlib.sha256(repr(contents).encode()).hexdigest()[:32]


def _measure(
    project: Project,
    sources: Sequence[Source],
    index: Mapping[Probe, int],
    units: Mapping[Path, Sequence[str]],
    folder: Path,
    workers: int,
) -> None:
    """Run files of tests and write what they execute to files of the cache."""
    codes = {}
    for source in sources:
        path = project.root / source.path
        codes[path] = probing(source, path, index)
    jobs = [
        Job(file, partial(_run_unit, project, codes, len(index), unit), 3600.0)
        for file, unit in sorted(units.items(), key=lambda item: -len(item[1]))
    ]
    for end in fork_all(jobs, workers, folder / "map"):
        if end.result is None:
            name = units[end.name][0]
            raise RuntimeError(f"the tests of {name} ended by signal {end.signal}: {end.output}")
        end.name.parent.mkdir(parents=True, exist_ok=True)
        unfinished = end.name.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(end.result))
        unfinished.rename(end.name)


def _run_unit(
    project: Project, codes: Mapping[Path, CodeType], size: int, unit: Sequence[str], place: Path
) -> Any:
    import_changed(project.package, codes)
    recorder = _Recorder(touched(size))
    code = pytest.main([*options(project, place), *unit], plugins=[recorder])
    failing = list(recorder.failing)
    if code not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED}:
        failing += unit
    bad = set(failing)
    return {
        "tests": [test for test in recorder.tests if test[0] not in bad],
        "failing": failing,
        "collection": recorder.collection,
    }


def options(project: Project, place: Path) -> list[str]:
    """The options of every run of pytest."""
    quiet = ["-q", "--tb=no", "--no-header", "--no-summary", "-p", "no:cacheprovider"]
    quiet += ["--disable-plugin-autoload"]  # none is used, and they take longer to start than most tests
    quiet += ["-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning"]  # before the fork
    return [*project.pytest, *quiet, f"--rootdir={project.root}", f"--basetemp={place / 'tmp'}"]


class _Recorder:
    """A pytest plugin that records the time of each test and the probes that it reached."""

    def __init__(self, marks: bytearray) -> None:
        self.marks, self.none = marks, bytes(len(marks))
        self.tests: list[tuple[str, float, str]] = []
        self.failing: dict[str, None] = {}
        self.skipped: set[str] = set()
        self.shared: dict[Any, int] = {}
        self.start = time.process_time()
        self.collection = (0.0, "0")

    def taken(self) -> int:
        """Return the probes reached since the last call, as bits."""
        bits = int(self.marks.translate(_DIGITS)[::-1] or b"0", 2)
        self.marks[:] = self.none
        return bits

    def pytest_collection_finish(self) -> None:
        self.collection = (time.process_time() - self.start, f"{self.taken():x}")

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Any:
        """Count what a shared fixture executes for every test that uses it."""
        if fixturedef.scope == "function":
            return (yield)
        before = self.taken()
        try:
            return (yield)
        finally:
            during = self.taken()
            self.shared[fixturedef] = during
            self.before = getattr(self, "before", 0) | before | during

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        self.before = 0
        start = time.process_time()
        result = yield
        seconds = time.process_time() - start
        hits = self.before | self.taken()
        for name in getattr(item, "fixturenames", ()):
            for fixture in getattr(item, "_fixtureinfo").name2fixturedefs.get(name, ()):  # noqa: B009 - private
                hits |= self.shared.get(fixture, 0)
        if item.nodeid not in self.skipped:
            self.tests.append((item.nodeid, round(seconds, 4), f"{hits:x}"))
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failing[report.nodeid] = None
        elif report.skipped and not hasattr(report, "wasxfail"):
            self.skipped.add(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failing[report.nodeid] = None


_DIGITS = bytes([48, 49]) + bytes(254)
