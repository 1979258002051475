"""The real CuPy on a CPU: the libraries under it are replaced, its own code runs.

`sitecustomize` (beside this package) calls `install` in every Python process. Nothing happens there until CuPy is
imported.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from pathlib import Path

__all__ = ["counter", "install"]

_LOADED: dict[str, ctypes.CDLL] = {}
_OUT: Path | None = None


def _prepare() -> None:
    """Before CuPy's first line: environment, and the libraries by their names, so that every later search finds them."""
    global _OUT
    if _OUT is not None:
        return
    from cpucuda import build

    out = _OUT = build.build()
    header = build.SOURCE / "device.h"
    os.environ["CPUCUDA_BUILD"] = str(out.parent / "kernels")
    os.environ["CPUCUDA_DEVICE_H"] = str(header)
    os.environ["CPUCUDA_PYTHON"] = sys.executable
    os.environ["CPUCUDA_REAL_PY"] = str(Path(__file__).with_name("real_nvrtc.py"))
    options = os.environ.get("CPUCUDA_OPT", "O1") + os.environ.get("CPUCUDA_CXX", "g++")
    options += "".join(p.read_text() for p in sorted((build.SOURCE / "device").iterdir()))
    os.environ["CPUCUDA_DEVICE_HASH"] = digest = hashlib.sha256(
        (header.read_text() + options).encode()
    ).hexdigest()[:16]
    os.environ["CPUCUDA_PRELUDE"] = build.prelude(out, digest)
    exact = os.environ.get("CPUCUDA_EXACT", "0")
    # What CuPy keeps names files of ours; how they are compiled stands in nvrtc.cpp too.
    compiler = hashlib.sha256((build.SOURCE / "nvrtc.cpp").read_bytes()).hexdigest()[:8]
    os.environ["CUPY_CACHE_DIR"] = str(out.parent / f"cubins-{digest}-{compiler}-{exact}")
    # CUB's and Thrust's kernels are machine code of a GPU, compiled into CuPy's wheel.
    os.environ["CUPY_ACCELERATORS"] = ""
    for name in ("libcudart.so.13", "libcuda.so.1", "libnvrtc.so.13", "libcublas.so.13"):
        _LOADED[name] = ctypes.CDLL(str(out / name), mode=ctypes.RTLD_GLOBAL)
    for path in sorted(out.glob("lib*.so.*")):
        if path.name not in _LOADED and path.suffix != ".map":
            _LOADED[path.name] = ctypes.CDLL(str(path))


class _Finder(importlib.abc.MetaPathFinder):
    """Gives our modules in the place of two of CuPy's."""

    def find_spec(self, name, path=None, target=None):
        if name == "cupy" or name == "cupy_backends":
            _prepare()
            return None
        if name == "cupy_backends.cuda.api.runtime":
            _prepare()
            file = str(next(_OUT.glob("runtime.*.so")))
            loader = importlib.machinery.ExtensionFileLoader(name, file)
            return importlib.util.spec_from_file_location(name, file, loader=loader)
        if name == "cupy.cuda.thrust":
            file = str(Path(__file__).with_name("thrust.py"))
            return importlib.util.spec_from_file_location(name, file)
        return None


def install() -> None:
    """Let the next import of CuPy be that of the stand-in."""
    if not any(isinstance(f, _Finder) for f in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def counter(name: str) -> int:
    """How often something happened: "kernel launches", "products", "graph launches", "captures", "allocations",
    "stream synchronisations", "device synchronisations", "host memory in a graph",
    "cublas without a workspace in a graph", "work beside a capture"."""
    function = _LOADED["libcudart.so.13"].cpucuda_counter
    function.restype, function.argtypes = ctypes.c_long, [ctypes.c_char_p]
    return function(name.encode())
