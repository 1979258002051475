"""A training from the first command to the last, as processes: started, stopped by Ctrl-C, resumed, used.

The session `cli` of nox runs this against an installed wheel.
"""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

import portnn as pn

pytestmark = pytest.mark.slow
ROWS, EPOCHS = 3000, 150


def portnn(*arguments, code=0):
    """Run the command line in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "portnn", *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=300,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(size=(ROWS, 6)) * (1, 10, 100, 0.1, 5, 50) + (0, 50, 900, 3, 0, -9)
    scores = (x - x.mean(axis=0)) / x.std(axis=0) @ np.random.default_rng(1).normal(size=(6, 3))
    kinds = np.asarray(["low", "middle", "high"])[scores.argmax(axis=1)]
    rows = [",".join([*(f"{v:.5g}" for v in row), kind]) for row, kind in zip(x, kinds, strict=True)]
    path = tmp_path / "table.csv"
    path.write_text("a,b,c,d,e,f,level\n" + "\n".join(rows) + "\n")
    return path


def listen():
    """Hear SIGINT, which programs in the background of a shell are born deaf to."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def stop_after(line, *arguments):
    """Start a training, press Ctrl-C when it says a line, and return what it said."""
    with subprocess.Popen(
        [sys.executable, "-m", "portnn", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=listen,
    ) as process:  # fmt: skip
        said = []
        for text in process.stderr:
            said.append(text)
            if re.match(line, text):
                process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 1, said
        assert process.stdout.read() == ""
    return said


@pytest.mark.skipif(os.name != "posix", reason="SIGINT reaches one process on POSIX systems")
def test_train_stop_resume_predict_export_compare(table):
    if "PORTNN_INSTALLED" in os.environ:
        assert "site-packages" in Path(pn.__file__).parts
    options = ("train", table, "--label", "level", "--epochs", EPOCHS, "--layers", "16,8", "--dropout", 0.05)
    options += ("--schedule", "cosine", "--seed", 4)
    portnn(*options, "-o", "whole.safetensors", "-q")

    said = stop_after(rf"epoch +9/{EPOCHS} ", *options, "-o", "net.safetensors")
    assert re.match(
        r"portnn: error: interrupted; step [\d,]+ is saved, go on with: portnn train --resume ", said[-1]
    )
    assert not Path("net.safetensors").exists()
    out, err = resume(said[-1])
    assert "going on from net.safetensors.checkpoints" in err
    assert f"{EPOCHS} epochs" in out
    # Not one bit is different from the training that was never stopped.
    assert Path("net.safetensors").read_bytes() == Path("whole.safetensors").read_bytes()

    measures = json.loads(portnn("evaluate", "net.safetensors", table, "--json")[0])
    assert measures["accuracy"] > 0.95
    found = list(csv.DictReader(StringIO(portnn("predict", "net.safetensors", table, "--proba")[0])))
    right = [row["level"] for row in csv.DictReader(StringIO(table.read_text()))]
    share = np.mean([row["prediction"] == level for row, level in zip(found, right, strict=True)])
    assert share == pytest.approx(measures["accuracy"])

    assert "high, low, middle" in portnn("summary", "net.safetensors")[0]
    compared = portnn("compare", "net.safetensors", "--backends", "cpu,array_api_strict", "--gradient")[0]
    assert "no primitive differs" in compared
    portnn("export", "net.safetensors", "net.onnx", "--softmax")
    check_onnx(table, found)


def resume(line):
    """The command that an interrupted training names."""
    return portnn(*line.strip().rpartition("portnn ")[2].split())


def check_onnx(table, found):
    """The exported network predicts what the command line predicted."""
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession("net.onnx", providers=["CPUExecutionProvider"])
    x = pn.data.read_table(table).numbers("abcdef")
    [probabilities] = session.run(None, {session.get_inputs()[0].name: x})
    expected = [[float(row[f"p({name})"]) for name in ("high", "low", "middle")] for row in found]
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
