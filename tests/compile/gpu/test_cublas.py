"""cuBLAS through ctypes: the order of calls, the arguments in the order of the header, and errors by name."""

import ctypes
import subprocess
import sys
from functools import partial
from types import SimpleNamespace

import pytest

from portnn.compile._cupy import _cublas
from portnn.compile._cupy._cublas import WORKSPACE, Cublas, CublasError, call_arguments, open_library
from portnn.compile._cupy._gemm import gemm_arguments
from tests.compile.gpu.emulated import needs_emulation, run_emulated
from tests.compile.gpu.helpers import needs_compiler


class Library:
    """Writes down what is called, and may refuse."""

    def __init__(self, refuse="", status=0):
        self.calls, self._refuse, self._status = [], refuse, status

    def __getattr__(self, name):
        def function(*arguments):
            self.calls.append((name, arguments))
            return self._status if name == self._refuse else 0

        return function


def test_the_workspace_is_given_after_the_stream():
    library = Library()
    Cublas(library, 11, 22)
    names = [name for name, _ in library.calls]
    assert names[0] == "cublasCreate_v2"
    assert names.index("cublasSetStream_v2") < names.index("cublasSetWorkspace_v2")
    by_name = {name: arguments[1:] for name, arguments in library.calls}
    assert by_name["cublasSetStream_v2"] == (11,)
    assert by_name["cublasSetWorkspace_v2"] == (22, WORKSPACE)
    assert by_name["cublasSetAtomicsMode"] == (0,)
    assert by_name["cublasSetMathMode"] == (0,)
    assert by_name["cublasSetPointerMode_v2"] == (0,)


@pytest.mark.parametrize(
    ("precision", "dtype", "factor", "result", "compute"),
    [
        ("float32", "float32", 0, 0, 68),
        ("tf32", "float32", 0, 0, 77),
        ("bfloat16", "float32", 14, 0, 68),
        ("tf32", "float64", 1, 1, 70),
        ("bfloat16", "float64", 1, 1, 70),
        ("float32", "float16", 2, 2, 68),
    ],
)
def test_precision_is_a_compute_type(precision, dtype, factor, result, compute):
    g = gemm_arguments((4, 5), (5, 1), (5, 3), (1, 5))
    name, arguments = call_arguments(g, precision, dtype, 100, 200, 300, "one", "zero")
    assert name == "cublasGemmEx"
    # transa, transb, m, n, k, alpha, A, Atype, lda, B, Btype, ldb, beta, C, Ctype, ldc, computeType, algo
    a, b, c = (200, factor, 5), (100, factor, 5), (300, result, 3)
    assert arguments == (1, 0, 3, 4, 5, "one", *a, *b, "zero", *c, compute, 99)


def test_batches_name_their_strides_and_their_number():
    g = gemm_arguments((7, 4, 5), (20, 5, 1), (5, 3), (3, 1))
    name, arguments = call_arguments(g, "float32", "float32", 100, 200, 300, "one", "zero")
    assert name == "cublasGemmStridedBatchedEx"
    # ..., A, Atype, lda, strideA, B, Btype, ldb, strideB, beta, C, Ctype, ldc, strideC, batchCount, ...
    a, b, c = (200, 0, 3, 0), (100, 0, 5, 20), (300, 0, 3, 12)
    assert arguments == (0, 0, 3, 4, 5, "one", *a, *b, "zero", *c, 7, 68, -1)


@pytest.mark.parametrize("batch", [(), (7,)])
def test_as_many_arguments_as_are_declared(batch):
    steps = ((20, 5, 1), (15, 3, 1)) if batch else ((5, 1), (3, 1))
    g = gemm_arguments((*batch, 4, 5), steps[0], (*batch, 5, 3), steps[1])
    name, arguments = call_arguments(g, "float32", "float32", 1, 2, 3, 4, 5)
    assert len(_cublas._SIGNATURES[name]) == 1 + len(arguments)


def test_one_and_zero_are_of_the_dtype_that_is_summed_in():
    library = Library()
    blas = Cublas(library, 1, 2)
    g = gemm_arguments((4, 5), (5, 1), (5, 3), (3, 1))
    for dtype, kind in (
        ("float32", ctypes.c_float),
        ("float64", ctypes.c_double),
        ("float16", ctypes.c_float),
    ):
        blas.multiply(g, "float32", dtype, 1, 2, 3)
        arguments = library.calls[-1][1]
        assert [kind.from_address(arguments[i]).value for i in (6, 13)] == [1.0, 0.0]


def test_errors_have_names():
    with pytest.raises(CublasError, match="cublasCreate_v2 failed: CUBLAS_STATUS_NOT_INITIALIZED"):
        Cublas(Library("cublasCreate_v2", 1), 1, 2)
    blas = Cublas(Library("cublasGemmEx", 15), 1, 2)
    g = gemm_arguments((4, 5), (5, 1), (5, 3), (3, 1))
    with pytest.raises(CublasError, match="cublasGemmEx failed: CUBLAS_STATUS_NOT_SUPPORTED"):
        blas.multiply(g, "float32", "float32", 1, 2, 3)


def built(folder, name, text, *options):
    """Compile a C source to a shared library."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.c").write_text(text)
    command = ["gcc", "-shared", "-fPIC", "-o", folder / name, folder / f"{name}.c", *options]
    subprocess.run(command, check=True, capture_output=True)
    return folder / name


def library_that_answers(folder, soname, number, names=_cublas._SIGNATURES):
    text = "".join(f"int {name}(void) {{ return {number}; }}\n" for name in names)
    return built(folder, soname, text, f"-Wl,-soname,{soname}")


def module_linked_with(library):
    """Compile a library that stands for CuPy's module."""
    text = "int cublasCreate_v2(void); int module(void) { return cublasCreate_v2(); }"
    return built(library.parent / "module", "cublas.so", text, library, f"-Wl,-rpath,{library.parent}")


linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="gcc links as on Linux")


@linux
@needs_compiler
@pytest.mark.parametrize("folder", ["plain", "with spaces in it", "(deleted)", "ümläut"])
def test_the_library_is_the_one_that_cupy_calls(folder, tmp_path):
    """Others are loaded before it with global symbols: one of another version, one of the same name."""
    other = library_that_answers(tmp_path / "torch", "libcublas.so.99", 1)
    ctypes.CDLL(str(other), mode=ctypes.RTLD_GLOBAL)
    library = library_that_answers(tmp_path / folder, f"libcublas_{len(folder)}.so", 2)
    module = module_linked_with(library)
    functions = open_library(str(module), 13)
    assert functions.cublasCreate_v2(None) == functions.cublasSetStream_v2(None, None) == 2


@linux
@needs_compiler
def test_a_library_without_the_functions(tmp_path):
    library = library_that_answers(tmp_path, "libcublas_old.so", 2, ["cublasCreate_v2"])
    with pytest.raises(CublasError, match=r"CuPy's cuBLAS has no cublasDestroy_v2: cublas\.so is not linked"):
        open_library(str(module_linked_with(library)), 13)


def test_on_windows_the_library_is_found_by_its_name(monkeypatch):
    opened = []

    def open_handle(name, handle):
        opened.append((name, handle))
        return SimpleNamespace(**{n: SimpleNamespace() for n in _cublas._SIGNATURES})

    monkeypatch.setattr(_cublas.sys, "platform", "win32")
    loaded = {"cublas64_12.dll": 12, "cublas64_13.dll": 13}

    kernel32 = SimpleNamespace(GetModuleHandleW=partial(loaded.get))  # accepts attributes
    monkeypatch.setattr(_cublas.ctypes, "WinDLL", {"kernel32": kernel32}.__getitem__, raising=False)
    monkeypatch.setattr(_cublas.ctypes, "CDLL", open_handle)
    functions = open_library(r"C:\Program Files\cupy\cublas.pyd", 13)
    assert opened == [("cublas64_13.dll", 13)]
    assert functions.cublasGemmEx.argtypes == _cublas._SIGNATURES["cublasGemmEx"]
    with pytest.raises(CublasError, match=r"cublas64_11\.dll is not loaded"):
        open_library(r"C:\cublas.pyd", 11)


PLANTED = """
import ctypes, sys
ctypes.CDLL(sys.argv[1])
import numpy as np
import portnn as pn
x = pn.get_backend("gpu").asarray(np.arange(6, dtype="float32").reshape(2, 3))
f = pn.jit(lambda a: a @ a.T)
f(x)
print(f(x).get().tolist())
"""


@linux
@needs_compiler
@needs_emulation
def test_products_beside_the_library_of_another_package(tmp_path):
    other = library_that_answers(tmp_path / "site packages", "libcublas.so.12", 13)
    assert run_emulated(PLANTED, str(other)) == "[[5.0, 14.0], [14.0, 50.0]]\n"
