"""Activations of the form input times gate.

The gate is 0 at minus infinity, where the product would be NaN. So the input is clipped first, at a
place where the gate has long underflowed to 0 in float64 or, on the right, is 1 to the last bit.
"""

from __future__ import annotations

from math import log, pi, sqrt

from portnn import ops
from portnn._typing import Array
from portnn.ops._options import check_flag, check_word
from portnn.tracing import check_floating, namespace, primitive

__all__ = ["gelu", "glu", "mish", "silu"]

# sigmoid(-1000) and erfc(100 / sqrt(2)) are 0 in float64; so is the gate of tanh-GELU at -30.
_SILU_EDGE = 1000.0
_GELU_EDGE = 100.0
_TANH_GELU_EDGE = 30.0
# From here on tanh(softplus(x)) = 1 - 2 exp(-2x) + ... is 1 in float64.
_MISH_RIGHT_EDGE = 20.0


def gelu(x: Array, /, *, approximate: bool | str = False) -> Array:
    """Gaussian error linear unit: ``x`` times the probability that a standard normal is below `x`.

    Hendrycks and Gimpel, Gaussian error linear units (2016), section 2.

    Args:
        x: real floating-point array.
        approximate: True or "tanh" for the paper's approximation by tanh, which is off by up to 5e-4; False
            or "none" for the exact function. The strings are PyTorch's.

    Returns:
        An array of the same shape and dtype; 0 at minus infinity.

    Raises:
        TypeError: if `x` is not a real floating-point array, or `approximate` is neither a bool nor a string.
        ValueError: if `approximate` is any other string.

    Example:
        >>> import numpy as np
        >>> x = np.asarray([-1.0, 0.0, 2.0])
        >>> [round(v, 4) for v in gelu(x).tolist()]
        [-0.1587, 0.0, 1.9545]
        >>> [round(v, 4) for v in gelu(x, approximate=True).tolist()]
        [-0.1588, 0.0, 1.9546]
    """
    check_floating("gelu", x)
    if isinstance(approximate, str):
        approximate = check_word("gelu", "approximate", approximate, ("none", "tanh")) == "tanh"
    return _gelu_tanh(x) if check_flag("gelu", "approximate", approximate) else _gelu_exact(x)


def _normal_cdf(x: Array) -> Array:
    """The standard normal distribution function, by erfc, which keeps the digits of the left tail."""
    return ops.erfc(x * -sqrt(0.5)) * 0.5


@primitive
def _gelu_exact(x: Array, /) -> Array:
    x = namespace(x).maximum(x, -_GELU_EDGE)
    return x * _normal_cdf(x)


def _gelu_exact_rule(g: Array, y: Array, x: Array) -> Array:
    """dy/dx = Phi(x) + x phi(x), with phi(x) = exp(-x^2 / 2) / sqrt(2 pi)."""
    x = ops.clip(x, -_GELU_EDGE, _GELU_EDGE)
    density = ops.exp(ops.multiply(x, x) * -0.5) * (1.0 / sqrt(2.0 * pi))
    return ops.multiply(g, ops.add(_normal_cdf(x), ops.multiply(x, density)))


_gelu_exact.vjp(_gelu_exact_rule)


def _tanh_gate(x: Array) -> tuple[Array, Array]:
    """``s = (1 + tanh(u)) / 2 = sigmoid(2u)`` with ``u = sqrt(2/pi) (x + 0.044715 x^3)``; and ``x^2``."""
    square = ops.multiply(x, x)
    u2 = ops.multiply(x, square * (0.044715 * sqrt(8.0 / pi)) + sqrt(8.0 / pi))
    return ops.sigmoid(u2), square


@primitive
def _gelu_tanh(x: Array, /) -> Array:
    xp = namespace(x)
    x = xp.maximum(x, -_TANH_GELU_EDGE)
    gate, _ = _tanh_gate(xp.minimum(x, _TANH_GELU_EDGE))
    return x * gate


def _gelu_tanh_rule(g: Array, y: Array, x: Array) -> Array:
    """dy/dx = s + x s (1 - s) 2u', with 2u' = sqrt(8/pi) (1 + 3 * 0.044715 x^2)."""
    x = ops.clip(x, -_TANH_GELU_EDGE, _TANH_GELU_EDGE)
    s, square = _tanh_gate(x)
    slope = square * (3.0 * 0.044715 * sqrt(8.0 / pi)) + sqrt(8.0 / pi)
    inner = ops.multiply(ops.multiply(x, ops.subtract(1.0, s)), slope)
    return ops.multiply(g, ops.multiply(s, inner + 1.0))


_gelu_tanh.vjp(_gelu_tanh_rule)


@primitive
def silu(x: Array, /) -> Array:
    """``x * sigmoid(x)``, also known as swish.

    Elfwing, Uchibe and Doya, Sigmoid-weighted linear units (2017), equation 6.

    Args:
        x: real floating-point array.

    Returns:
        An array of the same shape and dtype; 0 at minus infinity.

    Raises:
        TypeError: if `x` is not a real floating-point array.

    Example:
        >>> import numpy as np
        >>> [round(v, 4) for v in silu(np.asarray([-1.0, 0.0, 2.0])).tolist()]
        [-0.2689, 0.0, 1.7616]
    """
    check_floating("silu", x)
    x = namespace(x).maximum(x, -_SILU_EDGE)
    return x * ops.sigmoid(x)


def _silu_rule(g: Array, y: Array, x: Array) -> Array:
    """dy/dx = s (1 + x (1 - s)), with s = sigmoid(x)."""
    x = ops.clip(x, -_SILU_EDGE, _SILU_EDGE)
    s = ops.sigmoid(x)
    return ops.multiply(g, ops.multiply(s, ops.multiply(x, ops.subtract(1.0, s)) + 1.0))


silu.vjp(_silu_rule)


def _mish_edge(x: Array) -> float:
    """From where on mish is straight; in float16 earlier, so that exp(2x) has room."""
    return min(_MISH_RIGHT_EDGE, 0.5 * log(float(ops.finfo(x.dtype).max)) - 0.5)


@primitive
def mish(x: Array, /) -> Array:
    """``x * tanh(softplus(x))``.

    With ``w = exp(x)``, tanh(log(1 + w)) is the rational function ``w (w + 2) / (w (w + 2) + 2)``.
    Misra, Mish: a self regularized non-monotonic activation function (2019), equation 1.

    Args:
        x: real floating-point array.

    Returns:
        An array of the same shape and dtype; 0 at minus infinity.

    Raises:
        TypeError: if `x` is not a real floating-point array.

    Example:
        >>> import numpy as np
        >>> [round(v, 4) for v in mish(np.asarray([-1.0, 0.0, 2.0])).tolist()]
        [-0.3034, 0.0, 1.944]
    """
    check_floating("mish", x)
    xp = namespace(x)
    x = xp.maximum(x, -_SILU_EDGE)
    w = xp.exp(xp.minimum(x, _mish_edge(x)))
    n = w * (w + 2.0)
    return x * (n / (n + 2.0))


def _mish_rule(g: Array, y: Array, x: Array) -> Array:
    """dy/dx = n/d + 4 x w (1 + w) / d^2, with w = exp(x), n = w (w + 2), d = n + 2."""
    x = ops.clip(x, -_SILU_EDGE, _mish_edge(x))
    w = ops.exp(x)
    n = ops.multiply(w, w + 2.0)
    d = n + 2.0
    bend = ops.divide(ops.divide(ops.multiply(w, w + 1.0), d), d) * 4.0
    return ops.multiply(g, ops.add(ops.divide(n, d), ops.multiply(x, bend)))


mish.vjp(_mish_rule)


def glu(x: Array, /, *, axis: int = -1) -> Array:
    """Gated linear unit: the first half along an axis times the sigmoid of the second half.

    Dauphin, Fan, Auli and Grangier, Language modeling with gated convolutional networks (2017).

    Args:
        x: real floating-point array whose length along `axis` is even.
        axis: the axis that is halved.

    Returns:
        An array of the same dtype, half as long along `axis`.

    Raises:
        TypeError: if `x` is not a real floating-point array.
        ValueError: if `x` has no such axis, or its length is odd.

    Example:
        >>> import numpy as np
        >>> glu(np.asarray([[1.0, 2.0, 0.0, 0.0]])).tolist()
        [[0.5, 1.0]]
    """
    check_floating("glu", x)
    ndim = len(x.shape)
    if not -ndim <= axis < ndim:
        raise ValueError(f"glu: axis={axis} is out of range for an array with {ndim} axes")
    if x.shape[axis] % 2:
        raise ValueError(f"glu: expected an even length along axis {axis}, got shape {tuple(x.shape)}")
    half, before = x.shape[axis] // 2, (slice(None),) * (axis % ndim)
    value, gate = x[(*before, slice(None, half), ...)], x[(*before, slice(half, None), ...)]
    return ops.multiply(value, ops.sigmoid(gate))
