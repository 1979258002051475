"""What a layer is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, TypeAlias, final

from portnn._typing import Array, Tree

__all__ = ["Key", "Layer", "pair"]

Key: TypeAlias = tuple[int, ...]
"""The name of a random stream: ``portnn.random.stream(*key)``. Containers add a number for each layer."""


class Layer(ABC):
    """A description of a part of a network: hyperparameters, and no array.

    Layers are frozen dataclasses, so they can be compared, printed and saved as plain data. A layer's
    arrays live outside it: `init` makes its parameters, `init_state` what it carries from one batch to the
    next besides (running statistics), and `apply` takes both.

    A new layer is a frozen dataclass that defines `forward`, and `init` if it has parameters. It computes
    with functions of `portnn.ops` and operators, not with NumPy's functions, so that gradients pass.

    Example:
        >>> from dataclasses import dataclass
        >>> import numpy as np
        >>> @dataclass(frozen=True)
        ... class Scale(Layer):
        ...     features: int
        ...
        ...     def init(self, rng, dtype="float32"):
        ...         return {"scale": np.ones(self.features, dtype=dtype)}
        ...
        ...     def forward(self, params, state, x, *, training, key):
        ...         return x * params["scale"], state
        >>> layer = Scale(3)
        >>> layer.apply(layer.init(np.random.default_rng(0)), np.ones((5, 3), dtype=np.float32)).shape
        (5, 3)
    """

    __slots__ = ()

    def init(self, rng: Any, dtype: str = "float32") -> Tree:
        """Draw the parameters.

        Args:
            rng: a `numpy.random.Generator`, for instance ``portnn.random.stream(seed)``.
            dtype: "float32" or "float64".

        Returns:
            A tree of NumPy arrays, empty if the layer has no parameters.
        """
        return {}

    def init_state(self, dtype: str = "float32") -> Tree:
        """The running state before the first batch: a tree of NumPy arrays, empty if there is none."""
        return {}

    @abstractmethod
    def forward(
        self, params: Tree, state: Tree, x: Array, *, training: bool, key: Key | None
    ) -> tuple[Array, Tree]:
        """What the layer does: `apply` with everything explicit. Layers define this.

        Args:
            params: the parameters, as `init` made them.
            state: the running state, as `init_state` or the last call made it.
            x: the input (n, ...), batch first; traced while gradients are computed.
            training: whether this is a step of training, for layers that behave differently then.
            key: the name of a stream of `portnn.random`, for layers that draw random numbers in training.

        Returns:
            The output and the new running state.
        """

    @final
    def apply(
        self,
        params: Tree,
        x: Array,
        *,
        state: Tree | None = None,
        training: bool = False,
        key: Key | None = None,
    ) -> Any:
        """The layer's output, as a pure function of its parameters and input.

        Args:
            params: the parameters, as `init` made them, on the library and device of `x`.
            x: the input, batch first.
            state: the running state; if it is given, the new one is returned as well.
            training: whether this is a step of training.
            key: the name of a stream of `portnn.random`, for layers that draw random numbers in training.

        Returns:
            The output; with `state`, a pair of the output and the new state.

        Raises:
            TypeError: if the layer's `forward` does not return a pair.

        Example:
            >>> import numpy as np
            >>> from portnn.nn import Linear
            >>> from portnn.random import stream
            >>> layer = Linear(3, 2)
            >>> layer.apply(layer.init(stream(0)), np.ones((5, 3), dtype=np.float32)).shape
            (5, 2)
        """
        before = self.init_state() if state is None else state
        y, after = pair(self, self.forward(params, before, x, training=training, key=key))
        return y if state is None else (y, after)


def pair(layer: Layer, result: Any) -> tuple[Array, Tree]:
    """What a layer's `forward` returned, if it is a pair.

    Raises:
        TypeError: if it is not. An array of two rows would be taken apart without it.
    """
    if type(result) is tuple and len(result) == 2:
        return result
    raise TypeError(
        f"{type(layer).__name__}.forward must return (output, state), got {type(result).__name__}; "
        "a layer without state hands on the one it got"
    )
