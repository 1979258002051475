"""Layers made of layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from inspect import Parameter, signature
from itertools import pairwise
from typing import Any, final

from portnn._suggest import same_as, with_known_options
from portnn._typing import Array, Tree
from portnn.nn._activation import Activation
from portnn.nn._activations import relu
from portnn.nn._checks import check_members
from portnn.nn._foreign import refuse_foreign
from portnn.nn._layer import Key, Layer, check_depth, keys_of, pair, share
from portnn.nn._linear import Linear

__all__ = ["MLP", "Sequential", "as_layer"]


def as_layer(part: Any) -> Layer:
    """A layer from what may stand in a list of layers: a layer, an activation function, or a list of such.

    Raises:
        TypeError: if it is something else, such as the class of a layer instead of a layer.
        ValueError: if layers are nested too deep.
    """
    if isinstance(part, Layer | list | tuple):
        check_depth([part])  # checked in each container
    if isinstance(part, Layer):
        return part
    if isinstance(part, list | tuple):
        return Sequential(part)
    refuse_foreign(part)
    if isinstance(part, partial) and not part.args:
        return Activation(part.func, **part.keywords)
    if callable(part) and not isinstance(part, type):
        return Activation(part)
    hint = ""
    if isinstance(part, type):
        needed = _needed(part)
        told = f"(...) with {needed}" if needed.strip(".") else f"({needed})"
        hint = f"; write {part.__name__}{told:.120}"
    if isinstance(part, str) and (same := same_as("nn", part)):
        hint = f"; write portnn.{same}"
    raise TypeError(
        f"expected a layer or an activation function such as portnn.relu, got "
        f"{'the class ' + part.__name__ if isinstance(part, type) else type(part).__name__}{hint}"
    )


def _needed(kind: type) -> str:
    """Return the arguments that a class has to be told."""
    if not issubclass(kind, Layer):
        return "..."
    return ", ".join([p.name for p in signature(kind).parameters.values() if p.default is Parameter.empty])


@final
@dataclass(frozen=True, init=False)
class Sequential(Layer):
    """Layers one after the other.

    Parameters and state are tuples with an entry for each layer. Further inputs and options go to each
    layer that takes them.

    Args:
        layers: layers, or activation functions, which become `Activation` layers.

    Raises:
        TypeError: if one of them is neither.
        ValueError: if there are none.

    Example:
        >>> from portnn.nn import relu
        >>> len(Sequential([Linear(784, 10), relu, Linear(10, 10)]).layers)
        3
    """

    layers: tuple[Layer, ...]

    @with_known_options
    def __init__(self, layers: Iterable[Any]) -> None:
        if isinstance(layers, Layer) or not isinstance(layers, Iterable):
            refuse_foreign(layers)
            kind = f"the class {layers.__name__}" if isinstance(layers, type) else type(layers).__name__
            write = f"{layers.__name__}({_needed(layers):.120})" if isinstance(layers, type) else "layer"
            raise TypeError(f"Sequential: expected a list of layers, got {kind:.60}; write [{write}, ...]")
        parts = tuple([as_layer(part) for part in layers])
        if not parts:
            raise ValueError("Sequential: expected at least one layer, got an empty list")
        object.__setattr__(self, "layers", parts)

    @property
    def members(self) -> tuple[Layer, ...]:
        """The layers."""
        return self.layers

    def init(self, rng: Any, dtype: str = "float32") -> Tree:
        """Draw the parameters of each layer in order."""
        return tuple(layer.init(rng, dtype) for layer in self.layers)

    def init_state(self, dtype: str = "float32") -> Tree:
        """The state of each layer."""
        return tuple([layer.init_state(dtype) for layer in self.layers])

    def forward(
        self, params: Tree, state: Tree, x: Array, *more: Any, training: bool, key: Key | None, **options: Any
    ) -> tuple[Array, Tree]:
        """Hand the output of each layer to the next."""
        check_members("Sequential", params, len(self.layers))
        states, keys = [], keys_of(key, self.layers)
        for layer, p, before, own in zip(self.layers, params, state, keys, strict=True):
            inputs, named = share(layer, more, options)
            x, after = pair(layer, layer.forward(p, before, x, *inputs, training=training, key=own, **named))
            states.append(after)
        return x, tuple(states)


def MLP(features: Sequence[int], *, activation: Callable[..., Array] = relu) -> Sequential:
    """A multilayer perceptron: linear layers with an activation between each two.

    Args:
        features: the widths, from the input to the output; at least two.
        activation: the function between the layers; none follows the last.

    Returns:
        A `Sequential`.

    Raises:
        TypeError: if `features` is no list of integers.
        ValueError: if there are fewer than two widths.

    Example:
        >>> [type(layer).__name__ for layer in MLP([784, 10, 10]).layers]
        ['Linear', 'Activation', 'Linear']
    """
    if not isinstance(features, Iterable):
        raise TypeError(
            f"MLP: expected a list of widths, got {type(features).__name__}; write MLP([784, 10])"
        )
    features = list(features)
    if len(features) < 2:
        raise ValueError(f"MLP: expected at least an input and an output width, got {features}")
    layers: list[Any] = []
    for n_in, n_out in pairwise(features):
        layers += [Linear(n_in, n_out), activation]
    return Sequential(layers[:-1])
