"""Checkpoints that no training goes on from: damaged ones, and those of another."""

# one row a line, so that it reads as a table

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from portnn import CheckpointError, Network, losses, optim
from portnn.serialize import checkpoint_path, load_tensors, save_tensors
from portnn.train.callbacks import Checkpoint, EarlyStopping, ReduceLROnPlateau
from tests.train.resuming import CASES, EPOCHS, LAYERS, X, Y, adam, numbers, train, watchers


def test_no_checkpoint_is_no_resume(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no checkpoint in .*; leave resume out to begin"):
        Network(LAYERS).fit(X, Y, resume=tmp_path)
    with pytest.raises(FileNotFoundError, match="no such file"):
        Network(LAYERS).fit(X, Y, resume=tmp_path / "no")
    with pytest.raises(TypeError, match="resume must be a file or a folder of checkpoints, got bool"):
        Network(LAYERS).fit(X, Y, resume=True)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        Network(LAYERS).fit(X, Y, callbacks=[Checkpoint(tmp_path / "a" / "b")])
    for wrong, kind in (({"keep": 0}, ValueError), ({"every_steps": 1.5}, TypeError)):
        with pytest.raises(kind, match="Checkpoint: "):
            Checkpoint(tmp_path, **wrong)


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    """A checkpoint within an epoch."""
    folder = tmp_path_factory.mktemp("kept")
    train(CASES["plateau and early stopping"], folder)
    return checkpoint_path(folder, 15)


def without():
    return [ReduceLROnPlateau("loss"), EarlyStopping("loss")]


OTHERS = {
    "batch size": ({"batch_size": 8}, "with batch_size=7; expected 8"),
    "order": ({"shuffle": False}, "with shuffle=True; expected False"),
    "parts": ({"accumulate": 2}, "with accumulate=1; expected 2"),
    "callbacks": ({"watch": list}, r"with callbacks=\['ReduceLROnPlateau', 'EarlyStopping'\]; expected \[\]"),
    "optimiser": (
        {"optimizer": adam},
        r"with optimizer=adjustable\(sgd\(0.5, momentum=0.9\)\); expected adjustable\(adam\(cosine\)\)",
    ),
    "optimiser of the same state": (
        {"optimizer": lambda: optim.chain(optim.sgd(0.5, momentum=0.9))},
        r"with optimizer=adjustable\(sgd\(0.5, momentum=0.9\)\); expected adjustable\(chain\(sgd\(0.5, mom",
    ),
    "other options": (
        {"optimizer": lambda: optim.sgd(0.5)},
        r"with optimizer=.*sgd\(0.5, momentum=0.9\)\); expected .*sgd\(0.5\)\);",
    ),
    "optimiser of one's own": (
        {"optimizer": lambda: optim.Optimizer(lambda p: (), lambda g, s, p: (g, s))},
        r"with optimizer=adjustable\(sgd\(0.5, momentum=0.9\)\); expected adjustable\(Optimizer\); pass",
    ),
    "loss": ({"loss": losses.focal}, "with loss={'name': 'softmax_cross_entropy', .*; expected {'name': 'fo"),
    "columns": ({"validation_data": None, "watch": without}, r"with columns=.*; expected \['loss', 'acc"),
}


@pytest.mark.parametrize(("change", "text"), OTHERS.values(), ids=OTHERS)
def test_another_training_is_refused(change, text, kept):
    with pytest.raises(CheckpointError, match=text) as caught:
        train({**CASES["plateau and early stopping"], **change}, resume=kept)
    assert str(kept) in str(caught.value)
    assert len(str(caught.value).replace(str(kept), "")) < 300


DAMAGES = {
    "kind": ({"kind": "network"}, "holds a 'network', expected a 'training' to resume"),
    "format": ({"format": 9}, "format 9, this portnn reads 1 and 3"),
    "unknown": ({"zzz": 1}, "the field 'zzz' is missing or unknown"),
    "optimizer": ({"optimizer": 3}, "lacks a valid 'optimizer'"),
    "another optimizer": (
        {"optimizer": "adjustable(lion(0.5))"},
        r"with optimizer=adjustable\(lion\(0.5\)\); expected adj",
    ),
    "missing": ({"right": ...}, "the field 'right' is missing or unknown"),
    "right": ({"right": "x"}, "lacks a valid 'right'"),
    "much right": ({"right": 1e300}, r"right=1e\+300; expected a count of samples"),
    "negative right": ({"right": -0.5}, "right=-0.5; expected a count of samples"),
    "steps": ({"steps": 2**32}, r"steps=4294967296; expected less than 2\^32"),
    "large seed": ({"seed": 2**128}, "lacks a valid 'seed'"),
    "ended": ({"ended": 1}, "lacks a valid 'ended'"),
    "seed": ({"seed": -1}, "lacks a valid 'seed'"),
    "columns": ({"columns": [1]}, "lacks a valid 'columns'"),
    "other columns": ({"columns": ["loss"]}, r"with columns=\['loss'\]; expected \['loss', 'acc"),
    "step": ({"step": 10**6}, "epochs and 1000000 of 13 steps are done"),
    "another step": ({"step": 4}, r"tensor 'losses' has shape \(2,\).*; expected \(4,\)"),
    "done": ({"done": 7}, "7 epochs and 2 of 13 steps are done; expected at most 6 epochs"),
    "layers": ({"layers": {"is": "Flatten"}}, "is of a network with other layers; expected Sequential"),
    "memory": (
        {"callbacks": [{"is": "ReduceLROnPlateau"}, {"is": "EarlyStopping"}]},
        "is not whole: KeyError",
    ),
}


@pytest.mark.parametrize(("changes", "text"), DAMAGES.values(), ids=DAMAGES)
def test_wrong_descriptions_are_refused_and_change_nothing(changes, text, kept, tmp_path):
    arrays, data = load_tensors(kept)
    assert (data["done"], data["step"]) == (1, 2)
    path = tmp_path / "c"
    save_tensors(path, arrays, {k: v for k, v in {**data, **changes}.items() if v is not ...})
    net = Network(LAYERS, seed=3)
    before = numbers(net)
    options = {"callbacks": watchers(), "optimizer": optim.sgd(0.5, momentum=0.9), "batch_size": 7}
    with pytest.raises(CheckpointError, match=text) as caught:
        net.fit(X, Y, epochs=EPOCHS, validation_data=(X[:20], Y[:20]), resume=path, **options)
    assert len(str(caught.value).replace(str(path), "")) < 300
    after = numbers(net)
    assert before[1] == after[1]
    assert all(map(np.array_equal, before[0], after[0]))


def test_parameters_that_are_not_finite_are_refused(kept, tmp_path):
    arrays, data = load_tensors(kept)
    name = next(name for name in arrays if name.startswith("params"))
    save_tensors(tmp_path / "c", {**arrays, name: np.full_like(arrays[name], np.nan)}, data)
    with pytest.raises(CheckpointError, match="parameters that are not finite"):
        train(CASES["plateau and early stopping"], resume=tmp_path / "c")


def test_a_checkpoint_holds_numbers_and_no_state_of_a_generator(kept):
    arrays, data = load_tensors(kept)
    assert {"seed", "epochs", "steps", "done", "step"} <= data.keys()
    assert not any(word in json.dumps(data).lower() for word in ("pcg", "generator", "bit_gen", "mt19937"))
    assert {name.split(".")[0] for name in arrays} == {
        "params", "state", "opt_state", "history", "losses", "callbacks"
    }  # fmt: skip
    with pytest.raises(CheckpointError, match="the file holds a 'training', expected a 'network'"):
        Network.load(kept)
