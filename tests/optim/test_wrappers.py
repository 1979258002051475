"""What goes around a recipe: adjustable rates, averages, accumulation, loss scaling."""

from __future__ import annotations

import array_api_compat
import numpy as np
import pytest

from portnn import jit, ops, optim, tree
from tests.compile.test_jit_table import assert_same_bits

WRAPPERS = {
    "adjustable": optim.adjustable,
    "ema": lambda o: optim.ema(o, 0.9),
    "accumulate": lambda o: optim.accumulate(o, 3),
    "loss scale": lambda o: optim.dynamic_loss_scale(o, initial=8.0, interval=2),
    "all": lambda o: optim.dynamic_loss_scale(optim.adjustable(optim.ema(optim.accumulate(o, 2), 0.5))),
}
each = pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
PARAMS = {"w": np.asarray([[1.0, -2.0], [0.5, 4.0]], np.float32), "b": np.asarray([0.5], np.float32)}


def recipe():
    return optim.chain(optim.clip_by_value(5.0), optim.adam(optim.schedules.cosine(0.1, 10)))


def stepper(optimizer):
    def step(params, state, scale):
        grads = tree.map(lambda p: ops.multiply(p, scale), params)
        updates, state = optimizer.update(grads, state, params)
        return optim.apply_updates(params, updates), state

    return step


def course(step, optimizer, params, scales):
    state, found = optimizer.init(params), []
    for scale in scales:
        params, state = step(params, state, scale)
        found.append((params, state))
    return found


@each
def test_states_lie_where_the_parameters_lie(wrap, backend):
    params = tree.map(backend.asarray, PARAMS)
    optimizer = wrap(recipe())
    state = optimizer.init(params)
    updates, later = optimizer.update(params, state, params)
    assert tree.structure(later) == tree.structure(state)
    for before, after in zip(tree.leaves(state), tree.leaves(later), strict=True):
        assert (before.dtype, tuple(before.shape)) == (after.dtype, tuple(after.shape))
        assert array_api_compat.array_namespace(after).__name__ == backend.xp.__name__
        assert array_api_compat.device(after) == backend.device
    for p, u in zip(tree.leaves(params), tree.leaves(updates), strict=True):
        assert (p.dtype, p.shape) == (u.dtype, u.shape)


@each
def test_a_planned_step_is_the_eager_step(wrap):
    optimizer = wrap(recipe())
    step = stepper(optimizer)
    planned = jit(step)
    scales = [np.asarray(s, np.float32) for s in (1.0, 2.0, np.inf, 0.5, 1.0, 3.0, 1.0)]
    with np.errstate(all="ignore"):
        assert_same_bits(course(planned, optimizer, PARAMS, scales), course(step, optimizer, PARAMS, scales))
    assert planned.plans == 1


@each
def test_jax_compiles_a_step_once(wrap):
    jax = pytest.importorskip("jax", reason="jax is not installed")
    optimizer = wrap(recipe())
    step = stepper(optimizer)
    params = tree.map(jax.numpy.asarray, PARAMS)
    scales = [jax.numpy.asarray(s, dtype="float32") for s in (1.0, 2.0, 0.5, 3.0)]
    planned = jit(step)
    fast, slow = course(planned, optimizer, params, scales), course(step, optimizer, params, scales)
    assert planned.plans == 1
    for a, b in zip(tree.leaves(fast), tree.leaves(slow), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)


@each
@pytest.mark.parametrize("empty", [{}, {"a": (), "b": None}], ids=["dict", "nested"])
def test_trees_without_leaves(wrap, empty):
    optimizer = wrap(optim.adam(0.1))
    updates, state = optimizer.update(empty, optimizer.init(empty), empty)
    assert updates == empty
    assert tree.structure(state) == tree.structure(optimizer.init(empty))


@pytest.mark.parametrize(
    "make", [optim.sgd, optim.adamw, optim.lion, optim.adadelta, optim.rmsprop, optim.nadam]
)
def test_a_scaled_rate_is_the_rate_scaled(make):
    params = tree.map(lambda p: p.astype(np.float64), PARAMS)
    scaled, plain = optim.adjustable(make(0.1)), make(0.025)
    state = optim.scale_learning_rate(optim.scale_learning_rate(scaled.init(params), 0.5), 0.5)
    found, _ = scaled.update(params, state, params)
    expected, _ = plain.update(params, plain.init(params), params)
    for a, b in zip(tree.leaves(found), tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_an_adjustable_rate_costs_no_bit():
    scales = [np.asarray(s, np.float32) for s in (1.0, 2.0, 0.3)]
    plain, wrapped = recipe(), optim.adjustable(recipe())
    a, b = (course(stepper(o), o, PARAMS, scales)[-1][0] for o in (plain, wrapped))
    assert_same_bits(a, b)


def test_a_fixed_rate_cannot_be_scaled():
    with pytest.raises(ValueError, match=r"is fixed; wrap it: optim\.adjustable"):
        optim.scale_learning_rate(optim.adam(0.1).init(PARAMS), 0.5)
    with pytest.raises(ValueError, match="factor must be finite and > 0"):
        optim.scale_learning_rate(optim.adjustable(optim.sgd(0.1)).init(PARAMS), 0.0)


def test_the_average_is_the_one_of_the_formula():
    optimizer, params = optim.ema(optim.sgd(0.1), 0.8), np.asarray([1.0, -2.0])
    state, seen = optimizer.init(params), []
    for t in range(20):
        updates, state = optimizer.update(params * 0.3 + t, state, params)
        params = optim.apply_updates(params, updates)
        seen.append(params)
        weights = 0.8 ** np.arange(t, -1, -1)
        np.testing.assert_allclose(
            optim.ema_params(state), np.average(seen, axis=0, weights=weights), rtol=1e-12
        )


def test_accumulated_gradients_are_those_of_the_whole_batch():
    rng = np.random.default_rng(0)
    gradients = rng.normal(size=(5, 4, 3))
    few, many = optim.adam(0.1), optim.accumulate(optim.adam(0.1), 4)
    p, q = np.ones(3), np.ones(3)
    s, r = few.init(p), many.init(q)
    for batch in gradients:
        updates, s = few.update(np.mean(batch, axis=0), s, p)
        p = p + updates
        for i, part in enumerate(batch):
            updates, r = many.update(part, r, q)
            assert i == 3 or not updates.any()
            q = q + updates
        np.testing.assert_allclose(q, p, rtol=1e-13)
    assert int(r["inner"][0]["step"]) == 5


def test_the_loss_scale_follows_the_gradients():
    optimizer = optim.dynamic_loss_scale(optim.adam(0.1), initial=4.0, interval=2)
    params = np.asarray([1.0, 2.0], np.float32)
    state, scales = optimizer.init(params), []
    for good in (True, True, True, False, True, False, False, False, False):
        before = state
        grads = np.asarray([1.0, 1.0 if good else np.nan], np.float32)
        updates, state = optimizer.update(grads, state, params)
        assert np.isfinite(updates).all()
        assert updates.any() == good
        if not good:
            assert_same_bits(state["inner"], before["inner"])
        scales.append(float(optim.loss_scale(state)))
    assert scales == [4.0, 8.0, 8.0, 4.0, 4.0, 2.0, 1.0, 1.0, 1.0]


def test_scaling_the_loss_changes_no_bit():
    plain, scaled = optim.adam(0.1), optim.dynamic_loss_scale(optim.adam(0.1), initial=2.0**10)
    g = np.asarray([0.1, -3.0], np.float32)
    a, _ = plain.update(g, plain.init(g), g)
    b, _ = scaled.update(g * np.float32(2.0**10), scaled.init(g), g)
    assert_same_bits(a, b)


def test_gradients_clipped_inside_do_not_stop_the_training():
    optimizer = optim.dynamic_loss_scale(optim.chain(optim.clip_by_global_norm(1.0), optim.sgd(1.0)))
    params = np.asarray([1.0])
    updates, _ = optimizer.update(np.asarray([np.inf]), optimizer.init(params), params)
    assert updates.tolist() == [0.0]


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: optim.ema(0.9), TypeError, "ema: expected an optimiser such as"),
        (lambda: optim.ema(optim.sgd(0.1), 1.0), ValueError, r"decay must be in \[0, 1\)"),
        (lambda: optim.accumulate(optim.sgd(0.1), 0), ValueError, "steps must be >= 1"),
        (lambda: optim.accumulate(optim.sgd(0.1), 2.0), TypeError, "steps must be an int"),
        (lambda: optim.dynamic_loss_scale(optim.sgd(0.1), initial=3.0), ValueError, "power of two"),
        (lambda: optim.dynamic_loss_scale(optim.sgd(0.1), interval=0), ValueError, "interval must be >= 1"),
        (lambda: optim.adjustable("adam"), TypeError, "adjustable: expected an optimiser"),
    ],
)
def test_errors(call, kind, text):
    with pytest.raises(kind, match=text):
        call()


def test_the_loss_scale_ends_at_both_ends():
    """2**24, from which float32 has no room beside it, and 1."""
    params = np.ones(2, dtype=np.float32)
    for start, gradient, wanted in ((2.0**22, 0.0, [23, 24, 24, 24]), (4.0, np.inf, [1, 0, 0, 0])):
        optimizer = optim.dynamic_loss_scale(optim.sgd(0.1), initial=start, interval=1)
        state, found = optimizer.init(params), []
        for _ in wanted:
            _, state = optimizer.update(np.full(2, gradient, dtype=np.float32), state, params)
            found.append(float(np.log2(optim.loss_scale(state))))
        assert found == wanted
