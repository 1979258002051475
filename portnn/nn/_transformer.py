"""Transformer blocks: attention and a small network, each with a shortcut around it and a norm."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, final

from portnn import ops
from portnn._typing import Array, Tree
from portnn.nn import init as initializers
from portnn.nn._activations import relu
from portnn.nn._attention import MultiHeadAttention, finite_padding
from portnn.nn._checks import check_flags, check_params, check_share, check_size
from portnn.nn._dropout import Dropout
from portnn.nn._layer import Key, Layer, keys_of
from portnn.nn._linear import Linear
from portnn.nn._normalization import LayerNorm

__all__ = ["TransformerDecoderLayer", "TransformerEncoderLayer"]


class Named(Layer):
    """A layer made of others, whose parameters and state are dictionaries by name."""

    __slots__ = ()

    @abstractmethod
    def parts(self) -> dict[str, Layer]:
        """The layers by their names, which are PyTorch's."""

    @property
    def members(self) -> tuple[Layer, ...]:
        """The layers that this one is made of."""
        return tuple(self.parts().values())

    def init(self, rng: Any, dtype: str = "float32") -> Tree:
        """Draw the parameters of each part."""
        return {name: part.init(rng, dtype) for name, part in self.parts().items()}

    def init_state(self, dtype: str = "float32") -> Tree:
        """The state of each part."""
        return {name: part.init_state(dtype) for name, part in self.parts().items()}


@dataclass(frozen=True)
class Block(Named):
    """What encoder and decoder layers share: their sizes, and the way around each part."""

    features: int
    heads: int
    hidden_features: int | None = None
    _: KW_ONLY
    dropout: float = 0.0
    activation: Callable[..., Array] = relu
    norm_first: bool = True
    rotary: bool = False
    bias: bool = True
    eps: float = 1e-5

    attentions: ClassVar[tuple[str, ...]]

    def __post_init__(self) -> None:
        check_flags(self)
        name = type(self).__name__
        object.__setattr__(self, "features", check_size(name, "features", self.features))
        if self.hidden_features is None:
            object.__setattr__(self, "hidden_features", 4 * self.features)
        for size in ("heads", "hidden_features"):
            object.__setattr__(self, size, check_size(name, size, getattr(self, size)))
        object.__setattr__(self, "dropout", check_share(name, "dropout", self.dropout))
        if not callable(self.activation):
            raise TypeError(
                f"{name}: activation must be a function such as portnn.relu, "
                f"got {type(self.activation).__name__}"
            )
        self.parts()

    @property
    def draws(self) -> bool:
        """Whether it draws random numbers in training: for dropout."""
        return self.dropout > 0.0

    def parts(self) -> dict[str, Layer]:
        """The layers by their names."""
        glorot, wide = initializers.glorot_uniform(), self.hidden_features or 0
        parts: dict[str, Layer] = {}
        for name in self.attentions:
            turned = self.rotary and name == "self_attn"
            parts[name] = MultiHeadAttention(
                self.features, self.heads, dropout=self.dropout, bias=self.bias, rotary=turned
            )
        parts["linear1"] = Linear(self.features, wide, bias=self.bias, weight_init=glorot)
        parts["linear2"] = Linear(wide, self.features, bias=self.bias, weight_init=glorot)
        for i in range(len(self.attentions) + 1):
            parts[f"norm{i + 1}"] = LayerNorm(self.features, eps=self.eps, bias=self.bias)
        return parts

    def _around(self, x: Array, norm: Callable[[Array], Array], part: Callable[[Array], Array]) -> Array:
        """A part with a shortcut around it, and a norm before the part or after the sum."""
        return ops.add(x, part(norm(x))) if self.norm_first else norm(ops.add(x, part(x)))

    def _appliers(self, params: Tree, training: bool, key: Key | None) -> dict[str, Callable[..., Array]]:
        """Each part as a function of its inputs, with dropout after it; the network is one part."""
        parts = self.parts()
        check_params(type(self).__name__, params, tuple(parts))
        drop = Dropout(self.dropout)
        keys = keys_of(key, [drop] * (2 * len(self.attentions) + 2))  # of the weights and of the results

        def dropped(x: Array, i: int) -> Array:
            y, _ = drop.forward({}, {}, x, training=training, key=keys[i])
            return y

        def applier(name: str, i: int) -> Callable[..., Array]:
            def apply(*inputs: Array, **options: Any) -> Array:
                own = keys[2 * i]
                y = parts[name].apply(params[name], *inputs, training=training, key=own, **options)
                return dropped(y, 2 * i + 1)

            return apply

        def network(x: Array) -> Array:
            hidden = self.activation(parts["linear1"].apply(params["linear1"], x))
            return dropped(parts["linear2"].apply(params["linear2"], dropped(hidden, -2)), -1)

        def norm(name: str) -> Callable[..., Array]:
            return lambda x: parts[name].apply(params[name], x)

        functions = {name: applier(name, i) for i, name in enumerate(self.attentions)}
        return (
            functions | {name: norm(name) for name in parts if name.startswith("norm")} | {"network": network}
        )


@final
@dataclass(frozen=True)
class TransformerEncoderLayer(Block):
    """A layer of a transformer's encoder: attention of a sequence to itself, then a network of two layers.

    Vaswani et al., Attention is all you need (2017), section 3.1; with the norm first: Xiong et al., On layer
    normalization in the transformer architecture (2020), which trains without a warm-up.

    Parameters: dictionaries ``self_attn``, ``linear1``, ``linear2``, ``norm1``, ``norm2``.

    Args:
        features: the length of the vectors in the sequence.
        heads: the number of heads of attention.
        hidden_features: the width of the network; by default four times `features`.
        dropout: the share that is set to zero in training: of the attention's weights, of the network's
            hidden layer, and of what each part gives.
        activation: the function between its layers.
        norm_first: whether the norms stand before the parts, or after the sums as in the first paper.
        rotary: whether attention rotates by positions (`portnn.ops.rotary`).
        bias: whether there are biases.
        eps: added to variances in the norms.

    Raises:
        TypeError: if a size is no integer, or `activation` cannot be called.
        ValueError: if a size is not positive, or `heads` does not divide `features`.

    Example:
        >>> import numpy as np
        >>> from portnn.random import stream
        >>> layer = TransformerEncoderLayer(4, 2)
        >>> x, real = np.ones((2, 3, 4), dtype=np.float32), np.asarray([[True] * 3, [True, False, False]])
        >>> layer.apply(layer.init(stream(0)), x, key_mask=real).shape
        (2, 3, 4)
    """

    attentions: ClassVar[tuple[str, ...]] = ("self_attn",)

    def forward(
        self,
        params: Tree,
        state: Tree,
        x: Array,
        *,
        mask: Array | None = None,
        key_mask: Array | None = None,
        causal: bool = False,
        training: bool,
        key: Key | None,
    ) -> tuple[Array, Tree]:
        """Encode `x` of shape (n, length, features); the masks are those of `MultiHeadAttention`."""
        f = self._appliers(params, training, key)
        x = x if key_mask is None else finite_padding(x, key_mask)
        x = self._around(
            x, f["norm1"], lambda x: f["self_attn"](x, mask=mask, key_mask=key_mask, causal=causal)
        )
        return self._around(x, f["norm2"], f["network"]), state


@final
@dataclass(frozen=True)
class TransformerDecoderLayer(Block):
    """A layer of a transformer's decoder: attention of a sequence to its past, then to the memory, then a
    network of two layers.

    Vaswani et al., Attention is all you need (2017), section 3.1.

    Parameters: dictionaries ``self_attn``, ``multihead_attn``, ``linear1``, ``linear2``, ``norm1``,
    ``norm2``, ``norm3``.

    Args:
        features: the length of the vectors in the sequence and in the memory.
        heads: the number of heads of attention.
        hidden_features: the width of the network; by default four times `features`.
        dropout: the share that is set to zero in training: of the attention's weights, of the network's
            hidden layer, and of what each part gives.
        activation: the function between its layers.
        norm_first: whether the norms stand before the parts, or after the sums as in the first paper.
        rotary: whether attention to the past rotates by positions (`portnn.ops.rotary`).
        bias: whether there are biases.
        eps: added to variances in the norms.

    Raises:
        TypeError: if a size is no integer, or `activation` cannot be called.
        ValueError: if a size is not positive, or `heads` does not divide `features`.

    Example:
        >>> import numpy as np
        >>> from portnn.random import stream
        >>> layer, x = TransformerDecoderLayer(4, 2), np.ones((2, 3, 4), dtype=np.float32)
        >>> layer.apply(layer.init(stream(0)), x, np.ones((2, 5, 4), dtype=np.float32)).shape
        (2, 3, 4)
    """

    attentions: ClassVar[tuple[str, ...]] = ("self_attn", "multihead_attn")

    def forward(
        self,
        params: Tree,
        state: Tree,
        x: Array,
        memory: Array,
        *,
        mask: Array | None = None,
        key_mask: Array | None = None,
        memory_mask: Array | None = None,
        causal: bool = True,
        training: bool,
        key: Key | None,
    ) -> tuple[Array, Tree]:
        """Decode `x` of shape (n, length, features) beside a memory of shape (n, memory length, features).

        `mask`, `key_mask` and `causal` are those of `MultiHeadAttention` for attention to the sequence
        itself; `memory_mask`, boolean of shape (n, memory length), says which elements of the memory are
        real.
        """
        f = self._appliers(params, training, key)
        x = x if key_mask is None else finite_padding(x, key_mask)
        x = self._around(
            x, f["norm1"], lambda x: f["self_attn"](x, mask=mask, key_mask=key_mask, causal=causal)
        )
        x = self._around(x, f["norm2"], lambda x: f["multihead_attn"](x, memory, key_mask=memory_mask))
        return self._around(x, f["norm3"], f["network"]), state
