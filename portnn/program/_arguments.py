"""Whether arguments are what a program was written for."""

from __future__ import annotations

from typing import Any

from portnn import tree
from portnn._typing import Array, Tree
from portnn.program._line import Listing, dtype_name
from portnn.program._text import kind_of
from portnn.tracing import RecordedArray, TracedArray, Value, is_array

__all__ = ["checked_arrays"]


def checked_arrays(listing: Listing, args: tuple[Tree, ...]) -> list[Array]:
    """The arrays among the arguments; an error names the first that does not fit."""
    try:
        tree.map(lambda *_: None, listing.arguments, args)
    except ValueError as error:
        raise ValueError(
            f"{listing.name}: the arguments differ from those it was traced with: {error}"
        ) from None
    labels = iter(listing.labels)
    arrays: list[Array] = []
    places = [path for path, _ in tree.items(args)]
    for expected, found, place in zip(tree.leaves(listing.arguments), tree.leaves(args), places, strict=True):
        if type(expected) is Value:
            _check_array(listing.name, next(labels), expected, found)
            arrays.append(found)
        elif not _same(expected, found):
            raise ValueError(
                f"{listing.name}: argument {place} is part of the program, which was traced with "
                f"{_short(expected)}, got {_short(found)}; trace it again"
            )
    return arrays


def _check_array(name: str, label: str, expected: Value, found: Any) -> None:
    if not is_array(found):
        raise TypeError(f"{name}: {label} must be an array, {kind_of(expected)}, got {type(found).__name__}")
    if isinstance(found, RecordedArray | TracedArray):
        raise TypeError(f"{name}: {label} is traced; call the function that the program was made of instead")
    shape, dtype = tuple(found.shape), dtype_name(found.dtype)
    if shape != expected.shape or dtype != dtype_name(expected.dtype):
        raise ValueError(
            f"{name}: {label} must be {kind_of(expected)}, got {dtype}{list(shape)}; "
            "convert it, or trace the function again"
        )


def _same(expected: Any, found: Any) -> bool:
    if expected is found:
        return True
    if is_array(found) or type(expected) is not type(found):
        return False
    return bool(expected == found) or repr(expected) == repr(found) == "nan"


def _short(x: Any) -> str:
    text = f"an array of shape {tuple(x.shape)}" if is_array(x) else repr(x)
    return text if len(text) <= 60 else f"{text[:57]}..."
