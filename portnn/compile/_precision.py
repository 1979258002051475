"""The precision of matrix products on GPUs."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args

import array_api_compat

from portnn._typing import Device, Namespace

__all__ = ["Precision", "check_precision"]

Precision: TypeAlias = Literal["float32", "tf32", "bfloat16"]
"""Of what the factors of a product of float32 matrices keep; sums are always in float32."""


_AMPERE = 80  # the first compute capability whose tensor cores, and whose PTX, have both precisions


def check_precision(precision: Any, xp: Namespace, device: Device) -> None:
    """Raise a ValueError unless a library and a device offer a precision.

    Args:
        precision: what was asked for.
        xp: the library's namespace.
        device: where the products will be computed.
    """
    if precision not in get_args(Precision):
        raise ValueError(f"precision must be 'float32', 'tf32' or 'bfloat16', got {precision!r:.40}")
    if precision == "float32":
        return
    if not array_api_compat.is_cupy_namespace(xp):
        name = str(getattr(xp, "__name__", xp)).removeprefix("array_api_compat.")
        raise ValueError(
            f"precision={precision!r} is for products on a GPU through CuPy, not for {name}; "
            "leave it at 'float32'"
        )
    if int(device.compute_capability) < _AMPERE:
        major, minor = divmod(int(device.compute_capability), 10)
        raise ValueError(
            f"precision={precision!r} needs a GPU of compute capability 8.0 (Ampere) or higher, and GPU "
            f"{device.id} has {major}.{minor}; leave it at 'float32'"
        )
