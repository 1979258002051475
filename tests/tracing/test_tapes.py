"""Tapes: which calls are written down, and which of them a primitive made."""

from __future__ import annotations

import numpy as np
import pytest

from portnn import ops
from portnn.autodiff import value_and_grad
from portnn.tracing import RecordedArray, Tape, Value, namespace, primitive, recorded

X = np.asarray([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32)


def write(f, *arrays):
    """The tape of a function of arrays, and what it returned."""
    box = recorded(namespace(*arrays)).array
    with Tape() as tape:
        result = f(*[box(x, tape, Value(x)) for x in arrays])
    return tape, result


def units(tape):
    return [(unit.name, unit.start, unit.stop) for unit in tape.units]


def test_calls_of_a_primitive_are_its_unit():
    tape, _ = write(lambda x: ops.softmax(x) + 1.0, X)
    assert units(tape) == [("_softmax", 0, len(tape.calls) - 1)]
    assert tape.calls[-1].name == "add"


def test_a_primitive_within_a_primitive_is_not_noted():
    @primitive
    def outer(x):
        return ops.exp(ops.softmax(x))

    tape, _ = write(outer, X)
    assert units(tape) == [("outer", 0, len(tape.calls))]


def test_an_error_inside_leaves_the_tape_usable():
    @primitive
    def failing(x):
        raise ValueError("no")

    def f(x):
        with pytest.raises(ValueError, match="no"):
            failing(x)
        return ops.exp(x)

    tape, _ = write(f, X)
    assert units(tape) == [("exp", 0, 1)]


def test_what_is_read_decides_whether_a_unit_is_noted():
    plain = np.ones(2, dtype=np.float32)

    def reads(g):
        tape, _ = write(lambda x, y: primitive(lambda a: g(a, y))(x), X, X)
        return bool(tape.units)

    assert not reads(lambda x, y: x + y)
    assert not reads(lambda x, y: x * plain)
    assert not reads(lambda x, y: (x + 1.0, y))
    assert not reads(lambda x, y: (x + 1.0, plain))
    assert reads(lambda x, y: x * x.__array_namespace__().ones(2, dtype=x.dtype))
    assert reads(lambda x, y: (x + 1.0, x))
    before = []

    def late(x):
        before.append(x.__array_namespace__().ones(2, dtype=x.dtype))
        return primitive(lambda a: a * before[0])(x)

    tape, _ = write(late, X)
    assert tape.calls
    assert not tape.units


def test_what_is_made_of_plain_arguments_inside_is_the_primitives_own():
    @primitive
    def weighted(x, w):
        return x * w[..., None]

    tape, _ = write(lambda x: weighted(x, np.ones(2, dtype=np.float32)), X)
    assert units(tape) == [("weighted", 0, 1)]
    assert [value.constant is None for value in tape.calls[0].inputs()] == [True, False]


def test_plain_arguments_beside_recorded_ones(backend):
    plain = backend.asarray(X)
    tape, _ = write(lambda w: ops.linear(plain, w, w[0, ...]), backend.asarray(X))
    assert [call.name for call in tape.calls] == ["getitem", "matmul", "add"]


def test_constants_are_not_on_the_tape():
    def f(x):
        xp = x.__array_namespace__()
        ones = xp.exp(xp.zeros_like(x)) + xp.ones((2, 2), dtype=x.dtype)
        assert isinstance(ones, RecordedArray)
        return x * ones

    tape, _ = write(f, X)
    assert [call.name for call in tape.calls] == ["multiply"]
    assert tape.calls[0].inputs()[1].constant.tolist() == [[2.0, 2.0], [2.0, 2.0]]


def test_a_constant_is_one_value():
    plain = np.ones(2, dtype=np.float32)
    tape, _ = write(lambda x: x * plain + plain, X)
    one, two = tape.calls
    assert one.inputs()[1] is two.inputs()[1]


def test_a_call_that_does_nothing_is_not_written():
    tape, result = write(lambda x: x.__array_namespace__().astype(x, np.float32, copy=False), X)
    assert tape.calls == []
    assert result.value is X


def test_values_know_shape_dtype_and_layout():
    tape, _ = write(lambda x: x.mT, X)
    value = tape.calls[0].result
    assert (value.shape, value.dtype, value.strides, value.size) == ((2, 2), np.float32, (4, 8), 4)
    assert repr(value) == "Value(float32[2, 2])"
    assert repr(tape.calls[0]) == "Call(matrix_transpose)"


def test_gradients_are_on_the_tape():
    tape, _ = write(lambda x: value_and_grad(lambda x: ops.sum(ops.exp(x)))(x), X)
    names = [call.name for call in tape.calls]
    assert names[:2] == ["exp", "sum"]
    assert len(names) > 2


def test_tapes_close():
    from portnn.tracing._tape import open_tapes

    with pytest.raises(ZeroDivisionError):
        write(lambda x: 1 / 0, X)
    assert open_tapes == []
