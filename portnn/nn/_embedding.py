"""Numbers of words (or letters, or classes) to vectors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, final

from portnn import ops
from portnn._typing import Array, Tree
from portnn.nn import init as initializers
from portnn.nn._checks import check_params, check_size
from portnn.nn._initializers import Initializer
from portnn.nn._layer import Key, Layer
from portnn.ops._embedding import look_up
from portnn.tracing import in_range, is_kind

__all__ = ["Embedding"]


@final
@dataclass(frozen=True)
class Embedding(Layer):
    """A vector for each of a number of symbols; the input is their numbers.

    Parameters: ``weight`` of shape (num_embeddings, features). Its gradient is summed in a fixed order, so it
    is the same in every run on every device.

    Args:
        num_embeddings: how many symbols there are; they are numbered from 0.
        features: the length of the vectors.
        padding_idx: a symbol that stands for nothing: its vector begins as zeros and gets no gradient.
        weight_init: what draws the weight; by default the standard normal distribution.

    Raises:
        TypeError: if a size is no integer.
        ValueError: if a size is not positive, or `padding_idx` is no symbol.

    Example:
        >>> import numpy as np
        >>> from portnn.random import stream
        >>> layer = Embedding(5, 3, padding_idx=0)
        >>> layer.apply(layer.init(stream(0)), np.asarray([[4, 1], [2, 0]])).shape
        (2, 2, 3)
    """

    num_embeddings: int
    features: int
    padding_idx: int | None = None
    weight_init: Initializer = field(default_factory=lambda: initializers.normal(1.0))

    def __post_init__(self) -> None:
        for name in ("num_embeddings", "features"):
            object.__setattr__(self, name, check_size("Embedding", name, getattr(self, name)))
        if self.padding_idx is not None:
            symbol = check_size("Embedding", "padding_idx", self.padding_idx, 0)
            object.__setattr__(self, "padding_idx", symbol)
            if symbol >= self.num_embeddings:
                raise ValueError(
                    f"Embedding: padding_idx must be below num_embeddings={self.num_embeddings}, got {symbol}"
                )

    def init(self, rng: Any, dtype: str = "float32") -> Tree:
        """Draw ``{"weight": ...}``, with zeros for the padding."""
        weight = self.weight_init(rng, (self.num_embeddings, self.features), dtype)
        if self.padding_idx is not None:
            places = ops.arange(self.num_embeddings, dtype="int64", like=weight)
            weight = ops.where((places != self.padding_idx)[:, None], weight, 0.0)
        return {"weight": weight}

    def forward(
        self, params: Tree, state: Tree, x: Array, *, training: bool, key: Key | None
    ) -> tuple[Array, Tree]:
        """The vectors of the symbols `x`, integers of any shape (n, ...); an axis of features is added.

        An id outside 0 to ``num_embeddings - 1`` raises a ValueError, on every backend and in plans too.
        Inside the user's own ``jax.jit``, where values are unknown, its vector is NaN.
        """
        check_params("Embedding", params, ("weight",))
        if not is_kind(x, "integral"):
            raise TypeError(f"Embedding: expected integers that number symbols, got {x.dtype}")
        x = in_range(x, what="Embedding: x", high=self.num_embeddings)
        return look_up(params["weight"], x, padding=self.padding_idx), state
