"""Steps of recurrent layers: gates are cut apart by one operator, and are sigmoids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from portnn.export._graph import Graph
from portnn.export._tables import Table
from portnn.export._tensors import Tensor

__all__ = ["TABLE"]


def _parts(graph: Graph, name: str, n: int) -> tuple[str, ...]:
    """The gates, which stand side by side."""
    return graph.several("Split", [name], [graph.dtype(name)] * n, axis=1, num_outputs=n)


def _product(graph: Graph, y: Tensor, h: Tensor, w: Tensor) -> str:
    return graph.add("MatMul", graph.of(h, y.dtype), graph.of(w, y.dtype))


def _rnn_step(graph: Graph, y: Tensor, x: Tensor, h: Tensor, w: Tensor, /, *, activation: str) -> str:
    total = graph.add("Add", graph.of(x, y.dtype), _product(graph, y, h, w))
    return graph.add("Tanh" if activation == "tanh" else "Relu", total)


def _gru_step(graph: Graph, y: Tensor, x: Tensor, h: Tensor, w: Tensor, b: Tensor, /) -> str:
    """``r, z = σ(x + h w),  m = tanh(x + r (h w + b)),  y = m + z (h - m)``."""
    into = _parts(graph, graph.of(x, y.dtype), 3)
    back = _parts(graph, _product(graph, y, h, w), 3)
    r, z = (graph.add("Sigmoid", graph.add("Add", *both)) for both in zip(into[:2], back[:2], strict=True))
    reset = graph.add("Mul", r, graph.add("Add", back[2], graph.of(b, y.dtype)))
    m = graph.add("Tanh", graph.add("Add", into[2], reset))
    return graph.add("Add", m, graph.add("Mul", z, graph.add("Sub", graph.of(h, y.dtype), m)))


def _lstm_step(graph: Graph, y: Sequence[Tensor], x: Tensor, h: Tensor, c: Tensor, w: Tensor, /) -> list[Any]:
    """``i, f, o = σ(x + h w),  m = tanh(x + h w),  e = f c + i m,  y = o tanh(e)``."""
    dtype = y[0].dtype
    total = graph.add("Add", graph.of(x, dtype), _product(graph, y[0], h, w))
    i, f, m, o = _parts(graph, total, 4)
    kept = graph.add("Mul", graph.add("Sigmoid", f), graph.of(c, dtype))
    e = graph.add("Add", kept, graph.add("Mul", graph.add("Sigmoid", i), graph.add("Tanh", m)))
    return [graph.add("Mul", graph.add("Sigmoid", o), graph.add("Tanh", e)), e]


TABLE: Table = {"gru_step": _gru_step, "lstm_step": _lstm_step, "rnn_step": _rnn_step}
