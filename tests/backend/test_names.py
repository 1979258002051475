"""get_backend: names, spellings, errors of names."""

from __future__ import annotations

import copy
import pickle
import types

import array_api_compat
import array_api_strict as strict
import numpy as np
import pytest

from portnn.backend import Backend, get_backend


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("cpu", "numpy"),
        ("numpy", "numpy"),
        ("numpy:cpu", "numpy"),
        ("array_api_strict", "array_api_strict"),
        ("array_api_strict:CPU_DEVICE", "array_api_strict"),
        ("array_api_strict:device1", "array_api_strict:device1"),
    ],
)
def test_a_backend_is_one_object_for_all_spellings(spelling, name):
    backend = get_backend(spelling)
    assert backend.name == name
    assert backend is get_backend(name)
    assert get_backend(backend) is backend


@pytest.mark.parametrize(
    ("package", "spelling", "name"),
    [("torch", "torch", "torch:cpu"), ("torch", "torch:cpu", "torch:cpu"), ("jax", "jax:cpu", "jax:cpu")],
)
def test_optional_libraries_have_canonical_names(package, spelling, name):
    pytest.importorskip(package)
    assert get_backend(spelling).name == name
    assert get_backend(spelling) is get_backend(name)


def test_a_backend_compares_prints_and_pickles_by_name():
    backend = get_backend("array_api_strict:device1")
    assert repr(backend) == "Backend(name='array_api_strict:device1')"
    assert pickle.loads(pickle.dumps(backend)) is backend
    assert copy.deepcopy({"on": backend})["on"] is backend
    assert len({backend, get_backend("numpy"), get_backend("cpu")}) == 2
    with pytest.raises(AttributeError):
        backend.name = "numpy"


BAD_NAMES = [
    (None, TypeError, ["'cpu' or a Backend", "NoneType"]),
    (0, TypeError, ["int"]),
    (np, TypeError, ["module"]),
    ("", ValueError, ["unknown backend ''", "'array_api_strict'"]),
    ("nope_xyz", ValueError, ["'nope_xyz'", "'cpu', 'gpu', 'gpu:1', 'auto'", "import name"]),
    ("NumPy!", ValueError, ["unknown backend"]),
    ("x" * 5000, ValueError, ["unknown backend"]),
    ("torch:" + "9" * 5000, ValueError, ["unknown backend"]),
    ("auto:1", ValueError, ["'auto:1'"]),
    ("gpu:-1", ValueError, ["'gpu:-1'", "'gpu:1'"]),
    ("gpu:first", ValueError, ["by its number", "'gpu:0'", "'first'"]),
    ("cupy:0:1", ValueError, ["by its number"]),
    ("numpy:gpu", ValueError, ["one device, 'cpu'", "'gpu'"]),
    ("array_api_strict:nope", ValueError, ["no device 'nope'", "CPU_DEVICE, device1"]),
    ("jax:cpu:x", ValueError, ["'jax:cpu' or 'jax:gpu:1'"]),
    ("json", ValueError, ["not a library of the Array API standard", "ones"]),
    ("json.nope", ValueError, ["not a library of the Array API standard", "No module"]),
    ("array_api_compat.numpy", ValueError, ["its arrays belong to numpy"]),
]


@pytest.mark.parametrize(("name", "kind", "parts"), BAD_NAMES, ids=[str(row[0])[:20] for row in BAD_NAMES])
def test_a_wrong_name_says_what_is_known(name, kind, parts):
    with pytest.raises(kind) as caught:
        get_backend(name)
    message = str(caught.value)
    assert type(caught.value) is kind
    assert all(part in message for part in parts), message
    assert len(message) < 300


def test_a_device_that_torch_does_not_know():
    pytest.importorskip("torch", reason="PyTorch is optional; tests(torch) has it")
    with pytest.raises(ValueError, match="knows no such device; try 'torch', 'torch:cuda'"):
        get_backend("torch:cudda")


def test_any_library_of_the_standard_serves_by_its_import_name(monkeypatch):
    # A library nobody has heard of: its namespace is a module, its arrays name it.

    class Array:
        device = "tin"

        def __init__(self, value):
            self.value = np.asarray(value)
            self.dtype = self.value.dtype

        def __array_namespace__(self, api_version=None):
            return tinlib

        def __array__(self, dtype=None, copy=None):
            return self.value

    class Info:
        devices = staticmethod(lambda: ["tin"])
        default_device = staticmethod(lambda: "tin")
        dtypes = staticmethod(lambda device=None: {"float32": np.float32})
        default_dtypes = staticmethod(lambda device=None: {"real floating": np.float32})

    tinlib = types.ModuleType("tinlib")
    tinlib.float32 = np.float32
    tinlib.ones = lambda shape, dtype: Array(np.ones(shape, dtype))
    tinlib.asarray = lambda x, device=None: Array(x)
    tinlib.__array_namespace_info__ = Info
    monkeypatch.setitem(__import__("sys").modules, "tinlib", tinlib)
    backend = get_backend("tinlib")
    assert (backend.name, backend.xp, backend.device) == ("tinlib", tinlib, "tin")
    x = backend.asarray([1.0, 2.0])
    assert isinstance(x, Array)
    assert backend.owns(x)
    assert backend.to_numpy(x).tolist() == [1.0, 2.0]
    assert not backend.owns(strict.ones(2))


def test_the_namespace_is_the_wrapped_one(backend):
    assert isinstance(backend.backend, Backend)
    x = backend.asarray(np.zeros(2, dtype=np.float32))
    assert array_api_compat.array_namespace(x) is backend.xp
    assert array_api_compat.device(x) == backend.device


def test_synchronize_and_activate_work_on_every_backend(backend, xp):
    with backend.backend.activate():
        x = xp.sum(backend.asarray(np.ones(100, dtype=np.float32)))
    backend.backend.synchronize()
    assert float(backend.to_numpy(x)) == 100.0
