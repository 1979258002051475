"""Simplified programs: fewer calls, the same bits."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings

from portnn import ops
from portnn.program import record, simplify
from tests.program.networks import assert_same_bits, replay

CONSTANTS = [
    np.float32(1.0),
    np.ones((), "f"),
    np.float32(0.0),
    np.full((2, 2), 0.5, "f"),
    np.ones((2, 2), "f"),
]
UNARY = [
    ops.exp, ops.softmax, ops.negative, ops.square, lambda x: x * 1.0, lambda x: 1 * x, lambda x: x + 0.0,
    lambda x: x * -1, lambda x: x.mT, lambda x: ops.matrix_transpose(ops.matrix_transpose(x)),
    lambda x: ops.reshape(x, (2, 2)), lambda x: ops.broadcast_to(x, (2, 2)),
    lambda x: ops.permute_dims(x, (1, 0)), lambda x: ops.permute_dims(x, (0, 1)),
    lambda x: x / ops.sum(x, axis=0, keepdims=True), lambda x: ops.flip(x, axis=0), lambda x: x[::-1, :],
    lambda x: ops.astype(ops.astype(x, np.float64), np.float32), lambda x: ops.astype(x, np.float32),
    lambda x: x @ x, lambda x: ops.maximum(x, 0.0), lambda x: ops.maximum(x, -0.0),
    lambda x: ops.where(x > 0, x, 1),
]  # fmt: skip
BINARY = [ops.add, ops.multiply, ops.matmul, ops.minimum, lambda x, y: x - y, lambda x, y: x * y.mT]

finite = st.floats(-4, 4, width=32)
matrix = st.lists(
    st.sampled_from([0.0, -0.0, 1.0, float("inf"), float("nan")]) | finite, min_size=4, max_size=4
)
steps = st.lists(
    st.tuples(st.integers(0, len(UNARY) + len(BINARY) - 1), st.integers(0, 99), st.integers(0, 99)),
    min_size=1,
    max_size=25,
)


def carry_out(plan: list[tuple[int, int, int]], x: Any, y: Any) -> Any:
    """Functions applied to what there is so far; the last three are the result."""
    pool: list[Any] = [x, y, *CONSTANTS]
    for which, i, j in plan:
        a, b = pool[i % len(pool)], pool[j % len(pool)]
        if which < len(UNARY):
            pool.append(UNARY[which](a if np.ndim(a.shape) and len(a.shape) == 2 else x))
        else:
            f = BINARY[which - len(UNARY)]
            pool.append(f(*[v if len(v.shape) == 2 else y for v in (a, b)]))
    return pool[-3:]


@settings(max_examples=150)
@given(plan=steps, x=matrix, y=matrix)
def test_same_bits(plan, x, y):
    args = tuple([np.asarray(v, dtype=np.float32).reshape(2, 2) for v in (x, y)])
    with np.errstate(all="ignore"):
        program, result = record(lambda *a: carry_out(plan, *a), args)
        simple = simplify(program)
        assert len(simple.calls) <= len(program.calls)
        assert_same_bits(result, carry_out(plan, *args))
        assert_same_bits(replay(simple, args), result)
        assert_same_bits(simple.eval(*args), result)


X = np.asarray([[1.0, -0.0], [2.0, 3.0]], dtype=np.float32)


def count(f, *args):
    return len(simplify(record(f, args)[0]).calls)


def test_what_goes():
    assert count(lambda x: ops.exp(x) * ops.exp(x), X) == 2
    assert count(lambda x: (ops.exp(x), ops.cos(x))[0], X) == 1
    assert count(lambda x: 1.0 * (x * 1.0) * np.float32(1.0), X) == 0
    assert count(lambda x: ops.exp(x.mT.mT), X) == 1
    assert count(lambda x: ops.exp(ops.reshape(ops.broadcast_to(x, (2, 2)), (2, 2))), X) == 1
    assert count(lambda x: ops.permute_dims(x, (0, 1)) * 2.0, X) == 1


def test_what_stays():
    assert count(lambda x: (x + 0.0, x + -0.0), X) == 2  # -0.0 + 0.0 is 0.0
    assert count(lambda x: (x * 2, x * 2.0, x * True), X) == 3
    assert count(lambda x: x * np.float64(1.0), X) == 1  # another dtype
    assert count(lambda x: x * np.ones((2, 2), "f"), X) == 1
    assert count(lambda x: x * np.ones((2, 2), "f"), X[:1]) == 1  # another shape
    assert count(lambda x: x * 1.0, X.astype("complex64")) == 1  # inf * (1 + 0j) has a NaN
    assert count(lambda x: ops.permute_dims(x, (1, 0)), X) == 1
    assert count(lambda x: ops.exp(x.mT), X) == 2
    assert count(lambda x: (ops.sum(x, axis=0), ops.sum(x, axis=1)), X) == 2


def test_constants_are_made_once_and_not_on_the_tape():
    def f(x):
        xp = x.__array_namespace__()
        mask = xp.arange(2, dtype=x.dtype) * 2.0 + xp.zeros_like(x)
        return x + mask

    program = simplify(record(f, (X,))[0])
    assert [call.name for call in program.calls] == ["add"]
    (constant,) = program.listing.constants()
    assert constant.constant.tolist() == [[0.0, 2.0], [0.0, 2.0]]


def test_views_stay_views():
    program = simplify(record(lambda x: ops.exp(x.mT[0]), (X,))[0])
    assert [call.name for call in program.calls] == ["matrix_transpose", "getitem", "exp"]
    assert program.bytes == 2 * 8


def test_libraries_that_do_not_tell_the_layout():
    from array_api_strict import asarray

    x = asarray(X)
    assert count(lambda x: ops.permute_dims(x, (1, 0)), x) == 1
    assert count(lambda x: ops.permute_dims(x, (0, 1)), x) == 0
    assert count(lambda x: ops.reshape(x, (4, 1)), x) == 1
    assert count(lambda x: ops.broadcast_to(x, (3, 2, 2)), x) == 1
    assert count(lambda x: ops.reshape(x, (2, 2)), x) == 0
