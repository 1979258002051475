"""The traps, forward and gradient, on every backend; NumPy's warnings are errors."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
import pytest

from portnn import ops, tree
from portnn.autodiff import vjp
from tests.backends import BackendUnderTest
from tests.table.engine import dtypes
from tests.table.rows_traps import TRAPS, Trap


@pytest.mark.parametrize("case", TRAPS, ids=str)
def test_trap(case: Trap, backend: BackendUnderTest) -> None:
    for dtype in dtypes(backend):
        args = [backend.asarray(np.asarray(a), dtype) for a in case.args]
        compare(backend, "value", case.function(*args), case.value, dtype, case.rtol)
        value, pullback = vjp(case.function, *args)
        compare(backend, "value, traced", value, case.value, dtype, case.rtol)
        found = pullback(tree.map(lambda y: backend.xp.ones_like(y), value))
        for i, (g, expected) in enumerate(zip(found, case.gradient, strict=True)):
            if expected is not None:
                compare(backend, f"gradient {i}", g, expected, dtype, case.rtol)


def compare(backend: BackendUnderTest, what: str, found: Any, expected: Any, dtype: str, rtol: float) -> None:
    """Entry by entry, relative to each one: a large entry must not hide a small one."""
    values = backend.to_numpy(found)
    assert values.dtype.name == dtype, f"{what}: dtype {values.dtype}"
    rtol = rtol if dtype == "float32" else 1e-12
    what = f"{what} in {dtype}"
    np.testing.assert_allclose(values, np.asarray(expected), rtol=rtol, atol=2e-38, err_msg=what)


def test_the_masked_row_is_handled_without_a_warning() -> None:
    """All -inf: softmax gives zeros with zero gradient, its logarithm and the log-sum-exp -inf."""
    x = np.full((2, 3), -inf)
    assert ops.softmax(x).tolist() == [[0.0] * 3] * 2
    assert ops.log_softmax(x).tolist() == [[-inf] * 3] * 2
    assert ops.logsumexp(x, axis=-1).tolist() == [-inf] * 2
