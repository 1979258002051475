"""Optimisers inside other transformations: jax.jit, and portnn's own derivatives."""

from __future__ import annotations

import numpy as np
import pytest

from portnn import autodiff, ops, optim, tree
from tests.optim.cases import CASES, RECIPES, first_params

# The recipes, and the options that keep a state of their own.
OPTIONS = ("sgd-nesterov", "sgd-dampening", "rmsprop-centered", "adam-amsgrad")
COMPILED = RECIPES + [case for case in CASES if case.name in OPTIONS]


@pytest.mark.parametrize("case", COMPILED, ids=[case.name for case in COMPILED])
def test_a_compiled_step_is_the_eager_step(case):
    jax = pytest.importorskip("jax", reason="jax is not installed")
    jax.config.update("jax_enable_x64", True)
    schedule = optim.scale_by_learning_rate(optim.schedules.warmup(optim.schedules.cosine(1.0, 5), 2))
    optimizer = optim.chain(optim.clip_by_global_norm(1.0), case.optimizer, schedule)

    traced = []

    def step(params, state):
        traced.append(None)
        updates, state = optimizer.update(tree.map(lambda p: p * p, params), state, params)
        return optim.apply_updates(params, updates), state

    params = tree.map(jax.numpy.asarray, first_params())
    compiled = jax.jit(step)
    fast, slow = (params, optimizer.init(params)), (params, optimizer.init(params))
    for _ in range(8):
        fast = compiled(*fast)
    assert len(traced) == 1
    for _ in range(8):
        slow = step(*slow)

    def check(a, b):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)

    tree.map(check, slow, fast)


def _after_training(optimizer, start):
    """The loss after three steps of training on a bowl, as a function of what `start` holds."""

    def slope(p):
        return ops.multiply(np.asarray([1.0, 3.0]), p)

    params, state = start, optimizer.init(start)
    for _ in range(3):
        updates, state = optimizer.update(slope(params), state, params)
        params = optim.apply_updates(params, updates)
    return ops.sum(ops.multiply(params, slope(params)))


def _central_difference(f, x, direction):
    h = 1e-4
    return sum(c * float(f(x + k * h * direction)) for k, c in ((-2, 1), (-1, -8), (1, 8), (2, -1))) / (
        12 * h
    )


@pytest.mark.parametrize("case", RECIPES, ids=[case.name for case in RECIPES])
def test_gradient_of_training_by_where_it_started(case):
    start, direction = np.asarray([0.8, -0.6]), np.asarray([0.3, 0.7])
    optimizer = optim.chain(case.optimizer, optim.scale(20.0))

    def loss(x):
        return _after_training(optimizer, x)

    found = float(np.sum(autodiff.grad(loss)(start) * direction))
    assert found == pytest.approx(_central_difference(loss, start, direction), rel=1e-7)


@pytest.mark.parametrize("make", [optim.sgd, optim.adam, lambda r: optim.sgd(r, momentum=0.9, nesterov=True)])
def test_gradient_of_training_by_the_learning_rate(make):
    start = np.asarray([0.8, -0.6])

    def loss(rate):
        return _after_training(make(lambda step: rate), start)

    found = float(autodiff.grad(loss)(np.asarray(0.05)))
    assert found == pytest.approx(_central_difference(loss, np.asarray(0.05), 1.0), rel=1e-8)
    assert abs(found) > 0.1


def test_gradient_of_training_through_clipping():
    start = np.asarray([0.8, -0.6])
    optimizer = optim.chain(optim.clip_by_global_norm(0.7), optim.sgd(0.1))

    def loss(x):
        return _after_training(optimizer, x)

    found = float(np.sum(autodiff.grad(loss)(start)))
    assert found == pytest.approx(_central_difference(loss, start, np.ones(2)), rel=1e-8)
