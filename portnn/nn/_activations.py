"""Activations: plain functions of arrays, with the definitions and defaults of `torch.nn.functional`.

Each keeps shape and dtype, passes NaN on, is finite in value and derivative wherever mathematics says so,
and refuses integers with a TypeError. `sigmoid`, `softmax` and `log_softmax` are those of `portnn.ops`.
"""

from __future__ import annotations

from portnn import ops
from portnn._typing import Array
from portnn.nn._activations_gated import gelu, glu, mish, silu
from portnn.nn._activations_linear import (
    hard_sigmoid,
    hard_swish,
    hard_tanh,
    identity,
    leaky_relu,
    prelu,
    relu,
)
from portnn.nn._activations_smooth import celu, elu, log_sigmoid, selu, softplus, softsign, tanh
from portnn.ops import log_softmax, sigmoid, softmax
from portnn.tracing import check_floating

__all__ = [
    "celu", "elu", "gelu", "glu", "hard_sigmoid", "hard_swish", "hard_tanh", "identity", "leaky_relu",
    "log_sigmoid", "log_softmax", "mish", "prelu", "relu", "selu", "sigmoid", "silu", "softmax", "softmin",
    "softplus", "softsign", "tanh",
]  # fmt: skip


def softmin(x: Array, /, *, axis: int = -1) -> Array:
    """Softmax of ``-x``: positive, of sum 1 along an axis, and largest where `x` is smallest.

    Args:
        x: real floating-point array.
        axis: the axis along which the result sums to 1.

    Returns:
        An array of the same shape and dtype.

    Raises:
        TypeError: if `x` is not a real floating-point array.

    Example:
        >>> import numpy as np
        >>> [round(v, 4) for v in softmin(np.asarray([0.0, 1.0])).tolist()]
        [0.7311, 0.2689]
    """
    check_floating("softmin", x)
    return softmax(ops.negative(x), axis=axis)
