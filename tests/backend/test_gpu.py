"""The GPU on a stand-in for CuPy: each way to fail, and what a healthy one does."""

from __future__ import annotations

import numpy as np
import pytest

from portnn import ops
from portnn.backend import _cupy, get_backend
from tests.backend.fake_cupy import CompileError, CudaError, FakeArray, FakeDevice, Neighbour, made_on, raiser
from tests.backend.refused import refused


@pytest.mark.parametrize(
    ("code", "driver", "reason", "parts"),
    [
        ("cudaErrorInsufficientDriver: CUDA driver version is insufficient", 0, "driver",
         ["no NVIDIA driver is loaded", "CUDA said: cudaErrorInsufficientDriver"]),
        ("cudaErrorInsufficientDriver: CUDA driver version is insufficient", 12080, "driver",
         ["serves CUDA 12 only", "update the driver"]),
        ("cudaErrorNoDevice: no CUDA-capable device is detected", 13000, "device",
         ["no GPU is visible", "cudaErrorNoDevice", "CUDA_VISIBLE_DEVICES"]),
    ],
)  # fmt: skip
def test_cuda_that_does_not_start_is_told_in_its_own_words(cupy, code, driver, reason, parts):
    cupy.cuda.runtime.getDeviceCount = raiser(CudaError(code))
    cupy.cuda.runtime.driverGetVersion = lambda: driver
    error = refused("gpu")
    assert error.reason == reason
    assert isinstance(error.__cause__, CudaError)
    assert all(part in str(error) for part in parts), str(error)


def test_no_device_at_all(cupy):
    cupy.cuda.runtime.getDeviceCount = lambda: 0
    error = refused("gpu")
    assert error.reason == "device"
    assert "0 devices" in str(error)


def test_a_number_too_high_says_how_many_there_are(cupy):
    error = refused("gpu:2")
    assert (error.backend, error.reason) == ("cupy:2", "device")
    assert "2 GPUs, numbered from 0" in str(error)
    assert "'gpu:1' or lower" in str(error)


def test_two_builds_are_named_with_the_command(cupy, builds):
    builds("cupy-cuda12x", "cupy", "cupy_cuda13x", "cupyx-tools")
    error = refused("gpu")
    assert error.reason == "conflict"
    assert "3 CuPy builds" in str(error)
    assert "pip uninstall -y cupy cupy-cuda12x cupy-cuda13x" in str(error)


def test_rounding_of_all_products_is_refused(cupy, monkeypatch):
    for harmless in ("0", ""):
        monkeypatch.setenv("CUPY_TF32", harmless)
        assert get_backend("gpu").name == "cupy:0"
    monkeypatch.setenv("CUPY_TF32", "1")
    assert get_backend("gpu").name == "cupy:0"  # it is open
    error = refused("gpu:1")
    assert error.reason == "conflict"
    assert 'precision="tf32"' in str(error)
    assert len(str(error)) < 300


@pytest.mark.parametrize(
    "failure",
    [
        CudaError("cudaErrorMemoryAllocation: out of memory"),
        CompileError("nvrtc: error: failed"),
        MemoryError("Out of memory allocating 512 bytes"),
        ImportError("libnvrtc.so.12: cannot open shared object file"),
        OSError("libcublas.so.12: " + "long " * 200),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_gpu_that_cannot_compute_is_found_by_computing(cupy, failure):
    cupy.ones = raiser(failure)
    error = refused("gpu")
    assert error.reason == "broken"
    assert str(failure)[:20] in str(error)
    assert "portnn[cuda12x]" in str(error)


def test_a_gpu_that_computes_wrongly_is_refused(cupy):
    cupy.ones = lambda shape, dtype: FakeArray(np.zeros(shape, dtype))
    error = refused("gpu")
    assert error.reason == "broken"
    assert "2 + 2 = 2" in str(error)


def test_a_failure_is_not_remembered(cupy):
    healthy = cupy.ones
    cupy.ones = raiser(MemoryError("full"))
    refused("gpu")
    cupy.ones = healthy
    assert get_backend("gpu").name == "cupy:0"


def test_a_healthy_gpu_serves(cupy):
    backend = get_backend("gpu:1")
    assert backend.name == "cupy:1"
    assert get_backend("cupy:1") is backend
    assert get_backend("auto").name == "cupy:0"
    x = backend.asarray(np.asarray([1.0, 2.0]))
    assert (type(x), x.device.id) == (FakeArray, 1)
    assert backend.owns(x)
    assert not get_backend("gpu").owns(x)
    assert backend.to_numpy(x).tolist() == [1.0, 2.0]
    assert backend.asarray(x, dtype="float32").dtype == np.float32
    with backend.activate():
        assert FakeDevice.entered == [1]
    assert FakeDevice.entered == []
    backend.synchronize()
    assert FakeDevice.synchronized == [1]


@pytest.fixture
def host_reads():
    """The arrays of another GPU library that were read through the host."""
    Neighbour.host_reads.clear()
    return Neighbour.host_reads


def test_arrays_on_the_same_gpu_cross_without_the_host(cupy, host_reads):
    x = Neighbour([1.0, 2.0])
    y = get_backend("gpu").asarray(x, dtype="float32")
    assert (type(y), y.dtype, y.get().tolist()) == (FakeArray, np.float32, [1.0, 2.0])
    assert host_reads == []


def test_what_dlpack_cannot_carry_goes_through_the_host(cupy, host_reads):
    backend = get_backend("gpu")
    other_gpu = made_on(FakeDevice(1), [1.0], Neighbour)
    assert backend.asarray(other_gpu).device.id == 0
    assert host_reads == [other_gpu]
    backend.xp.from_dlpack = raiser(BufferError("no such data type in DLPack"))
    assert backend.asarray(Neighbour([1.0])).get().tolist() == [1.0]
    assert len(host_reads) == 2


def test_a_dtype_that_the_gpu_lacks_is_not_narrowed_by_dlpack(cupy):
    with pytest.raises(ValueError, match="'cupy:0' has no dtype 'complex128'"):
        get_backend("gpu").asarray(Neighbour([1j]))


def test_auto_with_a_cupy_that_fails_is_numpy_and_says_so(cupy):
    cupy.cuda.runtime.getDeviceCount = raiser(CudaError("cudaErrorNoDevice: none"))
    with pytest.warns(RuntimeWarning, match="'auto' is NumPy here, since .* no GPU is visible"):
        assert get_backend("auto").name == "numpy"


def test_new_arrays_are_made_on_the_device_that_is_asked_for(cupy):
    first, second = get_backend("gpu:0"), get_backend("gpu:1")
    first.xp.zeros = lambda shape, dtype, device=None: FakeArray(np.zeros(shape, dtype))  # as the real one
    assert ops.zeros(2, dtype="float32", like=second).device.id == 1
    assert ops.zeros(2, dtype="float32", like=second, device=first.device).device.id == 0


def test_asarray_brings_an_array_of_another_gpu(cupy, monkeypatch):
    backend = get_backend("gpu:1")
    backend.xp.asarray = lambda x, copy=None, dtype=None: x  # the real one leaves it where it is
    monkeypatch.setattr(_cupy.array_api_compat, "to_device", lambda x, device: made_on(device, x.value))
    assert ops.asarray(FakeArray([1.0]), like=backend).device.id == 1
    with pytest.raises(ValueError, match="copy=False is impossible: the array is on GPU 0, not 1"):
        ops.asarray(FakeArray([1.0]), like=backend, copy=False)


def test_dlpack_from_the_host_needs_a_device(cupy):
    backend = get_backend("gpu:1")
    backend.xp.from_dlpack.__name__ = "from_dlpack"
    with pytest.raises(ValueError, match=r"x is in host memory, .*; pass device="):
        ops.from_dlpack(np.ones(2), like=backend)
    with pytest.raises(ValueError, match="x is in host memory"):
        ops.from_dlpack(np.ones(2), like=backend, device=backend.device, copy=False)
    x = ops.from_dlpack(np.ones(2), like=backend, device=backend.device)
    assert (x.device.id, x.get().tolist()) == (1, [1.0, 1.0])
