"""A table of a network: layers, output shapes, parameters."""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass
from math import prod
from typing import Any

from portnn import tree
from portnn.backend import Backend
from portnn.nn import Layer, Linear, Sequential

__all__ = ["summarize"]


def input_shape_of(layer: Layer) -> tuple[int, ...] | None:
    """The shape of one sample, if the first layer says it."""
    if layer.members:
        return None if layer.further_inputs else input_shape_of(layer.members[0])
    return (layer.in_features,) if isinstance(layer, Linear) else None


def summarize(
    layer: Layer, params: Any, state: Any, backend: Backend, dtype: str, shape: tuple[int, ...] | None
) -> str:
    """A table with a line a layer.

    Args:
        layer: the network's description.
        params: its parameters.
        state: its running state.
        backend: where they lie.
        dtype: the dtype of its input.
        shape: the shape of one sample; None leaves out the output shapes.

    Returns:
        Several lines of text.
    """
    parts = layer.layers if isinstance(layer, Sequential) else (layer,)
    if parts == (layer,):
        params, state = (params,), (state,)
    x = (
        None
        if shape is None
        else backend.xp.zeros((1, *shape), dtype=backend.dtype(dtype), device=backend.device)
    )
    rows = [("layer", "output", "parameters")]
    total = 0
    for part, p, s in zip(parts, params, state, strict=True):
        count = sum(prod(a.shape) for a in tree.leaves(p))
        total += count
        if x is not None:
            x = part.apply(p, x, state=s)[0]
        rows.append((_name(part), "?" if x is None else str(tuple(x.shape[1:])), f"{count:,}"))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    lines = [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}" for a, b, c in rows]
    rule = "-" * len(lines[0])
    return "\n".join([lines[0], rule, *lines[1:], rule, f"{total:,} parameters, {dtype}, on {backend.name}"])


def _name(layer: Layer) -> str:
    if isinstance(layer, Linear):
        return f"Linear({layer.in_features}, {layer.out_features}{'' if layer.bias else ', bias=False'})"
    text = repr(layer)
    if len(text) > 40 and is_dataclass(layer):
        text = _short(layer)
    return text if len(text) <= 40 else f"{type(layer).__name__}(...)"


def _short(layer: Any) -> str:
    """A layer by what it has to be told, such as ``Conv2d(1, 16, 5)``; a tuple of one number as that."""
    needed = [f.name for f in fields(layer) if f.default is MISSING and f.default_factory is MISSING]
    values = [getattr(layer, name) for name in needed]
    once = [v[0] if isinstance(v, tuple) and v and set(v) == {v[0]} else v for v in values]
    return f"{type(layer).__name__}({', '.join(map(repr, once))})"
