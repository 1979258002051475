"""Backends that cannot serve: each reason, on a stand-in for CuPy where no GPU is at hand."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import io
import pickle
import subprocess
import sys
import types
from typing import ClassVar

import numpy as np
import pytest

from portnn.backend import (
    BackendUnavailableError,
    _backend,
    _errors,
    available_backends,
    get_backend,
    show_config,
)


class CudaError(RuntimeError):
    """Stands for cupy.cuda.runtime.CUDARuntimeError."""


class CompileError(Exception):
    """Stands for cupy.cuda.compiler.CompileException."""


class FakeDevice:
    """Stands for cupy.cuda.Device: compares, does not hash."""

    __hash__ = None
    entered: ClassVar[list[int]] = []
    synchronized: ClassVar[list[int]] = []

    def __init__(self, number):
        self.id = number

    def __eq__(self, other):
        return self.id == other.id

    def __enter__(self):
        self.entered.append(self.id)
        return self

    def __exit__(self, *error):
        self.entered.pop()

    def synchronize(self):
        self.synchronized.append(self.id)


class GpuArray:
    """An array in the memory of the GPU that was current when it was made."""

    def __init__(self, value):
        self.value = np.asarray(value)
        self.dtype = self.value.dtype
        self.device = FakeDevice(FakeDevice.entered[-1] if FakeDevice.entered else 0)

    def __add__(self, other):
        return type(self)(self.value + other)

    def sum(self):
        return type(self)(self.value.sum())

    def __float__(self):
        return float(self.value)

    def __dlpack_device__(self):
        return (2, self.device.id)


class FakeArray(GpuArray):
    """Stands for cupy.ndarray."""

    def get(self):
        return self.value.copy()


class Neighbour(GpuArray):
    """An array of another library on a GPU of the same kind."""

    host_reads: ClassVar[list[object]] = []

    def __array_namespace__(self, api_version=None):
        return types.ModuleType("neighbour")

    def __array__(self, dtype=None, copy=None):
        self.host_reads.append(self)
        return self.value


def _raiser(error):
    def function(*args, **kwargs):
        raise error

    return function


class Info:
    """What the stand-in says of itself."""

    @staticmethod
    def dtypes(device=None):
        return {name: np.dtype(name) for name in ("bool", "int64", "float32", "float64")}

    @staticmethod
    def default_dtypes(device=None):
        return {"real floating": np.dtype("float64"), "integral": np.dtype("int64")}


@pytest.fixture(autouse=True)
def _forget(monkeypatch):
    """Backends opened before are forgotten during a test, and those of the test after it."""
    monkeypatch.setattr(_backend, "_BY_NAME", {})
    _backend._open.cache_clear()
    yield
    _backend._open.cache_clear()


@pytest.fixture
def cupy(monkeypatch):
    """A CuPy with two healthy GPUs, which tests then break."""
    module = types.ModuleType("cupy")
    runtime = types.SimpleNamespace(
        CUDARuntimeError=CudaError, getDeviceCount=lambda: 2, driverGetVersion=lambda: 12080
    )
    compiler = types.SimpleNamespace(CompileException=CompileError)
    module.cuda = types.SimpleNamespace(runtime=runtime, compiler=compiler, Device=FakeDevice)
    module.ndarray, module.float32 = FakeArray, np.float32
    module.ones = lambda shape, dtype: FakeArray(np.ones(shape, dtype))
    module.asarray = FakeArray
    module.ascontiguousarray = lambda x: x
    namespace = types.ModuleType("array_api_compat.cupy")
    namespace.__array_namespace_info__ = Info
    namespace.float32, namespace.float64 = np.dtype("float32"), np.dtype("float64")
    namespace.astype = lambda x, dtype: FakeArray(x.value.astype(dtype))
    namespace.zeros = lambda shape, dtype, device: _made_on(device, np.zeros(shape, dtype))
    namespace.from_dlpack = lambda x: FakeArray(x.value)
    monkeypatch.setitem(sys.modules, "cupy", module)
    monkeypatch.setitem(sys.modules, "array_api_compat.cupy", namespace)
    _builds(monkeypatch, "cupy-cuda12x", "numpy")
    FakeDevice.synchronized.clear()
    return module


def _made_on(device, value, kind=FakeArray):
    with device:
        return kind(value)


def _builds(monkeypatch, *names):
    found = [types.SimpleNamespace(name=name) for name in names]
    monkeypatch.setattr(importlib.metadata, "distributions", lambda: found)


def _hide(monkeypatch, *packages):
    """As if the packages were not installed."""
    find = importlib.util.find_spec
    for package in packages:
        monkeypatch.delitem(sys.modules, package, raising=False)
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name in packages else find(name, *rest)
    )


def _refused(name):
    with pytest.raises(BackendUnavailableError) as caught:
        get_backend(name)
    error = caught.value
    assert isinstance(error, RuntimeError)
    assert len(str(error)) < 300
    assert str(error).startswith(f"backend {error.backend!r} is not available: ")
    return error


@pytest.mark.parametrize(
    ("name", "package", "command"),
    [
        ("gpu", "cupy", 'pip install "portnn[cuda13x]"'),
        ("gpu:3", "cupy", 'pip install "portnn[cuda12x]"'),
        ("cupy", "cupy", 'pip install "portnn[cuda12x]"'),
        ("torch", "torch", 'pip install "portnn[torch]"'),
        ("torch:cuda", "torch", 'pip install "portnn[torch]"'),
        ("jax", "jax", 'pip install "portnn[jax]"'),
        ("array_api_strict", "array_api_strict", "pip install array-api-strict"),
    ],
)
def test_a_missing_package_comes_with_its_command(monkeypatch, name, package, command):
    _hide(monkeypatch, package)
    error = _refused(name)
    assert error.reason == "package"
    assert f"{package} is not installed" in str(error)
    assert command in str(error)


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
    cupy.cuda.runtime.getDeviceCount = _raiser(CudaError(code))
    cupy.cuda.runtime.driverGetVersion = lambda: driver
    error = _refused("gpu")
    assert error.reason == reason
    assert isinstance(error.__cause__, CudaError)
    assert all(part in str(error) for part in parts), str(error)


def test_no_device_at_all(cupy):
    cupy.cuda.runtime.getDeviceCount = lambda: 0
    error = _refused("gpu")
    assert error.reason == "device"
    assert "0 devices" in str(error)


def test_a_number_too_high_says_how_many_there_are(cupy):
    error = _refused("gpu:2")
    assert (error.backend, error.reason) == ("cupy:2", "device")
    assert "2 GPUs, numbered from 0" in str(error)
    assert "'gpu:1' or lower" in str(error)


def test_two_builds_are_named_with_the_command(cupy, monkeypatch):
    _builds(monkeypatch, "cupy-cuda12x", "numpy", "cupy", "cupy_cuda13x", "cupyx-tools")
    error = _refused("gpu")
    assert error.reason == "conflict"
    assert "3 CuPy builds" in str(error)
    assert "pip uninstall -y cupy cupy-cuda12x cupy-cuda13x" in str(error)


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
    cupy.ones = _raiser(failure)
    error = _refused("gpu")
    assert error.reason == "broken"
    assert str(failure)[:20] in str(error)
    assert "portnn[cuda12x]" in str(error)


def test_a_gpu_that_computes_wrongly_is_refused(cupy):
    cupy.ones = lambda shape, dtype: FakeArray(np.zeros(shape, dtype))
    error = _refused("gpu")
    assert error.reason == "broken"
    assert "2 + 2 = 2" in str(error)


def test_a_package_that_does_not_import_is_told_apart(monkeypatch):
    _hide(monkeypatch, "torch")
    monkeypatch.setattr(_errors, "is_installed", lambda package: True)
    monkeypatch.setattr(_errors.importlib, "import_module", _raiser(OSError("libtorch.so: truncated")))
    error = _refused("torch")
    assert error.reason == "broken"
    assert "libtorch.so: truncated" in str(error)
    assert "Reinstall" in str(error)


def test_a_failure_is_not_remembered(cupy):
    healthy = cupy.ones
    cupy.ones = _raiser(MemoryError("full"))
    _refused("gpu")
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
    backend.xp.from_dlpack = _raiser(BufferError("no such data type in DLPack"))
    assert backend.asarray(Neighbour([1.0])).get().tolist() == [1.0]
    assert len(host_reads) == 1
    other_gpu = _made_on(FakeDevice(1), [1.0], Neighbour)
    assert backend.asarray(other_gpu).device.id == 0
    assert len(host_reads) == 2


def test_a_dtype_that_the_gpu_lacks_is_not_narrowed_by_dlpack(cupy):
    with pytest.raises(ValueError, match="'cupy:0' has no dtype 'complex128'"):
        get_backend("gpu").asarray(Neighbour([1j]))


def test_auto_without_cupy_is_numpy(monkeypatch):
    _hide(monkeypatch, "cupy")
    assert get_backend("auto").name == "numpy"
    assert get_backend().name == "numpy"


def test_auto_with_a_cupy_that_fails_is_numpy_and_says_so(cupy):
    cupy.cuda.runtime.getDeviceCount = _raiser(CudaError("cudaErrorNoDevice: none"))
    with pytest.warns(RuntimeWarning, match="'auto' is NumPy here, since .* no GPU is visible"):
        assert get_backend("auto").name == "numpy"


def test_available_backends_lists_what_allocates(cupy):
    names = available_backends()
    assert names[:3] == ["numpy", "cupy:0", "cupy:1"]
    assert "array_api_strict:device1" in names
    assert all(get_backend(name).name == name for name in names)
    cupy.cuda.runtime.getDeviceCount = lambda: 1
    cupy.ones = _raiser(CudaError("cudaErrorECCUncorrectable"))
    _backend._open.cache_clear()
    assert not [name for name in available_backends() if name.startswith("cupy")]


def test_show_config_names_versions_devices_and_commands(cupy, monkeypatch, capsys):
    _builds(monkeypatch, "cupy-cuda12x", "cupy-cuda13x")
    text = io.StringIO()
    show_config(text)
    lines = text.getvalue()
    assert f"numpy             {np.__version__}" in lines
    assert "works: array_api_strict, array_api_strict:device1" in lines
    assert "pip uninstall -y cupy-cuda12x cupy-cuda13x" in lines
    show_config()
    assert capsys.readouterr().out == lines


@pytest.mark.parametrize("package", ["torch", "jax"])
def test_show_config_tells_how_to_get_what_is_missing(monkeypatch, package):
    _hide(monkeypatch, package)
    text = io.StringIO()
    show_config(text)
    assert f'pip install "portnn[{package}]"' in text.getvalue()


def test_a_cpu_build_of_torch_is_told_from_a_missing_gpu():
    torch = pytest.importorskip("torch")
    if torch.version.cuda is not None:
        pytest.skip("this torch is a CUDA build")
    error = _refused("torch:cuda")
    assert (error.backend, error.reason) == ("torch:cuda:0", "package")
    assert "CPU build" in str(error)


@pytest.mark.parametrize(
    ("failure", "count", "name", "reason", "part"),
    [
        (
            RuntimeError("Found no NVIDIA driver on your system."),
            0,
            "torch:cuda",
            "driver",
            "no NVIDIA driver",
        ),
        (RuntimeError("No CUDA GPUs are available"), 0, "torch:cuda", "device", "No CUDA GPUs"),
        (None, 1, "torch:cuda:1", "device", "1 GPU, numbered from 0"),
    ],
)
def test_a_cuda_build_of_torch_without_a_gpu(monkeypatch, failure, count, name, reason, part):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.cuda, "init", _raiser(failure) if failure else lambda: None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    error = _refused(name)
    assert error.reason == reason
    assert part in str(error)


def test_a_torch_device_that_holds_no_values_is_refused():
    pytest.importorskip("torch")
    error = _refused("torch:meta")
    assert error.reason == "device"
    assert "torch cannot add on it" in str(error)


@pytest.mark.parametrize("name", ["jax:nope", "jax:cpu:99"])
def test_a_jax_device_that_is_not_there(name):
    pytest.importorskip("jax")
    error = _refused(name)
    assert error.reason == "device"
    assert "JAX" in str(error)


def test_the_error_survives_pickling():
    error = pickle.loads(pickle.dumps(BackendUnavailableError("cupy:0", "driver", "none is loaded")))
    assert (error.backend, error.reason) == ("cupy:0", "driver")
    assert str(error) == "backend 'cupy:0' is not available: none is loaded"


def test_importing_the_package_imports_no_array_library():
    code = "import sys, portnn.backend; print([m for m in ('torch', 'jax', 'cupy') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
