"""Layers that normalise every sample by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, prod
from typing import Any, final

from portnn import ops
from portnn._typing import Array, Tree
from portnn.nn import init as initializers
from portnn.nn._checks import check_flags, check_number, check_params, check_size
from portnn.nn._layer import Key, Layer
from portnn.tracing import is_kind

__all__ = ["GroupNorm", "InstanceNorm", "LayerNorm", "RMSNorm"]

BOTH = ("weight", "bias")


def check_eps(layer: str, eps: float) -> None:
    eps = check_number(layer, "eps", eps)
    if not (eps > 0 and isfinite(eps)):
        raise ValueError(f"{layer}: eps must be a positive number, got {eps!r:.40}; try 1e-5")


def _check_shape(layer: str, shape: int | Sequence[int]) -> tuple[int, ...]:
    """The lengths of the last axes, one or several."""
    sizes = tuple(shape) if isinstance(shape, Sequence) and not isinstance(shape, str) else (shape,)
    if not sizes:
        raise ValueError(f"{layer}: shape must name at least one axis, got ()")
    return tuple([check_size(layer, "shape", n) for n in sizes])


def check_input(layer: str, x: Array, shape: tuple[int | str, ...]) -> None:
    """The input is floating-point, and its first or last axes are as they should be."""
    found = tuple(x.shape)
    if shape[0] == "n":
        fits = len(found) > 1 and found[1] == shape[1]
        wanted = f"(n, {shape[1]}, ...)"
    else:
        fits = found[-len(shape) :] == shape
        wanted = f"(..., {', '.join(map(str, shape))})"
    if not fits:
        raise ValueError(f"{layer}: expected an input of shape {wanted}, got {found}")
    if not is_kind(x, "real floating"):
        raise TypeError(
            f"{layer}: expected a real floating-point input, got {x.dtype}; "
            "put portnn.Rescale() in front of pixels, or convert with astype"
        )


def scale_and_shift(rng: Any, shape: tuple[int, ...], dtype: str, names: tuple[str, ...]) -> Tree:
    """Weights of one and biases of zero: nothing but the normalisation to begin with."""
    makers = {"weight": initializers.ones(), "bias": initializers.zeros()}
    return {name: makers[name](rng, shape, dtype) for name in names}


@final
@dataclass(frozen=True)
class LayerNorm(Layer):
    """Layer norm: the last axes of every sample to mean 0 and variance 1, then scaled and shifted.

    Ba, Kiros and Hinton, Layer normalization (2016).

    Parameters: ``weight`` and ``bias`` of shape `shape`.

    Args:
        shape: the length of the last axis, or the lengths of the last axes.
        eps: added to the variance.
        affine: whether there are a weight and a bias.
        bias: whether there is a bias beside the weight.

    Raises:
        ValueError: if a number is not positive.

    Example:
        >>> import numpy as np
        >>> LayerNorm(2, affine=False).apply({}, np.asarray([[1.0, 3.0], [10.0, 30.0]])).round(3).tolist()
        [[-1.0, 1.0], [-1.0, 1.0]]
    """

    shape: int | Sequence[int]
    eps: float = 1e-5
    affine: bool = True
    bias: bool = True

    def __post_init__(self) -> None:
        check_flags(self)
        object.__setattr__(self, "shape", _check_shape("LayerNorm", self.shape))
        check_eps("LayerNorm", self.eps)

    @property
    def _names(self) -> tuple[str, ...]:
        return () if not self.affine else BOTH if self.bias else ("weight",)

    def init(self, rng: Any, dtype: str = "float32") -> Tree:
        """Make ``{"weight": ..., "bias": ...}``."""
        shape: Any = self.shape
        return scale_and_shift(rng, shape, dtype, self._names)

    def forward(
        self, params: Tree, state: Tree, x: Array, *, training: bool, key: Key | None
    ) -> tuple[Array, Tree]:
        """Normalise `x` of shape (..., *shape)."""
        shape: Any = self.shape
        check_input("LayerNorm", x, shape)
        check_params("LayerNorm", params, self._names)
        y = ops.layer_norm(x, params.get("weight"), params.get("bias"), shape=shape, eps=self.eps)
        return y, state


@final
@dataclass(frozen=True)
class RMSNorm(Layer):
    """RMS norm: the last axes of every sample to mean square 1, then scaled.

    Zhang and Sennrich, Root mean square layer normalization (2019).

    Parameters: ``weight`` of shape `shape`.

    Args:
        shape: the length of the last axis, or the lengths of the last axes.
        eps: added to the mean square; None, as in PyTorch, for the machine epsilon of the dtype of the
            input: 1.2e-7 for float32, 2.2e-16 for float64.
        affine: whether there is a weight.

    Raises:
        ValueError: if a number is not positive.

    Example:
        >>> import numpy as np
        >>> RMSNorm(2, affine=False).apply({}, np.asarray([[1.0, 7.0]])).round(3).tolist()
        [[0.2, 1.4]]
    """

    shape: int | Sequence[int]
    eps: float | None = None
    affine: bool = True

    def __post_init__(self) -> None:
        check_flags(self)
        object.__setattr__(self, "shape", _check_shape("RMSNorm", self.shape))
        if self.eps is not None:
            check_eps("RMSNorm", self.eps)

    def init(self, rng: Any, dtype: str = "float32") -> Tree:
        """Make ``{"weight": ...}``."""
        shape: Any = self.shape
        return scale_and_shift(rng, shape, dtype, ("weight",) if self.affine else ())

    def forward(
        self, params: Tree, state: Tree, x: Array, *, training: bool, key: Key | None
    ) -> tuple[Array, Tree]:
        """Normalise `x` of shape (..., *shape)."""
        shape: Any = self.shape
        check_input("RMSNorm", x, shape)
        check_params("RMSNorm", params, ("weight",) if self.affine else ())
        return ops.rms_norm(x, params.get("weight"), shape=shape, eps=self.eps), state


@final
@dataclass(frozen=True)
class GroupNorm(Layer):
    """Group norm: the channels (axis 1) of every sample to mean 0 and variance 1 group by group, over all
    positions, then scaled and shifted.

    Wu and He, Group normalization (2018).

    Parameters: ``weight`` and ``bias`` of shape (features,).

    Args:
        groups: the number of groups.
        features: the length of axis 1 of the input (n, features, ...), a multiple of `groups`.
        eps: added to the variance.
        affine: whether there are a weight and a bias.

    Raises:
        ValueError: if a number is not positive, or the groups are not equal.

    Example:
        >>> import numpy as np
        >>> GroupNorm(2, 4, affine=False).apply({}, np.asarray([[1.0, 3.0, 0.0, 8.0]])).round(3).tolist()
        [[-1.0, 1.0, -1.0, 1.0]]
    """

    groups: int
    features: int
    eps: float = 1e-5
    affine: bool = True

    def __post_init__(self) -> None:
        check_flags(self)
        for name in ("groups", "features"):
            object.__setattr__(self, name, check_size("GroupNorm", name, getattr(self, name)))
        if self.features % self.groups:
            raise ValueError(
                f"GroupNorm: features must be a multiple of groups, got {self.features} and {self.groups}"
            )
        check_eps("GroupNorm", self.eps)

    def init(self, rng: Any, dtype: str = "float32") -> Tree:
        """Make ``{"weight": ..., "bias": ...}``."""
        return scale_and_shift(rng, (self.features,), dtype, BOTH if self.affine else ())

    def forward(
        self, params: Tree, state: Tree, x: Array, *, training: bool, key: Key | None
    ) -> tuple[Array, Tree]:
        """Normalise `x` of shape (n, features, ...)."""
        check_input("GroupNorm", x, ("n", self.features))
        check_params("GroupNorm", params, BOTH if self.affine else ())
        weight, bias = params.get("weight"), params.get("bias")
        return ops.group_norm(x, weight, bias, groups=self.groups, eps=self.eps), state


@final
@dataclass(frozen=True)
class InstanceNorm(Layer):
    """Instance norm: every channel (axis 1) of every sample to mean 0 and variance 1 over its positions.

    Ulyanov, Vedaldi and Lempitsky, Instance normalization (2016).

    Parameters: ``weight`` and ``bias`` of shape (features,), if it is affine.

    Args:
        features: the length of axis 1 of the input (n, features, length) or (n, features, height, width).
        eps: added to the variance.
        affine: whether there are a weight and a bias.

    Raises:
        ValueError: if a number is not positive; and at use, if a channel has one position only.

    Example:
        >>> import numpy as np
        >>> InstanceNorm(1).apply({}, np.asarray([[[1.0, 3.0]]])).round(3).tolist()
        [[[-1.0, 1.0]]]
    """

    features: int
    eps: float = 1e-5
    affine: bool = False

    def __post_init__(self) -> None:
        check_flags(self)
        object.__setattr__(self, "features", check_size("InstanceNorm", "features", self.features))
        check_eps("InstanceNorm", self.eps)

    def init(self, rng: Any, dtype: str = "float32") -> Tree:
        """Make ``{"weight": ..., "bias": ...}``, or nothing."""
        return scale_and_shift(rng, (self.features,), dtype, BOTH if self.affine else ())

    def forward(
        self, params: Tree, state: Tree, x: Array, *, training: bool, key: Key | None
    ) -> tuple[Array, Tree]:
        """Normalise `x` of shape (n, features, ...)."""
        check_input("InstanceNorm", x, ("n", self.features))
        check_params("InstanceNorm", params, BOTH if self.affine else ())
        if prod(x.shape[2:]) < 2:
            raise ValueError(
                f"InstanceNorm: needs at least two positions a channel, got shape {tuple(x.shape)}"
            )
        weight, bias = params.get("weight"), params.get("bias")
        return ops.group_norm(x, weight, bias, groups=self.features, eps=self.eps), state
