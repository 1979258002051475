"""PyTorch: CPU, CUDA, and whatever other device torch.device accepts."""

from __future__ import annotations

import importlib
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType
from typing import Any

from portnn._typing import Array, Device, Namespace
from portnn.backend._errors import BackendUnavailableError, Reason, load, said


def open_device(device: str) -> tuple[str, Namespace, Device]:
    """A torch device ("" means "cpu"), tried by allocating and adding."""
    name = f"torch:{device or 'cpu'}"
    torch = load("torch", name)
    try:
        found = torch.device(device or "cpu")
    except RuntimeError as error:
        known = "'torch', 'torch:cuda' or 'torch:cuda:1'"
        raise ValueError(f"backend {name!r}: torch knows no such device; try {known}") from error
    if found.type != "cpu" and found.index is None:
        found = torch.device(found.type, 0)  # arrays carry the number, so comparing needs it too
    name = f"torch:{found}"
    if found.type == "cuda":
        _check_cuda(torch, found.index, name)
    _try(torch, found, name)
    return name, importlib.import_module("array_api_compat.torch"), found


def _check_cuda(torch: ModuleType, number: int, name: str) -> None:
    """Tell a CPU build from a missing driver and from a number too high."""
    if torch.version.cuda is None and torch.version.hip is None:
        message = f"torch {torch.__version__} is a CPU build. Get one for CUDA: pytorch.org/get-started"
        raise BackendUnavailableError(name, "package", message)
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        message = f"torch said: {said(error)}. Look at nvidia-smi and at CUDA_VISIBLE_DEVICES."
        reason: Reason = "driver" if "driver" in str(error) else "device"
        raise BackendUnavailableError(name, reason, message) from error
    count = torch.cuda.device_count()
    if number >= count:
        message = f"torch finds {count} GPU{'s' if count > 1 else ''}, numbered from 0"
        raise BackendUnavailableError(name, "device", message)


def _try(torch: ModuleType, device: Any, name: str) -> None:
    """Allocate and compute; "meta" and its like hold no values and fail on reading the sum."""
    errors = (RuntimeError, AssertionError, NotImplementedError, ImportError)  # torch raises all of these
    try:
        float((torch.ones(2, dtype=torch.float32, device=device) + 1).sum())
    except errors as error:
        message = f"torch cannot add on it (torch said: {said(error)}). Try 'torch' for the CPU."
        raise BackendUnavailableError(name, "device", message) from error


def device_names() -> list[str]:
    """The CPU, and a name for each GPU that torch counts."""
    torch = load("torch", "torch")
    return ["torch:cpu", *(f"torch:cuda:{number}" for number in range(torch.cuda.device_count()))]


def on_device(x: Array, device: Device) -> bool:
    """Compare torch devices."""
    return bool(x.device == device)


def name_of(x: Array) -> str:
    """The canonical name: "torch:" and the device as torch writes it."""
    return f"torch:{x.device}"


def to_host(x: Array) -> Any:
    """A view on the CPU, a copy elsewhere; a tensor under torch's autograd is refused."""
    if x.requires_grad:
        message = "x is a torch tensor that requires grad; gradients do not cross libraries: pass x.detach()"
        raise ValueError(message)
    if x.is_meta:
        raise TypeError("x is a torch tensor on the device 'meta', which holds no numbers")
    if str(x.layout) != "torch.strided":
        raise TypeError("x is a sparse torch tensor: pass x.to_dense()")
    try:
        return x.cpu().resolve_conj().resolve_neg().numpy()
    except TypeError as error:
        raise TypeError(f"NumPy has no {x.dtype}: cast x first, as in x.to(torch.float32)") from error


def from_host(host: Any, device: Device) -> Array:
    """A view on the CPU when NumPy's memory allows it, a copy otherwise.

    torch knows neither read-only memory nor negative strides (its DLPack import ends the process on
    one), so such arrays are copied first.
    """
    torch = importlib.import_module("torch")
    if not host.flags.writeable or any(step < 0 for step in host.strides):
        host = host.copy(order="C")
    return torch.from_numpy(host).to(device)


def activate(device: Device) -> AbstractContextManager[object]:
    """Nothing to do: torch computes where its tensors are."""
    return nullcontext()


def free_bytes(device: Device) -> None:
    """Return None: data are not streamed to this library's devices."""


def synchronize(device: Device) -> None:
    """Wait for the streams of the device; torch on the CPU returns when the work is done."""
    torch = importlib.import_module("torch")
    if device.type != "cpu":
        torch.get_device_module(device).synchronize(device)


def hardware(device: Device) -> str:
    """Return the name, memory and compute capability of a GPU, and the version of CUDA."""
    if device.type != "cuda":
        return ""
    torch = importlib.import_module("torch")
    found = torch.cuda.get_device_properties(device)
    return (
        f"{found.name}, {found.total_memory / 1e9:.1f} GB, compute capability {found.major}.{found.minor}, "
        f"CUDA {torch.version.cuda}"
    )
