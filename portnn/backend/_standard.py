"""Any other library of the standard, array-api-strict among them, through the standard alone."""

from __future__ import annotations

import importlib
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, final

import array_api_compat

from portnn._typing import Array, Device, Namespace
from portnn.backend._errors import load, said


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
        module = self._import()
        info = module.__array_namespace_info__() if hasattr(module, "__array_namespace_info__") else None
        default = None if info is None else info.default_device()
        if not device:
            xp = _try(module, default, self.package)
            return self.package, xp, default
        devices = [] if info is None else [d for d in info.devices() if d is not None]
        found = [d for d in devices if device_name(d) == device]
        if not found:
            known = ", ".join(device_name(d) for d in devices) or "no devices to choose from"
            raise ValueError(f"{self.package} has no device {device[:40]!r}; it has: {known[:150]}")
        name = self.package if found[0] == default else f"{self.package}:{device}"
        return name, _try(module, found[0], self.package), found[0]

    def _import(self) -> Any:
        """The module, a dotted one included."""
        root = load(self.package.partition(".")[0], self.package)
        return root if "." not in self.package else importlib.import_module(self.package)

    def device_names(self) -> list[str]:
        """The library's default device and its others."""
        module = self._import()
        info = module.__array_namespace_info__()
        others = [d for d in info.devices() if d is not None and d != info.default_device()]
        return [self.package, *(f"{self.package}:{device_name(d)}" for d in others)]

    def on_device(self, x: Array, device: Device) -> bool:
        """Compare devices; a library without devices has one."""
        return device is None or bool(x.device == device)

    def name_of(self, x: Array) -> str:
        """The package, and the device unless it is the default."""
        default = x.__array_namespace__().__array_namespace_info__().default_device()
        return self.package if default in (None, x.device) else f"{self.package}:{device_name(x.device)}"

    def to_host(self, x: Array) -> Any:
        """By DLPack: a view when the array is in host memory, a copy otherwise."""
        import numpy as np

        kind, _ = x.__dlpack_device__()
        return np.from_dlpack(x) if int(kind) == 1 else np.from_dlpack(x, device="cpu", copy=True)

    def from_host(self, host: Any, device: Device) -> Array:
        """By the library's own asarray."""
        module = self._import()
        return module.asarray(host) if device is None else module.asarray(host, device=device)

    def activate(self, device: Device) -> AbstractContextManager[object]:
        """The standard has no current device."""
        return nullcontext()

    def synchronize(self, device: Device) -> None:
        """The standard has no queues: reading a value waits."""


def device_name(device: Device) -> str:
    """What a person writes for a device: array-api-strict prints Device('device1') for device1.

    Example:
        >>> device_name("cpu")
        'cpu'
    """
    text = str(device)
    return text.split("'")[1] if text.count("'") == 2 else text


def _try(module: Any, device: Device, package: str) -> Namespace:
    """Allocate a small array; its own namespace is what portnn works with."""
    where = {} if device is None else {"device": device}
    try:
        x = module.ones((2,), dtype=module.float32, **where)
        return array_api_compat.array_namespace(x)
    except (AttributeError, TypeError) as error:
        message = f"backend {package!r}: that package does not follow the Array API standard ({said(error)})"
        raise ValueError(message) from error
