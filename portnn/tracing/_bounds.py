"""Range checks of integers: ids, labels, lengths, positions.

The rule is the same for every library, eager and compiled. Known values are checked at once. While a program
is traced, the check is recorded as a call, which raises in each run with a wrong value. Where values are
unknown, as inside ``jax.jit``, a wrong value is replaced by one that is out of range for every library, and
`collecting` gives the caller a flag to check afterwards.
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

__all__ = [
    "Extent", "OutOfRangeError", "collecting", "extent_of", "first_outside", "in_range", "parts_of",
    "poisoned",
]  # fmt: skip

_parts: ContextVar[tuple[tuple[Array, Extent], ...]] = ContextVar("parts", default=())
_notes: ContextVar[list[Array] | None] = ContextVar("notes", default=None)


class OutOfRangeError(IndexError, ValueError):
    """An id, label, length or position is out of range: a ValueError and an IndexError."""


@final
class Extent:
    """A whole array, such as all labels of a data set, whose range is checked once for all its parts.

    Args:
        whole: the array; None for one that is not looked at any more, see `sealed`.
    """

    __slots__ = ("_passed", "whole")

    def __init__(self, whole: Array | None) -> None:
        self.whole = whole
        self._passed: dict[tuple[int, int, int | None], str] = {}

    def fits(self, *, what: str, low: int, high: int, exempt: int | None) -> bool:
        """Check the whole array as `in_range` does, once; return False where its values are unknown."""
        if (low, high, exempt) not in self._passed:
            if self.whole is None:
                return False
            try:
                _refuse(self.whole, what=what, low=low, high=high, exempt=exempt)
            except TypeError:  # within jax.jit values are unknown
                return False
            self._passed[low, high, exempt] = what
        return True

    def sealed(self) -> Extent:
        """Return an extent that knows of the checks which were passed so far, and holds no array."""
        found = Extent(None)
        found._passed = dict(self._passed)
        return found

    def passed(self) -> dict[tuple[int, int, int | None], str]:
        """Return the checks that were passed: for (low, high, exempt) what was checked."""
        return dict(self._passed)


@contextmanager
def parts_of(*pairs: tuple[Array, Extent]) -> Iterator[None]:
    """Declare arrays as parts of whole arrays: `in_range` checks the whole array, once.

    Args:
        *pairs: an array, and the extent of its whole array.
    """
    token = _parts.set((*pairs, *_parts.get()))
    try:
        yield
    finally:
        _parts.reset(token)


def extent_of(x: Array) -> Extent | None:
    """Return the whole array that `x` was declared a part of by `parts_of`; None if it was not."""
    return next((extent for part, extent in _parts.get() if part is x), None)


@contextmanager
def collecting() -> Iterator[list[Array]]:
    """Collect checks of unknown values: 0-d booleans, True where a check would have raised."""
    notes: list[Array] = []
    token = _notes.set(notes)
    try:
        yield notes
    finally:
        _notes.reset(token)


@constant
def in_range(x: Array, /, *, what: str, low: int = 0, high: int, exempt: int | None = None) -> Array:
    """Return the integers after checking that they are at least `low` and below `high`.

    Args:
        x: integers of any shape.
        what: the function and its argument, for messages.
        low: the smallest allowed number.
        high: the smallest number that is too large.
        exempt: another allowed number.

    Raises:
        OutOfRangeError: if a number is out of range; the message names the range, the number and its place.

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
    except TypeError:  # JAX's ConcretizationTypeError is one: values are unknown
        return poisoned(x, low=low, high=high, exempt=exempt)
    return x


def _checked(x: Array, **options: Any) -> Array:
    """Check as a call of a program; return a copy, since a call that returns its argument is not recorded."""
    _refuse(x, **options)
    return namespace(x).asarray(x, copy=True)


def _refuse(x: Array, *, what: str, low: int, high: int, exempt: int | None) -> None:
    place = first_outside(x, low, high, exempt)
    if place is None:
        return
    where = f" at position {place[0] if len(place) == 1 else place}" if place else ""
    span = f"must be from {low} to {high - 1}" if high > low else "must be empty: there is nothing to index"
    raise OutOfRangeError(f"{what} {span}, got {int(x[place] if place else x)}{where}")


def first_outside(x: Array, low: int, high: int, exempt: int | None = None) -> tuple[int, ...] | None:
    """Return the position of the first integer that is out of range and not `exempt`; None if there is none.

    Args:
        x: integers of any shape, with known values.
        low: the smallest allowed number.
        high: the smallest number that is too large.
        exempt: another allowed number.
    """
    if 0 in x.shape:
        return None
    xp, signed = namespace(x), _signed(x)  # PyTorch has no maximum of most unsigned integers
    low = _lowest(x, low)
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
    """Return `x` in a signed dtype; a value that does not fit becomes negative."""
    xp = namespace(x)
    if xp.iinfo(x.dtype).bits < 32:
        return xp.astype(x, xp.int32)
    return x if xp.isdtype(x.dtype, "signed integer") else xp.astype(x, _default(x))


def _lowest(x: Array, low: int) -> int:
    """Return the smallest allowed number: 0 or more for unsigned dtypes, whose large values turn negative."""
    return max(low, 0) if namespace(x).isdtype(x.dtype, "unsigned integer") else low


def _default(x: Array) -> Any:
    info = namespace(x).__array_namespace_info__()
    return info.default_dtypes(device=array_api_compat.device(x))["integral"]


def _outside(x: Array, low: int, high: int, exempt: int | None) -> Array:
    xp, signed = namespace(x), _signed(x)
    low = _lowest(x, low)
    limits = xp.iinfo(signed.dtype)  # libraries wrap larger numbers in comparisons, or raise
    bad = xp.logical_or(signed < max(low, limits.min), signed > min(high - 1, limits.max))
    least = 0 if xp.isdtype(x.dtype, "unsigned integer") else limits.min
    if exempt is None or not least <= exempt <= limits.max:
        return bad
    return xp.logical_and(bad, signed != exempt)


def poisoned(
    x: Array, *, low: int, high: int, exempt: int | None, instead: int | None = None, **_: Any
) -> Array:
    """Replace integers out of range, and note whether there are any.

    Args:
        x: integers of any shape, with known or unknown values.
        low: as for `in_range`, and likewise the others.
        high: likewise.
        exempt: likewise.
        instead: the replacement, by default the largest integer of the dtype.
        **_: options for messages, ignored.
    """
    xp = namespace(x)
    bad, notes = _outside(x, low, high, exempt), _notes.get()
    if notes is not None:
        notes.append(xp.any(bad))
    signed = _signed(x)
    other = xp.iinfo(signed.dtype).max if instead is None else instead
    return xp.where(bad, xp.full_like(signed, other), signed)
