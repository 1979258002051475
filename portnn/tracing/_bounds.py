"""Integers that number something: ids, labels, lengths, positions. Those that number nothing are refused.

One rule for every library, eager and planned. Where values are there, they are looked at. While a program is
recorded, the check becomes a call of it, which raises in each run that breaks the rule. Where only a device
knows them, as inside ``jax.jit``, a number beyond all that exist takes the place of a wrong one, and whoever
compiled the function is told by `collecting` what to look at afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, final

import array_api_compat

from portnn._typing import Array
from portnn.tracing._namespace import namespace
from portnn.tracing._primitive import constant
from portnn.tracing._recorded import RecordedArray, record_call

__all__ = ["Extent", "OutOfRangeError", "collecting", "first_outside", "in_range", "parts_of", "poisoned"]

_parts: ContextVar[tuple[tuple[Array, Extent], ...]] = ContextVar("parts", default=())
_notes: ContextVar[list[Array] | None] = ContextVar("notes", default=None)


class OutOfRangeError(IndexError, ValueError):
    """An integer that is to number something numbers nothing: a wrong value, and a wrong index."""


@final
class Extent:
    """An array of which others are parts, and of which it is looked at once whether it is in a range.

    Args:
        whole: the array.
    """

    __slots__ = ("_passed", "whole")

    def __init__(self, whole: Array) -> None:
        self.whole = whole
        self._passed: set[tuple[int, int, int | None]] = set()

    def fits(self, *, what: str, low: int, high: int, exempt: int | None) -> bool:
        """Look at the whole as `in_range` does, unless that was done before; False where that cannot be."""
        if (low, high, exempt) not in self._passed:
            try:
                _refuse(self.whole, what=what, low=low, high=high, exempt=exempt)
            except TypeError:  # within jax.jit every result is traced
                return False
            self._passed.add((low, high, exempt))
        return True


@contextmanager
def parts_of(*pairs: tuple[Array, Extent]) -> Iterator[None]:
    """Let arrays stand for the whole that they are parts of: `in_range` looks at that, and once.

    Args:
        *pairs: an array, and the extent of its whole.
    """
    token = _parts.set((*pairs, *_parts.get()))
    try:
        yield
    finally:
        _parts.reset(token)


@contextmanager
def collecting() -> Iterator[list[Array]]:
    """Collect what cannot be looked at now: booleans without axes, True where a check would have raised."""
    notes: list[Array] = []
    token = _notes.set(notes)
    try:
        yield notes
    finally:
        _notes.reset(token)


@constant
def in_range(x: Array, /, *, what: str, low: int = 0, high: int, exempt: int | None = None) -> Array:
    """The integers themselves, once it is known that they are from `low` to below `high`.

    Args:
        x: integers of any shape.
        what: the function and its argument, which a message begins with.
        low: the least that is allowed.
        high: the first that is too large.
        exempt: a number that is allowed besides.

    Raises:
        OutOfRangeError: if one is outside; the message names the range, the number and its place.

    Example:
        >>> import numpy as np
        >>> in_range(np.asarray([0, 3, 1]), what="Embedding: x", high=3)
        Traceback (most recent call last):
        portnn.tracing._bounds.OutOfRangeError: Embedding: x must be from 0 to 2, got 3 at position 1
    """
    options: dict[str, Any] = {"what": what, "low": low, "high": high, "exempt": exempt}
    for part, extent in _parts.get():
        if part is x and extent.fits(**options):
            return x
    if isinstance(x, RecordedArray):
        if x.tape is not None:
            checked: Array = record_call(namespace(x), "in_range", _checked, (x,), options)
            return checked
        _refuse(x.value, **options)
        return x
    try:
        _refuse(x, **options)
    except TypeError:  # JAX's ConcretizationTypeError is one: there are no values yet
        return poisoned(x, low=low, high=high, exempt=exempt)
    return x


def _checked(x: Array, **options: Any) -> Array:
    """What a program does: a copy, since a call that gives back its argument is not recorded."""
    _refuse(x, **options)
    return namespace(x).asarray(x, copy=True)


def _refuse(x: Array, *, what: str, low: int, high: int, exempt: int | None) -> None:
    place = first_outside(x, low, high, exempt)
    if place is None:
        return
    where = f" at position {place[0] if len(place) == 1 else place}" if place else ""
    span = f"must be from {low} to {high - 1}" if high > low else "has nothing to number: there is none"
    raise OutOfRangeError(f"{what} {span}, got {int(x[place] if place else x)}{where}")


def first_outside(x: Array, low: int, high: int, exempt: int | None = None) -> tuple[int, ...] | None:
    """The place of the first integer that is not from `low` to below `high`, nor `exempt`; None if all are.

    Args:
        x: integers of any shape, whose values are there.
        low: the least that is allowed.
        high: the first that is too large.
        exempt: a number that is allowed besides.
    """
    if 0 in x.shape:
        return None
    xp, signed = namespace(x), _signed(x)  # PyTorch has no maximum of most unsigned integers
    if int(xp.min(signed)) >= low and int(xp.max(signed)) < high:
        return None
    bad = xp.reshape(_outside(x, low, high, exempt), (-1,))
    if not bool(xp.any(bad)):
        return None
    at, place = int(xp.argmax(xp.astype(bad, xp.int32))), []
    for n in reversed(x.shape):
        at, rest = divmod(at, n)
        place.append(rest)
    return tuple(reversed(place))


def _signed(x: Array) -> Array:
    """In a dtype with a sign; what has no room there becomes negative, which no number of anything is."""
    xp = namespace(x)
    if xp.iinfo(x.dtype).bits < 32:
        return xp.astype(x, xp.int32)
    return x if xp.isdtype(x.dtype, "signed integer") else xp.astype(x, _default(x))


def _default(x: Array) -> Any:
    info = namespace(x).__array_namespace_info__()
    return info.default_dtypes(device=array_api_compat.device(x))["integral"]


def _outside(x: Array, low: int, high: int, exempt: int | None) -> Array:
    xp, signed = namespace(x), _signed(x)
    limits = xp.iinfo(signed.dtype)  # beyond which libraries wrap, or raise, what they compare with
    bad = xp.logical_or(signed < max(low, limits.min), signed > min(high - 1, limits.max))
    least = 0 if xp.isdtype(x.dtype, "unsigned integer") else limits.min
    if exempt is None or not least <= exempt <= limits.max:
        return bad
    return xp.logical_and(bad, signed != exempt)


def poisoned(
    x: Array, *, low: int, high: int, exempt: int | None, instead: int | None = None, **_: Any
) -> Array:
    """The integers with another for those outside; it is noted whether there are any.

    Args:
        x: integers of any shape, whose values need not be known.
        low: as for `in_range`, and likewise the others.
        high: likewise.
        exempt: likewise.
        instead: the other integer, by default the largest that there is.
        **_: what a message would be made of.
    """
    xp = namespace(x)
    bad, notes = _outside(x, low, high, exempt), _notes.get()
    if notes is not None:
        notes.append(xp.any(bad))
    signed = _signed(x)
    other = xp.iinfo(signed.dtype).max if instead is None else instead
    return xp.where(bad, xp.full_like(signed, other), signed)
