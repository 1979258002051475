"""Intermediate values: freed while the backward pass consumes them, and by counting alone."""

from __future__ import annotations

import gc
import weakref
from itertools import pairwise

import numpy as np
import pytest

from portnn import ops
from portnn.autodiff import grad, value_and_grad, vjp
from portnn.tracing import TracedArray, primitive

LENGTH = 30


class Watch:
    """A primitive whose values are counted while they live."""

    def __init__(self):
        self.refs = []
        self.alive_in_rules = []
        self.unit = primitive(self._forward)
        self.unit.vjp(self._rule)

    def _forward(self, x):
        y = np.multiply(x, 1.001)
        self.refs.append(weakref.ref(y))
        return y

    def _rule(self, g, y, x):
        self.alive_in_rules.append(self.alive())
        return np.multiply(g, 1.001)

    def alive(self):
        return sum(ref() is not None for ref in self.refs)

    def chain(self, x):
        for _ in range(LENGTH):
            x = self.unit(x)
        return ops.sum(x)


@pytest.fixture
def no_gc():
    """Cycles are never collected, so that what is freed is freed by counting references."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_values_are_freed_as_the_backward_pass_consumes_them(no_gc):
    watch = Watch()
    grad(watch.chain)(np.ones(100))
    seen = watch.alive_in_rules
    assert len(seen) == LENGTH
    assert seen[0] == LENGTH
    assert all(after < before for before, after in pairwise(seen))
    assert seen[-1] <= 3


def test_nothing_is_left_after_a_gradient(no_gc):
    watch = Watch()
    value, g = value_and_grad(watch.chain)(np.ones(100))
    assert watch.alive() == 0
    assert np.isfinite(value)
    assert g.shape == (100,)


def test_nothing_is_left_after_extras_were_handed_on(no_gc):
    watch = Watch()
    (_, aux), _ = value_and_grad(lambda x: (watch.chain(x), watch.unit(x)), has_aux=True)(np.ones(100))
    assert watch.alive() == 1  # the extra alone
    assert aux.shape == (100,)


def test_nothing_is_left_after_a_second_derivative(no_gc):
    refs = []

    @primitive
    def square(x):
        y = np.multiply(x, x)
        refs.append(weakref.ref(y))
        return y

    square.vjp(lambda g, y, x: ops.multiply(g, 2.0 * x))
    grad(lambda x: ops.sum(grad(lambda x: ops.sum(square(square(x))))(x)))(np.ones(10))
    assert refs
    assert not any(ref() is not None for ref in refs)


def test_a_pullback_keeps_its_values_until_it_goes(no_gc):
    watch = Watch()
    _, pullback = vjp(watch.chain, np.ones(100))
    pullback(np.asarray(1.0))
    assert watch.alive() >= LENGTH - 1
    del pullback
    assert watch.alive() == 0


def test_an_error_in_a_rule_leaves_nothing(no_gc):
    watch = Watch()
    broken = primitive(lambda x: x)
    broken.vjp(lambda g, y, x: ops.sum(g))

    def attempt():
        try:
            grad(lambda x: watch.chain(broken(x)))(np.ones(100))
        except TypeError as error:
            return str(error)
        return ""

    assert "gradient of shape ()" in attempt()
    assert watch.alive() == 0


def test_a_traced_array_holds_no_cycle(no_gc):
    refs = []

    def f(x):
        y = ops.exp(x)
        assert type(y) is TracedArray
        refs.append(weakref.ref(y))
        return ops.sum(y)

    grad(f)(np.ones(3))
    assert refs[0]() is None
