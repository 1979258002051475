"""What tests of every part use."""

from __future__ import annotations

from typing import Any

import array_api_compat
import numpy as np

from portnn.backend import get_backend
from tests.backends import BackendUnderTest


def assert_close(
    actual: Any, expected: Any, *, rtol: float, atol: float = 0.0, backend: BackendUnderTest | None = None
) -> None:
    """Compare namespace, device, dtype, shape and values of two arrays; NaN equals NaN.

    Without `backend`, `expected` is an array of the library and device that `actual` must be of. With it,
    `expected` is a NumPy array, and `actual` must be of that backend, with the dtype of the same name.
    """
    if backend is None:
        xp, device = array_api_compat.array_namespace(expected), array_api_compat.device(expected)
    else:
        assert isinstance(expected, np.ndarray | np.generic), "with backend=, expected is a NumPy array"
        xp, device = backend.xp, backend.device
    assert array_api_compat.is_array_api_obj(actual), f"no array, but {type(actual).__name__}"
    found = array_api_compat.array_namespace(actual)
    assert found.__name__ == xp.__name__, f"namespace {found.__name__}, expected {xp.__name__}"
    where = array_api_compat.device(actual)
    assert where == device, f"device {where}, expected {device}"
    to_numpy = get_backend("numpy").to_numpy
    a, e = to_numpy(actual), to_numpy(expected)
    assert a.dtype == e.dtype, f"dtype {a.dtype}, expected {e.dtype}"
    assert a.shape == e.shape, f"shape {a.shape}, expected {e.shape}"
    np.testing.assert_allclose(a, e, rtol=rtol, atol=atol, equal_nan=True)
