"""Add to errors the path of the layer that raised them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any, final

from portnn.nn._text import label_of

__all__ = ["Place", "name_layer", "path_text", "place_of"]

_SELF, _PARAMS, _X = 0, 1, 3  # positions of the arguments of `forward`
_LONGEST = 40  # characters of a path


@final
@dataclass(frozen=True, eq=False)
class Place:
    """Where an error was raised.

    Attributes:
        path: the path of the innermost layer, as in `portnn.nn.Visit`.
        layer: the layer.
        x: its input.
    """

    path: tuple[int, ...]
    layer: Any
    x: Any

    def __str__(self) -> str:
        return f"{path_text(self.path)} {label_of(self.layer)}"


def path_text(path: tuple[int, ...]) -> str:
    """Return a path as ``2.0.1``."""
    text = ".".join(map(str, path)) or "0"
    return text if len(text) <= _LONGEST else f"...{text[3 - _LONGEST :]}"


def name_layer(outer: Any, error: Exception) -> None:
    """Append the layer that raised an error to its message.

    The layer is found from the frames of the traceback, so calls without an error cost nothing, and nested
    containers and all kinds of tracing work.

    Args:
        outer: the layer that was called.
        error: the error; only a `TypeError` or a `ValueError` changes.

    Example:
        >>> import numpy as np
        >>> from portnn.nn import Linear, Sequential, relu
        >>> net = Sequential([Linear(4, 8), [relu, Linear(9, 3)]])
        >>> net.apply(net.init(np.random.default_rng(0)), np.ones((1, 4), "float32"))
        Traceback (most recent call last):
        ValueError: Linear: expected an input of shape (..., 9), got (1, 8); in layer 1.1 Linear(9, 3)
    """
    if type(error) not in (TypeError, ValueError) or len(error.args) != 1:
        return
    place = place_of(outer, error.__traceback__)
    if place is None or not place.path:
        return
    # A user's container may apply its members: their path inside it is then already there.
    message = str(error.args[0]).partition("; in layer ")[0]
    error.args = (f"{message}; in layer {place}",)


def place_of(outer: Any, traceback: TracebackType | None) -> Place | None:
    """Return the innermost layer whose `forward` is in a traceback; None if there is none.

    Args:
        outer: the layer that was called.
        traceback: of the error.
    """
    found, holder = None, None
    for frame in _forwards(traceback):
        layer, params, x = (_argument(frame, place) for place in (_SELF, _PARAMS, _X))
        if found is None:
            if layer is outer:
                found, holder = Place((), layer, x), params
            continue
        index = _index(found.layer, holder, layer, params)
        if index is not None:  # else it is internal to its layer
            found, holder = Place((*found.path, index), layer, x), params
    return found


def _forwards(traceback: TracebackType | None) -> Iterator[FrameType]:
    """Yield the calls of `forward` of layers, outermost first."""
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_code.co_name == "forward" and hasattr(_argument(frame, _SELF), "members"):
            yield frame
        traceback = traceback.tb_next


def _argument(frame: FrameType, place: int) -> Any:
    names = frame.f_code.co_varnames[: frame.f_code.co_argcount]
    return frame.f_locals.get(names[place]) if place < len(names) else None


def _index(container: Any, held: Any, member: Any, params: Any) -> int | None:
    """Return the index of a layer among a container's members; parameters distinguish repeated layers."""
    members = container.members
    same = [i for i, one in enumerate(members) if one is member]
    same = same or [i for i, one in enumerate(members) if type(one) is type(member) and one == member]
    if len(same) > 1 and isinstance(held, tuple | list) and len(held) == len(members):
        same = [i for i in same if held[i] is params] or same
    return same[0] if same else None
