"""Laws that hold for any shapes: broadcasting, basic indexing, and moving entries about."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from portnn import ops
from portnn.autodiff import grad, vjp

SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)


def law(**strategies):
    """`given` with fewer examples: each of them differentiates, on array-api-strict slowly."""
    return lambda test: settings(max_examples=40)(given(**strategies)(test))


def numbers(shape, seed=0, dtype="float64"):
    return np.asarray(np.random.default_rng(seed).normal(size=shape) + 3.0, dtype=dtype)


def undone(g, shape):
    """The sum of `g` over the axes along which `shape` was broadcast, written with NumPy."""
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    return g.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1 and g.shape[i] != 1), keepdims=True)


BINARY = {
    "add": (ops.add, lambda a, b: np.ones_like(a + b), lambda a, b: np.ones_like(a + b)),
    "subtract": (ops.subtract, lambda a, b: np.ones_like(a + b), lambda a, b: -np.ones_like(a + b)),
    "multiply": (ops.multiply, lambda a, b: b + 0 * a, lambda a, b: a + 0 * b),
    "divide": (ops.divide, lambda a, b: 1 / b + 0 * a, lambda a, b: -a / b**2),
    "pow": (ops.pow, lambda a, b: b * a ** (b - 1), lambda a, b: a**b * np.log(a)),
    "maximum": (ops.maximum, lambda a, b: (a > b) * 1.0, lambda a, b: (b > a) * 1.0),
}


@pytest.mark.parametrize("name", BINARY)
@law(data=st.data())
def test_gradients_of_broadcast_arguments_have_their_shape_and_dtype(name, proven, data):
    f, by_a, by_b = BINARY[name]
    pairs = hnp.mutually_broadcastable_shapes(num_shapes=2, min_side=0, max_side=3, max_dims=3)
    shapes = data.draw(pairs)
    dtypes = data.draw(st.tuples(*[st.sampled_from(["float32", "float64"])] * 2))
    a, b = (numbers(s, i, t) for i, (s, t) in enumerate(zip(shapes.input_shapes, dtypes, strict=True)))
    cotangent = numbers(shapes.result_shape, 2, np.result_type(a, b))
    _, pullback = vjp(f, proven.asarray(a), proven.asarray(b))
    for x, found, rule in zip((a, b), pullback(proven.asarray(cotangent)), (by_a, by_b), strict=True):
        found = proven.to_numpy(found)
        assert (found.shape, found.dtype) == (x.shape, x.dtype)
        expected = undone(cotangent * rule(a.astype("f8"), b.astype("f8")), x.shape)
        np.testing.assert_allclose(found, expected, rtol=2e-4 if "float32" in dtypes else 1e-11, atol=1e-4)


@law(data=st.data())
def test_where_and_broadcast_to(proven, data):
    shapes = data.draw(hnp.mutually_broadcastable_shapes(num_shapes=3, min_side=1, max_side=3, max_dims=3))
    c, a, b = (numbers(s, i) for i, s in enumerate(shapes.input_shapes))
    c, g = c > 3.0, numbers(shapes.result_shape, 3)
    _, pullback = vjp(lambda a, b: ops.where(proven.asarray(c), a, b), proven.asarray(a), proven.asarray(b))
    by_a, by_b = map(proven.to_numpy, pullback(proven.asarray(g)))
    np.testing.assert_allclose(by_a, undone(np.where(c, g, 0.0), a.shape), rtol=1e-12)
    np.testing.assert_allclose(by_b, undone(np.where(c, 0.0, g), b.shape), rtol=1e-12)
    _, pullback = vjp(lambda a: ops.broadcast_to(a, shapes.result_shape), proven.asarray(a))
    np.testing.assert_allclose(
        proven.to_numpy(pullback(proven.asarray(g))[0]), undone(g, a.shape), rtol=1e-12
    )


@st.composite
def indexed(draw):
    """A shape and a basic index for it that the standard allows: all axes named, or an ellipsis."""
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4))
    key = []
    for n in shape[: draw(st.integers(0, len(shape)))]:
        if draw(st.booleans()):
            key.append(draw(st.integers(-n, n - 1)))
        else:
            step = draw(st.sampled_from([None, 1, 2, -1, -2]))
            if (step or 1) > 0:
                start, stop = (draw(st.none() | st.integers(0, n)) for _ in range(2))
            else:
                start, stop = draw(st.none() | st.integers(0, n - 1)), draw(st.none() | st.integers(0, n - 1))
            key.append(slice(start, stop, step))
    key.append(...)
    for _ in range(draw(st.integers(0, 2))):
        key.insert(draw(st.integers(0, len(key))), None)
    return shape, tuple(key)


@law(case=indexed())
def test_basic_indexing_scatters_its_gradient(proven, case):
    shape, key = case
    x = numbers(shape)
    y, pullback = vjp(lambda x: x[key], proven.asarray(x))
    assert (proven.to_numpy(y) == x[key]).all()
    g = numbers(x[key].shape, 1)
    expected = np.zeros(shape)
    np.add.at(expected, key, g)
    found = proven.to_numpy(pullback(proven.asarray(g))[0])
    assert found.shape == shape
    np.testing.assert_array_equal(found, expected)


@law(case=indexed())
def test_indexing_differentiates_twice(case):
    shape, key = case
    x = numbers(shape)
    found = grad(lambda x: ops.sum(ops.square(grad(lambda x: ops.sum(x[key] ** 3.0))(x))))(x)
    inside = np.zeros(shape)
    inside[key] = 1.0
    np.testing.assert_allclose(found, inside * 36.0 * x**3, rtol=1e-12)


def check_back_and_forth(bench, x, forth, back):
    """`back` undoes `forth`, for values, and for the gradient of a function behind both."""
    there = bench.asarray(x)
    y = back(forth(there))
    assert y.shape == x.shape
    assert (bench.to_numpy(y) == x).all()
    g = grad(lambda x: ops.sum(ops.square(back(forth(x)))))(there)
    np.testing.assert_allclose(bench.to_numpy(g), 2 * x, rtol=1e-14)


@law(data=st.data(), shape=SHAPES)
def test_reshape_and_back(proven, data, shape):
    n = prod(shape)
    divisor = data.draw(st.sampled_from([d for d in (1, 2, 3, 4) if n % d == 0]))
    x = numbers(shape)
    check_back_and_forth(
        proven, x, lambda a: ops.reshape(a, (divisor, n // divisor)), lambda a: ops.reshape(a, shape)
    )


@law(data=st.data(), shape=SHAPES)
def test_permute_and_back(proven, data, shape):
    axes = tuple(data.draw(st.permutations(range(len(shape)))))
    back = tuple(int(i) for i in np.argsort(axes))
    check_back_and_forth(
        proven, numbers(shape), lambda a: ops.permute_dims(a, axes), lambda a: ops.permute_dims(a, back)
    )


@law(data=st.data(), shape=hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4))
def test_cut_and_concat(proven, data, shape):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    at = data.draw(st.integers(0, shape[axis]))

    def cut(a):
        before = (slice(None),) * (axis % len(shape))
        return a[(*before, slice(None, at), ...)], a[(*before, slice(at, None), ...)]

    check_back_and_forth(proven, numbers(shape), cut, lambda parts: ops.concat(list(parts), axis=axis))


@law(data=st.data(), shape=hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3))
def test_unstack_and_stack(proven, data, shape):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = numbers(shape)
    check_back_and_forth(
        proven, x, lambda a: ops.unstack(a, axis=axis), lambda parts: ops.stack(list(parts), axis=axis)
    )


@law(data=st.data(), shape=hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3))
def test_flip_roll_expand_and_squeeze(proven, data, shape):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    shift = data.draw(st.integers(-5, 5))
    new = data.draw(st.integers(-len(shape) - 1, len(shape)))
    x = numbers(shape)
    for forth, back in (
        (lambda a: ops.flip(a, axis=axis), lambda a: ops.flip(a, axis=axis)),
        (lambda a: ops.roll(a, shift, axis=axis), lambda a: ops.roll(a, -shift, axis=axis)),
        (lambda a: ops.expand_dims(a, axis=new), lambda a: ops.squeeze(a, axis=new)),
        (lambda a: ops.moveaxis(a, axis, 0), lambda a: ops.moveaxis(a, 0, axis)),
    ):
        check_back_and_forth(proven, x, forth, back)


@law(data=st.data(), shape=hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4))
def test_take_with_repeats_adds_up(proven, data, shape):
    axis = data.draw(st.integers(0, len(shape) - 1))
    i = np.asarray(data.draw(st.lists(st.integers(-shape[axis], shape[axis] - 1), min_size=1, max_size=6)))
    x = numbers(shape)
    y, pullback = vjp(lambda a: ops.take(a, proven.asarray(i), axis=axis), proven.asarray(x))
    assert (proven.to_numpy(y) == np.take(x, i, axis=axis)).all()
    g = numbers(y.shape, 1)
    expected = np.zeros(shape)
    np.add.at(expected, (slice(None),) * axis + (i,), g)
    np.testing.assert_allclose(proven.to_numpy(pullback(proven.asarray(g))[0]), expected, rtol=1e-12)
