"""Second derivatives of a whole network: against JAX, and against differences of the gradient."""

from __future__ import annotations

import numpy as np
import pytest

from portnn import losses, ops, tree
from portnn.autodiff import grad
from portnn.nn import MLP, tanh
from portnn.random import stream

MODEL = MLP([5, 7, 6, 3], activation=tanh)


@pytest.fixture
def problem():
    """Parameters, a direction, and data, in float64."""
    rng = stream(3)
    params = tree.map(lambda p: p + 0.1 * rng.standard_normal(p.shape), MODEL.init(stream(0), "float64"))
    direction = tree.map(lambda p: rng.standard_normal(p.shape), params)
    return params, direction, rng.standard_normal((11, 5)), rng.integers(0, 3, 11)


def loss(params, x, y):
    return losses.softmax_cross_entropy(MODEL.apply(params, x), y)


def product(params, direction, x, y):
    """The Hessian-vector product: the gradient of the directional derivative."""

    def slope(params):
        parts = tree.map(lambda g, v: ops.sum(ops.multiply(g, v)), grad(loss)(params, x, y), direction)
        return sum(tree.leaves(parts))

    return grad(slope)(params)


def flat(t):
    """All numbers in the order of the paths: JAX sorts the keys of dicts, portnn keeps their order."""
    return np.concatenate([np.asarray(leaf).ravel() for _, leaf in sorted(tree.items(t), key=lambda i: i[0])])


def test_against_differences_of_the_gradient(problem):
    params, direction, x, y = problem

    def at(h):
        return flat(grad(loss)(tree.map(lambda p, v: p + h * v, params, direction), x, y))

    # Five points: the error is of fourth order, so 1e-3 leaves about 1e-12 of truncation and of rounding.
    h = 1e-3
    expected = (at(-2 * h) - 8 * at(-h) + 8 * at(h) - at(2 * h)) / (12 * h)
    found = flat(product(params, direction, x, y))
    assert np.abs(found - expected).max() <= 1e-9 * np.abs(found).max()


def test_the_hessian_is_symmetric(problem):
    params, v, x, y = problem
    w = tree.map(np.cos, v)
    hv, hw = product(params, v, x, y), product(params, w, x, y)
    assert flat(w) @ flat(hv) == pytest.approx(flat(v) @ flat(hw), rel=1e-12)


def test_against_jax(problem):
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    jax.config.update("jax_enable_x64", True)
    params, direction, x, y = tree.map(jax.numpy.asarray, problem)

    def same(params):
        out = x
        for p in params:
            out = out @ p["weight"] + p["bias"] if p else jax.numpy.tanh(out)
        return -jax.numpy.mean(jax.nn.log_softmax(out)[jax.numpy.arange(len(y)), y])

    _, expected = jax.jvp(jax.grad(same), (params,), (direction,))
    found = flat(product(*problem))
    assert np.abs(found - flat(expected)).max() <= 1e-10 * max(1.0, np.abs(found).max())
    # The same with portnn's own functions under JAX's transforms.
    _, through = jax.jvp(jax.grad(lambda p: loss(p, x, y)), (params,), (direction,))
    assert np.abs(found - flat(through)).max() <= 1e-10 * max(1.0, np.abs(found).max())
