"""Arrays between libraries: values, data types, memory, errors."""

from __future__ import annotations

import array_api_compat
import numpy as np
import pytest
from array_api_strict import Device

from portnn.backend import convert_like, get_backend
from tests.helpers import assert_close

NUMPY = get_backend("numpy")
STRICT = get_backend("array_api_strict")
DEVICE1 = get_backend("array_api_strict:device1")


def _newer_device(name):
    """A device that only newer releases of array-api-strict have."""
    try:
        return get_backend(f"array_api_strict:{name}")
    except ValueError as error:
        pytest.skip(str(error))


HOST_ARRAYS = {
    "matrix": np.arange(6.0, dtype=np.float32).reshape(2, 3),
    "scalar": np.asarray(2.5, dtype=np.float32),
    "numpy scalar": np.float32(2.5),
    "empty": np.zeros((0, 3), dtype=np.float32),
    "transposed": np.arange(6.0, dtype=np.float32).reshape(2, 3).T,
    "reversed": np.arange(6.0, dtype=np.float32)[::-1],
    "strided": np.arange(12, dtype=np.int32).reshape(3, 4)[:, ::2],
    "broadcast": np.broadcast_to(np.float32(1), (2, 2)),
    "big endian": np.arange(3, dtype=">f4"),
    "bool": np.asarray([True, False]),
    "uint8": np.asarray([0, 255], dtype=np.uint8),
    "int64": np.asarray([-(2**40), 2**40]),
    "complex64": np.asarray([1 + 2j], dtype=np.complex64),
}


@pytest.mark.parametrize("case", HOST_ARRAYS)
def test_values_and_dtype_survive_the_way_there_and_back(backend, case):
    host = HOST_ARRAYS[case]
    x = backend.backend.asarray(host)
    assert backend.backend.owns(x)
    expected = np.asarray(host, dtype=host.dtype.newbyteorder("="))
    assert_close(
        x, expected.astype(host.dtype) if backend.xp is NUMPY.xp else expected, rtol=0, backend=backend
    )
    back = NUMPY.asarray(x)
    assert type(back) is np.ndarray
    np.testing.assert_array_equal(back, host)


def test_read_only_memory_is_accepted_and_not_written(backend):
    host = np.arange(3, dtype=np.float32)
    host.flags.writeable = False
    x = backend.backend.asarray(host)
    assert float(backend.to_numpy(x + x)[2]) == 4.0
    assert host.tolist() == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("target", [NUMPY, STRICT, DEVICE1], ids=lambda b: b.name)
def test_arrays_of_every_backend_cross_to_others(backend, target):
    x = backend.asarray(np.arange(4, dtype=np.float32))
    y = target.asarray(x)
    assert target.owns(y)
    assert array_api_compat.device(y) == target.device
    np.testing.assert_array_equal(target.to_numpy(y), np.arange(4, dtype=np.float32))
    z = convert_like(y, x)
    assert backend.backend.owns(z)
    assert_close(z, np.arange(4, dtype=np.float32), rtol=0, backend=backend)


@pytest.mark.parametrize(
    "values", [[1.0, 2.0], [[1, 2], [3, 4]], True, 3, 2.5, [], [[]], (1.5,), [True, False]]
)
def test_python_values_get_the_default_dtype_of_the_library(backend, values):
    x = backend.backend.asarray(values)
    expected = backend.xp.asarray(values, device=backend.device)
    assert_close(x, expected, rtol=0)


def test_a_list_of_numpy_numbers_keeps_their_dtype():
    assert NUMPY.asarray([np.float32(1), np.float32(2)]).dtype == np.float32


@pytest.mark.parametrize("given", ["float32", np.float32, np.dtype("float32"), STRICT.xp.float32])
def test_dtype_by_name_or_of_any_library(backend, given):
    for values in ([1, 2], np.asarray([1, 2]), backend.asarray(np.asarray([1, 2], dtype=np.int32))):
        x = backend.backend.asarray(values, dtype=given)
        assert_close(x, np.asarray([1, 2], dtype=np.float32), rtol=0, backend=backend)


def test_an_array_at_home_is_returned_as_it_is(backend):
    x = backend.asarray(np.zeros(2, dtype=np.float32))
    assert backend.backend.asarray(x) is x
    assert backend.backend.asarray(x, dtype="float32", copy=False) is x
    assert convert_like(x, x) is x


def test_copy_true_takes_memory_of_its_own(backend):
    host = np.zeros(3, dtype=np.float32)
    x = backend.backend.asarray(host, copy=True)
    host[0] = 7.0
    assert backend.to_numpy(x)[0] == 0.0
    y = backend.backend.asarray(x, copy=True)
    assert y is not x
    assert backend.backend.owns(y)


def test_copy_false_shares_memory_or_says_that_it_cannot():
    host = np.zeros(3, dtype=np.float32)
    torch = pytest.importorskip("torch", reason="PyTorch is optional; tests(torch) has it")
    x = get_backend("torch").asarray(host, copy=False)
    host[0] = 7.0
    assert float(x[0]) == 7.0
    assert NUMPY.asarray(torch.ones(2), copy=False).tolist() == [1.0, 1.0]


def test_the_backend_needs_no_copy_for_torch_memory():
    torch = pytest.importorskip("torch", reason="PyTorch is optional; tests(torch) has it")
    x = torch.zeros(3)
    host = NUMPY.asarray(x)
    x[0] = 7.0
    assert host[0] == 7.0


def test_integers_narrow_only_where_every_value_fits():
    no_x64 = _newer_device("no_x64")
    assert no_x64.asarray(np.asarray([1, -2])).dtype == no_x64.xp.int32
    assert no_x64.asarray(np.asarray([1], dtype=np.uint64)).dtype == no_x64.xp.uint32
    with pytest.raises(ValueError, match="no dtype 'int64'"):
        no_x64.asarray(np.asarray([2**31]))
    with pytest.raises(ValueError, match="no dtype 'int64'"):
        no_x64.asarray([1], dtype="int64")


def _torch_sparse():
    return pytest.importorskip("torch", reason="PyTorch is optional; tests(torch) has it").eye(2).to_sparse()


def _torch_grad():
    return pytest.importorskip("torch", reason="PyTorch is optional; tests(torch) has it").ones(
        2, requires_grad=True
    )


def _torch_bfloat16():
    torch = pytest.importorskip("torch", reason="PyTorch is optional; tests(torch) has it")
    return torch.ones(2, dtype=torch.bfloat16)


class _Wrapped:
    """Like a traced array: its namespace is an object, not a module."""

    def __array_namespace__(self, api_version=None):
        return object()


BAD_VALUES = [
    (NUMPY, lambda: ["a"], {}, TypeError, ["booleans or numbers", "list", "<U1"]),
    (NUMPY, lambda: None, {}, TypeError, ["NoneType", "object"]),
    (NUMPY, lambda: {"a": 1}, {}, TypeError, ["dict"]),
    (NUMPY, _Wrapped, {}, TypeError, ["_Wrapped"]),
    (NUMPY, lambda: np.asarray(["a"]), {}, TypeError, ["ndarray of dtype <U1"]),
    (NUMPY, lambda: np.asarray(["2020"], dtype="M8[Y]"), {}, TypeError, ["datetime64"]),
    (NUMPY, lambda: [[1], [1, 2]], {}, ValueError, ["not a rectangular array"]),
    (NUMPY, lambda: np.ma.masked_array([1.0], [True]), {}, TypeError, ["x.filled(value)"]),
    (STRICT, lambda: np.ma.masked_array([1.0], [True]), {}, TypeError, ["x.filled(value)"]),
    (
        STRICT,
        lambda: np.ones(2),
        {"copy": False, "dtype": "float32"},
        ValueError,
        ["copy=False", "numpy ndarray"],
    ),
    (NUMPY, lambda: np.ones(2), {"copy": False, "dtype": "float32"}, ValueError, ["copy=False", "'numpy'"]),
    (NUMPY, lambda: np.ones(2) * 1j, {"dtype": "float32"}, TypeError, ["complex", "real part"]),
    (STRICT, lambda: np.ones(2) * 1j, {"dtype": "float64"}, TypeError, ["complex", "real part"]),
    (NUMPY, lambda: 1.0, {"dtype": "floaty"}, ValueError, ["no dtype 'floaty'", "float32"]),
    (NUMPY, lambda: 1.0, {"dtype": "sum"}, ValueError, ["no dtype 'sum'"]),
    (NUMPY, lambda: 1.0, {"dtype": 3}, TypeError, ["dtype must be", "'3'"]),
    (NUMPY, _torch_grad, {}, ValueError, ["requires grad", "x.detach()"]),
    (NUMPY, _torch_bfloat16, {}, TypeError, ["torch.bfloat16", "torch.float32"]),
    (NUMPY, _torch_sparse, {}, TypeError, ["sparse", "x.to_dense()"]),
]


@pytest.mark.parametrize(("target", "make", "options", "kind", "parts"), BAD_VALUES)
def test_values_that_cannot_cross_say_why(target, make, options, kind, parts):
    x = make()
    with pytest.raises(kind) as caught:
        target.asarray(x, **options)
    message = str(caught.value)
    assert all(part in message for part in parts), message
    assert len(message) < 300


def test_float64_is_not_narrowed_for_a_device_without_it():
    no_float64 = _newer_device("no_float64")
    with pytest.raises(ValueError, match=r"no_float64' has no dtype 'float64': it has .* float32") as caught:
        no_float64.asarray(np.ones(2))
    assert len(str(caught.value)) < 300
    assert no_float64.asarray(np.ones(2), dtype="float32").dtype == no_float64.xp.float32


def test_nothing_is_narrowed_in_silence_under_jax():
    jax = pytest.importorskip("jax")
    backend = get_backend("jax:cpu")
    before = jax.config.jax_enable_x64
    try:
        jax.config.update("jax_enable_x64", False)
        with pytest.raises(ValueError, match=r'jax\.config\.update\("jax_enable_x64", True\)') as caught:
            backend.asarray(np.ones(2))
        assert len(str(caught.value)) < 300
        with pytest.raises(ValueError, match="no dtype 'float64'"):
            backend.asarray([1.0], dtype="float64")
        assert backend.asarray(np.ones(2), dtype="float32").dtype == np.float32
        assert backend.asarray([1.0]).dtype == np.float32
        assert backend.asarray(np.asarray([1])).dtype == np.int32
        with pytest.raises(ValueError, match="no dtype 'int64'"):
            backend.asarray(np.asarray([2**40]))
        jax.config.update("jax_enable_x64", True)
        assert backend.asarray(np.ones(2)).dtype == np.float64
    finally:
        jax.config.update("jax_enable_x64", before)


def test_a_traced_array_of_jax_stays_but_does_not_leave():
    jax = pytest.importorskip("jax")
    backend = get_backend("jax:cpu")
    ones = jax.numpy.ones(2, dtype="float32")
    assert jax.jit(lambda x: backend.asarray(x, dtype="float32") * 2)(ones).tolist() == [2.0, 2.0]
    with pytest.raises(TypeError, match="traced by JAX"):
        jax.jit(NUMPY.asarray)(ones)


def test_owns_looks_at_library_and_device(backend):
    x = backend.asarray(np.zeros(2, dtype=np.float32))
    assert backend.backend.owns(x)
    assert not backend.backend.owns([0.0])
    assert not backend.backend.owns(_Wrapped())
    other = STRICT.xp.zeros(2, device=Device("device2"))
    assert not backend.backend.owns(other)
    assert DEVICE1.owns(DEVICE1.asarray([1.0]))
    assert not DEVICE1.owns(STRICT.asarray([1.0]))


def test_what_belongs_to_no_library_stands_for_numpy():
    for like in ([1.0], 2.0, None):
        assert type(convert_like(DEVICE1.asarray([1.0]), like)) is np.ndarray
    with pytest.raises(TypeError, match="_Wrapped: unwrap it first"):
        convert_like([1.0], _Wrapped())
