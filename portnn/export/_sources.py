"""What is exported, as functions of a batch: networks, functions of the user's, programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, final

from portnn import tree
from portnn._typing import Array, Tree
from portnn.backend import get_backend
from portnn.export._steps import Steps, merged
from portnn.losses import Task, link_of
from portnn.network import Network
from portnn.nn import Activation, Embedding, Flatten, Layer, Rescale, Reshape, Sequential
from portnn.program import Program, record
from portnn.random import stream

__all__ = ["Source", "first_dtype", "from_function", "from_network", "from_program"]

Samples: TypeAlias = Mapping[str, tuple[tuple[int, ...], str]]
"""For each input the shape and dtype of one sample."""

_HOST = get_backend("numpy")
_BATCHES = (2, 3, 5)
"""Sizes to trace with: two tell how a number follows the batch, the third whether that is so. Not one, since
axes of length one behave differently."""


@final
@dataclass(frozen=True, eq=False)
class Source:
    """Steps, the names of their inputs, and the arrays of those that are parameters.

    Attributes:
        steps: what is done.
        names: a name for each input of the steps.
        params: the arrays that stand for inputs, by name.
    """

    steps: Steps
    names: tuple[str, ...]
    params: dict[str, Array]


def from_program(program: Program) -> Source:
    """A program as it is, for the shapes with which it was traced."""
    return Source(merged([program], [1], []), program.written.labels, {})


def from_function(f: Callable[..., Tree], samples: Samples, batch: int | None) -> Source:
    """A function of arrays whose first axes are the batch; what it closes over are constants."""
    sizes = _BATCHES if batch is None else (batch,)
    programs = [_recorded(f, tuple(_arrays(samples, n).values())) for n in sizes]
    return Source(merged(programs, sizes, []), tuple(samples), {})


def from_network(
    net: Network, samples: Samples, batch: int | None, options: dict[str, Any], link: bool
) -> Source:
    """A network, prediction as it is after training; with `link` what its loss makes of the output."""
    if link and net.task is Task.VALUES:
        raise TypeError(
            "export_onnx: softmax=True is for networks that tell classes or labels; the loss of this one is "
            "for values, which have no probabilities"
        )
    bound = tree.map(net.backend.to_numpy, {"params": net.params, "state": net.state})
    sizes = _BATCHES if batch is None else (batch,)
    programs, marks = [], []
    for n in sizes:
        walk = _Walk()

        def forward(bound: Tree, inputs: dict[str, Array], walk: _Walk = walk) -> Tree:
            y = walk.whole(net.layer, bound, inputs, options)
            return walk.function(link_of(net.loss), y) if link else y

        programs.append(_recorded(forward, (bound, _arrays(samples, n))))
        marks = walk.marks
    arrays = dict(tree.items(bound))
    names = [path.partition(".")[2] for path in programs[0].names]
    return Source(merged(programs, sizes, marks), tuple(names), arrays)


def _recorded(f: Callable[..., Tree], args: tuple[Tree, ...]) -> Program:
    with _HOST.xp.errstate(all="ignore"):  # the values are made up
        return record(f, args)[0]


def _arrays(samples: Samples, n: int) -> dict[str, Array]:
    """Batches of made-up samples."""
    return {name: _sample((n, *shape), dtype) for name, (shape, dtype) in samples.items()}


def _sample(shape: tuple[int, ...], dtype: str) -> Array:
    """Numbers that no function stumbles over: normal ones, or zeros, which every table has a row for."""
    if dtype.startswith("float"):
        return _HOST.asarray(stream(0).normal(size=shape), dtype=dtype)
    return _HOST.xp.zeros(shape, dtype=dtype)


@final
class _Walk:
    """Goes through a network layer by layer, and notes where on the tape each one ends."""

    def __init__(self) -> None:
        self.calls: Sequence[Any] = ()
        self.marks: list[tuple[int, str]] = []

    def whole(self, layer: Layer, bound: Tree, inputs: dict[str, Array], options: dict[str, Any]) -> Any:
        """The output of a network; the first input is what it is called with, the others have names."""
        first, *rest = inputs
        self.calls = inputs[first].tape.calls
        named = {name: inputs[name] for name in rest} | options
        return self.through(layer, bound["params"], bound["state"], inputs[first], named, "")

    def function(self, f: Callable[..., Any], y: Any) -> Any:
        """What a function makes of the output."""
        found = f(y)
        self.marks.append((len(self.calls), str(getattr(f, "__name__", "link"))))
        return found

    def through(
        self, layer: Layer, params: Tree, state: Tree, x: Any, options: dict[str, Any], path: str
    ) -> Any:
        """The output of a layer; `Sequential` ones are taken apart, as far as they hand on nothing else."""
        if isinstance(layer, Sequential) and not options:
            for i, (part, p, s) in enumerate(zip(layer.layers, params, state, strict=True)):
                x = self.through(part, p, s, x, options, f"{path}{i}.")
            return x
        name = f"{path}{_name(layer)}"
        try:
            y, _ = layer.apply(params, x, state=state, **options)
        except (TypeError, ValueError) as error:
            error.add_note(f"while export_onnx traced layer {name}")
            raise
        self.marks.append((len(self.calls), name))
        return y


def _name(layer: Layer) -> str:
    """What a layer is called: activations by their functions."""
    if isinstance(layer, Activation):
        return str(getattr(layer.function, "__name__", "Activation"))
    return type(layer).__name__


def first_dtype(layer: Layer, dtype: str) -> str:
    """The dtype of what a network takes: bytes to be rescaled, numbers of symbols, or its own."""
    for first in _leaves(layer):
        if isinstance(first, Rescale):
            return "uint8"
        if isinstance(first, Embedding):
            return "int64"
        if not isinstance(first, Flatten | Reshape):
            break
    return dtype


def _leaves(layer: Layer) -> Iterator[Layer]:
    """The layers that are made of no others, in order."""
    if not layer.members:
        yield layer
    for member in layer.members:
        yield from _leaves(member)
