"""Draws from a list of choices."""

from __future__ import annotations

from math import prod
from typing import Any

from portnn._typing import Array
from portnn.random._checks import check_dtype, check_shape
from portnn.random._draws import drawn, trimmed, units
from portnn.random._keys import check_key
from portnn.tracing import check_floating, constant, namespace

__all__ = ["categorical"]


def categorical(
    key: Array, logits: Array, *, axis: int = -1, shape: int | tuple[int, ...] | None = None
) -> Array:
    """Choices, each with a probability proportional to the exponential of its logit.

    The largest of ``logits + g`` is chosen, with g of Gumbel's distribution (Gumbel, Statistical theory of
    extreme values, 1954): a choice of logit minus infinity is never taken, and nothing is summed, so there is
    no rounding that grows with the number of choices.

    Args:
        key: a key (2,).
        logits: floating-point array (..., choices, ...); unnormalised logarithms of probabilities.
        axis: the axis of the choices.
        shape: the shape of the result, to which that of `logits` without `axis` is broadcast; by default
            just that.

    Returns:
        Indices of choices, in the library's default index dtype. Where two choices come within rounding of
        each other, backends may choose differently.

    Raises:
        TypeError: if `key` is not a key, `logits` not floating point, or `shape` not a shape.
        ValueError: if `axis` is out of range, there are no choices, or `shape` does not fit.

    Example:
        >>> import numpy as np
        >>> from portnn.random import key
        >>> logits = np.log(np.asarray([0.5, 1e-30, 0.5], dtype=np.float32))
        >>> categorical(key(0), logits, shape=8).tolist()
        [2, 2, 2, 0, 2, 2, 2, 2]
    """
    check_key("categorical", key)
    check_floating("categorical", logits)
    n = len(logits.shape)
    if not -n <= axis < n or not logits.shape[axis]:
        raise ValueError(
            f"categorical: expected choices along axis {axis}, got logits of shape {tuple(logits.shape)}"
        )
    batch = tuple([length for i, length in enumerate(logits.shape) if i != axis % n])
    wanted = batch if shape is None else check_shape("categorical", shape)
    if not _fits(batch, wanted):
        raise ValueError(f"categorical: logits for shape {batch} cannot be broadcast to shape {wanted}")
    dtype = check_dtype("categorical", key, logits.dtype)
    return _categorical(key, logits, axis=axis, shape=wanted, dtype=dtype)


def _fits(batch: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return len(batch) <= len(wanted) and all(
        a in (1, b) for a, b in zip(reversed(batch), reversed(wanted), strict=False)
    )


@constant
def _categorical(key: Array, logits: Array, /, *, axis: int, shape: tuple[int, ...], dtype: Any) -> Array:
    xp = namespace(key, logits)
    choices = xp.moveaxis(logits, axis, -1)
    full = (*shape, choices.shape[-1])
    if dtype == "float32":
        # Half more than a word, of 2^32: float32 resolves it best near 0, where large g come from.
        v = xp.astype(trimmed(xp, drawn(xp, key, -(-prod(full) // 4)), full), xp.float32)
        v = xp.multiply(xp.add(v, 0.5), 2.0**-32)
    else:
        v = xp.add(units(xp, key, full, dtype), 2.0**-54)
    # -log(1 - v) is exponentially distributed; v must not be rounded to 1.
    v = xp.minimum(v, 1.0 - (2.0**-24 if dtype == "float32" else 2.0**-53))
    exponential = xp.negative(xp.log1p(xp.negative(v)))
    scores = xp.subtract(choices, xp.log(exponential))
    return xp.argmax(scores, axis=-1)
