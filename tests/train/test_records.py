"""Callbacks that write down what happens: files of networks, of values, and for TensorBoard."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from portnn import Network
from portnn.train.callbacks import (
    Checkpoint,
    CSVLogger,
    EarlyStopping,
    ModelCheckpoint,
    ReduceLROnPlateau,
    TensorBoard,
)
from tests.train.small import X, Y, leaves, network


def test_checkpoints(tmp_path):
    net = network()
    all_of_them = ModelCheckpoint(tmp_path / "{epoch:02d}-{loss:.2f}.safetensors", every=2)
    best = ModelCheckpoint(tmp_path / "best.safetensors", monitor="loss", mode="max", save_best_only=True)
    seen = []
    history = net.fit(X, Y, epochs=5, callbacks=[all_of_them, best, lambda e: seen.append(leaves(e.model))])
    names = [Path(p).name for p in all_of_them.saved]
    assert names == [f"{e:02d}-{history['loss'][e - 1]:.2f}.safetensors" for e in (2, 4)]
    assert best.saved == [str(tmp_path / "best.safetensors")]
    assert max(p.name for p in tmp_path.iterdir()) == "best.safetensors"
    for path, epoch in ((all_of_them.saved[1], 4), (best.saved[0], 1)):
        loaded = Network.load(path)
        assert loaded.epochs == epoch
        for a, b in zip(leaves(loaded), seen[epoch - 1], strict=True):
            np.testing.assert_array_equal(a, b)


def test_checkpoints_that_cannot_be(tmp_path):
    with pytest.raises(ValueError, match="is no pattern of epoch, loss, accuracy"):
        network().fit(X, Y, callbacks=[ModelCheckpoint(tmp_path / "{val_loss}.safetensors")])
    for callback in (ModelCheckpoint(tmp_path / "no" / "a"), CSVLogger(tmp_path / "no" / "a")):
        net = network()
        with pytest.raises(FileNotFoundError, match="there is no folder"):
            net.fit(X, Y, callbacks=[callback])
        assert net.epochs == 0


def test_the_log_holds_the_history(tmp_path):
    path = tmp_path / "log.csv"
    net = network()
    first = net.fit(X, Y, epochs=2, validation_split=0.25, callbacks=[CSVLogger(path)])
    second = net.fit(X, Y, epochs=2, validation_split=0.25, callbacks=[CSVLogger(path, append=True)])
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert [float(row[name]) for row in rows] == first[name] + second[name]
    with pytest.raises(ValueError, match="has the columns epoch, loss, accuracy, val_loss"):
        net.fit(X, Y, epochs=1, callbacks=[CSVLogger(path, append=True)])
    net.fit(X, Y, epochs=1, callbacks=[CSVLogger(path)])
    assert len(path.read_text().splitlines()) == 2


def test_each_line_of_the_log_can_be_read_at_once(tmp_path):
    """Someone watches the training by it."""
    path, seen = tmp_path / "log.csv", []

    def watch(epoch):
        with path.open(newline="") as file:
            seen.append(
                [(row["epoch"], float(row["loss"]) == epoch.logs["loss"]) for row in csv.DictReader(file)]
            )

    network().fit(X, Y, epochs=3, callbacks=[CSVLogger(path), watch])
    assert [rows[-1] for rows in seen] == [("1", True), ("2", True), ("3", True)]
    assert [len(rows) for rows in seen] == [1, 2, 3]


def test_tensorboard(monkeypatch):
    written = []

    class SummaryWriter:
        def __init__(self, folder):
            written.append(folder)

        def add_scalar(self, name, value, step):
            written.append((name, value, step))

        def flush(self):
            written.append("flush")

        def close(self):
            written.append("close")

    module = ModuleType("tensorboardX")
    module.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "tensorboardX", module)
    history = network().fit(X, Y, epochs=1, validation_split=0.25, callbacks=[TensorBoard("runs/a")])
    names = {"loss/train": "loss", "accuracy/train": "accuracy", "loss/val": "val_loss",
             "accuracy/val": "val_accuracy"}  # fmt: skip
    assert written == ["runs/a", *[(k, history[v][0], 1) for k, v in names.items()], "flush", "close"]


def test_tensorboard_says_what_is_missing(monkeypatch):
    for name in ("tensorboardX", "torch.utils.tensorboard"):
        monkeypatch.setitem(sys.modules, name, None)
    net = network()
    with pytest.raises(ImportError, match=r'pip install "portnn\[tensorboard\]"'):
        net.fit(X, Y, callbacks=[TensorBoard("runs")])
    assert net.epochs == 0


def test_a_callback_is_what_its_context_gives(tmp_path, monkeypatch):
    writer = ModuleType("tensorboardX")
    writer.SummaryWriter = lambda folder: (tmp_path / "events").open("w")
    monkeypatch.setitem(sys.modules, "tensorboardX", writer)
    (tmp_path / "b").mkdir()
    made = [
        EarlyStopping(), ReduceLROnPlateau(), CSVLogger(tmp_path / "a.csv"), ModelCheckpoint(tmp_path / "a"),
        Checkpoint(tmp_path / "b"), TensorBoard(tmp_path / "c"),
    ]  # fmt: skip
    for callback in made:
        if hasattr(callback, "__enter__"):
            with callback as entered:
                assert entered is callback
