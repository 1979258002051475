"""Layers side by side: residual connections, branches, several inputs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Any, final

from portnn import ops
from portnn._typing import Array, Tree
from portnn.nn._checks import check_members, check_params
from portnn.nn._containers import as_layer
from portnn.nn._layer import Key, Layer, keys_of, pair, share
from portnn.ops._options import check_flag

__all__ = ["Concatenate", "Parallel", "Residual", "Sum"]


@final
@dataclass(frozen=True, init=False)
class Residual(Layer):
    """What a layer makes of its input, added to the input: ``layer(x) + shortcut(x)``.

    He, Zhang, Ren and Sun, Deep residual learning for image recognition (2016), equations 1 and 2.

    Parameters and state are dictionaries with the entries "layer" and, if there is one, "shortcut". Further
    inputs and options go to both, as far as they take them.

    Args:
        layer: a layer, or a list of layers and activation functions.
        shortcut: what the input goes through where its shape has to change; None leaves it as it is.

    Raises:
        TypeError: if one is no layer.
        ValueError: at use, if the two shapes differ.

    Example:
        >>> import numpy as np
        >>> from portnn.nn import relu
        >>> Residual(relu).apply({"layer": {}}, np.asarray([[-1.0, 2.0]])).tolist()
        [[-1.0, 4.0]]
    """

    layer: Layer
    shortcut: Layer | None

    def __init__(self, layer: Any, shortcut: Any = None) -> None:
        object.__setattr__(self, "layer", as_layer(layer))
        object.__setattr__(self, "shortcut", None if shortcut is None else as_layer(shortcut))

    @property
    def members(self) -> tuple[Layer, ...]:
        """The layer, and the shortcut if there is one."""
        return (self.layer,) if self.shortcut is None else (self.layer, self.shortcut)

    def init(self, rng: Any, dtype: str = "float32") -> Tree:
        """Draw the parameters of both."""
        names = ("layer", "shortcut")
        return {name: member.init(rng, dtype) for name, member in zip(names, self.members, strict=False)}

    def init_state(self, dtype: str = "float32") -> Tree:
        """The state of both."""
        names = ("layer", "shortcut")
        return {name: member.init_state(dtype) for name, member in zip(names, self.members, strict=False)}

    def forward(
        self, params: Tree, state: Tree, x: Array, *more: Any, training: bool, key: Key | None, **options: Any
    ) -> tuple[Array, Tree]:
        """The sum, in the shape of either."""
        check_params("Residual", params, ("layer", "shortcut")[: len(self.members)])
        after: dict[str, Tree] = {}
        results = [x]
        keys = keys_of(key, self.members)
        for name, member, own in zip(("layer", "shortcut"), self.members, keys, strict=False):
            inputs, named = share(member, more, options)
            result = member.forward(
                params[name], state[name], x, *inputs, training=training, key=own, **named
            )
            y, after[name] = pair(member, result)
            results.append(y)
        shortcut, y = (x, results[1]) if self.shortcut is None else (results[2], results[1])
        if y.shape != shortcut.shape:
            raise ValueError(
                f"Residual: the layer's output has shape {tuple(y.shape)}, the shortcut's "
                f"{tuple(shortcut.shape)}; give a shortcut that makes them equal"
            )
        return ops.add(y, shortcut), after


class _Branches(Layer):
    """The base of layers side by side, which differ in what becomes of their outputs."""

    layers: tuple[Layer, ...]
    paired: bool

    def _set(self, layers: Iterable[Any], paired: bool) -> None:
        """What the constructors have in common."""
        name = type(self).__name__
        if isinstance(layers, Layer) or not isinstance(layers, Iterable):
            raise TypeError(
                f"{name}: expected a list of layers, got {type(layers).__name__}; write [layer, ...]"
            )
        parts = tuple(as_layer(part) for part in layers)
        if not parts:
            raise ValueError(f"{name}: expected at least one layer, got an empty list")
        object.__setattr__(self, "layers", parts)
        object.__setattr__(self, "paired", check_flag(name, "paired", paired))

    @property
    def members(self) -> tuple[Layer, ...]:
        """The layers."""
        return self.layers

    @property
    def further_inputs(self) -> int | None:
        """One for each layer but the first, if each has its own."""
        return len(self.layers) - 1 if self.paired else None

    def init(self, rng: Any, dtype: str = "float32") -> Tree:
        """Draw the parameters of each layer in order."""
        return tuple([layer.init(rng, dtype) for layer in self.layers])

    def init_state(self, dtype: str = "float32") -> Tree:
        """The state of each layer."""
        return tuple([layer.init_state(dtype) for layer in self.layers])

    @abstractmethod
    def _combined(self, results: tuple[Any, ...]) -> Any:
        """What becomes of the outputs."""

    def forward(
        self, params: Tree, state: Tree, x: Any, *more: Any, training: bool, key: Key | None, **options: Any
    ) -> tuple[Any, Tree]:
        """Give each layer the input, or its own, and combine their outputs."""
        check_members(type(self).__name__, params, len(self.layers))
        given = self._inputs(x, more)
        results, after = [], []
        keys = keys_of(key, self.layers)
        for layer, p, s, own_key, own in zip(self.layers, params, state, keys, given, strict=True):
            inputs, named = share(layer, () if self.paired else more, options)
            result = layer.forward(p, s, own, *inputs, training=training, key=own_key, **named)
            y, new = pair(layer, result)
            results.append(y)
            after.append(new)
        return self._combined(tuple(results)), tuple(after)

    def _inputs(self, x: Any, more: tuple[Any, ...]) -> tuple[Any, ...]:
        """What each layer is given."""
        if not self.paired:
            return (x,) * len(self.layers)
        # A tuple comes from a layer in front, to which further inputs went already.
        given = tuple(x) if isinstance(x, tuple | list) else (x, *more)
        if len(given) != len(self.layers):
            raise ValueError(
                f"{type(self).__name__}: expected an input for each of {len(self.layers)} layers, "
                f"got {len(given)}"
            )
        return given


@final
@dataclass(frozen=True, init=False)
class Parallel(_Branches):
    """Layers side by side: the output is the tuple of theirs.

    Parameters and state are tuples with an entry for each layer.

    Args:
        layers: layers, activation functions, or lists of such.
        paired: whether each layer has an input of its own, ``apply(params, a, b, ...)`` or a tuple of them;
            else all have the same one.

    Raises:
        TypeError: if one of them is no layer.
        ValueError: if there are none; and at use, if there are not as many inputs as layers.

    Example:
        >>> import numpy as np
        >>> from portnn.nn import identity, relu
        >>> both = Parallel([relu, identity], paired=True)
        >>> [y.tolist() for y in both.apply(({}, {}), np.asarray([-1.0]), np.asarray([-2.0]))]
        [[0.0], [-2.0]]
    """

    layers: tuple[Layer, ...]
    paired: bool

    def __init__(self, layers: Iterable[Any], paired: bool = False) -> None:
        self._set(layers, paired)

    def _combined(self, results: tuple[Any, ...]) -> Any:
        return results


@final
@dataclass(frozen=True, init=False)
class Sum(_Branches):
    """Layers side by side: the output is the sum of theirs.

    Parameters and state are tuples with an entry for each layer.

    Args:
        layers: layers, activation functions, or lists of such.
        paired: whether each layer has an input of its own, ``apply(params, a, b, ...)`` or a tuple of them;
            else all have the same one.

    Raises:
        TypeError: if one of them is no layer.
        ValueError: if there are none; and at use, if there are not as many inputs as layers.

    Example:
        >>> import numpy as np
        >>> from portnn.nn import identity, relu
        >>> Sum([relu, identity]).apply(({}, {}), np.asarray([-1.0, 2.0])).tolist()
        [-1.0, 4.0]
    """

    layers: tuple[Layer, ...]
    paired: bool

    def __init__(self, layers: Iterable[Any], paired: bool = False) -> None:
        self._set(layers, paired)

    def _combined(self, results: tuple[Any, ...]) -> Any:
        return reduce(ops.add, results)


@final
@dataclass(frozen=True, init=False)
class Concatenate(_Branches):
    """Layers side by side: their outputs are joined along an axis.

    With `portnn.identity` as one of them, the input itself is kept beside what is made of it.

    Parameters and state are tuples with an entry for each layer.

    Args:
        layers: layers, activation functions, or lists of such.
        axis: the axis to join along: 1 for features (n, features) and channels (n, channels, ...), -1 for
            sequences (n, time, features).
        paired: whether each layer has an input of its own, ``apply(params, a, b, ...)`` or a tuple of them;
            else all have the same one.

    Raises:
        TypeError: if one of them is no layer, or the axis no integer.
        ValueError: if there are none; and at use, if there are not as many inputs as layers.

    Example:
        >>> import numpy as np
        >>> from portnn.nn import identity, relu
        >>> Concatenate([relu, identity]).apply(({}, {}), np.asarray([[-1.0, 2.0]])).tolist()
        [[0.0, 2.0, -1.0, 2.0]]
    """

    layers: tuple[Layer, ...]
    axis: int
    paired: bool

    def __init__(self, layers: Iterable[Any], axis: int = 1, paired: bool = False) -> None:
        if isinstance(axis, bool) or not isinstance(axis, int):
            raise TypeError(f"Concatenate: axis must be an integer, got {type(axis).__name__}")
        self._set(layers, paired)
        object.__setattr__(self, "axis", axis)

    def _combined(self, results: tuple[Any, ...]) -> Any:
        return ops.concat(results, axis=self.axis)
