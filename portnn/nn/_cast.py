"""Computing inside in another dtype: mixed precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from portnn import ops, tree
from portnn._typing import Array, DType, Tree
from portnn.nn._containers import as_layer
from portnn.nn._layer import Key, Layer, pair, share
from portnn.tracing import is_array, is_kind

__all__ = ["Cast"]

_DTYPES = ("float16", "bfloat16", "float32", "float64")


@final
@dataclass(frozen=True)
class Cast(Layer):
    """A layer whose inside computes in another dtype, while its parameters stay as they are.

    Parameters and inputs are converted on the way in, the result on the way out, to the dtype of the input
    (for integers, to that of the parameters). Gradients come back through the conversion, so the
    optimiser sees parameters and gradients of float32: the mixed precision of Micikevicius et al. 2018
    (Mixed precision training, section 3.1). Wrap what is mostly products, and leave outside what needs the
    digits: the last layer, norms, and the loss. The running state keeps its dtype.

    float16 and bfloat16 are no dtypes of the array API standard. NumPy and CuPy have float16 (NumPy has
    no fast products for it: there this only shows what the rounding does), PyTorch and JAX have both. With
    float16 use `portnn.optim.dynamic_loss_scale`; bfloat16 has the range of float32 and needs no scale.

    Args:
        layer: a layer, an activation function, or a list of such.
        dtype: "float16", "bfloat16", "float32" or "float64".

    Raises:
        TypeError: if `layer` is none.
        ValueError: if `dtype` is another; when it is used, if the library does not have it.

    Example:
        >>> import numpy as np
        >>> from portnn.nn import Linear, relu
        >>> from portnn.random import stream
        >>> layer = Cast([Linear(3, 4), relu], "float16")
        >>> params, x = layer.init(stream(0)), np.ones((2, 3), dtype=np.float32)
        >>> y = layer.apply(params, x)
        >>> str(y.dtype), bool(np.all(y == y.astype(np.float16)))
        ('float32', True)
    """

    layer: Layer
    dtype: str = "bfloat16"

    def __post_init__(self) -> None:
        if self.dtype not in _DTYPES:
            raise ValueError(f"Cast: dtype must be one of {', '.join(_DTYPES)}, got {self.dtype!r:.40}")
        object.__setattr__(self, "layer", as_layer(self.layer))

    @property
    def members(self) -> tuple[Layer, ...]:
        """The layer inside."""
        return (self.layer,)

    def init(self, rng: Any, dtype: str = "float32") -> Tree:
        """Draw the parameters of the layer inside, in `dtype`."""
        return self.layer.init(rng, dtype)

    def init_state(self, dtype: str = "float32") -> Tree:
        """The state of the layer inside, in `dtype`."""
        return self.layer.init_state(dtype)

    def forward(
        self, params: Tree, state: Tree, x: Array, *more: Any, training: bool, key: Key | None, **options: Any
    ) -> tuple[Array, Tree]:
        """What the layer inside does with everything in the other dtype."""
        more, options = share(self.layer, more, options)
        given = tree.leaves((x, params, options.get("shared")))
        floats = [leaf for leaf in given if is_kind(leaf, "real floating")]
        outside = floats[0].dtype if floats else None
        inside, x, more, options = _to(self.dtype, (params, x, more, options))
        result = self.layer.forward(inside, state, x, *more, training=training, key=key, **options)
        y, after = pair(self.layer, result)
        after = tree.map(lambda new, old: ops.astype(new, old.dtype, copy=False), after, state)
        return (y if outside is None else _to(outside, y)), after


def _to(dtype: DType | str, parts: Tree) -> Any:
    """The same tree with its floating-point arrays in another dtype."""

    def convert(leaf: Any) -> Any:
        floating = is_array(leaf) and is_kind(leaf, "real floating")
        return ops.astype(leaf, dtype, copy=False) if floating else leaf

    return tree.map(convert, parts)
