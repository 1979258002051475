"""What a run was measured on."""

from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.contenders._base import usable_cores

__all__ = ["describe", "library_of_blas", "load_now"]


def processor() -> str:
    """The name of the CPU's model."""
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def load_now() -> float | None:
    """How many processes wanted to run in the last minute; before a quiet run it is near zero."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def library_of_blas() -> list[dict[str, Any]]:
    """The BLAS libraries that NumPy has loaded, with versions and kernels."""
    if find_spec("threadpoolctl") is None:
        return []
    from threadpoolctl import threadpool_info

    kept = ("internal_api", "version", "architecture", "threading_layer", "num_threads")
    return [{name: pool.get(name) for name in kept} for pool in threadpool_info()]


def graphics() -> dict[str, Any]:
    """The GPU, from PyTorch or CuPy, whichever is here.

    Raises:
        ValueError: if none of them can find one.
    """
    if find_spec("torch") is not None:
        import torch

        if torch.cuda.is_available():
            card = torch.cuda.get_device_properties(0)
            return {"name": card.name, "memory": card.total_memory, "cuda": torch.version.cuda}
    if find_spec("cupy") is not None:
        import cupy

        card = cupy.cuda.runtime.getDeviceProperties(0)
        cuda = cupy.cuda.runtime.runtimeGetVersion()
        return {"name": card["name"].decode(), "memory": card["totalGlobalMem"], "cuda": cuda}
    raise ValueError("no GPU: neither CuPy nor PyTorch with CUDA is here to find one; use --backend cpu")


def describe(device: str) -> dict[str, Any]:
    """Hardware, system and versions as plain data."""
    machine = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": processor(),
        "cores": usable_cores(),
        "load before": load_now(),
        "system": platform.platform(),
        "python": sys.version.split()[0],
        "numpy": np.__version__,
        "blas": library_of_blas(),
    }
    return machine | ({"gpu": graphics()} if device == "gpu" else {})
