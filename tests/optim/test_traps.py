"""Gradients and numbers at the edges: zero, enormous, infinite; warnings are errors in the whole suite."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest

from portnn import optim, tree
from portnn.optim._corrected import _average_length
from portnn.optim._steps import one_minus_power, tame
from tests.optim.cases import RECIPES

each_recipe = pytest.mark.parametrize("case", RECIPES, ids=[case.name for case in RECIPES])


def walk(optimizer, gradient, steps, dtype="float32"):
    """The updates of `steps` steps from ones, with the same gradient at each."""
    params = {"w": np.ones(len(gradient), dtype=dtype)}
    grads, state, updates = {"w": np.asarray(gradient, dtype=dtype)}, optimizer.init(params), []
    for _ in range(steps):
        update, state = optimizer.update(grads, state, params)
        params = optim.apply_updates(params, update)
        updates.append(update["w"])
    return np.stack(updates), state


@each_recipe
def test_a_zero_gradient_does_nothing(case):
    updates, _ = walk(case.optimizer, [0.0, 0.0], 5)
    wanted = -1e-3 * 1e-2 if case.name == "adamw" else 0.0  # decoupled weight decay goes on
    np.testing.assert_allclose(updates[0], [wanted, wanted], rtol=1e-6)


@each_recipe
@pytest.mark.parametrize(("dtype", "huge"), [("float32", 1e20), ("float32", 3e38), ("float64", 1e200)])
def test_an_enormous_gradient_does_not_stall(case, dtype, huge):
    """Methods that divide by the gradient's size do at 1e20 what they do at 1000."""
    if case.name in {"sgd", "radam"}:
        pytest.skip("its step is proportional to the gradient")
    updates, state = walk(case.optimizer, [huge, -huge], 60, dtype)
    plain, _ = walk(case.optimizer, [1e3, -1e3], 60, dtype)
    np.testing.assert_allclose(updates, plain, rtol=1e-4)
    assert all(np.all(np.isfinite(leaf)) for leaf in tree.leaves(state))


def test_radam_stays_finite_at_an_enormous_gradient():
    updates, state = walk(optim.radam(), [1e20, -1e20], 60)
    assert np.all(np.isfinite(updates))
    assert np.all(updates[10:, 0] < -1e-5)
    assert np.all(np.isfinite(state[0]["square"]["w"]))


def test_sgd_takes_an_enormous_gradient_as_it_is():
    updates, _ = walk(optim.sgd(0.5), [1e20], 1)
    assert updates[0, 0] == np.float32(-0.5e20)


def test_adam_recovers_after_one_enormous_gradient():
    params, optimizer = np.ones(2, dtype="float32"), optim.adam(0.1, betas=(0.9, 0.5))
    state = optimizer.init(params)
    moves = []
    for t in range(600):
        grads = np.asarray([1e20 if t == 0 else 1.0, 1.0], dtype="float32")
        updates, state = optimizer.update(grads, state, params)
        moves.append(updates)
    np.testing.assert_allclose(moves[0][0], -0.1, rtol=1e-5)
    np.testing.assert_allclose(moves[-1], [-0.1, -0.1], rtol=1e-5)


def test_centered_rmsprop_of_a_constant_gradient_keeps_its_root_real():
    updates, _ = walk(optim.rmsprop(alpha=0.5, centered=True), [0.1, 0.3, 1e10], 200)
    assert np.all(np.isfinite(updates))


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_tame_lets_what_is_not_finite_show(bad):
    with np.errstate(invalid="ignore"):
        assert np.isnan(tame(np.asarray([bad, 1.0]))[0])


def test_tame_leaves_ordinary_gradients_bit_for_bit():
    g = np.asarray([2.8e14, -1e-30, 0.1, 0.0], dtype="float32")
    assert np.array_equal(tame(g), g)


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9, 0.999, 0.99999])
@pytest.mark.parametrize("t", [1, 2, 10, 1000, 10**6])
def test_bias_correction_in_float32(beta, t):
    wanted = 1.0 if beta == 0.0 else -math.expm1(t * math.log(beta))
    found = one_minus_power(beta, np.asarray(t, dtype="float32"))
    assert float(found) == pytest.approx(wanted, rel=3e-7)


@pytest.mark.parametrize("beta", [0.0, 0.9, 0.99, 0.999, 0.9999, 0.99999])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_length_of_radams_average(beta, dtype):
    mpmath = pytest.importorskip("mpmath")
    limit = 2.0 / (1.0 - beta) - 1.0
    digits = 5e-6 if dtype == "float32" else 1e-9
    with mpmath.workdps(60):
        b = mpmath.mpf(beta)
        for t in (1, 2, 3, 4, 5, 6, 7, 10, 50, 199, 201, 1000, 10**5):
            wanted = 2 / (1 - b) - 1 - 2 * t * b**t / (1 - b**t)
            found = float(_average_length(beta, limit, np.asarray(t, dtype=dtype)))
            assert found == pytest.approx(float(wanted), rel=digits), (beta, t)


def test_length_of_radams_average_just_below_the_end_of_its_series():
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(60):
        b = mpmath.mpf(0.999)
        wanted = float(2 / (1 - b) - 1 - 2 * 199 * b**199 / (1 - b**199))
    found = float(_average_length(0.999, 2.0 / (1.0 - 0.999) - 1.0, np.asarray(199.0)))
    assert found == pytest.approx(wanted, rel=5e-15)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_clipping_by_an_infinite_norm_is_a_named_error(bad, backend):
    grads = {"a": backend.asarray([1.0], "float32"), "b": [backend.asarray([2.0, bad], "float32")]}
    optimizer = optim.chain(optim.clip_by_global_norm(1.0), optim.sgd(0.1))
    with pytest.raises(
        optim.NonFiniteGradientError, match=r"grads\[b\.0\]: expected finite .* lower the"
    ) as caught:
        optimizer.update(grads, optimizer.init(grads), grads)
    assert caught.value.path == "b.0"
    assert isinstance(caught.value, ValueError)
    assert pickle.loads(pickle.dumps(caught.value)).path == "b.0"


def test_clipping_by_an_infinite_norm_under_jit_gives_nan():
    jax = pytest.importorskip("jax", reason="jax is not installed")
    optimizer = optim.clip_by_global_norm(1.0)
    update = jax.jit(lambda g: optimizer.update(g, (), g)[0])
    assert np.isnan(np.asarray(update(jax.numpy.asarray([np.inf, 1.0])))).any()


@pytest.mark.parametrize("peak", [0.0, 1e-40, 1e-38, 1.0, 1e20, 3e38])
def test_clip_by_global_norm_of_any_size(peak):
    grads = [
        np.full(4, peak, dtype="float32"),
        np.asarray(peak, dtype="float32"),
        np.zeros((0, 3), dtype="float32"),
    ]
    clipped, _ = optim.clip_by_global_norm(0.5).update(grads, (), grads)
    if peak < 0.1:
        assert all(np.array_equal(a, b) for a, b in zip(clipped, grads, strict=True))
    else:
        np.testing.assert_allclose(clipped[0], 0.5 / math.sqrt(5), rtol=1e-6)
        np.testing.assert_allclose(clipped[1], 0.5 / math.sqrt(5), rtol=1e-6)


@pytest.mark.parametrize("peak", [0.0, 1e-38, 1e-3, 1e20, 1e38])
def test_global_norm_of_any_size(peak):
    grads = [np.full(3, peak, dtype="float32"), np.asarray(-peak, dtype="float32")]
    assert float(optim.global_norm(grads)) == pytest.approx(2 * peak, rel=1e-6)


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_global_norm_of_what_is_not_finite(bad):
    np.testing.assert_equal(float(optim.global_norm([np.asarray([1.0, bad])])), bad)


def test_adam_may_add_eps_before_the_correction():
    transform, params = optim.scale_by_adam((0.5, 0.75), eps=0.1, eps_first=True), np.asarray([0.0])
    state = transform.init(params)
    m = v = 0.0
    for t, g in enumerate((0.3, -0.2), 1):
        updates, state = transform.update(np.asarray([g]), state, params)
        m, v = 0.5 * m + 0.5 * g, 0.75 * v + 0.25 * g * g
        expected = np.sqrt(1 - 0.75**t) / (1 - 0.5**t) * m / (np.sqrt(v) + 0.1)
        np.testing.assert_allclose(updates, [expected], rtol=1e-12)
