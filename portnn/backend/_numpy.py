"""NumPy: the host itself."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from portnn._typing import Array, Device, Namespace
from portnn.backend._late import import_late


def open_device(device: str) -> tuple[str, Namespace, Device]:
    """NumPy has one device, "cpu"."""
    if device not in ("", "cpu"):
        raise ValueError(f"backend 'numpy' has one device, 'cpu'; got {device!r}")
    import_late("numpy", "f2py", "ma", "testing")
    import array_api_compat.numpy as xp

    return "numpy", xp, "cpu"


def device_names() -> list[str]:
    """Always there: NumPy is a dependency."""
    return ["numpy"]


def on_device(x: Array, device: Device) -> bool:
    """Always: there is one device."""
    return True


def name_of(x: Array) -> str:
    """Always "numpy"."""
    return "numpy"


def to_host(x: Array) -> Any:
    """Return the array itself; raise for masked arrays and matrices, which compute differently."""
    import numpy as np

    # numpy.ma is imported on demand: whoever holds a masked array has imported all of it. While another
    # thread imports it, its class is missing.
    if isinstance(x, getattr(sys.modules.get("numpy.ma.core"), "MaskedArray", ())):
        raise TypeError("x is a masked array, whose mask would be lost: pass x.filled(value) instead")
    if isinstance(x, np.matrix):
        raise TypeError(
            "x is a numpy.matrix, whose * is a product of matrices: pass numpy.asarray(x) instead"
        )
    return np.asarray(x)


def from_host(host: Any, device: Device) -> Array:
    """The array itself."""
    return host


def activate(device: Device) -> AbstractContextManager[object]:
    """Nothing to do."""
    return nullcontext()


def free_bytes(device: Device) -> None:
    """Return None: data are not streamed to this library's devices."""


def synchronize(device: Device) -> None:
    """NumPy returns when the work is done."""


def hardware(device: Device) -> str:
    """Return an empty string: the device is the host's processor."""
    return ""
