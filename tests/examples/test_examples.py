"""Each example runs on a small budget, on each backend, and ends with a figure."""

from __future__ import annotations

import re

import numpy as np
import pytest

import portnn as pn
from examples import backprop_by_hand, custom_loop, digits
from examples._arguments import MNIST
from tests.backends import BackendUnderTest
from tests.examples.figures import last_figure

PNG = b"\x89PNG\r\n\x1a\n"


def spec(backend: BackendUnderTest) -> tuple[str, str]:
    return "--backend", backend.member.backend_name


def test_minibatch(backend, capsys):
    digits.main([*spec(backend), "--epochs", "3", "--samples", "2000"])
    assert last_figure(capsys) >= 0.70


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_article(backend, capsys, output):
    options = ["--recipe", "article", "--output", output, "--epochs", "40", "--samples", "1000"]
    digits.main([*spec(backend), *options])
    assert last_figure(capsys) >= 0.60


def test_best_in_a_few_steps(capsys):
    digits.main(["--recipe", "best", "--epochs", "1", "--samples", "500"])
    assert last_figure(capsys) >= 0.70


def test_article_shows_iterations_and_ten_probabilities(capsys):
    digits.main(["--recipe", "article", "--epochs", "40", "--samples", "500"])
    lines = capsys.readouterr().out.splitlines()
    iterations = [line for line in lines if line.startswith("iteration ")]
    assert iterations[0].startswith("iteration    1/40: loss ")
    assert iterations[-1].startswith("iteration   40/40: loss ")
    assert 10 <= len(iterations) <= 21
    rows = [re.match(r"  (\d) +(\d+\.\d+)%", line) for line in lines]
    table = {int(row[1]): float(row[2]) for row in rows if row}
    assert sorted(table) == list(range(10))
    assert sum(table.values()) == pytest.approx(100, abs=0.01)


@pytest.mark.parametrize(("recipe", "scale"), [("article", 255), ("minibatch", 1)])
def test_the_saved_network_predicts(tmp_path, capsys, recipe, scale):
    file = tmp_path / "digits.safetensors"
    digits.main(["--recipe", recipe, "--epochs", "2", "--samples", "500", "--save", str(file)])
    printed = last_figure(capsys)
    network = pn.Network.load(file)
    images, labels = pn.data.load_mnist(MNIST, "test")
    x = images if scale == 1 else images.astype(np.float32) / scale
    assert round(network.score(x, labels), 4) == printed


def test_the_sigmoid_network_is_loaded_with_its_loss(tmp_path, capsys):
    file = tmp_path / "digits.safetensors"
    options = ["--output", "sigmoid", "--epochs", "1", "--samples", "500", "--save", str(file)]
    digits.main(options)
    printed = last_figure(capsys)
    network = pn.Network.load(file, loss=digits.make_loss("sigmoid", 0.0))
    assert round(network.score(*pn.data.load_mnist(MNIST, "test")), 4) == printed


def test_the_picture_is_drawn(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    file = tmp_path / "digits.png"
    digits.main(["--epochs", "2", "--samples", "500", "--plot", str(file)])
    assert file.read_bytes().startswith(PNG)
    assert f"the picture is in {file}" in capsys.readouterr().out


def test_shifted_copies():
    image = np.zeros((1, 28, 28), dtype=np.uint8)
    image[0, 10, 20] = image[0, 0, 0] = 255
    moved, labels = digits.shift(image, np.asarray([7]))
    assert labels.tolist() == [7] * 9
    places = [tuple(int(i) for i in np.argwhere(copy)[-1]) for copy in moved]
    assert sorted(places) == [(row, column) for row in (9, 10, 11) for column in (19, 20, 21)]
    # What leaves the image on one side does not come back on the other.
    assert sorted(np.argwhere(moved[:, :2, :2])[:, 1:].tolist()) == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert int(np.count_nonzero(moved)) == 9 + 4


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        digits.main(["--data", str(tmp_path / "nowhere")])


@pytest.mark.parametrize("option", ["--plot", "--save"])
def test_a_missing_folder_to_write_to_is_named_before_the_training(tmp_path, capsys, option):
    with pytest.raises(SystemExit):
        digits.main([option, str(tmp_path / "nowhere" / "digits.file")])
    told = capsys.readouterr()
    assert "there is no folder" in told.err
    assert told.out == ""


def test_a_missing_matplotlib_is_named_before_the_training(capsys, monkeypatch):
    monkeypatch.setattr("_arguments.find_spec", lambda name: None)
    with pytest.raises(SystemExit):
        digits.main(["--plot", "digits.png"])
    assert "--plot needs matplotlib" in capsys.readouterr().err


@pytest.mark.parametrize("program", [digits, custom_loop, backprop_by_hand], ids=lambda p: p.__name__)
def test_a_backend_that_cannot_serve_is_told_in_a_line(program, capsys):
    with pytest.raises(SystemExit):
        program.main(["--backend", "nope"])
    last = capsys.readouterr().err.splitlines()[-1]
    assert "error: unknown backend 'nope'" in last


@pytest.mark.parametrize("option", ["--epochs", "--samples"])
def test_nothing_to_train_is_told_by_the_name_of_the_option(option, capsys):
    with pytest.raises(SystemExit):
        digits.main([option, "0"])
    assert f"{option} must be at least 1, got 0" in capsys.readouterr().err


def test_backprop_by_hand(backend, capsys):
    backprop_by_hand.main([*spec(backend), "--samples", "500", "--iterations", "20"])
    assert last_figure(capsys) >= 0.40


def test_backprop_by_hand_notices_a_wrong_gradient(monkeypatch):
    right = backprop_by_hand.backward

    def wrong(*args):
        gradient = right(*args)
        return {**gradient, "w2": gradient["w2"] * 1.0001}

    monkeypatch.setattr(backprop_by_hand, "backward", wrong)
    with pytest.raises(AssertionError, match="iteration 1: the gradients differ"):
        backprop_by_hand.main(["--samples", "200", "--iterations", "1"])


def test_custom_loop(backend, capsys):
    custom_loop.main([*spec(backend), "--samples", "2000", "--epochs", "2"])
    assert last_figure(capsys) >= 0.75
