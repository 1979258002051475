"""Backends found by name, or by an array that lives on one."""

from __future__ import annotations

import re
import warnings

from portnn._typing import Array, ArrayLike
from portnn.backend._backend import Backend, host_of, open_backend
from portnn.backend._errors import BackendUnavailableError, is_installed
from portnn.backend._library import KNOWN, library
from portnn.backend._values import root_of

_ALIASES = {"cpu": "numpy", "gpu": "cupy"}
_FORM = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*(:[A-Za-z0-9_]+)*", re.ASCII)


def get_backend(name: str | Backend = "auto") -> Backend:
    """Find a backend by name, and try it by allocating on it.

    Args:
        name: ``"cpu"`` (NumPy), ``"gpu"`` or ``"gpu:1"`` (CuPy), ``"auto"`` (the GPU if it works, else
            NumPy; `Backend.name` tells which, and a warning says why not when CuPy is installed), or a
            library and a device: ``"torch"``, ``"torch:cuda:1"``, ``"jax"``, ``"jax:gpu"``,
            ``"array_api_strict:device1"``, or any installed library of the standard by its import name.
            A Backend is returned as it is.

    Returns:
        The backend; the same object for the same name.

    Raises:
        TypeError: name is neither text nor a Backend.
        ValueError: the name is ill-formed or unknown.
        BackendUnavailableError: the name is known, but the package, the driver or the device is missing.

    Example:
        >>> get_backend("cpu").name
        'numpy'
        >>> get_backend("cpu") is get_backend("numpy")
        True
    """
    if isinstance(name, Backend):
        return name
    if not isinstance(name, str):
        raise TypeError(f"backend must be a name such as 'cpu' or a Backend, got {type(name).__name__}")
    if name == "auto":
        return _auto()
    if len(name) > 100 or not _FORM.fullmatch(name):
        raise _unknown(name)
    root, _, device = name.partition(":")
    if root == "auto":
        raise _unknown(name)
    root = _ALIASES.get(root, root)
    if root not in KNOWN and not is_installed(root.partition(".")[0]):
        raise _unknown(name)
    return open_backend(f"{root}:{device}")


def _auto() -> Backend:
    """The GPU when it works, else NumPy; CuPy installed but not working is worth a warning."""
    try:
        return get_backend("gpu")
    except BackendUnavailableError as error:
        if error.reason != "package":
            warnings.warn(f"backend 'auto' is NumPy here, since {error}", RuntimeWarning, stacklevel=3)
    return get_backend("cpu")


def _unknown(name: str) -> ValueError:
    known = "'cpu', 'gpu', 'gpu:1', 'auto', " + ", ".join(map(repr, KNOWN))
    return ValueError(
        f"unknown backend {name[:40]!r}: expected {known}, each with ':device' where it has several, "
        "or the import name of an installed library of the Array API standard"
    )


def backend_of(x: Array) -> Backend | None:
    """The backend that an array lies on.

    Args:
        x: An array of any library, or anything else.

    Returns:
        Its library and device; None for what is no array of a library, such as a list or a table.

    Example:
        >>> import numpy as np
        >>> backend_of(np.zeros(3)).name, backend_of([1.0])
        ('numpy', None)
    """
    root = root_of(x)
    return open_backend(library(root).name_of(x)) if root else None


def convert_like(x: ArrayLike, like: ArrayLike) -> Array:
    """Bring an array to the library and device of another one; the data type of x stays.

    Args:
        x: An array of any library.
        like: The array whose library and device the result gets; lists, numbers and tables, which
            belong to no library, stand for NumPy.

    Returns:
        x itself when it is there already, else an array of the same shape.

    Example:
        >>> import numpy as np
        >>> type(convert_like([1.0, 2.0], np.zeros(3))).__name__
        'ndarray'
    """
    there = backend_of(like)
    if there is None:
        if hasattr(like, "__array_namespace__"):
            raise TypeError(f"like must be an array of a library, got {type(like).__name__}: unwrap it first")
        return host_of(x)
    return there.asarray(x)
