"""Keys: arrays of two words that name a stream of random numbers, and how one makes others."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any

import array_api_compat
import numpy as np

from portnn._typing import Array, Namespace
from portnn.backend import get_backend
from portnn.random._philox import MASK, encipher, encipher_host, integers, library, words
from portnn.tracing import ControlFlowError, TracedArray, constant, is_array, is_kind, namespace

__all__ = ["check_key", "fold_in", "fold_in_each", "key", "split"]

# The fourth word of a counter says what the block is for: 0 is for numbers (_draws.py).
_CHILD, _PART, _LIMB = 1, 2, 3


def key(seed: int, *path: int, like: Any = None) -> Array:
    """The key that is named by a seed and a path.

    ``key(seed, a, b)`` is ``fold_in(fold_in(key(seed), a), b)``, computed on the host.

    Args:
        seed: a non-negative integer.
        *path: non-negative integers below 2^64 that tell apart the keys of one seed.
        like: an array, or a backend, on whose library and device the key is made; by default NumPy.

    Returns:
        Two words (2,): uint32, on torch int64.

    Raises:
        TypeError: if a number is not an integer.
        ValueError: if a number is negative, or one of the path too large.

    Example:
        >>> key(7).tolist(), key(7, 1, 2).tolist() == fold_in(key(7, 1), 2).tolist()
        ([7, 0], True)
    """
    seed, *numbers = [_number("key", n) for n in (seed, *path)]
    pair = seed & MASK, seed >> 32 & MASK
    while seed := seed >> 64:  # what does not fit into a key is folded in, 64 bits at a time
        pair = _child(pair, seed & (1 << 64) - 1, _LIMB)
    for n in numbers:
        pair = _child(pair, _below(n), _CHILD)
    xp, where = _place(like)
    return xp.asarray(pair, dtype=_words_of(xp), device=where)


def fold_in(key: Array, data: Any) -> Array:
    """A new key from a key and a number: for a layer its place, for a step of training its number.

    One Philox block makes it: enciphered with the key is (low word of the number, high word, 0, 1).

    Args:
        key: a key (2,).
        data: a non-negative integer below 2^64, or an integer array without axes (also one that is being
            recorded, or traced by another library).

    Returns:
        The key (2,), independent of those of other numbers and of what is drawn from `key` itself.

    Raises:
        TypeError: if `key` is not a key, or `data` not an integer.
        ValueError: if `data` is a negative integer, or not below 2^64.

    Example:
        >>> import numpy as np
        >>> fold_in(key(0), 3).tolist() == fold_in(key(0), np.asarray(3)).tolist()
        True
    """
    check_key("fold_in", key)
    if isinstance(data, np.generic) or not (is_array(data) or type(data) is TracedArray):
        return _children(key, (_below(_number("fold_in", data)),), _CHILD)[0]
    if tuple(data.shape) != () or not is_kind(data, "integral"):
        raise TypeError(
            f"fold_in: data must be one integer, got an array {data.dtype}{list(data.shape)}; "
            "fold its elements in one after the other"
        )
    return _fold(key, data)


def fold_in_each(key: Array, numbers: Sequence[int]) -> tuple[Array, ...]:
    """`fold_in` for several numbers, for little more than the price of one.

    Args:
        key: a key (2,).
        numbers: non-negative integers below 2^64.

    Returns:
        A key for each.

    Raises:
        TypeError: if `key` is not a key, or a number not an integer.
        ValueError: if a number is negative, or not below 2^64.

    Example:
        >>> a, b = fold_in_each(key(0), (4, 9))
        >>> b.tolist() == fold_in(key(0), 9).tolist()
        True
    """
    check_key("fold_in", key)
    return _children(key, tuple([_below(_number("fold_in", n)) for n in numbers]), _CHILD)


def split(key: Array, n: int = 2) -> tuple[Array, ...]:
    """Several keys from one, for a function that draws more than once.

    Args:
        key: a key (2,).
        n: how many.

    Returns:
        The keys, independent of each other, of those that `fold_in` makes, and of what is drawn from `key`.

    Raises:
        TypeError: if `key` is not a key, or `n` not an integer.
        ValueError: if `n` is negative.

    Example:
        >>> first, second = split(key(0))
        >>> first.tolist() == second.tolist()
        False
    """
    check_key("split", key)
    return _children(key, tuple(range(_number("split", n))), _PART)


def check_key(name: str, key: Any) -> None:
    """Raise a TypeError, in the name of a function, unless `key` is a key."""
    if key is None:
        raise TypeError(
            f"{name}: expected a key, got None; pass for instance key=portnn.random.key(0). In "
            "training a layer gets one if its class, and that of a layer around it, says draws = True"
        )
    shape, dtype = getattr(key, "shape", None), getattr(key, "dtype", None)
    if shape is None or tuple(shape) != (2,) or str(dtype).rpartition(".")[2] not in ("uint32", "int64"):
        found = f"{dtype}{list(shape)}" if shape is not None and dtype is not None else type(key).__name__
        raise TypeError(f"{name}: expected a key as portnn.random.key(seed) makes it, got {found[:60]}")


def _children(key: Array, numbers: tuple[int, ...], purpose: int) -> tuple[Array, ...]:
    if type(key) is np.ndarray:
        a, b = key.tolist()
        return tuple([np.asarray(_child((a, b), n, purpose), dtype=np.uint32) for n in numbers])
    if not numbers:
        return ()
    found = _spread(key, numbers=numbers, purpose=purpose)
    return tuple([found[i, ...] for i in range(len(numbers))])


def _child(pair: tuple[int, int], n: int, purpose: int) -> tuple[int, int]:
    even0, _, even1, _ = encipher_host(pair, (n & MASK, n >> 32, 0, purpose))
    return even0, even1


@constant
def _spread(key: Array, /, *, numbers: tuple[int, ...], purpose: int) -> Array:
    """A key for each number, as the rows of an array."""
    xp = namespace(key)
    kind, where = integers(xp), array_api_compat.device(key)
    low = xp.asarray([n & MASK for n in numbers], dtype=kind, device=where)
    high = [n >> 32 for n in numbers]
    rest = [high, [purpose] * len(high)] if any(high) else [[0], [purpose]]
    return xp.matrix_transpose(words(xp, encipher(xp, key, low, rest)[0]))


@constant
def _fold(key: Array, data: Array, /) -> Array:
    """The key of one number that only the device knows."""
    xp = namespace(key, data)
    kind, where = integers(xp), array_api_compat.device(key)
    low = xp.astype(xp.reshape(data, (1,)), kind)
    rest: Any = ((0,), (_CHILD,))
    if kind != xp.uint32 and str(data.dtype).endswith("64"):
        purpose = xp.asarray((_CHILD,), dtype=kind, device=where)
        rest = xp.stack([xp.bitwise_and(xp.bitwise_right_shift(low, 32), MASK), purpose])
        low = xp.bitwise_and(low, MASK)
    return xp.reshape(words(xp, encipher(xp, key, low, rest)[0]), (2,))


def _place(like: Any) -> tuple[Namespace, Any]:
    if like is None:
        return get_backend("numpy").xp, None
    if hasattr(like, "xp"):
        return like.xp, like.device
    like = like.plain if type(like) is TracedArray else like
    return namespace(like), array_api_compat.device(like)


def _words_of(xp: Namespace) -> Any:
    return xp.int64 if array_api_compat.is_torch_namespace(library(xp)) else xp.uint32


def _number(name: str, n: Any) -> int:
    """A non-negative Python integer."""
    try:
        found = index(n)
    except ControlFlowError:  # a number that is not known yet
        raise
    except TypeError:
        raise TypeError(
            f"{name}: expected integers, got {type(n).__name__}; pass for instance seed=0"
        ) from None
    if found < 0:
        raise ValueError(f"{name}: expected non-negative integers, got {found}")
    return found


def _below(n: int) -> int:
    if n >> 64:
        raise ValueError(
            f"expected an integer below 2^64, got one of {n.bit_length()} bits; fold its parts in"
        )
    return n
