"""Masks, integers and permutations: the same on every backend, bit for bit."""

from __future__ import annotations

from math import prod
from numbers import Real
from operator import index
from typing import Any

from array_api_compat import device

from portnn._typing import Array
from portnn.random._checks import check_shape
from portnn.random._draws import drawn, trimmed, uniform
from portnn.random._keys import check_key
from portnn.random._philox import MASK, high_product, integers, words
from portnn.tracing import TracedArray, at_home, constant, is_array, namespace

__all__ = ["bernoulli", "permutation", "randint"]


def bernoulli(key: Array, p: Any, shape: int | tuple[int, ...] | None = None) -> Array:
    """True with some probability, else False.

    For a number `p` the probability is exact to 2^-33, and a word serves several elements if `p` is a
    multiple of a larger power of two: 32 of them if it is a half, four if it is a multiple of 1/256.

    Args:
        key: a key (2,).
        p: the probability of True, a number; or an array of floating-point probabilities, which need not lie
            between 0 and 1.
        shape: the shape of the result, to which an array `p` is broadcast; by default that of `p`.

    Returns:
        Booleans, the same on every backend.

    Raises:
        TypeError: if `key` is not a key, `p` no number, or `shape` not a shape.
        ValueError: if a number `p` is not between 0 and 1, or the shape is negative.

    Example:
        >>> from portnn.random import key
        >>> bernoulli(key(0), 0.25, 8).tolist()
        [False, False, False, False, False, False, False, False]
    """
    check_key("bernoulli", key)
    if is_array(p) or type(p) is TracedArray:
        return _bernoulli_each(
            key, p, shape=check_shape("bernoulli", tuple(p.shape) if shape is None else shape)
        )
    if not isinstance(p, Real):
        raise TypeError(f"bernoulli: p must be a number or an array, got {type(p).__name__}")
    p = float(p)
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"bernoulli: p must lie between 0 and 1, got {p}")
    # The words below a threshold of 2^32 p.
    threshold = round(p * 2**32)
    return _bernoulli(
        key, threshold=threshold, shape=check_shape("bernoulli", () if shape is None else shape)
    )


@constant
def _bernoulli(key: Array, /, *, threshold: int, shape: tuple[int, ...]) -> Array:
    xp = namespace(key)
    where = device(key)
    if threshold in (0, 1 << 32):
        return xp.full(shape, threshold > 0, dtype=xp.bool, device=where)
    # The upper bits decide alone if the threshold's lower ones are zero; the lower are then further numbers.
    zeros = (threshold & -threshold).bit_length() - 1
    width = next(b for b in (1, 2, 4, 8, 16, 32) if b >= 32 - zeros)
    fields = 32 // width

    def finish(even: Array, odd: Array) -> Array:
        found = xp.expand_dims(xp.concat([even, odd]), axis=0)
        if fields > 1:
            shifts = xp.asarray([[[width * i]] for i in range(fields)], dtype=found.dtype, device=where)
            found = words(xp, xp.bitwise_left_shift(found, shifts))
        return xp.less(found, xp.asarray([threshold], dtype=found.dtype, device=where))

    return trimmed(xp, drawn(xp, key, -(-prod(shape) // (4 * fields)), finish), shape)


@constant
def _bernoulli_each(key: Array, p: Array, /, *, shape: tuple[int, ...]) -> Array:
    xp = namespace(key, p)
    dtype = "float64" if p.dtype == xp.float64 else "float32"
    return xp.less(uniform(key, shape, dtype=dtype), p)


def randint(key: Array, shape: int | tuple[int, ...], low: int, high: int) -> Array:
    """Integers from `low` to `high`, the latter left out.

    They are the high words of ``word * (high - low)``, so some come up more often than others by at most
    (high - low) / 2^32 of their probability.

    Args:
        key: a key (2,).
        shape: the shape of the result.
        low: the smallest.
        high: one more than the largest; at most 2^32 more than `low`.

    Returns:
        Integers, the same on every backend: int64, or int32 on JAX without ``jax_enable_x64``.

    Raises:
        TypeError: if `key` is not a key, `shape` not a shape, or an end not an integer.
        ValueError: if the shape is negative, or the ends are not in order or too far apart.

    Example:
        >>> from portnn.random import key
        >>> randint(key(0), 5, 1, 7).tolist()
        [3, 6, 5, 5, 6]
    """
    check_key("randint", key)
    try:
        low, high = index(low), index(high)
    except TypeError:
        kinds = f"{type(low).__name__} and {type(high).__name__}"
        raise TypeError(f"randint: low and high must be integers, got {kinds}") from None
    if not 0 < high - low <= 1 << 32:
        raise ValueError(
            f"randint: high must be above low, by at most 2^32, got {str(low)[:30]} and {str(high)[:30]}"
        )
    if low < -(1 << 63) or high > 1 << 63:
        raise ValueError(
            f"randint: integers of 64 bits go from -2^63 to below 2^63, got {str(low)[:30]} and "
            f"{str(high)[:30]}"
        )
    return _randint(key, shape=check_shape("randint", shape), low=low, high=high)


@constant
def _randint(key: Array, /, *, shape: tuple[int, ...], low: int, high: int) -> Array:
    xp = namespace(key)
    kind = integers(xp)
    found = drawn(xp, key, -(-prod(shape) // 4))
    if kind == xp.uint32:
        if not -(1 << 31) <= low < high <= (1 << 31):
            raise ValueError(
                "randint: JAX has only 32-bit integers here; call "
                'jax.config.update("jax_enable_x64", True) first, or ask for smaller ones'
            )
        scaled = high_product(xp, found, xp.asarray([high - low], dtype=kind, device=device(key)))
        return trimmed(xp, xp.add(xp.astype(scaled, xp.int32), low), shape)
    span = xp.asarray([high - low], dtype=kind, device=device(key))
    scaled = xp.bitwise_right_shift(xp.multiply(xp.astype(found, kind), span), 32)
    # Torch's signed product may have run over: only the low bits count.
    scaled = xp.astype(xp.bitwise_and(scaled, MASK), xp.int64)
    return trimmed(xp, xp.add(scaled, low), shape)


@at_home
def permutation(key: Array, x: Any) -> Array:
    """The integers below `x` in random order, or the rows of an array `x` in random order.

    Each gets 31 random bits, by which they are sorted; equal ones keep their order, everywhere alike. That
    takes a sort, in time n log n, of 64-bit integers made of bits and position, or on JAX without them a
    stable one of the bits.

    Args:
        key: a key (2,).
        x: how many (n,); or an array (n, ...), which may be traced.

    Returns:
        Integers (n,) in the library's dtype for indices; or the rows of `x`.

    Raises:
        TypeError: if `key` is not a key, or `x` neither an integer nor an array with axes.
        ValueError: if `x` is negative.

    Example:
        >>> from portnn.random import key
        >>> permutation(key(0), 6).tolist()
        [5, 0, 3, 2, 4, 1]
    """
    check_key("permutation", key)
    if is_array(x) or type(x) is TracedArray:
        if not x.shape:
            raise TypeError("permutation: expected an integer, or an array with axes; got an array without")
        own = x.__array_namespace__() if type(x) is TracedArray else namespace(x, key)
        return own.take(x, _permutation(key, n=x.shape[0]), axis=0)
    try:
        (n,) = check_shape("permutation", index(x))
    except TypeError:
        raise TypeError(
            f"permutation: expected an integer or an array, got {type(x).__name__}; write xp.asarray"
        ) from None
    return _permutation(key, n=n)


@constant
def _permutation(key: Array, /, *, n: int) -> Array:
    xp = namespace(key)
    kind = integers(xp)
    found = xp.bitwise_right_shift(xp.reshape(drawn(xp, key, -(-n // 4)), (-1,))[:n], 1)
    if kind == xp.uint32:
        return xp.argsort(found, stable=True)
    places = xp.arange(n, dtype=kind, device=device(key))
    marked = xp.bitwise_or(xp.bitwise_left_shift(xp.astype(found, kind), 32), places)
    return xp.astype(xp.bitwise_and(xp.sort(marked, stable=False), MASK), xp.int64)
