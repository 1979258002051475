"""NumPy's own functions on traced arrays: what portnn has under the name, else an error that says so."""

from __future__ import annotations

import numpy as np
import pytest

import portnn as pn

X = np.asarray([0.3, 0.7])


@pytest.mark.parametrize(
    ("function", "slope"),
    [
        (lambda x: np.exp(x), np.exp(X)),
        (lambda x: np.tanh(x), 1.0 - np.tanh(X) ** 2),
        (lambda x: np.arctan(x), 1.0 / (1.0 + X**2)),
        (lambda x: np.absolute(-x), np.ones(2)),
        (lambda x: np.power(x, 3.0), 3.0 * X**2),
        (lambda x: np.asarray([2.0, 3.0]) * x, np.asarray([2.0, 3.0])),
        (lambda x: np.float64(2.0) / x, -2.0 / X**2),
        (lambda x: np.where(np.asarray([True, True]), 1.0, 0.0) - x, -np.ones(2)),
        (lambda x: np.eye(2) @ x, np.ones(2)),
    ],
)
def test_gradient_through_numpy(function, slope):
    np.testing.assert_allclose(pn.grad(lambda x: pn.ops.sum(function(x)))(X), slope, rtol=1e-14)


def test_comparison_with_an_array_on_the_left():
    seen = []
    pn.grad(lambda x: seen.append(np.asarray([0.5, 0.5]) < x) or pn.ops.sum(x))(X)
    assert seen[0].plain.tolist() == [False, True]


@pytest.mark.parametrize(
    ("use", "named"),
    [
        (lambda x: np.sum(x), "numpy.add.reduce"),
        (lambda x: np.multiply.outer(x, x), "numpy.multiply.outer"),
        (lambda x: np.cbrt(x), "numpy.cbrt"),
        (lambda x: np.exp(x, dtype=np.float32), "numpy.exp with options"),
        (lambda x: np.add(X.copy(), x, out=X.copy()), "numpy.add with options"),
    ],
)
def test_other_functions_name_the_way_out(use, named):
    with pytest.raises(TypeError, match=r"portnn\.ops") as caught:
        pn.grad(lambda x: pn.ops.sum(use(x)))(X)
    assert str(caught.value).startswith(named)
    assert len(str(caught.value)) < 300
