"""The emulated device refuses what CUDA and CuPy refuse, and computes."""

import contextlib
import os
import subprocess
import sys

import numpy as np
import pytest

cpucuda = pytest.importorskip(
    "cpucuda", reason="the emulated GPU is not here: nox -s 'tests(emulated)' has it"
)
cp = pytest.importorskip("cupy", reason="CuPy is not installed")


def captured(work, **options):
    stream = cp.cuda.Stream(non_blocking=True, **options)
    with stream:
        stream.begin_capture()
        try:
            work()
        finally:
            graph = stream.end_capture()
    return stream, graph


def test_reductions_with_barriers():
    x = np.random.default_rng(0).normal(size=(37, 53, 11)).astype("float32")
    for axis in (None, 0, 1, (0, 2), 2):
        np.testing.assert_allclose(cp.asarray(x).sum(axis=axis).get(), x.sum(axis=axis), rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(cp.asarray(x).max(axis=axis).get(), x.max(axis=axis))
    np.testing.assert_allclose(
        cp.cumsum(cp.asarray(x), axis=0).get(), np.cumsum(x, axis=0), rtol=1e-4, atol=1e-5
    )


def test_shuffles_and_dynamic_shared_memory():
    text = """extern "C" __global__ void total(const int* x, int* out) {
        extern __shared__ int sums[];
        int v = x[blockIdx.x * blockDim.x + threadIdx.x];
        for (int d = 16; d; d >>= 1) v += __shfl_down_sync(0xffffffffu, v, d);
        if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = v;
        __syncthreads();
        if (threadIdx.x == 0) {
            int s = 0;
            for (int i = 0; i < blockDim.x / 32; i++) s += sums[i];
            atomicAdd(out, s);
        }
    }"""
    x, out = cp.arange(1024, dtype="int32"), cp.zeros((), "int32")
    cp.RawKernel(text, "total")((8,), (128,), (x, out), shared_mem=64)
    assert int(out) == 1023 * 512


def test_a_graph_sees_new_values():
    x = cp.arange(5, dtype="float32")
    out = cp.zeros(5, "float32")
    cp.add(x, 1, out=out)
    before = cpucuda.counter("graph launches")
    stream, graph = captured(lambda: cp.add(x, 1, out=out))
    x *= 10
    cp.cuda.Stream.null.synchronize()
    graph.launch(stream)
    stream.synchronize()
    assert out.get().tolist() == [1, 11, 21, 31, 41]
    assert cpucuda.counter("graph launches") == before + 1


@pytest.mark.parametrize("work", [
    lambda: cp.cuda.get_current_stream().synchronize(),
    lambda: cp.cuda.Device().synchronize(),
    lambda: cp.cuda.get_current_stream().done,
])  # fmt: skip
def test_waiting_breaks_a_capture(work):
    def quiet():
        with contextlib.suppress(cp.cuda.runtime.CUDARuntimeError):
            work()

    with pytest.raises(cp.cuda.runtime.CUDARuntimeError, match="StreamCaptureInvalidated"):
        captured(quiet)


def test_cupy_refuses_transfers_and_cublas():
    a = cp.ones((3, 3), "float32")
    a @ a
    for work in (lambda: a @ a, lambda: a.get(), lambda: cp.asarray(np.ones(3))):
        with pytest.raises((RuntimeError, NotImplementedError), match="captur"):
            captured(work)


def test_the_old_default_stream_beside_a_blocking_capture():
    x, stream = cp.ones(3), cp.cuda.Stream()
    x + 1
    with stream:
        stream.begin_capture()
    with pytest.raises(Exception, match=r"StreamCaptureImplicit|CUDA_ERROR"), cp.cuda.Stream.null:
        x + 1
    with pytest.raises(cp.cuda.runtime.CUDARuntimeError):
        stream.end_capture()


def test_late_streams_show_a_missing_wait():
    text = """
import cupy as cp, numpy as np
a, b = cp.cuda.Stream(non_blocking=True), cp.cuda.Stream(non_blocking=True)
x = cp.zeros(4); cp.cuda.Device().synchronize()
with a: x += 1; e = a.record()
if {wait}: b.wait_event(e)
with b: y = x * 2
b.synchronize(); print(float(y.get()[0]))
"""
    found = []
    for wait in (True, False):
        done = subprocess.run([sys.executable, "-c", text.format(wait=wait)], capture_output=True, text=True,
                              env={**os.environ, "CPUCUDA_LAZY": "1"}, check=True)  # fmt: skip
        found.append(float(done.stdout))
    assert found == [2.0, 0.0]


def test_a_kernel_that_stops_at_an_element_goes_on_with_the_others():
    first = cp.ElementwiseKernel(
        "int32 x", "int32 y", "if (x == 0) { y = 7; return; } y = x", "stops_at_zero"
    )
    assert first(cp.asarray([1, 0, 2, 0, 3], dtype="int32")).get().tolist() == [1, 7, 2, 7, 3]
    ordered = np.asarray([0, 4, 7, 7, 10], "int32")
    for side in ("left", "right"):
        found = cp.searchsorted(cp.asarray(ordered), cp.arange(13), side=side).get()
        np.testing.assert_array_equal(found, np.searchsorted(ordered, np.arange(13), side=side))
