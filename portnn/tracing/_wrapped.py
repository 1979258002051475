"""What both kinds of traced arrays are: an array in another, with the attributes of the standard."""

from __future__ import annotations

from typing import Any

import array_api_compat

from portnn._typing import Array, Device, DType

__all__ = ["WrappedArray"]


class WrappedArray:
    """An array that holds another, of a library or wrapped itself, as `value`."""

    __slots__ = ("__weakref__", "value")

    value: Array

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""
        shape: tuple[int, ...] = self.value.shape
        return shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.value.shape)

    @property
    def size(self) -> int | None:
        """The number of elements."""
        return array_api_compat.size(self.value)

    @property
    def dtype(self) -> DType:
        """The data type, an object of the underlying library."""
        return self.value.dtype

    @property
    def device(self) -> Device:
        """The device on which the values lie."""
        return array_api_compat.device(self.value)

    def __dlpack_device__(self) -> Any:
        return self.value.__dlpack_device__()

    # Equality makes an array, so arrays of the standard have no hash.
    __hash__ = None  # type: ignore[assignment]  # object promises a hash; arrays deny it
