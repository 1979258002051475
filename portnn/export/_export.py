"""`export_onnx`: from a network to a file for other runtimes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Mapping
from functools import partial
from math import inf
from operator import index
from typing import TYPE_CHECKING, Any

from portnn._typing import Tree
from portnn.backend import get_backend
from portnn.export._errors import ExportError
from portnn.export._graph import Graph
from portnn.export._model import need_onnx, to_model
from portnn.export._sources import Source, first_dtype, from_function, from_network, from_program
from portnn.export._translate import know, translate
from portnn.network import Network
from portnn.nn import describe
from portnn.nn._text import short_repr
from portnn.program import Program
from portnn.serialize import whole_file

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["export_onnx"]

_TAKEN = {"params", "state", "training", "key", "x"}  # what `Layer.apply` is called with besides


def export_onnx(
    source: Network | Program | Callable[..., Tree],
    path: str | os.PathLike[str] | None = None,
    *,
    input_shape: tuple[int, ...] | Mapping[str, tuple[int, ...]] | None = None,
    input_dtype: str | Mapping[str, str] | None = None,
    softmax: bool = False,
    batch_size: int | None = None,
    options: Mapping[str, Any] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> ModelProto:
    """Export a network to ONNX, to run it where there is no portnn.

    The model (opset 20, IR 10) takes batches of any size under the name ``x`` and answers under the name
    ``y``, or ``y.0``, ``y.1`` and so on if the output is a tuple. Parameters are named by their paths, as in
    `Network.save`. Lengths of sequences are fixed. The model is checked in full before it is returned.

    Args:
        source: a network, as it predicts; a function of one or more batches (what it closes over are
            constants); or a program, for the shapes with which it was traced.
        path: the file to write; None writes none.
        input_shape: the shape of one sample; by default that of the data last trained on, or what the first
            layer says. For several inputs a dict, such as ``{"x": (5, 8), "key_mask": (5,)}``: the first one
            is what a network is called with, the others are further inputs and options by name.
        input_dtype: the dtype of the input, or a dict of them. By default "uint8" if the network begins with
            `Rescale`, "int64" if with `Embedding`, else the network's own ("float32" for functions); and for
            inputs after the first "int64" where their name ends in ``lengths``, "bool" in ``mask``.
        softmax: whether the output are probabilities, by softmax or sigmoid as the loss says, instead of
            the network's raw output.
        batch_size: the only size of batch that the model takes; None for any.
        options: options of the layers that are no arrays, such as ``{"causal": True}``.
        metadata: texts to keep in the model besides portnn's own.

    Returns:
        The model, an `onnx.ModelProto`.

    Raises:
        ImportError: if the package `onnx` is not installed.
        ExportError: if ONNX has no counterpart of something in the network; the message names the primitive
            and the layer.
        TypeError: if an argument does not suit the source.
        ValueError: if the shape of a sample is not known.
        FileNotFoundError: if the folder of `path` does not exist.

    Example:
        >>> from portnn.nn import Linear, relu
        >>> net = Network([Linear(784, 10), relu, Linear(10, 10)])
        >>> model = export_onnx(net, softmax=True)
        >>> [node.op_type for node in model.graph.node]
        ['Gemm', 'Relu', 'Gemm', 'Softmax']
    """
    need_onnx()
    _check(source, input_shape, input_dtype, softmax, batch_size, options)
    _check_texts(path, metadata)
    if isinstance(source, Program):
        found = from_program(source)
    elif isinstance(source, Network):
        samples = _samples(source, input_shape, input_dtype)
        found = from_network(source, samples, batch_size, dict(options or {}), softmax)
    else:
        found = from_function(source, _samples(None, input_shape, input_dtype), batch_size)
    about = _about(source, softmax) | dict(metadata or {})
    model = _model(found, about)
    if path is not None:
        with whole_file(path) as file:
            file.write(model.SerializeToString())
    return model


def _model(source: Source, about: Mapping[str, str]) -> ModelProto:
    if not source.steps.results:
        raise ExportError("the function returns no arrays; a model needs an output")
    named = dict(zip(source.names, source.steps.inputs, strict=True))
    inputs = {name: tensor for name, tensor in named.items() if name not in source.params}
    graph = Graph(next((name for name, tensor in inputs.items() if 0 in tensor.follows), None))
    for name, tensor in named.items():
        if name in source.params:
            graph.constant(source.params[name], name)
        graph.bind(tensor, name, given=True)
    for step in source.steps.steps:
        translate(graph, step)
    graph.place = ""
    outputs = {}
    for path, tensor in source.steps.results.items():
        know(graph, tensor)
        outputs[_free(f"y.{path}" if path else "y", inputs)] = graph.of(tensor), tensor
    return to_model(graph, inputs, outputs, about)


def _free(name: str, taken: Collection[str]) -> str:
    """The name of an output, if no input has it."""
    return _free(f"{name}_", taken) if name in taken else name


def _check(source: Any, shape: Any, dtype: Any, softmax: bool, batch: Any, options: Any) -> None:
    if not isinstance(source, Network | Program) and not callable(source):
        raise TypeError(
            f"export_onnx: expected a Network, a Program or a function, got {type(source).__name__}; "
            f"{_instead(source)}"
        )
    given = {"input_shape": shape, "input_dtype": dtype, "batch_size": batch, "options": options}
    for name, value in given.items():
        if isinstance(source, Program) and value is not None:
            raise TypeError(f"export_onnx: {name} is not for programs, which were traced with given shapes")
    if not isinstance(softmax, bool):
        raise TypeError(f"export_onnx: softmax must be True or False, got {type(softmax).__name__}")
    if softmax and not isinstance(source, Network):
        raise TypeError("export_onnx: softmax=True is for networks; call portnn.softmax in the function")
    if options is not None and not isinstance(options, Mapping):
        raise TypeError(f"export_onnx: options must be a dict, got {type(options).__name__}")
    if odd := [name for name in options or {} if not isinstance(name, str) or name in _TAKEN]:
        raise TypeError(
            f"export_onnx: {odd[0]!r:.40} is no option of a layer; networks are exported as they predict"
        )
    if options and not isinstance(source, Network):
        raise TypeError("export_onnx: options are for networks; give them inside the function")
    if batch is not None and not _counts(batch):
        raise ValueError(f"export_onnx: batch_size must be a positive integer, got {batch!r:.40}")


def _instead(source: Any) -> str:
    """What to give in the place of something that cannot be exported."""
    if isinstance(source, str | os.PathLike):
        return "load the file first: Network.load(...)"
    if hasattr(source, "get_params"):
        return "export its network_, once it is fitted"
    return "put layers into a Network first"


def _check_texts(path: Any, metadata: Any) -> None:
    if path is not None and not isinstance(path, str | os.PathLike):
        raise TypeError(f"export_onnx: path must be the name of a file, got {type(path).__name__}")
    plain = metadata is None or isinstance(metadata, Mapping)
    if not plain or any(not isinstance(text, str) for item in (metadata or {}).items() for text in item):
        raise TypeError("export_onnx: metadata must be a dict of texts, such as {'author': 'me'}")


def _samples(net: Network | None, shapes: Any, dtypes: Any) -> dict[str, tuple[tuple[int, ...], str]]:
    """The shape and dtype of one sample of each input."""
    if shapes is None:
        shapes = None if net is None else net.sample_shape
        if shapes is None:
            raise ValueError(
                "export_onnx: the shape of a sample is not known; give it: input_shape=(1, 28, 28)"
            )
    if hasattr(shapes, "__index__") and not getattr(shapes, "shape", ()):
        raise TypeError(
            f"export_onnx: input_shape must be a tuple, got {type(shapes).__name__}; write ({shapes},)"
        )
    named = dict(shapes) if isinstance(shapes, Mapping) else {"x": shapes}
    if not named:
        raise ValueError("export_onnx: input_shape is an empty dict; name at least one input")
    odd = [n for n in named if not isinstance(n, str) or not n or n.startswith(("params.", "state."))]
    if odd:
        raise ValueError(f"export_onnx: input_shape: {odd[0]!r:.40} cannot be the name of an input; try 'x'")
    own = "float32" if net is None else net.dtype
    first, *rest = named
    known = {name: _guessed(name, own) for name in rest}
    known[first] = own if net is None else first_dtype(net.layer, own)
    given = dict(dtypes) if isinstance(dtypes, Mapping) else {} if dtypes is None else {first: dtypes}
    if odd := [name for name in given if name not in named]:
        raise ValueError(
            f"export_onnx: input_dtype names {odd[0]!r:.40}, which is no input; they are {[*named]}"
        )
    known.update(given)
    return {name: (_checked_shape(shape), _checked_dtype(known[name])) for name, shape in named.items()}


def _guessed(name: str, own: str) -> str:
    return "int64" if name.endswith("lengths") else "bool" if name.endswith("mask") else own


def _checked_shape(shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, tuple | list) or not all(map(_counts, shape)):
        raise ValueError(f"export_onnx: input_shape must be a tuple of positive integers, got {shape!r:.60}")
    return tuple(map(index, shape))


def _counts(n: Any) -> bool:
    """Whether this is a positive integer, perhaps NumPy's."""
    return (
        not isinstance(n, bool) and hasattr(n, "__index__") and not getattr(n, "shape", ()) and index(n) > 0
    )


def _checked_dtype(dtype: str) -> str:
    """The name of a dtype that NumPy has, on which networks are traced."""
    host = get_backend("numpy")
    try:
        return str(host.xp.empty(0, dtype=host.dtype(dtype)).dtype)
    except (TypeError, ValueError) as error:
        raise type(error)(f"export_onnx: input_dtype: {str(error)[:250]}") from None


def _about(source: Any, softmax: bool) -> dict[str, str]:
    """What is known of the network: its description as in a file of portnn, its loss and its task."""
    if not isinstance(source, Network):
        return {}
    try:
        layers = json.dumps(describe(source.layer))
    except TypeError:  # a layer of the user's own, which a file describes in words alone
        layers = short_repr(source.layer, inf)
    loss: Any = source.loss
    while isinstance(loss, partial):
        loss = loss.func
    name = str(getattr(loss, "__name__", type(loss).__name__))
    about = {"layers": layers, "loss": name, "task": source.task.value, "epochs": str(source.epochs)}
    about["output"] = "probabilities" if softmax else "raw"
    return {f"portnn.{key}": value for key, value in about.items()}
