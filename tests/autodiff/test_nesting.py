"""Derivatives of derivatives, and arrays that must not be confused between them."""

from __future__ import annotations

from math import cos, sin

import numpy as np
import pytest

from portnn import ops
from portnn.autodiff import DifferentiationError, grad, stop_gradient, value_and_grad, vjp
from portnn.tracing import TracedArray
from tests.helpers import assert_close


def nth(f, n):
    for _ in range(n):
        f = grad(f)
    return f


def test_derivatives_of_sin_to_order_five(backend):
    dtype, rtol = ("float64", 1e-12) if backend.has_float64 else ("float32", 1e-6)
    x = backend.asarray(0.7, dtype)
    for n, expected in enumerate([sin(0.7), cos(0.7), -sin(0.7), -cos(0.7), sin(0.7), cos(0.7)]):
        assert_close(nth(ops.sin, n)(x), np.asarray(expected, dtype), rtol=rtol, backend=backend)


def test_derivatives_of_a_polynomial_end_at_zero():
    x = np.asarray(2.0)
    found = [float(nth(lambda x: x * x * x, n)(x)) for n in range(6)]
    assert found == [8.0, 12.0, 12.0, 6.0, 0.0, 0.0]


# Siskind and Pearlmutter, Perturbation confusion and referential transparency, 2005: the values that a
# system gets wrong when it cannot tell nested derivatives apart.
def test_perturbation_confusion():
    one = np.asarray(1.0)
    assert float(grad(lambda x: x * grad(lambda y: x + y)(one))(one)) == 1.0
    assert float(grad(lambda x: x * grad(lambda y: x * y)(np.asarray(2.0)))(np.asarray(3.0))) == 6.0
    assert float(grad(lambda x: grad(lambda y: x * y * y)(x))(np.asarray(3.0))) == 12.0
    assert float(grad(lambda x: grad(lambda _: x * x)(x) + x)(np.asarray(3.0))) == 1.0


def test_outer_arrays_may_be_closed_over(backend):
    x, y = backend.asarray(2.0, "float32"), backend.asarray(5.0, "float32")

    def outer(x):
        inner = grad(lambda y: ops.multiply(ops.multiply(x, x), ops.multiply(y, y)))
        return ops.multiply(x, inner(y))  # 2 x^3 y

    assert float(grad(outer)(x)) == 6 * 4 * 5


def test_different_functions_at_each_level():
    def outer(x):
        return ops.exp(x) * grad(ops.log)(x) * grad(lambda z: ops.sin(z) * x)(stop_gradient(x))

    def plain(x):
        return np.exp(x) / x * np.cos(0.8) * x  # the cosine at a constant

    h = 1e-6
    expected = (plain(0.8 + h) - plain(0.8 - h)) / (2 * h)
    assert float(grad(outer)(np.asarray(0.8))) == pytest.approx(expected, rel=1e-8)


def test_an_inner_gradient_with_no_dependence_on_the_outer_argument():
    f = grad(lambda x: x * grad(lambda y: y * y)(np.asarray(3.0)))
    assert float(f(np.asarray(1.0))) == 6.0


def test_the_inner_value_carries_the_outer_record():
    def outer(x):
        value, g = value_and_grad(lambda y: y * y * x)(x)  # x^3 and 2 x^2
        return value + g

    assert float(grad(outer)(np.asarray(2.0))) == 3 * 4.0 + 4 * 2.0


def test_the_extras_carry_the_outer_record():
    def outer(x):
        g, aux = grad(lambda y: (y * x, y * y), has_aux=True)(x)
        return g * aux  # x^3

    assert float(grad(outer)(np.asarray(2.0))) == 12.0


def test_hessian_of_a_quadratic_form_is_symmetric(backend):
    a = backend.asarray([[2.0, 1.0, 0.0], [0.0, 3.0, -1.0], [4.0, 0.0, 1.0]], "float32")
    x = backend.asarray([1.0, -2.0, 0.5], "float32")
    _, pullback = vjp(grad(lambda x: ops.sum(ops.multiply(x, ops.matmul(a, x)))), x)
    rows = [pullback(backend.asarray(row, "float32"))[0] for row in np.eye(3)]
    host = backend.to_numpy(a)
    assert np.stack([backend.to_numpy(row) for row in rows]).tolist() == (host + host.T).tolist()


def test_gradient_through_a_step_of_training():
    def loss(w):
        return ops.sum(w * w)

    def after(rate):
        w = np.asarray([1.0, 2.0])
        return loss(w - rate * grad(loss)(w))  # 5 (1 - 2 rate)^2

    assert float(grad(after)(np.asarray(0.1))) == pytest.approx(-20 * 0.8, rel=1e-14)


def leak(x):
    """An array of an inner call of grad, after that call."""
    kept = []

    def inner(z):
        kept.append(z * 2.0)
        return z * z

    grad(inner)(x)
    return kept[0]


def test_an_array_that_outlives_its_gradient_is_refused():
    x = np.asarray(2.0)
    leaked = leak(x)
    assert type(leaked) is TracedArray
    assert float(stop_gradient(leaked)) == 4.0  # to look at it is allowed
    for f in (lambda x: x * leak(x), leak, lambda x: x * leaked):
        with pytest.raises(DifferentiationError, match=r"grad or vjp that is over; .*"):
            grad(f)(x)
    with pytest.raises(DifferentiationError, match="that is over"):
        vjp(leak, x)
    assert float(grad(lambda x: x * stop_gradient(leak(x)))(x)) == 4.0


def test_an_error_inside_leaves_nothing_behind():
    def fail(x):
        raise KeyError("x")

    with pytest.raises(KeyError):
        grad(lambda x: grad(fail)(x))(np.asarray(1.0))
    assert float(grad(grad(lambda x: x * x))(np.asarray(1.0))) == 2.0


def test_mixed_partial_derivatives_agree():
    def f(x, y):
        return ops.sin(x * y) * ops.exp(x)

    x, y = np.asarray(0.3), np.asarray(1.2)
    xy = grad(lambda y: grad(f, 0)(x, y))(y)
    yx = grad(lambda x: grad(f, 1)(x, y))(x)
    assert float(xy) == pytest.approx(float(yx), rel=1e-14)
