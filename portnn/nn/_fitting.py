"""Check without data that the layers of a network fit each other."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any, final

from portnn import ops, tree
from portnn._typing import Array, Tree
from portnn.nn._layer import Layer, check_layer
from portnn.nn._linear import Linear
from portnn.nn._naming import Place, place_of
from portnn.nn._text import label_of

__all__ = ["check_shapes", "output_activation"]

_OF_CHANNELS = ("BatchNorm", "GroupNorm", "InstanceNorm")  # by name: importing them takes time
_LENGTHS = (7, 11)  # of trial sequences: an error that is the same for both is taken to hold for all


def check_shapes(layer: Layer, params: Tree, state: Tree) -> None:
    """Check that each layer of a network accepts the output of the one before it.

    The number of features is known if a network starts with a linear or a recurrent layer. One sample of
    zeros is run through it, on the host and without gradients, and a sequence too if the layers may need
    one. An error is raised only if no input could pass, so not if a user-defined layer rejects zeros, or if
    the error depends on the length of the sequence.

    Args:
        layer: the network's layers.
        params: their parameters, from `Layer.init`.
        state: their state, from `Layer.init_state`.

    Raises:
        ValueError: if a layer expects other features than it gets; it names the layer by its path.

    Example:
        >>> from portnn.nn import MLP, Sequential, outline, relu
        >>> net = Sequential([MLP([4, 8]), relu, Linear(9, 3)])
        >>> check_shapes(net, *outline(net))
        Traceback (most recent call last):
        ValueError: layer 2 Linear(9, 3): expected 9 features, got 8 from the layer before; write Linear(8, 3)
    """
    check_layer("check_shapes", layer)
    first = _first(layer)
    features, leaves = getattr(first, "in_features", None), tree.leaves(params)
    if not isinstance(features, int) or not leaves or not leaves[0].shape:
        return
    samples: list[tuple[int, ...]] = [(1, features)] if isinstance(first, Linear) else []
    samples += [(1, length, features) for length in _LENGTHS]
    found: list[_Misfit] = []
    while samples:
        x = ops.zeros(samples.pop(0), dtype=leaves[0].dtype, like=leaves[0])
        misfit = _tried(layer, params, state, x)
        if misfit is None:
            return
        if found and misfit.channels and x.shape[1] != misfit.channels:  # of a norm: the length must match
            samples.insert(0, (1, misfit.channels, features))
            continue
        if not misfit.recurrent:
            found.append(misfit)
    if found[0].expected and all(one == found[0] for one in found):
        raise ValueError(found[0].text())


def _first(layer: Layer) -> Layer | None:
    """Return the layer that gets the input; None if there are several inputs."""
    while layer.members:
        if layer.further_inputs:
            return None
        layer = layer.members[0]
    return layer


@final
@dataclass(frozen=True)
class _Misfit:
    """A layer that rejected its input.

    Attributes:
        path: its path; empty if unknown.
        layer: the layer.
        expected: the number of features it expects on the last axis; 0 if that is not the reason.
        got: the number of features it got.
        channels: the number it expects on axis 1, if that may be the reason; else 0.
        recurrent: whether it only accepts sequences and got something else.
    """

    path: tuple[int, ...] = ()
    layer: Layer | None = None
    expected: int = 0
    got: int = 0
    channels: int = 0
    recurrent: bool = False

    def text(self) -> str:
        """Return the error text."""
        place = Place(self.path, self.layer, None)
        return (
            f"layer {place}: expected {self.expected} features, got {self.got} from the layer before; "
            f"{_mended(self.layer, self.got)}"
        )


def _mended(layer: Any, features: int) -> str:
    """Return the code of a layer for other features."""
    try:
        return f"write {label_of(replace(layer, in_features=features))}"
    except (TypeError, ValueError):  # other names, or features that depend on each other
        return "make them equal"


def _tried(layer: Layer, params: Tree, state: Tree, x: Array) -> _Misfit | None:
    """Return the layer that rejects `x`; None if none does."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about zeros
            layer.forward(params, state, x, training=False, key=None)
    except Exception as error:  # noqa: BLE001  # user-defined layers may not accept zeros
        return _misfit(place_of(layer, error.__traceback__))
    return None


def _misfit(place: Place | None) -> _Misfit:
    """Return why a layer may have rejected its input."""
    if place is None or not type(place.layer).__module__.startswith("portnn."):
        return _Misfit()
    part, shape = place.layer, tuple(getattr(place.x, "shape", ()))
    expected = getattr(part, "in_features", 0)
    if expected and len(shape) > 1 and shape[-1] != expected:
        return _Misfit(place.path, part, expected, shape[-1])
    channels = part.features if type(part).__name__ in _OF_CHANNELS else 0
    recurrent = expected > 0 and hasattr(part, "hidden_features") and len(shape) == 2
    return _Misfit(place.path, part, channels=channels, recurrent=recurrent)


def output_activation(layer: Layer) -> Any:
    """Return the final activation function of a network; None if it ends with another layer.

    Example:
        >>> from portnn.nn import Sequential, softmax
        >>> output_activation(Sequential([Linear(4, 3), [softmax]])).__name__
        'softmax'
    """
    while layer.members and not layer.further_inputs:
        layer = layer.members[-1]
    return getattr(layer, "function", None)
