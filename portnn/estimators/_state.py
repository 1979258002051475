"""The state of a fitted estimator as NumPy arrays and plain values, for pickle, joblib and skops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any

from portnn import optim
from portnn.backend import Backend, backend_of, get_backend
from portnn.estimators import _losses as own
from portnn.estimators._labels import Labels
from portnn.losses import Loss
from portnn.losses._config import loss_config, loss_from_config
from portnn.network import Network
from portnn.nn import Layer, describe, from_description
from portnn.optim import Optimizer
from portnn.train import NetState

__all__ = ["from_plain", "to_plain"]

_KIND = "__portnn__"  # the key of what a dict stands for
_HOST = get_backend("cpu")
_RECORDS: dict[str, Any] = {cls.__name__: cls for cls in (NetState,)}  # parts of a network
_OWN = {id(getattr(own, name)): name for name in own.__all__}  # losses of this package, stored by name


def to_plain(value: Any) -> Any:
    """Replace portnn's objects, and arrays of other libraries, by values that any serializer can write.

    Your own layers, activations and losses stay unchanged; pickle writes those defined in a module. Local
    functions are left to pickle and cloudpickle; skops gets a TypeError.

    Args:
        value: any value; dicts, lists and tuples are searched.

    Returns:
        A plain value from which `from_plain` restores the original; an object used twice stays one object.

    Example:
        >>> from portnn import Linear
        >>> layers = [Linear(2, 1, bias=False)]
        >>> from_plain(to_plain(layers)) == layers
        True
    """
    return _Walk(_plain).of(value)


def from_plain(value: Any) -> Any:
    """Restore a value from the result of `to_plain`.

    Args:
        value: the result of `to_plain`.

    Returns:
        An equal value, with arrays on their original backends.

    Raises:
        BackendUnavailableError: if such a backend is not installed.
    """
    return _Walk(_restored).of(value)


class _Walk:
    """Rebuild nested containers; `change` returns the replacement of a value, or the value itself.

    Identical containers stay identical: a network tells by that whether it shows averaged parameters.
    """

    def __init__(self, change: Callable[[Any, _Walk], Any]) -> None:
        self._change = change
        self._seen: dict[int, tuple[Any, Any]] = {}  # keeps the originals alive, so that no id is reused

    def of(self, value: Any) -> Any:
        """Return the value with every part replaced."""
        if id(value) not in self._seen:
            self._seen[id(value)] = value, self._made(value)
        return self._seen[id(value)][1]

    def _made(self, value: Any) -> Any:
        changed = self._change(value, self)
        if changed is not value:
            return changed
        if type(value) is dict:
            return {key: self.of(part) for key, part in value.items()}
        return type(value)(map(self.of, value)) if type(value) in (list, tuple) else value


def _fields(cls: Any) -> tuple[str, ...]:
    """Return the field names of a named tuple or a dataclass."""
    return cls._fields if hasattr(cls, "_fields") else tuple(f.name for f in fields(cls))


def _plain(value: Any, walk: _Walk) -> Any:
    """Return the plain form of one value."""
    if isinstance(value, Network):
        return {_KIND: "network", "state": walk.of(value.__getstate__())}
    if type(value) in _RECORDS.values():
        parts = tuple(getattr(value, name) for name in _fields(type(value)))
        return {_KIND: "record", "name": type(value).__name__, "parts": walk.of(parts)}
    if isinstance(value, Labels):
        return {_KIND: "labels", "kind": value.kind, "classes": value.classes, "dtype": value.dtype.str}
    if isinstance(value, Backend):
        return {_KIND: "backend", "name": value.name}
    if isinstance(value, Optimizer):
        made = value.made
        return _Nameless(value) if made is None else {_KIND: "optimizer", "made": walk.of(made)}
    if isinstance(value, Layer) or (callable(value) and not isinstance(value, type)):
        return _plain_function(value, walk)
    home = backend_of(value) if hasattr(value, "shape") else None
    if home is None or home.name == "numpy":
        return value
    return {_KIND: "array", "values": _HOST.to_numpy(value), "name": home.name}


def _plain_function(value: Any, walk: _Walk) -> Any:
    """Return the plain form of a layer, activation, loss or recipe; others are unchanged."""
    if id(value) in _OWN:
        return {_KIND: "own loss", "name": _OWN[id(value)]}
    name = getattr(value, "__name__", "")
    if name in optim.__all__ and getattr(optim, name) is value:
        return {_KIND: "optim", "name": name}
    described = loss_config(value)
    if described is not None:
        return {_KIND: "loss", "loss": described}
    if type(value) is partial:
        parts = walk.of((value.func, value.args, value.keywords))
        return {_KIND: "partial", "parts": parts}
    try:
        return {_KIND: "layer", "layer": describe(value)}
    except TypeError:
        return _Nameless(value) if _is_local(value) else value


def _is_local(value: Any) -> bool:
    """Return whether it is, or contains, a function or class that cannot be imported by name."""
    parts: Any = value if isinstance(value, list | tuple) else ()
    if isinstance(value, Loss):
        parts = value.function, value.link
    elif is_dataclass(value) and not isinstance(value, type):
        parts = [getattr(value, f.name) for f in fields(value)]
    name = getattr(value, "__qualname__", type(value).__qualname__)  # such as make.<locals>.<lambda>
    return "<" in name or any(map(_is_local, parts))


class _Nameless:
    """Stands for what only a program that runs knows: cloudpickle can write it, pickle says why it cannot,
    and skops, which would write a name that leads nowhere, is told.
    """

    def __init__(self, value: Any) -> None:
        self._value = value

    def __reduce__(self) -> tuple[Any, ...]:
        return _itself, (self._value,)

    def __getstate__(self) -> Any:
        raise TypeError(
            f"{self._value!r:.80} cannot be saved: it is, or is made of, a function without a name in a "
            "module; define that in a module, or pass functools.partial of such a function"
        )


def _itself(value: Any) -> Any:
    return value


def _restored(value: Any, walk: _Walk) -> Any:
    """Return the value that a dict stands for."""
    if type(value) is not dict or _KIND not in value:
        return value
    kind = value[_KIND]
    if kind == "network":
        net = Network.__new__(Network)
        net.__setstate__(walk.of(value["state"]))
        return net
    if kind == "record":
        return _RECORDS[value["name"]](*walk.of(value["parts"]))
    if kind == "partial":
        function, args, keywords = walk.of(value["parts"])
        return partial(function, *args, **keywords)
    if kind == "optimizer":
        return walk.of(value["made"])()
    return _LEAVES[kind](value)


_LEAVES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "array": lambda d: get_backend(d["name"]).asarray(d["values"], copy=True),
    "backend": lambda d: get_backend(d["name"]),
    "labels": lambda d: Labels(d["kind"], d["classes"], _HOST.xp.dtype(d["dtype"])),
    "layer": lambda d: from_description(d["layer"]),
    "loss": lambda d: loss_from_config(d["loss"]),
    "optim": lambda d: getattr(optim, d["name"]),
    "own loss": lambda d: getattr(own, d["name"]),
}
