"""Parameters from PyTorch and for PyTorch: what the tensors of each layer are called there, and how they lie.

A layer whose parameters PyTorch has as well has one entry in `_ENTRIES`; `_torch_entry` says what that is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from portnn import ops, tree
from portnn._typing import Array, ArrayLike, Tree
from portnn.backend import get_backend
from portnn.nn._activation import PReLU
from portnn.nn._attention import MultiHeadAttention
from portnn.nn._batch_norm import BatchNorm
from portnn.nn._branches import Concatenate, Parallel, Residual, Sum
from portnn.nn._cast import Cast
from portnn.nn._containers import Sequential
from portnn.nn._convolution import Conv1d, Conv2d
from portnn.nn._convolution_transposed import ConvTranspose1d, ConvTranspose2d
from portnn.nn._embedding import Embedding
from portnn.nn._foreign import brought
from portnn.nn._layer import Layer, check_layer
from portnn.nn._linear import Linear
from portnn.nn._normalization import GroupNorm, InstanceNorm, LayerNorm, RMSNorm
from portnn.nn._recurrent_layers import GRU, LSTM, RNN
from portnn.nn._sharing import Repeat, Shared, Sharing
from portnn.nn._torch_entry import (
    ENTRIES,
    Entry,
    Tensors,
    entry_of,
    indexed,
    inside,
    named,
    nested,
    renamed,
)
from portnn.nn._transformer import TransformerDecoderLayer, TransformerEncoderLayer
from portnn.nn._transformer_stacks import TransformerDecoder, TransformerEncoder
from portnn.random import stream
from portnn.tracing import is_kind

__all__ = ["from_torch", "to_torch"]


def _write_sharing(layer: Sharing, params: Tree, state: Tree) -> Tensors:
    """The shared layers under "shared." and their names, and the network under "layer."."""
    states = {name: part.init_state() for name, part in layer.shared.items()}
    tensors = _shared(layer).write(layer, params["shared"], states)
    own = entry_of(layer.layer).write(layer.layer, params["layer"], state)
    return {f"shared.{n}": a for n, a in tensors.items()} | {f"layer.{n}": a for n, a in own.items()}


def _read_sharing(layer: Sharing, tensors: Tensors) -> tuple[Tree, Tree]:
    shared, _ = _shared(layer).read(layer, inside("shared", tensors))
    params, state = entry_of(layer.layer).read(layer.layer, inside("layer", tensors))
    return {"shared": shared, "layer": params}, state


def _shared(layer: Sharing) -> Entry:
    for name, part in layer.shared.items():
        if tree.leaves(part.init_state()):
            raise TypeError(
                f"PyTorch shares the running state too, which is not so in portnn.Shared({name!r:.60}, ...)"
            )
    return nested(lambda sharing: sharing.shared)


_RECURRENT = {
    "input": "weight_ih", "hidden": "weight_hh", "bias": "bias_ih", "hidden_bias": "bias_hh",
}  # fmt: skip


def recurrent() -> Entry:
    """The entry of recurrent layers, whose parameters are a tuple by layers and directions."""

    def one(layer: Any, i: int) -> Entry:
        end = f"_l{i // layer.directions}{'_reverse' if i % layer.directions else ''}"
        names = {own: theirs + end for own, theirs in _RECURRENT.items()}
        return renamed(names, turned=("input", "hidden"))

    def write(layer: Any, params: Tree, state: Tree) -> Tensors:
        parts = [one(layer, i).write(layer, p, {}) for i, p in enumerate(params)]
        return {name: a for part in parts for name, a in part.items()}

    def read(layer: Any, tensors: Tensors) -> tuple[Tree, Tree]:
        count = layer.num_layers * layer.directions
        return tuple(one(layer, i).read(layer, tensors)[0] for i in range(count)), {}

    return Entry(write, read)


def _joined_projections(layer: MultiHeadAttention) -> bool:
    """Whether PyTorch keeps the weights of queries, keys and values in one tensor."""
    return layer.memory_features in (None, layer.features)


def _write_attention(layer: MultiHeadAttention, p: Tree, s: Tree) -> Tensors:
    turned = {name: ops.matrix_transpose(p[name]["weight"]) for name in p}
    inner = ("query", "key", "value")
    if _joined_projections(layer):
        tensors = {"in_proj_weight": ops.concat([turned[name] for name in inner])}
    else:
        tensors = {f"{name[0]}_proj_weight": turned[name] for name in inner}
    tensors["out_proj.weight"] = turned["output"]
    if layer.bias:
        tensors["in_proj_bias"] = ops.concat([p[name]["bias"] for name in inner])
        tensors["out_proj.bias"] = p["output"]["bias"]
    return tensors


def _read_attention(layer: MultiHeadAttention, tensors: Tensors) -> tuple[Tree, Tree]:
    n, params = layer.features, {}
    for i, name in enumerate(("query", "key", "value", "output")):
        part = slice(i * n, (i + 1) * n)
        if name == "output":
            weight = tensors["out_proj.weight"]
        elif _joined_projections(layer):
            weight = tensors["in_proj_weight"][part, :]
        else:
            weight = tensors[f"{name[0]}_proj_weight"]
        params[name] = {"weight": ops.matrix_transpose(weight)}
        if layer.bias:
            bias = tensors["out_proj.bias"] if name == "output" else tensors["in_proj_bias"][part]
            params[name]["bias"] = bias
    return params, {}


_AS_HERE = renamed({"weight": "weight", "bias": "bias"})
_ENTRIES: dict[type[Layer], Entry] = {
    Cast: Entry(
        lambda layer, p, s: entry_of(layer.layer).write(layer.layer, p, s),
        lambda layer, tensors: entry_of(layer.layer).read(layer.layer, tensors),
    ),
    Embedding: renamed({"weight": "weight"}),
    **dict.fromkeys((GRU, LSTM, RNN), recurrent()),
    BatchNorm: renamed(
        {"weight": "weight", "bias": "bias"},
        {"mean": "running_mean", "var": "running_var", "count": "num_batches_tracked"},
    ),
    GroupNorm: _AS_HERE,
    InstanceNorm: _AS_HERE,
    **dict.fromkeys((Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d), _AS_HERE),
    LayerNorm: _AS_HERE,
    RMSNorm: _AS_HERE,
    Linear: renamed({"weight": "weight", "bias": "bias"}, turned=("weight",)),
    MultiHeadAttention: Entry(_write_attention, _read_attention),
    PReLU: renamed({"alpha": "weight"}),
    **dict.fromkeys(
        (TransformerDecoder, TransformerDecoderLayer, TransformerEncoder, TransformerEncoderLayer),
        nested(lambda layer: layer.parts()),
    ),
    **dict.fromkeys((Concatenate, Parallel, Sequential, Sum), nested(indexed)),
    **dict.fromkeys((Repeat, Residual), nested(named)),
    Shared: Entry(lambda layer, params, state: {}, lambda layer, tensors: ({}, layer.init_state())),
    Sharing: Entry(_write_sharing, _read_sharing),
}
ENTRIES.update(_ENTRIES)


def from_torch(layer: Layer, state_dict: Mapping[str, ArrayLike]) -> tuple[Tree, Tree]:
    """Parameters and running state from a `state_dict` of PyTorch.

    The module is the one that a PyTorch user would write for `layer`: a list of layers is an
    `nn.Sequential` of as many modules, and a layer is the module of its name.

    Args:
        layer: the description.
        state_dict: from names such as "0.weight" to tensors, as ``module.state_dict()`` gives them, or to
            arrays of any other library, as from a file. The counters "num_batches_tracked" are 0 if they
            are missing, as in files of PyTorch before 0.4.1.

    Returns:
        The parameters and the state, NumPy arrays of the dtypes of the tensors, float32 for bfloat16, which
        share no memory with them. Hand them to `layer.apply`, or to a network:
        ``net.load_params(params, state)``.

    Raises:
        TypeError: if PyTorch has no such layer, or a tensor has the wrong kind of numbers.
        ValueError: if tensors are missing, are too many, or have the wrong shape.

    Example:
        >>> import numpy as np
        >>> params, state = from_torch(Linear(3, 2), {"weight": np.ones((2, 3)), "bias": np.zeros(2)})
        >>> params["weight"].shape
        (3, 2)
    """
    check_layer("from_torch", layer)
    if not isinstance(state_dict, Mapping):
        raise TypeError(
            f"from_torch: state_dict must be a mapping of names to tensors, got {type(state_dict).__name__}; "
            "of a module pass module.state_dict()"
        )
    expected = entry_of(layer).write(layer, layer.init(stream(0)), layer.init_state())
    counters = {name: a for name, a in expected.items() if name not in state_dict and _is_counter(name)}
    state_dict = {**counters, **state_dict}
    if missing := [name for name in expected if name not in state_dict]:
        raise ValueError(f"from_torch: {_names(missing)} missing in the state_dict of {_names(state_dict)}")
    if odd := [name for name in state_dict if name not in expected]:
        raise ValueError(
            f"from_torch: {_names(odd)} not expected; {type(layer).__name__} has {_names(expected)}"
        )
    tensors = {name: brought(f"from_torch: {name}", state_dict[name]) for name in expected}
    for name, tensor in tensors.items():
        _check(name, tensor, expected[name])
    params, state = tree.map(_copy, entry_of(layer).read(layer, tensors))
    return params, _cast_integers(state, "int32")


def to_torch(layer: Layer, params: Tree, state: Tree | None = None) -> Tensors:
    """Parameters and running state under the names that PyTorch's `load_state_dict` expects.

    Args:
        layer: the description.
        params: its parameters, on any library.
        state: its running state; by default the initial one.

    Returns:
        From names such as "0.weight" to NumPy arrays, in PyTorch's layout:
        ``module.load_state_dict({name: torch.asarray(a) for name, a in to_torch(layer, params).items()})``.

    Raises:
        TypeError: if PyTorch has no such layer.
        ValueError: if the parameters or the state are of another structure.

    Example:
        >>> layer = Sequential([Linear(3, 2), PReLU()])
        >>> {name: a.shape for name, a in to_torch(layer, layer.init(stream(0))).items()}
        {'0.weight': (2, 3), '0.bias': (2,), '1.weight': (1,)}
    """
    check_layer("to_torch", layer)
    to_numpy = get_backend("numpy").to_numpy
    state = layer.init_state() if state is None else state
    for what, got, expected in (
        ("params", params, layer.init(stream(0))),
        ("state", state, layer.init_state()),
    ):
        if tree.structure(got) != tree.structure(expected):
            raise ValueError(
                f"to_torch: expected {what} as {type(layer).__name__} makes them, of that structure"
            )
    params, state = tree.map(to_numpy, (params, state))
    state = _cast_integers(state, "int64")
    return {name: _copy(a) for name, a in entry_of(layer).write(layer, params, state).items()}


def _is_counter(name: str) -> bool:
    return name.rpartition(".")[2] == "num_batches_tracked"


def _cast_integers(state: Tree, dtype: str) -> Tree:
    """Counters, which are 32 bits wide here (JAX has no others by default) and 64 there."""
    return tree.map(lambda a: ops.astype(a, dtype) if is_kind(a, "integral") else a, state)


def _copy(a: Array) -> Array:
    return ops.asarray(a, like=a, copy=True)


def _names(names: Any) -> str:
    """The first few names, for a message."""
    listed = [*map(str, names)]
    more = f" and {len(listed) - 4} more" if len(listed) > 4 else ""
    return ", ".join(name[:30] for name in listed[:4]) + more if listed else "nothing"


def _check(name: str, tensor: Array, expected: Array) -> None:
    if tensor.shape != expected.shape:
        raise ValueError(f"from_torch: {name}: expected shape {expected.shape}, got {tensor.shape}")
    for kind in ("real floating", "integral"):
        if is_kind(expected, kind) and not is_kind(tensor, kind):
            raise TypeError(f"from_torch: {name}: expected {kind} numbers, got {tensor.dtype}")
