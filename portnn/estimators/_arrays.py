"""Where data lie: the library that answers follow, and what comes to the host."""

from __future__ import annotations

from typing import Any

from sklearn import get_config

from portnn import ops
from portnn._typing import Array, ArrayLike
from portnn.backend import Backend, backend_of, get_backend
from portnn.nn import Embedding, Layer, Rescale

__all__ = [
    "check_home", "dispatches", "dtype_for", "home_of", "on_host", "place_of", "rows", "takes_integers",
]  # fmt: skip

_EXACT_IN_FLOAT32 = ("float32", "int8", "uint8", "int16", "uint16", "float16", "bfloat16", "bool")


def dispatches() -> bool:
    """Whether scikit-learn was told to follow the library of its arrays."""
    return bool(get_config().get("array_api_dispatch", False))


def home_of(x: ArrayLike) -> Backend:
    """The backend that answers to `x` follow: that of `x` if scikit-learn dispatches, else NumPy."""
    found = backend_of(x) if dispatches() else None
    return get_backend("cpu") if found is None else found


def on_host(values: Any) -> Any:
    """Arrays of other libraries as NumPy arrays; lists, tables and NumPy arrays as they are."""
    home = backend_of(values)
    return values if home is None or home.name == "numpy" else get_backend("cpu").to_numpy(values)


def dtype_for(x: Array, dtype: str, home: Backend) -> str:
    """The data type of a network for inputs.

    Args:
        x: the inputs.
        dtype: "float32", "float64", or "auto": float32 if the inputs are that or fit into it exactly, such as
            pixels, else float64 where the device has that.
        home: the network's backend.
    """
    if dtype != "auto":
        return dtype
    if str(x.dtype).rpartition(".")[2] in _EXACT_IN_FLOAT32:
        return "float32"
    try:
        home.dtype("float64")
    except ValueError:  # a device without it
        return "float32"
    return "float64"


def takes_integers(layer: Layer) -> bool:
    """Whether a network begins with a layer for whole numbers: pixels or tokens."""
    while layer.members:
        layer = layer.members[0]
    return isinstance(layer, Rescale | Embedding)


def check_home(estimator: Any, x: ArrayLike, method: str) -> None:
    """Inputs are of the library and on the device of those that were fitted, if scikit-learn dispatches.

    Raises:
        ValueError: if they are not.
    """
    if not dispatches():
        return
    fitted, found = estimator._home, home_of(x)
    if found is not fitted:
        raise ValueError(
            f"Inputs passed to {type(estimator).__name__}.{method}() must use the same namespace and the "
            f"same device as those passed to fit(), {fitted.name}, got {found.name}; convert them, or move "
            "the estimator with sklearn.utils._array_api.move_estimator_to"
        )


def place_of(x: Array) -> Backend:
    """The backend of an array."""
    found = backend_of(x)
    assert found is not None, "scikit-learn has made an array of it"
    return found


def rows(values: Array, indices: Any) -> Array:
    """Some of the samples, in an order."""
    return ops.take(values, ops.asarray(indices, like=values), axis=0)
