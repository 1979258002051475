"""The traced array: a value, and the record of where it came from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy, deepcopy
from itertools import count
from math import trunc
from operator import index
from typing import TYPE_CHECKING, Any, ClassVar, final

import array_api_compat

from portnn._typing import Array, Device, DType, Namespace
from portnn.tracing._wrapped import WrappedArray

__all__ = ["CONSTANT", "Trace", "TracedArray", "lift", "strip"]

_levels = count(1)


class Trace:
    """One act of writing down, such as one call of `grad`.

    Traces nest: the one begun last has the highest level, and a primitive is recorded by the highest
    trace among its arguments, whose values may themselves be traced at a lower level. That is all there
    is to higher derivatives.
    """

    __slots__ = ("level",)

    def __init__(self) -> None:
        self.level = next(_levels)

    def record(
        self, primitive: Any, nodes: list[Any], inner: list[Any], options: dict[str, Any], out: Any
    ) -> Any:
        """Write down ``out = primitive(*inner, **options)`` and return `out` as a traced array.

        Args:
            primitive: the `Primitive` that was called.
            nodes: for each argument this trace's node of it, None if the trace does not know it.
            inner: the arguments with this trace's arrays replaced by their values.
            options: the keyword arguments.
            out: the result, already computed from `inner`.
        """
        raise NotImplementedError(f"{type(self).__name__} does not record")


class _Constants(Trace):
    """The lowest level: arrays of a differentiable namespace that depend on nothing."""

    __slots__ = ()

    def __init__(self) -> None:
        self.level = 0


CONSTANT = _Constants()


@final
class TracedArray(WrappedArray):
    """An array that remembers the primitives it came from.

    It has the attributes and operators of an array of the standard (the operators are attached by
    `portnn.ops`), so code written for the standard works on it unchanged. Users do not make these: they
    arrive as arguments inside `grad` and from the namespace that `differentiable` returns.
    """

    __slots__ = ("node", "trace")

    # Set by portnn.ops, which lies above: what NumPy's own functions mean, the differentiable namespace,
    # and in-place assignment.
    __array_ufunc__: ClassVar[Callable[..., Any]]
    __cupy_override_elementwise_kernel__: ClassVar[Callable[..., Any]]
    _namespace: ClassVar[Callable[[Namespace], Namespace]]
    __getitem__: ClassVar[Callable[..., Any]]

    def __init__(self, value: Array, trace: Trace, node: Any) -> None:
        self.value = value
        self.trace = trace
        self.node = node

    def __array_namespace__(self, *, api_version: str | None = None) -> Namespace:
        plain = self.plain
        xp = array_api_compat.array_namespace(plain, api_version=api_version)
        return type(self)._namespace(xp)

    @property
    def plain(self) -> Array:
        """The array of the underlying library, below every level of tracing."""
        value = self.value
        while type(value) is TracedArray:
            value = value.value
        return value

    def __bool__(self) -> bool:
        return bool(self.value)

    def __int__(self) -> int:
        return int(self._number("int(x)"))

    def __float__(self) -> float:
        return float(self._number("float(x), or a function of the module math,"))

    def __complex__(self) -> complex:
        return complex(self._number("complex(x), or a function of the module cmath,"))

    def __index__(self) -> int:
        value = self._number("an index, a range() or a shape")
        if not hasattr(value, "__index__") and value.shape == () and "int" in str(value.dtype):
            return int(value)  # CuPy's arrays have no __index__
        return index(value)

    def __round__(self, ndigits: int | None = None) -> float:
        return round(float(self._number("round(x)")), ndigits)

    def __trunc__(self) -> int:
        return trunc(float(self._number("math.trunc(x)")))

    def __format__(self, spec: str) -> str:
        if not spec:
            return str(self)
        return format(self._number("formatting as a number"), spec)

    def item(self) -> Any:
        """Return the element of a constant as a Python number; raise for an array with a derivative."""
        return self._number("x.item()").item()

    def tolist(self) -> Any:
        """Return a constant as nested lists of numbers; raise for an array with a derivative."""
        return self._number("x.tolist()").tolist()

    def _number(self, what: str) -> Array:
        """Return the value for conversion to a Python number: integers and booleans carry no derivative."""
        if self.trace is not CONSTANT and _has_derivative(self.dtype):
            self._refuse_if_recorded(what)
        return self.value

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of an array without axes; write x.shape")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if not self.shape:
            raise TypeError("iteration over an array without axes; write x[None]")
        return iter([self[i, ...] for i in range(self.shape[0])])

    def __copy__(self) -> TracedArray:
        return TracedArray(self.value, self.trace, self.node)

    def __deepcopy__(self, memo: dict[int, Any]) -> TracedArray:
        if self.trace is CONSTANT:
            return TracedArray(deepcopy(self.value, memo), CONSTANT, None)
        return copy(self)  # the array is a node of the record; a deep copy would have no gradient

    def __reduce_ex__(self, protocol: Any) -> Any:
        self._refuse_if_recorded("pickling")
        return lift, (self.value,)

    def to_device(self, device: Device, /, *, stream: Any = None) -> TracedArray:
        """A copy on another device, without a derivative."""
        self._refuse_if_recorded("to_device")
        return lift(array_api_compat.to_device(self.value, device, stream=stream))

    def __dlpack__(
        self,
        /,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[Any, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        self._refuse_if_recorded("DLPack export")
        options = {"stream": stream, "max_version": max_version, "dl_device": dl_device, "copy": copy}
        # Libraries of before 2023.12 know `stream` alone, so what was not asked for is not passed on.
        return self.value.__dlpack__(**{k: v for k, v in options.items() if v is not None})

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        self._refuse_if_recorded("conversion to NumPy")
        return self.value.__array__() if dtype is None else self.value.__array__(dtype)

    def __cupy_get_ndarray__(self) -> Any:
        """Refuse CuPy's functions, except elementwise ones; see `ops/_ufuncs.py`."""
        self._refuse_if_recorded("a function of CuPy")
        return self.value

    def _refuse_if_recorded(self, what: str) -> None:
        if self.trace is not CONSTANT:
            raise TypeError(
                f"{what} would drop the derivative of a traced array; use the functions of portnn.ops, or, "
                "for its value alone, write portnn.stop_gradient(x) first"
            )

    if not TYPE_CHECKING:  # for mypy an array has the attributes that it has

        def __getattr__(self, name: str) -> Any:
            raise AttributeError(
                f"an array that carries derivatives has no attribute {name[:40]!r}; sums and the like are "
                "functions, portnn.ops.sum(x) for instance",
                name=name,
                obj=self,
            )

    def __repr__(self) -> str:
        kind = "constant" if self.trace is CONSTANT else f"level {self.trace.level}"
        return f"TracedArray({self.value!r}, {kind})"


def _has_derivative(dtype: DType) -> bool:
    """Return whether arrays of a dtype can carry a derivative: real and complex floating-point ones can."""
    return not any(kind in str(dtype) for kind in ("int", "bool"))


def lift(value: Any) -> Any:
    """A plain array as a constant of the differentiable namespace; containers leaf by leaf.

    Traced arrays and Python objects that are no arrays (dtypes, numbers, None) stay as they are.
    """
    if isinstance(value, tuple | list):
        children = [lift(v) for v in value]
        return type(value)(*children) if hasattr(value, "_fields") else type(value)(children)
    if type(value) is TracedArray or isinstance(value, type):  # the classes of NumPy's numbers are dtypes
        return value
    if not array_api_compat.is_array_api_obj(value):
        return value
    return TracedArray(value, CONSTANT, None)


def strip(value: Any) -> Any:
    """The plain array of a constant; anything else as it is."""
    return value.value if type(value) is TracedArray and value.trace is CONSTANT else value
