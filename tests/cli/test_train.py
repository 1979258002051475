"""``portnn train``: what data and options it takes, what it prints and writes."""

from __future__ import annotations

import json
import os
import re
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import portnn as pn
from portnn.cli import _names, _progress
from portnn.cli._scaling import measure


def test_a_table_is_learned_and_its_names_are_kept(trained, flowers):
    net = pn.Network.load(trained)
    assert net.notes == {
        "classes": ["iris", "lily", "rose"], "targets": ["kind"], "features": ["petal", "stem"], "shape": [2],
        "pixels": False,
    }  # fmt: skip
    table = pn.data.read_table(flowers)
    y = [net.notes["classes"].index(kind) for kind in table.column("kind").tolist()]
    # The scaling of the columns is part of the network: it takes the numbers as they stand in the file.
    assert net.score(table.numbers(["petal", "stem"]), np.asarray(y)) == 1.0


def test_json_on_stdout_and_progress_on_stderr(flowers, portnn):
    code, out, err = portnn("train", flowers, "--epochs", 3, "--json")
    assert code == 0
    data = json.loads(out)
    assert data["epochs"] == 3
    assert data["task"] == "classification"
    assert list(data["history"]) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert data["samples"] == 81
    assert "81 samples + 9 held out" in err
    line = r"epoch 2/3  loss \d\.\d{4}  acc \d\.\d{4}  val loss .*  [\d,]+ samples/s  \d+:\d\d left"
    assert re.search(line, err)
    assert "\x1b" not in err
    assert not Path("network.safetensors.checkpoints").exists()


def test_what_is_learned_is_named(flowers, portnn):
    _, _, told = portnn("train", flowers, "--epochs", 1, "--label", "stem", "--drop", "kind")
    assert told.startswith("regression of stem: 81 samples + 9 held out, ")
    assert portnn("train", flowers, "--epochs", 1)[2].startswith("classification of kind: ")


def test_the_bar_tells_values_of_training_from_those_of_validation(monkeypatch):
    seen = StringIO()
    terminal = Console(file=seen, force_terminal=True, width=120)
    monkeypatch.setattr(_progress, "console", lambda stderr: terminal)
    with _progress.Progress(samples=64, steps=1, epochs=1, quiet=False) as bar:
        bar.step()
        bar.epoch(1, 1, {"loss": 0.5, "accuracy": 0.9, "val_loss": 0.6, "val_accuracy": 0.25})
    assert re.search(r"loss 0\.5000 val acc 0\.2500", seen.getvalue())


def test_values_are_scaled_and_the_network_undoes_it(flowers, portnn):
    options = ("--label", "stem", "--drop", "kind", "--epochs", 30, "--lr", 0.02, "--validation", 0, "-q")
    code, _, err = portnn("train", flowers, *options)
    assert code == 0, err
    net = pn.Network.load("network.safetensors")
    table = pn.data.read_table(flowers)
    values = net.predict(table.numbers(["petal"]))
    assert net.task is pn.losses.Task.VALUES
    # The three kinds have stems of 200, 100 and 300: far from 0 and 1, which the training saw.
    assert np.abs(values.mean() - 200.0) < 20.0


def test_several_columns_of_yes_or_no(flowers, portnn):
    lines = flowers.read_text().splitlines()
    rows = [line.split(",") for line in lines[1:]]
    text = "long,wide,a,b\n" + "\n".join(
        f"{int(float(s) > 150)},{int(float(p) > 2)},{p},{s}" for _, p, s in rows
    )
    Path("labels.csv").write_text(text)
    code, out, err = portnn(
        "train", "labels.csv", "--label", "long,wide", "--epochs", 40, "--lr", 0.05, "--json"
    )
    assert code == 0, err
    assert json.loads(out)["task"] == "multilabel"
    assert json.loads(out)["final"]["accuracy"] > 0.9
    code, out, _ = portnn(
        "predict", "network.safetensors", "labels.csv", "--label", "long,wide", "--format", "csv"
    )
    assert out.splitlines()[0] == "long,wide"
    assert set(out.splitlines()[1:]) <= {"0,0", "0,1", "1,0", "1,1"}
    code, out, _ = portnn("evaluate", "network.safetensors", "labels.csv")
    assert code == 0
    assert re.search(r"^wide +\d", out, flags=re.MULTILINE)


def test_pixels_are_divided_by_255(tmp_path, monkeypatch, portnn):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    x = (rng.integers(0, 100, (40, 8, 8)) + 150 * y[:, None, None]).astype(np.uint8)
    np.savez("images.npz", x_train=x, y_train=y, x_test=x[:10], y_test=y[:10])
    code, _, err = portnn("train", "images.npz", "--epochs", 20, "--lr", 0.01)
    assert code == 0
    assert "8x8 pixels, 2 classes" in err
    net = pn.Network.load("network.safetensors")
    assert [type(layer).__name__ for layer in net.layer.layers[:2]] == ["Flatten", "Rescale"]
    code, out, _ = portnn("evaluate", "network.safetensors", "images.npz", "--json")
    assert json.loads(out)["samples"] == 10
    assert json.loads(out)["accuracy"] == 1.0


def test_arrays_with_the_labels_apart(tmp_path, monkeypatch, portnn):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.random.default_rng(0).normal(size=(30, 4)))
    np.save("y.npy", np.arange(30) % 5 + 3)  # classes 3 to 7
    assert portnn("train", "x.npy", "--labels", "y.npy", "--epochs", 1, "-q")[0] == 0
    assert pn.Network.load("network.safetensors").notes["classes"] == ["3", "4", "5", "6", "7"]


def test_early_stopping_keeps_the_best(flowers, portnn):
    code, out, _ = portnn("train", flowers, "--epochs", 300, "--lr", 0.5, "--patience", 2, "--json")
    data = json.loads(out)
    assert code == 0
    assert data["stopped_early"]
    assert data["best_epoch"] == data["epochs"] - 2
    assert data["final"]["val_loss"] == min(data["history"]["val_loss"])


@pytest.mark.parametrize("name", _names.SCHEDULES)
def test_schedules_and_optimisers(name, flowers, portnn):
    optimizer = _names.OPTIMIZERS[_names.SCHEDULES.index(name)]
    options = ("--schedule", name, "--warmup", 2, "--optimizer", optimizer, "--epochs", 2, "-q")
    code, _, err = portnn("train", flowers, *options)
    assert code == 0, err


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(monkeypatch, capsys):
    terminal = Console(file=StringIO(), force_terminal=True, _environ={"TERM": "dumb"})
    monkeypatch.setattr(_progress, "console", lambda stderr: terminal)
    with _progress.Progress(samples=64, steps=1, epochs=1, quiet=False) as bar:
        bar.step()
        bar.epoch(1, 1, {"loss": 0.5})
    assert terminal.file.getvalue() == ""
    assert capsys.readouterr().err.startswith("epoch 1/1  loss 0.5000  ")


def test_clipping_bounds_the_gradient(flowers, portnn):
    options = ("--label", "stem", "--drop", "kind", "--optimizer", "sgd", "--epochs", 3, "-q", "--json")
    free = json.loads(portnn("train", flowers, *options, "--lr", 1e-3)[1])
    loose = json.loads(portnn("train", flowers, *options, "--lr", 1e-3, "--clip-norm", 1e9)[1])
    tight = json.loads(portnn("train", flowers, *options, "--lr", 1e-3, "--clip-norm", 1e-9)[1])
    assert loose["history"] == free["history"]
    assert tight["history"]["loss"][-1] == pytest.approx(tight["history"]["loss"][0], rel=1e-6)
    assert free["history"]["loss"][-1] < 0.999 * free["history"]["loss"][0]


def test_the_threads_of_blas(flowers, portnn, monkeypatch):
    fit, seen = pn.Network.fit, []

    def watching(self, *args, **options):
        seen.append(options["threads"])
        return fit(self, *args, **options)

    monkeypatch.setattr(pn.Network, "fit", watching)
    assert portnn("train", flowers, "--epochs", 1, "-q")[0] == 0
    assert portnn("train", flowers, "--epochs", 1, "-q", "--threads", 2)[0] == 0
    assert portnn("train", flowers, "--threads", 0)[0] == 2
    assert seen == [None, 2]


def test_names_are_those_of_the_library():
    constructors = {
        "adadelta",
        "adagrad",
        "adam",
        "adamax",
        "adamw",
        "lion",
        "nadam",
        "radam",
        "rmsprop",
        "sgd",
    }
    assert set(_names.OPTIMIZERS) == constructors
    assert set(_names.LOSSES) <= set(pn.losses.__all__)
    tasks = {"classes": "classification", "labels": "multilabel", "values": "regression"}
    for name, task in _names.LOSSES.items():
        assert tasks[pn.losses.task_of(_names.loss_of(name)).value] == task
    for name in _names.ACTIVATIONS:
        assert _names.activation_of(name)(np.ones((1, 4), dtype=np.float32)).shape == (1, 4)


def test_what_was_made_of_the_first_row_is_said(flowers, portnn):
    said = "first row taken as header; --header or --no-header overrides this\n"
    assert said in portnn("train", flowers, "--epochs", 1)[2]
    assert "first row" not in portnn("train", flowers, "--epochs", 1, "--header")[2]
    flowers.write_text(flowers.read_text().partition("\n")[2])
    err = portnn("train", flowers, "--epochs", 1)[2]
    assert said.replace("header;", "data;") in err
    assert "81 samples + 9 held out" in err


def test_classes_are_what_the_file_says(tmp_path, monkeypatch, portnn):
    monkeypatch.chdir(tmp_path)
    cases = {
        "100000000000000001,1\n100000000000000002,2\n": ["100000000000000001", "100000000000000002"],
        "02134,1\n2134,2\n": ["02134", "2134"],
        "nan,1\nyes,2\nno,3\n": ["nan", "no", "yes"],
        "10,1\n9,2\nx,3\n": ["9", "10", "x"],
        "True,1\nFalse,2\n": ["False", "True"],
        "1.5,1\n2,2\n": ["1.5", "2"],
        f"{'1' * 5000},1\n2,2\n": ["2", "1" * 5000],
        '"a\n\nb",1\n"c;d",2\n': ["a\n\nb", "c;d"],
    }
    for rows, classes in cases.items():
        Path("a.csv").write_text("code,x\n" + rows * 3)
        options = ("--label", "code", "--task", "classification", "--epochs", 1, "-q")
        code, _, err = portnn("train", "a.csv", *options)
        assert (code, err) == (0, "")
        assert pn.Network.load("network.safetensors").notes["classes"] == classes
        assert portnn("evaluate", "network.safetensors", "a.csv")[0] == 0
    np.save("wide.npy", np.asarray([[2**60, 1], [2**60 + 1, 2]] * 3))
    assert portnn("train", "wide.npy", "--task", "classification", "--epochs", 1, "-q")[0] == 0
    assert pn.Network.load("network.safetensors").notes["classes"] == [str(2**60), str(2**60 + 1)]


def test_separators_and_names_with_separators(tmp_path, monkeypatch, portnn):
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text('"kind, of flower"\tx,y\tz\n' + "a\t1\t2,5\nb\t2\t3,5\n" * 4)
    options = ("--drop", 3, "--separator", r"\t", "--epochs", 1, "-q")
    code, _, err = portnn("train", "a.csv", *options)
    assert (code, err) == (0, "")
    net = pn.Network.load("network.safetensors")
    assert (net.notes["targets"], net.notes["features"]) == (["kind, of flower"], ["x,y"])
    for command in (("evaluate", "--drop", 3), ("predict",)):
        code, _, err = portnn(command[0], "network.safetensors", "a.csv", "--separator", r"\t", *command[1:])
        assert (code, err) == (0, "")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes are files on POSIX")
def test_a_table_through_a_pipe(trained, flowers, portnn):
    def through_pipe(*command):
        end, start = os.pipe()
        os.write(start, flowers.read_bytes())
        os.close(start)
        done = portnn(*(f"/dev/fd/{end}" if part == "PIPE" else part for part in command))
        os.close(end)
        return done

    assert through_pipe("train", "PIPE", "--epochs", 1, "-q")[0] == 0
    assert through_pipe("predict", trained, "PIPE") == portnn("predict", trained, flowers)
    assert through_pipe("evaluate", trained, "PIPE") == portnn("evaluate", trained, flowers)


def test_a_constant_column_is_only_shifted():
    scaling = measure(np.asarray([[3.0, 0.1], [3.0, 0.1], [3.0, 0.1 + 1e-12]]))
    assert scaling.deviation.tolist() == [1.0, 1.0]
