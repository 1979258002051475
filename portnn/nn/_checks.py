"""Questions that layers ask of their arguments, with one wording for the answers."""

from __future__ import annotations

from dataclasses import fields
from operator import index
from typing import Any, SupportsFloat, SupportsIndex, TypeAlias

from portnn._typing import Array, Tree
from portnn.tracing import is_kind

__all__ = [
    "Padding", "PerAxis", "check_channels", "check_features", "check_flags",
    "check_members", "check_number",
    "check_padding", "check_params", "check_per_axis", "check_share", "check_size", "check_state",
]  # fmt: skip

_FLAGS = ("bool", "bool | None")  # annotations, as the modules of layers write them

PerAxis: TypeAlias = int | tuple[int, ...]
"""An integer, or one for each spatial axis."""

Padding: TypeAlias = str | int | tuple[int | tuple[int, ...], ...]
"""A word, an integer, one for each spatial axis, or a pair for each."""


def check_size(layer: str, name: str, value: SupportsIndex, least: int = 1) -> int:
    """A hyperparameter that counts something is an integer, perhaps NumPy's; as one of Python."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{layer}: {name} must be an integer, got {type(value).__name__}")
    size = _integer(layer, name, value)
    if size < least:
        raise ValueError(f"{layer}: {name} must be at least {least}, got {size}")
    return size


def _integer(layer: str, name: str, value: SupportsIndex) -> int:
    try:
        return index(value)
    except TypeError:  # an array has __index__, but only one without axes is an integer
        raise TypeError(f"{layer}: {name} must be an integer, got {type(value).__name__}") from None


def check_number(layer: str, name: str, value: SupportsFloat) -> float:
    """A hyperparameter that is a number, perhaps NumPy's; as one of Python."""
    if isinstance(value, bool | str) or not hasattr(value, "__float__"):
        raise TypeError(f"{layer}: {name} must be a number, got {type(value).__name__}")
    try:
        return float(value)
    except TypeError:  # an array with axes
        raise TypeError(f"{layer}: {name} must be a number, got {type(value).__name__}") from None


def check_flags(layer: Any) -> None:
    """The hyperparameters of a dataclass that say yes or no are booleans, perhaps NumPy's; as ones of Python.

    Anything else has a truth value too, but a list with False in it is true.
    """
    for field in fields(layer):
        value = getattr(layer, field.name)
        if field.type not in _FLAGS or isinstance(value, bool) or (value is None and field.default is None):
            continue
        if str(getattr(value, "dtype", "")) != "bool" or value.shape:
            name = type(layer).__name__
            raise TypeError(f"{name}: {field.name} must be True or False, got {type(value).__name__}")
        object.__setattr__(layer, field.name, bool(value))


def check_members(layer: str, params: Tree, count: int) -> None:
    """The parameters of layers in a row or side by side are a tuple with an entry for each."""
    if not isinstance(params, tuple | list) or len(params) != count:
        found = len(params) if isinstance(params, tuple | list) else type(params).__name__
        raise ValueError(
            f"{layer}: expected parameters for {count} layers, a tuple as init makes it, got {found}"
        )


def check_params(layer: str, params: Tree, names: tuple[str, ...]) -> None:
    """The parameters are a dictionary that has the names."""
    _check_names(layer, "parameters", params, names, "init makes them")


def check_state(layer: str, state: Tree, names: tuple[str, ...]) -> None:
    """What a layer carries from batch to batch is a dictionary that has the names."""
    _check_names(layer, "a state", state, names, "init_state makes it")


def _check_names(layer: str, what: str, arrays: Tree, names: tuple[str, ...], source: str) -> None:
    if not isinstance(arrays, dict) or False in [name in arrays for name in names]:
        found = sorted(map(str, arrays))[:4] if isinstance(arrays, dict) else type(arrays).__name__
        raise ValueError(f"{layer}: expected {what} named {', '.join(names)} as {source}, got {found!s:.100}")


def check_features(layer: str, x: Array, features: int) -> None:
    """The input is a floating-point array whose last axis has the expected length."""
    shape = x.shape
    if not shape or shape[-1] != features:
        flatten = "; put portnn.Flatten() in front of images" if len(shape) > 2 else ""
        raise ValueError(
            f"{layer}: expected an input of shape (..., {features}), got {tuple(shape)}{flatten}"
        )
    if not is_kind(x, "real floating"):
        raise TypeError(
            f"{layer}: expected a real floating-point input, got {x.dtype}; "
            "put portnn.Rescale() in front of pixels, or convert with astype"
        )


def check_per_axis(layer: str, name: str, value: Any, axes: int, least: int) -> tuple[int, ...]:
    """A hyperparameter that each spatial axis has one of: an integer for all of them or a tuple."""
    values = tuple(value) if isinstance(value, tuple | list) else (value,) * axes
    odd = [type(v).__name__ for v in values if isinstance(v, bool) or not hasattr(v, "__index__")]
    if odd:
        raise TypeError(f"{layer}: {name} must be an integer or a tuple of {axes}, got {odd[0]}")
    numbers = tuple([_integer(layer, name, v) for v in values])
    if len(numbers) != axes or min(numbers) < least:
        raise ValueError(
            f"{layer}: {name} must be an integer or a tuple of {axes}, at least {least}, got {value!r:.60}"
        )
    return numbers


def check_padding(layer: str, value: Any, axes: int) -> Padding:
    """Padding: "valid", "same", or for each axis a number or a pair of them, as a tuple."""
    if isinstance(value, str):
        if value not in ("valid", "same"):
            raise ValueError(f"{layer}: padding must be integers, 'valid' or 'same', got {value!r:.40}")
        return value
    if isinstance(value, tuple | list) and any(isinstance(v, tuple | list) for v in value):
        if len(value) != axes or not all(isinstance(v, tuple | list) for v in value):
            raise ValueError(f"{layer}: padding must have a pair for each of {axes} axes, got {value!r:.60}")
        return tuple([check_per_axis(layer, "padding", v, 2, 0) for v in value])
    return check_per_axis(layer, "padding", value, axes, 0)


def check_channels(layer: str, x: Array, channels: int | None, axes: int) -> None:
    """The input is a floating-point array (n, channels, *spatial); None stands for any number of channels."""
    shape = tuple(x.shape)
    wanted = "channels" if channels is None else str(channels)
    if len(shape) != axes + 2 or channels not in (None, shape[1]):
        spatial = ("length",) if axes == 1 else ("height", "width")
        hint = f"; put portnn.Reshape({(1, *shape[1:])}) in front" if len(shape) == axes + 1 else ""
        raise ValueError(
            f"{layer}: expected an input of shape (n, {wanted}, {', '.join(spatial)}), got {shape}{hint}"
        )
    if not is_kind(x, "real floating"):
        raise TypeError(
            f"{layer}: expected a real floating-point input, got {x.dtype}; "
            "put portnn.Rescale() in front of pixels, or convert with astype"
        )


def check_share(layer: str, name: str, value: SupportsFloat) -> float:
    """A hyperparameter that is a share or a probability lies between 0 and 1; as a number of Python."""
    share = check_number(layer, name, value)
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"{layer}: {name} must be a probability from 0 to 1, got {share}")
    return share
