"""Positions of elements in a sequence."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import final

from portnn import ops
from portnn._typing import Array, Tree
from portnn.nn._checks import check_features, check_number, check_size
from portnn.nn._layer import Key, Layer
from portnn.tracing import in_range, is_kind

__all__ = ["SinusoidalPositions"]


@final
@dataclass(frozen=True)
class SinusoidalPositions(Layer):
    """Adds to each element of a sequence sines and cosines of its position.

    Vaswani et al., Attention is all you need (2017), section 3.5: feature 2i gets
    ``sin(position / base ** (2i / features))``, feature 2i + 1 the cosine.

    Args:
        features: the length of the vectors, an even number.
        base: the larger, the slower the last features turn.

    Raises:
        TypeError: if `features` is no integer.
        ValueError: if `features` is not positive and even, or `base` not above 1.

    Example:
        >>> import numpy as np
        >>> SinusoidalPositions(2).apply({}, np.zeros((1, 2, 2))).round(4).tolist()
        [[[0.0, 1.0], [0.8415, 0.5403]]]
    """

    features: int
    base: float = 10000.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "features", check_size("SinusoidalPositions", "features", self.features))
        if self.features % 2:
            raise ValueError(f"SinusoidalPositions: features must be even, got {self.features}")
        if not check_number("SinusoidalPositions", "base", self.base) > 1.0:
            raise ValueError(f"SinusoidalPositions: base must be above 1, got {self.base}")

    def forward(
        self,
        params: Tree,
        state: Tree,
        x: Array,
        *,
        positions: Array | None = None,
        training: bool,
        key: Key | None,
    ) -> tuple[Array, Tree]:
        """Add the positions to `x` of shape (..., length, features).

        `positions` are integers of shape (length,), or of one that broadcasts to (..., length), such as
        (n, 1) for a single step of n sequences, not negative; by default 0, 1, 2, ...
        """
        check_features("SinusoidalPositions", x, self.features)
        if positions is None and len(x.shape) < 2:
            raise ValueError(
                f"SinusoidalPositions: expected an input (..., time, features), got shape {tuple(x.shape)}"
            )
        if positions is None:
            positions = ops.arange(x.shape[-2], dtype="int32", like=x)
        elif is_kind(positions, "integral"):
            positions = in_range(positions, what="SinusoidalPositions: positions", high=2**31)
        else:
            raise TypeError(f"SinusoidalPositions: positions must be integers, got dtype {positions.dtype}")
        half = ops.astype(ops.arange(self.features // 2, dtype="int32", like=x), x.dtype)
        speeds = ops.exp(half * (-2.0 * log(self.base) / self.features))
        angles = ops.multiply(ops.expand_dims(ops.astype(positions, x.dtype), axis=-1), speeds)
        waves = ops.stack([ops.sin(angles), ops.cos(angles)], axis=-1)
        return ops.add(x, ops.reshape(waves, (*angles.shape[:-1], self.features))), state
