"""The truncated normal distribution, by the inverse of the normal distribution function."""

from __future__ import annotations

from math import erf, erfc, sqrt

from portnn._typing import Array, Namespace
from portnn.random._checks import check_dtype, check_shape
from portnn.random._draws import units
from portnn.tracing import constant, namespace

__all__ = ["truncated_normal"]

_FARTHEST = 6.6  # where the last of the approximations below ends

# Wichura, Algorithm AS 241: the percentage points of the normal distribution, 1988. For each dtype (PPND7 and
# PPND16) the coefficients of numerator and denominator, the highest power first, near the middle and far out.
_CENTRAL = {
    "float32": (
        (59.10937472, 159.29113202, 50.434271938, 3.3871327179),
        (67.1875636, 78.757757664, 17.895169469, 1.0),
    ),
    "float64": (
        (2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
         13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608),
        (5226.495278852854561, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867,
         5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0),
    ),
}  # fmt: skip
_TAIL = {
    "float32": (
        (0.17023821103, 1.3067284816, 2.75681539, 1.4234372777),
        (0.12021132975, 0.7370016425, 1.0),
    ),
    "float64": (
        (7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258,
         3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734),
        (1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966,
         0.14810397642748007459, 0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187, 1.0),
    ),
}  # fmt: skip


def truncated_normal(
    key: Array,
    shape: int | tuple[int, ...],
    *,
    lower: float = -2.0,
    upper: float = 2.0,
    dtype: str = "float32",
) -> Array:
    """Numbers of the standard normal distribution that lie between two ends.

    The inverse of the distribution function is taken of uniform numbers (Wichura, Algorithm AS 241, 1988).

    Args:
        key: a key (2,).
        shape: the shape of the result.
        lower: the lower end, below 6; may be minus infinity.
        upper: the upper end, above -6; may be infinity. What lies farther out than 6.6 on either side, less
            than 1e-10 of the distribution, is not drawn.
        dtype: "float32" or "float64".

    Returns:
        The numbers; between backends they differ by a few units in the last place (8 were seen in 4 million).

    Raises:
        TypeError: if `key` is not a key, or `shape` not a shape.
        ValueError: if the shape is negative, the ends are not in order or too far out, or there is no such
            dtype.

    Example:
        >>> from portnn.random import key
        >>> x = truncated_normal(key(0), 1000, lower=-1.0, upper=3.0)
        >>> bool((x >= -1.0).all()), bool((x <= 3.0).all())
        (True, True)
    """
    dtype = check_dtype("truncated_normal", key, dtype)
    if not (lower < upper and lower < 6.0 and upper > -6.0):
        raise ValueError(
            f"truncated_normal: lower must be below upper and 6, upper above -6, got {lower} and {upper}"
        )
    ends = max(float(lower), -_FARTHEST), min(float(upper), _FARTHEST)
    return _truncated(key, shape=check_shape("truncated_normal", shape), ends=ends, dtype=dtype)


@constant
def _truncated(key: Array, /, *, shape: tuple[int, ...], ends: tuple[float, float], dtype: str) -> Array:
    xp = namespace(key)
    u = units(xp, key, shape, dtype)
    lower, upper = ends
    flipped = lower > 0.0  # near 1 the distribution function has few bits, near 0 all of them
    if flipped:
        lower, upper = -upper, -lower
    found = xp.clip(_between(xp, u, lower, upper, dtype), lower, upper)
    return xp.negative(found) if flipped else found


def _between(xp: Namespace, u: Array, lower: float, upper: float, dtype: str) -> Array:
    """The inverse of the distribution function, where `u` of the way from one end to the other leads."""
    below, above = erfc(-lower / sqrt(2.0)) / 2.0, erfc(upper / sqrt(2.0)) / 2.0
    width = (erf(upper / sqrt(2.0)) - erf(lower / sqrt(2.0))) / 2.0
    # The minimum, which changes nothing but a last place, keeps compilers from fusing product and sum: near
    # zero, where the sum cancels, another rounding would show.
    q = xp.add(xp.minimum(xp.multiply(u, width), width), erf(lower / sqrt(2.0)) / 2.0)
    tail = xp.where(
        xp.less(q, 0.0), xp.add(xp.multiply(u, width), below), xp.add(xp.multiply(1.0 - u, width), above)
    )
    r = xp.sqrt(-xp.log(xp.minimum(tail, 0.075))) - 1.6
    outside = _rational(xp, r, _TAIL[dtype])
    outside = xp.where(xp.less(q, 0.0), -outside, outside)
    inside = xp.multiply(q, _rational(xp, 0.180625 - xp.multiply(q, q), _CENTRAL[dtype]))
    return xp.where(xp.less_equal(xp.abs(q), 0.425), inside, outside)


def _rational(xp: Namespace, x: Array, coefficients: tuple[tuple[float, ...], tuple[float, ...]]) -> Array:
    return xp.divide(*[_polynomial(xp, x, c) for c in coefficients])


def _polynomial(xp: Namespace, x: Array, coefficients: tuple[float, ...]) -> Array:
    """Horner's scheme, the highest power first."""
    found = xp.add(xp.multiply(x, coefficients[0]), coefficients[1])
    for c in coefficients[2:]:
        found = xp.add(xp.multiply(found, x), c)
    return found
