"""The real CuPy on a CPU: the CUDA libraries under it are replaced, and its own code runs.

`sitecustomize` (beside this package) calls `install` in every Python process. Nothing happens there until
CuPy is imported.
"""

from __future__ import annotations

import ctypes
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import ModuleType

__all__ = ["counter", "install"]

# Two modules of CuPy are replaced: the first is recompiled from CuPy's source, the second is a file of ours.
_RUNTIME, _THRUST = "cupy_backends.cuda.api.runtime", "cupy.cuda.thrust"
_LOADED: dict[str, ctypes.CDLL] = {}


@cache
def _prepare() -> Path:
    """Set the environment and load our libraries, so that later searches for their names find them."""
    from cpucuda import build

    out, kernels = build.build(), build.build_kernels()
    os.environ["CPUCUDA_BUILD"] = str(kernels.folder)
    os.environ["CPUCUDA_FLAGS"] = str(kernels.flags)
    os.environ["CPUCUDA_DEVICE_HASH"] = kernels.digest
    # CuPy caches NVRTC's output. Ours depends on CPUCUDA_EXACT.
    exact = os.environ.get("CPUCUDA_EXACT", "0")
    os.environ["CUPY_CACHE_DIR"] = str(build.home() / f"cubins-{kernels.digest}-{exact}")
    # CUB's and Thrust's kernels are GPU machine code inside CuPy's wheel.
    os.environ["CUPY_ACCELERATORS"] = ""
    for library in build.LIBRARIES:
        _LOADED[library.name] = ctypes.CDLL(str(out / library.name), mode=ctypes.RTLD_GLOBAL)
    return out


class _Finder(importlib.abc.MetaPathFinder):
    """Find our modules instead of two of CuPy's, and prepare the libraries for the others."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name in ("cupy", "cupy_backends"):
            _prepare()
        if name == _RUNTIME:
            [file] = _prepare().glob("runtime.*")
        elif name == _THRUST:
            file = Path(__file__).with_name("thrust.py")
        else:
            return None
        return importlib.util.spec_from_file_location(name, file)


def install() -> None:
    """Make the next import of CuPy use the emulated GPU."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def counter(name: str) -> int:
    """Return how often an event has happened in this process.

    Args:
        name: "kernel launches", "products", "graph launches", "captures", "allocations",
            "stream synchronizations", "event synchronizations", "device synchronizations",
            "host memory in a graph", "cublas without a workspace in a graph" or "work beside a capture".
    """
    function = _LOADED["libcudart.so.13"].cpucuda_counter
    function.restype, function.argtypes = ctypes.c_long, [ctypes.c_char_p]
    return function(name.encode())
