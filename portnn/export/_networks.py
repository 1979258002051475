"""Linear layers, norms, tables of vectors and attention."""

from __future__ import annotations

from collections.abc import Sequence

from portnn.export._activations import softmax
from portnn.export._graph import Graph
from portnn.export._reductions import reduced
from portnn.export._tables import Table, narrow, unary
from portnn.export._tensors import Tensor

__all__ = ["TABLE"]


def _linear(graph: Graph, y: Tensor, x: Tensor, weight: Tensor, bias: Tensor, /) -> str:
    names = [graph.of(a, y.dtype) for a in (x, weight, bias)]
    if len(x.shape) == 2:
        return graph.add("Gemm", *names)
    return graph.add("Add", graph.add("MatMul", *names[:2]), names[2])


def _embedding(
    graph: Graph, y: Tensor, weight: Tensor, indices: Tensor, /, *, padding: int | None = None
) -> str:
    return graph.add("Gather", graph.of(weight), graph.of(indices, "int64"), axis=0)


def _standardize(graph: Graph, y: Tensor, x: Tensor, /, *, eps: float) -> str:
    """The rows (rows, width) with mean 0 and variance 1: a layer norm whose weights are ones.

    The mean is subtracted before: the rounding error of runtimes' own mean stays in the result, 10⁻⁴ of it
    for a mean of 10⁴ times the deviation.
    """
    ones = graph.stretched(graph.number(1.0, y.dtype), [], [x.shape[1]])
    return graph.add("LayerNormalization", _centred(graph, graph.of(x), 2, [1]), ones, axis=-1, epsilon=eps)


def _centred(graph: Graph, name: str, ndim: int, axes: Sequence[int]) -> str:
    return graph.add("Sub", name, reduced(graph, "ReduceMean", name, ndim, axes, True))


def _rescale(graph: Graph, y: Tensor, x: Tensor, /, *, eps: float) -> str:
    """The rows with mean square 1; ONNX has an operator for it from opset 23 on."""
    name = graph.of(x)
    mean = reduced(graph, "ReduceMean", graph.add("Mul", name, name), 2, 1, True)
    root = graph.add("Sqrt", graph.add("Add", mean, graph.number(eps, y.dtype)))
    return graph.add("Div", name, root)


def _batch_norm(
    graph: Graph, y: Sequence[Tensor], x: Tensor, weight: Tensor, bias: Tensor, /, *, eps: float
) -> list[str]:
    """By the batch at hand; with the mean and variance that were used."""
    name, ndim, dtype = graph.of(x), len(x.shape), x.dtype
    others = [0, *range(2, ndim)]
    # Twice, as portnn does: the first mean's rounding error is gone then.
    apart = _centred(graph, _centred(graph, name, ndim, others), ndim, others)
    mean = reduced(graph, "ReduceMean", name, ndim, others, True)
    variance = reduced(graph, "ReduceMean", graph.add("Mul", apart, apart), ndim, others, True)
    root = graph.add("Sqrt", graph.add("Add", variance, graph.number(eps, dtype)))
    along = [x.shape[1], *[1] * (ndim - 2)]
    scale, shift = (graph.shaped(graph.of(a, dtype), along) for a in (weight, bias))
    result = graph.add("Add", graph.add("Mul", graph.add("Div", apart, root), scale), shift)
    return [result, *[graph.shaped(a, y[1].shape) for a in (mean, variance)]]


def _attention(
    graph: Graph, y: Tensor, q: Tensor, k: Tensor, v: Tensor, /, *mask: Tensor, scale: float
) -> str:
    """``softmax(scale q kᵀ) v``; with a mask by its parts, since a row without anything gives zeros."""
    if mask or any(a.dtype != y.dtype for a in (q, k, v)):
        return NotImplemented
    n = len(k.shape)
    turned = graph.transposed(graph.of(k), [*range(n - 2), n - 1, n - 2])
    scaled = graph.add("Mul", graph.of(q), graph.number(scale, y.dtype))
    weights = softmax(graph, graph.add("MatMul", scaled, turned), -1)
    return graph.add("MatMul", weights, graph.of(v))


TABLE: Table = {
    "attention": _attention,
    "batch_norm": _batch_norm,
    "embedding": _embedding,
    "erf": narrow(unary("Erf")),
    "linear": _linear,
    "rescale": _rescale,
    "standardize": _standardize,
}
