"""Copies of many arrays in one launch, by kernels compiled for the host."""

import numpy as np
import pytest

from portnn.compile._cupy._moves import Moves
from tests.compile.gpu.helpers import needs_compiler
from tests.compile.gpu.standin import StandIn

DTYPES = ("bool", "int8", "float16", "float32", "float64", "complex64", "complex128")


@needs_compiler
@pytest.mark.parametrize("dtype", DTYPES)
def test_arrays_of_any_layout_are_copied(dtype):
    x = np.arange(60).reshape(3, 4, 5).astype(dtype)
    layouts = [x, x.T, x[:, ::2], x[::-1, 1], x[..., 0], x[0, 0, 0:1], x[:0], x[1, 1, 1], x.swapaxes(0, 1)]
    layouts += [np.broadcast_to(x[0], (2, 4, 5)), np.asarray(x[1, 1, 1])]
    arrays = [y for y in layouts if isinstance(y, np.ndarray)]
    driver = StandIn()
    with driver.working():
        copies = Moves(driver).clones(arrays)
    assert driver.log.count("kernel") == 1
    for copy, array in zip(copies, arrays, strict=True):
        np.testing.assert_array_equal(copy, array)
        assert copy.dtype == array.dtype
        assert not np.shares_memory(copy, array)


@needs_compiler
def test_hundreds_of_arrays_take_few_launches():
    driver = StandIn()
    arrays = [np.full(n % 5, n, "float32") for n in range(250)]
    targets = [np.zeros_like(x) for x in arrays]
    with driver.working():
        Moves(driver).copy(arrays, targets)
    assert driver.log.count("kernel") == 2
    assert all(np.array_equal(a, b) for a, b in zip(arrays, targets, strict=True))


@needs_compiler
def test_the_order_of_axes_in_memory_stays():
    x = np.zeros((2, 3, 4), "float32").transpose(2, 0, 1)
    driver = StandIn()
    with driver.working():
        (copy,) = Moves(driver).clones([x[1:]])
    assert copy.strides == np.zeros((2, 3, 3), "float32").transpose(2, 0, 1).strides
