"""NumPy's own functions on traced arrays: what portnn has under the name, else an error that says so."""

from __future__ import annotations

import operator

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


LISTS = {
    "a list": [4.0, 5.5],
    "a tuple": (4.0, 5.5),
    "integers": [4, 5],
    "a nested list": [[4.0, 5.5], [1.5, 2.5]],
}
NUMBERS = {
    "float64": np.float64(2.5), "float32": np.float32(2.5), "int64": np.int64(3), "int": 3, "float": 2.5,
}  # fmt: skip
OPERATORS = ["add", "sub", "mul", "truediv", "pow", "mod", "floordiv", "matmul", "divmod"]


def applied(name, a, b):
    if name == "divmod":
        return divmod(a, b)[1]
    return getattr(operator, name)(a, b)


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("other", [*LISTS.values(), *NUMBERS.values()], ids=[*LISTS, *NUMBERS])
@pytest.mark.parametrize("reflected", [False, True])
def test_an_operator_takes_what_it_takes_in_numpy(name, other, reflected):
    if name == "matmul" and not isinstance(other, list | tuple):
        pytest.skip("a product of matrices with a number")
    x = np.asarray([0.7, 1.3])

    def f(x):
        return applied(name, other, x) if reflected else applied(name, x, other)

    expected = f(x)
    value, gradient = pn.value_and_grad(lambda x: pn.ops.sum(f(x)))(x)
    assert value == pytest.approx(expected.sum(), rel=1e-14)
    h = 1e-6
    slopes = [(f(x + h * e).sum() - f(x - h * e).sum()) / (2.0 * h) for e in np.eye(2)]
    np.testing.assert_allclose(gradient, slopes, rtol=1e-7, atol=1e-7)
    assert pn.trace(f)(x).eval(x).tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", ["lt", "le", "gt", "ge", "eq", "ne"])
def test_a_comparison_takes_a_list(name):
    seen = []
    compare = getattr(operator, name)
    pn.grad(lambda x: seen.append(compare(x, [0.3, 0.5]).plain.tolist()) or pn.ops.sum(x))(X)
    assert seen == [compare(X, [0.3, 0.5]).tolist()]


@pytest.mark.parametrize("number", [np.float64(2.0), np.float32(2.0), np.int64(2)])
def test_numbers_of_numpy_are_numbers_for_every_library(number, backend):
    if not backend.has_float64:
        pytest.skip("the device has no float64")
    if backend.member.is_strict and isinstance(number, np.integer):
        number = np.float64(number)  # strict mixes no kinds
    for f in (
        lambda x: number * x,
        lambda x: x * number,
        lambda x: x / number * 4.0,
        lambda x: x**number / x,
    ):
        gradient = pn.grad(lambda x, f=f: pn.ops.sum(f(x)))(backend.asarray(X))
        expected = [2.0, 2.0] if f(1.0) == number else [1.0, 1.0]
        np.testing.assert_allclose(backend.to_numpy(gradient), expected, rtol=1e-12)


def test_a_list_in_the_wrong_place_is_refused(backend):
    x = backend.asarray(np.asarray([0.3, 0.7], np.float32))
    for other in (["a", "b"], [None, 1], "a", None, {}):
        with pytest.raises(TypeError, match="unsupported operand"):
            pn.grad(lambda x, other=other: pn.ops.sum(x - other))(x)
    if backend.xp.__name__ != "array_api_compat.numpy":
        with pytest.raises(TypeError, match="unsupported operand"):  # a list is an operand in NumPy alone
            pn.grad(lambda x: pn.ops.sum([1.0, 2.0] - x))(x)


def test_numpys_functions_take_lists_and_divmod_beside_an_array():
    assert pn.grad(lambda x: pn.ops.sum(np.subtract([1.0, 2.0], x)))(X).tolist() == [-1.0, -1.0]
    assert pn.grad(lambda x: pn.ops.sum(divmod(np.float64(9.5), x + 4.0)[1]))(X).tolist() == [-2.0, -2.0]
