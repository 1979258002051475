"""The convolutional network learns on a small budget, on each backend, and distorts where it is told to."""

from __future__ import annotations

import numpy as np
import pytest

import portnn as pn
from examples import digits_conv
from examples._arguments import MNIST
from tests.examples.figures import last_figure


@pytest.mark.parametrize("more", [[], ["--augment"]], ids=["as they are", "augment"])
def test_quick(backend, capsys, more):
    digits_conv.main(["--backend", backend.member.backend_name, "--quick", *more])
    assert last_figure(capsys) >= 0.2


def test_the_picture_is_drawn(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    file = tmp_path / "digits_conv.png"
    digits_conv.main(["--quick", "--plot", str(file)])
    assert file.read_bytes().startswith(b"\x89PNG")
    assert f"the picture is in {file}" in capsys.readouterr().out


def test_the_saved_network_predicts_without_the_layer_of_ones_own(tmp_path, capsys):
    file = tmp_path / "digits_conv.safetensors"
    digits_conv.main(["--quick", "--augment", "--save", str(file)])
    printed = last_figure(capsys)
    network = pn.Network.load(file)
    images, labels = pn.data.load_mnist(MNIST, "test")
    assert round(network.score(images[:1000], labels[:1000]), 4) == printed


def test_images_are_distorted_in_training_alone():
    images = np.zeros((2, 1, 28, 28), dtype=np.float32)
    images[:, :, 8:20, 12:16] = 1.0
    layer, key = digits_conv.Distort(), pn.random.key(0)
    assert layer.apply({}, images) is images
    changed = layer.apply({}, images, training=True, key=key)
    assert changed.shape == images.shape
    assert np.abs(changed - images).max() > 0.1
    assert np.abs(changed[0] - changed[1]).max() > 0.1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--backend", "nope"], "unknown backend 'nope'"),
        (["--epochs", "0"], "--epochs must be at least 1, got 0"),
        (["--plot", "nowhere/at/all.png"], "there is no folder"),
    ],
    ids=["backend", "epochs", "folder"],
)
def test_mistakes_are_told_before_the_training(options, told, capsys):
    with pytest.raises(SystemExit):
        digits_conv.main(options)
    assert told in capsys.readouterr().err.splitlines()[-1]
