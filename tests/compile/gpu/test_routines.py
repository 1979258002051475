"""Calls with their own kernels: joins, sorts, takes and range checks, against NumPy, bit for bit."""

import numpy as np
import pytest
from array_api_compat import array_namespace

from portnn import nn, ops
from portnn.tracing import OutOfRangeError, in_range
from tests.compile.gpu.helpers import needs_compiler, plan_of, same
from tests.compile.gpu.test_expressions import FLOATS, INTEGERS, numbers

pytestmark = needs_compiler
SIZES = (1, 2, 31, 32, 33, 64, 65, 1000)


def check(f, *arrays):
    """Check that a plan gives the function's result for other values, and that a graph can hold it."""
    plan, driver = plan_of(f, *arrays)
    for turn in (arrays, [x[::-1].copy() if x.ndim else x for x in arrays], arrays):
        assert same(plan(*turn), f(*turn)), plan.explain()
    assert "runs as one CUDA graph" in plan.explain()
    assert driver.captures == 1
    return plan


@pytest.mark.parametrize("name", ["concat", "stack"])
@pytest.mark.parametrize("axis", [0, 1, 2, -1])
@pytest.mark.parametrize("count", [1, 2, 9, 300])
def test_parts_are_joined(name, axis, count):
    def f(x, y):
        xp = array_namespace(x)
        parts = [x[:, n % 3 : n % 3 + 2] if n % 2 else y for n in range(count)]
        return getattr(xp, name)(parts, axis=axis)

    rng = np.random.default_rng(0)
    plan = check(
        f, rng.normal(size=(3, 5, 4)).astype("float32"), rng.normal(size=(3, 2, 4)).astype("float32")
    )
    assert "(2 launches)" in plan.explain() if count > 255 else "(1 launch)" in plan.explain()


def test_parts_are_joined_in_a_row():
    def f(x, y):
        return array_namespace(x).concat([x.T, y, x[::2]] * 4, axis=None)

    check(f, np.arange(12.0).reshape(3, 4), np.arange(2.0))


def test_parts_of_other_lengths_and_without_elements():
    def f(x, y):
        xp = array_namespace(x)
        return xp.concat([x, y[:, :0], y, x[:, 1:]] * 3, axis=1), xp.concat([x[:0], x[:0]] * 5)

    check(f, np.arange(12.0).reshape(3, 4), np.arange(6.0).reshape(3, 2))


@pytest.mark.parametrize("dtype", ["bool", *INTEGERS, *FLOATS])
def test_parts_keep_their_bits(dtype):
    check(lambda x: array_namespace(x).concat([x] * 10), numbers(dtype))


def test_parts_are_cast():
    def f(x, y, z):
        xp = array_namespace(x)
        return xp.concat([x, y] * 5), xp.concat([y, z] * 5), xp.concat([x, z] * 5)

    check(f, numbers("float32"), numbers("float16"), numbers("uint8"))


def ties(dtype, shape):
    """Return numbers with many ties, both zeros, and NaN."""
    rng = np.random.default_rng(1)
    x = rng.integers(0, 5, shape).astype(dtype)
    if dtype in FLOATS:
        x[rng.random(shape) < 0.2] = -0.0
        x[rng.random(shape) < 0.2] = np.nan
        x[rng.random(shape) < 0.1] = -np.inf
    return x


@pytest.mark.parametrize("name", ["argsort", "sort"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("descending", [False, True])
def test_sorting_keeps_the_order_of_equal_elements(name, size, descending):
    def f(x):
        xp = array_namespace(x)
        return [getattr(xp, name)(x, axis=axis, descending=descending) for axis in (0, 1, -1)]

    check(f, ties("float32", (3, size, 2)))
    check(lambda x: getattr(array_namespace(x), name)(x, descending=descending), ties("float32", (size,)))


@pytest.mark.parametrize("name", ["argsort", "sort"])
@pytest.mark.parametrize("dtype", ["bool", *INTEGERS, *FLOATS])
def test_numbers_of_every_dtype_are_sorted(name, dtype):
    def f(x):
        xp = array_namespace(x)
        return [getattr(xp, name)(y, descending=d) for y in (x, x[::2], x[:0]) for d in (False, True)]

    check(f, np.resize(numbers(dtype), 100))


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("kind", ["int64", "int32", "uint8"])
def test_elements_are_taken_along_an_axis(axis, kind):
    def f(x, places):
        xp = array_namespace(x)
        return xp.take_along_axis(x, places, axis=axis), xp.take_along_axis(x.T, places, axis=axis)

    rng = np.random.default_rng(0)
    places = rng.integers(0 if kind == "uint8" else -3, 3, (3, 3)).astype(kind)
    check(f, rng.normal(size=(3, 3)), places)
    check(
        lambda x, i: array_namespace(x).take_along_axis(x, i, axis=1),
        rng.normal(size=(1, 7)).astype("float16"),
        rng.integers(0, 7, (4, 9)),
    )


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_sums_of_products_along_an_axis(axis):
    """With integers as floats, so that the order of the sum has no effect."""
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-4, 5, (3, 3, 2)).astype("float32") for _ in range(2))

    def f(a, b):
        xp = array_namespace(a)
        flat = xp.reshape(a, (-1,))
        last = xp.vecdot(xp.matrix_transpose(a), b[:, 0, :1], axis=0) if axis == 0 else a
        part = b[:, :1] if axis == 0 else b[:1]
        return xp.vecdot(a, b, axis=axis), xp.vecdot(a, part, axis=axis), xp.vecdot(flat, flat), last

    check(f, a, b)


def test_contractions_of_several_axes():
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-4, 5, s).astype("float32") for s in ((3, 4, 2), (4, 3, 5)))

    def f(a, b):
        xp = array_namespace(a)
        one = xp.tensordot(a, b, axes=((0, 1), (1, 0)))
        return (
            one,
            xp.tensordot(a, b, axes=((-2,), (0,))),
            xp.tensordot(a, a, axes=3),
            xp.tensordot(a, one, axes=1),
            xp.tensordot(a, b, axes=(1, 0)),
        )

    check(f, a, b)


def test_indices_that_are_integers_are_captured():
    check(
        lambda x, i: (x[i], x[:, i], x[i, i], x[..., i, 1:]),
        np.arange(24.0).reshape(4, 3, 2)[:3].copy(),
        np.asarray([1, 0, 1]),
    )


BOUNDS = [
    {"low": 0, "high": 5}, {"low": -5, "high": 5}, {"low": 0, "high": 5, "exempt": -1},
    {"low": 0, "high": 5, "exempt": 100}, {"low": 0, "high": 2**31}, {"low": 0, "high": 0},
    {"low": -(2**40), "high": 1},
]  # fmt: skip


@pytest.mark.parametrize("bounds", BOUNDS, ids=str)
@pytest.mark.parametrize("dtype", INTEGERS)
def test_numbers_out_of_range_are_noted(dtype, bounds):
    limits = np.iinfo(dtype)
    edges = [bounds["low"], bounds["low"] - 1, bounds["high"] - 1, bounds["high"], bounds.get("exempt", 0)]
    values = sorted({int(np.clip(v, limits.min, limits.max)) for v in (*edges, limits.min, limits.max)})

    def f(x):
        return in_range(x[::-1], what="x", **bounds)

    right = [v for v in values if bounds["low"] <= v < bounds["high"] or v == bounds.get("exempt")]
    if not right:
        plan, _ = plan_of(f, np.zeros(0, dtype))
        assert plan(np.zeros(0, dtype)).shape == (0,)
        return
    plan, driver = plan_of(f, np.full(1, right[0], dtype))
    for value in (*values, *values[::-1]):
        x = np.asarray([value], dtype)
        if value in right:
            assert plan(x).tolist() == [value]
        else:
            with pytest.raises(OutOfRangeError, match=rf"^x must be .*, got {value} at position 0$"):
                plan(x)
    assert driver.captures == 1


def test_nothing_is_read_where_a_number_does_not_fit():
    """The number is replaced within the graph, and the error names it and its position."""

    def f(table, x):
        return nn.Embedding(4, 3).apply({"weight": table}, ops.astype(x, "int32") + 1)

    table, right = np.arange(12.0).reshape(4, 3), np.asarray([[0.0, 2.0]])
    plan, driver = plan_of(f, table, right)
    for _ in range(2):
        assert same(plan(table, right), table[[[1, 3]]])
        with pytest.raises(OutOfRangeError, match=r"from 0 to 3, got 1073741825 at position \(0, 1\)"):
            plan(table, np.asarray([[0.0, 2.0**30]]))
    assert driver.captures == 1
