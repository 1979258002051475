"""Parameters in a half precision take the steps of the oracles' float64 loops, on NumPy, PyTorch and JAX."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from portnn import losses, ops, optim, tree
from portnn.autodiff import value_and_grad
from portnn.compile import jit
from tests.optim.cases import RECIPES

each_recipe = pytest.mark.parametrize("case", RECIPES, ids=[case.name for case in RECIPES])

# The step of numbers next to one.
STEP = {"float16": 2.0**-10, "bfloat16": 2.0**-7}
GRADIENTS = [0.0, 1.0, 1e-2, 1e-4, -1e-6, 300.0, -6e4]


def _numpy(dtype):
    return lambda x: np.asarray(x, dtype=dtype), lambda x: np.asarray(x, dtype="float64")


def _torch(dtype):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    return (
        lambda x: torch.asarray(np.asarray(x)).to(getattr(torch, dtype)),
        lambda x: x.to(torch.float64).numpy(),
    )


def _jax(dtype):
    jax = pytest.importorskip("jax", reason="jax is not installed")
    return lambda x: jax.numpy.asarray(x, dtype=dtype), lambda x: np.asarray(x).astype("float64")


@pytest.fixture(params=[(_numpy, "float16"), *[(f, dtype) for f in (_torch, _jax) for dtype in STEP]],
                ids=lambda p: f"{p[0].__name__[1:]}-{p[1]}")  # fmt: skip
def half(request):
    """What makes arrays of a half precision, what makes float64 of them, and the precision's step."""
    library, dtype = request.param
    return *library(dtype), STEP[dtype]


def walked(optimizer, make, gradients):
    """The parameters after each step from zeros, and the last state."""
    params = {"w": make(np.zeros(len(gradients[0])))}
    state, found = optimizer.init(params), []
    for g in gradients:
        updates, state = optimizer.update({"w": make(g)}, state, params)
        assert updates["w"].dtype == params["w"].dtype
        params = optim.apply_updates(params, updates)
        found.append(params["w"])
    return found, state


@each_recipe
def test_steps_are_those_of_float64(case, half):
    """Apart from the rounding of parameters and of what stands between transforms."""
    make, back, step = half
    rows = [np.asarray(GRADIENTS) * s for s in (1.0, -0.5, 0.25, 1.0)]
    rows = [back(make(g)) for g in rows]
    found, _ = walked(case.optimizer, make, rows)
    expected = list(islice(case.oracle(np.zeros(len(GRADIENTS)), lambda t, x: rows[t], **case.numbers), 4))
    size = np.max(np.abs(expected), axis=0)
    for a, e in zip(found, expected, strict=True):
        limit = 4 * step * size + 1e-7  # the smallest number of float16 is 6e-8
        assert (np.abs(back(a) - e) <= limit).all(), (back(a), e)


def test_adam_divides_by_no_zero():
    params = np.ones(2, dtype="float16")
    optimizer = optim.adam(0.01)
    updates, _ = optimizer.update(np.asarray([0.0, 1.0], dtype="float16"), optimizer.init(params), params)
    np.testing.assert_allclose(optim.apply_updates(params, updates), [1.0, 0.99], rtol=1e-3)


@pytest.mark.parametrize("wrap", [
    optim.ema, optim.adjustable, optim.dynamic_loss_scale, lambda o: optim.accumulate(o, 1),
    lambda o: optim.chain(optim.clip_by_global_norm(1e6), o),
], ids=["ema", "adjustable", "loss scale", "accumulate", "clip"])  # fmt: skip
def test_wrappers_keep_dtypes_and_values(wrap, half):
    make, back, _ = half
    rows = [np.asarray([0.0, 1.0, 1e-4, -30.0])] * 3
    plain, _ = walked(optim.adam(0.01), make, rows)
    wrapped = wrap(optim.adam(0.01))
    scale = optim.loss_scale(wrapped.init({"w": make(rows[0])}))
    factor = 1.0 if scale is None else 2.0**10
    wrapped = optim.dynamic_loss_scale(optim.adam(0.01), initial=factor) if factor > 1 else wrapped
    found, state = walked(wrapped, make, [g * factor for g in rows])
    for a, b in zip(found, plain, strict=True):
        np.testing.assert_array_equal(back(a), back(b))
    before = wrapped.init({"w": make(rows[0])})
    for a, b in zip(tree.leaves(before), tree.leaves(state), strict=True):
        assert a.dtype == b.dtype


def test_an_average_moves_in_a_half_precision(half):
    make, back, step = half
    params = make(np.asarray([1.0, 100.0]))
    optimizer = optim.ema(optim.sgd(1.0), 0.999)
    state = optimizer.init(params)
    mean, total = 0.0, 0.0
    for _ in range(200):
        updates, state = optimizer.update(make(np.asarray([-0.5, 0.5])), state, params)
        params = optim.apply_updates(params, updates)
        mean, total = 0.999 * mean + back(params), 0.999 * total + 1.0
    average = optim.ema_params(state)
    assert average.dtype == params.dtype
    np.testing.assert_allclose(back(average), mean / total, rtol=step)


def test_sums_of_gradients_neither_stop_nor_overflow(half):
    make, back, step = half
    optimizer = optim.accumulate(optim.sgd(1.0), 400)
    params = make(np.zeros(2))
    state = optimizer.init(params)
    for _ in range(400):
        updates, state = optimizer.update(make(np.asarray([1.0, 3e4])), state, params)
    np.testing.assert_allclose(back(updates), [-1.0, -3e4], rtol=step)


def test_norms_of_all_gradients(half):
    make, back, step = half
    grads = [make(np.full(5000, 20.0)), make(np.asarray([1e-4, 3.0]))]
    exact = np.sqrt(sum(np.sum(back(g) ** 2) for g in grads))
    assert back(optim.global_norm(grads)) == pytest.approx(exact, rel=step)
    clipped, _ = optim.clip_by_global_norm(10.0).update(grads, (), grads)
    for a, g in zip(clipped, grads, strict=True):
        np.testing.assert_allclose(back(a), back(g) * 10.0 / exact, rtol=step, atol=1e-7)
    same, _ = optim.clip_by_global_norm(1e4).update(grads, (), grads)
    for a, g in zip(same, grads, strict=True):
        np.testing.assert_array_equal(back(a), back(g))


@pytest.mark.parametrize("name", ["adam", "nadam", "rmsprop", "adagrad", "adadelta", "adamax", "radam"])
def test_a_plan_takes_the_same_steps(name):
    optimizer = optim.ema(optim.chain(optim.clip_by_global_norm(1e3), getattr(optim, name)(0.01)))
    x = np.random.default_rng(0).normal(size=(16, 3)).astype("float16")
    params = {"w": np.asarray([[0.5], [-1.0], [2.0]], dtype="float16"), "b": np.zeros(1, dtype="float16")}

    def step(params, state):
        loss = value_and_grad(lambda p: losses.squared_error(ops.linear(x, p["w"], p["b"]) * 30.0, x[:, :1]))
        value, grads = loss(params)
        updates, state = optimizer.advance(grads, state, params)
        return optim.apply_updates(params, updates), state, value

    state = optimizer.init(params)
    planned = jit(step)
    for _ in range(4):
        expected, found = step(params, state), planned(params, state)
        for a, b in zip(tree.leaves(found), tree.leaves(expected), strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
        params, state, _ = expected
        assert all(leaf.dtype == np.float16 for leaf in tree.leaves(params))
