"""Compare runs of array-api-tests: what a namespace passes must pass through portnn as well.

``python compare.py REFERENCE=WRAPPED [REFERENCE=WRAPPED ...] [--excused FILE]``, where each name is a JUnit
XML file that pytest wrote with ``--junit-xml``. The exit status is 0 when every test that passed in
REFERENCE passed in WRAPPED too, or is excused with a reason; 1 when one did not; 2 for unusable input.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

EXCUSED = Path(__file__).with_name("excused.toml")
EXCUSES_ALLOWED = 15


class UnusableInputError(ValueError):
    """A report or the list of excuses cannot be what it should be."""


def read_report(path: Path) -> dict[str, str]:
    """Read one JUnit XML file: outcome (passed, failed, error or skipped) by test id."""
    try:
        root = ET.parse(path).getroot()  # written by pytest a moment ago, on this machine
    except (OSError, ET.ParseError) as error:
        raise UnusableInputError(f"{path}: no JUnit XML report: {error}") from error
    outcomes: dict[str, str] = {}
    for case in root.iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        # A test whose teardown fails is listed twice: the worse outcome stands.
        if outcomes.get(name, "passed") == "passed":
            outcomes[name] = _outcome(case)
    return outcomes


def _outcome(case: ET.Element) -> str:
    for tag, outcome in (("error", "error"), ("failure", "failed"), ("skipped", "skipped")):
        if case.find(tag) is not None:
            return outcome
    return "passed"


def read_excuses(path: Path) -> dict[str, str]:
    """Read the excused tests: reason by test id."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UnusableInputError(f"{path}: not readable as TOML: {error}") from error
    excuses: dict[str, str] = {}
    for entry in table.get("excused", []):
        if set(entry) != {"id", "reason"} or not str(entry["reason"]).strip():
            raise UnusableInputError(
                f"{path}: each entry needs an id and a reason and nothing else, got {entry}"
            )
        if entry["id"] in excuses:
            raise UnusableInputError(f"{path}: {entry['id']} is excused twice")
        excuses[entry["id"]] = entry["reason"]
    if len(excuses) > EXCUSES_ALLOWED:
        raise UnusableInputError(
            f"{path}: {len(excuses)} tests excused, at most {EXCUSES_ALLOWED} are allowed"
        )
    return excuses


@dataclass(frozen=True)
class Comparison:
    """What one pair of reports says."""

    passed: int
    """How many tests the reference passed."""
    lost: dict[str, str]
    """Outcome by id of the tests that the reference passed and the wrapped namespace did not."""


def compare(reference: dict[str, str], wrapped: dict[str, str]) -> Comparison:
    """Find the tests that pass in `reference` but not in `wrapped`; a skipped or absent one is lost too."""
    passed = [name for name, outcome in reference.items() if outcome == "passed"]
    if not passed:
        raise UnusableInputError("the reference passed no test at all, so there is nothing to compare with")
    lost = {name: wrapped.get(name, "absent") for name in passed if wrapped.get(name) != "passed"}
    return Comparison(len(passed), lost)


def report(label: str, comparison: Comparison, excuses: dict[str, str]) -> bool:
    """Print what one comparison found; True when all that was lost is excused."""
    excused = [name for name in comparison.lost if name in excuses]
    unexcused = {name: outcome for name, outcome in comparison.lost.items() if name not in excuses}
    print(
        f"{label}: {comparison.passed} passed in the reference, {len(excused)} excused, {len(unexcused)} lost"
    )
    for name in excused:
        print(f"  excused {name}: {excuses[name]}")
    for name, outcome in unexcused.items():
        print(f"  LOST    {name}: {outcome}")
    return not unexcused


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    parser = argparse.ArgumentParser(description="Compare runs of array-api-tests.")
    parser.add_argument("pairs", nargs="+", metavar="REFERENCE=WRAPPED", help="two JUnit XML files")
    parser.add_argument("--excused", type=Path, default=EXCUSED, help="TOML file of excused tests")
    options = parser.parse_args(arguments)
    try:
        excuses = read_excuses(options.excused)
        comparisons = {Path(pair).stem: _compare_files(pair) for pair in options.pairs}
    except UnusableInputError as error:
        print(f"compare: {error}", file=sys.stderr)
        return 2
    good = [report(label, comparison, excuses) for label, comparison in comparisons.items()]
    for name in excuses:
        if not any(name in comparison.lost for comparison in comparisons.values()):
            print(f"note: {name} is excused but was not lost in these runs")
    return 0 if all(good) else 1


def _compare_files(pair: str) -> Comparison:
    reference, separator, wrapped = pair.partition("=")
    if not separator:
        raise UnusableInputError(f"expected REFERENCE=WRAPPED, got {pair}")
    return compare(read_report(Path(reference)), read_report(Path(wrapped)))


if __name__ == "__main__":
    sys.exit(main())
