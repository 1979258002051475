"""Any other library of the standard, array-api-strict among them, through the standard alone."""

from __future__ import annotations

import importlib
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, final

import array_api_compat

from portnn._typing import Array, Device, Namespace
from portnn.backend._errors import load, said
from portnn.backend._values import root_of


@final
@dataclass(frozen=True)
class StandardLibrary:
    """A library known by its import name only.

    Example:
        >>> StandardLibrary("array_api_strict").open_device("device1")[0]
        'array_api_strict:device1'
    """

    package: str

    def open_device(self, device: str) -> tuple[str, Namespace, Device]:
        """The device whose name that is, or the library's default; tried by allocating."""
        xp = self._namespace()
        default, others = _devices(xp)
        if not device or device == device_name(default):
            return self.package, xp, default
        found = [d for d in others if device_name(d) == device]
        if not found:
            known = ", ".join(device_name(d) for d in [default, *others])
            raise ValueError(f"{self.package} has no device {device[:40]!r}; it has: {known[:150]}")
        xp.ones((2,), dtype=xp.float32, device=found[0])
        return f"{self.package}:{device}", xp, found[0]

    def _namespace(self) -> Namespace:
        """The namespace of a small array that the package makes: what portnn works with."""
        try:
            module = load(self.package.partition(".")[0], self.package)
            if "." in self.package:
                module = importlib.import_module(self.package)
            x = module.ones((2,), dtype=module.float32)
        except (ModuleNotFoundError, AttributeError, TypeError) as error:
            raise self._refuse(said(error)) from error
        if root_of(x) != self.package:
            raise self._refuse(f"its arrays belong to {root_of(x) or 'no namespace'}")
        return array_api_compat.array_namespace(x)

    def _refuse(self, why: str) -> ValueError:
        what = f"backend {self.package!r}: not a library of the Array API standard"
        return ValueError(f"{what} ({why})")

    def device_names(self) -> list[str]:
        """The library's default device and its others."""
        _, others = _devices(self._namespace())
        return [self.package, *(f"{self.package}:{device_name(d)}" for d in others)]

    def on_device(self, x: Array, device: Device) -> bool:
        """Compare devices."""
        return bool(array_api_compat.device(x) == device)

    def name_of(self, x: Array) -> str:
        """The package, and the device unless it is the default."""
        device = array_api_compat.device(x)
        default, _ = _devices(array_api_compat.array_namespace(x))
        return self.package if device == default else f"{self.package}:{device_name(device)}"

    def to_host(self, x: Array) -> Any:
        """By DLPack: a view when the array is in host memory, a copy otherwise."""
        import numpy as np

        if not hasattr(x, "__dlpack__"):
            return np.asarray(x)
        kind, _ = x.__dlpack_device__()
        return np.from_dlpack(x) if int(kind) == 1 else np.from_dlpack(x, device="cpu", copy=True)

    def from_host(self, host: Any, device: Device) -> Array:
        """By the library's own asarray."""
        return self._namespace().asarray(host, device=device)

    def activate(self, device: Device) -> AbstractContextManager[object]:
        """The standard has no current device."""
        return nullcontext()

    def free_bytes(self, device: Device) -> None:
        """Not known."""

    def synchronize(self, device: Device) -> None:
        """The standard has no queues: reading a value waits."""

    def hardware(self, device: Device) -> str:
        """Return an empty string: the standard has no name for it."""
        return ""


def device_name(device: Device) -> str:
    """What a person writes for a device: array-api-strict prints Device('device1') for device1.

    Example:
        >>> device_name("cpu")
        'cpu'
    """
    text = str(device)
    return text.split("'")[1] if text.count("'") == 2 else text


def _devices(xp: Namespace) -> tuple[Device, list[Device]]:
    """The default device, and the other ones."""
    info = xp.__array_namespace_info__()
    default = info.default_device()
    return default, [d for d in info.devices() if d != default]
