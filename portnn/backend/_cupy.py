"""CuPy: NVIDIA GPUs. A GPU counts as there once memory is allocated and a kernel has run on it."""

from __future__ import annotations

import importlib
import os
import re
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import wraps
from threading import RLock
from types import ModuleType, TracebackType
from typing import Any, final

import array_api_compat

from portnn._typing import Array, Device, Namespace
from portnn.backend._errors import BackendUnavailableError, load, said


def open_device(device: str) -> tuple[str, Namespace, Device]:
    """The GPU of that number (0 when none is given), tried by allocating and by one small kernel."""
    if device and not (device.isascii() and device.isdigit()):
        raise ValueError(f"a GPU is named by its number, as in 'gpu:0' or 'cupy:0'; got {device!r}")
    number = int(device or 0)
    name = f"cupy:{number}"
    cupy = _load(name)
    count = _device_count(cupy, name)
    if number >= count:
        found = f"this machine has {count} GPU{'s' if count > 1 else ''}, numbered from 0"
        raise BackendUnavailableError(name, "device", f"{found}. Ask for 'gpu:{count - 1}' or lower.")
    gpu = cupy.cuda.Device(number)
    _try_kernel(cupy, gpu, name)
    return name, importlib.import_module("array_api_compat.cupy"), gpu


def _load(name: str) -> ModuleType:
    """Import CuPy, after a look for a second build in the same environment: they overwrite each other."""
    builds = installed_builds()
    if len(builds) > 1:
        names = " ".join(builds)
        message = f"{len(builds)} CuPy builds are installed at once ({', '.join(builds)}). Mend it by: "
        message += f"pip uninstall -y {names}, then pip install one of them again."
        raise BackendUnavailableError(name, "conflict", message)
    refuse_tf32(name)
    return load("cupy", name)


def refuse_tf32(name: str) -> None:
    """Raise if CUPY_TF32 makes CuPy round the factors of float32 products, since plans would not."""
    if os.environ.get("CUPY_TF32", "0").strip() not in ("", "0"):
        raise BackendUnavailableError(
            name,
            "conflict",
            "CUPY_TF32 makes CuPy round the factors of float32 products, so that plans and eager execution "
            'differ. Unset it, and pass precision="tf32" to fit or jit instead.',
        )


def installed_builds() -> list[str]:
    """The distributions that provide CuPy: cupy, cupy-cuda12x, cupy-rocm-7-0 and their like."""
    from importlib.metadata import distributions  # costs more to import than this package does

    names = {(found.name or "").lower().replace("_", "-") for found in distributions()}
    return sorted(n for n in names if n == "cupy" or n.startswith(("cupy-cuda", "cupy-rocm")))


def _device_count(cupy: ModuleType, name: str) -> int:
    """The number of GPUs, at least one; CUDA's own words go into the error otherwise."""
    runtime = cupy.cuda.runtime
    try:
        count = int(runtime.getDeviceCount())
    except runtime.CUDARuntimeError as error:
        if "cudaErrorNoDevice" in str(error):
            raise _no_device(name, f"CUDA said: {said(error)}") from error
        # 0 is what CUDA answers when there is no driver at all.
        version = int(runtime.driverGetVersion())
        what = f"the driver serves CUDA {version // 1000} only" if version else "no NVIDIA driver is loaded"
        message = f"{what} (CUDA said: {said(error)}). Install or update the driver; nvidia-smi shows it."
        raise BackendUnavailableError(name, "driver", message) from error
    if count < 1:
        raise _no_device(name, "CUDA found 0 devices")
    return count


def _no_device(name: str, detail: str) -> BackendUnavailableError:
    """The driver is there, but no GPU is."""
    message = f"no GPU is visible ({detail}). Look at nvidia-smi and at CUDA_VISIBLE_DEVICES."
    return BackendUnavailableError(name, "device", message)


def _try_kernel(cupy: ModuleType, gpu: Any, name: str) -> None:
    """Allocate and compute on the GPU, so that a broken one fails here and not in a training step."""
    errors = (RuntimeError, OSError, ImportError, MemoryError, cupy.cuda.compiler.CompileException)
    try:
        with gpu:
            total = float((cupy.ones(2, dtype=cupy.float32) + 1).sum())
    except errors as error:
        message = f"the GPU is there but failed on a two-element sum (CuPy said: {said(error)}). "
        message += 'If a CUDA library is missing: pip install "portnn[cuda12x]" (or cuda13x).'
        raise BackendUnavailableError(name, "broken", message) from error
    if total != 4.0:
        message = f"the GPU computed 2 + 2 = {total:g}. The driver or the device is faulty."
        raise BackendUnavailableError(name, "broken", message)


def device_names() -> list[str]:
    """A name for each GPU that CUDA counts."""
    count = _device_count(_load("cupy"), "cupy")
    return [f"cupy:{number}" for number in range(count)]


def on_device(x: Array, device: Device) -> bool:
    """Compare device numbers."""
    return bool(x.device == device)


def name_of(x: Array) -> str:
    """The canonical name: "cupy:" and the number of the array's device."""
    return f"cupy:{x.device.id}"


def to_host(x: Array) -> Any:
    """Copy to host memory; waits until the array is computed."""
    return x.get()


def from_host(host: Any, device: Device) -> Array:
    """Copy to the device."""
    cupy = importlib.import_module("cupy")
    with activate(device):
        return cupy.asarray(host)


def contiguous(x: Array) -> Array:
    """A copy in C order, or x when it is in that order already."""
    return importlib.import_module("cupy").ascontiguousarray(x)


def activate(device: Device) -> AbstractContextManager[object]:
    """Return a context that makes a device CuPy's current one; a `MemoryError` inside says what to do."""
    return _Active(device)


@final
class _Active:
    """A context with a device as the current one, in which out-of-memory errors say what to do."""

    __slots__ = ("_device",)

    def __init__(self, device: Device) -> None:
        self._device = device

    def __enter__(self) -> None:
        self._device.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            raise_memory_error(error, trace)
        finally:
            self._device.__exit__(kind, error, trace)


def raise_memory_error(error: BaseException | None, trace: TracebackType | None) -> None:
    """Raise a MemoryError that says what to do if an error means that the current device's memory ran out.

    The frames of the functions that failed are cleared: keeping the error would keep their arrays.
    """
    if error is not None and (isinstance(error, MemoryError) or is_out_of_memory(error)):
        text = "" if type(error) is MemoryError or not is_out_of_memory(error) else _memory_text(str(error))
        traceback.clear_frames(trace)
        if text:
            raise MemoryError(text) from None


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that the device's memory ran out."""
    words = ("cudaErrorMemoryAllocation", "CUDA_ERROR_OUT_OF_MEMORY", "CUBLAS_STATUS_ALLOC_FAILED")
    return type(error).__name__ == "OutOfMemoryError" or any(word in str(error) for word in words)


def _memory_text(said: str) -> str:
    """Return a text with how much was requested, how much is free, and what to do."""
    free, total = _room()
    asked = re.search(r"allocating ([\d,]+) bytes", said)
    more = f"{int(asked[1].replace(',', '')) / 1e6:,.1f} MB" if asked else "memory"
    return (
        f"the GPU is out of memory: asked for {more}, {free / 1e6:,.1f} of {total / 1e6:,.1f} MB are free. "
        "Use a smaller batch_size or fit(accumulate=...); pass data as NumPy arrays, which are streamed if "
        "they do not fit; drop arrays and networks that you do not need"
    )


def free_bytes(device: Device) -> int:
    """Return the bytes that may still be allocated on a device."""
    with device:
        return _room()[0]


def _room() -> tuple[int, int]:
    """Return how many bytes of the current device are free, and of how many.

    Free are those that CUDA reports and the unused ones in CuPy's pool, within the limit of the pool.
    """
    cupy = importlib.import_module("cupy")
    free, total = cupy.cuda.runtime.memGetInfo()
    pool = cupy.get_default_memory_pool()
    free += pool.free_bytes()
    limit = pool.get_limit()
    if limit:
        free, total = min(free, max(limit - pool.used_bytes(), 0)), min(total, limit)
    return int(free), int(total)


_locks: dict[int, AbstractContextManager[object]] = {}


def lock_of(device: Device) -> AbstractContextManager[object]:
    """Return the lock of a GPU. A capture holds it, because waiting for all streams would break it."""
    return _locks.setdefault(device.id, RLock())


def synchronize(device: Device) -> None:
    """Wait for every stream of the device."""
    with lock_of(device):
        device.synchronize()


def hardware(device: Device) -> str:
    """Return the GPU's name, memory and compute capability, and the versions of CUDA and of the driver."""
    runtime = importlib.import_module("cupy").cuda.runtime
    found = runtime.getDeviceProperties(device.id)
    versions = [
        f"{v // 1000}.{v % 1000 // 10}" for v in (runtime.runtimeGetVersion(), runtime.driverGetVersion())
    ]
    return (
        f"{found['name'].decode()}, {found['totalGlobalMem'] / 1e9:.1f} GB, compute capability "
        f"{found['major']}.{found['minor']}, CUDA {versions[0]}, driver for CUDA {versions[1]}"
    )


def creator(function: Callable[..., Array]) -> Callable[..., Array]:
    """Make a creation function honor `device`.

    CuPy creates arrays on its current device: array-api-compat's functions ignore `device`, and CuPy's
    `fftfreq` and `from_dlpack` do not accept it.
    """
    if getattr(function, "__name__", "") == "from_dlpack":
        return _from_dlpack

    @wraps(function)
    def create(*args: Any, device: Device | None = None, **options: Any) -> Array:
        return function(*args, **options) if device is None else _moved(function, device, args, options)

    return create


def _moved(
    function: Callable[..., Array], device: Device, args: tuple[Any, ...], options: dict[str, Any]
) -> Array:
    """Call a creation function on the device, and move an array that `asarray` leaves on another one."""
    with device:
        x = function(*args, **options)
    if x.device == device:
        return x
    if options.get("copy") is False:
        raise ValueError(f"copy=False is impossible: the array is on GPU {x.device.id}, not {device.id}")
    return array_api_compat.to_device(x, device)


_GPU = (2, 13)  # kDLCUDA and kDLCUDAManaged of DLPack


def _from_dlpack(x: Any, /, *, device: Device | None = None, copy: bool | None = None) -> Array:
    """Import an array; CuPy's own function accepts neither `device` nor `copy=True` nor host arrays."""
    cupy = importlib.import_module("cupy")
    kind, number = x.__dlpack_device__()
    if int(kind) in _GPU:
        with cupy.cuda.Device(number):
            found = cupy.from_dlpack(x)
            found = found.copy() if copy else found
        return found if device is None else _moved(cupy.asarray, device, (found,), {"copy": copy})
    if device is None or copy is False:
        raise ValueError(
            "from_dlpack: x is in host memory, so it has to be copied to the GPU; pass device= without "
            "copy=False, or use Backend.asarray"
        )
    return from_host(importlib.import_module("numpy").from_dlpack(x), device)
