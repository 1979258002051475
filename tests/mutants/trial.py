"""Try a mistake: run the tests that execute its statement until one fails."""

from __future__ import annotations

import ast
import difflib
import random
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from types import CodeType
from typing import Any

import pytest

from tests.mutants.coverage_map import CoverageMap, Project, Test, options
from tests.mutants.importing import import_changed
from tests.mutants.processes import End, Job
from tests.mutants.sites import Probe, Site, Source

__all__ = ["Outcome", "Reach", "control", "difference", "draw", "select", "trial", "verdict"]

FIRST = 2.0
"""Seconds of processor time after which the fastest and nearest tests should have found a mistake."""
COLLECTION = 60.0
"""Seconds of processor time for what is not a test."""
IN_A_ROW = 8
"""Number of tests of one file before the next file."""


@dataclass(frozen=True)
class Outcome:
    """The result for a mistake."""

    site: Site
    verdict: str
    """"killed", "timeout" or "survived"."""
    by: str
    """The test that failed, or why there is none."""
    seconds: float


def draw(sources: Sequence[Source], seed: int, count: int) -> list[Site]:
    """Draw mistakes with equal probability; skip those that do not compile or change nothing."""
    by_path = {source.path: source for source in sources}
    sites = [site for source in sources for site in source.sites]
    random.Random(seed).shuffle(sites)
    found: list[Site] = []
    for site in sites:
        if len(found) == count:
            break
        if _is_another_program(by_path[site.path], site):
            found.append(site)
    return found


def _is_another_program(source: Source, site: Site) -> bool:
    try:
        compile(source.mutated(site), source.path, "exec", dont_inherit=True)
    except SyntaxError:  # as "break" would be outside of a loop
        return False
    return ast.dump(ast.parse(source.mutated(site))) != ast.dump(ast.parse(source.text))


def difference(source: Source, site: Site) -> str:
    """Return the mistake as a unified diff."""
    before, after = (text.decode().splitlines(keepends=True) for text in (source.text, source.mutated(site)))
    return "".join(difflib.unified_diff(before, after, source.path, source.path, n=1))


class Reach:
    """The statements that a test must execute to notice a mistake."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.probes = {source.path: frozenset(source.probes) for source in sources}
        self.uses: dict[str, set[Probe]] = {}
        self.made_from: dict[str, set[str]] = {}
        for source in sources:
            for name, probes in source.uses.items():
                self.uses.setdefault(name, set()).update(probes)
            for name, names in source.made_from.items():
                self.made_from.setdefault(name, set()).update(names)

    def of(self, site: Site) -> frozenset[Probe]:
        """The statement around it; by the import, what belongs to it and what uses the names it defines."""
        if site.probe is not None:
            return frozenset([site.probe])
        probes = set(site.inside & self.probes[site.path])  # those of `__repr__`, say, are none
        names, known = set(site.names), set(site.names)
        for _ in range(3):  # a constant, a table of constants, a function of the table
            probes.update(*(self.uses.get(name, ()) for name in names))
            names = {new for name in names for new in self.made_from.get(name, ())} - known
            known |= names
        return frozenset(probes) or self.probes[site.path]


def select(
    known: CoverageMap, reach: frozenset[Probe], path: str, budget: float, first: Sequence[str] = ()
) -> list[list[Test]]:
    """Return the tests that can notice a mistake in `path`, nearest package first, then fastest; in two runs.

    Args:
        known: the coverage map.
        reach: the statements that a test must execute.
        path: the file of the mistake.
        budget: seconds of processor time.
        first: test files that may notice it without executing these statements.
    """
    mask = sum(1 << known.index[probe] for probe in reach)
    direct = [test for test in known.tests if test.hits & mask]
    shared = {file.path for file in known.files.values() if file.hits & mask}
    indirect = [test for test in known.tests if not test.hits & mask and test.file in shared]
    runs: list[list[Test]] = [[], []]
    spent, files = 0.0, set()
    before = _ordered([test for test in known.tests if test.file in first], path)
    for test in dict.fromkeys([*before, *_ordered(direct, path), *_ordered(indirect, path)]):
        cost = test.seconds + (0 if test.file in files else known.files[test.file].seconds)
        if spent + cost <= budget:
            spent += cost
            files.add(test.file)
            runs[spent > FIRST].append(test)
    return [run for run in runs if run]


def _ordered(tests: Sequence[Test], path: str) -> list[Test]:
    turns: dict[str, int] = {}
    keys = {}
    for test in sorted(tests, key=lambda test: test.seconds):
        turns[test.file] = turns.get(test.file, -1) + 1
        keys[test] = (_distance(test.file, path), turns[test.file] // IN_A_ROW, test.seconds)
    return sorted(tests, key=keys.__getitem__)


def _distance(file: str, path: str) -> int:
    """0: the tests of this module, by their names; 1: those of its package; 2: others."""
    test, module = PurePosixPath(file), PurePosixPath(path)
    words = set(module.stem.strip("_").split("_"))
    if module.parts[1] not in test.parts:
        return 2
    return 0 if file == path or words & set(test.stem.split("_")[1:]) else 1


def trial(project: Project, source: Source, site: Site, runs: Sequence[Sequence[Test]]) -> Job:
    """Return the job that runs tests with a mistake."""
    code = compile(source.mutated(site), str(project.root / source.path), "exec", dont_inherit=True)
    return Job(site, partial(_run, project, {project.root / source.path: code}, runs), 3600.0)


def control(project: Project, site: Site, runs: Sequence[Sequence[Test]], by: str) -> Job:
    """Return the job of the same tests without it, up to the one that failed; one per file if none did."""
    done: list[Sequence[Test]] = []
    for run in runs:
        files = list(dict.fromkeys(test.file for test in run))
        ordered = sorted(run, key=lambda test: files.index(test.file))  # as they run
        last = next((i for i, test in enumerate(ordered) if test.id == by), None)
        if last is not None:
            return Job(site, partial(_run, project, {}, [*done, ordered[: last + 1]]), 3600.0)
        done.append(run)
    one = {test.file: test for run in runs for test in run}
    return Job(site, partial(_run, project, {}, [list(one.values())]), 3600.0)


def _run(
    project: Project, changes: Mapping[Path, CodeType], runs: Sequence[Sequence[Test]], place: Path
) -> Any:
    import_changed(project.package, changes)
    for run in runs:
        _limit(COLLECTION)
        chosen = _Chosen(run, project.patience)
        result = pytest.main([*options(project, place), "-x", *chosen.files], plugins=[chosen])
        if chosen.failed:
            return chosen.failed
        if result not in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}:
            return "the collection"
    return ""


class _Chosen:
    """Runs some of the tests of some files, each within its time."""

    def __init__(self, run: Sequence[Test], patience: float) -> None:
        self.patience = patience
        self.files = list(dict.fromkeys(test.file for test in run))
        self.tests = {test.id: (self.files.index(test.file), i, test.seconds) for i, test in enumerate(run)}
        self.failed = ""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        chosen = [item for item in items if item.nodeid in self.tests]
        items[:] = sorted(chosen, key=lambda item: self.tests[item.nodeid])

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        _limit(self.patience + 20.0 * self.tests[item.nodeid][2])

    def pytest_runtest_logfinish(self) -> None:
        _limit(COLLECTION)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.failed:
            self.failed = report.nodeid


def _limit(seconds: float) -> None:
    """End this process after `seconds` of processor time, or after much more real time."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, 90.0 + 10.0 * seconds)


def verdict(end: End) -> Outcome:
    """Return the outcome of a trial."""
    if end.signal in {signal.SIGPROF, signal.SIGALRM}:
        return Outcome(end.name, "timeout", "too slow", end.seconds)
    if end.result is None and not end.signal:
        raise RuntimeError(f"expected a trial to end with a result, got {end.output}")
    if end.result is None:
        return Outcome(end.name, "killed", f"the process, which ended by signal {end.signal}", end.seconds)
    return Outcome(end.name, "killed" if end.result else "survived", end.result or "no test", end.seconds)
