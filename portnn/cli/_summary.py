"""``portnn summary``."""

from __future__ import annotations

from math import prod
from typing import Any

from click import UsageError

from portnn import tree
from portnn.cli._saved import open_network, shape_of
from portnn.cli._terminal import count, emit, short
from portnn.nn import describe

__all__ = ["run"]


def run(*, network: str, shape: str | None, as_json: bool) -> None:
    """Show the layers of a network and what its file says of its data."""
    net, notes = open_network(network, "cpu")
    try:
        sample: Any = shape_of(net, notes, shape)
    except UsageError:
        if shape:
            raise
        sample = None
    parameters = sum(prod(a.shape) for a in tree.leaves(net.params))
    data = {
        "parameters": parameters, "dtype": net.dtype, "seed": net.seed, "epochs": net.epochs,
        "steps": net.steps, "shape": sample, "layers": describe(net.layer), **notes,
    }  # fmt: skip
    lines = [
        net.summary(sample),
        f"{notes['task']}, trained for {count(net.epochs, 'epoch')}, seed {net.seed}",
    ]
    for name in ("classes", "targets", "features"):
        if notes.get(name):
            words = ", ".join(map(short, notes[name][:12])) + (", ..." if len(notes[name]) > 12 else "")
            lines.append(f"{name}: {words}")
    emit("\n".join(lines), data, as_json)
