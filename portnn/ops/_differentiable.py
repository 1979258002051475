"""An Array API namespace whose arrays carry derivatives."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from types import SimpleNamespace
from typing import Any, final

import array_api_compat

from portnn._typing import Array, Device, DType, Namespace
from portnn.ops import (
    _arithmetic,
    _broadcasting,
    _comparison,
    _creation,
    _cumulative,
    _dtypes,
    _exponential,
    _hyperbolic,
    _indexing,
    _joining,
    _like,
    _linear_algebra,
    _logical,
    _manipulation,
    _power,
    _rounding,
    _searching,
    _sorting,
    _statistical,
    _trigonometric,
    fft,
    linalg,
)  # fmt: skip
from portnn.tracing import CONSTANT, Primitive, TracedArray, lift, namespace, strip

__all__ = ["differentiable"]


def _plain(value: Any) -> Any:
    """Constants in `value`, however nested, as plain arrays; a recorded array cannot be made plain."""
    if isinstance(value, tuple | list):
        return type(value)(_plain(v) for v in value)
    if type(value) is TracedArray and value.trace is not CONSTANT:
        raise TypeError(
            "an array that carries a derivative cannot stand in a list or go to another library; "
            "join such arrays with stack or concat, and give a plain one to the other library"
        )
    return strip(value)


def _creator(create: Callable[..., Array]) -> Callable[..., Any]:
    """A function that makes arrays from no arrays: its result becomes a constant."""

    @wraps(create)
    def function(*args: Any, **options: Any) -> Any:
        return lift(create(*_plain(args), **{k: _plain(v) for k, v in options.items()}))

    return function


def _values_only(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function that portnn has no rule for: it works as values, and says so when differentiated."""
    return Primitive(f)


_MODULES = (
    _arithmetic, _broadcasting, _comparison, _creation, _cumulative, _dtypes, _exponential, _hyperbolic,
    _indexing, _joining, _like, _linear_algebra, _logical, _manipulation, _power, _rounding, _searching,
    _sorting, _statistical, _trigonometric,
)  # fmt: skip
_CREATORS = ("arange", "empty", "eye", "full", "linspace", "ones", "zeros")
_EXTENSIONS = {"linalg": linalg, "fft": fft}
_FFT_CREATORS = ("fftfreq", "rfftfreq")


@final
class _Namespace:
    """The functions of `portnn.ops` under the standard's names, for one library.

    Functions with an array argument are those of `portnn.ops`; creators make constants of the library;
    dtypes, numbers and inspection are the library's own.
    """

    def __init__(self, xp: Namespace) -> None:
        self._xp = xp
        self.__name__ = f"differentiable({xp.__name__.removeprefix('array_api_compat.')})"
        self.__array_api_version__ = "2024.12"
        for functions in _MODULES:
            for name in functions.__all__:
                if name not in ("asarray", "from_dlpack", "getitem"):
                    setattr(self, name, getattr(functions, name))
        for name in _CREATORS:
            setattr(self, name, _creator(getattr(xp, name)))

    def asarray(
        self,
        obj: Any,
        /,
        *,
        dtype: DType | None = None,
        device: Device | None = None,
        copy: bool | None = None,
    ) -> Any:
        """Convert to an array of this namespace; one of its own arrays keeps its derivative.

        Args:
            obj: an array, a Python number or nested sequences of them.
            dtype: the dtype of the result.
            device: the device of the result.
            copy: True copies, False never does, None if it must.
        """
        if type(obj) is TracedArray and namespace(obj.plain) is self._xp:
            other = (dtype is not None and dtype != obj.dtype) or (
                device is not None and device != obj.device
            )
            if not other and not copy:
                return obj
            if obj.trace is not CONSTANT:
                if copy is False:
                    raise ValueError("asarray: copy=False, but another dtype or device needs a copy")
                return _broadcasting.astype(obj, obj.dtype if dtype is None else dtype, device=device)
        return lift(self._xp.asarray(_plain(obj), dtype=dtype, device=device, copy=copy))

    def from_dlpack(self, x: Any, /, *, device: Device | None = None, copy: bool | None = None) -> Any:
        """An array of another library over DLPack, as a constant.

        Args:
            x: an object with ``__dlpack__``.
            device: the device of the result.
            copy: True copies, False never does, None if it must.
        """
        options = {k: v for k, v in (("device", device), ("copy", copy)) if v is not None}
        return lift(self._xp.from_dlpack(_plain(x), **options))

    def _extension(self, name: str) -> Any:
        """`linalg` or `fft`; an AttributeError where the library has it not, or not at the moment."""
        library, functions = getattr(self._xp, name), vars(_EXTENSIONS[name])
        found = {f: functions[f] for f in functions["__all__"]}
        found |= {f: _creator(getattr(library, f)) for f in _FFT_CREATORS if f in found}
        return SimpleNamespace(**found)

    def __getattr__(self, name: str) -> Any:
        if name in _EXTENSIONS:
            return self._extension(name)
        if name.startswith("__") and name != "__array_namespace_info__":
            raise AttributeError(f"{self.__name__} has no attribute {name}")
        found = getattr(self._xp, name)
        plain = isinstance(found, type) or not callable(found) or name == "__array_namespace_info__"
        return found if plain else _values_only(found)

    def __repr__(self) -> str:
        return f"<{self.__name__}>"


@cache
def _for_library(xp: Namespace) -> Namespace:
    return _Namespace(xp)


def differentiable(xp: Namespace, /) -> Namespace:
    """The namespace `xp` with arrays that carry derivatives: itself an Array API namespace.

    Code written for the standard can be given it in place of `xp`, and what it computes can be
    differentiated with `grad`. Functions without a derivative rule work as values.

    Args:
        xp: a library that follows the standard: ``numpy``, ``array_api_strict``, ``torch``, ...

    Returns:
        An object with the functions, constants and dtypes of the standard (2024.12) and its extensions
        `linalg` and `fft` where `xp` has them.

    Raises:
        TypeError: if `xp` is not a namespace of arrays.

    Example:
        >>> import numpy
        >>> xp = differentiable(numpy)
        >>> float(xp.sum(xp.asarray([1.0, 2.0]) ** 2))
        5.0
    """
    if isinstance(xp, _Namespace):
        return xp
    if not hasattr(xp, "empty"):
        raise TypeError(f"differentiable: expected an array library such as numpy, got {type(xp).__name__}")
    return _for_library(array_api_compat.array_namespace(xp.empty(0)))


TracedArray._namespace = staticmethod(differentiable)
