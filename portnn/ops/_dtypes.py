"""Questions about data types. A dtype knows its library, so no array is needed to ask them."""

from __future__ import annotations

import sys
from typing import Any

import array_api_compat

from portnn._typing import Array, DType, Namespace
from portnn.ops._helpers import plain
from portnn.tracing import namespace

__all__ = ["can_cast", "finfo", "iinfo", "isdtype", "result_type"]


def _is_array(x: Any) -> bool:
    return not isinstance(x, type) and hasattr(x, "dtype") and hasattr(x, "shape")  # numpy.float32 is a class


def _library(*things: Array | DType) -> Namespace:
    """The namespace of arrays, or of dtypes, whose classes say which library they come from."""
    arrays = [plain(x) for x in things if _is_array(x)]
    if arrays:
        return namespace(*arrays)
    for thing in things:
        parts = _home(thing).split(".")
        for n in range(1, len(parts) + 1):  # numpy, or jax.numpy
            library = sys.modules.get(".".join(parts[:n]))
            if library is not None and hasattr(library, "empty"):
                return array_api_compat.array_namespace(library.empty(0))
    raise TypeError(f"expected an array or a dtype of an array library, got {type(things[0]).__name__}")


def _home(dtype: DType) -> str:
    """Return the module of a dtype's library. JAX's bfloat16 is an instance of NumPy's dtype class."""
    if getattr(getattr(dtype, "type", None), "__module__", "") == "ml_dtypes":
        return "jax.numpy"
    return (dtype if isinstance(dtype, type) else type(dtype)).__module__


def isdtype(dtype: DType, kind: DType | str | tuple[DType | str, ...]) -> bool:
    """Whether a dtype is of a kind.

    Args:
        dtype: the dtype.
        kind: a dtype; or "bool", "signed integer", "unsigned integer", "integral", "real floating",
            "complex floating", "numeric"; or a tuple of such, any of which will do.

    Returns:
        The answer.

    Example:
        >>> import numpy as np
        >>> isdtype(np.asarray([1.0]).dtype, "real floating")
        True
    """
    return bool(_library(dtype).isdtype(dtype, kind))


def can_cast(from_: DType | Array, to: DType, /) -> bool:
    """Whether the standard's promotion rules lead from one dtype to another.

    Args:
        from_: a dtype or an array.
        to: a dtype.

    Returns:
        The answer.

    Example:
        >>> import numpy as np
        >>> can_cast(np.dtype("float32"), np.dtype("float64"))
        True
    """
    return bool(_library(from_, to).can_cast(plain(from_) if _is_array(from_) else from_, to))


def finfo(type: DType | Array, /) -> Any:
    """Limits of a floating-point dtype: bits, eps, max, min, smallest_normal.

    Args:
        type: a floating-point dtype or array.

    Returns:
        The library's own object with these attributes.

    Example:
        >>> import numpy as np
        >>> float(finfo(np.asarray([1.0]).dtype).eps)
        2.220446049250313e-16
    """
    return _library(type).finfo(plain(type) if _is_array(type) else type)


def iinfo(type: DType | Array, /) -> Any:
    """Limits of an integer dtype: bits, max, min.

    Args:
        type: an integer dtype or array.

    Returns:
        The library's own object with these attributes.

    Example:
        >>> import numpy as np
        >>> int(iinfo(np.dtype("uint8")).max)
        255
    """
    return _library(type).iinfo(plain(type) if _is_array(type) else type)


def result_type(*arrays_and_dtypes: Array | DType | complex) -> DType:
    """The dtype that an operation on these would have.

    Args:
        *arrays_and_dtypes: arrays, dtypes and Python scalars; at least one array or dtype.

    Returns:
        A dtype.

    Example:
        >>> import numpy as np
        >>> str(result_type(np.ones(1, dtype=np.float32), 2.0))
        'float32'
    """
    known = [x for x in arrays_and_dtypes if not isinstance(x, bool | int | float | complex) or _is_array(x)]
    xp = _library(*known) if known else _library(None)
    return xp.result_type(*[plain(x) if _is_array(x) else x for x in arrays_and_dtypes])
