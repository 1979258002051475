"""``portnn train`` that does not get to its end, or to its file: what is kept, and how it goes on."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest

import portnn as pn
from portnn.cli import _train


@pytest.mark.parametrize(("steps", "saved"), [(170, 162), (25, 20)])
def test_ctrl_c_saves_and_resuming_gives_the_same_bits(steps, saved, flowers, portnn, stops_in, monkeypatch):
    monkeypatch.setattr(_train, "_LOST", 10)
    options = (
        "train",
        flowers,
        "--epochs",
        3,
        "--batch-size",
        1,
        "--dropout",
        0.1,
        "--schedule",
        "cosine",
        "-q",
    )
    assert portnn(*options, "-o", "whole.safetensors")[0] == 0
    with monkeypatch.context() as patch:
        patch.setattr(_train, "Progress", lambda *rest: stops_in(steps))
        code, out, err = portnn(*options, "-o", "parts.safetensors")
    assert (code, out) == (1, "")
    assert err.startswith(f"portnn: error: interrupted; step {saved} is saved")
    assert err.count("\n") == 1
    command = re.search(r"portnn (train --resume \S+)\n", err)
    assert not Path("parts.safetensors").exists()
    code, _, err = portnn(*command[1].split())
    assert code == 0, err
    assert Path("parts.safetensors").read_bytes() == Path("whole.safetensors").read_bytes()
    assert not Path("parts.safetensors.checkpoints").exists()


@pytest.fixture
def interrupted(flowers, portnn, stops_in, monkeypatch):
    """A training that was stopped within its second epoch, in the folder `run`."""
    with monkeypatch.context() as patch:
        patch.setattr(_train, "Progress", lambda *rest: stops_in(150))
        assert portnn("train", flowers, "--epochs", 9, "--batch-size", 1, "--checkpoints", "run")[0] == 1


def test_what_cannot_be_changed_when_going_on(interrupted, flowers, portnn):
    code, _, err = portnn("train", "--resume", "run", "--layers", "3")
    assert code == 2
    assert "--layers cannot be changed with --resume" in err
    code, _, err = portnn("train", flowers, "--checkpoints", "run")
    assert code == 1
    assert err.startswith("portnn: error: run has checkpoints of another training; ")  # and nothing before
    assert "go on with: portnn train --resume run" in err
    text = flowers.read_text()
    flowers.write_text(text.replace("iris", "rose", 1))
    code, _, err = portnn("train", "--resume", "run", "-q")
    assert code == 1
    assert "the data are not those that the training began with" in err
    flowers.write_text(text)
    assert portnn("train", "--resume", "run", "-q", "-o", "b.safetensors", "--threads", 1)[0] == 0
    assert Path("b.safetensors").exists()
    assert list(Path("run").glob("checkpoint-*"))  # asked for, so it stays


def test_a_damaged_record_of_the_options(interrupted, portnn):
    file = Path("run/training.json")
    for text in ("{", "[]", '{"format": 1}', file.read_text().replace('"epochs"', '"epoch"')):
        file.write_text(text)
        code, _, err = portnn("train", "--resume", "run")
        assert (code, err) == (1, f"portnn: error: {file}: damaged, or of another version of portnn\n")


def test_a_training_that_diverges_says_what_to_do_about_it(flowers, portnn):
    options = ("--label", "stem", "--drop", "kind", "--optimizer", "sgd", "-q")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")  # every one is recorded, and there must be none
        code, _, err = portnn("train", flowers, *options, "--lr", 1e18)
    assert (code, told) == (1, [])
    assert re.fullmatch(
        r"portnn: error: the loss is (inf|nan) at step \d+; lower --learning-rate \(now 1e\+18\), "
        r"or bound the gradient with --clip-norm 1\n",
        err,
    )
    assert not Path("network.safetensors.checkpoints").exists()  # there is nothing to go on from
    code, _, err = portnn("train", flowers, *options, "--lr", 1e4, "--layers", "none")
    assert code == 1
    assert err.endswith(" --clip-norm 1; begin anew with --restart\n")  # there is a checkpoint of epoch 1
    options = (*options, "--restart")
    code, _, err = portnn("train", flowers, *options, "--lr", 1e30, "--clip-norm", 1, "--scale", "none")
    assert code == 1
    assert err.endswith(
        "; lower --learning-rate (now 1e+30), or bring the inputs to about 1 with --scale auto\n"
    )


def test_numbers_that_are_too_large_for_four_decimals(flowers, portnn):
    options = ("--label", "stem", "--drop", "kind", "--optimizer", "sgd", "--lr", 1e4, "--layers", "none")
    code, out, err = portnn("train", flowers, *options, "--epochs", 1)
    assert code == 0, err
    assert re.search(r"loss \d\.\d*e\+\d\d  val loss \d\.\d*e\+\d\d", err)
    assert re.search(r"^loss \d\.\d*e\+\d\d  val_loss ", out, flags=re.MULTILINE)


def test_what_was_learned_is_not_lost_where_it_cannot_be_saved(flowers, portnn, monkeypatch):
    def full(self, path):
        raise OSError(28, f"cannot save {path}: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pn.Network, "save", full)
        code, out, err = portnn("train", flowers, "--epochs", 2, "-q")
    assert (code, out) == (1, "")
    assert err == (
        "portnn: error: cannot save network.safetensors: No space left on device; step 4 is saved, "
        "go on with: portnn train --resume network.safetensors.checkpoints\n"
    )
    assert portnn("train", "--resume", "network.safetensors.checkpoints", "-q")[0] == 0
    assert Path("network.safetensors").exists()


def test_a_file_that_cannot_be_written_to_is_told_before_the_training(trained, flowers, portnn, monkeypatch):
    monkeypatch.setattr(_train, "access", lambda path, mode: Path(path).is_dir())
    code, _, err = portnn("train", flowers, "-o", trained)
    assert code == 1
    assert err == f"portnn: error: --output {trained}: the file is there, and may not be written to\n"


def test_a_folder_that_cannot_be_written_to_is_told_before_the_training(flowers, portnn, monkeypatch):
    monkeypatch.setattr(_train, "access", lambda path, mode: False)
    code, _, err = portnn("train", flowers)
    assert code == 1
    assert err == ("portnn: error: --output network.safetensors: nothing can be written to the folder .\n")
