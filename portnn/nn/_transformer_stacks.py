"""Transformer encoders and decoders: layers on one another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

from portnn._typing import Array, Tree
from portnn.nn._checks import check_flags, check_params, check_size
from portnn.nn._containers import Sequential
from portnn.nn._layer import Key, Layer, keys_of, share
from portnn.nn._normalization import LayerNorm
from portnn.nn._transformer import Block, Named, TransformerDecoderLayer, TransformerEncoderLayer

__all__ = ["TransformerDecoder", "TransformerEncoder"]


@dataclass(frozen=True)
class Stack(Named):
    """Equal layers on one another, and perhaps a norm at the end."""

    layer: Any
    num_layers: int
    final_norm: bool | None = None

    kind: ClassVar[type[Block]]

    def __post_init__(self) -> None:
        check_flags(self)
        name = type(self).__name__
        if not isinstance(self.layer, self.kind):
            raise TypeError(f"{name}: layer must be a {self.kind.__name__}, got {type(self.layer).__name__}")
        object.__setattr__(self, "num_layers", check_size(name, "num_layers", self.num_layers))
        if self.final_norm is None:
            object.__setattr__(self, "final_norm", self.layer.norm_first)

    def parts(self) -> dict[str, Layer]:
        """The layers, and the norm if there is one."""
        parts: dict[str, Layer] = {"layers": Sequential([self.layer] * self.num_layers)}
        if self.final_norm:
            parts["norm"] = LayerNorm(self.layer.features, eps=self.layer.eps, bias=self.layer.bias)
        return parts

    def forward(
        self, params: Tree, state: Tree, x: Array, *more: Any, training: bool, key: Key | None, **options: Any
    ) -> tuple[Array, Tree]:
        """Hand the output of each layer to the next; further inputs and options go to all of them."""
        parts = self.parts()
        check_params(type(self).__name__, params, tuple(parts))
        after = dict(state)
        for (name, part), own in zip(parts.items(), keys_of(key, self.members), strict=True):
            inputs, named = share(part, more, options)
            x, after[name] = part.forward(
                params[name], state[name], x, *inputs, training=training, key=own, **named
            )
        return x, after


@final
@dataclass(frozen=True)
class TransformerEncoder(Stack):
    """Encoder layers on one another, with parameters of their own.

    Inputs and options are those of `TransformerEncoderLayer`. Parameters: ``layers``, a tuple, and ``norm``.

    Args:
        layer: what each of them is.
        num_layers: how many.
        final_norm: whether a norm follows the last; by default if the layers have their norms first.

    Raises:
        TypeError: if `layer` is no encoder layer, or `num_layers` no integer.
        ValueError: if `num_layers` is not positive.

    Example:
        >>> import numpy as np
        >>> from portnn.random import stream
        >>> model = TransformerEncoder(TransformerEncoderLayer(4, 2), 3)
        >>> model.apply(model.init(stream(0)), np.ones((2, 5, 4), dtype=np.float32), causal=True).shape
        (2, 5, 4)
    """

    kind: ClassVar[type[Block]] = TransformerEncoderLayer


@final
@dataclass(frozen=True)
class TransformerDecoder(Stack):
    """Decoder layers on one another, with parameters of their own.

    Inputs and options are those of `TransformerDecoderLayer`. Parameters: ``layers``, a tuple, and ``norm``.

    Args:
        layer: what each of them is.
        num_layers: how many.
        final_norm: whether a norm follows the last; by default if the layers have their norms first.

    Raises:
        TypeError: if `layer` is no decoder layer, or `num_layers` no integer.
        ValueError: if `num_layers` is not positive.

    Example:
        >>> import numpy as np
        >>> from portnn.random import stream
        >>> model = TransformerDecoder(TransformerDecoderLayer(4, 2), 2)
        >>> x, memory = np.ones((2, 3, 4), dtype=np.float32), np.ones((2, 5, 4), dtype=np.float32)
        >>> model.apply(model.init(stream(0)), x, memory).shape
        (2, 3, 4)
    """

    kind: ClassVar[type[Block]] = TransformerDecoderLayer
