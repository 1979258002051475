"""The states of callbacks: one that loads a state continues as if nothing had been between."""

from __future__ import annotations

import json

import numpy as np
import pytest

from portnn import optim
from portnn.train import Epoch
from portnn.train.callbacks import CSVLogger, EarlyStopping, ModelCheckpoint, ReduceLROnPlateau

VALUES = [3.0, 2.0, 2.5, 2.0, 1.5, 1.5, 1.7, 1.6, 1.4, 1.4, 1.4, 1.4, 1.4, 1.4, 1.4]


class Model:
    """What a callback changes or writes."""

    def __init__(self):
        self.params, self.state = 0, 0
        self.optimizer_state = optim.adjustable(optim.sgd(0.1)).init(np.zeros(2))
        self.files = []

    def restore(self, params, state):
        self.params, self.state = params, state

    def save(self, path):
        self.files.append(path)


def seen(callback, answer):
    """What can be seen of a callback after an epoch."""
    names = ("best_epoch", "stopped_epoch", "scale", "saved")
    return answer, {name: getattr(callback, name) for name in names if hasattr(callback, name)}


def follow(callback, model, numbers, before=None):
    """What is seen after each epoch, and its state then."""
    result = []
    callback.model = model
    with callback:
        callback.on_train_begin(None)
        if before is not None:
            callback.load_state_dict(before)
        for i in numbers:
            model.params = i
            answer = callback.on_epoch_end(Epoch(i, len(VALUES), {"val_loss": VALUES[i - 1]}, model))
            result.append((seen(callback, answer), json.loads(json.dumps(callback.state_dict()))))
    return result


MAKE = {
    "stopping": lambda: EarlyStopping(patience=4),
    "stopping, last": lambda: EarlyStopping(patience=4, restore_best=False),
    "plateau": lambda: ReduceLROnPlateau(patience=2, cooldown=1),
    "best": lambda: ModelCheckpoint("net-{epoch}", save_best_only=True),
    "every": lambda: ModelCheckpoint("net-{epoch}", every=2),
}


@pytest.mark.parametrize("name", MAKE)
def test_going_on_is_as_going_through(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = Model()
    whole = follow(MAKE[name](), model, range(1, len(VALUES) + 1))
    for cut in range(1, len(VALUES)):
        other = Model()
        rest = follow(MAKE[name](), other, range(cut + 1, len(VALUES) + 1), whole[cut - 1][1])
        assert rest == whole[cut:]
        assert other.params == model.params
        assert other.files == [f for f in model.files if int(f.rpartition("-")[2]) > cut]


@pytest.mark.parametrize("name", MAKE)
def test_a_callback_that_is_used_again_begins_anew(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    callback = MAKE[name]()
    fresh = callback.state_dict()
    for n in range(1, 15):  # wherever the training before has ended
        follow(callback, Model(), range(1, n))
        with callback:
            callback.on_train_begin(None)
            assert callback.state_dict() == fresh
    callback = MAKE[name]()
    first = follow(callback, Model(), range(1, 16))
    again = follow(callback, Model(), range(1, 16))
    for (one, state), (two, later) in zip(first, again, strict=True):
        assert one[0] == two[0]
        assert state == later


def test_a_log_that_is_used_again_begins_anew(tmp_path):
    logger = CSVLogger(tmp_path / "log.csv")
    for _ in range(2):
        with logger:
            logger.on_train_begin(None)
            assert logger.state_dict() == {"before": 0, "done": 0}
            for i in (1, 2):
                logger.on_epoch_end(Epoch(i, 2, {"loss": 2.0 * i}, None))
                assert logger.state_dict() == {"before": 0, "done": i}
        assert (tmp_path / "log.csv").read_text().splitlines() == ["epoch,loss", "1,2.0", "2,4.0"]


def test_stopping_answers_with_a_flag():
    """From the epoch on that is as many after the best as it has patience."""
    answers = [answer for (answer, _), _ in follow(MAKE["stopping"](), Model(), range(1, 16))]
    assert answers == [False] * 12 + [True] * 3
    assert {type(answer) for answer in answers} == {bool}


ODD = {
    "stopping": (EarlyStopping, {"best_epoch": 1, "stopped_epoch": 0, "best": 0.5}),
    "plateau": (ReduceLROnPlateau, {"scale": 0.5, "waited": 1, "rest": 0, "best": 0.5}),
    "log": (lambda: CSVLogger("log.csv"), {"before": 1, "done": 0}),
}


@pytest.mark.parametrize("name", ODD)
def test_a_state_that_cannot_be_is_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make, good = ODD[name]
    with make() as callback:
        callback.load_state_dict(good)
        if name != "log":
            assert callback.state_dict() == good
        for key, value in good.items():
            odd = [True, "1", [1], *([-1, 1.0] if isinstance(value, int) else [])]
            for wrong in odd:
                with pytest.raises(ValueError, match="expected a number or text of a callback's state"):
                    callback.load_state_dict({**good, key: wrong})


def test_only_names_of_files_are_kept(tmp_path):
    callback = ModelCheckpoint(str(tmp_path / "x"))
    callback.load_state_dict({"best": 1, "saved": ["a", "b"]})
    assert callback.saved == ["a", "b"]
    assert callback.state_dict() == {"best": 1.0, "saved": ["a", "b"]}
    for wrong in (1, True, ["a"]):
        with pytest.raises(ValueError, match="of a callback's state"):
            callback.load_state_dict({"best": None, "saved": [wrong]})


def test_the_log_of_a_training_that_goes_on(tmp_path):
    """Lines of epochs that did not count are replaced; those of an earlier training stay."""
    path = tmp_path / "log.csv"
    with CSVLogger(path) as logger:
        logger.on_train_begin(None)
        for i in (1, 2):
            logger.on_epoch_end(Epoch(i, 2, {"loss": 2.0 * i}, None))
    first = path.read_text().splitlines()
    assert first == ["epoch,loss", "1,2.0", "2,4.0"]
    logger = CSVLogger(path, append=True)
    with logger:
        logger.on_train_begin(None)
        for i in (1, 2, 3):
            logger.on_epoch_end(Epoch(i, 5, {"loss": 1.0 / i}, None))
            assert path.read_text().splitlines()[-1] == f"{2 + i},{1.0 / i!r}"  # it is there at once
        data = logger.state_dict()
        logger.on_epoch_end(Epoch(4, 5, {"loss": 9.0}, None))
    assert data == {"before": 2, "done": 3}
    again = CSVLogger(path)
    with again:
        again.on_train_begin(None)
        again.load_state_dict(data)
        again.on_epoch_end(Epoch(4, 5, {"loss": 0.25}, None))
        assert again.state_dict() == {"before": 2, "done": 4}
    assert b"\r" not in path.read_bytes()
    lines = path.read_text().splitlines()
    assert lines[:3] == first
    assert lines[3:] == ["3,1.0", "4,0.5", f"5,{1 / 3!r}", "6,0.25"]
