"""cuBLAS through ctypes: the library that CuPy calls, with a handle and a workspace of our own.

CuPy refuses its cuBLAS calls during a capture (`setStream` in `cupy_backends/cuda/libs/cublas.pyx`). cuBLAS
itself can be captured if its workspace is given by the user (cuBLAS manual, CUDA graphs support). Names,
argument orders and numbers are those of `cublas_api.h` and `library_types.h`.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeAlias, final

from portnn.compile._cupy._gemm import GemmArguments

__all__ = [
    "COMPUTE",
    "DATA",
    "STATUS",
    "WORKSPACE",
    "Cublas",
    "CublasError",
    "call_arguments",
    "open_library",
]

STATUS = {
    0: "SUCCESS", 1: "NOT_INITIALIZED", 3: "ALLOC_FAILED", 7: "INVALID_VALUE", 8: "ARCH_MISMATCH",
    11: "MAPPING_ERROR", 13: "EXECUTION_FAILED", 14: "INTERNAL_ERROR", 15: "NOT_SUPPORTED",
    16: "LICENSE_ERROR",
}  # fmt: skip
DATA = {"float32": 0, "float64": 1, "float16": 2, "bfloat16": 14}
"""cudaDataType_t."""
COMPUTE = {"float32": 68, "tf32": 77, "float64": 70}
"""cublasComputeType_t: CUBLAS_COMPUTE_32F, _32F_FAST_TF32 and _64F."""
_DEFAULT_ALGORITHM, _TENSOR_ALGORITHM = (
    -1,
    99,
)  # from Ampere on the library ignores which; CuPy says the latter
_DEFAULT_MATH, _NO_ATOMICS, _HOST_POINTERS = 0, 0, 0
WORKSPACE = 32 * 1024 * 1024
"""Bytes: what the manual recommends for Hopper, and cuBLAS itself takes there."""

Address: TypeAlias = int


class CublasError(RuntimeError):
    """cuBLAS refused a call; the message names the call and the status."""


class Functions(Protocol):
    """What is asked of the library: a function for each name."""

    def __getattr__(self, name: str) -> Callable[..., int]: ...


def call_arguments(
    g: GemmArguments, precision: str, dtype: str, a: Address, b: Address, c: Address, alpha: Any, beta: Any
) -> tuple[str, tuple[Any, ...]]:
    """The name of the cuBLAS function for a product, and its arguments after the handle.

    The second factor comes first, since cuBLAS works on the transposed matrices.
    """
    narrow = precision == "bfloat16" and dtype == "float32"
    factor, result = DATA["bfloat16" if narrow else dtype], DATA[dtype]
    compute = COMPUTE[
        "tf32" if precision == "tf32" and dtype == "float32" else dtype if dtype == "float64" else "float32"
    ]
    one = (int(g.second.transpose), int(g.first.transpose), g.columns, g.rows, g.inner, alpha)
    if not g.batch:
        return "cublasGemmEx", (
            *one, b, factor, g.second.leading, a, factor, g.first.leading,
            beta, c, result, g.columns, compute, _TENSOR_ALGORITHM,
        )  # fmt: skip  # matrix by matrix, as the library's manual has them
    return "cublasGemmStridedBatchedEx", (
        *one, b, factor, g.second.leading, g.second.stride, a, factor, g.first.leading, g.first.stride,
        beta, c, result, g.columns, g.rows * g.columns, g.count, compute, _DEFAULT_ALGORITHM,
    )  # fmt: skip  # matrix by matrix, likewise


_INT, _LONG, _POINTER = ctypes.c_int, ctypes.c_longlong, ctypes.c_void_p
_SIGNATURES: dict[str, list[Any]] = {
    "cublasCreate_v2": [ctypes.POINTER(_POINTER)],
    "cublasDestroy_v2": [_POINTER],
    "cublasSetStream_v2": [_POINTER, _POINTER],
    "cublasSetWorkspace_v2": [_POINTER, _POINTER, ctypes.c_size_t],
    "cublasSetMathMode": [_POINTER, _INT],
    "cublasSetAtomicsMode": [_POINTER, _INT],
    "cublasSetPointerMode_v2": [_POINTER, _INT],
    "cublasGemmEx": [
        _POINTER, _INT, _INT, _INT, _INT, _INT, _POINTER, _POINTER, _INT, _INT, _POINTER, _INT, _INT,
        _POINTER, _POINTER, _INT, _INT, _INT, _INT,
    ],
    "cublasGemmStridedBatchedEx": [
        _POINTER, _INT, _INT, _INT, _INT, _INT, _POINTER, _POINTER, _INT, _INT, _LONG,
        _POINTER, _INT, _INT, _LONG, _POINTER, _POINTER, _INT, _INT, _LONG, _INT, _INT, _INT,
    ],
}  # fmt: skip


def open_library(module: str, cuda: int) -> Functions:
    """Return the cuBLAS that CuPy itself calls, with the argument types declared.

    A process may have loaded several, for example PyTorch's. On Linux, symbols are looked up in CuPy's module
    and the libraries that it is linked with (dlsym, "dependency order"). Windows looks in one library only,
    and links a module with the library of that name that is already loaded, so the name identifies it.

    Args:
        module: the file of CuPy's cuBLAS module, which has been imported.
        cuda: the major version of CUDA for which CuPy was built.
    """
    library = _loaded_dll(f"cublas64_{cuda}.dll") if sys.platform == "win32" else ctypes.CDLL(module)
    for name, types in _SIGNATURES.items():
        function = getattr(library, name, None)
        if function is None:
            raise CublasError(
                f"CuPy's cuBLAS has no {name}: {Path(module).name} is not linked with one that portnn knows; "
                "install CuPy from its wheels or from conda-forge"
            )
        function.argtypes, function.restype = types, ctypes.c_int
    return library


def _loaded_dll(name: str) -> ctypes.CDLL:
    """Return a library that the process has loaded, on Windows."""
    find = vars(ctypes)["WinDLL"]("kernel32").GetModuleHandleW  # only Windows has WinDLL
    find.argtypes, find.restype = [ctypes.c_wchar_p], ctypes.c_void_p
    handle = find(name)
    if not handle:
        raise CublasError(f"{name} is not loaded, although CuPy's cuBLAS module is; reinstall CuPy")
    return ctypes.CDLL(name, handle=handle)


@final
class Cublas:
    """A handle of cuBLAS bound to one stream.

    Args:
        library: the functions.
        stream: the stream's address.
        workspace: the address of `WORKSPACE` bytes on the device, aligned to 256, which the caller keeps.
    """

    def __init__(self, library: Functions, stream: Address, workspace: Address) -> None:
        self._library = library
        handle = ctypes.c_void_p()
        self._call("cublasCreate_v2", ctypes.byref(handle))
        self._handle = handle
        self._call("cublasSetStream_v2", handle, stream)
        # Setting the stream takes the workspace away, so the workspace comes after it.
        self._call("cublasSetWorkspace_v2", handle, workspace, WORKSPACE)
        self._call("cublasSetPointerMode_v2", handle, _HOST_POINTERS)
        self._call("cublasSetMathMode", handle, _DEFAULT_MATH)
        self._call("cublasSetAtomicsMode", handle, _NO_ATOMICS)
        # Read while a product is put on the stream, so they need not outlive it, but they may.
        self._single = ctypes.c_float(1.0), ctypes.c_float(0.0)
        self._double = ctypes.c_double(1.0), ctypes.c_double(0.0)

    def multiply(
        self, g: GemmArguments, precision: str, dtype: str, a: Address, b: Address, c: Address
    ) -> None:
        """Put a product on the stream."""
        alpha, beta = self._double if dtype == "float64" else self._single
        name, arguments = call_arguments(
            g, precision, dtype, a, b, c, ctypes.addressof(alpha), ctypes.addressof(beta)
        )
        self._call(name, self._handle, *arguments)

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._library, name)(*arguments)
        if status:
            word = STATUS.get(status, f"status {status}")
            raise CublasError(f"{name} failed: CUBLAS_STATUS_{word}")
