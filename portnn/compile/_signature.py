"""What two calls must share to be served by one plan."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from portnn import tree
from portnn._typing import Array, Tree
from portnn.tracing import is_array, refuse_relatives

__all__ = ["Signature", "described", "differences", "signature"]

Signature = tuple[Any, ...]
"""Hashable: the structure of the arguments, the shapes and dtypes of the arrays, and all other leaves."""


def signature(args: Tree) -> tuple[Signature, list[Array]]:
    """The signature of arguments, and the arrays among them from left to right.

    Raises:
        TypeError: if a leaf that is no array cannot be compared, such as a set.
    """
    marks: list[Any] = []
    arrays: list[Array] = []
    _walk(args, marks, arrays)
    key = tuple(marks)
    try:
        hash(key)
    except TypeError:
        path, leaf = next((p, x) for p, x in tree.items(args) if not _hashable(x))
        refuse_relatives(type(leaf))
        raise TypeError(
            f"jit: argument {path} is of type {type(leaf).__name__}, which is neither an array nor "
            "a constant that can be compared; pass numbers, strings, tuples or frozen dataclasses"
        ) from None
    return key, arrays


def _hashable(x: Any) -> bool:
    try:
        hash(x)
    except TypeError:
        return is_array(x)
    return True


def _walk(item: Any, marks: list[Any], arrays: list[Array]) -> None:
    kind = type(item)
    if kind is np.ndarray:
        marks.append((item.shape, item.strides, item.dtype))
        arrays.append(item)
    elif isinstance(item, np.generic):  # NumPy's operators make such of arrays without axes
        marks.append(((), (), item.dtype))
        arrays.append(item)
    elif isinstance(item, dict):
        marks.append((kind, tuple(item)))
        for child in item.values():
            _walk(child, marks, arrays)
    elif isinstance(item, list | tuple):
        marks.append((kind, len(item)))
        for child in item:
            _walk(child, marks, arrays)
    elif is_array(item):
        marks.append((kind, tuple(item.shape), _layout(item), item.dtype, str(getattr(item, "device", ""))))
        arrays.append(item)
    else:
        # 0.0 and -0.0 are equal, as are 1, 1.0 and True, but a program does not do the same with them.
        marks.append((kind, repr(item) if isinstance(item, float | complex) else item))


def _layout(item: Array) -> Any:
    strides = getattr(item, "strides", None)
    if strides is None and hasattr(item, "stride"):
        strides = item.stride()
    return strides if isinstance(strides, tuple) else None


def described(f: Callable[..., Any], args: tuple[tuple[Any, ...], dict[str, Any]]) -> dict[str, str]:
    """Each leaf of the arguments of a function, in words, by the argument's name and the path within it.

    Example:
        >>> described(lambda params, x: x, (({"rate": 0.1},), {"x": np.zeros(2)}))
        {'params.rate': '0.1', 'x': 'float64[2]'}
    """
    try:
        names = list(inspect.signature(f).parameters)
    except (TypeError, ValueError):  # a function of C says nothing about itself
        names = []
    positional, named = args
    given = {names[i] if i < len(names) else str(i): x for i, x in enumerate(positional)}
    return {path: _words(leaf) for path, leaf in tree.items({**given, **named})}


def differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """In words, for each leaf that differs, what it was and what it is.

    Example:
        >>> differences({"x": "float32[64]", "y": "1"}, {"x": "float32[32]", "y": "1"})
        ['x: float32[64], then float32[32]']
    """
    paths = [*before, *(path for path in after if path not in before)]
    pairs = [(path, before.get(path, "nothing"), after.get(path, "nothing")) for path in paths]
    return [f"{path}: {was}, then {now}" for path, was, now in pairs if was != now]


def _words(leaf: Any) -> str:
    if not is_array(leaf):
        return repr(leaf)[:40]
    dtype = str(leaf.dtype).rpartition(".")[2]
    plain = f"{dtype}{list(leaf.shape)}"
    strides = _layout(leaf)
    return plain if strides is None or _row_major(leaf, strides) else f"{plain} with strides {strides}"


def _row_major(leaf: Array, strides: tuple[int, ...]) -> bool:
    steps = [n for length, n in zip(leaf.shape, strides, strict=True) if length != 1]
    return steps == sorted(steps, reverse=True)
