"""Shapes and dtypes of a layer's parameters without the numbers."""

from __future__ import annotations

from contextvars import ContextVar
from math import inf, prod
from typing import Any, final

from portnn import ops, tree
from portnn._typing import Array, Tree
from portnn.backend import get_backend
from portnn.nn._layer import check_layer

__all__ = ["outline", "outlined"]

_BYTES = {"float16": 2, "float32": 4, "float64": 8}


@final
class _Budget:
    """What may still be drawn."""

    def __init__(self, limit: float) -> None:
        self._limit = self._left = limit

    def take(self, shape: tuple[int, ...], dtype: str) -> Array:
        """An array of that shape that takes no memory.

        Raises:
            ValueError: if it is more than what is left.
        """
        self._left -= prod(shape) * _BYTES[dtype]
        if self._left < 0:
            raise ValueError(f"the layers have more parameters than the {self._limit:,} bytes that are there")
        return _weightless(shape, dtype)


_BUDGET: ContextVar[_Budget | None] = ContextVar("budget", default=None)


def outlined(shape: tuple[int, ...], dtype: str) -> Array | None:
    """What an initialiser makes while a layer is outlined; None if it shall draw."""
    budget = _BUDGET.get()
    return None if budget is None else budget.take(shape, dtype)


def _weightless(shape: tuple[int, ...], dtype: Any) -> Array:
    """One zero, seen as an array of that shape."""
    return ops.broadcast_to(ops.zeros((), dtype=dtype, like=get_backend("numpy")), shape)


def outline(layer: Any, dtype: str = "float32", *, limit: float = inf) -> tuple[Tree, Tree]:
    """A layer's parameters and state by their shapes and dtypes: nothing is drawn, and no memory taken.

    Args:
        layer: a layer.
        dtype: "float16", "float32" or "float64".
        limit: how many bytes they may have at most, of layers whose initialisers are portnn's.

    Returns:
        ``(params, state)``: trees of NumPy arrays as `init` and `init_state` make them, each of which is a
        single zero seen many times.

    Raises:
        TypeError: if it is no layer.
        ValueError: if they have more bytes, or there is no such dtype.

    Example:
        >>> from portnn.nn import Linear
        >>> params, _ = outline(Linear(10**6, 10**6))
        >>> params["weight"].shape, params["weight"].strides
        ((1000000, 1000000), (0, 0))
    """
    check_layer("outline", layer)
    if str(dtype) not in _BYTES:
        raise ValueError(f"outline: dtype must be one of {', '.join(_BYTES)}, got {dtype!r:.40}")
    token = _BUDGET.set(_Budget(limit))
    try:
        made = layer.init(None, dtype), layer.init_state(dtype)
    finally:
        _BUDGET.reset(token)
    params, state = tree.map(lambda a: _weightless(a.shape, a.dtype), made)
    return params, state
