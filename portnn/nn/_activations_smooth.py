"""Activations made of exponentials. Each argument of `exp` is kept at or below zero, so none overflows."""

from __future__ import annotations

from portnn import ops
from portnn._typing import Array
from portnn.tracing import check_floating, namespace, primitive

__all__ = ["celu", "elu", "log_sigmoid", "selu", "softplus", "softsign", "tanh"]

# Klambauer, Unterthiner, Mayr and Hochreiter, Self-normalizing neural networks (2017), equation 2:
# with these two, mean 0 and variance 1 are a fixed point. The paper's appendix has the digits.
_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946


@primitive
def _exponential_linear(x: Array, /, *, positive: float, negative: float, rate: float) -> Array:
    """``positive * x`` if x > 0, else ``negative * (exp(rate * x) - 1)``."""
    xp = namespace(x)
    right = x if positive == 1.0 else x * positive
    return xp.where(x > 0.0, right, xp.expm1(xp.minimum(x, 0.0) * rate) * negative)


def _exponential_linear_rule(
    g: Array, y: Array, x: Array, positive: float, negative: float, rate: float
) -> Array:
    """dy/dx = positive if x > 0, else negative * rate * exp(rate * x)."""
    left = ops.multiply(g, ops.exp(ops.minimum(x, 0.0) * rate) * (negative * rate))
    return ops.where(ops.greater(x, 0.0), g * positive, left)


_exponential_linear.vjp(_exponential_linear_rule)


def elu(x: Array, /, *, alpha: float = 1.0) -> Array:
    """Exponential linear unit: ``x`` where positive, ``alpha * (exp(x) - 1)`` elsewhere.

    Clevert, Unterthiner and Hochreiter, Fast and accurate deep network learning by ELUs (2016).

    Args:
        x: real floating-point array.
        alpha: minus the value at minus infinity.

    Returns:
        An array of the same shape and dtype.

    Raises:
        TypeError: if `x` is not a real floating-point array.

    Example:
        >>> import numpy as np
        >>> [round(v, 4) for v in elu(np.asarray([-1.0, 2.0])).tolist()]
        [-0.6321, 2.0]
    """
    check_floating("elu", x)
    return _exponential_linear(x, positive=1.0, negative=alpha, rate=1.0)


def selu(x: Array, /) -> Array:
    """Scaled ELU, under which layers of weights drawn by `lecun_normal` keep mean 0 and variance 1.

    Klambauer, Unterthiner, Mayr and Hochreiter, Self-normalizing neural networks (2017), equation 2.

    Args:
        x: real floating-point array.

    Returns:
        An array of the same shape and dtype.

    Raises:
        TypeError: if `x` is not a real floating-point array.

    Example:
        >>> import numpy as np
        >>> [round(v, 4) for v in selu(np.asarray([-1.0, 2.0])).tolist()]
        [-1.1113, 2.1014]
    """
    check_floating("selu", x)
    return _exponential_linear(x, positive=_SELU_SCALE, negative=_SELU_SCALE * _SELU_ALPHA, rate=1.0)


def celu(x: Array, /, *, alpha: float = 1.0) -> Array:
    """Continuously differentiable ELU: ``x`` where positive, ``alpha * (exp(x / alpha) - 1)`` elsewhere.

    Barron, Continuously differentiable exponential linear units (2017).

    Args:
        x: real floating-point array.
        alpha: minus the value at minus infinity; positive.

    Returns:
        An array of the same shape and dtype.

    Raises:
        TypeError: if `x` is not a real floating-point array.
        ValueError: if `alpha` is not positive.

    Example:
        >>> import numpy as np
        >>> [round(v, 4) for v in celu(np.asarray([-1.0, 2.0]), alpha=2.0).tolist()]
        [-0.7869, 2.0]
    """
    check_floating("celu", x)
    if not alpha > 0.0:
        raise ValueError(f"celu: alpha must be positive, got {alpha}")
    return _exponential_linear(x, positive=1.0, negative=alpha, rate=1.0 / alpha)


def _log1p_exp(x: Array) -> Array:
    """log(1 + exp(x)) of a plain array as ``max(x, 0) + log(1 + exp(-|x|))``, which cannot overflow."""
    xp = namespace(x)
    return xp.maximum(x, 0.0) + xp.log1p(xp.exp(-xp.abs(x)))


@primitive
def softplus(x: Array, /) -> Array:
    """Smooth ReLU ``log(1 + exp(x))``, for any finite or infinite `x`.

    Dugas, Bengio, Bélisle, Nadeau and Garcia, Incorporating second-order functional knowledge (2001).

    Args:
        x: real floating-point array.

    Returns:
        An array of the same shape and dtype.

    Raises:
        TypeError: if `x` is not a real floating-point array.

    Example:
        >>> import numpy as np
        >>> [round(v, 4) for v in softplus(np.asarray([0.0, 1000.0])).tolist()]
        [0.6931, 1000.0]
    """
    check_floating("softplus", x)
    return _log1p_exp(x)


# dy/dx = sigmoid(x)
softplus.vjp(lambda g, y, x: ops.multiply(g, ops.sigmoid(x)))


@primitive
def log_sigmoid(x: Array, /) -> Array:
    """Logarithm of the logistic function, ``-log(1 + exp(-x))``, for any finite or infinite `x`.

    Args:
        x: real floating-point array.

    Returns:
        An array of the same shape and dtype, with values up to 0.

    Raises:
        TypeError: if `x` is not a real floating-point array.

    Example:
        >>> import numpy as np
        >>> [round(v, 4) for v in log_sigmoid(np.asarray([0.0, -200.0])).tolist()]
        [-0.6931, -200.0]
    """
    check_floating("log_sigmoid", x)
    return -_log1p_exp(-x)


# dy/dx = sigmoid(-x)
log_sigmoid.vjp(lambda g, y, x: ops.multiply(g, ops.sigmoid(ops.negative(x))))


@primitive
def softsign(x: Array, /) -> Array:
    """``x / (1 + |x|)``.

    Bergstra, Desjardins, Lamblin and Bengio, Quadratic polynomials learn better image features (2009).

    Args:
        x: real floating-point array.

    Returns:
        An array of the same shape and dtype, with values from -1 to 1.

    Raises:
        TypeError: if `x` is not a real floating-point array.

    Example:
        >>> import numpy as np
        >>> softsign(np.asarray([-1.0, 3.0])).tolist()
        [-0.5, 0.75]
    """
    check_floating("softsign", x)
    xp = namespace(x)
    largest = float(xp.finfo(x.dtype).max)
    x = xp.clip(x, -largest, largest)  # infinity over infinity would be NaN; largest over itself is 1
    return x / (xp.abs(x) + 1.0)


def _softsign_rule(g: Array, y: Array, x: Array) -> Array:
    """dy/dx = 1 / (1 + |x|)^2, squared after the division, since |x|^2 may overflow."""
    r = ops.divide(1.0, ops.abs(x) + 1.0)
    return ops.multiply(g, ops.multiply(r, r))


softsign.vjp(_softsign_rule)


def tanh(x: Array, /) -> Array:
    """Hyperbolic tangent, as `ops.tanh`, for floating-point arrays only.

    Args:
        x: real floating-point array.

    Returns:
        An array of the same shape and dtype, with values from -1 to 1.

    Raises:
        TypeError: if `x` is not a real floating-point array.

    Example:
        >>> import numpy as np
        >>> [round(v, 4) for v in tanh(np.asarray([0.0, 1.0])).tolist()]
        [0.0, 0.7616]
    """
    check_floating("tanh", x)
    return ops.tanh(x)
