"""Names for the types that every module speaks of.

Arrays come from libraries that share a standard but no base class, so `Array` cannot be checked
statically: it is `Any` with a name that says what is meant.
"""

from __future__ import annotations

from typing import Any, TypeAlias

Array: TypeAlias = Any
"""An array of any library that follows the Array API standard, or a traced array."""

ArrayLike: TypeAlias = Any
"""An `Array`, or a Python scalar (bool, int, float) that is promoted as the standard says."""

DType: TypeAlias = Any
"""A data type object of the array's own library, such as ``xp.float32``."""

Device: TypeAlias = Any
"""A device object of the array's own library, as ``array.device`` gives it."""

Namespace: TypeAlias = Any
"""A module, or an object like one, with the functions of the Array API standard."""

Tree: TypeAlias = Any
"""Nested dicts, lists and tuples whose leaves are arrays."""

Axis: TypeAlias = int | tuple[int, ...] | None
"""One axis, several axes, or None for all of them; negative numbers count from the last."""
