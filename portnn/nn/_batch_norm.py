"""Batch norm as a layer, with running statistics."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, final

from portnn import ops, tree
from portnn._typing import Array, Tree
from portnn.autodiff import stop_gradient
from portnn.backend import get_backend
from portnn.nn._checks import check_flags, check_number, check_params, check_size, check_state
from portnn.nn._initializers import Constant
from portnn.nn._layer import Key, Layer
from portnn.nn._normalization import BOTH, check_eps, check_input, scale_and_shift
from portnn.ops._half import is_half, widened
from portnn.ops._options import refuse_complex

__all__ = ["BatchNorm"]


@final
@dataclass(frozen=True)
class BatchNorm(Layer):
    """Batch norm: every channel (axis 1) to mean 0 and variance 1 over the batch and all positions, then
    scaled and shifted; at prediction with the running mean and variance of the training.

    Ioffe and Szegedy, Batch normalization: accelerating deep network training by reducing internal covariate
    shift (2015). As in PyTorch, the running variance is the unbiased one.

    Parameters: ``weight`` and ``bias`` of shape (features,). State: ``mean`` and ``var`` likewise, and
    ``count``, the number of batches.

    Args:
        features: the length of axis 1 of the input (n, features), (n, features, length) or
            (n, features, height, width).
        eps: added to the variance.
        momentum: the share of a new batch in the running mean and variance; None for the mean over all
            batches.
        affine: whether there are a weight and a bias.
        track: whether there are a running mean and variance; without them prediction, too, normalises
            by the batch at hand.

    Raises:
        ValueError: if a number is out of range; and in training, if a channel has one element only.

    Example:
        >>> import numpy as np
        >>> layer = BatchNorm(1, affine=False)
        >>> x = np.asarray([[1.0], [3.0]], dtype=np.float32)
        >>> y, state = layer.apply({}, x, state=layer.init_state(), training=True)
        >>> y.round(3).tolist(), [round(float(state[name][0]), 4) for name in ("mean", "var")]
        ([[-1.0], [1.0]], [0.2, 1.1])
    """

    features: int
    eps: float = 1e-5
    momentum: float | None = 0.1
    affine: bool = True
    track: bool = True

    def __post_init__(self) -> None:
        check_flags(self)
        object.__setattr__(self, "features", check_size("BatchNorm", "features", self.features))
        check_eps("BatchNorm", self.eps)
        if self.momentum is not None:
            momentum = check_number("BatchNorm", "momentum", self.momentum)
            if not 0.0 <= momentum <= 1.0:
                raise ValueError(f"BatchNorm: momentum must be between 0 and 1, or None, got {momentum}")

    def init(self, rng: Any, dtype: str = "float32") -> Tree:
        """Make ``{"weight": ..., "bias": ...}``."""
        return scale_and_shift(rng, (self.features,), dtype, BOTH if self.affine else ())

    def init_state(self, dtype: str = "float32") -> Tree:
        """Mean 0 and variance 1, of no batch."""
        if not self.track:
            return {}
        return {
            "mean": Constant(0.0)(None, (self.features,), dtype),
            "var": Constant(1.0)(None, (self.features,), dtype),
            "count": ops.zeros((), dtype="int32", like=get_backend("numpy")),
        }

    def forward(
        self, params: Tree, state: Tree, x: Array, *, training: bool, key: Key | None
    ) -> tuple[Array, Tree]:
        """Normalise `x` of shape (n, features, ...)."""
        if is_half(x):  # squares and running means need the range and precision of float32
            wide_params, wide_state = tree.map(widened, (params, state))
            y, after = self.forward(wide_params, wide_state, widened(x), training=training, key=key)
            return ops.astype(y, x.dtype), tree.map(_in_dtype_of, after, state)
        check_input("BatchNorm", x, ("n", self.features))
        check_params("BatchNorm", params, BOTH if self.affine else ())
        if self.track:
            check_state("BatchNorm", state, ("mean", "var", "count") if training else ("mean", "var"))
        weight, bias = params.get("weight"), params.get("bias")
        refuse_complex("BatchNorm", weight=weight, bias=bias, mean=state.get("mean"), var=state.get("var"))
        if self.track and not training:
            return self._predict(state, x, weight, bias), state
        count = prod(x.shape) // self.features
        if training and count < 2:
            raise ValueError(
                f"BatchNorm: training needs at least two elements a channel, got shape {tuple(x.shape)}; "
                "leave out the last batch if it is a single sample, or use LayerNorm"
            )
        y, mean, var = ops.batch_norm(x, weight, bias, eps=self.eps)
        return y, self._track(state, stop_gradient(mean), stop_gradient(var), count) if self.track else state

    def _predict(self, state: Tree, x: Array, weight: Array | None, bias: Array | None) -> Array:
        """Subtract first: folded into one factor and one summand, a large mean would cost the digits."""
        factor = ops.divide(1.0, ops.sqrt(ops.add(state["var"], self.eps)))
        factor = factor if weight is None else ops.multiply(weight, factor)
        along = (self.features, *[1] * (len(x.shape) - 2))
        mean, factor = ops.reshape(state["mean"], along), ops.reshape(factor, along)
        y = ops.multiply(ops.subtract(x, mean), factor)
        return y if bias is None else ops.add(y, ops.reshape(bias, along))

    def _track(self, state: Tree, mean: Array, var: Array, count: int) -> Tree:
        """The running statistics with another batch in them."""
        batches = ops.add(state["count"], 1)
        share: Any = self.momentum
        if share is None:
            share = ops.divide(1.0, ops.astype(batches, state["mean"].dtype))

        def mixed(old: Array, new: Array) -> Array:
            return ops.add(old, ops.multiply(ops.subtract(_in_dtype_of(new, old), old), share))

        unbiased = ops.multiply(var, count / (count - 1))
        return {"mean": mixed(state["mean"], mean), "var": mixed(state["var"], unbiased), "count": batches}


def _in_dtype_of(new: Array, old: Array) -> Array:
    return ops.astype(new, old.dtype, copy=False)
