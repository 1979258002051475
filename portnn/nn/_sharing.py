"""The same parameters in several places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, final

from portnn import ops, tree
from portnn._typing import Array, Tree
from portnn.nn._checks import check_params, check_size
from portnn.nn._containers import as_layer
from portnn.nn._layer import Key, Layer, keys_of, pair, share
from portnn.ops._options import check_flag

__all__ = ["Repeat", "Shared", "Sharing"]


@final
@dataclass(frozen=True, init=False)
class Repeat(Layer):
    """One layer several times in a row, each time with the same parameters (Dehghani et al., Universal
    transformers, 2019, and Lan et al., ALBERT, 2020, share those of transformer blocks so).

    Parameters and state are dictionaries with one entry, "layer". Each time the layer goes on from the
    running state that it left, and draws other random numbers. Further inputs and options go to it each time.

    Args:
        layer: a layer, or a list of layers and activation functions, whose output fits its input.
        times: how often.

    Raises:
        TypeError: if it is no layer, or `times` no integer.
        ValueError: if `times` is not positive.

    Example:
        >>> import numpy as np
        >>> from portnn.nn import Linear
        >>> params = {"layer": {"weight": np.asarray([[2.0]])}}
        >>> Repeat(Linear(1, 1, bias=False), 3).apply(params, np.asarray([[1.0]])).tolist()
        [[8.0]]
    """

    layer: Layer
    times: int

    def __init__(self, layer: Any, times: int) -> None:
        object.__setattr__(self, "layer", as_layer(layer))
        object.__setattr__(self, "times", check_size("Repeat", "times", times))

    @property
    def members(self) -> tuple[Layer, ...]:
        """The layer."""
        return (self.layer,)

    def init(self, rng: Any, dtype: str = "float32") -> Tree:
        """Draw the parameters of the layer."""
        return {"layer": self.layer.init(rng, dtype)}

    def init_state(self, dtype: str = "float32") -> Tree:
        """The state of the layer."""
        return {"layer": self.layer.init_state(dtype)}

    def forward(
        self, params: Tree, state: Tree, x: Array, *more: Any, training: bool, key: Key | None, **options: Any
    ) -> tuple[Array, Tree]:
        """The layer of the layer of ... `x`."""
        check_params("Repeat", params, ("layer",))
        inputs, named = share(self.layer, more, options)
        own = state["layer"]
        for k in keys_of(key, (self.layer,) * self.times):
            result = self.layer.forward(params["layer"], own, x, *inputs, training=training, key=k, **named)
            x, own = pair(self.layer, result)
        return x, {"layer": own}


@final
@dataclass(frozen=True, init=False)
class Shared(Layer):
    """A place of a layer whose parameters it has in common with all places of the same name.

    It has no parameters of its own: `Sharing` around the network holds them and hands them in. A running
    state, such as that of batch norm, is each place's own.

    Args:
        name: what the places have in common.
        layer: a layer, or a list of layers and activation functions, the same in each place.
        transposed: whether this place uses the matrices of the others transposed, as a `Linear` layer at the
            end of a language model does with those of the `Embedding` at its beginning (Press and Wolf, Using
            the output embedding to improve language models, 2017). The layer may then be another one.

    Raises:
        TypeError: if it is no layer, or the name no string.
        ValueError: if the name is empty or has a dot.

    Example:
        >>> import numpy as np
        >>> from portnn.nn import Linear, tanh
        >>> down, up = Linear(3, 2, bias=False), Linear(2, 3, bias=False)
        >>> coder = Sharing([Shared("map", down), tanh, Shared("map", up, transposed=True)])
        >>> params = coder.init(np.random.default_rng(0))
        >>> params["shared"]["map"]["weight"].shape
        (3, 2)
        >>> coder.apply(params, np.ones((5, 3), "float32")).shape
        (5, 3)
    """

    name: str
    layer: Layer
    transposed: bool

    def __init__(self, name: str, layer: Any, transposed: bool = False) -> None:
        if not isinstance(name, str):
            raise TypeError(f"Shared: expected a name and a layer, got {type(name).__name__} for the name")
        if not name or "." in name:
            raise ValueError(f"Shared: expected a name without dots, got {name!r:.60}")
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "layer", as_layer(layer))
        object.__setattr__(self, "transposed", check_flag("Shared", "transposed", transposed))

    @property
    def members(self) -> tuple[Layer, ...]:
        """The layer."""
        return (self.layer,)

    def init_state(self, dtype: str = "float32") -> Tree:
        """The state of the layer in this place."""
        return self.layer.init_state(dtype)

    def forward(
        self,
        params: Tree,
        state: Tree,
        x: Array,
        *more: Any,
        training: bool,
        key: Key | None,
        shared: Mapping[str, Tree] | None = None,
        **options: Any,
    ) -> tuple[Array, Tree]:
        """The layer of `x` with the parameters of its name."""
        if shared is None or self.name not in shared:
            raise ValueError(
                f"Shared: {self.name!r:.60} has no parameters of its own; "
                "put portnn.Sharing(...) around the network"
            )
        own = tree.map(_turned, shared[self.name]) if self.transposed else shared[self.name]
        inputs, named = share(self.layer, more, {**options, "shared": shared})
        return pair(
            self.layer, self.layer.forward(own, state, x, *inputs, training=training, key=key, **named)
        )


def _turned(a: Array) -> Array:
    return ops.matrix_transpose(a) if len(a.shape) == 2 else a


@final
@dataclass(frozen=True, init=False)
class Sharing(Layer):
    """A network in which layers share parameters: it holds those of all `Shared` places inside, by name.

    Parameters are ``{"shared": {name: ...}, "layer": ...}``; the gradient of a shared parameter is the sum
    over its places. Further inputs and options go to the network.

    Args:
        layer: a layer, or a list of layers and activation functions.

    Raises:
        TypeError: if it is no layer.
        ValueError: if no layer inside is `Shared`, if places of one name differ, or if all are transposed.

    Example:
        >>> import numpy as np
        >>> from portnn.nn import Linear, Parallel
        >>> tower = Shared("tower", Linear(3, 2))
        >>> twins = Sharing(Parallel([tower, tower], paired=True))
        >>> a, b = twins.apply(twins.init(np.random.default_rng(0)), *[np.ones((1, 3), "float32")] * 2)
        >>> bool((a == b).all())
        True
    """

    layer: Layer

    def __init__(self, layer: Any) -> None:
        layer = as_layer(layer)
        places = [*_places(layer)]
        if not places:
            raise ValueError("Sharing: expected a layer inside that is Shared(name, layer), got none")
        own = _owners(places)
        for place in places:
            if place.name not in own:
                raise ValueError(
                    f"Sharing: all places of {place.name!r:.60} are transposed; let one be as it is"
                )
            if not place.transposed and place.layer != own[place.name]:
                raise ValueError(
                    f"Sharing: the layers named {place.name!r:.60} differ; give them names of their own"
                )
        object.__setattr__(self, "layer", layer)

    @property
    def members(self) -> tuple[Layer, ...]:
        """The network."""
        return (self.layer,)

    @property
    def shared(self) -> dict[str, Layer]:
        """The shared layers by their names."""
        return _owners(_places(self.layer))

    def init(self, rng: Any, dtype: str = "float32") -> Tree:
        """Draw the shared parameters, in the order of their first places, and then the others."""
        shared = {name: layer.init(rng, dtype) for name, layer in self.shared.items()}
        return {"shared": shared, "layer": self.layer.init(rng, dtype)}

    def init_state(self, dtype: str = "float32") -> Tree:
        """The state of the network."""
        return self.layer.init_state(dtype)

    def forward(
        self, params: Tree, state: Tree, x: Array, *more: Any, training: bool, key: Key | None, **options: Any
    ) -> tuple[Array, Tree]:
        """The network of `x`."""
        check_params("Sharing", params, ("shared", "layer"))
        inputs, named = share(self.layer, more, {**options, "shared": params["shared"]})
        result = self.layer.forward(params["layer"], state, x, *inputs, training=training, key=key, **named)
        return pair(self.layer, result)


def _places(layer: Layer) -> Iterator[Shared]:
    """The shared places inside a layer; those inside another `Sharing` are that one's."""
    if isinstance(layer, Shared):
        yield layer
    if not isinstance(layer, Sharing):
        for member in layer.members:
            yield from _places(member)


def _owners(places: Any) -> dict[str, Layer]:
    """The layer of each name: that of the first place that is not transposed."""
    found: dict[str, Layer] = {}
    for place in places:
        if not place.transposed:
            found.setdefault(place.name, place.layer)
    return found
