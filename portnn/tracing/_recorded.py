"""Arrays that write what is done with them on a tape, and the namespace that they belong to."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import array_api_compat

from portnn._typing import Array, Device, Namespace
from portnn.tracing._namespace import refuse_objects
from portnn.tracing._tape import (
    ATOMS,
    Call,
    ControlFlowError,
    Nested,
    Tape,
    Value,
    is_plain,
    map_nested,
    refuse_other_tape,
)
from portnn.tracing._wrapped import WrappedArray

__all__ = ["RecordedArray", "births", "find_tape", "is_array", "record_call"]

births = count(1)
"""Counts recorded arrays, so that what was there before a primitive began can be told from what it made."""

_STAYS = (
    "leave it an array, one without axes takes part in arithmetic as a number does; or call it on the result"
)
_SHAPED_BY_VALUES = ("arange", "empty", "eye", "getitem", "nonzero", "ones", "unique_all", "unique_counts",
                     "unique_inverse", "unique_values", "zeros")  # fmt: skip
# The position and the name of the argument that is a shape or a number of elements.
_SHAPES = {"broadcast_to": (1, "shape"), "full": (0, "shape"), "linspace": (2, "num"),
           "repeat": (1, "repeats"), "reshape": (1, "shape"), "tile": (1, "repetitions")}  # fmt: skip
_BY_SHAPE = ("empty_like", "full_like", "ones_like", "zeros_like")


class RecordedArray(WrappedArray):
    """A plain array of a library, whose uses are written on a tape.

    It has what an array of the standard has. Its value is there while the tape is written, but Python may
    not look at it: a program does the same whatever the values are.
    """

    __slots__ = ("born", "symbol", "tape")

    # Other libraries' operators leave the operation to this class; NumPy asks a function (`_recording.py`).
    __array_ufunc__: Any = None

    _namespace: Namespace

    def __init__(self, value: Array, tape: Tape | None, symbol: Value | None) -> None:
        self.value = value
        self.tape = tape  # None for a constant, which no input had a part in
        self.symbol = symbol
        self.born = next(births)

    def __array_namespace__(self, *, api_version: str | None = None) -> Namespace:
        return self._namespace

    def to_device(self, device: Device, /, *, stream: Any = None) -> RecordedArray:
        """A copy on another device."""
        move = partial(array_api_compat.to_device, stream=stream)
        copy: RecordedArray = record_call(self._namespace, "to_device", move, (self, device), {})
        return copy

    def _known(self, what: str, instead: str) -> Array:
        """The value, if it is the same in every run."""
        if self.tape is not None:
            raise ControlFlowError(
                f"{what} needs values of an array, which are not known while a program is written: {instead}"
            )
        return self.value

    def __bool__(self) -> bool:
        instead = (
            "for `if` write portnn.ops.where(condition, a, b), for `and`, `or`, `not` and `a < b < c` "
            "logical_and, logical_or, logical_not, for `while` a loop over a fixed range"
        )
        return bool(self._known("if, while, and, or, not, in, or bool()", instead))

    def __int__(self) -> int:
        instead = "leave it an array, portnn.ops.astype(x, dtype) makes it an integer one; or do this outside"
        return int(self._known("int()", instead))

    def __float__(self) -> float:
        return float(self._known("float()", _STAYS))

    def __complex__(self) -> complex:
        return complex(self._known("complex()", _STAYS))

    def __index__(self) -> int:
        instead = (
            "for x[i] write portnn.ops.take(x, i, axis=0) with i of one axis, for range(n) a fixed number, "
            "for a shape or an axis a Python int that is made outside"
        )
        return int(self._known("an index, a range() or a shape", instead))

    def __copy__(self) -> RecordedArray:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> RecordedArray:
        return self  # a copy of the tape would record the calls that follow

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise ControlFlowError(
            "pickling needs values of an array, which are not known while a program is written: "
            "return the array, and pickle the result"
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        instead = (
            "use the functions of portnn.ops, such as portnn.ops.sum(x), or those of x.__array_namespace__()"
        )
        value = self._known("a function of NumPy, or numpy.asarray()", instead)
        return value.__array__() if dtype is None else value.__array__(dtype)

    def __cupy_get_ndarray__(self) -> Any:
        """Refuse CuPy's functions where values are unknown, except elementwise ones; see `_recording.py`."""
        instead = (
            "use the functions of portnn.ops, such as portnn.ops.sum(x), or those of x.__array_namespace__()"
        )
        return self._known("a function of CuPy", instead)

    def __dlpack__(self, **options: Any) -> Any:
        instead = "bring arrays to another library before or after it, not inside"
        return self._known("from_dlpack()", instead).__dlpack__(**options)

    if not TYPE_CHECKING:  # for mypy an array has the attributes that it has

        def __getattr__(self, name: str) -> Any:
            raise AttributeError(
                f"an array of a program being written has no attribute {name[:40]!r}; sums and the like are "
                "functions, portnn.ops.sum(x) for instance, and values cannot be read",
                name=name,
                obj=self,
            )

    def __iter__(self) -> Iterator[Any]:
        if not self.shape:
            raise TypeError("iteration over an array without axes; write x[None]")
        return iter([self[i, ...] for i in range(self.shape[0])])

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

    def __repr__(self) -> str:
        kind = "constant" if self.tape is None else "recorded"
        return f"{type(self).__name__}({kind}, shape={tuple(self.shape)}, dtype={self.dtype})"


def is_array(x: Any) -> bool:
    """Whether `x` is an array of a library of the standard, or one that is being recorded."""
    return isinstance(x, RecordedArray) or is_plain(x)


def find_tape(nested: Nested) -> Tape | None:
    """Return the tape of the recorded arrays that are not constants."""
    return _tape_in(nested, None)


def _tape_in(nested: Nested, tape: Tape | None) -> Tape | None:
    """The tape that was found before, or the first one in `nested`; an error if there are two."""
    if isinstance(nested, RecordedArray):
        if tape is not None and nested.tape not in (None, tape):
            refuse_other_tape()
        return tape or nested.tape
    if isinstance(nested, tuple | list | dict):
        for item in nested.values() if isinstance(nested, dict) else nested:
            if type(item) not in ATOMS:
                tape = _tape_in(item, tape)
    return tape


def _value(item: Any) -> Any:
    return item.value if isinstance(item, RecordedArray) else item


def _plain(nested: Nested) -> Nested:
    return map_nested(_value, nested)


def _refuse_unknown_shape(
    xp: Namespace, name: str, args: tuple[Nested, ...], options: dict[str, Nested]
) -> None:
    """An error if the shape of the result depends on values that are not known."""
    if name == "getitem":
        masks = args[1] if isinstance(args[1], tuple) else (args[1],)
        unknown = any(find_tape(mask) and xp.isdtype(mask.dtype, "bool") for mask in masks if is_array(mask))
    elif name in _SHAPES:
        position, word = _SHAPES[name]
        unknown = find_tape((args[position : position + 1], options.get(word))) is not None
    else:
        unknown = True
    if unknown:
        raise ControlFlowError(
            f"{'x[mask]' if name == 'getitem' else name} gives an array whose shape depends on values, which "
            "are not known while a program is written: keep the shape, for instance with "
            "portnn.ops.where(mask, x, 0.0), or do this outside"
        )


def record_call(
    xp: Namespace,
    name: str,
    function: Callable[..., Any],
    args: tuple[Nested, ...],
    options: dict[str, Nested],
) -> Nested:
    """Carry out a call on the values, write it down, and return what it gave as recorded arrays."""
    # What depends on the shape of the first argument alone is the same in every run.
    tape = _tape_in(args[1:] if name in _BY_SHAPE else args, None)
    if options:
        tape = _tape_in(options, tape)
    if tape is not None and (name in _SHAPED_BY_VALUES or name in _SHAPES):
        _refuse_unknown_shape(xp, name, args, options)
    if tape is None or tape.execute is None:
        result = function(*_plain(args), **_plain(options) if options else {})
    else:
        result = tape.execute(name, function, _plain(args), _plain(options))
    made: list[Array] = []

    def wrap(item: Any) -> Any:
        if not is_plain(item):
            return item
        refuse_objects(item)
        made.append(item)
        return xp.array(item, tape, None if tape is None else Value(item))

    wrapped = map_nested(wrap, result)
    if tape is None or not made:
        return wrapped
    for given in args:  # a function that had nothing to do, such as a cast to the same dtype
        # NumPy has one object for True and one for False: of these it says nothing that they are the same.
        if isinstance(given, RecordedArray) and given.value is result and given.shape:
            return given
    tape.calls.append(
        Call(name, function, tape.describe(args), tape.describe(options), tape.describe(wrapped))
    )
    return wrapped
