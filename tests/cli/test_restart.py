"""``portnn train --restart``: anew where there are checkpoints, which go when the new training has one."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path

import pytest

import portnn as pn
from portnn.cli import _runs, _train

TRAIN = ("train", "flowers.csv", "--batch-size", 1, "--checkpoints", "run", "-q", "--validation", 0)


@pytest.fixture
def stopped(flowers, portnn, stops_in, monkeypatch):
    """A function that trains up to a step, where an error or Ctrl-C ends it."""

    def train(steps, *options, error=KeyboardInterrupt):
        with monkeypatch.context() as patch:
            patch.setattr(_train, "Progress", lambda *rest: stops_in(steps, error))
            code, _, err = portnn(*TRAIN, *options)
        assert code == 1
        return err

    return train


def content(folder="run"):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir() if path.is_file()}


def test_an_old_training_goes_when_the_new_one_has_a_checkpoint(stopped, portnn):
    stopped(200, "--epochs", 9)  # two epochs of 90 steps
    old = content()
    assert "checkpoint-000000180.safetensors" in old
    stopped(100, "--epochs", 5, "--layers", 7, "--restart")
    new = content()
    assert sorted(new) == ["checkpoint-000000090.safetensors", "training.json"]
    assert json.loads(new["training.json"])["options"]["layers"] == "7"
    assert sorted(Path("run").iterdir()) == sorted(Path("run") / name for name in new)
    assert portnn("train", "--resume", "run", "-q")[0] == 0
    assert pn.Network.load("network.safetensors").epochs == 5


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_old_training_comes_back_if_the_new_one_has_no_checkpoint(error, stopped):
    stopped(200, "--epochs", 9)
    old = content()
    stopped(1, "--layers", 7, "--restart", error=error)
    assert content() == old
    assert not (Path("run") / "before-restart").exists()


def test_a_killed_program_is_tidied_up_after(stopped, stops_in, portnn, monkeypatch):
    stopped(200, "--epochs", 9)
    assert killed(5, stops_in(170, OSError("no more")), portnn, monkeypatch)
    code, _, err = portnn(*TRAIN)
    assert (code, "or train anew with --restart" in err) == (1, True)
    assert (Path("run") / "before-restart").exists()  # nobody knows whether that program still runs
    assert portnn("train", "--resume", "run", "-q", "--epochs", 3)[0] == 0
    assert pn.Network.load("network.safetensors").layer.members[0].out_features == 128
    assert not (Path("run") / "before-restart").exists()


def test_nothing_changes_where_the_command_is_wrong(stopped, portnn):
    stopped(200, "--epochs", 9)
    old = content()
    for wrong in (("--momentum", 0.5), ("--label", "none"), ("--loss", "huber"), ("--backend", "abacus")):
        assert portnn(*TRAIN, "--restart", *wrong)[0] > 0
        assert content() == old


def test_without_checkpoints_it_is_a_training_like_any_other(flowers, portnn):
    assert portnn(*TRAIN, "--epochs", 1, "--restart")[0] == 0
    assert portnn(*TRAIN, "--epochs", 1)[0] == 1  # the folder was asked for, so its checkpoints stayed
    assert portnn(*TRAIN, "--epochs", 1, "--restart")[0] == 0


def test_checkpoints_of_a_program_are_not_for_the_command_line_to_delete(flowers, portnn, stopped):
    stopped(200, "--epochs", 9)
    (Path("run") / "training.json").unlink()
    old = content()
    code, _, err = portnn(*TRAIN, "--restart")
    assert code == 1
    assert (
        "run has checkpoints that are not of the command line (training.json is missing); give another" in err
    )
    assert content() == old


class Killed(BaseException):
    """Ends the program at once: nothing tidies up."""


class Killer:
    """Counts the changes of a folder, and kills the program before one of them.

    Args:
        patch: pytest's monkeypatch.
        change: which; counted from 0.
    """

    def __init__(self, patch, change):
        self.left, self.dead = change, False
        for name in ("mkdir", "replace", "rmdir", "unlink"):
            patch.setattr(Path, name, self.watched(getattr(Path, name)))
        patch.setattr(_train, "leave_run", self.leave)

    def watched(self, original):
        def call(path, *args, **options):
            if "run" in path.parts:
                self.dead |= not self.left
                if self.dead:
                    raise Killed
                self.left -= 1
            return original(path, *args, **options)

        return call

    def leave(self, folder):
        if not self.dead:
            _runs.leave_run(folder)


def killed(change, progress, portnn, monkeypatch):
    """Begin anew, with an error after some steps, and be killed before a change; whether that came."""
    with monkeypatch.context() as patch:
        patch.setattr(_train, "Progress", lambda *rest: progress)
        Killer(patch, change)
        try:
            portnn(*TRAIN, "--epochs", 2, "--layers", 7, "--restart")
        except Killed:
            return True
    return False


@pytest.mark.parametrize(("steps", "owners"), [(1, {"128"}), (170, {"128", "7"})])
def test_killed_at_any_moment_one_of_the_trainings_is_whole(
    steps, owners, stopped, stops_in, portnn, monkeypatch
):
    stopped(200, "--epochs", 9)
    old = content()
    found = set()
    for change in count():
        for path in sorted(Path("run").rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        for name, data in old.items():
            (Path("run") / name).write_bytes(data)
        if not killed(change, stops_in(steps, OSError("no more")), portnn, monkeypatch):
            break
        _runs.leave_run(Path("run"))  # as the next command does
        owner = json.loads(content()["training.json"])["options"]["layers"]
        found.add(owner)
        names = {name for name in content() if not name.startswith(".")}
        expected = set(old) if owner == "128" else {"checkpoint-000000090.safetensors", "training.json"}
        assert (names, list(Path("run").glob("*/"))) == (expected, []), change
    assert change >= 8
    assert found == owners


def test_a_folder_that_another_program_trains_in_is_left_alone(stopped, portnn, monkeypatch):
    stopped(200, "--epochs", 9)
    old = content()
    with pn.serialize.held("run"):
        Killer(monkeypatch, 1)  # the folder may be made if it is not there, and no more
        for command in (("train", "--resume", "run", "-q"), (*TRAIN, "--restart")):
            code, _, err = portnn(*command)
            assert (code, err) == (1, "portnn: error: another training is writing to the folder 'run'\n")
            assert content() == old
