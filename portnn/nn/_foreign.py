"""Layers and tensors of other libraries: layers are refused by name, tensors become NumPy arrays."""

from __future__ import annotations

from typing import Any

from portnn import ops
from portnn._suggest import same_as
from portnn._typing import Array
from portnn.backend import get_backend
from portnn.tracing import is_array

__all__ = ["brought", "refuse_foreign"]

_BASES = {
    ("torch", "Module"), ("keras", "Layer"), ("tf_keras", "Layer"), ("tensorflow", "Module"),
    ("flax", "Module"), ("equinox", "Module"),
}  # fmt: skip
_SHORT = ("bfloat16", "float8")  # what float32 holds exactly, and NumPy lacks


def refuse_foreign(part: Any) -> None:
    """Refuse a layer of PyTorch, Keras, flax or equinox, and the class of one.

    Raises:
        TypeError: if it is; it names portnn's layer.
    """
    cls = part if isinstance(part, type) else type(part)
    for base in cls.__mro__:
        root = str(base.__module__).partition(".")[0]
        if (root, base.__name__) in _BASES:
            same = same_as("nn", cls.__name__)
            hint = f"write portnn.{same}" if same else "write it with the layers of portnn"
            raise TypeError(f"expected a layer of portnn, got {root}'s {cls.__name__[:60]}; {hint}")


def brought(what: str, tensor: Any) -> Array:
    """Return a tensor of any library as a NumPy array, float32 of what is narrower than NumPy's types.

    Args:
        what: the function and the tensor, for messages.
        tensor: the tensor.

    Raises:
        TypeError: if it is not an array of numbers.
        ValueError: if it records gradients.
    """
    try:
        if is_array(tensor) and _name_of(tensor).startswith(_SHORT):
            tensor = ops.astype(tensor, "float32")
        return get_backend("numpy").to_numpy(tensor)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{what}: {str(error).removeprefix('x ')[:200]}") from None


def _name_of(tensor: Any) -> str:
    """Return the standard's name of its dtype."""
    return str(getattr(tensor.dtype, "name", tensor.dtype)).rpartition(".")[2]
