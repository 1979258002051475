"""Parameters from and for Keras: lists of weights in the order of `get_weights` and `set_weights`.

Keras documents the weights of each layer: kernels with their spatial axes first and channels last (Conv2D,
Conv2DTranspose); the gates of LSTM in the order input, forget, cell, output with one
bias; those of GRU in the order update, reset, new, with one row of biases for each product (`reset_after`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, TypeAlias, final

from portnn import ops, tree
from portnn._typing import Array, ArrayLike, Tree
from portnn.backend import get_backend
from portnn.nn._activation import PReLU
from portnn.nn._batch_norm import BatchNorm
from portnn.nn._containers import Sequential
from portnn.nn._convolution import Conv1d, Conv2d
from portnn.nn._convolution_transposed import ConvTranspose1d, ConvTranspose2d
from portnn.nn._dropout import Dropout1d, Dropout2d
from portnn.nn._embedding import Embedding
from portnn.nn._foreign import brought
from portnn.nn._layer import Layer, check_layer
from portnn.nn._linear import Linear
from portnn.nn._normalization import GroupNorm, InstanceNorm, LayerNorm
from portnn.nn._outline import outline
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
from portnn.nn._recurrent import Recurrent
from portnn.nn._recurrent_layers import GRU, LSTM, RNN
from portnn.nn._resampling import ZeroPad1d, ZeroPad2d
from portnn.nn._reshaping import Flatten, Reshape
from portnn.tracing import is_kind

__all__ = ["from_keras", "to_keras"]

_GLOBAL = (GlobalAvgPool1d, GlobalAvgPool2d, GlobalMaxPool1d, GlobalMaxPool2d)
_ONE_AXIS = (AvgPool1d, Dropout1d, MaxPool1d, ZeroPad1d)  # which are given (n, channels, length)
_TWO_AXES = (AvgPool2d, Dropout2d, MaxPool2d, ZeroPad2d)
Weights: TypeAlias = dict[tuple[str, str], Array]  # by "params" or "state", and a name within it


@final
@dataclass(frozen=True)
class _Entry:
    """Conversion of a kind of layer to and from Keras's list of weights.

    Attributes:
        write: converts a layer, its parameters, state and place to Keras's arrays, in their order.
        read: converts a layer and these arrays to its parameters and state.
    """

    write: Callable[[Any, Tree, Tree, _Place], Weights]
    read: Callable[[Any, Weights], tuple[Tree, Tree]]


@final
@dataclass(frozen=True)
class _Place:
    """The place of a layer in a network.

    Attributes:
        axes: how many spatial axes its input has; None for sequences, whose
            axis 1 is time.
        channels: the number of channels of its input, if known.
        images: whether axis 1 is known to be channels, which Keras puts last.
        rows: the shape of the images that were flattened before it, or None.
        flat: the place of the `Flatten` that made its input, or None.
    """

    axes: int | None = 0
    channels: int | None = None
    images: bool = False
    rows: tuple[int, ...] | None = None
    flat: _Place | None = None

    def after(self, layer: Layer, flattened: tuple[int, ...] | None) -> _Place:
        """Return the place of the next layer."""
        if isinstance(layer, Flatten):
            return self._flattened(flattened)
        if isinstance(layer, Linear):
            return _Place(self.axes)
        if isinstance(layer, Embedding | Recurrent):
            return _Place(0 if getattr(layer, "returns", "") == "last" else None)
        if isinstance(layer, _GLOBAL):
            return _Place()
        if isinstance(layer, Conv1d | Conv2d | ConvTranspose1d | ConvTranspose2d):
            return _Place(layer.axes, layer.out_channels, images=True)
        if isinstance(layer, Reshape):
            first = layer.shape[0]
            return _Place(len(layer.shape) - 1, None if first == -1 else first)
        if self.axes is not None and isinstance(layer, _ONE_AXIS + _TWO_AXES):
            return replace(self, axes=1 if isinstance(layer, _ONE_AXIS) else 2, images=True)
        if self.axes == 0 and self.flat is None and isinstance(layer, BatchNorm | InstanceNorm):
            return _Place(0, layer.features, images=True)  # of vectors, as long as what is flattened
        return self

    def _flattened(self, flattened: tuple[int, ...] | None) -> _Place:
        """Return the position of the layer that follows a `Flatten`.

        Raises:
            ValueError: if `flattened` does not begin with the channels.
        """
        if self.axes is None or self.flat is not None:  # sequences are flattened alike there
            return _Place(flat=self) if self.flat is None else self
        if flattened is not None and self.images and self.channels not in (None, flattened[0]):
            raise ValueError(
                f"flattened: expected (channels, {'length' if self.axes == 1 else 'height, width'}) with the "
                f"{self.channels} channels of the layers before Flatten first, got {tuple(flattened)}"
            )
        return _Place(rows=flattened, flat=self)


def _moved(*columns: tuple[str, tuple[int, ...] | None]) -> _Entry:
    """Return the conversion of a layer whose arrays differ only in the order of axes.

    Args:
        columns: for each array its name in portnn and its axes in Keras; None for the same axes.
    """

    def write(layer: Layer, p: Tree, s: Tree, place: _Place) -> Weights:
        trees = [("params", p), ("state", s)]
        return {
            (kind, name): t[name] if axes is None else ops.permute_dims(t[name], axes)
            for name, axes in columns
            for kind, t in trees
            if name in t
        }

    def read(layer: Layer, found: Weights) -> tuple[Tree, Tree]:
        places = dict(columns)
        made: dict[str, Tree] = {"params": {}, "state": {}}
        for (kind, name), a in found.items():
            axes = places[name]
            back = None if axes is None else tuple(axes.index(i) for i in range(len(axes)))
            made[kind][name] = a if back is None else ops.permute_dims(a, back)
        return made["params"], {**layer.init_state(), **made["state"]}  # portnn has a counter, Keras does not

    return _Entry(write, read)


def _write_recurrent(layer: Recurrent, params: Tree, s: Tree, place: _Place) -> Weights:
    """Return kernel, recurrent kernel and bias of each layer and direction, in Keras's order."""
    weights: Weights = {}
    for i, p in enumerate(params):
        turned = {name: _turn_gates(layer, a) for name, a in p.items()}
        for name in ("input", "hidden"):
            weights["params", f"{i}.{name}"] = turned[name]
        if layer.bias:
            both = turned["bias"], turned["hidden_bias"]
            bias = ops.stack(both) if isinstance(layer, GRU) else ops.add(*both)
            weights["params", f"{i}.bias"] = bias
    return weights


def _read_recurrent(layer: Recurrent, found: Weights) -> tuple[Tree, Tree]:
    params = []
    for i in range(layer.num_layers * layer.directions):
        p = {name: _turn_gates(layer, found["params", f"{i}.{name}"]) for name in ("input", "hidden")}
        if layer.bias:
            bias = found["params", f"{i}.bias"]
            both = (bias[0, :], bias[1, :]) if isinstance(layer, GRU) else (bias, ops.zeros_like(bias))
            p |= dict(zip(("bias", "hidden_bias"), [_turn_gates(layer, b) for b in both], strict=True))
        params.append(p)
    return tuple(params), {}


def _turn_gates(layer: Recurrent, a: Array) -> Array:
    """Exchange the reset and update gates, which Keras's GRU has in the opposite order."""
    if not isinstance(layer, GRU):
        return a
    n = layer.hidden_features
    return ops.concat([a[..., n : 2 * n], a[..., :n], a[..., 2 * n :]], axis=-1)


def _write_slopes(layer: PReLU, p: Tree, s: Tree, place: _Place) -> Weights:
    if place.axes is None and layer.features > 1:
        raise TypeError(
            "PReLU: on sequences portnn has one slope per time step (axis 1), Keras with shared_axes=[1] one "
            "per feature; use PReLU(), which has a single slope"
        )
    before = 1 if place.axes is None else place.axes
    return {("params", "alpha"): ops.reshape(p["alpha"], (*[1] * before, layer.features))}


_KERNEL = (("weight", (2, 1, 0)), ("bias", None)), (("weight", (2, 3, 1, 0)), ("bias", None))
_AFFINE = ("weight", None), ("bias", None)
_ENTRIES: dict[type[Layer], _Entry] = {
    **dict.fromkeys((Linear, LayerNorm, GroupNorm), _moved(*_AFFINE)),
    **dict.fromkeys((Conv1d, ConvTranspose1d), _moved(*_KERNEL[0])),
    **dict.fromkeys((Conv2d, ConvTranspose2d), _moved(*_KERNEL[1])),
    **dict.fromkeys((GRU, LSTM, RNN), _Entry(_write_recurrent, _read_recurrent)),
    BatchNorm: _moved(*_AFFINE, ("mean", None), ("var", None)),
    Embedding: _moved(("weight", None)),
    PReLU: _Entry(
        _write_slopes,
        lambda layer, found: ({"alpha": ops.reshape(found["params", "alpha"], (layer.features,))}, {}),
    ),
}


def from_keras(
    layer: Layer, weights: Sequence[ArrayLike], *, flattened: tuple[int, ...] | None = None
) -> tuple[Tree, Tree]:
    """Parameters and running state from a list of weights of Keras.

    The model is the one that a Keras user would write for `layer`: a `Sequential`, in it `Dense`, `Conv1D`,
    `Conv2D`, their transposes, `Embedding`, the normalizations, `PReLU`, and `SimpleRNN`, `LSTM` and `GRU`
    (with ``reset_after=True``, its default), in `Bidirectional` or not, one Keras layer for
    each of ``num_layers``. Keras takes images with channels last, so predictions agree on images with their
    axes moved. Its epsilon for batch norm is 0.001. The slopes of `PReLU` are per channel:
    ``PReLU(shared_axes=[1, 2])`` for images.

    Args:
        layer: the description.
        weights: what ``model.get_weights()`` gives.
        flattened: the shape (channels, height, width) of what a `Flatten` makes vectors of, needed if there
            are images before it: Keras flattens with channels last, so rows of the layer behind it change
            places.

    Returns:
        The parameters and the state, NumPy arrays of the dtypes of the weights, float32 for bfloat16. Hand
        them to `layer.apply`, or to a network: ``net.load_params(params, state)``.

    Raises:
        TypeError: if Keras has no such layer, or a weight is not made of real numbers.
        ValueError: if there are too few weights, too many, or one has the wrong shape; if `flattened` is
            needed, does not begin with the channels, or is of another size.

    Example:
        >>> import numpy as np
        >>> params, state = from_keras(Linear(3, 2), [np.ones((3, 2)), np.zeros(2)])
        >>> params["weight"].shape
        (3, 2)
    """
    check_layer("from_keras", layer)
    if isinstance(weights, Mapping) or not isinstance(weights, Iterable):
        raise TypeError(
            f"from_keras: weights must be a list of arrays, got {type(weights).__name__}; of a model pass "
            "model.get_weights()"
        )
    weights = [*weights]
    parts = [
        (path, part, (p, s), place, _written(part, p, s, place))
        for path, part, p, s, place in _parts(layer, *outline(layer), flattened)
    ]
    count = sum(len(expected) for *_, expected in parts)
    if len(weights) != count:
        raise ValueError(f"from_keras: expected {count} weights, got {len(weights)}")
    numbered = iter(enumerate(weights))
    made = {}
    for path, part, empty, place, expected in parts:
        found = {}
        for (kind, name), like in expected.items():
            i, weight = next(numbered)
            label = f"weight {i}, {kind}{''.join(f'.{k}' for k in path)}.{name}"
            found[kind, name] = _from_there(
                _checked(label, weight, like, part), _rows_of(part, name, like, place)
            )
        made[path] = tree.map(_copy, _ENTRIES[type(part)].read(part, found)) if found else empty
    return _gathered(layer, made, (), 0), _gathered(layer, made, (), 1)


def to_keras(
    layer: Layer, params: Tree, state: Tree | None = None, *, flattened: tuple[int, ...] | None = None
) -> list[Array]:
    """The list of weights that Keras's `set_weights` expects.

    Args:
        layer: the description.
        params: its parameters, on any library.
        state: its running state; by default the initial one.
        flattened: as for `from_keras`.

    Returns:
        NumPy arrays in Keras's order and layout:
        ``model.set_weights(to_keras(net.layer, net.params, net.state))``.

    Raises:
        TypeError: if Keras has no such layer, or its `PReLU` has other slopes.
        ValueError: if the parameters or the state are of another structure, or `flattened` is wrong, as for
            `from_keras`.

    Example:
        >>> from portnn.random import stream
        >>> layer = Sequential([Conv2d(3, 8, 5), Flatten(), Linear(8, 2)])
        >>> [a.shape for a in to_keras(layer, layer.init(stream(0)))]
        [(5, 5, 3, 8), (8,), (8, 2), (2,)]
    """
    check_layer("to_keras", layer)
    state = layer.init_state() if state is None else state
    if tree.structure((params, state)) != tree.structure(outline(layer)):
        raise ValueError(
            f"to_keras: expected params and state as {type(layer).__name__} makes them, of that structure"
        )
    params, state = tree.map(get_backend("numpy").to_numpy, (params, state))
    return [
        _copy(_to_there(a, _rows_of(part, name, a, place)))
        for _, part, p, s, place in _parts(layer, params, state, flattened)
        for (_, name), a in _written(part, p, s, place).items()
    ]


def _parts(
    layer: Layer, params: Tree, state: Tree, flattened: tuple[int, ...] | None
) -> Iterator[tuple[tuple[int, ...], Layer, Tree, Tree, _Place]]:
    """Yield the layers that are not containers, in order: path, layer, parameters, state and place."""
    place = _Place()

    def walk(part: Layer, p: Tree, s: Tree, path: tuple[int, ...]) -> Iterator[Any]:
        if isinstance(part, Sequential):
            for i, members in enumerate(zip(part.layers, p, s, strict=True)):
                yield from walk(*members, (*path, i))
        else:
            yield path, part, p, s

    for path, part, p, s in walk(layer, params, state, ()):
        if isinstance(part, Flatten):
            place = place.after(part, flattened)
        yield path, part, p, s, place
        place = place.after(part, flattened)


def _written(part: Layer, p: Tree, s: Tree, place: _Place) -> Weights:
    """What Keras lists for a layer.

    Raises:
        TypeError: if Keras has no such layer.
    """
    entry = _ENTRIES.get(type(part))
    grouped = isinstance(part, ConvTranspose1d | ConvTranspose2d) and part.groups != 1
    if grouped or (entry is None and tree.leaves((p, s))):
        raise TypeError(f"{type(part).__name__}: Keras has no such layer, or lists its weights differently")
    return {} if entry is None else entry.write(part, p, s, place)


def _gathered(layer: Layer, made: dict[tuple[int, ...], tuple[Tree, Tree]], path: Any, kind: int) -> Tree:
    """Join the parameters (0) or the state (1) of all parts to those of the whole."""
    if isinstance(layer, Sequential):
        return tuple(_gathered(member, made, (*path, i), kind) for i, member in enumerate(layer.layers))
    return made[path][kind]


def _checked(label: str, weight: ArrayLike, like: Array, part: Layer) -> Array:
    """Return a Keras weight as a NumPy array of the right shape and kind."""
    a = brought(f"from_keras: {label}", weight)
    shape, found = tuple(like.shape), tuple(a.shape)
    if isinstance(part, PReLU) and found[-1:] == shape[-1:] and prod(found) == prod(shape):
        a = ops.reshape(a, shape)  # any number of axes of length 1 before the channels
    elif found != shape:
        hint = ""
        if isinstance(part, PReLU):
            hint = "; Keras's PReLU needs shared_axes, all but the channels"
        if isinstance(part, GRU) and len(found) == 1:
            hint = "; Keras's GRU needs reset_after=True"
        raise ValueError(f"from_keras: {label}: expected shape {shape}, got {found}{hint}")
    if not is_kind(a, "real floating"):
        raise TypeError(f"from_keras: {label}: expected real numbers, got dtype {a.dtype}")
    return a


def _rows_of(part: Layer, name: str, a: Array, place: _Place) -> tuple[int, ...] | None:
    """Return the shape of the images whose flattened axis is the first axis of this array, or None.

    Raises:
        ValueError: if it is not given and needed, or of another size.
    """
    others = (isinstance(part, PReLU) and part.features == 1) or (
        isinstance(part, Linear) and name != "weight"
    )
    if others or place.flat is None:
        return None
    rows, flat, n = place.rows, place.flat, a.shape[0]
    if rows is not None and prod(rows) != n:
        raise ValueError(f"flattened={rows} is {prod(rows)} numbers, but there are {n}")
    if rows is None and flat.images and flat.channels not in (1, n):
        shape = f"({flat.channels or 'channels'}, {'length' if flat.axes == 1 else 'height, width'})"
        raise ValueError(
            f"flattened: needed, since Flatten in Keras has channels last; give the shape of a sample before "
            f"Flatten, flattened={shape}, {n} numbers in all"
        )
    return rows


def _to_there(a: Array, rows: tuple[int, ...] | None) -> Array:
    """Reorder an array whose first axis is a flattened image to channels last."""
    if rows is None:
        return a
    image = ops.reshape(a, (*rows, *a.shape[1:]))
    return ops.reshape(ops.moveaxis(image, 0, len(rows) - 1), a.shape)


def _from_there(a: Array, rows: tuple[int, ...] | None) -> Array:
    """Reorder such an array to channels first."""
    if rows is None:
        return a
    image = ops.reshape(a, (*rows[1:], rows[0], *a.shape[1:]))
    return ops.reshape(ops.moveaxis(image, len(rows) - 1, 0), a.shape)


def _copy(a: Array) -> Array:
    return ops.asarray(a, like=a, copy=True)
