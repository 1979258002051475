"""The framework of the peers' suites: cases, verdicts, excuses and counts.

A suite is test data that another project ships in its wheel. A case passes, is wrong, or is not
applicable because it needs a feature that portnn lacks, which it names. A case that did not run has not
passed. `excused.toml` holds the least number of cases that pass in each suite, and the wrong cases that are
conventions or mistakes of the peer, with reasons. An unused excuse fails the suite.
"""

from __future__ import annotations

import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

EXCUSED = Path(__file__).with_name("excused.toml")
PASSED, WRONG, NOT_APPLICABLE = "passed", "wrong", "not applicable"


class NotApplicableError(Exception):
    """A case needs something that portnn does not have; the text names it."""


class Outcome(NamedTuple):
    """The verdict on one case, in types that survive the way from a worker to the terminal."""

    suite: str
    case: str
    verdict: str
    detail: str = ""


def judge(suite: str, case: str, check: Callable[[], object]) -> Outcome:
    """Run `check` and return the verdict: any exception but NotApplicableError means wrong."""
    try:
        check()
    except NotApplicableError as error:
        return Outcome(suite, case, NOT_APPLICABLE, str(error))
    except Exception as error:  # noqa: BLE001 - whatever a case raises is its verdict
        return Outcome(suite, case, WRONG, f"{type(error).__name__}: {error}"[:300])
    return Outcome(suite, case, PASSED)


def require(condition: bool, what: str) -> None:
    """Raise NotApplicableError unless `condition` holds; `what` names the missing feature."""
    if not condition:
        raise NotApplicableError(what)


def assert_close(ours: Any, theirs: Any, tolerance: float) -> None:
    """Compare shapes, kinds of dtype and values; the tolerance is relative to the largest finite value."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape, f"shape {ours.shape}, the peer has {theirs.shape}"
    assert ours.dtype.kind == theirs.dtype.kind, f"dtype {ours.dtype}, the peer has {theirs.dtype}"
    if theirs.dtype.kind == "c":
        assert_close(ours.real, theirs.real, tolerance)
        assert_close(ours.imag, theirs.imag, tolerance)
        return
    if theirs.dtype.kind != "f":
        unequal = ours != theirs
    else:
        scale = np.max(np.abs(theirs), where=np.isfinite(theirs), initial=1.0)
        with np.errstate(invalid="ignore"):
            near = np.abs(ours - theirs) <= tolerance * scale
        unequal = ~(near | (ours == theirs) | (np.isnan(ours) & np.isnan(theirs)))
    if unequal.any():
        place = tuple(int(i) for i in np.argwhere(unequal)[0])
        share = f"{int(unequal.sum())} of {unequal.size} differ"
        raise AssertionError(f"{share}, at {place}: {ours[place]!r}, the peer has {theirs[place]!r}")


@dataclass(frozen=True)
class Ledger:
    """What `excused.toml` says: the floor of each suite, and the reason of each excused case."""

    floors: dict[str, int]
    reasons: dict[tuple[str, str], str]


def read_ledger(path: Path = EXCUSED) -> Ledger:
    """Read the floors and the excuses; raise ValueError if they are inconsistent."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    reasons: dict[tuple[str, str], str] = {}
    for entry in table.get("excused", []):
        if set(entry) != {"suite", "cases", "reason"} or not entry["reason"].strip() or not entry["cases"]:
            raise ValueError(f"{path.name}: an excuse needs a suite, cases and a reason, got {entry}")
        if entry["suite"] not in table["floors"]:
            raise ValueError(f"{path.name}: no suite has the name {entry['suite']!r}")
        for case in entry["cases"]:
            if (entry["suite"], case) in reasons:
                raise ValueError(f"{path.name}: {case} of {entry['suite']} is excused twice")
            reasons[entry["suite"], case] = entry["reason"]
    return Ledger(table["floors"], reasons)


def complaints(outcomes: Iterable[Outcome], ledger: Ledger) -> list[str]:
    """Return the wrong cases that are not excused, and the excused ones that are not wrong."""
    found = []
    for suite, case, verdict, detail in outcomes:
        excused = (suite, case) in ledger.reasons
        if verdict == WRONG and not excused:
            found.append(f"{suite}: {case}: {detail}")
        elif verdict != WRONG and excused:
            found.append(f"{suite}: {case} is excused and {verdict} {detail}".rstrip())
    return found


@dataclass
class Counts:
    """The outcomes of a whole run, by suite."""

    verdicts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    missing: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    wrong: set[tuple[str, str]] = field(default_factory=set)

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Count some outcomes."""
        for suite, case, verdict, detail in outcomes:
            self.verdicts[suite][verdict] += 1
            if verdict == NOT_APPLICABLE:
                self.missing[suite][detail] += 1
            if verdict == WRONG:
                self.wrong.add((suite, case))

    def complaints(self, ledger: Ledger) -> list[str]:
        """Return the suites below or without a floor, and the excuses of cases that were not wrong."""
        found = [
            f"{suite}: {self.verdicts[suite][PASSED]} cases pass, expected at least {floor}"
            for suite, floor in ledger.floors.items()
            if self.verdicts[suite][PASSED] < floor
        ]
        found += [f"{suite} has no floor" for suite in self.verdicts if suite not in ledger.floors]
        unused = [f"{suite}: {case}" for suite, case in ledger.reasons if (suite, case) not in self.wrong]
        return found + [f"{name} is excused and was not wrong in this run" for name in unused]

    def lines(self, ledger: Ledger) -> list[str]:
        """Return the table of counts, then for each suite the features that portnn lacks."""
        width = max(len(suite) for suite in self.verdicts)
        rows = [f"{'suite':{width}}   passed    floor    wrong  excused  not applicable"]
        for suite, counts in sorted(self.verdicts.items()):
            excused = sum(pair in ledger.reasons for pair in self.wrong if pair[0] == suite)
            columns = [counts[PASSED], ledger.floors.get(suite, 0), counts[WRONG] - excused, excused]
            numbers = "  ".join(f"{n:7}" for n in columns)
            rows.append(f"{suite:{width}}  {numbers}  {counts[NOT_APPLICABLE]:14}")
        for suite, reasons in sorted(self.missing.items()):
            rows.append(f"{suite}, not applicable:")
            rows += [f"{count:7}  {reason}" for reason, count in reasons.most_common()]
        return rows
