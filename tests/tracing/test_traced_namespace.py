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


M = np.arange(1.0, 13.0).reshape(3, 4) ** 1.5
# As programs for NumPy write them: options by position, and NumPy's own names.
BY_POSITION = {
    "diff": lambda xp, x: xp.diff(x, 2),
    "diff along": lambda xp, x: xp.diff(x, 1, 0),
    "sum": lambda xp, x: xp.sum(x, 0),
    "sum, all of it": lambda xp, x: xp.sum(x, 0, None, None, True),
    "prod": lambda xp, x: xp.prod(x, 1),
    "mean": lambda xp, x: xp.mean(x, (0, 1)),
    "max": lambda xp, x: xp.max(x, 0),
    "min": lambda xp, x: xp.min(x, -1),
    "std": lambda xp, x: xp.std(x, 0),
    "var": lambda xp, x: xp.var(x, 1),
    "clip": lambda xp, x: xp.clip(x, 2.0, 9.0),
    "sort": lambda xp, x: xp.sort(x, 0),
    "take": lambda xp, x: xp.take(x, xp.asarray([0, 2]), 1),
    "repeat": lambda xp, x: xp.repeat(x, 2, 0),
    "roll": lambda xp, x: xp.roll(x, 1, 1),
    "flip": lambda xp, x: xp.flip(x, 1),
    "tril": lambda xp, x: xp.tril(x, 1),
    "triu": lambda xp, x: xp.triu(x, -1),
    "tensordot": lambda xp, x: xp.tensordot(x, x, 2),
    "stack": lambda xp, x: xp.stack([x, x], 1),
    "concat": lambda xp, x: xp.concat([x, x], 1),
    "concatenate": lambda xp, x: xp.concatenate([x, x], 1),
    "transpose": lambda xp, x: xp.transpose(x, (1, 0)),
    "absolute": lambda xp, x: xp.absolute(-x),
    "power": lambda xp, x: xp.power(x, 2.0),
    "arctan": lambda xp, x: xp.arctan(x),
    "true_divide": lambda xp, x: xp.true_divide(1.0, x),
    "expand_dims": lambda xp, x: xp.expand_dims(x, (0, 2)),
    "full_like": lambda xp, x: x * xp.full_like(x, 2.0, np.float64),
    "linalg.trace": lambda xp, x: xp.linalg.trace(x),
}  # fmt: skip


@pytest.mark.parametrize("name", BY_POSITION)
def test_options_by_position_as_in_numpy(name):
    program, xp = BY_POSITION[name], pn.differentiable(np)
    expected = program(np, M)
    found = program(xp, xp.asarray(M))
    np.testing.assert_allclose(found.plain, expected, rtol=1e-14)
    weights = np.cos(np.arange(expected.size).reshape(expected.shape))
    gradient = pn.grad(lambda x: xp.sum(program(xp, x) * weights))(M)
    np.testing.assert_allclose(
        gradient, slopes(lambda x: (program(np, x) * weights).sum(), M), rtol=1e-7, atol=1e-9
    )


def test_values_by_position_as_in_numpy():
    xp = pn.differentiable(np)
    for f in (
        lambda xp: xp.zeros(3, np.float32),
        lambda xp: xp.eye(2, 3, 1),
        lambda xp: xp.linspace(0.0, 1.0, 4, False),
        lambda xp: xp.asarray([1, 2], np.float32),
        lambda xp: xp.argsort(xp.asarray(M), 0),
        lambda xp: xp.argmax(xp.asarray(M), 1),
        lambda xp: xp.all(xp.asarray(M), 0),
        lambda xp: xp.searchsorted(xp.asarray(M[0]), xp.asarray(M[0]), "right"),
        lambda xp: xp.linalg.svd(xp.asarray(M), False)[1],
    ):
        found, expected = f(xp).plain, f(np)
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == expected.dtype


def test_positions_that_mean_nothing_here_are_refused():
    xp = pn.differentiable(np)
    with pytest.raises(TypeError, match="sum: axis is given by position and by name"):
        xp.sum(M, 0, axis=1)
    with pytest.raises(TypeError, match="sum: out is not an option here"):
        xp.sum(M, 0, None, np.zeros(4))
    with pytest.raises(TypeError, match="diff: at most 5 arguments, got 6"):
        xp.diff(M, 1, 0, None, None, 3)
    with pytest.raises(TypeError, match="positional"):  # the standard alone
        pn.differentiable(pytest.importorskip("array_api_strict")).sum(M, 0)


def test_the_namespace_is_of_2025_12(backend):
    xp = pn.differentiable(backend.xp)
    assert xp.__array_api_version__ == "2025.12"
    devices = xp.__array_namespace_info__().devices()
    assert isinstance(devices, tuple)
    assert devices == tuple(backend.xp.__array_namespace_info__().devices())
    assert (
        xp.__array_namespace_info__().capabilities() == backend.xp.__array_namespace_info__().capabilities()
    )
    x = xp.asarray(backend.asarray([1.0, 2.0], "float32"))
    assert isinstance(xp.meshgrid(x, x), tuple)
    assert isinstance(xp.broadcast_arrays(x, x), tuple)
    assert xp.expand_dims(x, axis=(0, -1)).shape == (1, 2, 1)
    with pytest.raises(ValueError, match="names an axis twice"):
        xp.expand_dims(x, axis=(0, 0))


def test_functions_without_a_rule_are_values():
    xp = pn.differentiable(np)
    assert xp.linalg.eigvals(xp.ones((1, 1))).tolist() == [1.0]
    with pytest.raises(pn.DifferentiationError, match="eigvals has no derivative rule"):
        pn.grad(lambda x: xp.sum(xp.real(xp.linalg.eigvals(x))))(M[:3, :3])
    with pytest.raises(AttributeError, match="bogus"):
        xp.linalg.bogus  # noqa: B018  # asking for it is what is tested
