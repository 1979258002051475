"""Activations as layers: without parameters, and the one that has some."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, final

from portnn._typing import Array, Tree
from portnn.nn import init as initializers
from portnn.nn._activations import prelu
from portnn.nn._checks import check_params, check_size
from portnn.nn._foreign import refuse_foreign
from portnn.nn._initializers import Initializer
from portnn.nn._layer import Key, Layer

__all__ = ["Activation", "PReLU"]


@final
@dataclass(frozen=True, init=False)
class Activation(Layer):
    """A function of arrays as a layer; lists of layers take the function itself as well.

    Args:
        function: an activation of portnn, or a function of your own (which cannot be saved to a file).
        **options: keyword arguments that are handed to it.

    Raises:
        TypeError: if `function` cannot be called.

    Example:
        >>> import numpy as np
        >>> from portnn.nn import leaky_relu
        >>> Activation(leaky_relu, negative_slope=0.1).apply({}, np.asarray([-1.0, 2.0])).tolist()
        [-0.1, 2.0]
    """

    function: Callable[..., Array]
    options: tuple[tuple[str, Any], ...]

    def __init__(self, function: Callable[..., Array], **options: Any) -> None:
        refuse_foreign(function)
        if not callable(function):
            raise TypeError(
                f"Activation: expected a function such as portnn.relu, got {type(function).__name__}"
            )
        object.__setattr__(self, "function", function)
        object.__setattr__(self, "options", tuple(sorted(options.items())))

    def forward(
        self, params: Tree, state: Tree, x: Array, *, training: bool, key: Key | None
    ) -> tuple[Array, Tree]:
        """The function of `x`."""
        return self.function(x, **dict(self.options)), state


@final
@dataclass(frozen=True)
class PReLU(Layer):
    """A leaky ReLU whose slopes for negative inputs are learned (He et al.,
    Delving deep into rectifiers, 2015).

    Parameters: ``alpha`` of shape (features,).

    Args:
        features: the number of channels, axis 1 of the input (n, features, ...), each with its own slope;
            or 1 for a single slope, with inputs of any shape.
        slope: the slopes to begin with.

    Raises:
        ValueError: if `features` is not positive; and at use, if the input has another number of channels.

    Example:
        >>> import numpy as np
        >>> from portnn.random import stream
        >>> layer = PReLU(1)
        >>> layer.apply(layer.init(stream(0)), np.asarray([[-4.0, 2.0]], dtype=np.float32)).tolist()
        [[-1.0, 2.0]]
    """

    features: int = 1
    slope: Initializer = field(default_factory=lambda: initializers.constant(0.25))

    def __post_init__(self) -> None:
        object.__setattr__(self, "features", check_size("PReLU", "features", self.features))

    def init(self, rng: Any, dtype: str = "float32") -> Tree:
        """Draw ``{"alpha": ...}``."""
        return {"alpha": self.slope(rng, (self.features,), dtype)}

    def forward(
        self, params: Tree, state: Tree, x: Array, *, training: bool, key: Key | None
    ) -> tuple[Array, Tree]:
        """``x`` where it is positive, ``alpha * x`` elsewhere."""
        check_params("PReLU", params, ("alpha",))
        shape = tuple(x.shape)
        if self.features != 1 and (not shape or shape[min(1, len(shape) - 1)] != self.features):
            raise ValueError(
                f"PReLU: expected an input of shape (n, {self.features}, ...), got {shape}; "
                "PReLU() has one slope for all"
            )
        return prelu(x, params["alpha"]), state
