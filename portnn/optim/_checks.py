"""Checks of hyperparameters, of parameters and of gradients, with errors that say how to mend them."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Real
from typing import Any, TypeAlias

from portnn import tree
from portnn._typing import Array, Tree
from portnn.tracing import TracedArray, is_kind, namespace

__all__ = [
    "Schedule", "check_gradients", "check_params", "check_rate", "check_wrapped", "finite", "fraction",
    "fractions", "not_negative", "positive", "whole",
]  # fmt: skip

Schedule: TypeAlias = Callable[[Array | int], Array | float]
"""A learning rate as a function of the step: an int, or a 0-d array inside an optimiser."""


def _real(name: str, value: object, fix: str) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a Python number, got {type(value).__name__}; {fix}")
    return float(value)


def _fit(fits: bool, name: str, x: float, expected: str, fix: str) -> float:
    if not fits:
        raise ValueError(f"{name} must be {expected}, got {x}; {fix}")
    return x


def positive(name: str, value: object, fix: str = "try a small number such as 0.01") -> float:
    """`value` as a float, if it is finite and above zero."""
    x = _real(name, value, fix)
    return _fit(0.0 < x < math.inf, name, x, "finite and > 0", fix)


def finite(name: str, value: object, fix: str) -> float:
    """`value` as a float, if it is neither infinite nor NaN."""
    x = _real(name, value, fix)
    return _fit(math.isfinite(x), name, x, "finite", fix)


def not_negative(name: str, value: object, fix: str = "0.0 switches it off") -> float:
    """`value` as a float, if it is finite and not below zero."""
    x = _real(name, value, fix)
    return _fit(0.0 <= x < math.inf, name, x, "finite and >= 0", fix)


def fraction(name: str, value: object, fix: str = "try 0.9") -> float:
    """`value` as a float, if 0 <= value < 1."""
    x = _real(name, value, fix)
    return _fit(0.0 <= x < 1.0, name, x, "in [0, 1)", fix)


def fractions(name: str, values: object) -> tuple[float, float]:
    """A pair of decay rates, each in [0, 1)."""
    if not isinstance(values, tuple | list) or len(values) != 2:
        raise TypeError(f"{name} must be a pair of numbers, got {type(values).__name__}; try (0.9, 0.999)")
    return fraction(f"{name}[0]", values[0]), fraction(f"{name}[1]", values[1], "try 0.999")


def whole(name: str, value: object, least: int, fix: str) -> int:
    """`value`, if it is an int and not below `least`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int, got {type(value).__name__}; {fix}")
    if value < least:
        raise ValueError(f"{name} must be >= {least}, got {value}; {fix}")
    return value


def check_wrapped(name: str, value: object, kind: type) -> None:
    """Refuse what is no optimiser where a recipe is wrapped."""
    if not isinstance(value, kind):
        raise TypeError(
            f"{name}: expected an optimiser such as optim.adam(0.001), got {type(value).__name__}"
        )


def check_rate(value: object) -> float | Schedule:
    """A learning rate: a positive number as a float, or a schedule as it is."""
    return value if callable(value) else positive("learning_rate", value, "try 0.01, or give a schedule")


def _plain(x: Array) -> Array:
    return x.plain if type(x) is TracedArray else x


def check_params(params: Tree) -> None:
    """Refuse parameters that cannot be trained: no arrays, of several libraries, or not real floating."""
    first = None
    for path, leaf in tree.items(params):
        where = f"params[{path}]" if path else "params"
        try:
            namespace(_plain(leaf), first)
        except TypeError as error:
            raise TypeError(f"{where}: {error}") from None
        if not is_kind(leaf, "real floating"):
            raise TypeError(
                f"{where}: expected real floating-point parameters, got dtype {leaf.dtype}; "
                "convert them with astype, or keep what is not trained in another tree"
            )
        first = _plain(leaf)


_SEQUENCES = (list, tuple)


def _fits(p: Any, g: Any) -> bool:
    """Whether `g` can be a gradient by `p`. Asked at each step, so it walks by itself and asks little."""
    kind = type(p)
    if isinstance(p, dict):
        if not isinstance(g, dict) or p.keys() != g.keys():
            return False
        for key, child in p.items():  # noqa: SIM110  # a generator costs more than the questions
            if not _fits(child, g[key]):
                return False
        return True
    if isinstance(p, _SEQUENCES):
        if kind is not type(g) or len(p) != len(g):
            return False
        for child, other in zip(p, g, strict=True):  # noqa: SIM110  # as above: a generator costs more
            if not _fits(child, other):
                return False
        return True
    if kind is not type(g) and not _same_library(p, g):
        return False
    return p is None or bool(p.shape == g.shape and p.dtype == g.dtype)


def _same_library(p: Any, g: Any) -> bool:
    """Whether two leaves of different types are arrays of one library: traced and plain, or 0-d of NumPy."""
    if p is None or g is None or isinstance(g, dict | list | tuple):
        return False
    return namespace(_plain(p)) is namespace(_plain(g))


def check_gradients(what: str, grads: Tree, params: Tree) -> None:
    """Refuse gradients or updates that do not fit the parameters, leaf by leaf.

    Raises:
        ValueError: if the trees differ, or a shape.
        TypeError: if a library or a dtype differs.
    """
    if _fits(params, grads):
        return
    # Two dicts may order their keys differently; a tree of another structure is refused here.
    in_order = tree.leaves(tree.map(lambda p, g: g, params, grads))
    for (path, p), g in zip(tree.items(params), in_order, strict=True):
        where = f"{what}[{path}]" if path else what
        namespace(_plain(p), _plain(g))
        if p.shape != g.shape:
            raise ValueError(
                f"{where}: expected its parameter's shape {tuple(p.shape)}, got {tuple(g.shape)}"
            )
        if p.dtype != g.dtype:
            raise TypeError(f"{where}: expected its parameter's dtype {p.dtype}, got {g.dtype}; use astype")
