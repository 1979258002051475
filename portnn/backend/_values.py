"""What a user passes in, read as a NumPy array with the data type it should have."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import array_api_compat

from portnn._typing import Array, DType
from portnn.backend._errors import said

INTEGERS = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
# What the standard has, and what several libraries have besides.
EXTRA = {"float16", "bfloat16"}
NAMES = {"bool", "float32", "float64", "complex64", "complex128"} | INTEGERS
KINDS = {"i": "integral", "u": "integral", "f": "real floating", "c": "complex floating"}


def root_of(x: Array) -> str:
    """The import name of the library that made an array, or "" when x is no array of a library.

    Example:
        >>> import numpy as np
        >>> root_of(np.zeros(2)), root_of([1.0])
        ('numpy', '')
    """
    if array_api_compat.is_numpy_array(x):
        return "numpy"
    if array_api_compat.is_torch_array(x):
        return "torch"
    if array_api_compat.is_jax_array(x):
        return "jax"
    if array_api_compat.is_cupy_array(x):
        return "cupy"
    if array_api_compat.is_dask_array(x):
        return "dask.array"
    space = x.__array_namespace__() if hasattr(x, "__array_namespace__") else None
    # A namespace that is no module belongs to a wrapper, such as a traced array, not to a library.
    return space.__name__ if isinstance(space, ModuleType) else ""


def dtype_name(dtype: DType) -> str:
    """The standard's name of a data type: of a name, or of a data type object of any library.

    Example:
        >>> import numpy as np
        >>> dtype_name("float32"), dtype_name(np.float32), dtype_name(np.dtype("int8"))
        ('float32', 'float32', 'int8')
    """
    import numpy as np

    if isinstance(dtype, str):
        return dtype
    text = str(dtype)
    if "." in text and not isinstance(dtype, type):  # torch.float32, array_api_strict.float32
        return text.rpartition(".")[2].rstrip("'>")
    try:
        return np.dtype(dtype).name
    except TypeError as error:
        raise TypeError(f"dtype must be a name as 'float32' or a data type, got {text[:60]!r}") from error


def read_values(x: Any) -> Any:
    """A nested list, a scalar or anything NumPy understands (a table of pandas) as a NumPy array."""
    import numpy as np

    try:
        host = np.asarray(x)
    except ValueError as error:
        raise ValueError(f"x is not a rectangular array: {said(error)}") from error
    return checked(host, x)


def checked(host: Any, x: Any) -> Any:
    """The host array, unless it holds something else than booleans and numbers."""
    if host.dtype.kind not in "biufc":
        what = type(x).__name__
        raise TypeError(f"x must hold booleans or numbers, got {what} of dtype {str(host.dtype)[:40]}")
    return host


def is_plain(x: Any) -> bool:
    """Whether x is a Python number or a nested list of them, which have no data type of their own.

    Example:
        >>> is_plain([[1.0, 2.0]]), is_plain(3)
        (True, True)
    """
    while isinstance(x, (list, tuple)) and x:
        x = x[0]
    return type(x) in (bool, int, float, complex, list, tuple)


def narrower(host: Any) -> str | None:
    """The 32-bit integer type that holds every value of a 64-bit one, or None when none does.

    Example:
        >>> import numpy as np
        >>> narrower(np.asarray([1, 2], dtype=np.int64)), narrower(np.asarray([2**40]))
        ('int32', None)
    """
    import numpy as np

    name = {"int64": "int32", "uint64": "uint32"}.get(host.dtype.name)
    if name is None or host.size == 0:
        return name
    limits = np.iinfo(name)
    return name if limits.min <= int(host.min()) and int(host.max()) <= limits.max else None
