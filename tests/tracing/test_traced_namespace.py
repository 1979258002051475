"""Code written for the standard alone, in the namespace that its argument names, can be differentiated."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import portnn as pn

POINT = np.asarray([[1.3, -0.4, 0.2], [0.5, 1.7, -0.6], [-0.3, 0.8, 2.1]])


def operators(x):
    xp = x.__array_namespace__()
    y = 2.0 * x - x / 3.0 + (1.0 - x) * x**2
    y += -x @ x.T
    y *= abs(x.mT)
    return xp.sum(y % 5.0 * xp.astype(x > 0.0, x.dtype) + 4.0 // (2.0 + x * x))


def indexing(x):
    xp = x.__array_namespace__()
    parts = [x[0, ...], xp.flip(x)[::2, 1:][1, :], x[:, None, -1][:, 0], x[-1, 0][None]]
    rows = xp.take(x, xp.asarray([2, 0, 2], device=x.device), axis=0)
    joined = xp.concat([*parts, xp.reshape(rows, (-1,))])
    return xp.sum(joined**3 * xp.linspace(0.5, 2.0, joined.shape[0], dtype=x.dtype, device=x.device))


def creation(x):
    xp = x.__array_namespace__()
    like = {"dtype": x.dtype, "device": x.device}
    weights = xp.reshape(xp.arange(9, **like), (3, 3)) + xp.eye(3, **like) - xp.full((3, 3), 0.5, **like)
    weights[1, 2] = 7.0
    shifted = xp.asarray(x) + xp.ones_like(x) * xp.zeros(3, **like) + xp.triu(x)
    return xp.mean(weights * xp.exp(shifted)) + xp.std(shifted)


def linear_algebra(x):
    xp = x.__array_namespace__()
    a = x @ xp.matrix_transpose(x) + xp.eye(3, dtype=x.dtype, device=x.device)
    solved = xp.linalg.solve(a, x[:, :1])
    return xp.linalg.slogdet(a).logabsdet + xp.linalg.vector_norm(solved) + xp.linalg.trace(xp.linalg.inv(a))


def choosing(x):
    xp = x.__array_namespace__()
    safe = xp.where(x > 0.0, x, 1.0)
    y = xp.where(x > 0.0, xp.log(safe), xp.sin(x)) + xp.maximum(x, xp.clip(x, -0.35, 1.5))
    return xp.sum(xp.cumulative_sum(xp.sort(y, axis=1), axis=0)) + xp.max(y)


PROGRAMS = [operators, indexing, creation, linear_algebra, choosing]


@pytest.fixture
def exact(backend):
    """A backend with float64, in which finite differences are exact enough to compare with."""
    if not backend.has_float64:
        pytest.skip("the device has no float64")
    return backend


def slopes(value, point):
    """Five-point central differences of `value` by each element."""
    h, found = 1e-3, np.zeros_like(point)
    for i in np.ndindex(point.shape):
        unit = np.zeros_like(point)
        unit[i] = h
        ahead, back = (
            value(point + unit) - value(point - unit),
            value(point + 2 * unit) - value(point - 2 * unit),
        )
        found[i] = (8.0 * ahead - back) / (12.0 * h)
    return found


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_of_the_standard_is_differentiated(program, exact):
    if exact.member == "jax" and program is creation:
        pytest.skip("JAX's arrays cannot be assigned to")
    # The same function on plain NumPy arrays knows nothing of portnn.
    value, gradient = pn.value_and_grad(program)(exact.asarray(POINT))
    np.testing.assert_allclose(exact.to_numpy(value), program(POINT), rtol=1e-12)
    expected = slopes(lambda at: float(program(at)), POINT)
    np.testing.assert_allclose(exact.to_numpy(gradient), expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("program", PROGRAMS)
def test_second_derivatives_of_a_program(program, exact):
    if exact.member == "jax" and program is creation:
        pytest.skip("JAX's arrays cannot be assigned to")
    direction = exact.asarray(np.cos(np.arange(9.0)).reshape(3, 3))

    def slope(x):
        return pn.ops.sum(pn.ops.multiply(pn.grad(program)(x), direction))

    gradient = exact.to_numpy(pn.grad(slope)(exact.asarray(POINT)))
    expected = slopes(lambda at: float(slope(exact.asarray(at))), POINT)
    np.testing.assert_allclose(gradient, expected, rtol=1e-7, atol=1e-7)


def test_operators_in_place_bind_a_new_array(exact):
    def f(x):
        before = x
        x *= 3.0
        x -= before
        return pn.ops.sum(x * before)

    gradient = pn.grad(f)(exact.asarray([1.0, -2.0]))
    assert exact.to_numpy(gradient).tolist() == [4.0, -8.0]


def test_an_operator_in_place_keeps_shape_and_dtype(backend):
    xp = pn.differentiable(backend.xp)
    x = xp.asarray(backend.asarray([1, 2], "int64"))
    with pytest.raises(TypeError, match=r"x \+= y must keep shape \(2,\)"):
        x += xp.ones((3, 2), dtype=x.dtype, device=x.device)


def test_assignment_changes_a_constant_and_not_its_source(backend):
    if backend.member == "jax":
        pytest.skip("JAX's arrays cannot be assigned to")
    source = backend.asarray([1.0, 2.0, 3.0], "float32")
    x = pn.differentiable(backend.xp).asarray(source)
    x[1:] = x[:1] + 4.0
    assert backend.to_numpy(x.plain).tolist() == [1.0, 5.0, 5.0]
    assert backend.to_numpy(source).tolist() == [1.0, 2.0, 3.0]


def test_assignment_to_or_from_a_recorded_array_is_refused(backend):
    x = backend.asarray([1.0, 2.0], "float32")
    constant = pn.differentiable(backend.xp).asarray(x)

    def to(x):
        x[0] = 1.0
        return pn.ops.sum(x)

    def of(x):
        constant[0] = x[1]
        return pn.ops.sum(constant)

    for f in (to, of):
        with pytest.raises(TypeError, match="build the new array with"):
            pn.grad(f)(x)
    assert backend.to_numpy(x).tolist() == [1.0, 2.0]


def test_asarray_keeps_what_is_already_there(backend):
    xp = pn.differentiable(backend.xp)
    x = xp.asarray(backend.asarray([1.0, 2.0], "float32"))
    assert xp.asarray(x) is x
    assert xp.asarray(x, dtype=xp.float32, copy=False) is x
    assert xp.asarray(x, copy=True) is not x

    def f(x):
        assert xp.asarray(x) is x
        with pytest.raises(ValueError, match="copy=False"):
            xp.asarray(x, dtype=xp.int32, copy=False)
        with pytest.raises(TypeError, match="cannot stand in a list"):
            xp.asarray([x, x])
        return pn.ops.sum(xp.asarray(x, copy=True))

    assert backend.to_numpy(pn.grad(f)(x.plain)).tolist() == [1.0, 1.0]


def test_an_extension_is_there_when_the_library_has_it(backend):
    xp = pn.differentiable(backend.xp)
    for name in ("linalg", "fft"):
        assert hasattr(xp, name) == hasattr(backend.xp, name)


@pytest.mark.parametrize("start", ["import portnn as pn", "from portnn import autodiff as pn"])
def test_operators_are_there_whatever_is_imported_first(start):
    code = f"{start}; import numpy; print(pn.grad(lambda x: x * x)(numpy.asarray(3.0)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "6.0"


@pytest.mark.parametrize("name", ["sum", "prod", "cumulative_sum", "cumulative_prod"])
def test_sums_and_products_are_of_the_dtype_that_is_asked_for(name, backend):
    xp = pn.differentiable(backend.xp)
    x = xp.asarray(backend.asarray([2, 3], "int8"))
    y = getattr(xp, name)(x, dtype=xp.int16)
    z = getattr(xp, name)(x, dtype=xp.int8)
    assert (y.dtype, z.dtype) == (xp.int16, xp.int8)
