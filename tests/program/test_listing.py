"""What a program looks like, in words and as a graph."""

from __future__ import annotations

import re
from functools import partial

import numpy as np
import pytest

from portnn import Program, lockstep, ops, program
from portnn import trace as public_trace
from portnn.autodiff import grad, value_and_grad
from portnn.program import record, trace
from portnn.tracing import primitive
from tests.program.networks import layers, loss, predict, step, step_arguments

X = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)


def names(f, *args):
    return [line.name for line in trace(f)(*args).lines]


def test_public_names():
    assert public_trace is trace
    assert lockstep is program.lockstep
    assert isinstance(trace(ops.exp)(X), Program)


def test_a_line_for_each_primitive():
    params = layers(3, 4, 2)
    assert names(predict, params, X) == ["linear", "tanh", "linear"]
    lines = trace(predict)(params, X).lines
    assert [len(line.calls) for line in lines] == [2, 1, 2]
    assert all(line.is_primitive for line in lines)


def test_calls_outside_primitives_have_lines_of_their_own():
    assert names(lambda x: ops.exp(x) + x.mT[0, 0], X) == ["exp", "matrix_transpose", "getitem", "add"]


def test_gradient_and_update_are_lines():
    found = names(step, *step_arguments())
    assert found[:5] == ["linear", "tanh", "linear", "in_range", "label_cross_entropy"]
    assert {"matmul", "sqrt", "divide"} < set(found)


def test_repeated_and_dead_lines_are_gone():
    def f(x):
        ops.exp(x)  # for nobody
        return ops.softmax(x) + ops.softmax(x), ops.sum(x * 1.0), ops.reshape(x, (2, 3))

    assert names(f, X) == ["softmax", "add", "sum"]
    assert len(record(f, (X,))[0].written.lines) == 7


def test_a_name_alone_is_no_reason_to_leave_a_line_out():
    @primitive
    def multiply(x, y):
        return x - y

    found = trace(lambda x: (multiply(x, 1.0), multiply(multiply(x, 1.0), 1.0)))(X)
    assert [line.name for line in found.lines] == ["multiply", "multiply"]
    assert found.eval(X)[1].tolist() == ((X - 1) - 1).tolist()


def test_a_primitive_that_reads_other_arrays_is_shown_by_its_calls():
    def outer(x, w):
        @primitive
        def inner(x):
            return ops.exp(x) * w

        return inner(x)

    assert names(outer, X, X) == ["exp", "multiply"]


def test_constants_made_inside_a_primitive_are_its_own_affair():
    @primitive
    def shifted(x):
        return x + x.__array_namespace__().arange(3, dtype=x.dtype)

    found = trace(lambda x: shifted(x) * x.__array_namespace__().arange(3, dtype=x.dtype))(X)
    assert [line.name for line in found.lines] == ["shifted", "multiply"]
    assert len(found.listing.constants()) == 1


def test_text_of_a_small_program():
    half = np.float32(0.5)
    table = np.ones((2, 3), dtype=np.float32)

    def f(params, x):
        y = ops.sum(params["w"] * x, axis=-1) * half
        return {"y": y[1:], "table": table}, None

    assert str(trace(f)({"w": X}, X)).splitlines() == [
        "f(params.w, x)",
        "inputs",
        "  params.w  float32[2, 3]",
        "  x         float32[2, 3]",
        "constants",
        "  c0        float32[]      = 0.5",
        "  c1        float32[2, 3]",
        "lines",
        "  %0        float32[2, 3]  multiply(params.w, x)",
        "  %1        float32[2]     sum(%0, axis=1, dtype=None, keepdims=False)",
        "  %2        float32[2]     multiply(%1, c0)",
        "  %3        float32[1]     getitem(%2, 1:)",
        "result",
        "  ({'y': %3, 'table': c1}, None)",
        "4 lines, 14 flops, 124 bytes",
    ]


def test_every_kind_of_argument_has_a_form():
    def f(x):
        y = x[..., None, 0, ::2]
        return ops.concat([y, y]), ops.astype(x, np.float64), ops.fft.fft(ops.astype(x, np.complex64), n=4)

    text = str(trace(f)(X[None]))
    assert "getitem(x, (..., None, 0, ::2))" in text
    assert re.search(r"concat\(.*%0, %0", text)
    assert "dtype=float64" in text
    assert "complex64[1, 2, 4]" in text


def test_arrays_and_long_options_are_never_dumped():
    @primitive
    def told(x, *, note):
        return x + 1.0

    text = str(trace(lambda x: told(x * np.full((2, 3), 7.25, "f"), note="ha " * 1000))(X))
    assert "7.25" not in text
    assert max(map(len, text.splitlines())) < 200
    assert "ha ha" in text


@pytest.mark.parametrize("dtype", ["float32", "int32", "bool", "complex64", "uint8"])
def test_numbers_among_the_constants_are_shown(dtype):
    one = np.asarray(1, dtype=dtype)
    text = str(trace(lambda x: ops.where(x > 0.0, one, one))(X))
    shown = {"float32": "1.0", "bool": "True", "complex64": "(1+0j)"}.get(dtype, "1")
    assert f"{dtype}[]  " in text
    assert f"= {shown}\n" in text


def test_listing_on_every_backend(backend):
    params = [{k: backend.asarray(v) for k, v in p.items()} for p in layers(3, 4, 2)]
    found = trace(value_and_grad(loss))(
        params, backend.asarray(X), backend.asarray(np.asarray([0, 1], "int32"))
    )
    text = str(found)
    assert "linear(params.0" not in text  # value_and_grad hides the names of the parameters
    assert "linear(" in text
    assert "float32[2, 4]" in text


def test_labels_without_names_of_parameters():
    assert str(trace(lambda *xs: xs[0] + xs[1])(X, X)).startswith("<lambda>(0, 1)")
    assert str(trace(partial(ops.clip, min=0.0))(X)).startswith("partial(x)")
    assert trace(grad(lambda x: ops.sum(x * x)))(X).names == ("0",)


def test_repr_is_short():
    assert repr(trace(ops.linear)(X, X.T, X[:, 0])) == "<Program linear: 2 calls>"
    assert repr(trace(ops.softmax)(X).lines[0]) == "Line(softmax)"


def test_no_arrays_nothing_to_trace():
    with pytest.raises(TypeError, match="trace: expected at least one array among the arguments"):
        trace(lambda n: n)(3)


def test_traced_arguments_and_leaking_results():
    with pytest.raises(TypeError, match="argument 0 is being recorded already"):
        grad(lambda x: trace(ops.sum)(x).eval(x))(X)
    with pytest.raises(TypeError, match="returned an array of a call of grad"):
        grad(lambda x: ops.sum(trace(lambda y: x * y)(X).eval(X)))(X)


def test_dot_is_quoted_safely():
    @primitive
    def odd(x, *, note):
        return x + 1.0

    def f(x):
        return odd(x, note='say "no" \\ <b>\n')

    f.__name__ = 'a "strange" name'
    text = trace(f)(X).to_dot()
    assert text.startswith('digraph "a \\"strange\\" name" {')
    for line in text.splitlines():
        unescaped = re.sub(r"\\.", "", line)
        assert unescaped.count('"') % 2 == 0
    assert '\\"' in text
    assert "<b>" in text


def test_dot_has_an_arrow_for_each_argument():
    text = trace(lambda x, y: (ops.softmax(x * y), x))(X, X).to_dot()
    arrows = re.findall(r"(\w+) -> (\w+)", text)
    assert arrows == [
        ("input0", "line0"), ("input1", "line0"), ("line0", "line1"), ("line1", "result0"),
        ("input0", "result1"),
    ]  # fmt: skip
