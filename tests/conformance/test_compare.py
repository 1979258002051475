"""The comparison that holds portnn to array-api-tests, tried on reports made up for it."""

from __future__ import annotations

import importlib.util
import random
import sys
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest


def load(name):
    """Load a module of this folder by path: these are run as files, and the folder is no package."""
    spec = importlib.util.spec_from_file_location(
        f"conformance_{name}", Path(__file__).with_name(f"{name}.py")
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


compare = load("compare")
seeded = load("seeded")

TAGS = {"passed": "", "failed": "<failure/>", "error": "<error/>", "skipped": "<skipped/>"}
LOST = "array_api_tests.test_a::test_two"


def write_report(path, outcomes):
    cases = "".join(
        f'<testcase classname="array_api_tests.test_a" name={quoteattr(name)}>{TAGS[outcome]}</testcase>'
        for name, outcome in outcomes
    )
    path.write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>", encoding="utf-8")
    return path


@pytest.fixture
def run(tmp_path, capsys):
    """Run the command line on two made-up reports and a list of excuses: status, what was printed."""

    def run(reference, wrapped, excuses="excused = []"):
        a = write_report(tmp_path / "a.xml", reference)
        b = write_report(tmp_path / "b.xml", wrapped)
        (tmp_path / "excused.toml").write_text(excuses, encoding="utf-8")
        status = compare.main([f"{a}={b}", "--excused", str(tmp_path / "excused.toml")])
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return run


def excuse(name, reason="a reason"):
    return f'[[excused]]\nid = "{name}"\nreason = "{reason}"\n'


def test_equal_runs_pass(run):
    both = [("test_one", "passed"), ("test_two[a<b]", "passed"), ("test_three", "failed")]
    status, text = run(both, both)
    assert status == 0
    assert "2 passed in the reference, 0 excused, 0 lost" in text


@pytest.mark.parametrize("outcome", ["failed", "error", "skipped"])
def test_anything_but_a_pass_is_lost(run, outcome):
    status, text = run(
        [("test_one", "passed"), ("test_two", "passed")], [("test_one", "passed"), ("test_two", outcome)]
    )
    assert status == 1
    assert f"LOST    {LOST}: {outcome}" in text


def test_a_test_that_did_not_run_is_lost(run):
    status, text = run([("test_one", "passed"), ("test_two", "passed")], [("test_one", "passed")])
    assert status == 1
    assert f"LOST    {LOST}: absent" in text


@pytest.mark.parametrize("outcome", ["failed", "error", "skipped"])
def test_what_the_reference_does_not_pass_is_not_asked_for(run, outcome):
    status, _ = run(
        [("test_one", "passed"), ("test_two", outcome)], [("test_one", "passed"), ("test_two", "failed")]
    )
    assert status == 0


def test_an_excuse_counts_and_is_printed_with_its_reason(run):
    status, text = run([("test_two", "passed")], [("test_two", "failed")], excuse(LOST, "known to differ"))
    assert status == 0
    assert "known to differ" in text


def test_an_excuse_for_another_test_does_not_count(run):
    status, text = run([("test_two", "passed")], [("test_two", "failed")], excuse(LOST + "_more"))
    assert status == 1
    assert "note: " + LOST + "_more is excused but was not lost" in text


@pytest.mark.parametrize("twice", [("passed", "error"), ("error", "passed")])
def test_a_failing_teardown_spoils_a_pass(run, twice):
    status, _ = run([("test_two", "passed")], [("test_two", outcome) for outcome in twice])
    assert status == 1


@pytest.mark.parametrize(
    ("excuses", "message"),
    [
        ("".join(excuse(f"test_{i}") for i in range(16)), "16 tests excused, at most 15"),
        (excuse("a") + excuse("a"), "excused twice"),
        (excuse("a", "  "), "needs an id and a reason"),
        ('[[excused]]\nid = "a"\n', "needs an id and a reason"),
        ("excused = [", "not readable as TOML"),
    ],
)
def test_bad_lists_of_excuses_are_refused(run, excuses, message):
    status, text = run([("test_one", "passed")], [("test_one", "passed")], excuses)
    assert status == 2
    assert message in text


def test_fifteen_excuses_are_allowed(run):
    excuses = "".join(excuse(f"test_{i}") for i in range(15))
    assert run([("test_one", "passed")], [("test_one", "passed")], excuses)[0] == 0


def test_a_reference_that_passes_nothing_is_refused(run):
    status, text = run([("test_one", "error")], [("test_one", "error")])
    assert status == 2
    assert "passed no test at all" in text


def test_a_missing_report_and_a_missing_sign_are_refused(tmp_path, capsys):
    assert compare.main([f"{tmp_path / 'none.xml'}={tmp_path / 'none.xml'}"]) == 2
    assert "no JUnit XML report" in capsys.readouterr().err
    assert compare.main([str(tmp_path)]) == 2
    assert "expected REFERENCE=WRAPPED" in capsys.readouterr().err


def test_the_list_in_this_repository_is_valid():
    assert len(compare.read_excuses(compare.EXCUSED)) <= compare.EXCUSES_ALLOWED


def test_random_numbers_depend_on_the_test_alone(request):
    state = random.getstate()
    try:
        seeded.pytest_runtest_call(request.node)
        first = random.random()
        random.random()
        seeded.pytest_runtest_call(request.node)
        assert random.random() == first
    finally:
        random.setstate(state)
