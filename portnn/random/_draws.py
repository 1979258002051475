"""Bits and uniform numbers: the same on every backend, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
from array_api_compat import device

from portnn._typing import Array, Namespace
from portnn.random._checks import check_dtype, check_interval, check_shape
from portnn.random._keys import check_key
from portnn.random._philox import encipher, integers, words
from portnn.tracing import constant, namespace

__all__ = ["bits", "drawn", "trimmed", "uniform", "unit_interval", "units"]

_BLOCKS = 1 << 32  # as many as the first word of the counter can tell apart
# Eager on NumPy, so many blocks are made at a time: their arrays stay in a cache, and no memory is
# asked of the system again and again. docs/benchmarks/random.md has the figures.
_CHUNK = 32_768


def bits(key: Array, shape: int | tuple[int, ...]) -> Array:
    """Words of 32 random bits.

    The blocks of the counters 0, 1, 2, ... are made, and their words taken in the order: all first words, all
    third, all second, all fourth. So what is drawn depends on how many are drawn.

    Args:
        key: a key (2,).
        shape: the shape of the result.

    Returns:
        Integers from 0 to 2^32 - 1: uint32, on torch int64.

    Raises:
        TypeError: if `key` is not a key, or `shape` not a shape.
        ValueError: if `shape` is negative, or too large.

    Example:
        >>> from portnn.random import key
        >>> bits(key(0), 2).tolist()
        [1713891541, 3159862348]
    """
    check_key("bits", key)
    return _bits(key, shape=check_shape("bits", shape))


@constant
def _bits(key: Array, /, *, shape: tuple[int, ...]) -> Array:
    xp = namespace(key)
    return trimmed(xp, drawn(xp, key, -(-prod(shape) // 4)), shape)


def drawn(xp: Namespace, key: Array, n: int, finish: Callable[[Array, Array], Array] | None = None) -> Array:
    """What is made of the words of `n` blocks.

    Args:
        xp: the namespace of the key.
        key: the key.
        n: the number of blocks.
        finish: is given the words (x0, x2) and (x1, x3), two arrays of shape (2, n), and works on each block
            alone: blocks lie along the last axis of its result. By default it puts them in one array (4, n).
    """
    if n > _BLOCKS:
        raise ValueError("a key has 2^34 words; draw large arrays in parts, with a key for each from split")
    low = xp.arange(n, dtype=integers(xp), device=device(key))

    def part(low: Array) -> Array:
        both = [words(xp, x) for x in encipher(xp, key, low, ((0,), (0,)))]
        return xp.concat(both) if finish is None else finish(*both)

    if type(key) is not np.ndarray or n < 2 * _CHUNK:
        return part(low)
    return xp.concat([part(low[i : i + _CHUNK]) for i in range(0, n, _CHUNK)], axis=-1)


def trimmed(xp: Namespace, x: Array, shape: tuple[int, ...]) -> Array:
    """The first elements of an array, in a shape."""
    n = prod(shape)
    return xp.reshape(x if prod(x.shape) == n else xp.reshape(x, (-1,))[:n], shape)


def uniform(
    key: Array, shape: int | tuple[int, ...], *, low: float = 0.0, high: float = 1.0, dtype: str = "float32"
) -> Array:
    """Numbers evenly distributed from `low` to `high`, the latter left out.

    Between 0 and 1 they are multiples of 2^-24 in float32, made of the upper bits of a word, and of 2^-53 in
    float64, made of two words.

    Args:
        key: a key (2,).
        shape: the shape of the result.
        low: the lower end.
        high: the upper end.
        dtype: "float32" or "float64".

    Returns:
        The numbers, the same on every backend.

    Raises:
        TypeError: if `key` is not a key, `shape` not a shape, or an end not a number.
        ValueError: if the shape is negative, the ends are not finite or not in order, or there is no such
            dtype.

    Example:
        >>> from portnn.random import key
        >>> x = uniform(key(0), (2, 3), low=-1.0)
        >>> x.shape, bool((x >= -1.0).all()), bool((x < 1.0).all())
        ((2, 3), True, True)
    """
    dtype = check_dtype("uniform", key, dtype)
    low, high = check_interval("uniform", low, high, dtype)
    return _uniform(key, shape=check_shape("uniform", shape), low=low, high=high, dtype=dtype)


@constant
def _uniform(key: Array, /, *, shape: tuple[int, ...], low: float, high: float, dtype: str) -> Array:
    xp = namespace(key)
    found = units(xp, key, shape, dtype)
    if (low, high) == (0.0, 1.0):
        return found
    # Rounding must not reach `high`; and the first minimum, which changes nothing, keeps compilers from
    # fusing product and sum, which would round once instead of twice.
    last = float(np.nextafter(np.asarray(high, dtype), np.asarray(low, dtype)))
    scaled = xp.minimum(xp.multiply(found, high - low), float(np.asarray(high - low, dtype)))
    return xp.minimum(xp.add(scaled, low), last)


def units(xp: Namespace, key: Array, shape: tuple[int, ...], dtype: str) -> Array:
    """Uniform numbers in [0, 1)."""
    if dtype == "float32":
        found = drawn(xp, key, -(-prod(shape) // 4), lambda a, b: unit_interval(xp, xp.concat([a, b])))
    else:
        found = drawn(xp, key, -(-prod(shape) // 2), lambda a, b: unit_interval(xp, a, b))
    return trimmed(xp, found, shape)


def unit_interval(xp: Namespace, first: Array, second: Array | None = None) -> Array:
    """Multiples of 2^-24 in [0, 1) of words, in float32; of 2^-53 of two words each, in float64."""
    if second is None:
        return xp.multiply(xp.astype(xp.bitwise_right_shift(first, 8), xp.float32), 2.0**-24)
    upper = xp.multiply(xp.astype(xp.bitwise_right_shift(first, 5), xp.float64), 2.0**-27)
    lower = xp.multiply(xp.astype(xp.bitwise_right_shift(second, 6), xp.float64), 2.0**-53)
    return xp.add(upper, lower)
