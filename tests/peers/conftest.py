"""Collect the outcomes of all workers, print the counts, and check the floors of the suites."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

import pytest

from tests.peers.frame import Counts, Outcome, complaints, read_ledger

COUNTS = Counts()


@pytest.fixture
def hold(record_property: Callable[[str, object], None]) -> Callable[[Iterable[Outcome]], None]:
    """Record the outcomes of a test's cases, and fail for wrong ones that are not excused."""

    def hold(outcomes: Iterable[Outcome]) -> None:
        all_of_them = list(outcomes)
        record_property("outcomes", [list(outcome) for outcome in all_of_them])
        found = complaints(all_of_them, read_ledger())
        if found or not all_of_them:
            pytest.fail("\n".join([f"{len(found)} of {len(all_of_them)} cases:", *found]), pytrace=False)

    return hold


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call":
        for name, value in report.user_properties:
            if name == "outcomes":
                COUNTS.add(Outcome(*outcome) for outcome in cast("list[Any]", value))


def _is_whole(config: pytest.Config) -> bool:
    """Return whether every test of the folder was selected."""
    return not config.getoption("keyword") and not any("::" in name or ".py" in name for name in config.args)


def pytest_sessionfinish(session: pytest.Session) -> None:
    is_worker = hasattr(session.config, "workerinput")
    if not is_worker and _is_whole(session.config) and COUNTS.complaints(read_ledger()):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not COUNTS.verdicts:
        return
    ledger = read_ledger()
    terminalreporter.section("other projects' suites")
    for line in COUNTS.lines(ledger):
        terminalreporter.write_line(line)
    if not _is_whole(config):
        terminalreporter.write_line("Only a part of the suites ran: floors were not checked.")
        return
    for line in COUNTS.complaints(ledger):
        terminalreporter.write_line(f"FAILED {line}", red=True)
