"""Initialisers: how the parameters of a layer are drawn.

An initialiser is called as ``initializer(rng, shape, dtype="float32")`` with a `numpy.random.Generator`
and returns a NumPy array. It draws in float64 and rounds at the end, so the float32 and the float64
network of one seed have the same weights; and it draws on the host, so every backend gets the same bits.

Initialisers are frozen dataclasses of numbers: they compare, print and save as plain data. The functions
in lower case make the usual ones. A layer takes any callable of that signature.

Fans, the numbers of inputs and outputs of a unit, are read from the shape of the weight: ``(in, out)`` for
dense layers, ``(out, in, *kernel)`` from three axes on, where each is multiplied by the size of the kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from portnn._suggest import missing
from portnn.nn._initializers import (
    Constant,
    Initializer,
    Normal,
    Orthogonal,
    TruncatedNormal,
    Uniform,
    VarianceScaling,
    fans,
)

__all__ = [
    "Constant", "Initializer", "Normal", "Orthogonal", "TruncatedNormal", "Uniform", "VarianceScaling",
    "constant", "fans", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "lecun_normal",
    "lecun_uniform", "normal", "ones", "orthogonal", "truncated_normal", "uniform", "zeros",
]  # fmt: skip

if not TYPE_CHECKING:

    def __getattr__(name: str) -> None:
        raise missing(__name__, name, __all__)


def he_uniform() -> VarianceScaling:
    """Uniform between ``±sqrt(6 / fan_in)``, for layers before a ReLU.

    He, Zhang, Ren and Sun, Delving deep into rectifiers (2015), equation 10.

    Returns:
        The initialiser.

    Example:
        >>> import numpy as np
        >>> w = he_uniform()(np.random.default_rng(0), (600, 10))
        >>> w.shape, str(w.dtype), round(float(abs(w).max()), 3)
        ((600, 10), 'float32', 0.1)
    """
    return VarianceScaling(2.0, "in", "uniform")


def he_normal() -> VarianceScaling:
    """Normal of standard deviation ``sqrt(2 / fan_in)``, for layers before a ReLU.

    He, Zhang, Ren and Sun, Delving deep into rectifiers (2015), equation 10.

    Returns:
        The initialiser.

    Example:
        >>> he_normal()
        VarianceScaling(scale=2.0, fan='in', distribution='normal')
    """
    return VarianceScaling(2.0, "in", "normal")


def glorot_uniform() -> VarianceScaling:
    """Uniform between ``±sqrt(6 / (fan_in + fan_out))``, for layers before tanh and the like.

    Glorot and Bengio, Understanding the difficulty of training deep feedforward networks (2010), equation 16.

    Returns:
        The initialiser.

    Example:
        >>> glorot_uniform()
        VarianceScaling(scale=1.0, fan='average', distribution='uniform')
    """
    return VarianceScaling(1.0, "average", "uniform")


def glorot_normal() -> VarianceScaling:
    """Normal of standard deviation ``sqrt(2 / (fan_in + fan_out))``, for layers before tanh and the like.

    Glorot and Bengio, Understanding the difficulty of training deep feedforward networks (2010), equation 12.

    Returns:
        The initialiser.

    Example:
        >>> glorot_normal()
        VarianceScaling(scale=1.0, fan='average', distribution='normal')
    """
    return VarianceScaling(1.0, "average", "normal")


def lecun_uniform() -> VarianceScaling:
    """Uniform between ``±sqrt(3 / fan_in)``.

    LeCun, Bottou, Orr and Müller, Efficient backprop (1998), equation 16.

    Returns:
        The initialiser.

    Example:
        >>> lecun_uniform()
        VarianceScaling(scale=1.0, fan='in', distribution='uniform')
    """
    return VarianceScaling(1.0, "in", "uniform")


def lecun_normal() -> VarianceScaling:
    """Normal of standard deviation ``sqrt(1 / fan_in)``, for layers before a SELU.

    LeCun, Bottou, Orr and Müller, Efficient backprop (1998), equation 16.

    Returns:
        The initialiser.

    Example:
        >>> lecun_normal()
        VarianceScaling(scale=1.0, fan='in', distribution='normal')
    """
    return VarianceScaling(1.0, "in", "normal")


def orthogonal(gain: float = 1.0) -> Orthogonal:
    """Orthonormal rows or columns, whichever are fewer, times `gain`; keeps the length of vectors.

    Saxe, McClelland and Ganguli, Exact solutions to the nonlinear dynamics of learning (2014).

    Args:
        gain: the factor.

    Returns:
        The initialiser.

    Example:
        >>> import numpy as np
        >>> w = orthogonal()(np.random.default_rng(0), (5, 3), "float64")
        >>> bool(np.allclose(w.T @ w, np.eye(3)))
        True
    """
    return Orthogonal(gain)


def truncated_normal(
    stddev: float, mean: float = 0.0, *, lower: float = -2.0, upper: float = 2.0
) -> TruncatedNormal:
    """Normal numbers, drawn again where they are further out than a number of standard deviations.

    With the default interval the result has a standard deviation of 0.88 times `stddev`.

    Args:
        stddev: standard deviation before truncation.
        mean: mean before truncation.
        lower: the lower end of the interval, in standard deviations from the mean.
        upper: the upper end, likewise.

    Returns:
        The initialiser.

    Raises:
        ValueError: if the interval is empty or holds less than a thousandth of the distribution.

    Example:
        >>> import numpy as np
        >>> float(abs(truncated_normal(0.5)(np.random.default_rng(0), (1000,))).max()) <= 1.0
        True
    """
    return TruncatedNormal(stddev, mean, lower, upper)


def uniform(low: float, high: float) -> Uniform:
    """Uniform numbers from `low` to `high`.

    Args:
        low: the lower end.
        high: the upper end.

    Returns:
        The initialiser.

    Raises:
        ValueError: if `low` is above `high`.

    Example:
        >>> uniform(-0.1, 0.1)
        Uniform(low=-0.1, high=0.1)
    """
    return Uniform(low, high)


def normal(stddev: float, mean: float = 0.0) -> Normal:
    """Normal numbers.

    Args:
        stddev: their standard deviation.
        mean: their mean.

    Returns:
        The initialiser.

    Raises:
        ValueError: if `stddev` is negative.

    Example:
        >>> normal(0.02)
        Normal(stddev=0.02, mean=0.0)
    """
    return Normal(stddev, mean)


def constant(value: float) -> Constant:
    """The same number everywhere.

    Args:
        value: the number.

    Returns:
        The initialiser; it takes nothing from the random stream.

    Example:
        >>> import numpy as np
        >>> constant(0.5)(np.random.default_rng(0), (2,)).tolist()
        [0.5, 0.5]
    """
    return Constant(value)


def zeros() -> Constant:
    """Zeros, the usual start of a bias.

    Returns:
        The initialiser; it takes nothing from the random stream.

    Example:
        >>> zeros()
        Constant(value=0.0)
    """
    return Constant(0.0)


def ones() -> Constant:
    """Ones, the usual start of a scale.

    Returns:
        The initialiser; it takes nothing from the random stream.

    Example:
        >>> ones()
        Constant(value=1.0)
    """
    return Constant(1.0)
