"""A graph as a model of the package `onnx`: checked, and written to a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from portnn._version import __version__
from portnn.export._errors import ExportError
from portnn.export._graph import Graph, Node
from portnn.export._tensors import Size, Tensor

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["need_onnx", "to_model"]

OPSET, IR = 20, 10
_MOST = 2**31  # bytes in a message of Protocol Buffers


def need_onnx() -> Any:
    """The package `onnx`.

    Raises:
        ImportError: if it is not installed; the message says how to install it.
    """
    try:
        import onnx
        import onnx.checker
        import onnx.helper
        import onnx.numpy_helper
    except ImportError as error:
        raise ImportError('ONNX files need the package onnx: pip install "portnn[onnx]"') from error
    return onnx


def to_model(
    graph: Graph,
    inputs: Mapping[str, Tensor],
    outputs: Mapping[str, tuple[str, Tensor]],
    about: Mapping[str, str],
) -> ModelProto:
    """The model, checked in full.

    Args:
        graph: the operators and constants.
        inputs: the inputs, by name.
        outputs: for each output its name inside the graph, and what it is.
        about: what is known of the network.
    """
    onnx = need_onnx()
    helper = onnx.helper
    size = sum([a.nbytes for a in graph.constants.values()])
    if size >= _MOST:
        raise ExportError(f"the parameters take {size / 2**30:.1f} GiB; a model in one file can have 2")
    nodes = _needed(_with_outputs(graph, outputs), outputs)
    read = {name for node in nodes for name in node.inputs}
    made = helper.make_graph(
        [_node(onnx, node) for node in nodes],
        "portnn",
        [_declared(onnx, name, tensor) for name, tensor in inputs.items()],
        [_declared(onnx, name, tensor) for name, (_, tensor) in outputs.items()],
        [onnx.numpy_helper.from_array(a, name) for name, a in graph.constants.items() if name in read],
    )
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(
        made, opset_imports=[opset], ir_version=IR, producer_name="portnn", producer_version=__version__
    )
    helper.set_model_props(model, dict(about))
    onnx.checker.check_model(model, full_check=True)
    return model


def _with_outputs(graph: Graph, outputs: Mapping[str, tuple[str, Tensor]]) -> list[Node]:
    """The operators, of which the last ones give the outputs their names."""
    renamed: dict[str, str] = {}
    copies = []
    for name, (inner, _) in outputs.items():
        if graph.maker(inner) is None or inner in renamed:  # an input, a constant, or another output as well
            copies.append(Node("Identity", f"{name}/Identity", (renamed.get(inner, inner),), (name,), {}))
        else:
            renamed[inner] = name
    return [_with_names(node, renamed) for node in graph.nodes] + copies


def _with_names(node: Node, renamed: Mapping[str, str]) -> Node:
    inputs, outputs = ([renamed.get(name, name) for name in names] for names in (node.inputs, node.outputs))
    return replace(node, inputs=tuple(inputs), outputs=tuple(outputs))


def _needed(nodes: Sequence[Node], names: Iterable[str]) -> list[Node]:
    """The operators that have a part in what is wanted."""
    wanted, kept = set(names), []
    for node in reversed(nodes):
        if wanted.intersection(node.outputs):
            kept.append(node)
            wanted.update(node.inputs)
    return kept[::-1]


def _node(onnx: Any, node: Node) -> Any:
    attributes = dict(node.attributes)
    if node.op == "Cast":
        attributes["to"] = _dtype(onnx, attributes["to"])
    return onnx.helper.make_node(node.op, node.inputs, node.outputs, name=node.name, **attributes)


def _declared(onnx: Any, name: str, tensor: Tensor) -> Any:
    """An input or an output: its dtype and shape, with a name for lengths that follow the batch."""
    shape = [str(length) if isinstance(length, Size) else length for length in tensor.shape]
    return onnx.helper.make_tensor_value_info(name, _dtype(onnx, tensor.dtype), shape)


def _dtype(onnx: Any, name: str) -> int:
    """The number of a dtype in the format."""
    words = {"float32": "FLOAT", "float64": "DOUBLE", "complex64": "COMPLEX64", "complex128": "COMPLEX128"}
    return int(onnx.TensorProto.DataType.Value(words.get(name, name.upper())))
