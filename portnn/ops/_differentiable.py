"""An Array API namespace whose arrays carry derivatives."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache, wraps
from inspect import Parameter, signature
from types import SimpleNamespace
from typing import Any, final

import array_api_compat

from portnn._typing import Array, Device, DType, Namespace
from portnn.backend._library import creator
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


def _values_only(found: Any) -> Any:
    """A function that portnn has no rule for: it works as values, and says so when differentiated."""
    return found if isinstance(found, type) or not callable(found) else Primitive(found)


def _root(xp: Namespace) -> Namespace:
    """Return the library itself, without array-api-compat's wrapper."""
    return sys.modules.get(xp.__name__.removeprefix("array_api_compat."), xp)


def _parameters(f: Any) -> dict[str, Any]:
    """Return the kind of each parameter by name; nothing for C functions without a signature."""
    try:
        return {name: parameter.kind for name, parameter in signature(f).parameters.items()}
    except (TypeError, ValueError):
        return {}


def _by_position(f: Callable[..., Any], theirs: Any, *, numpy: bool) -> Callable[..., Any]:
    """Return `f` that takes options by position where the library does, as in NumPy's `sum(x, 0)`.

    The standard has keyword-only options. For NumPy functions without a signature (`concat`, before
    NumPy 2.4), the parameters are the standard's, in its order.
    """
    mine, others = _parameters(f), _parameters(theirs)
    options = [name for name, kind in mine.items() if kind is Parameter.KEYWORD_ONLY]
    places = [name for name, kind in mine.items() if kind in _POSITIONAL]
    names = [name for name, kind in others.items() if kind in _POSITIONAL]
    if numpy and not others:
        names = [*mine]
    more = names[len(places) :]
    if not set(options).intersection(more):
        return f

    @wraps(f)
    def function(*args: Any, **given: Any) -> Any:
        for name, value in zip(more, args[len(places) :], strict=False):
            if name in given:
                raise TypeError(f"{f.__name__}: {name} is given by position and by name")
            if name in options:
                given[name] = value
            elif value is not None:
                raise TypeError(f"{f.__name__}: {name} is not an option here; leave it out or pass None")
        if len(args) > len(places) + len(more):
            raise TypeError(f"{f.__name__}: at most {len(places) + len(more)} arguments, got {len(args)}")
        return f(*args[: len(places)], **given)

    return function


_MODULES = (
    _arithmetic, _broadcasting, _comparison, _creation, _cumulative, _dtypes, _exponential, _hyperbolic,
    _indexing, _joining, _like, _linear_algebra, _logical, _manipulation, _power, _rounding, _searching,
    _sorting, _statistical, _trigonometric,
)  # fmt: skip
_CREATORS = ("arange", "empty", "eye", "full", "linspace", "ones", "zeros")
_EXTENSIONS = {"linalg": linalg, "fft": fft}
_FFT_CREATORS = ("fftfreq", "rfftfreq")
_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


@final
class _Extension(SimpleNamespace):
    """The functions of an extension; functions without a derivative rule are the library's."""

    def __init__(self, library: Any, functions: dict[str, Callable[..., Any]]) -> None:
        super().__init__(**functions)
        self._library = library

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"no attribute {name}")
        return _values_only(getattr(self._library, name))


@final
class _Info:
    """The result of `__array_namespace_info__`: the library's, with devices as a tuple (2025.12)."""

    def __init__(self, info: Any) -> None:
        self._info = info

    def devices(self) -> tuple[Device, ...]:
        """Return the devices of the library."""
        return tuple(self._info.devices())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._info, name)


@final
class _Namespace:
    """The functions of `portnn.ops` under the standard's names, for one library.

    Functions with an array argument are those of `portnn.ops`; creators make constants of the library;
    dtypes, numbers and inspection are the library's own. Options that the library's own
    function takes by position may be passed by position, and its aliases of standard functions work, too.
    """

    def __init__(self, xp: Namespace) -> None:
        self._xp = xp
        self.__name__ = f"differentiable({xp.__name__.removeprefix('array_api_compat.')})"
        self.__array_api_version__ = "2025.12"
        root = self._root = _root(xp)
        functions = {name: getattr(module, name) for module in _MODULES for name in module.__all__}
        functions |= {name: _creator(creator(xp, name)) for name in _CREATORS}
        functions["asarray"] = self.asarray
        for name in functions.keys() - {"from_dlpack", "getitem"}:
            setattr(self, name, self._like_theirs(functions[name], getattr(root, name, None)))
        # Aliases that the library has for these functions, such as `concatenate` and `absolute`.
        names = {id(getattr(root, name)): name for name in functions if hasattr(root, name)}
        self._aliases = {alias: names[id(found)] for alias, found in vars(root).items() if id(found) in names}

    def _like_theirs(self, f: Callable[..., Any], theirs: Any) -> Callable[..., Any]:
        return _by_position(f, theirs, numpy=array_api_compat.is_numpy_namespace(self._xp))

    def __array_namespace_info__(self) -> _Info:
        return _Info(self._xp.__array_namespace_info__())

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
        made = creator(self._xp, "asarray")(_plain(obj), dtype=dtype, device=device, copy=copy)
        return lift(made)

    def from_dlpack(self, x: Any, /, *, device: Device | None = None, copy: bool | None = None) -> Any:
        """An array of another library over DLPack, as a constant.

        Args:
            x: an object with ``__dlpack__``.
            device: the device of the result.
            copy: True copies, False never does, None if it must.
        """
        options = {k: v for k, v in (("device", device), ("copy", copy)) if v is not None}
        return lift(creator(self._xp, "from_dlpack")(_plain(x), **options))

    def _extension(self, name: str) -> Any:
        """`linalg` or `fft`; an AttributeError where the library has it not, or not at the moment."""
        library, functions = getattr(self._xp, name), vars(_EXTENSIONS[name])
        theirs = getattr(self._root, name, library)
        found = {f: functions[f] for f in functions["__all__"]}
        found |= {f: _creator(creator(self._xp, f"{name}.{f}")) for f in _FFT_CREATORS if f in found}
        found = {f: self._like_theirs(function, getattr(theirs, f, None)) for f, function in found.items()}
        return _Extension(library, found)

    def __getattr__(self, name: str) -> Any:
        if name in _EXTENSIONS:
            return self._extension(name)
        if name.startswith("__") or name == "_aliases":
            raise AttributeError(f"{self.__name__} has no attribute {name}")
        if name in self._aliases:
            return getattr(self, self._aliases[name])
        return _values_only(getattr(self._xp, name))

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
        An object with the functions, constants and dtypes of the standard (2025.12) and its extensions
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
