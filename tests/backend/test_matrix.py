"""The tools that all tests stand on: the choice of backends, the fixtures, assert_close."""

from __future__ import annotations

import numpy as np
import pytest

from tests import backends
from tests.backends import DEFAULT, Matrix, select
from tests.helpers import assert_close


def test_the_default_needs_nothing_heavy():
    assert select([]) == DEFAULT
    assert not {Matrix.TORCH, Matrix.JAX, Matrix.CUPY} & set(DEFAULT)
    assert len([member for member in DEFAULT if member.is_strict]) == 4


def test_groups_and_names_add_up_without_repeats():
    assert select(["cpu", "numpy"]) == [Matrix.NUMPY, Matrix.NUMPY_READONLY]
    assert select(["array_api_strict:device1", "cpu"])[0] is Matrix.STRICT_DEVICE1
    assert select(["all"]) == list(Matrix)


def test_a_named_backend_that_cannot_serve_is_an_error_of_usage(monkeypatch):
    def refuse(member):
        raise RuntimeError(f"{member.value} has no GPU")

    monkeypatch.setattr(backends, "open_member", refuse)
    with pytest.raises(pytest.UsageError, match="--backend gpu: cupy has no GPU"):
        select(["gpu"])
    assert select(["all"]) == list(Matrix)  # skipped one by one, visibly


def test_an_unknown_name_is_an_error_of_usage():
    with pytest.raises(pytest.UsageError, match="--backend cuda: expected one of cpu, gpu, strict, all"):
        select(["cuda"])


def test_the_backends_are_what_their_names_say(backend, xp, device):
    assert (xp, device) == (backend.xp, backend.device)
    x = backend.asarray(np.arange(4, dtype=np.float32))
    assert_close(x, np.arange(4, dtype=np.float32), rtol=0, backend=backend)
    if backend.member is Matrix.NUMPY_READONLY:
        with pytest.raises(ValueError, match="read-only"):
            x[0] = 1.0
    if backend.member is Matrix.STRICT_RESTRICTED:
        with pytest.raises(RuntimeError, match="boolean"):
            x[x > 1]
        with pytest.raises(RuntimeError, match="data-dependent"):
            xp.unique_values(x)
        assert xp.__array_api_version__ == "2024.12"
    elif backend.member.is_strict:
        assert xp.unique_values(x).shape == (4,)
    assert backend.has_float64 == (backend.member is not Matrix.STRICT_NO_FLOAT64)


def test_assert_close_accepts_what_is_close(backend):
    x = backend.asarray(np.asarray([1.0, np.nan], dtype=np.float32))
    assert_close(x, np.asarray([1.0 + 1e-6, np.nan], dtype=np.float32), rtol=1e-5, backend=backend)
    assert_close(x, x, rtol=0)


@pytest.mark.parametrize(
    ("expected", "match"),
    [
        (np.asarray([1.0, 2.1], dtype=np.float32), "Not equal to tolerance"),
        (np.asarray([1.0, np.nan], dtype=np.float32), "nan"),
        (np.asarray([1.0, 2.0]), "dtype float32, expected float64"),
        (np.asarray([[1.0, 2.0]], dtype=np.float32), r"shape \(2,\), expected \(1, 2\)"),
        ([1.0, 2.0], "expected is a NumPy array"),
    ],
)
def test_assert_close_refuses_what_differs(backend, expected, match):
    x = backend.asarray(np.asarray([1.0, 2.0], dtype=np.float32))
    with pytest.raises(AssertionError, match=match):
        assert_close(x, expected, rtol=1e-5, backend=backend)


def test_assert_close_looks_at_namespace_and_device():
    strict = backends.open_member(Matrix.STRICT)
    device1 = backends.open_member(Matrix.STRICT_DEVICE1)
    value = np.asarray([1.0])
    with pytest.raises(AssertionError, match=r"namespace .*numpy, expected array_api_strict"):
        assert_close(value, strict.asarray(value), rtol=0)
    with pytest.raises(AssertionError, match=r"device .*device1.*, expected .*CPU_DEVICE"):
        assert_close(device1.asarray(value), strict.asarray(value), rtol=0)
    with pytest.raises(AssertionError, match="no array, but float"):
        assert_close(1.0, value, rtol=0)


@pytest.mark.slow
def test_slow_tests_run_only_when_asked(request):
    assert request.config.getoption("--slow")
