"""The fully connected layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, final

from portnn import ops
from portnn._typing import Array, Tree
from portnn.nn import init as initializers
from portnn.nn._checks import check_features, check_flags, check_params, check_size
from portnn.nn._initializers import Initializer
from portnn.nn._layer import Key, Layer

__all__ = ["Linear"]


@final
@dataclass(frozen=True)
class Linear(Layer):
    """The affine map ``y = x W + b``; also called dense or fully connected.

    Parameters: ``weight`` of shape (in_features, out_features), and ``bias`` of shape (out_features,).

    Args:
        in_features: the length of the last axis of the input.
        out_features: the length of the last axis of the output.
        bias: whether `b` is there.
        weight_init: what draws the weight; by default He's uniform distribution, for ReLU (He et al.,
            Delving deep into rectifiers, 2015).
        bias_init: what draws the bias; by default zeros.

    Raises:
        ValueError: if a number of features is not positive.

    Example:
        >>> from portnn.random import stream
        >>> {name: p.shape for name, p in Linear(784, 10).init(stream(0)).items()}
        {'weight': (784, 10), 'bias': (10,)}
    """

    in_features: int
    out_features: int
    bias: bool = True
    weight_init: Initializer = field(default_factory=initializers.he_uniform)
    bias_init: Initializer = field(default_factory=initializers.zeros)

    def __post_init__(self) -> None:
        check_flags(self)
        for name in ("in_features", "out_features"):
            object.__setattr__(self, name, check_size("Linear", name, getattr(self, name)))

    def init(self, rng: Any, dtype: str = "float32") -> Tree:
        """Draw ``{"weight": ..., "bias": ...}``."""
        params = {"weight": self.weight_init(rng, (self.in_features, self.out_features), dtype)}
        if self.bias:
            params["bias"] = self.bias_init(rng, (self.out_features,), dtype)
        return params

    def forward(
        self, params: Tree, state: Tree, x: Array, *, training: bool, key: Key | None
    ) -> tuple[Array, Tree]:
        """``x @ weight + bias`` for `x` of shape (..., in_features)."""
        check_features("Linear", x, self.in_features)
        check_params("Linear", params, ("weight", "bias") if self.bias else ("weight",))
        return ops.linear(x, params["weight"], params.get("bias")), state
