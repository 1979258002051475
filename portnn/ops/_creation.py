"""Making arrays. There is no array argument to find the library in, so `like` names it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import array_api_compat

from portnn._typing import Array, Device, DType
from portnn.backend._library import creator
from portnn.ops._helpers import dtype_named, plain, python_number
from portnn.ops._like import full_like
from portnn.ops._options import check_flag, check_number, check_whole
from portnn.tracing import RecordedArray, TracedArray, namespace, refuse_objects, refuse_relatives

__all__ = ["arange", "asarray", "empty", "eye", "from_dlpack", "full", "linspace", "ones", "zeros"]


def creator_like(
    name: str, like: Any, dtype: DType | str | None, device: Device | None
) -> tuple[Callable[..., Array], dict[str, Any]]:
    """Return a creation function of the library of `like` (an array or a backend), and its options."""
    if hasattr(like, "xp"):
        xp, here = like.xp, like.device
    else:
        xp, here = namespace(plain(like)), array_api_compat.device(plain(like))
    options = {"dtype": dtype_named(xp, dtype), "device": here if device is None else device}
    return creator(xp, name), options


def zeros(
    shape: int | tuple[int, ...], *, dtype: DType | str, like: Any, device: Device | None = None
) -> Array:
    """An array of zeros.

    Args:
        shape: its shape.
        dtype: its dtype, an object of the library or a name such as "float32".
        like: an array, or a backend, whose library and device it is made on.
        device: another device of that library.

    Returns:
        The array.

    Example:
        >>> import numpy as np
        >>> zeros((2,), dtype="float32", like=np.ones(1)).dtype
        dtype('float32')
    """
    create, options = creator_like("zeros", like, dtype, device)
    return create(shape, **options)


def ones(
    shape: int | tuple[int, ...], *, dtype: DType | str, like: Any, device: Device | None = None
) -> Array:
    """An array of ones; the arguments are those of `zeros`.

    Example:
        >>> import numpy as np
        >>> ones(2, dtype="int64", like=np.ones(1)).tolist()
        [1, 1]
    """
    create, options = creator_like("ones", like, dtype, device)
    return create(shape, **options)


def empty(
    shape: int | tuple[int, ...], *, dtype: DType | str, like: Any, device: Device | None = None
) -> Array:
    """An array whose elements are not set; the arguments are those of `zeros`.

    Example:
        >>> import numpy as np
        >>> empty((2, 3), dtype="float32", like=np.ones(1)).shape
        (2, 3)
    """
    create, options = creator_like("empty", like, dtype, device)
    return create(shape, **options)


def full(
    shape: int | tuple[int, ...],
    fill_value: complex | Array,
    *,
    dtype: DType | str,
    like: Any,
    device: Device | None = None,
) -> Array:
    """An array of one value; the other arguments are those of `zeros`.

    Args:
        shape: its shape.
        fill_value: a number, or a traced 0-d array, whose derivative is kept.
        dtype: its dtype.
        like: an array or backend whose library and device it is made on.
        device: another device of that library.

    Returns:
        The array.

    Example:
        >>> import numpy as np
        >>> full(2, 7.0, dtype="float32", like=np.ones(1)).tolist()
        [7.0, 7.0]
    """
    if isinstance(fill_value, TracedArray | RecordedArray):
        return full_like(empty(shape, dtype=dtype, like=like, device=device), fill_value)
    create, options = creator_like("full", like, dtype, device)
    return create(shape, python_number(fill_value), **options)


def arange(
    start: float,
    /,
    stop: float | None = None,
    step: float = 1,
    *,
    dtype: DType | str,
    like: Any,
    device: Device | None = None,
) -> Array:
    """Evenly spaced values ``start, start + step, ...`` below `stop`.

    Args:
        start: the first value, or the bound if `stop` is left out (the first is then 0).
        stop: the bound, not included.
        step: the distance, not 0.
        dtype: the dtype of the result.
        like: an array or backend whose library and device it is made on.
        device: another device of that library.

    Returns:
        A one-dimensional array.

    Example:
        >>> import numpy as np
        >>> arange(3, dtype="int64", like=np.ones(1)).tolist()
        [0, 1, 2]
    """
    for name, value in (("start", start), ("stop", stop), ("step", step)):
        if value is not None:
            check_number("arange", name, value)
    if step == 0:
        raise ValueError("arange: step must not be 0")
    create, options = creator_like("arange", like, dtype, device)
    return create(start, stop, step, **options) if stop is not None else create(0, start, step, **options)


def linspace(
    start: float,
    stop: float,
    /,
    num: int,
    *,
    dtype: DType | str,
    like: Any,
    device: Device | None = None,
    endpoint: bool = True,
) -> Array:
    """A given number of evenly spaced values.

    Args:
        start: the first value.
        stop: the last value, or the first one left out if not `endpoint`.
        num: how many.
        dtype: the floating-point dtype of the result.
        like: an array or backend whose library and device it is made on.
        device: another device of that library.
        endpoint: whether `stop` is among them.

    Returns:
        A one-dimensional array.

    Example:
        >>> import numpy as np
        >>> linspace(0.0, 1.0, 3, dtype="float32", like=np.ones(1)).tolist()
        [0.0, 0.5, 1.0]
    """
    for name, value in (("start", start), ("stop", stop)):
        check_number("linspace", name, value)
    num = check_whole("linspace", "num", num, 0)
    check_flag("linspace", "endpoint", endpoint)
    create, options = creator_like("linspace", like, dtype, device)
    return create(start, stop, num, endpoint=endpoint, **options)


def eye(
    n_rows: int,
    n_cols: int | None = None,
    /,
    *,
    k: int = 0,
    dtype: DType | str,
    like: Any,
    device: Device | None = None,
) -> Array:
    """Ones on a diagonal, zeros elsewhere.

    Args:
        n_rows: the number of rows.
        n_cols: the number of columns; by default as many.
        k: which diagonal: 0 the main one, positive above it.
        dtype: the dtype of the result.
        like: an array or backend whose library and device it is made on.
        device: another device of that library.

    Returns:
        A matrix.

    Example:
        >>> import numpy as np
        >>> eye(2, dtype="float32", like=np.ones(1)).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    create, options = creator_like("eye", like, dtype, device)
    return create(n_rows, n_cols, k=k, **options)


def asarray(
    obj: Any,
    /,
    *,
    like: Any,
    dtype: DType | str | None = None,
    device: Device | None = None,
    copy: bool | None = None,
) -> Array:
    """Python numbers, nested sequences of them, or an array of the library, as an array.

    Arrays of other libraries are brought over by `Backend.asarray`.

    Args:
        obj: what to convert.
        like: an array or backend whose library and device it is made on.
        dtype: the dtype; by default what the library gives `obj`.
        device: another device of that library.
        copy: True copies, False never does, None if it must.

    Returns:
        The array.

    Example:
        >>> import numpy as np
        >>> asarray([1, 2], dtype="float32", like=np.ones(1)).tolist()
        [1.0, 2.0]
    """
    create, options = creator_like("asarray", like, dtype, device)
    refuse_relatives(type(obj))
    _check_numbers(obj)
    x = create(obj, copy=copy, **options)
    refuse_objects(x)
    return x


_NUMBER = ("dtype", "__array__", "__array_interface__", "__dlpack__", "__float__", "__index__", "__complex__",
           "__getitem__")  # fmt: skip


def _check_numbers(obj: Any) -> None:
    """Raise a TypeError for strings, None and other objects, which only NumPy would accept."""
    while isinstance(obj, list | tuple) and obj:
        obj = obj[0]
    if isinstance(obj, str | bytes | dict) or not any(hasattr(obj, name) for name in _NUMBER):
        kind = type(obj).__name__
        raise TypeError(f"asarray: expected numbers, nested lists of them or an array, got {kind}")
    if hasattr(obj, "dtype"):
        refuse_objects(obj)


def from_dlpack(x: Any, /, *, like: Any, device: Device | None = None, copy: bool | None = None) -> Array:
    """An array of another library over the DLPack protocol.

    Args:
        x: an array with ``__dlpack__``.
        like: an array or backend whose library it becomes an array of.
        device: the device to bring it to; by default it stays where it is.
        copy: True copies, False never does, None if it must.

    Returns:
        The array; it may share memory with `x`.

    Example:
        >>> import numpy as np
        >>> from_dlpack(np.asarray([1.0, 2.0]), like=np.ones(1)).tolist()
        [1.0, 2.0]
    """
    if not hasattr(x, "__dlpack__"):
        raise TypeError(f"from_dlpack: x must have __dlpack__, got {type(x).__name__}; use Backend.asarray")
    xp = like.xp if hasattr(like, "xp") else namespace(plain(like))
    options = {k: v for k, v in (("device", device), ("copy", copy)) if v is not None}
    return creator(xp, "from_dlpack")(x, **options)
