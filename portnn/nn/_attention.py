"""Multi-head attention."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from typing import Any, final

from portnn import ops
from portnn._typing import Array, Tree
from portnn.nn import init as initializers
from portnn.nn._checks import check_features, check_flags, check_params, check_share, check_size
from portnn.nn._dropout import Dropout
from portnn.nn._initializers import Initializer
from portnn.nn._layer import Key, Layer
from portnn.nn._linear import Linear
from portnn.ops._attention import attend
from portnn.tracing import is_kind

__all__ = ["MultiHeadAttention"]

_NAMES = ("query", "key", "value", "output")


@final
@dataclass(frozen=True)
class MultiHeadAttention(Layer):
    """Attention by several heads, each with queries, keys and values of its own; of a sequence to itself, or
    to another, the memory.

    Vaswani et al., Attention is all you need (2017), section 3.2.2. Parameters: ``query``, ``key``, ``value``
    and ``output``, each with ``weight`` (in, out) and ``bias`` (out,).

    Args:
        features: the length of the vectors in the sequence, and in the result.
        heads: the number of heads, which share the features among them.
        memory_features: the length of the vectors in the memory; by default `features`.
        dropout: the share of the weights that is set to zero in training.
        bias: whether there are biases.
        rotary: whether queries and keys are rotated by their positions (`portnn.ops.rotary`), for attention
            of a sequence to itself.
        weight_init: what draws the weights; by default Glorot's uniform distribution.
        bias_init: what draws the biases; by default zeros.

    Raises:
        TypeError: if a size is no integer.
        ValueError: if a size is not positive, `heads` does not divide `features`, or rotary positions would
            need an odd number of features in a head to be even.

    Example:
        >>> import numpy as np
        >>> from portnn.random import stream
        >>> layer = MultiHeadAttention(4, 2)
        >>> params, x = layer.init(stream(0)), np.ones((2, 5, 4), dtype=np.float32)
        >>> layer.apply(params, x, causal=True).shape
        (2, 5, 4)
        >>> y, weights = layer.apply(params, x, x[:, :3], weights=True)
        >>> weights.shape
        (2, 2, 5, 3)
    """

    features: int
    heads: int
    _: KW_ONLY
    memory_features: int | None = None
    dropout: float = 0.0
    bias: bool = True
    rotary: bool = False
    weight_init: Initializer = field(default_factory=initializers.glorot_uniform)
    bias_init: Initializer = field(default_factory=initializers.zeros)

    def __post_init__(self) -> None:
        check_flags(self)
        for name in ("features", "heads", "memory_features"):
            if name != "memory_features" or self.memory_features is not None:
                object.__setattr__(self, name, check_size("MultiHeadAttention", name, getattr(self, name)))
        object.__setattr__(self, "dropout", check_share("MultiHeadAttention", "dropout", self.dropout))
        if self.features % self.heads:
            raise ValueError(
                f"MultiHeadAttention: heads must divide features={self.features}, got {self.heads}"
            )
        if self.rotary and self.features // self.heads % 2:
            raise ValueError(
                f"MultiHeadAttention: rotary positions need an even number of features in a head, "
                f"got {self.features} // {self.heads}"
            )

    @property
    def draws(self) -> bool:
        """Whether it draws random numbers in training: for dropout."""
        return self.dropout > 0.0

    def projections(self) -> dict[str, Linear]:
        """The linear layers, by the names of their parameters."""
        width = self.features if self.memory_features is None else self.memory_features
        widths = (self.features, width, width, self.features)
        return {
            name: Linear(n, self.features, self.bias, self.weight_init, self.bias_init)
            for name, n in zip(_NAMES, widths, strict=True)
        }

    def init(self, rng: Any, dtype: str = "float32") -> Tree:
        """Draw the parameters of the linear layers."""
        return {name: linear.init(rng, dtype) for name, linear in self.projections().items()}

    def forward(
        self,
        params: Tree,
        state: Tree,
        x: Array,
        memory: Array | None = None,
        *,
        mask: Array | None = None,
        key_mask: Array | None = None,
        causal: bool = False,
        weights: bool = False,
        training: bool,
        key: Key | None,
    ) -> tuple[Any, Tree]:
        """Attend.

        Args:
            params: the parameters, as `init` made them.
            state: the running state, handed on.
            x: the sequences that ask, of shape (n, m, features).
            memory: the sequences that are attended, of shape (n, k, memory_features); by default `x`.
            mask: boolean, True where attention is allowed, of shape (m, k), (n, m, k) or (n, heads, m, k).
            key_mask: boolean of shape (n, k), True where an element of the memory is valid. The contents of
                the others, NaN included, do not affect values or gradients. The heads return zeros for a
                query that may attend to nothing.
            causal: whether element i may only attend elements 0 to i.
            weights: whether to return the weights as well, those before dropout, to draw them for instance.
            training: whether this is a step of training.
            key: a key of `portnn.random`, needed for dropout in training.

        Returns:
            The result, of shape (n, m, features), or a pair of it and the weights (n, heads, m, k); and the
            running state.
        """
        itself, memory = memory is None or memory is x, self._check(params, x, memory)
        allowed = self._mask(x, memory, mask, key_mask)
        if key_mask is not None:
            memory = finite_padding(memory, key_mask)
            x = memory if itself else x
        q, k, v = (
            self._heads(ops.linear(a, params[name]["weight"], params[name].get("bias")))
            for name, a in zip(_NAMES, (x, memory, memory), strict=False)
        )
        if self.rotary:
            positions = ops.arange(x.shape[1], dtype="int32", like=x)
            q, k = ops.rotary(q, positions), ops.rotary(k, positions)
        shares = None
        if weights or (training and self.dropout):
            shares = ops.attention_weights(q, k, allowed, causal=causal)
            kept, _ = Dropout(self.dropout).forward({}, {}, shares, training=training, key=key)
            y = attend(kept, v, allowed, causal=causal)
        else:
            y = ops.scaled_dot_product_attention(q, k, v, allowed, causal=causal)
        y = ops.reshape(ops.permute_dims(y, (0, 2, 1, 3)), tuple(x.shape))
        y = ops.linear(y, params["output"]["weight"], params["output"].get("bias"))
        return (y, shares) if weights else y, state

    def _heads(self, x: Array) -> Array:
        """(n, length, features) as (n, heads, length, features of a head)."""
        split = ops.reshape(x, (*x.shape[:2], self.heads, self.features // self.heads))
        return ops.permute_dims(split, (0, 2, 1, 3))

    def _mask(self, x: Array, memory: Array, mask: Array | None, key_mask: Array | None) -> Array | None:
        """Both masks as one that broadcasts to (n, heads, m, k)."""
        n, m, k = x.shape[0], x.shape[1], memory.shape[1]
        if mask is not None:
            shapes = ((m, k), (n, m, k), (n, self.heads, m, k))
            _check_mask("mask", mask, shapes)
            mask = ops.expand_dims(mask, axis=1) if len(mask.shape) == 3 else mask
        if key_mask is None:
            return mask
        _check_mask("key_mask", key_mask, ((n, k),))
        real = ops.reshape(key_mask, (n, 1, 1, k))
        return real if mask is None else ops.logical_and(mask, real)

    def _check(self, params: Tree, x: Array, memory: Array | None) -> Array:
        """The memory, after a look at all of them."""
        check_params("MultiHeadAttention", params, _NAMES)
        for name in _NAMES:
            check_params("MultiHeadAttention", params[name], ("weight", "bias") if self.bias else ("weight",))
        check_features("MultiHeadAttention", x, self.features)
        if memory is not None and self.rotary:
            raise ValueError("MultiHeadAttention: rotary positions are for attention of a sequence to itself")
        memory = x if memory is None else memory
        check_features("MultiHeadAttention", memory, self.memory_features or self.features)
        if len(x.shape) != 3 or len(memory.shape) != 3 or x.shape[0] != memory.shape[0]:
            raise ValueError(
                f"MultiHeadAttention: expected sequences (n, length, features) and a memory of as many, "
                f"got {tuple(x.shape)} and {tuple(memory.shape)}"
            )
        return memory


def finite_padding(x: Array, real: Array) -> Array:
    """Replace NaN and infinities in invalid elements of sequences (n, length, features) by zeros.

    Attention masks these elements, but the linear layers around it do not: in their gradients NaN times
    zero would be NaN.
    """
    return ops.where(ops.logical_or(ops.expand_dims(real, axis=-1), ops.isfinite(x)), x, 0.0)


def _check_mask(name: str, mask: Array, shapes: tuple[tuple[int, ...], ...]) -> None:
    if not is_kind(mask, "bool"):
        raise TypeError(
            f"MultiHeadAttention: {name} must be boolean, True for what may be attended, got {mask.dtype}"
        )
    if tuple(mask.shape) not in shapes:
        raise ValueError(
            f"MultiHeadAttention: expected {name} of shape {' or '.join(map(str, shapes))}, "
            f"got {tuple(mask.shape)}"
        )
