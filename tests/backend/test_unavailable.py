"""Backends that cannot serve, and what is told about them."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys

import numpy as np
import pytest

from portnn._version import __version__
from portnn.backend import (
    BackendUnavailableError,
    _backend,
    _config,
    _errors,
    available_backends,
    get_backend,
    show_config,
)
from tests.backend.fake_cupy import CudaError, raiser
from tests.backend.refused import refused


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
def test_a_missing_package_comes_with_its_command(hide, name, package, command):
    hide(package)
    error = refused(name)
    assert error.reason == "package"
    assert f"{package} is not installed" in str(error)
    assert command in str(error)


def test_a_package_that_does_not_import_is_told_apart(monkeypatch, hide):
    hide("torch")
    monkeypatch.setattr(_errors, "is_installed", lambda package: True)
    monkeypatch.setattr(_errors.importlib, "import_module", raiser(OSError("libtorch.so: truncated")))
    error = refused("torch")
    assert error.reason == "broken"
    assert "libtorch.so: truncated" in str(error)
    assert "Reinstall" in str(error)


def test_auto_without_cupy_is_numpy(hide):
    hide("cupy")
    assert get_backend("auto").name == "numpy"
    assert get_backend().name == "numpy"


def test_available_backends_lists_what_allocates(cupy):
    names = available_backends()
    assert names[:3] == ["numpy", "cupy:0", "cupy:1"]
    assert "array_api_strict:device1" in names
    assert all(get_backend(name).name == name for name in names)
    cupy.cuda.runtime.getDeviceCount = lambda: 1
    cupy.ones = raiser(CudaError("cudaErrorECCUncorrectable"))
    _backend._open.cache_clear()
    assert not [name for name in available_backends() if name.startswith("cupy")]


def test_show_config_names_each_gpu(cupy):
    text = io.StringIO()
    show_config(text)
    for number in (0, 1):
        line = f"cupy:{number}: GPU number {number}, 85.0 GB, compute capability 9.0, CUDA 12.6, driver for "
        assert f"{line}CUDA 12.8" in text.getvalue()
    assert "numpy:" not in text.getvalue()


def test_show_config_names_versions_devices_and_commands(cupy, builds, capsys):
    builds("cupy-cuda12x", "cupy-cuda13x")
    text = io.StringIO()
    show_config(text)
    lines = text.getvalue()
    assert f"numpy             {np.__version__}" in lines
    assert "cupy              14.2.0, 14.2.0" in lines
    assert "works: array_api_strict, array_api_strict:device1" in lines
    assert "pip uninstall -y cupy-cuda12x cupy-cuda13x" in lines
    show_config()
    assert capsys.readouterr().out == lines


@pytest.mark.parametrize("package", ["torch", "jax"])
def test_show_config_tells_how_to_get_what_is_missing(hide, package, monkeypatch):
    hide(package)
    monkeypatch.setattr(_config, "_version", lambda distribution: "not installed")
    text = io.StringIO()
    show_config(text)
    said = text.getvalue()
    assert f'pip install "portnn[{package}]"' in said
    [line] = [line for line in said.splitlines() if line.startswith(f"{package} ")]
    assert line.endswith(f'{package} is not installed. Get it by: pip install "portnn[{package}]"')
    assert f"portnn            {__version__}\n" in said  # also where it is run from its folder


def test_a_cpu_build_of_torch_is_told_from_a_missing_gpu():
    torch = pytest.importorskip("torch", reason="PyTorch is optional; tests(torch) has it")
    if torch.version.cuda is not None:
        pytest.skip("this torch is a CUDA build")
    error = refused("torch:cuda")
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
    torch = pytest.importorskip("torch", reason="PyTorch is optional; tests(torch) has it")
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.cuda, "init", raiser(failure) if failure else lambda: None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    error = refused(name)
    assert error.reason == reason
    assert part in str(error)


def test_a_torch_device_that_holds_no_values_is_refused():
    pytest.importorskip("torch", reason="PyTorch is optional; tests(torch) has it")
    error = refused("torch:meta")
    assert error.reason == "device"
    assert "torch cannot add on it" in str(error)


@pytest.mark.parametrize("name", ["jax:nope", "jax:cpu:99"])
def test_a_jax_device_that_is_not_there(name):
    pytest.importorskip("jax")
    error = refused(name)
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
