"""Layers as plain data and back, for files: a closed list of names, and nothing imported by name."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from portnn.nn import _activations
from portnn.nn import _initializers as initializers
from portnn.nn._activation import Activation, PReLU
from portnn.nn._attention import MultiHeadAttention
from portnn.nn._batch_norm import BatchNorm
from portnn.nn._bounds import check_bounds
from portnn.nn._branches import Concatenate, Parallel, Residual, Sum
from portnn.nn._cast import Cast
from portnn.nn._containers import Sequential
from portnn.nn._convolution import Conv1d, Conv2d
from portnn.nn._convolution_transposed import ConvTranspose1d, ConvTranspose2d
from portnn.nn._dropout import Dropout, Dropout1d, Dropout2d
from portnn.nn._embedding import Embedding
from portnn.nn._layer import DEEPEST, Layer
from portnn.nn._linear import Linear
from portnn.nn._normalization import GroupNorm, InstanceNorm, LayerNorm, RMSNorm
from portnn.nn._pooling import (
    AvgPool1d,
    AvgPool2d,
    GlobalAvgPool1d,
    GlobalAvgPool2d,
    GlobalMaxPool1d,
    GlobalMaxPool2d,
    MaxPool1d,
    MaxPool2d,
)  # fmt: skip
from portnn.nn._positions import SinusoidalPositions
from portnn.nn._recurrent_layers import GRU, LSTM, RNN
from portnn.nn._resampling import Upsample, ZeroPad1d, ZeroPad2d
from portnn.nn._reshaping import Flatten, Rescale, Reshape
from portnn.nn._sharing import Repeat, Shared, Sharing
from portnn.nn._transformer import TransformerDecoderLayer, TransformerEncoderLayer
from portnn.nn._transformer_stacks import TransformerDecoder, TransformerEncoder

__all__ = ["describe", "from_description"]

_CLASSES: dict[str, type] = {
    cls.__name__: cls
    for cls in (
        GRU, LSTM, RNN, Activation, AvgPool1d, AvgPool2d, BatchNorm, Cast,
        Concatenate, Conv1d, Conv2d,
        ConvTranspose1d, ConvTranspose2d, Dropout, Dropout1d, Dropout2d, Embedding, Flatten,
        GlobalAvgPool1d, GlobalAvgPool2d, GlobalMaxPool1d, GlobalMaxPool2d, GroupNorm, InstanceNorm,
        LayerNorm, Linear, MaxPool1d, MaxPool2d, MultiHeadAttention, PReLU, Parallel, RMSNorm, Repeat,
        Rescale, Reshape, Residual, Sequential, Shared, Sharing, SinusoidalPositions, Sum,
        TransformerDecoder, TransformerDecoderLayer, TransformerEncoder, TransformerEncoderLayer,
        Upsample, ZeroPad1d, ZeroPad2d,
        initializers.Constant, initializers.Normal, initializers.Orthogonal, initializers.TruncatedNormal,
        initializers.Uniform, initializers.VarianceScaling,
    )
}  # fmt: skip
_FUNCTIONS: dict[str, Any] = {name: getattr(_activations, name) for name in _activations.__all__}


def describe(part: Any) -> Any:
    """A layer (or anything inside one) as plain data: dicts, lists, numbers, strings.

    Args:
        part: a layer made of portnn's own layers, initialisers and activations.

    Returns:
        Data that JSON can hold.

    Raises:
        TypeError: if a part is not portnn's own, since a file must not name code.

    Example:
        >>> describe(Flatten())
        {'is': 'Flatten'}
    """
    if part is None or isinstance(part, bool | int | float | str):
        return part
    if isinstance(part, list | tuple):
        return [describe(child) for child in part]
    if is_dataclass(part) and _CLASSES.get(type(part).__name__) is type(part):
        return {"is": type(part).__name__, **{f.name: describe(getattr(part, f.name)) for f in fields(part)}}
    name = getattr(part, "__name__", "")
    if _FUNCTIONS.get(name) is part:
        return {"is": "function", "name": name}
    hint = "save the parameters with portnn.serialize and build the network in code"
    if name in _FUNCTIONS:  # such as `ops.tanh`, which is no activation
        hint = f"portnn.{name} can be described"
    raise TypeError(
        f"{name or type(part).__name__} is no layer, activation or initialiser of portnn, so a file cannot "
        f"describe it; {hint}"
    )


def from_description(data: Any) -> Any:
    """The layer that `describe` made data of.

    Args:
        data: what `describe` returned.

    Returns:
        An equal layer.

    Raises:
        ValueError: if the data name something unknown, a field is missing or unknown, layers are nested too
            deep, or numbers without a tensor let a prediction take too much time or memory.

    Example:
        >>> from_description(describe(Linear(3, 2))) == Linear(3, 2)
        True
    """
    _check_levels(data)
    part = _part_of(data)
    if isinstance(part, Layer):
        check_bounds(part)
    return part


def _check_levels(data: Any) -> None:
    """Check the nesting of a description; a nested layer takes a dict and a list.

    Raises:
        ValueError: if it is nested deeper than layers may be.
    """
    level = [data]
    for _ in range(2 * DEEPEST + 10):
        dicts = [value for value in level if isinstance(value, dict)]
        inner = [child for value in dicts for child in value.values()]
        inner += [child for value in level if isinstance(value, list) for child in value]
        level = [child for child in inner if isinstance(child, dict | list)]
        if not level:
            return
    raise ValueError(f"description: layers are nested deeper than {DEEPEST}")


def _part_of(data: Any) -> Any:
    """Build a layer, or anything inside one."""
    if isinstance(data, list):
        return tuple([_part_of(child) for child in data])
    if not isinstance(data, dict):
        return data
    kind = data.get("is")
    name = data.get("name")
    if kind == "function" and len(data) == 2 and isinstance(name, str) and name in _FUNCTIONS:
        return _FUNCTIONS[name]
    cls = _CLASSES.get(kind) if isinstance(kind, str) else None
    if cls is None:
        raise ValueError(
            f"description: expected the name of a layer or initialiser of portnn, got {str(kind)[:60]!r}; "
            "a file of a newer portnn needs that version"
        )
    known = {f.name for f in fields(cls)}
    given = {name: _part_of(value) for name, value in data.items() if name != "is"}
    if given.keys() != known:
        odd = sorted(given.keys() ^ known)[:4]
        raise ValueError(
            f"description of {kind}: expected the fields {sorted(known)}; missing or unknown: {odd}"
        )
    try:
        if cls is Activation:
            return Activation(given["function"], **dict(given["options"]))
        part: Layer | Any = cls(**given)
    # What classes raise for plain data that are not valid arguments.
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        raise ValueError(f"description of {kind}: {str(error)[:200]}") from None
    return part
