"""A reader of one step of training has to open few files: those under network and train that a fit enters."""

from __future__ import annotations

import sys
from inspect import CO_OPTIMIZED
from pathlib import Path

import pytest

import portnn
from tests.network.small import LABELS, X, classifier

MOST = 8
ROOT = Path(portnn.__file__).parent
FOLDERS = ("network", "train")


def entered(call):
    """The files under network and train whose functions run during a call, in the order of first calls."""
    found = {}

    def watch(frame, event, _):
        if event == "call" and frame.f_code.co_flags & CO_OPTIMIZED:  # not the body of a module or a class
            found.setdefault(frame.f_code.co_filename)

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        call()
    finally:
        sys.setprofile(before)
    paths = [Path(name) for name in found if Path(name).is_relative_to(ROOT)]
    return [path.relative_to(ROOT).as_posix() for path in paths if path.relative_to(ROOT).parts[0] in FOLDERS]


@pytest.mark.parametrize("compile", [False, True], ids=["eager", "compiled"])
def test_one_step_of_fit_enters_few_files(compile):
    options = {"epochs": 1, "batch_size": None, "progress": False, "compile": compile}
    classifier().fit(X[:30], LABELS[:30], **options)  # imports what is needed; its plan has other shapes
    net = classifier()
    files = entered(lambda: net.fit(X, LABELS, **options))
    assert net.steps == 1
    assert {path.partition("/")[0] for path in files} == set(FOLDERS)
    assert len(files) <= MOST, f"one step enters {len(files)} files, expected at most {MOST}: {files}"
