"""Recorded arrays: what they do as any array does, and the errors where Python asks for their values."""

from __future__ import annotations

import operator

import numpy as np
import pytest

from portnn import ops
from portnn.autodiff import grad
from portnn.program import record, trace
from portnn.tracing import ControlFlowError

X = np.asarray([1.0, -2.0, 3.0], dtype=np.float32)
N = np.asarray(2, dtype=np.int32)


def _while(x):
    while ops.sum(x) < 10.0:
        x = x + x
    return x


MISUSES = {
    "if": (lambda x, n: x if ops.sum(x) > 0.0 else -x, r"portnn\.ops\.where\(condition, a, b\)"),
    "while": (lambda x, n: _while(x), "for `while` a loop over a fixed range"),
    "and": (lambda x, n: n > 1 and x, "logical_and"),
    "not": (lambda x, n: not n, "logical_not"),
    "between": (lambda x, n: 0 < n < 3, "for `and`, `or`, `not` and `a < b < c`"),
    "in": (lambda x, n: 3.0 in x, "not, in, or bool"),
    "max": (lambda x, n: max(x[0], x[1]), r"portnn\.ops\.where"),
    "int": (lambda x, n: int(n), r"int\(\) needs values .* portnn\.ops\.astype\(x, dtype\)"),
    "float": (lambda x, n: 1.0 / float(ops.sum(x)), r"float\(\) needs values .* leave it an array"),
    "complex": (lambda x, n: complex(x[0]), r"complex\(\) needs values"),
    "range": (lambda x, n: [x for _ in range(n)], r"for range\(n\) a fixed number"),
    "index of a list": (lambda x, n: [1.0, 2.0, 3.0][n] * x, r"portnn\.ops\.take\(x, i, axis=0\)"),
    "shape": (lambda x, n: ops.broadcast_to(x, (operator.index(n), 3)), "a Python int that is made outside"),
    "numpy": (lambda x, n: np.asarray(x), r"numpy\.asarray\(\) needs values .* functions of portnn\.ops"),
    "numpy function": (lambda x, n: np.sort(x), r"such as portnn\.ops\.sum\(x\)"),
    "dlpack": (lambda x, n: np.from_dlpack(x), r"from_dlpack\(\) needs values .* before or after"),
    "mask": (lambda x, n: x[x > 0.0], r"x\[mask\] gives .* portnn\.ops\.where\(mask, x, 0\.0\)"),
    "mask among indices": (lambda x, n: x[None][:, x > 0.0], r"x\[mask\] gives"),
    "nonzero": (lambda x, n: ops.nonzero(x), "nonzero gives an array whose shape depends on values"),
    "unique": (lambda x, n: ops.unique_values(x), "unique_values gives an array whose shape"),
    "repeat": (lambda x, n: x.__array_namespace__().repeat(x, n), "repeat gives an array whose shape"),
}  # fmt: skip


@pytest.mark.parametrize("misuse", MISUSES)
def test_python_may_not_look_at_values(misuse):
    f, match = MISUSES[misuse]
    with pytest.raises(ControlFlowError, match=match) as caught:
        trace(f)(X, N)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("misuse", ["if", "while", "mask"])
def test_nor_inside_grad(misuse):
    f, match = MISUSES[misuse]
    with pytest.raises(ControlFlowError, match=match):
        trace(grad(lambda x: ops.sum(f(x, N) * x)))(X)


def test_in_place():
    def f(x):
        x[0] = 1.0

    with pytest.raises(TypeError, match=r"not changed in place .* portnn\.ops\.where, stack or concat"):
        trace(f)(X)


def test_what_arrays_have_not():
    for name in ("sum", "item", "tolist", "numpy"):
        with pytest.raises(
            AttributeError, match=f"has no attribute '{name}'; sums and the like are functions"
        ):
            trace(lambda x, name=name: getattr(x, name)())(X)


@pytest.mark.parametrize("transform", [trace, grad])
def test_equality_makes_arrays_so_there_is_no_hash(transform):
    with pytest.raises(TypeError, match="unhashable type"):
        transform(lambda x: ops.sum(x) * len({x}))(X)


def test_rows_on_every_backend(backend):
    x = backend.asarray(np.ones((2, 3), "float32"))
    program, found = record(lambda x: [row + 1.0 for row in x], (x,))
    assert [call.name for call in program.calls] == ["getitem", "getitem", "add", "add"]
    assert [row.shape for row in found] == [(3,), (3,)]


def test_shapes_are_known():
    def f(x):
        assert (x.shape, x.ndim, x.size, len(x), x.dtype) == ((3,), 1, 3, 3, np.float32)
        total = x[0]
        for i in range(1, len(x)):
            total = total + x[i]
        for row in x:
            total = total + row
        return total / x.shape[0]

    assert float(trace(f)(X).eval(X)) == pytest.approx(4 / 3)


def test_arrays_without_axes():
    for f in (len, iter):
        with pytest.raises(TypeError, match="without axes"):
            trace(lambda x, f=f: f(ops.sum(x)))(X)


def test_values_of_constants_are_known():
    def f(x):
        xp = x.__array_namespace__()
        mask = xp.asarray([True, False, True])
        assert bool(xp.any(mask))
        assert int(xp.sum(xp.ones_like(x))) == 3
        assert float(xp.ones(())) == 1.0
        assert [10, 20][xp.asarray(1)] == 20
        assert complex(xp.ones(())) == 1
        assert np.asarray(mask).tolist() == [True, False, True]
        return x[mask]

    assert trace(f)(X).eval(X).tolist() == [1.0, 3.0]


def test_repr_shows_no_values():
    shown = []
    trace(lambda x: shown.append(repr(x)) or x + x.__array_namespace__().ones(3))(X)
    assert shown == ["RecordedArray(recorded, shape=(3,), dtype=float32)"]


BINARY = [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow,
    operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge,
]  # fmt: skip
ON_INTEGERS = [operator.and_, operator.or_, operator.xor, operator.lshift, operator.rshift]
STANDARD = {
    "sub": "subtract", "mul": "multiply", "truediv": "divide", "floordiv": "floor_divide", "mod": "remainder",
    "eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal",
    "gt": "greater", "ge": "greater_equal",
    "and_": "bitwise_and", "or_": "bitwise_or", "xor": "bitwise_xor", "lshift": "bitwise_left_shift",
    "rshift": "bitwise_right_shift", "neg": "negative", "pos": "positive", "invert": "bitwise_invert",
}  # fmt: skip


@pytest.mark.parametrize("op", BINARY + ON_INTEGERS, ids=lambda op: op.__name__)
def test_operators_either_way(op, backend):
    host = (
        np.asarray([1, 2, 3], dtype="int32") if op in ON_INTEGERS else np.asarray([1.0, 2.0, 3.0], "float32")
    )
    x, number = backend.asarray(host), 2 if op in ON_INTEGERS else 2.0
    program, (one, two, three) = record(lambda x: (op(x, x), op(x, number), op(number, x)), (x,))
    name = STANDARD.get(op.__name__, op.__name__)
    mirrored = {
        "less": "greater",
        "greater": "less",
        "less_equal": "greater_equal",
        "greater_equal": "less_equal",
    }
    assert [call.name for call in program.calls] == [name, name, mirrored.get(name, name)]
    for found, expected in ((one, op(host, host)), (two, op(host, number)), (three, op(number, host))):
        np.testing.assert_array_equal(backend.to_numpy(found), expected)


@pytest.mark.parametrize("op", [operator.neg, operator.pos, operator.abs, operator.invert])
def test_operators_of_one(op, backend):
    host = np.asarray([1, -2, 3], dtype="int32")
    x = backend.asarray(host)
    program, found = record(op, (x,))
    name = STANDARD.get(op.__name__, op.__name__)
    # torch's +x is x itself: nothing was done.
    assert [call.name for call in program.calls] == ([] if found is x else [name])
    np.testing.assert_array_equal(backend.to_numpy(found), op(host))


def test_plain_arrays_beside_recorded_ones():
    plain = np.asarray([1.0, 2.0, 4.0], dtype=np.float32)
    program, found = record(lambda x: (plain * x, x / plain, np.maximum(plain, x), plain @ x), (X,))
    assert [call.name for call in program.calls] == ["multiply", "divide", "maximum", "matmul"]
    assert len(program.listing.constants()) == 1
    assert found[3] == plain @ X


def test_transposes(backend):
    host = np.arange(6.0, dtype="float32").reshape(2, 3)
    program, (one, two) = record(lambda x: (x.T, x.mT), (backend.asarray(host),))
    assert [call.name for call in program.calls] == ["matrix_transpose"] * 2
    for found in (one, two):
        np.testing.assert_array_equal(backend.to_numpy(found), host.T)


def test_ufuncs_with_out_or_methods_are_refused():
    with pytest.raises(TypeError, match="does not work while a program is written down"):
        trace(lambda x: np.add(x, 1.0, out=np.zeros(3, "f")))(X)
    with pytest.raises(TypeError, match="does not work while a program is written down"):
        trace(lambda x: np.add.reduce(x))(X)
