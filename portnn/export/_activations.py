"""Activations that are operators of ONNX."""

from __future__ import annotations

from portnn.export._graph import Graph
from portnn.export._tables import Table, Translation, narrow, unary
from portnn.export._tensors import Tensor

__all__ = ["TABLE", "softmax"]


def _leaky_relu(graph: Graph, y: Tensor, x: Tensor, /, *, negative_slope: float = 0.01) -> str:
    return graph.add("LeakyRelu", graph.of(x), alpha=float(negative_slope))


def _silu(graph: Graph, y: Tensor, x: Tensor, /) -> str:
    name = graph.of(x)
    return graph.add("Mul", name, graph.add("Sigmoid", name))


def _exponential_linear(
    graph: Graph, y: Tensor, x: Tensor, /, *, positive: float, negative: float, rate: float
) -> str:
    """Clevert's, Klambauer's or Barron's, by their numbers."""
    name = graph.of(x)
    if positive == 1.0 and rate == 1.0:
        return graph.add("Elu", name, alpha=negative)
    if positive == 1.0:
        return graph.add("Celu", name, alpha=negative)
    return graph.add("Selu", name, alpha=negative / positive, gamma=positive)


def _softmax(op: str) -> Translation:
    def translate(graph: Graph, y: Tensor, x: Tensor, /, *, axis: int) -> str:
        name = graph.of(x)
        return NotImplemented if masked(graph, name) else softmax(graph, name, axis, op)

    return translate


def softmax(graph: Graph, name: str, axis: int, op: str = "Softmax") -> str:
    """`Softmax` or `LogSoftmax`."""
    return graph.add(op, name, axis=axis)


def masked(graph: Graph, name: str) -> bool:
    """Whether elements are -inf by a mask: of a row of nothing else ONNX makes NaN, and portnn zeros."""
    maker = graph.maker(name)
    if maker is None or maker.op not in ("Add", "Where"):
        return False
    values = [graph.constants[i] for i in maker.inputs if i in graph.constants]
    return any(bool((value == -float("inf")).any()) for value in values)


TABLE: Table = {
    "exponential_linear": narrow(_exponential_linear),
    "gelu_exact": narrow(unary("Gelu", approximate="none")),
    "gelu_tanh": narrow(unary("Gelu", approximate="tanh")),
    "hard_sigmoid": narrow(unary("HardSigmoid", alpha=1.0 / 6.0, beta=0.5)),
    "hard_swish": narrow(unary("HardSwish")),
    "leaky_relu": narrow(_leaky_relu),
    "log_softmax": _softmax("LogSoftmax"),
    "mish": narrow(unary("Mish")),
    "relu": unary("Relu"),
    "sigmoid": unary("Sigmoid"),
    "silu": _silu,
    "softmax": _softmax("Softmax"),
    "softplus": narrow(unary("Softplus")),
    "softsign": narrow(unary("Softsign")),
}
