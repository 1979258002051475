"""Dropout: some of the input is set to zero in training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from portnn import ops
from portnn._typing import Array, Tree
from portnn.nn._checks import check_share
from portnn.nn._layer import Key, Layer, need_key
from portnn.random import bernoulli
from portnn.tracing import TracedArray, check_floating, namespace

__all__ = ["Dropout", "Dropout1d", "Dropout2d"]


@final
@dataclass(frozen=True)
class Dropout(Layer):
    """Sets each element to zero with a probability, in training (Srivastava et al., Dropout: a simple way to
    prevent neural networks from overfitting, 2014).

    What is left is multiplied by ``1 / (1 - p)``, so that the mean stays as it is. Outside of training
    nothing happens.

    Args:
        p: the probability, from 0 to 1.

    Raises:
        TypeError: if `p` is not a number.
        ValueError: if it is not a probability.

    Example:
        >>> import numpy as np
        >>> from portnn.random import key
        >>> x = np.ones((2, 4), dtype=np.float32)
        >>> Dropout(0.5).apply({}, x, training=True, key=key(0)).tolist()
        [[2.0, 0.0, 0.0, 0.0], [0.0, 2.0, 0.0, 2.0]]
        >>> Dropout(0.5).apply({}, x) is x
        True
    """

    p: float = 0.5
    draws = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "p", check_share("Dropout", "p", self.p))

    def forward(
        self, params: Tree, state: Tree, x: Array, *, training: bool, key: Key | None
    ) -> tuple[Array, Tree]:
        """`x` (any shape), or in training what is left of it, of the same shape."""
        return _drop("Dropout", x, self.p, key, x.shape, training=training), state


@final
@dataclass(frozen=True)
class Dropout1d(Layer):
    """Sets whole channels of signals to zero, as `Dropout` does elements: neighbours tell much about each
    other, so that single ones are not missed (Tompson et al., Efficient object localization using
    convolutional networks, 2015).

    Args:
        p: the probability, from 0 to 1.

    Raises:
        TypeError: if `p` is not a number.
        ValueError: if it is not a probability.

    Example:
        >>> import numpy as np
        >>> from portnn.random import key
        >>> x = np.ones((1, 4, 2), dtype=np.float32)
        >>> Dropout1d(0.5).apply({}, x, training=True, key=key(0)).tolist()
        [[[2.0, 2.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]]
    """

    p: float = 0.5
    draws = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "p", check_share("Dropout1d", "p", self.p))

    def forward(
        self, params: Tree, state: Tree, x: Array, *, training: bool, key: Key | None
    ) -> tuple[Array, Tree]:
        """`x` (n, channels, length), or in training what is left of it, of the same shape."""
        return _drop("Dropout1d", x, self.p, key, _channels("Dropout1d", x, 3), training=training), state


@final
@dataclass(frozen=True)
class Dropout2d(Layer):
    """Sets whole channels of images to zero; otherwise as `Dropout1d`.

    Args:
        p: the probability, from 0 to 1.

    Raises:
        TypeError: if `p` is not a number.
        ValueError: if it is not a probability.

    Example:
        >>> import numpy as np
        >>> from portnn.random import key
        >>> x = np.ones((1, 3, 1, 2), dtype=np.float32)
        >>> Dropout2d(0.5).apply({}, x, training=True, key=key(0)).tolist()
        [[[[2.0, 2.0]], [[0.0, 0.0]], [[0.0, 0.0]]]]
    """

    p: float = 0.5
    draws = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "p", check_share("Dropout2d", "p", self.p))

    def forward(
        self, params: Tree, state: Tree, x: Array, *, training: bool, key: Key | None
    ) -> tuple[Array, Tree]:
        """`x` (n, channels, height, width), or in training what is left of it, of the same shape."""
        return _drop("Dropout2d", x, self.p, key, _channels("Dropout2d", x, 4), training=training), state


def _drop(
    layer: str, x: Array, p: float, key: Key | None, shape: tuple[int, ...], *, training: bool
) -> Array:
    """What is left of `x` by a mask of a shape that is broadcast to it."""
    check_floating(layer, x)
    if not training or p == 0.0:
        return x
    key = need_key(layer, key)
    namespace(x.plain if type(x) is TracedArray else x, key)  # a key of another library has no mask for x
    if p == 1.0:
        return ops.zeros_like(x)
    # A product costs a fifth of what a selection does, forward and back.
    mask = ops.multiply(ops.astype(bernoulli(key, 1.0 - p, tuple(shape)), x.dtype), 1.0 / (1.0 - p))
    return ops.multiply(x, mask)


def _channels(layer: str, x: Array, axes: int) -> tuple[int, ...]:
    """The shape of a mask with an element for each channel."""
    if len(x.shape) != axes:
        wanted = "(n, channels, length)" if axes == 3 else "(n, channels, height, width)"
        raise ValueError(f"{layer}: expected an input of shape {wanted}, got {tuple(x.shape)}")
    return (*x.shape[:2], *[1] * (axes - 2))
