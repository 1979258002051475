"""The backend: a namespace, a device, and the way there and back."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, final

from portnn._typing import Array, ArrayLike, Device, DType, Namespace
from portnn.backend import _cupy
from portnn.backend._dtypes import DeviceTypes, refuse_real_part
from portnn.backend._library import SHARE, library
from portnn.backend._values import checked, dtype_name, read_values, root_of

_HOST = 1  # kDLCPU of DLPack
_BY_NAME: dict[str, Backend] = {}  # one object for every spelling of a name


@final
@dataclass(frozen=True)
class Backend:
    """A library of the Array API standard and one of its devices; made by `portnn.backend.get_backend`.

    Attributes:
        name: The canonical name, such as ``"numpy"``, ``"cupy:0"``, ``"torch:cpu"``.
        xp: The library's namespace, wrapped by array-api-compat where it needs that.
        device: The library's own device object, to be given to creation functions.

    Example:
        >>> backend = open_backend("numpy")
        >>> x = backend.asarray([1, 2, 3], dtype="float32")
        >>> backend.name, str(x.dtype), backend.owns(x)
        ('numpy', 'float32', True)
    """

    name: str
    xp: Namespace = field(repr=False, compare=False)
    device: Device = field(repr=False, compare=False)

    @property
    def _root(self) -> str:
        """The import name of the library."""
        return self.name.partition(":")[0]

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return open_backend, (self.name,)  # modules and devices cannot be pickled, names can

    def asarray(self, x: ArrayLike, *, dtype: DType | None = None, copy: bool | None = None) -> Array:
        """Bring an array of any library, a nested list or a number to this library and device.

        Arrays on the same kind of device cross by DLPack, others through host memory. The values keep
        their data type, except that 64-bit integers become 32-bit ones, when every value fits, on a
        device without the former. Lists and numbers of Python get the library's default data type.

        Args:
            x: The values, of any shape; booleans or numbers.
            dtype: The data type of the result, by name or as an object of any library; None keeps it.
            copy: True always copies; False raises ValueError where a copy is needed; None copies only
                where needed, so that the result may share memory with x.

        Returns:
            An array of this backend, of the shape of x.

        Raises:
            TypeError: x does not hold numbers, or holds what its library cannot give away.
            ValueError: the device lacks the data type, x is ragged, or ``copy=False`` cannot be kept.

        Example:
            >>> open_backend("numpy").asarray([[1, 2]], dtype="float32").tolist()
            [[1.0, 2.0]]
        """
        with self.activate():
            return self._brought(x, dtype, copy)

    def _brought(self, x: ArrayLike, dtype: DType | None, copy: bool | None) -> Array:
        """Do what `asarray` does, with this device as the current one."""
        wanted = None if dtype is None else self.dtype(dtype)
        root = root_of(x)
        if root == self._root and library(root).on_device(x, self.device):
            return self._own(x, wanted, copy)
        shared = self._by_dlpack(x) if root and copy is not False else None
        if shared is not None:
            return self._own(shared, wanted, copy)
        host = host_of(x)
        result = self._from_host(self._types().fit(host, x, dtype), bool(copy))
        if copy is False and not self._shares(result, host):
            raise _needs_copy(x, self.name)
        return result

    def _own(self, x: Array, wanted: DType | None, copy: bool | None) -> Array:
        """An array already here: cast and copied as asked."""
        if self.name == "numpy":
            x = host_of(x)  # NumPy's scalars become arrays, its texts and masks are refused
        if wanted is not None and x.dtype != wanted:
            refuse_real_part(x.dtype, dtype_name(wanted))
            if copy is False:
                raise _needs_copy(x, self.name)
            return self.xp.astype(x, wanted)
        return self.xp.asarray(x, copy=True) if copy else x

    def _by_dlpack(self, x: Array) -> Array | None:
        """An array on this accelerator that another library made, or None when it is not on it.

        Host arrays do not come here: they cross as NumPy's view of their DLPack memory.
        """
        place = tuple(x.__dlpack_device__()) if hasattr(x, "__dlpack_device__") else (_HOST, 0)
        if int(place[0]) == _HOST or not self._types().has(x.dtype):
            return None
        mine = self.xp.zeros((1,), dtype=self.xp.float32, device=self.device)
        if tuple(mine.__dlpack_device__()) != place:
            return None
        if root_of(x) == "cupy":
            x = _cupy.contiguous(x)  # torch ends the process on a negative stride
        try:
            return self.xp.from_dlpack(x)
        except (BufferError, TypeError):  # a data type that one of the two does not exchange
            return None

    def _from_host(self, host: Any, copy: bool) -> Array:
        """Copy first when asked to: libraries differ in when they copy NumPy's memory."""
        return library(self._root).from_host(host.copy() if copy else host, self.device)

    def _shares(self, result: Array, host: Any) -> bool:
        """Whether the result is a view of the host array."""
        import numpy as np

        return host.size == 0 or bool(np.may_share_memory(self.to_numpy(result), host))

    def dtype(self, dtype: DType) -> DType:
        """This library's data type, by its name in the standard or from another library's.

        Raises:
            ValueError: no such data type, or the device lacks it.

        Example:
            >>> open_backend("numpy").dtype("float32").__name__
            'float32'
        """
        return self._types().find(dtype)

    def _types(self) -> DeviceTypes:
        """The data types of the device."""
        return DeviceTypes(self.name, self.xp, self.device)

    def to_numpy(self, x: ArrayLike) -> Any:
        """An array of any library as a NumPy array in host memory.

        The result may be read-only and may share memory with x; copy it before writing into it.

        Returns:
            A numpy.ndarray of the shape and data type of x.

        Raises:
            TypeError: x holds no numbers, or a data type that NumPy lacks.
            ValueError: x is a torch tensor that requires grad.

        Example:
            >>> open_backend("numpy").to_numpy([True, False]).tolist()
            [True, False]
        """
        return host_of(x)

    def owns(self, x: object) -> bool:
        """Whether x is an array of this library on this device.

        Example:
            >>> open_backend("numpy").owns([1.0])
            False
        """
        root = root_of(x)
        return root == self._root and library(root).on_device(x, self.device)

    @property
    def on_host(self) -> bool:
        """Whether the device is the host itself: there reading a value waits for nothing.

        Example:
            >>> open_backend("numpy").on_host
            True
        """
        mine = self.xp.zeros((1,), dtype=self.xp.float32, device=self.device)
        return int(mine.__dlpack_device__()[0]) == _HOST

    def activate(self) -> AbstractContextManager[object]:
        """A context in which the library computes on this device; CuPy needs it for a GPU but the first."""
        return library(self._root).activate(self.device)

    @property
    def hardware(self) -> str:
        """The name, memory, compute capability and CUDA versions of a GPU; an empty string for other devices.

        Example:
            >>> open_backend("numpy").hardware
            ''
        """
        return library(self._root).hardware(self.device)

    def has_room(self, size: int) -> bool:
        """Return whether data may be on the device as a whole: they take at most half of the free memory.

        Args:
            size: their size in bytes.
        """
        room = self.room
        return room is None or size <= room

    @property
    def room(self) -> int | None:
        """The bytes that data may take on the device, half of the free memory; None where it is not known.

        Example:
            >>> open_backend("numpy").room is None
            True
        """
        free = library(self._root).free_bytes(self.device)
        return None if free is None else int(SHARE * free)

    def synchronize(self) -> None:
        """Wait until the work queued on the device is done; libraries without queues return at once."""
        library(self._root).synchronize(self.device)


def open_backend(name: str) -> Backend:
    """Open a library and a device by a well-formed name; the same object for the same backend.

    Example:
        >>> open_backend("numpy").name
        'numpy'
    """
    root, _, device = name.partition(":")
    return _open(root, device)


@cache
def _open(root: str, device: str) -> Backend:
    """Open a device once; failures are not kept, so that a mended installation is found."""
    name, xp, found = library(root).open_device(device)
    return _BY_NAME.setdefault(name, Backend(name, xp, found))


def host_of(x: ArrayLike) -> Any:
    """Any values as a NumPy array."""
    root = root_of(x)
    if not root:
        return read_values(x)
    return checked(library(root).to_host(x), x)


def _needs_copy(x: Any, name: str) -> ValueError:
    what = f"{type(x).__module__.partition('.')[0]} {type(x).__name__}"
    return ValueError(f"copy=False cannot be kept: bringing {what} to backend {name!r} needs a copy")
