"""The classes behind `portnn.nn.init`: frozen dataclasses of numbers, called to draw an array."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import erf, isfinite, prod, sqrt
from typing import Any, Literal, final

from portnn import ops
from portnn._typing import Array
from portnn.backend import get_backend
from portnn.nn._checks import check_number
from portnn.nn._outline import outlined
from portnn.ops._options import check_word

__all__ = [
    "Constant", "Initializer", "Normal", "Orthogonal", "TruncatedNormal", "Uniform", "VarianceScaling",
    "fans",
]  # fmt: skip

_DTYPES = ("float16", "float32", "float64")


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """The numbers of inputs and outputs of a unit, from the shape of its weight.

    Args:
        shape: ``(in, out)``, or ``(out, in, *kernel)`` from three axes on.

    Returns:
        ``(fan_in, fan_out)``, both at least 1.

    Raises:
        ValueError: if the shape has fewer than two axes.

    Example:
        >>> fans((784, 10))
        (784, 10)
        >>> fans((32, 3, 5, 5))
        (75, 800)
    """
    if len(shape) < 2:
        raise ValueError(
            f"initialiser: expected the shape of a weight, (in, out) or (out, in, *kernel), "
            f"got {tuple(shape)}; use constant, uniform or normal for vectors"
        )
    kernel = prod(shape[2:])
    fan_in, fan_out = (shape[0], shape[1]) if len(shape) == 2 else (shape[1] * kernel, shape[0] * kernel)
    return max(fan_in, 1), max(fan_out, 1)


class Initializer(ABC):
    """What draws an array: `draw` in float64, and the call rounds to the dtype that is asked for."""

    def __call__(self, rng: Any, shape: tuple[int, ...], dtype: str = "float32") -> Array:
        """Draw an array.

        Args:
            rng: a `numpy.random.Generator`; the draw moves it on.
            shape: the shape of the array.
            dtype: ``"float32"``, ``"float64"`` or ``"float16"``.

        Returns:
            A NumPy array of that shape and dtype.

        Raises:
            ValueError: if the dtype is another one, or the shape does not suit the initialiser.
        """
        if dtype not in _DTYPES:
            raise ValueError(f"initialiser: dtype must be one of {', '.join(_DTYPES)}, got {dtype!r}")
        outline = outlined(tuple(shape), dtype)
        return self.draw(rng, tuple(shape)).astype(dtype) if outline is None else outline

    @abstractmethod
    def draw(self, rng: Any, shape: tuple[int, ...]) -> Array:
        """The float64 array, before it is rounded."""


def _uniform(rng: Any, shape: tuple[int, ...], low: float, high: float) -> Array:
    """Multiplied and added by separate array operations: compiled into `Generator.uniform`, the two may be
    contracted into one instruction on some processors and not on others, with other bits.
    """
    return rng.random(shape) * (high - low) + low


@final
@dataclass(frozen=True)
class VarianceScaling(Initializer):
    """Mean 0 and variance ``scale / fan``, which keeps the size of signals through the layers.

    Attributes:
        scale: the numerator.
        fan: ``"in"`` keeps the forward pass, ``"average"`` compromises with the backward pass.
        distribution: ``"uniform"`` between ``±sqrt(3 scale / fan)``, or ``"normal"``.
    """

    scale: float
    fan: Literal["in", "average"]
    distribution: Literal["uniform", "normal"]

    def __post_init__(self) -> None:
        _check_numbers(self, "scale")
        _check_finite(self, "scale")
        if self.scale < 0.0:
            raise ValueError(f"VarianceScaling: scale must not be negative, got {self.scale}")
        check_word("VarianceScaling", "fan", self.fan, ("in", "average"))
        check_word("VarianceScaling", "distribution", self.distribution, ("uniform", "normal"))

    def draw(self, rng: Any, shape: tuple[int, ...]) -> Array:
        """Weights of variance ``scale / fan`` in float64."""
        fan_in, fan_out = fans(shape)
        variance = self.scale / (fan_in if self.fan == "in" else (fan_in + fan_out) / 2)
        if self.distribution == "uniform":
            bound = sqrt(3.0 * variance)
            return _uniform(rng, shape, -bound, bound)
        return rng.standard_normal(shape) * sqrt(variance)


@final
@dataclass(frozen=True)
class Orthogonal(Initializer):
    """A matrix with orthonormal rows or columns, whichever are fewer, times `gain`.

    Uniform over all such matrices: the QR factorisation of a normal matrix with the signs of the diagonal
    of R moved into Q (Mezzadri, How to generate random matrices from the classical compact groups, Notices
    of the AMS 54, 2007, section 5). From three axes on, the first axis makes the rows and the others
    the columns. Its last bits depend on the LAPACK in use.

    Attributes:
        gain: the factor.
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        _check_numbers(self, "gain")
        _check_finite(self, "gain")

    def draw(self, rng: Any, shape: tuple[int, ...]) -> Array:
        """An orthogonal weight in float64."""
        fans(shape)
        rows, columns = shape[0], prod(shape[1:])
        q, r = ops.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
        diagonal = ops.linalg.diagonal(r)
        q = q * ops.where(diagonal < 0.0, -self.gain, ops.full_like(diagonal, self.gain))
        return ops.reshape(q if rows >= columns else ops.matrix_transpose(q), shape)


@final
@dataclass(frozen=True)
class TruncatedNormal(Initializer):
    """Normal numbers, drawn again where they fall outside of an interval.

    Attributes:
        stddev: standard deviation of the normal distribution before it is truncated.
        mean: its mean.
        lower: the lower end of the interval, in standard deviations from the mean.
        upper: the upper end, likewise.
    """

    stddev: float
    mean: float = 0.0
    lower: float = -2.0
    upper: float = 2.0

    def __post_init__(self) -> None:
        _check_numbers(self, "stddev", "mean", "lower", "upper")
        _not_negative("truncated_normal", self.stddev)
        _check_finite(self, "stddev", "mean")
        if not self.lower < self.upper:
            raise ValueError(
                f"truncated_normal: lower must be below upper, got {self.lower} and {self.upper}"
            )
        if self._share() < 0.001:
            raise ValueError(
                f"truncated_normal: the interval {self.lower} to {self.upper} holds less than a thousandth "
                "of the normal distribution, so redrawing would take too long; widen it"
            )

    def _share(self) -> float:
        """The probability that a draw is kept."""
        return (erf(self.upper * sqrt(0.5)) - erf(self.lower * sqrt(0.5))) / 2

    def draw(self, rng: Any, shape: tuple[int, ...]) -> Array:
        """Truncated normal numbers in float64."""
        size = prod(shape)
        kept = self._keep(rng.standard_normal(size))
        while kept.size < size:
            missing = size - kept.size
            kept = ops.concat([kept, self._keep(rng.standard_normal(int(missing / self._share()) + 16))])
        return ops.reshape(kept[:size], shape) * self.stddev + self.mean

    def _keep(self, z: Array) -> Array:
        return z[(z >= self.lower) & (z <= self.upper)]


@final
@dataclass(frozen=True)
class Uniform(Initializer):
    """Uniform numbers.

    Attributes:
        low: the lower end.
        high: the upper end.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_numbers(self, "low", "high")
        if not self.low <= self.high:
            raise ValueError(f"uniform: low must not be above high, got {self.low} and {self.high}")
        _check_finite(self, "low", "high")

    def draw(self, rng: Any, shape: tuple[int, ...]) -> Array:
        """Uniform numbers in float64."""
        return _uniform(rng, shape, self.low, self.high)


@final
@dataclass(frozen=True)
class Normal(Initializer):
    """Normal numbers.

    Attributes:
        stddev: their standard deviation.
        mean: their mean.
    """

    stddev: float
    mean: float = 0.0

    def __post_init__(self) -> None:
        _check_numbers(self, "stddev", "mean")
        _not_negative("normal", self.stddev)
        _check_finite(self, "stddev", "mean")

    def draw(self, rng: Any, shape: tuple[int, ...]) -> Array:
        """Normal numbers in float64."""
        return rng.standard_normal(shape) * self.stddev + self.mean


@final
@dataclass(frozen=True)
class Constant(Initializer):
    """The same number everywhere; draws nothing.

    Attributes:
        value: the number.
    """

    value: float

    def __post_init__(self) -> None:
        _check_numbers(self, "value")
        _check_finite(self, "value")

    def draw(self, rng: Any, shape: tuple[int, ...]) -> Array:
        """The number in float64."""
        xp = get_backend("numpy").xp
        return xp.full(shape, self.value, dtype=xp.float64)


def _check_numbers(initializer: Initializer, *names: str) -> None:
    """Check that fields are numbers, and convert NumPy's to Python's, which files can hold."""
    for name in names:
        value = getattr(initializer, name)
        number = check_number(type(initializer).__name__, name, value)
        if type(value) not in (int, float):
            object.__setattr__(initializer, name, number)


def _check_finite(initializer: Initializer, *names: str) -> None:
    for name in names:
        if not isfinite(value := getattr(initializer, name)):
            raise ValueError(f"{type(initializer).__name__}: {name} must be finite, got {value}")


def _not_negative(name: str, stddev: float) -> None:
    if not stddev >= 0.0:
        raise ValueError(f"{name}: stddev must not be negative, got {stddev}")
