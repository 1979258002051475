"""What a user passes in, read as a NumPy array with the data type it should have."""

from __future__ import annotations

from typing import Any

from portnn._typing import DType
from portnn.backend._errors import said

INTEGERS = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
NAMES = {"bool", "float32", "float64", "complex64", "complex128"} | INTEGERS
KINDS = {"i": "integral", "u": "integral", "f": "real floating", "c": "complex floating"}


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
