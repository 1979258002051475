"""The fuzzer itself: it finds planted faults, its inputs are seeded, every target takes its own seeds."""

from __future__ import annotations

import itertools
import os
import time

import pytest

from tests.fuzz.__main__ import NAMES
from tests.fuzz.engine import HangError, fuzz, inputs
from tests.fuzz.targets import TARGETS, arguments_of

posix = pytest.mark.skipif(os.name != "posix", reason="alarms are POSIX's")


def test_names_on_the_command_line():
    assert tuple(TARGETS) == NAMES


def test_same_seed_same_inputs():
    first, again, other = (
        list(itertools.islice(inputs([b"abc", b"12"], [b"nan"], s), 200)) for s in (1, 1, 2)
    )
    assert first == again != other
    assert len(set(first)) > 100


@posix
def test_a_planted_fault_is_found():
    def fragile(data):
        if b"nan" in data:
            raise IndexError("planted")

    count, finding = fuzz(fragile, [b"1,2\n3,4\n"], [b"nan"], seconds=20)
    assert isinstance(finding.error, IndexError)
    assert b"nan" in finding.data
    assert count > 0


@posix
def test_a_hang_is_found():
    _, finding = fuzz(lambda data: time.sleep(5), [b"x"], seconds=5, patience=1)
    assert isinstance(finding.error, HangError)


@posix
@pytest.mark.parametrize("name", NAMES)
def test_seeds_and_thirty_changes(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    target = TARGETS[name]
    seeds = target.make_seeds()
    for data in itertools.islice(inputs(seeds, target.words, 5, target.change), len(seeds) + 30):
        target.run(data)


def test_arguments_name_no_file_outside_the_folder():
    assert arguments_of(b"summary ../x /etc/passwd") == ["summary", "x", "etcpasswd"]
