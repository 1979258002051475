"""vjp: values, pullbacks that can be used again, and cotangents that do not fit."""

from __future__ import annotations

import numpy as np
import pytest

from portnn import ops, tree
from portnn.autodiff import grad, vjp
from portnn.tracing import TracedArray
from tests.helpers import assert_close


def outputs(a, b):
    return {"product": ops.multiply(a, b), "parts": [ops.exp(a), (b,)], "constant": ops.ones_like(a)}


def test_values_and_pullback(backend):
    a, b = backend.asarray([1.0, 2.0], "float32"), backend.asarray([3.0, 4.0], "float32")
    value, pullback = vjp(outputs, a, b)
    assert tree.structure(value) == tree.structure(outputs(a, b))
    assert not any(type(leaf) is TracedArray for leaf in tree.leaves(value))
    ones = tree.map(ops.ones_like, value)
    by_a, by_b = pullback(ones)
    expected = np.asarray([3.0, 4.0], np.float32) + np.exp(np.asarray([1.0, 2.0], np.float32))
    assert_close(by_a, expected, rtol=1e-6, backend=backend)
    assert_close(by_b, np.asarray([2.0, 3.0], np.float32), rtol=1e-6, backend=backend)


def test_a_pullback_can_be_used_again_and_is_linear():
    _, pullback = vjp(lambda x: ops.sin(x) * x, np.asarray([0.3, 0.7]))
    g, h = np.asarray([1.0, -2.0]), np.asarray([0.5, 4.0])
    first, second, both = (pullback(c)[0] for c in (g, h, 2.0 * g + h))
    np.testing.assert_allclose(2.0 * first + second, both, rtol=1e-14)
    assert (pullback(g)[0] == first).all()


def test_a_row_of_the_jacobian_for_each_output():
    w = np.arange(6.0).reshape(2, 3)
    _, pullback = vjp(lambda x: ops.matmul(w, x), np.ones(3))
    assert np.stack([pullback(row)[0] for row in np.eye(2)]).tolist() == w.tolist()


def test_without_dependence_all_are_zeros(backend):
    x = backend.asarray([1.0, 2.0], "float32")
    _, pullback = vjp(ops.ones_like, x)
    (g,) = pullback(x)
    assert_close(g, np.zeros(2, np.float32), rtol=0, backend=backend)


def test_an_output_that_is_the_input():
    value, pullback = vjp(lambda x: (x, x), np.asarray([1.0, 2.0]))
    assert value[0].tolist() == [1.0, 2.0]
    assert pullback((np.asarray([1.0, 1.0]), np.asarray([5.0, 7.0])))[0].tolist() == [6.0, 8.0]


def test_a_pullback_can_be_differentiated():
    x, g = np.asarray([0.3, 0.7]), np.asarray([2.0, -1.0])

    def by_x(x):
        return ops.sum(vjp(ops.sin, x)[1](g)[0])

    np.testing.assert_allclose(grad(by_x)(x), -np.sin(x) * g, rtol=1e-14)
    by_g = grad(lambda g: ops.sum(vjp(ops.sin, x)[1](g)[0] * np.asarray([1.0, 3.0])))(g)
    np.testing.assert_allclose(by_g, np.cos(x) * [1.0, 3.0], rtol=1e-14)


ONE = np.asarray([1.0, 2.0])
REFUSED = {
    "shape": (lambda: vjp(ops.exp, ONE)[1](np.ones(3)), ValueError, r"shape \(2,\), got \(3,\)"),
    "scalar for vector": (lambda: vjp(ops.exp, ONE)[1](np.asarray(1.0)), ValueError, r"\(2,\), got \(\)"),
    "number": (lambda: vjp(ops.sum, ONE)[1](1.0), TypeError, r"an array of shape \(\), got float"),
    "tree": (lambda: vjp(lambda x: {"a": x}, ONE)[1]({"b": ONE}), ValueError, "expected a dict with keys"),
    "tuple": (lambda: vjp(lambda x: (x, x), ONE)[1]((ONE,)), ValueError, "a tuple of 2, got a tuple of 1"),
    "integers": (lambda: vjp(ops.exp, np.asarray([1, 2])), TypeError, "argument 0: .* got dtype int64"),
    "number out": (
        lambda: vjp(lambda x: (x, 3.0), ONE),
        TypeError,
        "must return a tree of arrays, got float",
    ),
    "second argument": (lambda: vjp(ops.multiply, ONE, 2), TypeError, "argument 1: .* got int"),
}


@pytest.mark.parametrize(("call", "kind", "text"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(call, kind, text):
    with pytest.raises(kind, match=text) as caught:
        call()
    assert len(str(caught.value)) < 300
