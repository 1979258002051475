"""A listing as a graph, in the language of Graphviz."""

from __future__ import annotations

from portnn.program._line import Listing
from portnn.program._text import Names, kind_of
from portnn.tracing import Value

__all__ = ["dot_text"]


def dot_text(listing: Listing) -> str:
    """Boxes for inputs and results, dashed ones for constants, ellipses for lines, arrows for arrays."""
    names = Names(listing)
    text = [f"digraph {_quoted(listing.name)} {{", "  rankdir=TB;"]
    nodes: dict[int, str] = {}

    def add(node: str, shape: str, *label: str) -> None:
        text.append(f"  {node} [{shape}, label={_quoted(*label)}];")

    def arrow(value: Value, end: str) -> None:
        if id(value) in nodes:
            text.append(f"  {nodes[id(value)]} -> {end} [label={_quoted(kind_of(value))}];")

    for i, value in enumerate(listing.inputs):
        nodes[id(value)] = f"input{i}"
        add(f"input{i}", "shape=box", names[value], kind_of(value))
    for i, value in enumerate(names.constants):
        nodes[id(value)] = f"constant{i}"
        add(f"constant{i}", "shape=box, style=dashed", names[value], kind_of(value))
    for i, line in enumerate(listing.lines):
        nodes.update({id(value): f"line{i}" for value in line.outputs() if id(value) not in nodes})
        add(f"line{i}", "shape=ellipse", names.results(line), names.call(line))
        for value in {id(value): value for value in line.inputs()}.values():
            arrow(value, f"line{i}")
    for i, value in enumerate(listing.results()):
        add(f"result{i}", "shape=box, peripheries=2", f"result {i}")
        arrow(value, f"result{i}")
    return "\n".join([*text, "}"])


def _quoted(*lines: str) -> str:
    """Text between double quotes, as Graphviz reads it; lines are broken by its sign for that."""
    safe = [line.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") for line in lines]
    return '"' + "\\n".join(safe) + '"'
