"""Arrays of other libraries, and objects without numbers, in operators, functions and programs."""

from __future__ import annotations

import operator

import numpy as np
import pytest

import portnn as pn
from portnn import ops
from tests.backends import Matrix

X = np.asarray([[1.0, 2.0], [3.0, 4.0]], "float32")
USES = {
    "a function": lambda x, other: ops.multiply(x, other),
    "an operator": operator.mul,
    "an operator, left": lambda x, other: other * x,
    "a product": operator.matmul,
    "a comparison": operator.lt,
    "a power": operator.pow,
}


WAYS = {
    "jit": pn.jit,
    "trace": pn.trace,
    "grad": lambda f: pn.grad(lambda x: ops.sum(ops.astype(f(x), x.dtype))),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("use", USES)
def test_arrays_of_numpy_beside_traced_ones(use, way, backend):
    if backend.member in (Matrix.NUMPY, Matrix.NUMPY_READONLY):
        pytest.skip("NumPy's arrays are its own")
    if backend.member in (Matrix.JAX, Matrix.TORCH, *[m for m in Matrix if m.is_strict]) and way == "jit":
        pytest.skip("jit has no plan of its own there")
    with pytest.raises(TypeError, match=r"arrays of different libraries: .*bring them to one") as caught:
        WAYS[way](lambda x: USES[use](x, X))(backend.asarray(X))
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("thing", ["a", b"a", None, object(), ["a"], [[None]], {}, {1.0}, np.asarray(["a"])])
def test_what_holds_no_numbers_is_no_array(thing, backend):
    with pytest.raises(TypeError, match=r"asarray: expected numbers|expected an array of numbers") as caught:
        ops.asarray(thing, like=backend.backend)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("thing", [1, 2.5, True, [1.0, 2.0], [[1], [2]], [], [[]], range(3), X])
def test_what_holds_numbers_is_one(thing, backend):
    if backend.member.is_strict and isinstance(thing, range | np.ndarray):
        pytest.skip("array-api-strict takes none")
    found = ops.asarray(thing, like=backend.backend, dtype="float32")
    np.testing.assert_array_equal(backend.to_numpy(found), np.asarray(thing, "float32"))
