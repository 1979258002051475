"""cuBLAS through ctypes: the order of calls, the arguments in the order of the header, and errors by name."""

import ctypes

import pytest

from portnn.compile._cupy import _cublas
from portnn.compile._cupy._cublas import WORKSPACE, Cublas, CublasError, call_arguments, loaded_library
from portnn.compile._cupy._gemm import gemm_arguments


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


def test_the_library_is_the_one_that_is_loaded():
    maps = (
        "7f0-7f1 r-xp 0 08:01 1  /opt/x/libcublasLt.so.13\n7f2-7f3 r-xp 0 08:01 2  /opt/x/libcublas.so.13\n"
    )
    assert loaded_library(maps) == "/opt/x/libcublas.so.13"
    with pytest.raises(CublasError, match="cuBLAS is not loaded"):
        loaded_library("7f0-7f1 r-xp 0 08:01 1 /lib/libc.so.6\n")
