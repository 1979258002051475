"""What follows the batch: shapes, slices, constants; and what ONNX cannot say of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import portnn as pn
from portnn import nn, ops
from portnn.export import ExportError, export_onnx
from tests.export.run import Runtime, agree, compare

FUNCTIONS: dict[str, tuple[Callable[..., Any], Any]] = {
    "flattened": (lambda x: ops.reshape(x, (-1,)), (3, 2)),
    "batch and time as one": (lambda x: ops.reshape(x, (x.shape[0] * x.shape[1], 2)), (3, 2)),
    "shape of two that follow": (lambda x: ops.reshape(x @ x.T, (x.shape[0], 1, x.shape[0])), (3,)),
    "every pair": (lambda x: ops.expand_dims(x, axis=1) - x, (3,)),
    "broadcast": (lambda x: ops.broadcast_to(ops.sum(x, axis=0), (2, x.shape[0], 3)), (3,)),
    "last sample": (lambda x: x[-1, ...], (3,)),
    "last sample by number": (lambda x: x[x.shape[0] - 1, :], (3,)),
    "all but the last": (lambda x: x[: x.shape[0] - 1, 1:], (3,)),
    "backwards": (lambda x: x[::-1, ::-2], (5,)),
    "backwards from the second last": (lambda x: x[:, -2::-1], (5,)),
    "new axes": (lambda x: x[:, None, 1, ..., None], (3, 4)),
    "turned": (lambda x: ops.flip(x), (3, 2)),
    "zeros": (lambda x: ops.concat([ops.zeros((x.shape[0], 2), dtype="float32", like=x), x], axis=1), (3,)),
    "full": (lambda x: x + ops.full((x.shape[0], 1), 2.5, dtype="float32", like=x), (3,)),
    "table for each": (lambda x: x + ops.zeros((x.shape[0], 3), dtype="float32", like=x) + 1.0, (3,)),
    "numbered": (lambda x: x[:, 0] * ops.arange(x.shape[0], dtype="float32", like=x), (3,)),
    "times the batch": (lambda x: x * x.shape[0], (3,)),
    "mean over the batch": (lambda x: x - ops.mean(x, axis=0), (3,)),
    "deviation over the batch": (lambda x: ops.std(x, axis=0, keepdims=True), (3,)),
    "sums so far": (lambda x: ops.cumulative_sum(x, axis=0, include_initial=True), (3,)),
    "order of the batch": (lambda x: (ops.argsort(x, axis=0), ops.sort(x, axis=0, descending=True)), (3,)),
    "largest of all": (lambda x: (ops.argmax(x), ops.argmax(x, axis=0), ops.max(x)), (3,)),
    "taken": (lambda x: ops.take(x, ops.asarray([2, 0, -1], like=x, dtype="int64"), axis=1), (3,)),
    "taken along": (lambda x: ops.take_along_axis(x, ops.argsort(x, axis=1)[:, :2], axis=1), (4,)),
    "taken along, broadcast": (
        lambda x: ops.take_along_axis(x, ops.asarray([[1, 0]], like=x, dtype="int64"), axis=1), (4,)
    ),
    "indexed by arrays": (
        lambda x: x[ops.asarray([0, 0], like=x), ops.asarray([2, 1], like=x)], (3,)
    ),
    "repeated": (lambda x: ops.repeat(x, 2, axis=0), (3,)),
    "tiled": (lambda x: ops.tile(x, (2, 1, 2)), (3,)),
    "rolled": (lambda x: ops.roll(x, (1, -2), axis=(1, 2)), (3, 4)),
    "chosen": (lambda x: ops.where(x > 0.0, x, -1.0), (3,)),
    "counted": (lambda x: ops.sum(ops.astype(x > 0.0, "int32"), axis=1), (4,)),
    "any and all": (lambda x: (ops.any(x > 1.0, axis=1), ops.all(x > -1.0, axis=0)), (3,)),
    "unpacked": (lambda x: tuple(ops.unstack(x, axis=1)), (3, 2)),
    "the input": (lambda x: (x, x, ops.exp(x)), (3,)),
    "a constant": (lambda x: ops.asarray([1.0, 2.0], like=x, dtype="float32"), (3,)),
    "float64 inside": (lambda x: ops.astype(ops.sum(ops.astype(x, "float64"), axis=1), "float32"), (3,)),
    "matrices of vectors": (lambda x: (ops.vecdot(x, x), ops.tensordot(x, x, axes=((1,), (1,)))), (3,)),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_of_a_batch(name: str):
    f, shape = FUNCTIONS[name]
    agree(export_onnx(f, input_shape=shape), f, shape)


INTEGERS: dict[str, tuple[Callable[..., Any], str]] = {
    "bytes": (lambda x: ops.astype(x, "float32") / 255, "uint8"),
    "bytes wrap around": (lambda x: x * x, "uint8"),
    "remainder": (lambda x: (x - 3) % 3, "int32"),
    "floor division": (lambda x: (x - 3) // 2, "int64"),
    "by a number": (lambda x: x * 0.5, "int64"),
    "compared": (lambda x: (x > 2, x == 3, x < 2.5), "int64"),
    "with floats": (
        lambda x: ops.astype(x, "float32") + ops.asarray([0.5], like=x, dtype="float64"),
        "int32",
    ),
    "bits": (lambda x: (x & 5) | (x ^ 2), "int64"),
    "powers": (lambda x: ops.astype(x, "float32") ** 2, "int64"),
    "mean": (lambda x: ops.mean(ops.astype(x, "float64"), axis=1), "int16"),
    "clipped": (lambda x: ops.clip(x, 1, 4), "int64"),
}


@pytest.mark.parametrize("name", INTEGERS)
def test_integers(name: str):
    f, dtype = INTEGERS[name]
    agree(export_onnx(f, input_shape=(3,), input_dtype=dtype), f, (3,))


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint8", "uint16", "uint32"])
def test_integers_of_few_bits(dtype: str):
    def f(x: Any) -> Any:
        y = x * x - x
        least = ops.minimum(y, x)
        return (
            ops.where(y > least, y, least),
            ops.sum(x, axis=1),
            ops.max(y, axis=1),
            ops.sort(y, axis=1),
            x == y,
        )

    agree(export_onnx(f, input_shape=(3,), input_dtype=dtype), f, (3,))


def test_several_inputs():
    def f(x: Any, y: Any) -> Any:
        return {"sum": x + ops.astype(y, "float32"), "product": ops.matmul(x, ops.astype(y, "float32").T)}

    shapes = {"x": (4,), "y": (4,)}
    model = export_onnx(f, input_shape=shapes, input_dtype={"y": "int64"})
    assert [i.name for i in model.graph.input] == ["x", "y"]
    shapes_of = [
        [d.dim_param or d.dim_value for d in o.type.tensor_type.shape.dim] for o in model.graph.output
    ]
    assert shapes_of == [["n", 4], ["n", "n"]]
    assert [o.name for o in model.graph.output] == ["y.sum", "y.product"]
    agree(model, lambda x, y: list(f(x, y).values()), shapes)


def test_an_input_may_have_the_name_of_the_output():
    model = export_onnx(ops.add, input_shape={"x": (2,), "y": (2,)})
    assert [o.name for o in model.graph.output] == ["y_"]
    agree(model, ops.add, {"x": (2,), "y": (2,)})


REFUSED = {
    "share": (lambda x: ops.sum(x, axis=0) * (1 / x.shape[0]), r"multiply.*a number \(0.5, 0.3333.*0.2\)"),
    "share for each": (
        lambda x: x * ops.full((x.shape[0], 1), 1 / x.shape[0], dtype="float32", like=x),
        r"multiply.*a constant float32\[n, 1\]",
    ),
    "half numbers": (
        lambda x: x[:, 0] * (ops.arange(x.shape[0], dtype="float32", like=x) * 0.5),
        r"a constant float32\[n\]",
    ),
    "half": (lambda x: x[: x.shape[0] // 2, :], r"getitem.*a number \(1, 1, 2\)"),
    "square": (lambda x: ops.reshape(ops.matmul(x, x.T), (x.shape[0] ** 2,)), r"reshape.*4, 9, 25"),
    "unit": (
        lambda x: ops.matmul(ops.eye(x.shape[0], dtype="float32", like=x), x),
        "a constant float32.n, n.",
    ),
    "steps": (
        lambda x: ops.exp(x) if x.shape[0] > 2 else x,
        "other things for a batch of 2 than for one of 3",
    ),
    "parts": (lambda x: tuple(ops.unstack(x)), "unstack: the number"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_onnx_cannot_say_of_a_batch(name: str):
    f, text = REFUSED[name]
    with pytest.raises(ExportError, match=text) as caught:
        export_onnx(f, input_shape=(3,))
    assert "batch_size=n" in str(caught.value)
    assert len(str(caught.value)) < 300
    model = export_onnx(f, input_shape=(3,), batch_size=4)
    x = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    compare(Runtime(model)(x), f(x))
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 4


def test_norm_by_the_batch_needs_no_fixed_size():
    net = pn.Network([nn.BatchNorm(3, track=False)])
    agree(export_onnx(net, input_shape=(3, 4)), lambda x: net.layer.apply(net.params, x), (3, 4))
