"""The variational autoencoder's example runs on a small budget, on each backend, and ends with a figure."""

from __future__ import annotations

import numpy as np
import pytest

import portnn as pn
from examples import generative_digits as example
from tests.backends import BackendUnderTest
from tests.examples.figures import last_figure

PNG = b"\x89PNG\r\n\x1a\n"
ELBO = r"-ELBO on the test set: (\d+\.\d\d) nats"


def test_quick(backend: BackendUnderTest, capsys: pytest.CaptureFixture[str]):
    """A decoder that knows only how probable ink is at each pixel needs about 206 nats."""
    example.main(["--backend", backend.member.backend_name, "--quick"])
    assert last_figure(capsys, ELBO) <= 165


def test_plot_of_a_latent_plane(tmp_path, capsys):
    file = tmp_path / "plane.png"
    example.main(["--quick", "--epochs", "1", "--latent", "2", "--plot", str(file)])
    assert file.read_bytes().startswith(PNG)
    assert last_figure(capsys, ELBO) < 300


def test_a_walk_has_test_images_at_its_corners():
    model = example.Autoencoder((8,), 3)
    params = model.init(0)
    test = np.eye(784, dtype=np.float32)[:5]
    codes = example.walk(model, params, test, 4)
    expected, _ = model.encode(params, test[:4])
    np.testing.assert_allclose(codes[[0, 3, 12, 15]], expected, atol=1e-6)
    np.testing.assert_allclose(codes.mean(axis=0), expected.mean(axis=0), atol=1e-6)


def test_the_bounds_are_in_order():
    """-ELBO is an upper bound of -log p(x), and several codes give a closer one."""
    model = example.Autoencoder((8,), 2)
    params = pn.tree.map(lambda p: p * 3, model.init(0))
    x = example.binarise(np.full((1000, 784), 128, dtype=np.uint8), pn.random.key(0))
    elbo = float(model.negative_elbo(params, x, pn.random.key(1)))
    one, many = (example.likelihood(model, params, x, codes) for codes in (1, 20))
    assert one == pytest.approx(elbo, rel=0.01)
    assert many < one


@pytest.mark.parametrize("option", ["--latent", "--epochs"])
def test_numbers_are_checked_before_the_training(option, capsys):
    with pytest.raises(SystemExit):
        example.main([option, "0"])
    assert f"{option} must be at least 1, got 0" in capsys.readouterr().err
