"""The arrays that a loop is bound to, and the checks that its plans rely on."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, final

import numpy as np

from portnn import tree
from portnn._typing import Array, Tree
from portnn.tracing import Extent, is_array, parts_of

__all__ = ["Binding"]


@final
class Binding:
    """The arrays that a loop is bound to.

    A step whose labels were checked as a whole does not check them again. Its plan may be used for other
    arrays only after they have passed the same checks, which are recorded here.

    Args:
        carry: the carry of the first step.
        data: the arrays, with samples on the first axis.
        extents: the extents of `data`, array by array, with the checks that each has passed. Arrays
            without one are checked in each step.
        sealed: whether values are unknown during tracing, as in ``jax.jit``. Then a step may omit only checks
            that were made before.

    Attributes:
        data: the arrays; empty after `release`.
    """

    def __init__(
        self, carry: Tree, data: Sequence[Array], extents: Sequence[Extent], *, sealed: bool = False
    ) -> None:
        self._structure = tree.structure(carry)
        self._carried = [_kind(x) for x in tree.leaves(carry)]
        self._given = [_kind(x) for x in data]
        self._relied: list[dict[tuple[int, int, int | None], str]] = [{} for _ in data]
        self._sealed = sealed
        self._take(data, extents)

    def declared(self, batch: Sequence[Array]) -> AbstractContextManager[None]:
        """Return a context in which range checks take the arrays of a batch as parts of the data."""
        return parts_of(*zip(batch, self._extents, strict=False))

    def passed(self, place: int) -> list[tuple[int, int, int | None]]:
        """Return the checks ``(low, high, exempt)`` that an array has passed as a whole."""
        self._note()
        return list(self._relied[place])

    def leaves(self, carry: Tree) -> list[Array]:
        """Return the arrays of a carry in the order of the first one, for any order of its dicts.

        Raises:
            ValueError: if its structure differs.
        """
        leaves: list[Array] = []
        if not _collect(self._structure, carry, leaves):
            try:
                leaves = tree.leaves(tree.map(lambda _, x: x, self._structure, carry))
            except ValueError as error:
                raise ValueError(f"bind: carry: {str(error)[:200]}; make a new loop") from None
        self._check("carry", self._carried, leaves)
        return leaves

    def replace(self, data: Sequence[Array], extents: Sequence[Extent]) -> None:
        """Bind other arrays of the same shapes and dtypes.

        Raises:
            ValueError: if they do not match the old ones; nothing is then changed.
            OutOfRangeError: if they fail a check that the old ones passed; likewise.
        """
        self._check("data", self._given, data)
        self._note()
        known = [*extents, *map(Extent, data[len(extents) :])]
        for extent, relied in zip(known, self._relied, strict=True):
            for (low, high, exempt), what in relied.items():
                extent.fits(what=what, low=low, high=high, exempt=exempt)
        self._take(data, extents)

    def _take(self, data: Sequence[Array], extents: Sequence[Extent]) -> None:
        self.data = tuple(data)
        self._extents = tuple([x.sealed() for x in extents] if self._sealed else extents)

    def release(self) -> None:
        """Release the data."""
        self._note()
        self.data, self._extents = (), ()

    def _note(self) -> None:
        """Record the checks that existing plans may have omitted."""
        for extent, relied in zip(self._extents, self._relied, strict=False):
            relied.update(extent.passed())

    def _check(self, name: str, known: Sequence[Any], given: Sequence[Any]) -> None:
        if len(given) != len(known):
            raise ValueError(f"bind: {name}: expected {len(known)} arrays, got {len(given)}; make a new loop")
        for i, (expected, x) in enumerate(zip(known, given, strict=True)):
            if type(x) is np.ndarray and expected[:3] == ("numpy", x.shape, x.dtype):
                continue
            if not is_array(x) or _kind(x) != expected:
                got = _words(_kind(x)) if is_array(x) else type(x).__name__
                raise ValueError(
                    f"bind: {name}: expected {_words(expected)} as array {i}, got {got}; make a new loop"
                )


def _collect(like: Tree, carry: Tree, leaves: list[Array]) -> bool:
    """Append the leaves of a tree in the order of another one; return False if they may differ in structure.

    Called after each epoch of a training, so only plain containers are handled here.
    """
    kind = type(like)
    if kind is dict:
        if type(carry) is not dict or len(carry) != len(like):
            return False
        for key, child in like.items():
            if key not in carry or not _collect(child, carry[key], leaves):
                return False
        return True
    if kind is tuple or kind is list:
        if type(carry) is not kind or len(carry) != len(like):
            return False
        return all(_collect(child, other, leaves) for child, other in zip(like, carry, strict=True))
    if like is None or isinstance(like, _CONTAINERS):
        return like is carry
    leaves.append(carry)
    return carry is not None and not isinstance(carry, _CONTAINERS)


_CONTAINERS = (dict, tuple, list)


def _kind(x: Array) -> tuple[str, tuple[int, ...], Any, Any]:
    """Return the library (NumPy scalars count as 0-d arrays), the shape, the dtype and the device."""
    return type(x).__module__.partition(".")[0], tuple(x.shape), x.dtype, getattr(x, "device", None)


def _words(kind: tuple[str, tuple[int, ...], Any, Any]) -> str:
    library, shape, dtype, device = kind
    return f"{str(dtype).rpartition('.')[2]}{list(shape)} of {library} on {device}"
