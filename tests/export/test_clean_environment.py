"""The exported digit network runs where there is no portnn, but onnxruntime and NumPy alone."""

from __future__ import annotations

import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from examples import digits
from examples._arguments import MNIST
from portnn.data import load_mnist
from portnn.export import export_onnx
from portnn.optim import adamw

SCRIPT = Path(__file__).with_name("without_portnn.py")


def python(*arguments: object) -> str:
    """Run Python, and return what it printed."""
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_digit_network_without_portnn(tmp_path: Path):
    net = digits.make_network(digits.RECIPES["minibatch"], Namespace(backend="cpu", seed=0, output="softmax"))
    images, labels = load_mnist(MNIST, "train")
    net.fit(images, labels, epochs=2, batch_size=128, optimizer=adamw(1e-2), progress=False)
    images, labels = load_mnist(MNIST, "test")
    export_onnx(net, tmp_path / "digits.onnx", softmax=True)
    answers = net.predict_proba(images)
    np.savez(tmp_path / "digits.npz", images=images, labels=labels, probabilities=answers)

    python(sys.executable, "-m", "venv", tmp_path / "clean")
    clean = tmp_path / "clean" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    python(clean, "-m", "pip", "install", "--quiet", "onnxruntime>=1.20", "numpy")
    found = python(clean, "-I", SCRIPT, tmp_path)
    assert found == f"{int(np.sum(np.argmax(answers, axis=1) == labels))} of 10000\n"
    assert int(found.split()[0]) > 9000
