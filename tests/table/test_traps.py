"""The traps, forward and gradient, on every backend; NumPy's warnings are errors."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import numpy as np
import pytest

from portnn import ops, tree
from portnn.autodiff import vjp
from tests.backends import BackendUnderTest
from tests.table.engine import dtypes
from tests.table.rows_traps import TRAPS, Trap, second, trap


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


# NumPy warns where a value is infinite by a division by zero, or where there is none.
WITH_WARNINGS = [
    trap("0 ** -1", ops.pow, ([0.0, 0.0], [-1.0, -2.0]), [inf, inf], (None, [-inf, -inf])),
    trap("number 0 ** -1", lambda x: ops.pow(0.0, x), [-1.0, 0.0, 2.0], [inf, 1.0, 0.0], [-inf, 0.0, 0.0]),
    trap("0 ** -1 by the base", lambda x: ops.pow(x, -1.0), [0.0], [inf], [-inf]),
    trap("variance of a sample of one", lambda x: ops.var(x, correction=1.0), [2.0], nan, [nan]),
    trap(
        "variance of fewer than the correction",
        lambda x: ops.var(x, correction=2.0)[None],
        [2.0],
        [nan],
        [nan],
    ),
    trap(
        "norm of order -1 beside a zero",
        lambda x: ops.linalg.vector_norm(x, ord=-1),
        [0.0, 2.0, -3.0],
        0.0,
        [0.0, 0.0, 0.0],
    ),
    trap(
        "Hessian of a norm of order 1.5 beside a zero",
        second(lambda x: ops.linalg.vector_norm(x, ord=1.5)),
        [0.0, 4.0, -1.0],
        [0.0, 1.9229994270765445, -1.4422495703074083],
        [nan, 0.18695827763244183, 0.7478331105297673],
    ),
    trap("deviation of a sample of one", lambda x: ops.std(x, correction=1.0), [2.0], nan, [nan]),
]


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::UserWarning")
@pytest.mark.parametrize("case", WITH_WARNINGS, ids=str)
def test_trap_with_a_warning(case: Trap, backend: BackendUnderTest) -> None:
    test_trap(case, backend)


@pytest.mark.parametrize("low", [5.0, nan])
def test_clip_with_bounds_that_cross_gives_the_upper_one_value_and_gradient(
    low: float, backend: BackendUnderTest
) -> None:
    if backend.member.is_strict:
        pytest.skip("array-api-strict refuses such bounds")
    value, slope = (2.0, 1.0) if low == 5.0 else (nan, nan)
    none = 0.0 if low == 5.0 else nan
    args = ([0.0, 3.0, 7.0], [low] * 3, [2.0] * 3)
    test_trap(trap("clip", ops.clip, args, [value] * 3, ([none] * 3, [none] * 3, [slope] * 3)), backend)
