"""CuPy's own functions on traced arrays: portnn's function of that name, or an error that names a remedy."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import portnn as pn
from portnn import ops
from tests.backends import Matrix


@pytest.fixture
def cupy(backend):
    if backend.member is not Matrix.CUPY:
        pytest.skip("needs a GPU: pass --backend gpu")
    import cupy

    return cupy


X = np.asarray([0.3, 0.7], "float32")
FUNCTIONS = {
    "sin": lambda cp, x: cp.sin(x),
    "exp": lambda cp, x: cp.exp(x),
    "tanh": lambda cp, x: cp.tanh(x),
    "arctan": lambda cp, x: cp.arctan(x),
    "absolute": lambda cp, x: cp.absolute(-x),
    "power": lambda cp, x: cp.power(x, 3.0),
    "true_divide": lambda cp, x: cp.true_divide(2.0, x),
    "add, itself": lambda cp, x: cp.add(x, x),
    "maximum": lambda cp, x: cp.maximum(x, cp.asarray([0.5, 0.5], "float32")),
    "where": lambda cp, x: cp.where(cp.asarray([True, False]), x, 2.0),
    "an array on the left": lambda cp, x: cp.asarray([2.0, 3.0], "float32") * x,
    "numpy.sin": lambda cp, x: np.sin(x),
    "numpy.multiply": lambda cp, x: np.multiply(x, x),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_and_plans(name, cupy, backend):
    f = FUNCTIONS[name]
    x = backend.asarray(X)
    h = 1e-6

    def host(values):
        return backend.to_numpy(f(cupy, backend.asarray(values)))

    slopes = (host(X.astype("float64") + h) - host(X.astype("float64") - h)) / (2 * h)
    gradient = pn.grad(lambda x: ops.sum(f(cupy, x)))(x)
    np.testing.assert_allclose(backend.to_numpy(gradient), slopes, rtol=1e-4, atol=1e-5)
    second = pn.grad(lambda x: ops.sum(ops.square(pn.grad(lambda y: ops.sum(f(cupy, y)))(x))))(x)
    assert np.isfinite(backend.to_numpy(second)).all()
    planned = pn.jit(lambda x: f(cupy, x))
    for _ in range(3):
        assert backend.to_numpy(planned(x)).tobytes() == backend.to_numpy(f(cupy, x)).tobytes()
    step = pn.jit(pn.grad(lambda x: ops.sum(f(cupy, x))))
    assert backend.to_numpy(step(x)).tobytes() == backend.to_numpy(gradient).tobytes()


OTHERS = {
    "sum": lambda cp, x: cp.sum(x),
    "max": lambda cp, x: cp.max(x),
    "concatenate": lambda cp, x: cp.concatenate([x, x]),
    "asarray": lambda cp, x: cp.asarray(x),
    "cbrt": lambda cp, x: cp.cbrt(x),
    "out": lambda cp, x: cp.add(x, x, out=cp.ones(2, "float32")),
    "a third argument": lambda cp, x: cp.add(x, x, cp.ones(2, "float32")),
    "dtype": lambda cp, x: cp.exp(x, dtype="float64"),
    "in place": lambda cp, x: cp.ones(2, "float32").__iadd__(x),
    "a kernel": lambda cp, x: cp.ElementwiseKernel("T x", "T y", "y = x + 1", "add")(x),
    "a kernel that reduces": lambda cp, x: cp.ReductionKernel(
        "T x", "T y", "x", "a + b", "y = a", "0", "add"
    )(x),
    "item assignment": lambda cp, x: cp.ones(2, "float32").__setitem__(slice(None), x),
    "an object": lambda cp, x: cp.add(x, {}),
}


@pytest.mark.parametrize("how", ["grad", "jit"])
@pytest.mark.parametrize("name", OTHERS)
def test_other_functions_name_the_way_out(name, how, cupy, backend):
    x = backend.asarray(X)
    f = OTHERS[name]
    if how == "jit" and name in ("cbrt", "dtype"):
        planned = pn.jit(lambda x: f(cupy, x))  # recorded as CuPy's own, outside any graph
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pn.PlanWarning)
            results = [planned(x), planned(x), f(cupy, x)]
        assert len({backend.to_numpy(y).tobytes() for y in results}) == 1
        return
    way = pn.jit if how == "jit" else pn.grad
    with pytest.raises((TypeError, AttributeError), match=r"portnn\.ops|unsupported operand") as caught:
        way(lambda x: f(cupy, x))(x)
    assert len(str(caught.value)) < 300


def test_constants_go_into_cupys_functions(cupy, backend):
    x = backend.asarray(X)
    xp = ops.differentiable(backend.xp)
    assert backend.to_numpy(cupy.concatenate([xp.asarray(x), x])).tolist() == [*X.tolist(), *X.tolist()]
