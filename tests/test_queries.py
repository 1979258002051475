"""Questions about dtypes, asked of dtypes, arrays, arrays in a gradient, and arrays in a plan."""

from __future__ import annotations

import numpy as np
import pytest

import portnn as pn
from portnn import ops

KINDS = (
    "bool",
    "signed integer",
    "unsigned integer",
    "integral",
    "real floating",
    "complex floating",
    "numeric",
)
DTYPES = ("bool", "int8", "uint8", "int64", "float16", "float32", "float64", "complex64")


def asked(question, x):
    """What a question gives for an array, for its dtype, and for the array inside `vjp` and `jit`."""
    found = [question(x), question(x.dtype)]
    pn.jit(lambda a: (found.append(question(a)), a)[1])(x)
    if x.dtype.kind == "f":
        pn.vjp(lambda a: (found.append(question(a)), a)[1], x)
    return found


@pytest.mark.parametrize("dtype", DTYPES)
def test_limits(dtype):
    x = np.ones(2, dtype=dtype)
    if x.dtype.kind in "iu":
        info = np.iinfo(dtype)
        for found in asked(ops.iinfo, x):
            assert (found.bits, found.min, found.max) == (info.bits, info.min, info.max)
    elif x.dtype.kind in "fc":
        info = np.finfo(dtype)
        for found in asked(ops.finfo, x):
            assert (found.bits, found.eps, found.max, found.min) == (info.bits, info.eps, info.max, info.min)
            assert found.smallest_normal == info.smallest_normal
    for query in (ops.iinfo, ops.finfo):
        if x.dtype.kind == "b":
            with pytest.raises((ValueError, TypeError)):
                query(x)


@pytest.mark.parametrize("dtype", DTYPES)
def test_kinds(dtype):
    wanted = {
        "b": {"bool"},
        "i": {"signed integer", "integral", "numeric"},
        "u": {"unsigned integer", "integral", "numeric"},
        "f": {"real floating", "numeric"},
        "c": {"complex floating", "numeric"},
    }[np.dtype(dtype).kind]
    x = np.ones(2, dtype=dtype)
    assert {kind for kind in KINDS if ops.isdtype(x.dtype, kind)} == wanted
    assert ops.isdtype(x.dtype, ("bool", "numeric"))
    assert ops.isdtype(x.dtype, x.dtype)
    assert not ops.isdtype(x.dtype, np.dtype("complex128"))


@pytest.mark.parametrize("start", DTYPES)
def test_casts_and_common_dtypes(start):
    x = np.ones(2, dtype=start)
    for end in DTYPES:
        if x.dtype.kind != "b" and end != "bool":
            wanted = np.result_type(x.dtype, np.dtype(end))
            for found in asked(lambda a, end=end: ops.result_type(a, np.dtype(end)), x):
                assert found == wanted
            for found in asked(lambda a, end=end: ops.result_type(np.ones(1, dtype=end), a), x):
                assert found == wanted
        answers = asked(lambda a, end=end: ops.can_cast(a, np.dtype(end)), x)
        assert answers == [np.can_cast(start, end)] * len(answers)
        assert {type(answer) for answer in answers} == {bool}


def test_numbers_take_the_dtype_of_arrays():
    for x, number, wanted in (
        (np.float32(1), 2.0, "float32"),
        (np.int8(1), 3, "int8"),
        (np.uint8(1), True, "uint8"),
    ):
        array = np.asarray(x)
        assert ops.result_type(array, number) == np.dtype(wanted)
        assert ops.result_type(number, array.dtype) == np.dtype(wanted)
    with pytest.raises(TypeError, match="expected an array or a dtype"):
        ops.result_type(1.0, 2)
