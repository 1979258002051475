"""grad and value_and_grad: arguments, trees, extras, what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from portnn import ops, tree
from portnn.autodiff import DifferentiationError, grad, stop_gradient, value_and_grad
from portnn.tracing import TracedArray
from tests.helpers import assert_close

POINT = [0.5, -1.5, 2.0]


@pytest.fixture
def x(backend):
    return backend.asarray(POINT, "float32")


def total(x):
    return ops.sum(ops.multiply(x, x))


def test_gradient_is_an_array_of_the_library(x, backend):
    value, gradient = value_and_grad(total)(x)
    assert_close(value, np.float32(6.5), rtol=1e-6, backend=backend)
    assert_close(gradient, np.asarray([1.0, -3.0, 4.0], np.float32), rtol=1e-6, backend=backend)
    assert_close(grad(total)(x), np.asarray([1.0, -3.0, 4.0], np.float32), rtol=1e-6, backend=backend)


def test_arguments_by_position(backend):
    a, b, c = (backend.asarray(v, "float32") for v in (2.0, 3.0, 5.0))

    def f(a, b, c):
        return ops.multiply(ops.multiply(a, a), ops.multiply(b, c))

    by_a, by_b, by_c = 60.0, 20.0, 12.0
    assert float(grad(f)(a, b, c)) == by_a
    assert float(grad(f, 2)(a, b, c)) == by_c
    assert float(grad(f, -1)(a, b, c)) == by_c
    assert [float(g) for g in grad(f, (2, 0))(a, b, c)] == [by_c, by_a]
    assert [float(g) for g in grad(f, (-2, 0))(a, b, c)] == [by_b, by_a]
    assert isinstance(grad(f, (1,))(a, b, c), tuple)


def test_keyword_arguments_are_constants():
    f = grad(lambda x, *, factor, power: ops.sum(factor * x**power))
    assert f(np.asarray([2.0]), factor=np.asarray(3.0), power=2).tolist() == [12.0]


def test_trees_in_trees_out(backend):
    p = {"w": backend.asarray([1.0, 2.0], "float32"), "more": [(backend.asarray(3.0, "float32"),), None, {}]}

    def f(p):
        return ops.sum(ops.multiply(p["w"], p["more"][0][0]))

    g = grad(f)(p)
    assert tree.structure(g) == tree.structure(p)
    assert backend.to_numpy(g["w"]).tolist() == [3.0, 3.0]
    assert float(g["more"][0][0]) == 3.0


def test_unused_arguments_have_zeros(x, backend):
    a, b = grad(lambda a, b: ops.sum(a), (0, 1))(x, {"unused": x})
    assert backend.to_numpy(a).tolist() == [1.0, 1.0, 1.0]
    assert_close(b["unused"], np.zeros(3, np.float32), rtol=0, backend=backend)


def test_a_constant_has_zeros(x, backend):
    constants = [lambda x: ops.sum(ops.ones_like(x)), lambda _: backend.asarray(4.0, "float32"),
                 lambda x: ops.sum(stop_gradient(x)), lambda x: ops.sum(ops.floor(x))]  # fmt: skip
    for f in constants:
        value, g = value_and_grad(f)(x)
        assert type(value) is not TracedArray
        assert_close(g, np.zeros(3, np.float32), rtol=0, backend=backend)


def test_an_argument_that_is_used_many_times():
    g = grad(lambda x: ops.sum(x * x + x * x * x + x))(np.asarray([2.0, -1.0]))
    assert g.tolist() == [17.0, 2.0]


def test_the_same_array_as_two_arguments():
    x = np.asarray(3.0)
    assert [float(g) for g in grad(lambda a, b: a * a * b, (0, 1))(x, x)] == [18.0, 9.0]


def test_extras_are_handed_on_untraced(x, backend):
    def f(x):
        y = ops.multiply(x, 2.0)
        return ops.sum(y), {"y": y, "n": 3, "nothing": None, "plain": x.shape}

    (value, aux), g = value_and_grad(f, has_aux=True)(x)
    assert float(value) == 2.0
    assert_close(aux["y"], np.asarray([1.0, -3.0, 4.0], np.float32), rtol=1e-6, backend=backend)
    assert (aux["n"], aux["nothing"], aux["plain"]) == (3, None, (3,))
    assert backend.to_numpy(g).tolist() == [2.0, 2.0, 2.0]
    again, aux = grad(f, has_aux=True)(x)
    assert backend.to_numpy(again).tolist() == [2.0, 2.0, 2.0]
    assert aux["n"] == 3


def test_stop_gradient_is_a_constant(x, backend):
    g = grad(lambda x: ops.sum(ops.multiply(stop_gradient(x), x)))(x)
    assert_close(g, np.asarray(POINT, np.float32), rtol=1e-6, backend=backend)
    assert stop_gradient(x) is x


def test_plain_and_traced_in_any_order(backend):
    x, c = backend.asarray([1.0, 2.0], "float32"), backend.asarray([3.0, 5.0], "float32")
    cases = [
        (lambda x: ops.add(c, x), [1.0, 1.0]),
        (lambda x: ops.subtract(c, x), [-1.0, -1.0]),
        (lambda x: ops.multiply(c, ops.multiply(x, c)), [9.0, 25.0]),
        (lambda x: ops.divide(c, x), [-3.0, -1.25]),
        (lambda x: ops.concat([c, x, c]), [1.0, 1.0]),
        (lambda x: ops.where(ops.greater(c, 4.0), c, x), [1.0, 0.0]),
        (lambda x: ops.maximum(c, x), [0.0, 0.0]),
        (lambda x: ops.matmul(ops.reshape(c, (1, 2)), ops.reshape(x, (2, 1))), [3.0, 5.0]),
        (lambda x: x * c + x - 1.0, [4.0, 6.0]),
        (lambda x: 2.0 - x, [-1.0, -1.0]),
    ]
    for f, expected in cases:
        g = grad(lambda x, f=f: ops.sum(f(x)))(x)
        assert_close(g, np.asarray(expected, np.float32), rtol=1e-6, backend=backend)


def test_plain_left_operand_on_numpy():
    c = np.asarray([3.0, 5.0])
    assert grad(lambda x: ops.sum(c * x + (c - x) / c))(np.asarray([1.0, 2.0])).tolist() == [
        3.0 - 1 / 3,
        5.0 - 1 / 5,
    ]


def test_inputs_are_not_changed():
    x = np.asarray(POINT)
    x.flags.writeable = False
    before = x.copy()
    grad(lambda x: ops.sum(ops.exp(x) * x))(x)
    assert (x == before).all()


def test_python_sees_the_values_of_traced_arrays():
    def f(x):
        assert x.shape == (3,)
        assert (x.ndim, x.size, len(x.shape), x.dtype) == (1, 3, 1, np.float64)
        return ops.sum(x) if x[0] > 0 and bool(x[1] < 0) and x[2] == 2.0 else ops.sum(x * 0.0)

    assert grad(f)(np.asarray(POINT)).tolist() == [1.0, 1.0, 1.0]


def test_a_record_cannot_be_dropped_by_conversion():
    with pytest.raises(TypeError, match=r"conversion to NumPy would drop the derivative .*stop_gradient"):
        grad(lambda x: ops.sum(np.asarray(x)))(np.asarray(POINT))
    with pytest.raises(TypeError, match="DLPack export would drop the derivative"):
        grad(lambda x: ops.sum(np.from_dlpack(x)))(np.asarray(POINT))


REFUSED = {
    "integers": (lambda: grad(total)(np.asarray([1, 2])), TypeError, "argument 0: .* got dtype int64"),
    "complex": (lambda: grad(total)(np.asarray([1j])), TypeError, "argument 0: .* got dtype complex128"),
    "number": (lambda: grad(total)(1.0), TypeError, "argument 0: expected at least one array, got float"),
    "leaf": (lambda: grad(total)({"w": [1.0]}), TypeError, r"argument 0\[w.0\]: .* got float"),
    "second": (lambda: grad(lambda x, y: x, 1)(np.asarray(1.0), 2), TypeError, "argument 1: .* got int"),
    "no scalar": (lambda: grad(ops.exp)(np.ones(2)), ValueError, r"must return a scalar .* got shape \(2,\)"),
    "number out": (lambda: grad(lambda x: 1.0)(np.ones(2)), TypeError, "must return an array, got float"),
    "tuple out": (lambda: grad(lambda x: (x, 1))(np.ones(2)), TypeError, "got tuple; .* has_aux=True"),
    "no extras": (lambda: grad(total, has_aux=True)(np.ones(2)), TypeError, r"\(loss, extras\), got Traced"),
    "extras of 3": (
        lambda: grad(lambda x: (x, 1, 2), has_aux=True)(np.ones(2)), TypeError, "got a tuple of 3"),
    "bool out": (lambda: grad(lambda x: ops.any(x > 0))(np.ones(2)), DifferentiationError, "real .* bool"),
    "out of range": (lambda: grad(total, 1)(np.ones(2)), ValueError, "argnums=1 is out of range for 1 pos"),
    "below range": (lambda: grad(total, -2)(np.ones(2)), ValueError, "argnums=-2 is out of range"),
    "none": (lambda: grad(total, ())(np.ones(2)), ValueError, r"argnums=\(\) is out of range"),
    "twice": (lambda: grad(lambda x: x, (0, -1))(np.ones(2)), ValueError, "names an argument twice"),
    "no number": (lambda: grad(total, 0.5), TypeError, "argnums must be an integer or a tuple .* got 0.5"),
    "library": (lambda: grad(lambda x: ops.sum(ops.add(x, [1.0])))(np.ones(1)), TypeError, "list"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "text"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(call, kind, text):
    with pytest.raises(kind, match=text) as caught:
        call()
    assert len(str(caught.value)) < 300


VALUES_ONLY = {
    "linalg.qr": lambda x: ops.sum(ops.linalg.qr(x)[1]),
    "linalg.svd": lambda x: ops.sum(ops.linalg.svd(x)[0]),
    "fft.rfft": lambda x: ops.sum(ops.real(ops.fft.rfft(x))),
    "fft.fft of complex": lambda x: ops.sum(ops.real(ops.fft.fft(ops.astype(x, "complex128")))),
    "complex in between": lambda x: ops.sum(ops.real(ops.multiply(x, np.asarray(1j)))),
}


@pytest.mark.parametrize("f", VALUES_ONLY.values(), ids=VALUES_ONLY.keys())
def test_functions_without_a_rule_give_values_and_refuse_derivatives(f):
    x = np.asarray([[2.0, 1.0], [0.5, 3.0]])
    assert np.isfinite(float(f(x)))
    with pytest.raises(DifferentiationError, match=r"portnn\.stop_gradient"):
        grad(f)(x)
    assert grad(lambda x: f(stop_gradient(x)) + ops.sum(x))(x).tolist() == [[1.0, 1.0], [1.0, 1.0]]


FAR = np.asarray([127, -1, -128], dtype=np.int8), np.asarray([255, 100, 3], dtype=np.uint8)
PICKS = {
    "x[i]": (lambda x, i: x[i], lambda i: (i,)),
    "x[i, j]": (lambda x, i: x[i, np.asarray([2, 1, 0], i.dtype)], lambda i: (i, np.asarray([2, 1, 0]))),
    "take": (lambda x, i: ops.take(x, i, axis=0), lambda i: (i,)),
    "take_along_axis": (
        lambda x, i: ops.take_along_axis(x, ops.expand_dims(i, axis=1), axis=0),
        lambda i: (i[:, None], np.arange(3)[None, :]),
    ),
}


@pytest.mark.parametrize("pick", PICKS.values(), ids=PICKS.keys())
@pytest.mark.parametrize("i", FAR, ids=["int8", "uint8"])
def test_indices_of_one_byte_reach_far(pick, i):
    f, places = pick
    x = np.zeros((300, 3))
    expected = np.zeros_like(x)
    expected[places(i.astype(np.int64))] = 1.0
    np.testing.assert_array_equal(grad(lambda x: ops.sum(f(x, i)))(x), expected)
