"""The emulated GPU computes, and refuses what CUDA and CuPy refuse."""

import contextlib
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pytest

cpucuda = pytest.importorskip("cpucuda", reason="needs the emulated GPU: nox -s 'tests(emulated)'")
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


def run(text, **settings):
    """Return the output of a program on an emulated GPU with these settings."""
    environment = {**os.environ, **{f"CPUCUDA_{name}": str(value) for name, value in settings.items()}}
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(("wait", "expected"), [(True, 2.0), (False, 0.0)])
def test_late_streams_show_a_missing_wait(wait, expected):
    text = f"""
import cupy as cp
a, b = cp.cuda.Stream(non_blocking=True), cp.cuda.Stream(non_blocking=True)
x = cp.zeros(4); cp.cuda.Device().synchronize()
with a: x += 1; e = a.record()
if {wait}: b.wait_event(e)
with b: y = x * 2
b.synchronize(); print(float(y.get()[0]))
"""
    assert run(text, LAZY=1) == [str(expected)]


def test_asking_a_late_stream_again_and_again_comes_to_an_end():
    text = """
import cupy as cp
stream = cp.cuda.Stream(non_blocking=True)
with stream: x = cp.ones(3) + 1; event = stream.record()
asked = 0
while not event.done: asked += 1
print(asked > 0, stream.done)
"""
    assert run(text, LAZY=1) == ["True True"]


def test_a_kernel_that_stops_at_an_element_goes_on_with_the_others():
    first = cp.ElementwiseKernel(
        "int32 x", "int32 y", "if (x == 0) { y = 7; return; } y = x", "stops_at_zero"
    )
    assert first(cp.asarray([1, 0, 2, 0, 3], dtype="int32")).get().tolist() == [1, 7, 2, 7, 3]
    ordered = np.asarray([0, 4, 7, 7, 10], "int32")
    for side in ("left", "right"):
        found = cp.searchsorted(cp.asarray(ordered), cp.arange(13), side=side).get()
        np.testing.assert_array_equal(found, np.searchsorted(ordered, np.arange(13), side=side))


TWO = """
import threading, warnings
import cupy as cp, numpy as np
from cupy.cuda import runtime
def refused(work):
    try: work()
    except Exception as error: return f"{type(error).__name__}: {error}"[:70]
"""


def test_each_gpu_counts_its_memory():
    text = """
size = 40 << 20
x = cp.empty(size, "uint8")
with cp.cuda.Device(1): y, free = cp.empty(size, "uint8"), runtime.memGetInfo()
print((x.device.id, y.device.id), [n >> 20 for n in (*free, *runtime.memGetInfo())])
print(refused(lambda: cp.empty(size, "uint8")))
del x; cp.get_default_memory_pool().free_all_blocks()
print(cp.empty(size, "uint8").device, runtime.memGetInfo()[0] >> 20)
print(refused(lambda: runtime.setDevice(2)), runtime.deviceGetPCIBusId(1))
"""
    places, full, again, beyond = run(TWO + text, DEVICES=2, MEMORY_MB=64)
    assert places == "(0, 1) [24, 64, 24, 64]"
    assert full.startswith("OutOfMemoryError: Out of memory allocating 41,943,040 bytes")
    assert again == "<CUDA Device 0> 24"
    assert beyond == "CUDARuntimeError: cudaErrorInvalidDevice: invalid device ordinal 0000:02:00.0"


PEERS = """
x = cp.arange(4.0)
print(runtime.deviceCanAccessPeer(0, 1), runtime.deviceCanAccessPeer(0, 0))
print(refused(lambda: runtime.deviceEnablePeerAccess(1)))
print(refused(lambda: runtime.deviceEnablePeerAccess(1)))
print(refused(lambda: runtime.deviceEnablePeerAccess(0)))
with cp.cuda.Device(1), warnings.catch_warnings():
    warnings.simplefilter("ignore")
    print(cp.asarray(x).copy().tolist(), refused(lambda: x + 1))
    if runtime.deviceCanAccessPeer(1, 0): print((x + 1).tolist())
"""


def test_gpus_without_peer_access_copy_and_refuse_the_rest():
    can, *refusals, copied = run(TWO + PEERS, DEVICES=2)
    assert can == "0 0"
    unsupported = "CUDARuntimeError: cudaErrorPeerAccessUnsupported: peer access is not s"
    assert refusals == [
        unsupported,
        unsupported,
        "CUDARuntimeError: cudaErrorInvalidDevice: invalid device ordinal",
    ]
    assert copied.startswith("[0.0, 1.0, 2.0, 3.0] ValueError: The device where the array resides")


def test_gpus_with_peer_access_read_each_other():
    can, enabled, again, itself, copied, plus = run(TWO + PEERS, DEVICES=2, PEERS=1)
    assert (can, enabled) == ("1 0", "None")
    assert again == "CUDARuntimeError: cudaErrorPeerAccessAlreadyEnabled: peer access is al"
    assert itself == "CUDARuntimeError: cudaErrorInvalidDevice: invalid device ordinal"
    assert (copied, plus) == ("[0.0, 1.0, 2.0, 3.0] None", "[1.0, 2.0, 3.0, 4.0]")


# A kernel is given a number that is an address of the other GPU, which CuPy cannot see.
ADDRESS = """
text = 'extern "C" __global__ void read(const double* x, double* y) { y[threadIdx.x] = x[threadIdx.x] + 1; }'
x = cp.arange(4.0); cp.cuda.Device().synchronize()
with cp.cuda.Device(1):
    if runtime.deviceCanAccessPeer(1, 0): runtime.deviceEnablePeerAccess(0)
    y = cp.zeros(4)
    print(refused(lambda: cp.RawKernel(text, "read")((1,), (4,), (np.uint64(x.data.ptr), y))))
    print(refused(lambda: cp.cuda.Device().synchronize()))
    print(refused(lambda: y.tolist()))
print(x.tolist())
"""
ILLEGAL = "CUDARuntimeError: cudaErrorIllegalAddress: an illegal memory access wa"


@pytest.mark.parametrize("lazy", [0, 1])
def test_a_kernel_with_an_address_of_another_gpu(lazy):
    launch, wait, later, elsewhere = run(TWO + ADDRESS, DEVICES=2, LAZY=lazy)
    assert (launch, wait, later) == ("None", ILLEGAL, ILLEGAL)  # it shows late, and stays
    assert elsewhere == "[0.0, 1.0, 2.0, 3.0]"
    assert run(TWO + ADDRESS, DEVICES=2, LAZY=lazy, PEERS=1) == ["None", "None", "None", elsewhere]


def test_streams_events_and_the_current_device_belong_to_gpus():
    text = """
x = cp.zeros(3); x + 1; a = cp.ones((2, 2)); a @ a
with cp.cuda.Device(1): stream, event = cp.cuda.Stream(non_blocking=True), cp.cuda.Event()
runtime.streamSynchronize(stream.ptr)
kernel = cp.RawKernel('extern "C" __global__ void none() {}', "none"); kernel.compile()
print(refused(lambda: kernel((1,), (1,), (), stream=stream)))
print(refused(lambda: event.record(cp.cuda.Stream())))
other = cp.cuda.Stream(); begin = other.record(); runtime.streamWaitEvent(stream.ptr, begin.ptr)
print(event.record(stream), refused(lambda: cp.cuda.get_elapsed_time(begin, event)))
seen = []
def work(): seen.append(runtime.getDevice()); runtime.setDevice(1); seen.append(cp.zeros(2).device.id)
thread = threading.Thread(target=work); thread.start(); thread.join()
print(seen, runtime.getDevice())
"""
    launch, record, elapsed, threads = run(TWO + text, DEVICES=2)
    assert "INVALID_HANDLE" in launch
    assert record == "CUDARuntimeError: cudaErrorInvalidResourceHandle: invalid resource han"
    assert elapsed == "None CUDARuntimeError: cudaErrorInvalidResourceHandle: invalid resource han"
    assert threads == "[0, 1] 0"


def test_late_streams_of_two_gpus_show_a_missing_wait():
    text = """
a = cp.cuda.Stream(non_blocking=True)
x = cp.zeros(4); cp.cuda.Device().synchronize()
with a: x += 1
event = a.record()
with cp.cuda.Device(1):
    b, y = cp.cuda.Stream(non_blocking=True), cp.empty(4)
    for wait in (False, True):
        if wait: b.wait_event(event)
        runtime.memcpyPeerAsync(y.data.ptr, 1, x.data.ptr, 0, x.nbytes, b.ptr)
        b.synchronize(); print(y.tolist())
"""
    assert run(TWO + text, DEVICES=2, LAZY=1) == [str([0.0] * 4), str([1.0] * 4)]


# The last needs an instruction that GPUs before Ampere lack.
TEXTS = (
    """
from cpucuda.nvrtc import compile_text
name = "//name twice<float>\\ntemplate <class T> __global__ void twice(T* x) { x[threadIdx.x] *= 2; }"
ampere = """
    + repr("""extern "C" __global__ void cast(const float* x, unsigned short* y) {
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(y[0]) : "f"(x[0]));
}""")
    + """
for text, architecture in ((name, "sm_75"), (name + "?", "sm_75"), (ampere, "sm_80"), (ampere, "sm_75")):
    status, log = compile_text(text, architecture)
    print(status == 0, "error" in log)
"""
)


def test_the_real_nvrtc_refuses_what_is_no_cuda_and_what_a_gpu_lacks():
    try:
        version("nvidia-cuda-nvrtc")
    except PackageNotFoundError:
        pytest.skip("nvidia-cuda-nvrtc is not installed")
    assert run(TEXTS) == ["True False", "False True", "True False", "False True"]


def test_what_is_missing_for_the_build_is_named(monkeypatch):
    from cpucuda import build

    monkeypatch.setattr(build, "CXX", "no-such-compiler")
    with pytest.raises(RuntimeError, match="expected no-such-compiler, but it is not on PATH; install it"):
        build.check_requirements()
    monkeypatch.undo()
    monkeypatch.setattr(build, "cuda_headers", lambda: Path("nowhere"))
    packages = r"pip install 'nvidia-cuda-runtime==13\.0\.\*' 'nvidia-cuda-crt==13\.0\.\*'"
    with pytest.raises(RuntimeError, match=packages):
        build.check_requirements()


def test_processes_that_build_kernels_at_once(tmp_path):
    text = "from cpucuda import build; print(build.build_kernels().flags)"
    command = [sys.executable, "-c", text]
    environment = {**os.environ, "CPUCUDA_HOME": str(tmp_path / "a folder")}
    both = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    paths = {process.communicate()[0].strip() for process in both}
    assert [process.returncode for process in both] == [0, 0]
    [flags] = paths
    assert "a\\ folder" in Path(flags).read_text()
    assert Path(flags).with_suffix(".h.gch").stat().st_size
