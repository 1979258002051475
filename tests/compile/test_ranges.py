"""Where integers of a program lie: bounds are right and narrow, and what they save changes nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from portnn import ops, tree
from portnn.compile import make_loop
from portnn.compile._numpy._narrow import narrowed
from portnn.compile._numpy._ranges import range_of, ranges_of, surely_within
from portnn.program import record, simplify
from tests.compile.test_jit_table import assert_same_bits

X = np.arange(12.0).reshape(3, 4)
FAR = 2**62
I8 = np.asarray([3, 5, 4], dtype=np.int8)

# What is done to integers from 2 to 5 (i) and from -7 to 1 (j), three of each, and where the result lies.
KNOWN: dict[str, tuple[Any, tuple[int, int] | None]] = {
    "itself": (lambda i, j: i[::-1], (2, 5)),
    "a column": (lambda i, j: ops.expand_dims(i, axis=0), (2, 5)),
    "one of them": (lambda i, j: j[1], (-7, 1)),
    "taken": (lambda i, j: ops.take(j, np.asarray([0, 1]), axis=0), (-7, 1)),
    "smaller type": (lambda i, j: ops.astype(i, "int8"), (2, 5)),
    "unsigned": (lambda i, j: ops.astype(i, "uint8"), (2, 5)),
    "unsigned, negative": (lambda i, j: ops.astype(j, "uint8"), None),
    "of a float": (lambda i, j: ops.astype(ops.astype(i, "float64"), "int64"), None),
    "far, in a byte": (lambda i, j: ops.astype(i + 123, "int8"), None),
    "just in a byte": (lambda i, j: ops.astype(i + 122, "int8"), (124, 127)),
    "just in a byte, below": (lambda i, j: ops.astype(j - 121, "int8"), None),
    "from": (lambda i, j: ops.maximum(j, -3), (-3, 1)),
    "from, reversed": (lambda i, j: ops.maximum(-3, j), (-3, 1)),
    "up to": (lambda i, j: ops.minimum(i, 3), (2, 3)),
    "the larger": (lambda i, j: ops.maximum(i, j), (2, 5)),
    "the smaller": (lambda i, j: ops.minimum(i, j), (-7, 1)),
    "from, of what is not known": (lambda i, j: ops.maximum(i * j, 4), (4, FAR)),
    "up to, of what is not known": (lambda i, j: ops.minimum(4, i * j), (-FAR, 4)),
    "nothing known": (lambda i, j: ops.maximum(i * j, i * 2), None),
    "sum": (lambda i, j: i + j, (-5, 6)),
    "sum with a number": (lambda i, j: i + 10, (12, 15)),
    "sum with numbers": (lambda i, j: i + np.asarray([-1, 0, 8]), (1, 13)),
    "sum that may wrap around": (lambda i, j: i + 2**62, None),
    "sum in few bits": (lambda i, j: ops.astype(i, "int8") + I8, None),
    "sum of nothing known": (lambda i, j: i + i * j, None),
    "chosen": (lambda i, j: ops.where(i > 3, i, j), (-7, 5)),
    "chosen, a number": (lambda i, j: ops.where(i > 3, 9, j), (-7, 9)),
    "chosen, not known": (lambda i, j: ops.where(i > 3, i * 2, j), None),
    "product": (lambda i, j: i * j, None),
    "place of the largest": (lambda i, j: ops.argmax(X, axis=1) + 0 * i, None),
}


def recorded(f: Any) -> tuple[Any, dict[Any, tuple[int, int]]]:
    program, _ = record(f, (np.asarray([2, 3, 5]), np.asarray([-7, 0, 1])))
    return program, dict(zip(program.inputs, [(2, 5), (-7, 1)], strict=True))


@pytest.mark.parametrize("name", KNOWN)
def test_where_a_result_lies(name: str) -> None:
    f, wanted = KNOWN[name]
    program, known = recorded(f)
    assert range_of(program.result, ranges_of(program.calls, known)) == wanted


def test_where_positions_of_extremes_lie() -> None:
    for axis, n in ((None, 12), (0, 3), (1, 4), (-1, 4)):
        for f in (ops.argmax, ops.argmin):
            program, _ = record(lambda x, f=f, a=axis: f(x, axis=a), (X,))
            assert range_of(program.result, ranges_of(program.calls, {})) == (0, n - 1)


def test_where_an_operand_lies() -> None:
    program, known = recorded(lambda i, j: i)
    assert [range_of(v, known) for v in program.inputs] == [(2, 5), (-7, 1)]
    assert range_of(program.inputs[0], {}) is None
    assert range_of(7, {}) == (7, 7)
    assert range_of(7.0, {}) is None
    assert range_of(True, {}) is None
    assert ranges_of([], known) == known


@pytest.mark.parametrize(
    ("positions", "axis", "exist"),
    [
        (lambda i: i - 2, 0, False),  # a difference is not looked into
        (lambda i: i + -2, 1, True),
        (lambda i: i + -2, 0, False),
        (lambda i: i + -2, -1, True),
        (lambda i: i + -3, 1, False),
        (lambda i: i + -1, 1, False),
        (lambda i: i + -2, None, True),
        (lambda i: i + -1, None, False),
        (lambda i: ops.minimum(i, 2), 0, True),
        (lambda i: ops.minimum(i, 3), 0, False),
        (lambda i: i * 0, 0, False),
    ],
)
def test_positions_that_surely_exist(positions: Any, axis: int | None, exist: bool) -> None:
    """From 2 to 5, moved; of an array of shape (3, 4), or of 4."""
    x = X if axis is not None else X[0]
    program, _ = record(lambda x, i: ops.take(x, positions(i), axis=axis), (x, np.asarray([2, 2])))
    found = surely_within(program.calls, (), {program.inputs[1]: (2, 5)})
    assert found == ({program.result} if exist else set())


def test_trusted_positions_exist() -> None:
    program, _ = record(
        lambda x, i: (ops.take(x, i, axis=0), ops.take(x, i + 1, axis=0)), (X, np.asarray([0, 1]))
    )
    assert surely_within(program.calls, {program.inputs[1]}, {}) == {program.result[0]}


SAVED: dict[str, tuple[Any, int]] = {
    "kept from": (lambda i, j: ops.maximum(i, 2), 0),
    "kept up to": (lambda i, j: ops.minimum(i, 5), 0),
    "not kept from": (lambda i, j: ops.maximum(i, 3), 1),
    "not kept up to": (lambda i, j: ops.minimum(i, 4), 1),
    "between": (lambda i, j: ops.minimum(ops.maximum(j, -7), 1) * 2, 1),
    "between, used twice": (lambda i, j: (ops.maximum(j, -9) * i, ops.maximum(j, -9)), 1),
    "larger of two": (lambda i, j: ops.maximum(i, j), 1),
    "another shape": (lambda i, j: ops.maximum(i[0], j), 2),
    "equal to itself": (lambda i, j: ops.where(ops.equal(i, i), i * 3, j), 1),
    "equal after all": (lambda i, j: ops.where(ops.equal(i, ops.maximum(i, 0)), i * 3, j), 1),
    "equal to another": (lambda i, j: ops.where(ops.equal(i, j), i * 3, j), 3),
    "floats": (lambda i, j: ops.maximum(ops.astype(i, "float64"), 2), 2),
    "chosen with a number": (lambda i, j: ops.where(ops.equal(i, i), 1, j), None),
    "chosen of another shape": (lambda i, j: ops.where(ops.equal(i, i), j[0], i), None),
}


@pytest.mark.parametrize("name", SAVED)
def test_what_bounds_save(name: str) -> None:
    """The calls that are left, and the same results for all numbers within the bounds."""
    f, count = SAVED[name]
    program, known = recorded(f)
    less = narrowed(simplify(program), known)
    if count is not None:
        assert len(less.calls) == count
    rng = np.random.default_rng(0)
    for _ in range(5):
        i, j = rng.integers(2, 6, size=3), rng.integers(-7, 2, size=3)
        assert_same_bits(tree.leaves(less.eval(i, j)), tree.leaves(f(i, j)))


def test_what_is_not_known_saves_nothing() -> None:
    program, _ = recorded(lambda i, j: ops.maximum(i, 0))
    assert narrowed(program, {}) is program


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64"])
def test_training_data_of_integers(dtype: str) -> None:
    """What is known of data is that of all samples, not of the first batch."""
    data = np.asarray([0, 1, 0, 1, 3, 4, 2, 3], dtype=dtype)
    weight = np.arange(10.0, dtype=np.float32).reshape(5, 2)

    def step(carry: Any, labels: Any) -> Any:
        (w,) = carry
        places = ops.minimum(ops.maximum(ops.astype(labels, "int64"), 0), 4)
        rows = ops.take(w, places, axis=0)
        same = ops.astype(ops.equal(places, ops.astype(labels, "int64")), "float32")
        return (w * 0.5 + ops.sum(rows) * 0.125,), ops.sum(rows * same[:, None])

    loop = make_loop(step, (weight,), (data,), 2)
    order = np.asarray([7, 6, 5, 4, 3, 2, 1, 0])
    losses = loop.run(order, 0, 4)
    eager: Any = (weight,)
    for k in range(4):
        eager, loss = step(eager, data[order[2 * k : 2 * k + 2]])
        assert losses[k] == loss
    assert_same_bits(loop.carry(), eager)
