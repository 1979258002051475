"""A stand-in for CuPy with two healthy GPUs, for machines that have none."""

from __future__ import annotations

import types
from typing import ClassVar

import numpy as np


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


def raiser(error):
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


PROPERTIES = {"totalGlobalMem": 85_000_000_000, "major": 9, "minor": 0}


def make_modules():
    """The modules cupy and array_api_compat.cupy."""
    module = types.ModuleType("cupy")
    runtime = types.SimpleNamespace(
        CUDARuntimeError=CudaError,
        getDeviceCount=lambda: 2,
        driverGetVersion=lambda: 12080,
        runtimeGetVersion=lambda: 12060,
        getDeviceProperties=lambda number: PROPERTIES | {"name": b"GPU number %d" % number},
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
    namespace.zeros = lambda shape, dtype, device: made_on(device, np.zeros(shape, dtype))
    namespace.from_dlpack = lambda x: FakeArray(x.value)
    return module, namespace


def made_on(device, value, kind=FakeArray):
    """An array made while the device is the current one."""
    with device:
        return kind(value)
