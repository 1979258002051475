"""What a network keeps with its file, and who is told of its training."""

from __future__ import annotations

import numpy as np
import pytest

import portnn as pn
from portnn.serialize import CheckpointError, load_tensors, save_tensors

X, Y = np.eye(4, dtype=np.float32), np.asarray([0, 1, 0, 1])


def test_notes_are_kept(tmp_path):
    net = pn.Network([pn.Linear(4, 2)])
    assert net.notes == {}
    net.notes = {"classes": ["cat", "dog"], "shape": [4], "by": None}
    net.save(tmp_path / "a.safetensors")
    assert pn.Network.load(tmp_path / "a.safetensors").notes == net.notes


@pytest.mark.parametrize("notes", [None, [], "x", 3])
def test_notes_of_another_type_are_refused(notes, tmp_path):
    file = tmp_path / "a.safetensors"
    pn.Network([pn.Linear(4, 2)]).save(file)
    arrays, description = load_tensors(file)
    save_tensors(file, arrays, {**description, "notes": notes})
    with pytest.raises(CheckpointError, match="lacks a valid 'notes'"):
        pn.Network.load(file)


class Told:
    def __init__(self):
        self.steps, self.epochs = [], []

    def step(self, count=1):
        self.steps.append(count)

    def epoch(self, number, total, logs):
        self.epochs.append((number, total, sorted(logs)))


@pytest.mark.parametrize("compile", [True, False])
def test_an_object_is_told_of_steps_and_epochs(compile):
    told = Told()
    pn.Network([pn.Linear(4, 2)]).fit(X, Y, epochs=2, batch_size=1, progress=told, compile=compile)
    assert told.steps[0] == 0
    assert sum(told.steps) == 8
    assert told.epochs == [(1, 2, ["accuracy", "loss"]), (2, 2, ["accuracy", "loss"])]


def test_steps_of_an_earlier_training_are_told_first(tmp_path):
    saves = [pn.train.callbacks.Checkpoint(tmp_path / "run")]
    pn.Network([pn.Linear(4, 2)]).fit(X, Y, epochs=2, batch_size=1, callbacks=saves)
    told = Told()
    net = pn.Network([pn.Linear(4, 2)])
    net.fit(X, Y, epochs=3, batch_size=1, callbacks=saves, resume=tmp_path / "run", progress=told)
    assert told.steps[0] == 8
    assert sum(told.steps) == 12
    assert [epoch[0] for epoch in told.epochs] == [3]
