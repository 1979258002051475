"""The frame of the suites of peers: verdicts, excuses, floors. The suites run with `nox -s peers` alone."""

from __future__ import annotations

import numpy as np
import pytest

from tests.peers.frame import (
    NOT_APPLICABLE,
    PASSED,
    WRONG,
    Counts,
    Ledger,
    Outcome,
    assert_close,
    complaints,
    judge,
    read_ledger,
    require,
)

LEDGER = Ledger({"suite": 2}, {("suite", "c"): "a convention"})
GOOD = [Outcome("suite", "a", PASSED), Outcome("suite", "b", PASSED), Outcome("suite", "c", WRONG, "1 of 2")]


def fail():
    raise ValueError("broken")


@pytest.mark.parametrize(
    ("check", "verdict", "detail"),
    [
        (lambda: None, PASSED, ""),
        (fail, WRONG, "ValueError: broken"),
        (lambda: assert_close(1.0, 2.0, 1e-9), WRONG, "1 of 1 differ"),
        (lambda: require(False, "ceil_mode"), NOT_APPLICABLE, "ceil_mode"),
    ],
)
def test_a_case_is_passed_wrong_or_not_applicable(check, verdict, detail):
    outcome = judge("suite", "a", check)
    assert outcome[:3] == ("suite", "a", verdict)
    assert detail in outcome.detail


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (np.zeros(2), np.zeros((2, 1))),
        (np.zeros(2), np.zeros(2, dtype=np.int64)),
        (np.asarray([1.0, np.nan]), np.asarray([1.0, 2.0])),
        (np.asarray([1.0, 2.0]), np.asarray([1.0, np.nan])),
        (np.asarray([np.inf]), np.asarray([-np.inf])),
        (np.asarray([1.0 + 1e-6]), np.asarray([1.0])),
        (np.asarray([1.0 + 1e-6j]), np.asarray([1.0 + 0.0j])),
        (np.asarray([1]), np.asarray([2])),
    ],
)
def test_a_difference_is_seen(ours, theirs):
    with pytest.raises(AssertionError):
        assert_close(ours, theirs, 1e-9)


def test_equal_values_are_close():
    values = np.asarray([1.0, np.nan, np.inf, -np.inf])
    assert_close(values, values.copy(), 1e-9)
    assert_close(values[:1] + 1e-12, values[:1], 1e-9)


def test_an_excused_case_may_be_wrong_and_nothing_else():
    assert complaints(GOOD, LEDGER) == []
    assert complaints([Outcome("suite", "a", WRONG, "text")], LEDGER) == ["suite: a: text"]
    for verdict in (PASSED, NOT_APPLICABLE):
        [found] = complaints([Outcome("suite", "c", verdict)], LEDGER)
        assert "is excused and" in found


def test_a_whole_run_reaches_its_floor_and_uses_its_excuses():
    counts = Counts()
    counts.add(GOOD)
    assert counts.complaints(LEDGER) == []
    assert counts.lines(LEDGER)[1].split() == ["suite", "2", "2", "0", "1", "0"]
    few = Counts()
    few.add([Outcome("suite", "a", PASSED), Outcome("other", "d", NOT_APPLICABLE, "gone")])
    assert [line.split()[0] for line in few.complaints(LEDGER)] == ["suite:", "other", "suite:"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[excused]]\nsuite = "a"\ncases = ["b"]\n', "reason"),
        ('[[excused]]\nsuite = "a"\ncases = []\nreason = "c"\n', "cases"),
        ('[[excused]]\nsuite = "z"\ncases = ["b"]\nreason = "c"\n', "no suite"),
        ('[[excused]]\nsuite = "a"\ncases = ["b", "b"]\nreason = "c"\n', "twice"),
    ],
)
def test_a_list_of_excuses_that_cannot_be_meant_is_refused(tmp_path, text, message):
    path = tmp_path / "excused.toml"
    path.write_text("[floors]\na = 1\n" + text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_ledger(path)


def test_the_own_list_is_readable_and_short():
    ledger = read_ledger()
    assert len(ledger.floors) == 9
    assert all(floor > 1 for floor in ledger.floors.values())
    assert len(ledger.reasons) < 0.01 * sum(ledger.floors.values())
