"""Philox4x32-10 in the standard's integer functions (Salmon, Moraes, Dror, Shaw, Parallel random numbers:
as easy as 1, 2, 3, SC 2011, section 3.3).

A block is four words of 32 bits, the counter, enciphered with a key of two. One round is

    x0' = high(M1 * x2) ^ x1 ^ k0        x1' = low(M1 * x2)
    x2' = high(M0 * x0) ^ x3 ^ k1        x3' = low(M0 * x0)

and the key grows by (W0, W1) from round to round. Here the words of many blocks stand in two arrays of two
rows, `even` = (x0, x2) and `odd` = (x1, x3), so that both halves of a round are one call, and a round five.
"""

from __future__ import annotations

from typing import Any

from array_api_compat import device, is_jax_namespace, is_torch_namespace

from portnn._typing import Array, DType, Namespace

__all__ = ["MASK", "encipher", "encipher_host", "high_product", "integers", "is_narrow", "library", "words"]

MASK = 0xFFFFFFFF
_HALF = 0xFFFF
_ROUNDS = 10
_M = (0xD2511F53, 0xCD9E8D57)  # multipliers
_W = (0x9E3779B9, 0xBB67AE85)  # what the key grows by: the golden ratio and the root of 3, less 1
_GROWTH = [[r * w & MASK for w in _W] for r in range(_ROUNDS)]


def library(xp: Namespace) -> Namespace:
    """The library's own namespace, also of arrays that are being recorded."""
    return getattr(xp, "recorded", xp)


def integers(xp: Namespace) -> DType:
    """The integers that blocks are computed in.

    64 unsigned bits hold a product of two words. Torch's unsigned integers cannot be computed with, and its
    signed ones wrap to the same bits. JAX has only 32 bits unless ``jax_enable_x64`` is set.
    """
    own = library(xp)
    if is_torch_namespace(own):
        return xp.int64
    if is_jax_namespace(own) and own.result_type(own.int64, own.int64) != own.int64:
        return xp.uint32
    return xp.uint64


def is_narrow(xp: Namespace, kind: DType) -> bool:
    """Whether these integers do not hold a product of two words."""
    return bool(kind == xp.uint32)


def words(xp: Namespace, x: Array) -> Array:
    """Whole integers of which only the low 32 bits count, as words: uint32, and on torch int64."""
    if x.dtype == xp.uint32:
        return x
    return xp.bitwise_and(x, MASK) if is_torch_namespace(library(xp)) else xp.astype(x, xp.uint32)


def encipher(xp: Namespace, key: Array, low: Array, rest: Any) -> tuple[Array, Array]:
    """The blocks of some counters.

    Args:
        xp: the namespace of key and counters.
        key: two words (2,).
        low: the first words of the counters (n,), in the library's `integers`; the third words are zero.
        rest: their second and fourth words, ((second,), (fourth,)), an array or Python integers.

    Returns:
        The words (x0, x2) and (x1, x3) of the blocks, two arrays of shape (2, n) in `integers`, of which only
        the low 32 bits count.
    """
    kind, where = integers(xp), device(key)
    product = _narrow_product if is_narrow(xp, kind) else _wide_product
    low, first = xp.reshape(low, (1, -1)), ((0,), (_M[0],))
    multipliers = xp.asarray(((_M[1],), (_M[0],)), dtype=kind, device=where)
    growth = xp.asarray([[[w] for w in pair] for pair in _GROWTH], dtype=kind, device=where)
    keys = xp.add(xp.reshape(xp.astype(key, kind), (1, 2, 1)), growth)
    if not hasattr(rest, "dtype"):
        rest = xp.asarray(rest, dtype=kind, device=where)
    high, odd = product(xp, low, xp.asarray(first, dtype=kind, device=where))
    even = xp.bitwise_xor(high, xp.bitwise_xor(rest, keys[0, ...]))
    for r in range(1, _ROUNDS):
        before = odd
        high, odd = product(xp, _crossed(xp, even), multipliers)
        even = xp.bitwise_xor(xp.bitwise_xor(high, before), keys[r, ...])
    return even, odd


def _crossed(xp: Namespace, even: Array) -> Array:
    """(x2, x0) of (x0, x2), each cut to 32 bits."""
    if even.dtype != xp.uint32:
        even = xp.bitwise_and(even, MASK)
    # A step of -1 is a view where there are such; torch has none.
    return xp.flip(even, axis=0) if is_torch_namespace(library(xp)) else even[::-1, ...]


def _wide_product(xp: Namespace, x: Array, m: Array) -> tuple[Array, Array]:
    """The product of words in 64 bits: shifted down for its high half, as it is for its low one.

    With torch's signed integers the shift smears the sign over bits that do not count.
    """
    product = xp.multiply(x, m)
    return xp.bitwise_right_shift(product, 32), product


def _narrow_product(xp: Namespace, x: Array, m: Array) -> tuple[Array, Array]:
    """High and low half of the product of words in 32 bits: (a h + b)(c h + d) with h = 2^16."""
    return high_product(xp, x, m), xp.multiply(x, m)


def high_product(xp: Namespace, x: Array, m: Array) -> Array:
    """The high word of the product of two words, computed in 32 bits."""
    a, b = xp.bitwise_right_shift(x, 16), xp.bitwise_and(x, _HALF)
    c, d = xp.bitwise_right_shift(m, 16), xp.bitwise_and(m, _HALF)
    outer, inner = xp.multiply(a, d), xp.multiply(b, c)
    middle = xp.add(xp.bitwise_right_shift(xp.multiply(b, d), 16), xp.bitwise_and(outer, _HALF))
    middle = xp.add(middle, xp.bitwise_and(inner, _HALF))
    high = xp.add(xp.multiply(a, c), xp.bitwise_right_shift(outer, 16))
    high = xp.add(high, xp.bitwise_right_shift(inner, 16))
    return xp.add(high, xp.bitwise_right_shift(middle, 16))


def encipher_host(key: tuple[int, int], counter: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """One block in Python's integers, which for a single one takes a tenth of the time.

    Args:
        key: two words.
        counter: four words.

    Returns:
        Four words.
    """
    x0, x1, x2, x3 = counter
    k0, k1 = key
    for w0, w1 in _GROWTH:
        p0, p1 = _M[0] * x0, _M[1] * x2
        x0 = p1 >> 32 ^ x1 ^ (k0 + w0 & MASK)
        x2 = p0 >> 32 ^ x3 ^ (k1 + w1 & MASK)
        x1, x3 = p1 & MASK, p0 & MASK
    return x0, x1, x2, x3
