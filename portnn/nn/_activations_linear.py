"""Activations made of straight pieces.

At a kink the derivative is that of PyTorch: 0 for `relu`, that of the negative side for its relatives,
and that of the outer side for the hard functions.
"""

from __future__ import annotations

from portnn import ops
from portnn._typing import Array
from portnn.ops._broadcasting import show_nan
from portnn.tracing import check_floating, namespace, primitive

__all__ = ["hard_sigmoid", "hard_swish", "hard_tanh", "identity", "leaky_relu", "prelu", "relu"]


def identity(x: Array, /) -> Array:
    """The input itself, for places that want an activation where there is none.

    Args:
        x: an array of any shape and dtype.

    Returns:
        `x`.

    Example:
        >>> import numpy as np
        >>> identity(np.asarray([-1.0, 2.0])).tolist()
        [-1.0, 2.0]
    """
    return x


@primitive
def relu(x: Array, /) -> Array:
    """Rectified linear unit ``max(x, 0)``; its derivative at 0 is 0.

    Nair and Hinton, Rectified linear units improve restricted Boltzmann machines (2010).

    Args:
        x: real floating-point array.

    Returns:
        An array of the same shape and dtype.

    Raises:
        TypeError: if `x` is not a real floating-point array.

    Example:
        >>> import numpy as np
        >>> relu(np.asarray([-1.0, 0.0, 2.0])).tolist()
        [0.0, 0.0, 2.0]
    """
    check_floating("relu", x)
    return namespace(x).maximum(x, 0.0)


# dy/dx = [y ≠ 0], so the gradient at NaN passes, as in PyTorch: a zero would hide the NaN.
relu.vjp(lambda g, y, x: ops.where(ops.not_equal(y, 0.0), g, 0.0))


@primitive
def leaky_relu(x: Array, /, *, negative_slope: float = 0.01) -> Array:
    """``x`` where it is positive, ``negative_slope * x`` elsewhere.

    Maas, Hannun and Ng, Rectifier nonlinearities improve neural network acoustic models (2013).

    Args:
        x: real floating-point array.
        negative_slope: the slope on the negative side.

    Returns:
        An array of the same shape and dtype.

    Raises:
        TypeError: if `x` is not a real floating-point array.

    Example:
        >>> import numpy as np
        >>> leaky_relu(np.asarray([-1.0, 2.0]), negative_slope=0.5).tolist()
        [-0.5, 2.0]
    """
    check_floating("leaky_relu", x)
    return namespace(x).where(x > 0.0, x, x * negative_slope)


# dy/dx = 1 if x > 0 else negative_slope
leaky_relu.vjp(
    lambda g, y, x, negative_slope=0.01: ops.where(ops.greater(x, 0.0), g, g * negative_slope),
)


def prelu(x: Array, alpha: Array, /) -> Array:
    """Leaky ReLU whose slope on the negative side is a parameter: ``max(x, 0) + alpha * min(x, 0)``.

    He, Zhang, Ren and Sun, Delving deep into rectifiers (2015), equation 1. As in PyTorch, slopes of
    shape (channels,) belong to axis 1 of `x`.

    Args:
        x: real floating-point array (n, channels, ...), or of any other shape.
        alpha: one slope, of shape () or (1,); one slope per channel, of shape (channels,); or an array of
            another shape that broadcasts with `x` by the rules of the standard.

    Returns:
        An array of the shape of `x`.

    Raises:
        TypeError: if `x` or `alpha` is not a real floating-point array.
        ValueError: if the shape of `alpha` does not fit that of `x`.

    Example:
        >>> import numpy as np
        >>> prelu(np.asarray([[-1.0, -2.0], [3.0, 4.0]]), np.asarray([0.5, 0.25])).tolist()
        [[-0.5, -0.5], [3.0, 4.0]]
        >>> prelu(np.asarray([[[-1.0, -1.0], [-1.0, -1.0]]]), np.asarray([0.5, 0.25])).tolist()
        [[[-0.5, -0.5], [-0.25, -0.25]]]
    """
    check_floating("prelu", x)
    check_floating("prelu", alpha)
    alpha = _along_channels(x, alpha)
    positive = ops.greater(x, 0.0)
    # The inner `where` keeps an infinite x out of the gradient by alpha.
    return ops.where(positive, x, ops.multiply(ops.where(positive, 0.0, x), alpha))


def _along_channels(x: Array, alpha: Array) -> Array:
    """Return the slopes in a shape that broadcasts along the channels of `x`.

    Raises:
        ValueError: if their number is neither that of the channels nor fits the shape of `x`.
    """
    own, wanted = tuple(alpha.shape), tuple(x.shape)
    channels = len(own) == 1 and len(wanted) > 2 and own[0] != 1
    single = own == (1,) and not wanted  # one slope for a scalar: the result stays a scalar
    shape = (own[0], *[1] * (len(wanted) - 2)) if channels else () if single else own
    pairs = zip(reversed(shape), reversed(wanted), strict=False)
    if any(a not in (1, n) and (channels or n != 1) for a, n in pairs):
        raise ValueError(
            f"prelu: expected alpha to have one slope, or one per channel (axis 1 of x), got shape {own} "
            f"for x of shape {wanted}"
        )
    return ops.reshape(alpha, shape) if channels or single else alpha


@primitive
def hard_sigmoid(x: Array, /) -> Array:
    """Straight line from 0 at -3 to 1 at 3: ``clip(x + 3, 0, 6) / 6``.

    Howard et al., Searching for MobileNetV3 (2019), section 5.2.

    Args:
        x: real floating-point array.

    Returns:
        An array of the same shape and dtype, with values from 0 to 1.

    Raises:
        TypeError: if `x` is not a real floating-point array.

    Example:
        >>> import numpy as np
        >>> hard_sigmoid(np.asarray([-4.0, 0.0, 4.0])).tolist()
        [0.0, 0.5, 1.0]
    """
    check_floating("hard_sigmoid", x)
    return namespace(x).clip(x + 3.0, 0.0, 6.0) / 6.0


# dy/dx = 1/6 if |x| < 3 else 0
hard_sigmoid.vjp(lambda g, y, x: show_nan(ops.where(ops.less(ops.abs(x), 3.0), g / 6.0, 0.0), y))


@primitive
def hard_tanh(x: Array, /) -> Array:
    """Straight line between -1 and 1: ``clip(x, -1, 1)``.

    Collobert, Large scale machine learning (2004), chapter 4.

    Args:
        x: real floating-point array.

    Returns:
        An array of the same shape and dtype, with values from -1 to 1.

    Raises:
        TypeError: if `x` is not a real floating-point array.

    Example:
        >>> import numpy as np
        >>> hard_tanh(np.asarray([-4.0, 0.5, 4.0])).tolist()
        [-1.0, 0.5, 1.0]
    """
    check_floating("hard_tanh", x)
    return namespace(x).clip(x, -1.0, 1.0)


# dy/dx = 1 if |x| < 1 else 0
hard_tanh.vjp(lambda g, y, x: show_nan(ops.where(ops.less(ops.abs(x), 1.0), g, 0.0), y))


@primitive
def hard_swish(x: Array, /) -> Array:
    """``x * hard_sigmoid(x)``, the straight-line relative of `silu`.

    Howard et al., Searching for MobileNetV3 (2019), section 5.2.

    Args:
        x: real floating-point array.

    Returns:
        An array of the same shape and dtype; 0 at minus infinity.

    Raises:
        TypeError: if `x` is not a real floating-point array.

    Example:
        >>> import numpy as np
        >>> [round(v, 4) for v in hard_swish(np.asarray([-1.0, 1.0, 4.0])).tolist()]
        [-0.3333, 0.6667, 4.0]
    """
    check_floating("hard_swish", x)
    xp = namespace(x)
    x = xp.maximum(x, -3.0)  # below -3 the other factor is 0, and 0 times infinity would be NaN
    return x * (xp.clip(x + 3.0, 0.0, 6.0) / 6.0)


def _hard_swish_rule(g: Array, y: Array, x: Array) -> Array:
    """dy/dx = 0 if x <= -3, 1 if x >= 3, x/3 + 1/2 between."""
    inside = ops.less(ops.abs(x), 3.0)
    outside = show_nan(ops.where(ops.greater(x, 0.0), g, 0.0), y)
    return ops.where(inside, ops.multiply(g, ops.clip(x, -3.0, 3.0) / 3.0 + 0.5), outside)


hard_swish.vjp(_hard_swish_rule)
