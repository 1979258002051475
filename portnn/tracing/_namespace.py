"""Which library do these arrays belong to? Asked once per call, so it has to be quick."""

from __future__ import annotations

from typing import Any

import array_api_compat

from portnn._typing import Array, DType, Namespace
from portnn.tracing._array import TracedArray

__all__ = [
    "as_operand", "check_floating", "is_kind", "namespace", "number_for", "numpy_scalars",
    "refuse_objects", "refuse_relatives",
]  # fmt: skip

_NUMBERS = (bool, int, float, complex)
_SCALARS = (*_NUMBERS, type(None))

_kinds: dict[tuple[type, DType, str], bool] = {}

# Namespace by array type; False for Python scalars, which belong to every library.
_known: dict[type, Any] = dict.fromkeys(_SCALARS, False)


def namespace(*arrays: Array) -> Namespace:
    """The Array API namespace that plain arrays share (wrapped by array-api-compat).

    Args:
        *arrays: arrays of one library; Python scalars and None are passed over.

    Returns:
        The namespace, for instance ``array_api_compat.numpy``.

    Raises:
        TypeError: if no argument is an array, or if they are of different libraries.

    Example:
        >>> import numpy as np
        >>> namespace(np.ones(2), 3.0).__name__
        'array_api_compat.numpy'
    """
    xp: Namespace = None
    for a in arrays:
        found = _known.get(type(a))
        if found is None:
            found = _find(a)
        if found and found is not xp:
            xp = found if xp is None else _common(xp, found, arrays)
    if xp is None:
        kinds = ", ".join(type(a).__name__ for a in arrays[:4])
        raise TypeError(f"expected at least one array, got {kinds or 'nothing'}; make one with xp.asarray")
    return xp


def _common(xp: Namespace, found: Namespace, arrays: tuple[Array, ...]) -> Namespace:
    """Choose the recording namespace of a library over the library, and other arrays over NumPy scalars."""
    if getattr(found, "recorded", None) is xp:
        return found
    if getattr(xp, "recorded", None) is found:
        return xp
    others = [a for a in arrays if not numpy_scalars[type(a)]]
    if len(others) < len(arrays):
        return namespace(*others)
    raise TypeError(
        f"arrays of different libraries: {_label(xp)} and {_label(found)}; "
        "bring them to one with Backend.asarray or from_dlpack"
    )


def _find(a: Any) -> Any:
    """The namespace of one array of a type not met before; it is remembered by its type."""
    if isinstance(a, _SCALARS) and not array_api_compat.is_array_api_obj(a):
        return False
    refuse_relatives(type(a))
    try:
        found = array_api_compat.array_namespace(a)
    except TypeError:
        raise TypeError(
            f"expected an array of a library that follows the Array API standard, got {type(a).__name__}; "
            "make one with xp.asarray"
        ) from None
    _known[type(a)] = found
    return found


_RELATIVES = {
    "MaskedArray": "x is a masked array, whose mask would be lost: pass x.filled(value) instead",
    "matrix": "x is a numpy.matrix, whose * is a product of matrices: pass numpy.asarray(x) instead",
}


def refuse_relatives(kind: type) -> None:
    """Raise a TypeError for NumPy's array subclasses that compute differently."""
    for base in kind.__mro__:
        if base.__name__ in _RELATIVES and base.__module__.partition(".")[0] == "numpy":
            raise TypeError(_RELATIVES[base.__name__])


def refuse_objects(x: Array) -> None:
    """Raise a TypeError for NumPy arrays of Python objects, strings, dates and records.

    A result computed from them may not be an array, and would be a constant in every later run.
    """
    kind = getattr(x.dtype, "kind", "f")
    if kind in "OSTUMm" or (kind == "V" and x.dtype.type.__name__ in ("void", "record")):
        raise TypeError(f"expected an array of numbers, got dtype {x.dtype!s:.60}; convert it with astype")


class _Scalars(dict[type, bool]):
    """For each type whether it is a NumPy scalar; imports no library."""

    def __missing__(self, kind: type) -> bool:
        known = self[kind] = any(b.__name__ == "generic" and b.__module__ == "numpy" for b in kind.__mro__)
        return known


numpy_scalars = _Scalars()


def number_for(xp: Namespace, x: Any) -> Any:
    """Convert a NumPy scalar to an operand beside arrays of a library, which decides the result's dtype.

    NumPy, CuPy and JAX treat it as a 0-d array of its own dtype, traced or not; other libraries get a Python
    number.
    """
    library: Namespace = getattr(xp, "recorded", xp)
    if array_api_compat.is_numpy_namespace(library):
        return x
    if not (array_api_compat.is_cupy_namespace(library) or array_api_compat.is_jax_namespace(library)):
        return x.item()
    return x if library is xp else xp.array(library.asarray(x), None, None)  # a constant of the program


def _label(xp: Namespace) -> str:
    return str(getattr(xp, "__name__", xp)).removeprefix("array_api_compat.")


def as_operand(x: Any, beside: Array) -> Any:
    """Return the operand for an operator with a plain array: an array of its library, or a number.

    NumPy's operators accept lists, so traced NumPy arrays do, too; for NumPy scalars see `number_for`.

    Args:
        x: the other operand.
        beside: the array of the underlying library, or a recorded one.

    Returns:
        `x` or its replacement; NotImplemented if Python should try the other operand.
    """
    kind = type(x)
    if kind is TracedArray or kind in _NUMBERS:
        return x
    if isinstance(x, list | tuple):
        xp = namespace(_plain(beside))
        if not _is_numpy(xp):
            return NotImplemented
        made = xp.asarray(x)
        return made if xp.isdtype(made.dtype, ("bool", "numeric")) else NotImplemented
    if numpy_scalars[kind]:
        return number_for(namespace(_plain(beside)), x)
    if isinstance(x, _NUMBERS):
        return x
    try:
        namespace(x)
    except TypeError:
        return NotImplemented
    refuse_objects(x)
    return x


def _plain(x: Array) -> Array:
    return x.plain if type(x) is TracedArray else x


def _is_numpy(xp: Namespace) -> bool:
    """Return whether a namespace is NumPy's, or a traced one of NumPy."""
    return bool(array_api_compat.is_numpy_namespace(getattr(xp, "recorded", xp)))


def is_kind(x: Array, kind: str) -> bool:
    """Whether the dtype of an array is of a kind; remembered, since libraries take microseconds to say.

    Args:
        x: an array, plain or traced.
        kind: a kind of the standard's `isdtype`, such as "real floating".

    Returns:
        The answer.

    Example:
        >>> import numpy as np
        >>> is_kind(np.ones(2), "real floating")
        True
    """
    while type(x) is TracedArray:
        x = x.value
    try:
        key = (type(x), x.dtype, kind)  # dtypes of different libraries need not be comparable
    except AttributeError:
        raise TypeError(f"expected an array, got {type(x).__name__}; make one with xp.asarray") from None
    known = _kinds.get(key)
    if known is None:
        xp = namespace(x)
        try:
            known = _kinds[key] = bool(xp.isdtype(x.dtype, kind))
        except TypeError:  # such as bfloat16 of the package ml_dtypes, which NumPy does not know
            known = _kinds[key] = False
    return known


def check_floating(name: str, x: Array) -> None:
    """Raise a TypeError, in the name of a function, unless `x` is a real floating-point array.

    Example:
        >>> import numpy as np
        >>> check_floating("relu", np.ones(2))
    """
    try:
        known = is_kind(x, "real floating")
    except (AttributeError, TypeError):
        raise TypeError(
            f"{name}: expected an array, got {type(x).__name__}; make one with xp.asarray"
        ) from None
    if not known:
        raise TypeError(
            f"{name}: expected a real floating-point array, got dtype {x.dtype}; convert it with astype"
        )
