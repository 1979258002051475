"""The data types of a device, as the standard's inspection functions tell them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast, final

from portnn._typing import Device, DType, Namespace
from portnn.backend._values import EXTRA, KINDS, NAMES, dtype_name, is_plain, narrower


def refuse_real_part(source: DType, wanted: str) -> None:
    """Casting complex to real would drop the imaginary part."""
    if dtype_name(source).startswith("complex") and not wanted.startswith("complex"):
        raise TypeError(f"x is complex and dtype is {wanted}: take the real part of x first")


@final
@dataclass(frozen=True)
class DeviceTypes:
    """What a device can hold; `backend` is the name that errors use."""

    backend: str
    xp: Namespace
    device: Device

    def find(self, dtype: DType) -> DType:
        """The library's data type of that name, or ValueError when the device lacks it."""
        name = dtype_name(dtype)
        found = getattr(self.xp, name, None) if name in NAMES | EXTRA else None
        if found is not None and (name not in NAMES or name in self._all()):
            return found
        if self.backend.startswith("jax") and name in ("float64", "complex128", "int64", "uint64"):
            mend = 'call jax.config.update("jax_enable_x64", True) first, or ask for a 32-bit dtype'
        else:
            mend = f"it has {', '.join(sorted(self._all()))}"
        raise ValueError(f"backend {self.backend!r} has no dtype {name[:40]!r}: {mend}")

    def has(self, dtype: DType) -> bool:
        """Whether the device has a data type of that name: JAX would else narrow it in silence."""
        return dtype_name(dtype) in self._all()

    def fit(self, host: Any, x: Any, dtype: DType | None) -> Any:
        """The host array in the data type that the result shall have, in native byte order."""
        name = host.dtype.name
        if dtype is not None:
            name = dtype_name(dtype)
            refuse_real_part(host.dtype, name)
        elif host.dtype.kind in KINDS and is_plain(x):
            name = dtype_name(self._info().default_dtypes(device=self.device)[KINDS[host.dtype.kind]])
        elif name not in self._all():
            name = narrower(host) or name
        self.find(name)
        return host.astype(name, copy=False)

    def _info(self) -> Any:
        """The standard's inspection functions."""
        return self.xp.__array_namespace_info__()

    def _all(self) -> dict[str, DType]:
        """The data types of the device, by name."""
        return cast("dict[str, DType]", self._info().dtypes(device=self.device))
