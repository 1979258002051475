"""The namespace of recorded arrays: a library's functions, each of which is carried out and written down."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any, final

import array_api_compat

from portnn._typing import Namespace
from portnn.tracing._array import TracedArray
from portnn.tracing._names import standard_name
from portnn.tracing._namespace import as_operand, namespace
from portnn.tracing._recorded import RecordedArray, record_call

__all__ = ["RecordingNamespace", "recorded"]


@final
class RecordingNamespace:
    """The functions of a library, writing on the tapes of the arrays that they are given.

    Attributes:
        recorded: the library's own namespace.
        array: makes a recorded array of this library: ``array(value, tape, symbol)``.
    """

    def __init__(self, xp: Namespace, prefix: str = "") -> None:
        self.recorded = xp
        self._prefix = prefix
        self.__name__ = str(getattr(xp, "__name__", xp))
        self.array: Callable[..., RecordedArray] = _array_type(self) if not prefix else recorded(xp).array

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.recorded, name)
        if name in ("linalg", "fft") and not self._prefix:
            made: Any = _extension(self, name, found)
        elif isinstance(found, type) or not callable(found) or name.startswith("__"):
            made = found
        else:
            made = partial(self._call, self._prefix + name, found)
        setattr(self, name, made)
        return made

    def _call(self, name: str, function: Callable[..., Any], /, *args: Any, **options: Any) -> Any:
        return record_call(self, name, function, args, options)

    def __repr__(self) -> str:
        return f"<recording {self.__name__}>"


def _extension(xp: RecordingNamespace, name: str, module: Any) -> RecordingNamespace:
    extension = RecordingNamespace.__new__(RecordingNamespace)
    extension.recorded = module
    extension._prefix = f"{name}."
    extension.__name__ = f"{xp.__name__}.{name}"
    extension.array = xp.array
    return extension


def _array_type(xp: RecordingNamespace) -> type[RecordedArray]:
    """A class of its own for each library, since namespaces are found by the classes of arrays."""
    members: dict[str, Any] = {"__slots__": (), "_namespace": xp, "__module__": RecordedArray.__module__}
    on_gpu = array_api_compat.is_cupy_namespace(xp.recorded)
    if on_gpu:
        members["__cupy_override_elementwise_kernel__"] = _cupy_ufunc
    if on_gpu or array_api_compat.is_numpy_namespace(xp.recorded):
        members["__array_ufunc__"] = _ufunc
    return type("RecordedArray", (RecordedArray,), members)


def _ufunc(self: RecordedArray, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
    """NumPy's own functions on recorded arrays, and its operators between plain and recorded ones."""
    if method != "__call__" or "out" in options:
        raise _refused(f"numpy.{ufunc.__name__}{'' if method == '__call__' else f'.{method}'}")
    return _applied(self, ufunc, inputs, options)


def _cupy_ufunc(self: RecordedArray, kernel: Any, /, *inputs: Any, **options: Any) -> Any:
    """Apply CuPy's elementwise functions to recorded arrays; CuPy calls it for the first that has it."""
    name = str(kernel.name).removeprefix("cupy_")
    if type(kernel).__name__ != "ufunc" or len(inputs) > kernel.nin or options.get("out") is not None:
        raise _refused(f"cupy.{name[:40]}{'' if type(kernel).__name__ == 'ufunc' else ' (a kernel)'}")
    given = {k: v for k, v in options.items() if v is not None}
    result = _applied(self, kernel, inputs, given)
    if result is NotImplemented:
        raise _refused(f"cupy.{name} with {', '.join([type(x).__name__ for x in inputs])}"[:100])
    return result


def _refused(name: str) -> TypeError:
    return TypeError(
        f"{name} does not work while a program is written down; use the functions of portnn.ops, such as "
        "portnn.ops.sum(x)"
    )


def _applied(self: RecordedArray, ufunc: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Record the call; return NotImplemented if another operand may handle it, or none can."""
    if any(type(x) is TracedArray for x in inputs):
        return NotImplemented  # a traced array lies above, and knows what to do with arrays below it
    operands = tuple([as_operand(x, self) for x in inputs])
    if any(x is NotImplemented for x in operands):
        return NotImplemented
    return record_call(namespace(self, *operands), standard_name(ufunc), ufunc, operands, options)


@cache
def recorded(xp: Namespace) -> RecordingNamespace:
    """The recording namespace of a library (wrapped by array-api-compat)."""
    return RecordingNamespace(xp)
