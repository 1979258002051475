"""NumPy's and CuPy's own elementwise functions on traced arrays: ``numpy.exp(x)`` inside `grad` is `exp`.

NumPy calls an operand's ``__array_ufunc__`` instead of its own functions (NEP 13), also for
``array * traced``; CuPy calls ``__cupy_override_elementwise_kernel__``. This needs no import of either
library: the function that is passed has a name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from portnn._typing import Array
from portnn.ops import (
    _arithmetic,
    _comparison,
    _exponential,
    _hyperbolic,
    _linear_algebra,
    _logical,
    _power,
    _rounding,
    _trigonometric,
)
from portnn.ops._broadcasting import where
from portnn.tracing import TracedArray, as_operand, standard_name

__all__: list[str] = []

_MODULES = (
    _arithmetic, _comparison, _exponential, _hyperbolic, _linear_algebra, _logical, _power, _rounding,
    _trigonometric,
)  # fmt: skip


def divide_whole(x1: Array, x2: Array, /) -> tuple[Array, Array]:
    """Return the quotient rounded towards minus infinity and the remainder, as `divmod` does."""
    return _arithmetic.floor_divide(x1, x2), _arithmetic.remainder(x1, x2)


_FUNCTIONS: dict[str, Callable[..., Any]] = {"divmod": divide_whole, "where": where}
_FUNCTIONS |= {name: getattr(module, name) for module in _MODULES for name in module.__all__}


def _ufunc(self: TracedArray, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Array:
    """The function of this package that has the name of a NumPy function."""
    called = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
    return _called(self, f"numpy.{called}", ufunc if method == "__call__" else None, inputs, options)


def _cupy_ufunc(self: TracedArray, kernel: Any, /, *inputs: Any, **options: Any) -> Array:
    """Do the same for CuPy's elementwise functions; CuPy calls it for the first argument that has it.

    User-defined kernels are refused: their names do not tell what they compute.
    """
    is_ufunc = type(kernel).__name__ == "ufunc" and len(inputs) <= kernel.nin
    name = str(kernel.name).removeprefix("cupy_")[:40]
    given = {k: v for k, v in options.items() if v is not None}
    result = _called(self, f"cupy.{name}", kernel if is_ufunc else None, inputs, given)
    if result is NotImplemented:
        raise TypeError(
            f"cupy.{name}: unsupported operand, got {', '.join([type(x).__name__ for x in inputs])}"
        )
    return result


def _called(
    self: TracedArray, called: str, ufunc: Any, inputs: tuple[Any, ...], options: dict[str, Any]
) -> Array:
    function = None if ufunc is None or options else _FUNCTIONS.get(standard_name(ufunc))
    if function is None:
        raise TypeError(
            f"{called}{' with options' if options else ''} does not work on a traced array; use the "
            "functions of portnn.ops, such as ops.sum(x), and write x = x + y for x += y"
        )
    operands = [as_operand(x, self) for x in inputs]
    return NotImplemented if any(x is NotImplemented for x in operands) else function(*operands)


TracedArray.__array_ufunc__ = _ufunc
TracedArray.__cupy_override_elementwise_kernel__ = _cupy_ufunc
