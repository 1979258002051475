"""Plans line by line: what is written where, what is done in blocks, and how much memory it takes."""

# ruff: noqa: E501  # one row a line, so that it reads as a table

from __future__ import annotations

import numpy as np
import pytest

from portnn import ops, tree
from portnn.compile._numpy import NumpyPlan
from portnn.program import record, simplify
from portnn.tracing import values_in

F = np.zeros((2, 3), dtype=np.float32)
D = np.zeros((2, 3), dtype=np.float64)
H = np.zeros((2, 3), dtype=np.float16)
N = np.zeros((2, 3), dtype=np.int64)
S = np.zeros((2, 3), dtype=np.int8)
U = np.zeros((2, 3), dtype=np.uint8)
B = np.zeros((2, 3), dtype=bool)
C = np.zeros((2, 3), dtype=np.complex64)
P = np.zeros(4, dtype=np.int64)
LONG = np.zeros((64, 1024), dtype=np.float32)  # as many elements as two blocks
SHORT = LONG[:63]


def positive(y, other):
    return ops.where(y > 0, y, other) + 1.0


def needed_later(y):
    return ops.exp(ops.exp(y)) + y


# A function whose result is needed and not returned; its arguments; bytes of memory, and the steps.
PLANS = {
    "ufunc": (
        lambda x: x + 1.0, F,
        "64; add(v0, 1.0, a0)",
    ),
    "chain in place": (
        lambda x: -((x + 1.0) * 2.0), F,
        "64; add(v0, 1.0, a0); multiply(a0, 2.0, a1); negative(a1, a2)",
    ),
    "not exact: elsewhere": (
        lambda x: ops.exp(x + 1.0), F,
        "128; add(v0, 1.0, a0); exp(a0, a1)",
    ),
    "operator": (
        lambda x, y: x @ y, F, np.zeros((3, 2), np.float32),
        "64; matmul(v0, v1, a0)",
    ),
    "operators of integers": (
        lambda x: (x & 3) | 1, N,
        "64; bitwise_and(v0, 3, a0); bitwise_or(a0, 1, a1)",
    ),
    "complex": (
        lambda x: x * 2.0, C,
        "0; v1 = mul(v0, 2.0); v2 = not_equal(v1, 1)",
    ),
    "floor": (
        lambda x: ops.floor(x), F,
        "64; floor(v0, a0)",
    ),
    "floor of integers": (
        lambda x: ops.floor(x), N,
        "0; v1 = floor(v0); v2 = not_equal(v1, 1)",
    ),
    "sum": (
        lambda x: ops.sum(x, axis=0), F,
        "64; add.reduce(v0, 0, float32, a0, False)",
    ),
    "sum of bytes": (
        lambda x: ops.sum(x, axis=0), S,
        "64; add.reduce(v0, 0, int64, a0, False)",
    ),
    "sum in another dtype": (
        lambda x: ops.sum(x, axis=0, dtype="float64", keepdims=True), F,
        "64; add.reduce(v0, 0, float64, a0, True)",
    ),
    "max": (
        lambda x: ops.max(x, axis=1), F,
        "64; maximum.reduce(v0, 1, None, a0, False)",
    ),
    "any of booleans": (
        lambda x: ops.any(x, axis=1), B,
        "64; logical_or.reduce(v0, 1, None, a0, False)",
    ),
    "any of numbers": (
        lambda x: ops.any(x, axis=1), N,
        "0; v1 = any(v0, axis=1, keepdims=False); v2 = not_equal(v1, 1)",
    ),
    "mean": (
        lambda x: ops.mean(x, axis=1, keepdims=True), F,
        "64; add.reduce(v0, 1, None, a0, True); divide(a0, 3, a0, casting=unsafe)",
    ),
    "mean of all": (
        lambda x: ops.mean(x), D,
        "64; add.reduce(v0, None, None, a0, False); divide(a0, 6, a0, casting=unsafe)",
    ),
    "mean in half": (
        lambda x: ops.mean(x, axis=1), H,
        "128; copyto(a0, v0, unsafe); add.reduce(a0, 1, None, a1, False); divide(a1, 3, a1, casting=unsafe); copyto(a2, a1, unsafe)",
    ),
    "mean of one": (
        lambda x: ops.mean(x), np.zeros((), np.float32),
        "0; v1 = mean(v0, axis=None, keepdims=False); v2 = not_equal(v1, 1)",
    ),
    "mean of nothing": (
        lambda x: ops.mean(x, axis=0), np.zeros((0,3), np.float32),
        "0; v1 = mean(v0, axis=0, keepdims=False); v2 = not_equal(v1, 1)",
    ),
    "argmax": (
        lambda x: ops.argmax(x, axis=1, keepdims=True), F,
        "64; argmax(v0, 1, a0, keepdims=True)",
    ),
    "argmin": (
        lambda x: ops.argmin(x), F,
        "64; argmin(v0, None, a0, keepdims=False)",
    ),
    "cast": (
        lambda x: ops.astype(x, "int8"), F,
        "64; copyto(a0, v0, unsafe)",
    ),
    "cast of complex": (
        lambda x: ops.astype(x, "complex64"), F,
        "0; v1 = astype(v0, <class 'numpy.complex64'>, copy=True); v2 = not_equal(v1, 1)",
    ),
    "cast from booleans": (
        lambda x: ops.astype(x, "float32"), B,
        "64; copyto(a0, v0, unsafe)",
    ),
    "take": (
        lambda x, i: ops.take(x, i, axis=0), F, P,
        "64; take_checked(v0, v1, 0, a0, uint64, 2)",
    ),
    "take along the last": (
        lambda x, i: ops.take(x, i, axis=1), F, P,
        "64; take_checked(v0, v1, 1, a0, uint64, 3)",
    ),
    "take of a row": (
        lambda x, i: ops.take(x[0], i), F, P,
        "64; v2 = getitem(v0, 0); take_checked(v2, v1, 0, a0, uint64, 3); v2 = nothing()",
    ),
    "take with unsigned": (
        lambda x, i: ops.take(x, i, axis=0), F, P.astype(np.uint8),
        "128; copyto(a0, v1, unsafe); take_checked(v0, a0, 0, a1, uint64, 2)",
    ),
    "take with bytes": (
        lambda x, i: ops.take(x, i, axis=0), np.zeros((128,2),np.float32), P.astype(np.int8),
        "128; copyto(a0, v1, unsafe); take_checked(v0, a0, 0, a1, uint64, 128)",
    ),
    "take with bytes of too many": (
        lambda x, i: ops.take(x, i, axis=0), np.zeros((129,2),np.float32), P.astype(np.int8),
        "128; copyto(a0, v1, unsafe); take_checked(v0, a0, 0, a1, uint64, 129)",
    ),
    "take of nothing": (
        lambda x, i: ops.take(x, i, axis=1), np.zeros((0,3),np.float32), P,
        "0; v2 = take(v0, v1, axis=1); v3 = not_equal(v2, 1)",
    ),
    "take of extremes": (
        lambda x, y: ops.take(x, ops.argmax(y, axis=1), axis=1), F, F,
        "128; argmax(v1, 1, a0, keepdims=False); take_trusted(v0, a0, 1, a1)",
    ),
    "count": (
        lambda x: ops.count_nonzero(x), B,
        "64; count_into(v0, a0)",
    ),
    "count by rows": (
        lambda x: ops.count_nonzero(x, axis=1), B,
        "0; v1 = count_nonzero(v0, axis=1, keepdims=False); v2 = not_equal(v1, 1)",
    ),
    "count of numbers": (
        lambda x: ops.count_nonzero(x), F,
        "0; v1 = count_nonzero(v0, axis=None, keepdims=False); v2 = not_equal(v1, 1)",
    ),
    "concat": (
        lambda x: ops.concat([x, x + 1.0], axis=1), F,
        "128; add(v0, 1.0, a0); concatenate((v0, a0), 1, a1)",
    ),
    "concat of kinds": (
        lambda x, y: ops.concat([x, y], axis=1), F, D,
        "0; v2 = concatenate((v0, v1), axis=1); v3 = not_equal(v2, 1)",
    ),
    "stack": (
        lambda x: ops.stack([x, x], axis=-1), F,
        "64; v1 = expand_dims(v0, axis=2); concatenate((v1, v1), 2, a0); v1 = nothing()",
    ),
    "reshape in place": (
        lambda x: ops.reshape(x, (6,)) + 1.0, F,
        "64; v1 = reshape(v0, (6,)); add(v1, 1.0, a0); v1 = nothing()",
    ),
    "reshape with a copy": (
        lambda x: ops.reshape(ops.matrix_transpose(x), (6,)), F,
        "64; v1 = matrix_transpose(v0); copyto(a0, v1); v1 = nothing()",
    ),
    "views": (
        lambda x: (ops.flip(ops.matrix_transpose(x), axis=0)[1:, None] + 1.0), F,
        "64; v1 = matrix_transpose(v0); v2 = flip(v1, axis=0); v1 = nothing(); v3 = getitem(v2, (slice(1, None, None), None)); v2 = nothing(); add(v3, 1.0, a0); v3 = nothing()",
    ),
    "flip of a number": (
        lambda x: ops.flip(x) + 1.0, np.zeros((), np.float32),
        "64; v1 = flip(v0, axis=None); add(v1, 1.0, a0); v1 = nothing()",
    ),
    "picked": (
        lambda x: x[0, 1] + 1.0, F,
        "64; v1 = getitem(v0, (0, 1)); add(v1, 1.0, a0); v1 = nothing()",
    ),
    "picked by arrays": (
        lambda x, i: x[i], F, P,
        "0; v2 = getitem(v0, v1); v3 = not_equal(v2, 1)",
    ),
    "where zero": (
        lambda c, x: ops.where(c, x, 0.0), B, F,
        "64; v2 = view(v1, int32); multiply(v2, v0, a0)",
    ),
    "where minus zero": (
        lambda c, x: ops.where(c, x, -0.0), B, F,
        "64; copyto(a0, -0.0); copyto(a0, v1, same_kind, v0)",
    ),
    "where one": (
        lambda c, x: ops.where(c, x, 1.0), B, F,
        "64; copyto(a0, 1.0); copyto(a0, v1, same_kind, v0)",
    ),
    "where of integers": (
        lambda c, x: ops.where(c, x, 0), B, N,
        "64; multiply(v1, v0, a0)",
    ),
    "where, two": (
        lambda c, x, y: ops.where(c, x, y), B, F, F,
        "64; copyto(a0, v2); copyto(a0, v1, same_kind, v0)",
    ),
    "where, two dtypes": (
        lambda c, x, y: ops.where(c, x, y), B, F, D,
        "64; copyto(a0, v2); copyto(a0, v1, same_kind, v0)",
    ),
    "where of complex": (
        lambda c, x: ops.where(c, x, 0.0), B, C,
        "64; copyto(a0, 0.0); copyto(a0, v1, same_kind, v0)",
    ),
    "where of bytes": (
        lambda c, x: ops.where(c, x, 127), B, S,
        "64; copyto(a0, 127); copyto(a0, v1, same_kind, v0)",
    ),
    "where, many": (
        lambda c, x, y: ops.where(c, x, y), np.zeros(2049, bool), np.zeros(2049, np.float32), np.zeros(2049, np.float32),
        "8,256; v3 = view(v1, int32); v4 = view(v2, int32); bitwise_xor(v3, v4, a0); multiply(a0, v0, a0); bitwise_xor(a0, v4, a0)",
    ),
    "where, few": (
        lambda c, x, y: ops.where(c, x, y), np.zeros(2048, bool), np.zeros(2048, np.float32), np.zeros(2048, np.float32),
        "8,192; copyto(a0, v2); copyto(a0, v1, same_kind, v0)",
    ),
    "where, many, a number": (
        lambda c, x: ops.where(c, 5, x), np.zeros(2049, bool), np.zeros(2049, np.int64),
        "16,448; bitwise_xor(5, v1, a0); multiply(a0, v0, a0); bitwise_xor(a0, v1, a0)",
    ),
    "where, many, a large number": (
        lambda c, x: ops.where(c, x, 128), np.zeros(2049, bool), np.zeros(2049, np.int64),
        "16,448; copyto(a0, 128); copyto(a0, v1, same_kind, v0)",
    ),
    "where, many, a float": (
        lambda c, x: ops.where(c, 0.5, x), np.zeros(2049, bool), np.zeros(2049, np.float32),
        "8,256; v2 = view(v1, int32); bitwise_xor(1056964608, v2, a0); multiply(a0, v0, a0); bitwise_xor(a0, v2, a0)",
    ),
    "where, many, an integer beside floats": (
        lambda c, x: ops.where(c, x, 2**31), np.zeros(2049, bool), np.zeros(2049, np.float64),
        "16,448; v2 = view(v1, int64); bitwise_xor(v2, 4746794007248502784, a0); multiply(a0, v0, a0); bitwise_xor(a0, 4746794007248502784, a0)",
    ),
    "where, many, a larger integer beside floats": (
        lambda c, x: ops.where(c, x, 2**31 + 1), np.zeros(2049, bool), np.zeros(2049, np.float64),
        "16,448; copyto(a0, 2147483649.0); copyto(a0, v1, same_kind, v0)",
    ),
    "where, many, two dtypes": (
        lambda c, x, y: ops.where(c, x, y), np.zeros(2049, bool), np.zeros(2049, np.float64), np.zeros(2049, np.float32),
        "16,448; copyto(a0, v2); copyto(a0, v1, same_kind, v0)",
    ),
    "where, many, an integer below": (
        lambda c, x: ops.where(c, x, -1), np.zeros(2049, bool), np.zeros(2049, np.int32),
        "8,256; copyto(a0, -1); copyto(a0, v1, same_kind, v0)",
    ),
    "numbers beside integers": (
        lambda x: x + 127, S,
        "64; add(v0, 127, a0)",
    ),
    "numbers beside floats": (
        lambda x: x * 2 + 2**53, F,
        "64; multiply(v0, 2.0, a0); add(a0, 9007199254740992, a1)",
    ),
    "large numbers beside floats": (
        lambda x: x * (2**53 - 1), F,
        "64; multiply(v0, 9.007199e+15, a0)",
    ),
    "made by NumPy": (
        lambda x: ops.sort(x, axis=1) + 1.0, F,
        "64; v1 = sort(v0, axis=1, descending=False, stable=True); add(v1, 1.0, a0); v1 = nothing()",
    ),
    "two results": (
        lambda x: ops.linalg.eigh(x)[0] + 1.0, np.zeros((3,3),np.float32),
        "64; v1, v2 = eigh(v0); v2 = nothing(); add(v1, 1.0, a0); v1 = nothing()",
    ),
    "memory": (
        lambda x: ops.exp(ops.exp(ops.exp(x))), F,
        "128; exp(v0, a0); exp(a0, a1); exp(a1, a2)",
    ),
    "memory kept": (
        lambda x: needed_later(ops.exp(x)), F,
        "192; exp(v0, a0); exp(a0, a1); exp(a1, a2); add(a2, a0, a3)",
    ),
    "long, in blocks": (
        lambda x: (ops.exp(x) + 1.0) * 2.0, LONG,
        "262,144; exp(v0, a0); part()  # add, multiply block by block",
    ),
    "shorter, not in blocks": (
        lambda x: (ops.exp(x) + 1.0) * 2.0, SHORT,
        "258,048; exp(v0, a0); add(a0, 1.0, a1); multiply(a1, 2.0, a2)",
    ),
    "long, alike": (
        lambda x: ops.tanh(ops.exp(ops.sin(x)) * 2.0), LONG,
        "524,288; sin(v0, a0); part()  # exp, multiply, tanh block by block",
    ),
    "long, not alike": (
        lambda x: ops.cos(ops.sin(x) * 2.0) + 1.0, LONG,
        "524,288; sin(v0, a0); multiply(a0, 2.0, a1); cos(a1, a2); add(a2, 1.0, a3)",
    ),
    "long, reduced": (
        lambda x: ops.sum(ops.sin(x) * 2.0, axis=1) + 1.0, LONG,
        "262,400; sin(v0, a0); part()  # multiply, sum, add block by block",
    ),
    "long, reduced down": (
        lambda x: ops.sum(ops.sin(x) * 2.0, axis=0), LONG,
        "266,240; sin(v0, a0); multiply(a0, 2.0, a1); add.reduce(a1, 0, float32, a2, False)",
    ),
    "long, reduced in another dtype": (
        lambda x: ops.sum(ops.sin(x) * 2.0, axis=1, dtype="float64"), LONG,
        "262,656; sin(v0, a0); multiply(a0, 2.0, a1); add.reduce(a1, 1, float64, a2, False)",
    ),
    "long, smallest": (
        lambda x: ops.min(ops.sin(x) * 2.0, axis=1), LONG,
        "262,400; sin(v0, a0); multiply(a0, 2.0, a1); minimum.reduce(a1, 1, None, a2, False)",
    ),
    "long, largest": (
        lambda x: ops.max(ops.sin(x) * 2.0, axis=1, keepdims=True), LONG,
        "262,400; sin(v0, a0); part()  # multiply, max block by block",
    ),
    "long, where the largest is": (
        lambda x: ops.argmax(ops.sin(x) * 2.0, axis=1), LONG,
        "262,656; sin(v0, a0); part()  # multiply, argmax block by block",
    ),
    "long, kept or zero": (
        lambda x: positive(ops.sin(x), 0.0), LONG,
        "589,824; sin(v0, a0); part()  # greater, where, add block by block",
    ),
    "long, chosen": (
        lambda x: positive(ops.sin(x), 1.0), LONG,
        "589,824; sin(v0, a0); greater(a0, 0.0, a1); bitwise_xor(a2, 1065353216, a3); multiply(a3, a1, a3); bitwise_xor(a3, 1065353216, a3); add(a4, 1.0, a5)",
    ),
    "long, with a row": (
        lambda x: (ops.sin(x) + ops.cos(x[0])) * 2.0, LONG,
        "266,240; sin(v0, a0); v1 = getitem(v0, 0); cos(v1, a1); v1 = nothing(); part()  # add, multiply block by block",
    ),
    "long, with a matrix of one row": (
        lambda x: (ops.sin(x) + ops.cos(x[:1])) * 2.0, LONG,
        "266,240; sin(v0, a0); v1 = getitem(v0, slice(None, 1, None)); cos(v1, a1); v1 = nothing(); part()  # add, multiply block by block",
    ),
    "long, with a column": (
        lambda x: (ops.sin(x) + ops.cos(x[:, :1])) * 2.0, LONG,
        "262,400; sin(v0, a0); v1 = getitem(v0, (slice(None, None, None), slice(None, 1, None))); cos(v1, a1); v1 = nothing(); part()  # add, multiply block by block",
    ),
    "long, transposed": (
        lambda x: ops.matrix_transpose(ops.sin(x)) * 2.0 + 1.0, LONG,
        "524,288; sin(v0, a0); multiply(a1, 2.0, a2); add(a2, 1.0, a3)",
    ),
    "long, of one axis": (
        lambda x: (ops.sin(x) * 2.0 + 1.0), np.zeros(2**16, np.float32),
        "262,144; sin(v0, a0); part()  # multiply, add block by block",
    ),
    "long, flattened": (
        lambda x: ops.reshape(ops.sin(x), (2**16,)) * 2.0 + 1.0, LONG,
        "524,288; sin(v0, a0); part()  # multiply, add block by block",
    ),
    "long, other rows later": (
        lambda x: ops.reshape(ops.sin(x) * 2.0 + 1.0, (2**16,)) * 2.0 - 1.0, LONG,
        "524,288; sin(v0, a0); part()  # multiply, add block by block; part()  # multiply, subtract block by block",
    ),
}  # fmt: skip


def steps_of(f, args):
    """The bytes of intermediate results and the steps, without what is said about them."""
    program = simplify(record(lambda *a: ops.not_equal(f(*a), 1), args)[0])
    plan = NumpyPlan(program.calls, program.inputs, values_in(tree.leaves(program.result)))
    first, _, *lines, _ = plan.explain().splitlines()[:-1]
    size = first.partition(", ")[2].partition(" bytes")[0]
    return [size, *(line.strip() if "part()" in line else line.partition("  #")[0].strip() for line in lines)]


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_steps(name):
    f, *args, wanted = PLANS[name]
    assert steps_of(f, args) == wanted.split("; ")
