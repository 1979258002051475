"""The examples on pictures: several labels, angles, distorted digits."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import portnn as pn
from examples import deep_big_simple, multilabel_digits, regression_rotation
from examples._arguments import MNIST
from tests.backends import BackendUnderTest, Matrix

PNG = b"\x89PNG\r\n\x1a\n"
EXAMPLES = [deep_big_simple, multilabel_digits, regression_rotation]
# A library once: its devices and flags are the matter of the layers' tests.
ONCE = {Matrix.NUMPY, Matrix.STRICT, Matrix.TORCH, Matrix.JAX, Matrix.CUPY}


def figures(capsys: pytest.CaptureFixture[str]) -> dict[str, float]:
    """The numbers of the last lines, such as ``test accuracy: 0.9136``."""
    lines = capsys.readouterr().out.splitlines()
    found = [re.fullmatch(r"([\w ]+): (-?\d+\.\d+)( degrees)?", line) for line in lines[-2:]]
    assert found[-1], f"the last line is {lines[-1]!r}"
    return {match[1]: float(match[2]) for match in found if match}


def quick(example: Any, backend: BackendUnderTest, folder: Path, *options: str) -> None:
    """Run an example; on NumPy it draws its picture as well."""
    if backend.member not in ONCE:
        pytest.skip("this library runs once")
    file = folder / "picture.png"
    drawn = backend.member is Matrix.NUMPY and find_spec("matplotlib") is not None
    plot = ("--plot", str(file)) if drawn else ()
    example.main(["--backend", backend.member.backend_name, "--quick", *plot, *options])
    assert not drawn or file.read_bytes().startswith(PNG)


def test_multilabel_digits(backend, tmp_path, capsys):
    quick(multilabel_digits, backend, tmp_path)
    told = figures(capsys)
    assert told["mean average precision"] >= 0.22  # by frequency alone: 0.19
    assert 0.0 <= told["exact match"] <= 1.0


def test_regression_rotation(backend, tmp_path, capsys):
    quick(regression_rotation, backend, tmp_path)
    told = figures(capsys)
    assert told["root mean squared error"] <= 90.0
    assert told["R2"] <= 1.0


def test_deep_big_simple(backend, tmp_path, capsys):
    quick(deep_big_simple, backend, tmp_path)
    assert figures(capsys)["test accuracy"] >= 0.60


def test_the_recipe_of_2010(capsys, monkeypatch):
    """A step for each image, with narrower layers."""
    recipe = replace(deep_big_simple.RECIPES["paper"], hidden=(60, 40))
    monkeypatch.setitem(deep_big_simple.RECIPES, "paper", recipe)
    deep_big_simple.main(["--recipe", "paper", "--quick"])
    assert figures(capsys)["test accuracy"] >= 0.30


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.__name__)
def test_a_backend_that_cannot_serve_is_told_in_a_line(example, capsys):
    with pytest.raises(SystemExit):
        example.main(["--backend", "nope"])
    assert "error: unknown backend 'nope'" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.__name__)
def test_a_missing_folder_is_told_before_the_training(example, tmp_path, capsys):
    with pytest.raises(SystemExit):
        example.main(["--plot", str(tmp_path / "nowhere" / "picture.png")])
    told = capsys.readouterr()
    assert f"error: there is no folder {tmp_path / 'nowhere'} to write picture.png to" in told.err
    assert told.out == ""


@pytest.mark.parametrize("option", ["--epochs", "--batch-size"])
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.__name__)
def test_numbers_are_looked_at_before_the_training(example, option, capsys):
    with pytest.raises(SystemExit):
        example.main([option, "0"])
    assert f"error: {option} must be at least 1, got 0" in capsys.readouterr().err


def test_each_epoch_has_distortions_of_its_own():
    """The same for the same seed; and no image of a chunk has those of another chunk."""
    images = np.tile(pn.data.load_mnist(MNIST, "test")[0][:1], (300, 1, 1))
    turn = np.full(300, 15.0, dtype=np.float32)
    first, again, second = (
        deep_big_simple.distorted(pn.random.key(0, epoch), images, turn) for epoch in (1, 1, 2)
    )
    assert (first == again).all()
    assert len(np.unique(np.concatenate([first, second]).reshape(600, -1), axis=0)) == 600


def test_turned_digits_have_the_angles_that_are_told():
    images = pn.data.load_mnist(MNIST, "test")[0][:3]
    found, angles = regression_rotation.turned(images, 0, 1)
    assert (np.abs(angles) <= 45.0).all()
    for image, one, angle in zip(images, found, angles[:, 0].tolist(), strict=True):
        expected = pn.data.augment.rotate(image[None], angle)[0]
        assert np.abs(one.astype(int) - expected).max() <= 1
