"""``portnn train``: what data it takes, what it writes, and that going on is as never having stopped."""

from __future__ import annotations

import json
import re
import warnings
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import portnn as pn
from portnn.cli import _keeper, _names, _progress, _train
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


@pytest.mark.parametrize(("steps", "saved"), [(170, 162), (25, 20)])
def test_ctrl_c_saves_and_resuming_gives_the_same_bits(steps, saved, flowers, portnn, stops_in, monkeypatch):
    monkeypatch.setattr(_keeper, "_EVERY", 10)
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
        warnings.simplefilter("always")
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


def test_a_constant_column_is_only_shifted():
    scaling = measure(np.asarray([[3.0, 0.1], [3.0, 0.1], [3.0, 0.1 + 1e-12]]))
    assert scaling.deviation.tolist() == [1.0, 1.0]
