"""Arrays that write what is done with them on a tape, and the namespace that they belong to."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any, final

import array_api_compat

from portnn._typing import Array, Device, DType, Namespace
from portnn.tracing._tape import Call, ControlFlowError, Nested, Tape, Unit, Value, map_nested

__all__ = ["RecordedArray", "carry_out", "is_array", "record_call", "recorded"]


_BY_SHAPE = ("empty_like", "full_like", "ones_like", "zeros_like")


class RecordedArray:
    """A plain array of a library, whose uses are written on a tape.

    It has what an array of the standard has. Its value is there while the tape is written, but Python may
    not look at it: a program does the same whatever the values are.
    """

    __slots__ = ("__weakref__", "symbol", "tape", "value")

    # Other libraries' operators leave the operation to this class; NumPy asks `_ufunc`, set below.
    __array_ufunc__: Any = None

    _namespace: RecordingNamespace

    def __init__(self, value: Array, tape: Tape | None, symbol: Value | None) -> None:
        self.value = value
        self.tape = tape  # None for a constant, which no input had a part in
        self.symbol = symbol

    def __array_namespace__(self, *, api_version: str | None = None) -> Namespace:
        return self._namespace

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        shape: tuple[int, ...] = self.value.shape
        return shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.value.shape)

    @property
    def size(self) -> int | None:
        """The number of elements."""
        return array_api_compat.size(self.value)

    @property
    def dtype(self) -> DType:
        """The data type, an object of the underlying library."""
        return self.value.dtype

    @property
    def device(self) -> Device:
        """The device on which the values lie."""
        return array_api_compat.device(self.value)

    def to_device(self, device: Device, /, *, stream: Any = None) -> RecordedArray:
        """A copy on another device."""
        move = partial(array_api_compat.to_device, stream=stream)
        copy: RecordedArray = record_call(self._namespace, "to_device", move, (self, device), {})
        return copy

    def _known(self, what: str) -> Array:
        """The value, if it is the same in every run."""
        if self.tape is not None:
            raise ControlFlowError(
                f"{what} of an array whose value is not known while the program is written; for `if` write "
                "portnn.ops.where(condition, a, b), for a loop a fixed range, and make Python numbers outside"
            )
        return self.value

    def __bool__(self) -> bool:
        return bool(self._known("bool()"))

    def __int__(self) -> int:
        return int(self._known("int()"))

    def __float__(self) -> float:
        return float(self._known("float()"))

    def __complex__(self) -> complex:
        return complex(self._known("complex()"))

    def __index__(self) -> int:
        return int(self._known("an index"))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        value = self._known("the NumPy array")
        return value.__array__() if dtype is None else value.__array__(dtype)

    def __dlpack__(self, **options: Any) -> Any:
        return self._known("the memory").__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.value.__dlpack_device__()

    def __iter__(self) -> Iterator[Any]:
        if not self.shape:
            raise TypeError("iteration over an array without axes; write x[None]")
        return iter([self[i] for i in range(self.shape[0])])

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of an array without axes; write x.shape")
        return self.shape[0]

    def __getitem__(self, index: Any) -> RecordedArray:
        part: RecordedArray = record_call(self._namespace, "getitem", operator.getitem, (self, index), {})
        return part

    @property
    def T(self) -> RecordedArray:
        """The transpose of a matrix."""
        turned: RecordedArray = record_call(
            self._namespace, "matrix_transpose", operator.attrgetter("T"), (self,), {}
        )
        return turned

    @property
    def mT(self) -> RecordedArray:
        """The array with its last two axes swapped."""
        turned: RecordedArray = self._namespace.matrix_transpose(self)
        return turned

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TypeError(
            "x[...] = y: arrays are not changed in place while a program is written; "
            "build the new array with portnn.ops.where, stack or concat"
        )

    # Equality makes an array, so arrays of the standard have no hash.
    __hash__ = None  # type: ignore[assignment]  # object promises a hash; arrays deny it

    def __repr__(self) -> str:
        kind = "constant" if self.tape is None else "recorded"
        return f"{type(self).__name__}({kind}, shape={tuple(self.shape)}, dtype={self.dtype})"


def is_array(x: Any) -> bool:
    """Whether `x` is an array of a library of the standard, or one that is being recorded."""
    return isinstance(x, RecordedArray) or array_api_compat.is_array_api_obj(x)


def _find_tape(nested: Nested) -> Tape | None:
    """The tape of the first recorded array that is no constant."""
    found: list[Tape] = []

    def look(item: Any) -> None:
        if isinstance(item, RecordedArray) and item.tape is not None:
            found.append(item.tape)

    map_nested(look, nested)
    return found[0] if found else None


def _plain(nested: Nested) -> Nested:
    return map_nested(lambda item: item.value if isinstance(item, RecordedArray) else item, nested)


def record_call(
    xp: RecordingNamespace,
    name: str,
    function: Callable[..., Any],
    args: tuple[Nested, ...],
    options: dict[str, Nested],
) -> Nested:
    """Carry out a call on the values, write it down, and return what it gave as recorded arrays."""
    plain_args, plain_options = _plain(args), _plain(options)
    result = function(*plain_args, **plain_options)
    # What depends on the shape alone is the same in every run.
    tape = None if name in _BY_SHAPE else _find_tape((args, options))
    made: list[Array] = []

    def wrap(item: Any) -> Any:
        if not array_api_compat.is_array_api_obj(item):
            return item
        made.append(item)
        return xp.array(item, tape, None if tape is None else Value(item))

    wrapped = map_nested(wrap, result)
    if tape is None or not made:
        return wrapped
    for given in args:  # a function that had nothing to do, such as a cast to the same dtype
        if isinstance(given, RecordedArray) and given.value is result:
            return given
    tape.calls.append(
        Call(name, function, tape.describe(args), tape.describe(options), tape.describe(wrapped))
    )
    return wrapped


def carry_out(
    name: str, function: Callable[..., Any], args: tuple[Nested, ...], options: dict[str, Nested]
) -> Any:
    """Carry out a primitive's function and note on its tape which calls it made.

    A primitive within a primitive is not noted: its calls belong to the outer one.
    """
    tape = _find_tape((args, options))
    if tape is None or tape.nested:
        return function(*args, **options)
    start = len(tape.calls)
    tape.nested = True
    try:
        result = function(*args, **options)
    finally:
        tape.nested = False
    if len(tape.calls) > start:
        described = tape.describe(args), tape.describe(options), tape.describe(result)
        tape.units.append(Unit(name, function, *described, start, len(tape.calls)))
    return result


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
        if name in ("linalg", "fft"):
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
    if array_api_compat.is_numpy_namespace(xp.recorded):
        members["__array_ufunc__"] = _ufunc
    return type("RecordedArray", (RecordedArray,), members)


def _ufunc(self: RecordedArray, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
    """NumPy's own functions on recorded arrays, and its operators between plain and recorded ones."""
    if method != "__call__" or "out" in options:
        return NotImplemented
    return record_call(self._namespace, ufunc.__name__, ufunc, inputs, options)


@cache
def recorded(xp: Namespace) -> RecordingNamespace:
    """The recording namespace of a library (wrapped by array-api-compat)."""
    return RecordingNamespace(xp)
