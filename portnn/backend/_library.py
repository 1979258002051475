"""What the rest of the package asks of each array library; a module per library answers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from operator import attrgetter
from types import ModuleType
from typing import Any, Protocol, cast

import array_api_compat

from portnn._typing import Array, Device, Namespace
from portnn.backend import _cupy, _jax, _numpy, _torch
from portnn.backend._standard import StandardLibrary

SHARE = 0.5  # of a device's free memory, which data may take
KNOWN = ("numpy", "cupy", "torch", "jax", "array_api_strict")
_MODULES: dict[str, ModuleType] = {"numpy": _numpy, "cupy": _cupy, "torch": _torch, "jax": _jax}


class Library(Protocol):
    """The differences between array libraries, all of them."""

    def open_device(self, device: str) -> tuple[str, Namespace, Device]:
        """The canonical name, the namespace and the device, after a trial allocation."""

    def device_names(self) -> list[str]:
        """Names of the backends of this library that look usable; may raise BackendUnavailableError."""

    def on_device(self, x: Array, device: Device) -> bool:
        """Whether an array of this library is on the device."""

    def name_of(self, x: Array) -> str:
        """The canonical name of the backend that an array of this library belongs to."""

    def to_host(self, x: Array) -> Any:
        """An array of this library as a NumPy array, sharing memory where that can be."""

    def from_host(self, host: Any, device: Device) -> Array:
        """A NumPy array as an array of this library, sharing memory where that can be."""

    def activate(self, device: Device) -> AbstractContextManager[object]:
        """A context in which kernels of this library run on the device."""

    def free_bytes(self, device: Device) -> int | None:
        """Return the bytes that are free on the device; None if data are not streamed to it."""

    def synchronize(self, device: Device) -> None:
        """Wait for the work queued on the device."""

    def hardware(self, device: Device) -> str:
        """Return a description of the device; an empty string for the host's processor."""


def library(root: str) -> Library:
    """The functions particular to a library: a module of this package, or the standard's own."""
    found = _MODULES.get(root)
    return StandardLibrary(root) if found is None else cast("Library", found)


def creator(xp: Namespace, name: str) -> Callable[..., Array]:
    """Return a creation function of a library that follows the standard: it honors `device`.

    Args:
        xp: the library's namespace, or one that records it.
        name: the function, such as "zeros", "fft.fftfreq" or "from_dlpack".

    Example:
        >>> import array_api_compat.numpy as xp
        >>> creator(xp, "zeros")(2, dtype=xp.float32, device="cpu").tolist()
        [0.0, 0.0]
    """
    function: Callable[..., Array] = attrgetter(name)(xp)
    return _cupy.creator(function) if array_api_compat.is_cupy_namespace(xp) else function
