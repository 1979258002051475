"""Parameters from Keras and for it: lists of weights in the order of `get_weights` and `set_weights`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from portnn import ops, tree
from portnn._typing import Array, ArrayLike, Tree
from portnn.backend import get_backend
from portnn.nn._batch_norm import BatchNorm
from portnn.nn._containers import Sequential
from portnn.nn._convolution import Conv1d, Conv2d
from portnn.nn._convolution_transposed import ConvTranspose1d, ConvTranspose2d
from portnn.nn._embedding import Embedding
from portnn.nn._layer import Layer
from portnn.nn._linear import Linear
from portnn.nn._normalization import GroupNorm, LayerNorm
from portnn.nn._outline import outline
from portnn.nn._reshaping import Flatten
from portnn.tracing import is_kind

__all__ = ["from_keras", "to_keras"]

# What Keras lists for a layer, in its order: the name here, and how the axes lie there. Keras has the axes
# of the kernel first and the channels last (its pages of Conv2D and Conv2DTranspose).
_ORDERS: dict[type[Layer], tuple[tuple[str, tuple[int, ...] | None], ...]] = {
    Linear: (("weight", None), ("bias", None)),
    Conv1d: (("weight", (2, 1, 0)), ("bias", None)),
    Conv2d: (("weight", (2, 3, 1, 0)), ("bias", None)),
    ConvTranspose1d: (("weight", (2, 1, 0)), ("bias", None)),
    ConvTranspose2d: (("weight", (2, 3, 1, 0)), ("bias", None)),
    Embedding: (("weight", None),),
    LayerNorm: (("weight", None), ("bias", None)),
    GroupNorm: (("weight", None), ("bias", None)),
    BatchNorm: (("weight", None), ("bias", None), ("mean", None), ("var", None)),
}


def from_keras(
    layer: Layer, weights: Sequence[ArrayLike], *, flattened: tuple[int, ...] | None = None
) -> tuple[Tree, Tree]:
    """Parameters and running state from a list of weights of Keras.

    The model is the one that a Keras user would write for `layer`: a `Sequential`, in it `Dense`, `Conv1D`,
    `Conv2D`, their transposes, `Embedding`, and the normalisations. Keras takes images with channels last, so
    predictions agree on images with their axes moved. Its epsilon for batch norm is 0.001.

    Args:
        layer: the description.
        weights: what ``model.get_weights()`` gives.
        flattened: the shape (channels, height, width) of what a `Flatten` makes vectors of, if there are
            images before it: Keras flattens with channels last, so rows of the layer behind it change places.

    Returns:
        The parameters and the state, NumPy arrays of the dtypes of the weights. Hand them to `layer.apply`,
        or to a network: ``net.load_params(params, state)``.

    Raises:
        TypeError: if Keras has no such layer, or a weight is not made of real numbers.
        ValueError: if there are too few weights, too many, or one has the wrong shape.

    Example:
        >>> import numpy as np
        >>> params, state = from_keras(Linear(3, 2), [np.ones((3, 2)), np.zeros(2)])
        >>> params["weight"].shape
        (3, 2)
    """
    params, state = outline(layer)
    places = list(_places(layer, params, state, flattened))
    if len(weights) != len(places):
        raise ValueError(f"from_keras: expected {len(places)} weights, got {len(weights)}")
    to_numpy = get_backend("numpy").to_numpy
    found = {}
    for i, (weight, (path, like, axes, rows)) in enumerate(zip(weights, places, strict=True)):
        a = to_numpy(weight)
        shape = tuple(like.shape) if axes is None else tuple(like.shape[k] for k in axes)
        if tuple(a.shape) != shape:
            raise ValueError(f"from_keras: weight {i}, {path}: expected shape {shape}, got {tuple(a.shape)}")
        if not is_kind(a, "real floating"):
            raise TypeError(f"from_keras: weight {i}, {path}: expected real numbers, got dtype {a.dtype}")
        found[path] = _copy(_from_there(a, axes, rows))
    count = ops.zeros((), dtype="int32", like=get_backend("numpy"))
    template = {"params": params, "state": state}
    filled = tree.unflatten(template, [found.get(name, count) for name, _ in tree.items(template)])
    return filled["params"], filled["state"]


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
        TypeError: if Keras has no such layer.
        ValueError: if the parameters or the state are of another structure.

    Example:
        >>> from portnn.random import stream
        >>> layer = Sequential([Conv2d(3, 8, 5), Flatten(), Linear(8, 2)])
        >>> [a.shape for a in to_keras(layer, layer.init(stream(0)))]
        [(5, 5, 3, 8), (8,), (8, 2), (2,)]
    """
    state = layer.init_state() if state is None else state
    if tree.structure((params, state)) != tree.structure(outline(layer)):
        raise ValueError(
            f"to_keras: expected params and state as {type(layer).__name__} makes them, of that structure"
        )
    params, state = tree.map(get_backend("numpy").to_numpy, (params, state))
    places = _places(layer, params, state, flattened)
    return [_copy(_to_there(a, axes, rows)) for _, a, axes, rows in places]


def _places(
    layer: Layer, params: Tree, state: Tree, flattened: tuple[int, ...] | None
) -> Iterator[tuple[str, Array, tuple[int, ...] | None, tuple[int, ...] | None]]:
    """What Keras lists, in its order: the path here, the array, how its axes lie there, and whether its rows
    are those of a flattened image of some shape.
    """
    rows = None
    for path, part, p, s in _parts(layer, params, state, ""):
        if isinstance(part, Flatten):
            rows = flattened
        for name, axes in _order(part, p, s):
            tree_name, a = ("state", s[name]) if name in s else ("params", p[name])
            turned = rows if name == "weight" or not isinstance(part, Linear) else None
            if turned is not None and prod(turned) != a.shape[0]:
                raise ValueError(f"flattened={rows} is {prod(turned)} numbers, but there are {a.shape[0]}")
            yield f"{tree_name}{path}.{name}", a, axes, turned
        rows = None if isinstance(part, Linear) else rows


def _parts(layer: Layer, params: Tree, state: Tree, path: str) -> Iterator[tuple[str, Layer, Tree, Tree]]:
    """The layers that are no containers, one after the other."""
    if isinstance(layer, Sequential):
        for i, (member, p, s) in enumerate(zip(layer.layers, params, state, strict=True)):
            yield from _parts(member, p, s, f"{path}.{i}")
    else:
        yield path, layer, params, state


def _order(layer: Layer, params: Tree, state: Tree) -> Iterator[tuple[str, tuple[int, ...] | None]]:
    """What Keras lists for a layer.

    Raises:
        TypeError: if Keras has no such layer.
    """
    order = _ORDERS.get(type(layer))
    grouped = isinstance(layer, ConvTranspose1d | ConvTranspose2d) and layer.groups != 1
    if grouped or (order is None and tree.leaves((params, state))):
        raise TypeError(
            f"{type(layer).__name__}: Keras has no such layer, or lists its weights in other ways"
        )
    for name, axes in order or ():
        if name in params or name in state:
            yield name, axes


def _to_there(a: Array, axes: tuple[int, ...] | None, rows: tuple[int, ...] | None) -> Array:
    """An array as Keras has it."""
    if rows is not None:
        image = ops.reshape(a, (*rows, *a.shape[1:]))
        return ops.reshape(ops.moveaxis(image, 0, len(rows) - 1), a.shape)
    return a if axes is None else ops.permute_dims(a, axes)


def _from_there(a: Array, axes: tuple[int, ...] | None, rows: tuple[int, ...] | None) -> Array:
    """An array of Keras as it is here."""
    if rows is not None:
        image = ops.reshape(a, (*rows[1:], rows[0], *a.shape[1:]))
        return ops.reshape(ops.moveaxis(image, len(rows) - 1, 0), a.shape)
    if axes is None:
        return a
    return ops.permute_dims(a, tuple(axes.index(i) for i in range(len(axes))))


def _copy(a: Array) -> Array:
    return ops.asarray(a, like=a, copy=True)
