"""Every row of the table as a program: value and gradient, bit for bit on NumPy and near it on strict."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from portnn import tree
from portnn.program import record, simplify, trace
from portnn.tracing import ControlFlowError
from tests.backends import Matrix, open_member
from tests.program.networks import assert_same_bits, replay
from tests.table.engine import SMOOTH, Row, cotangents, gradients, place
from tests.table.test_table import ROWS

NUMPY, STRICT = open_member(Matrix.NUMPY), open_member(Matrix.STRICT)


def programs(row: Row, dtype: str) -> list[tuple[Any, tuple[Any, ...]]]:
    """The function of a row with its arguments, and its gradient with its."""
    args = place(row.make(), NUMPY, dtype)
    found: list[tuple[Any, tuple[Any, ...]]] = [(lambda *a: row.function(*a), tuple(args))]
    if row.kind == SMOOTH:
        seeds = place([cotangents(row.function(*args))], NUMPY, dtype)[0]
        found.append((lambda a, s: gradients(row, list(a), lambda _: s), (tuple(args), seeds)))
    return found


STATIC = [row for row in ROWS if not row.needs_data_dependent_shapes]


def test_the_rows_left_out_are_those_whose_shapes_depend_on_values():
    for row in ROWS:
        if row.needs_data_dependent_shapes:
            with pytest.raises(ControlFlowError, match="shape depends on values"):
                trace(lambda *a, row=row: row.function(*a))(*place(row.make(), NUMPY))
    assert len(ROWS) - len(STATIC) < 10


@pytest.mark.parametrize("row", STATIC, ids=str)
def test_bit_for_bit_on_numpy(row: Row):
    for dtype in ("float64", "float32"):
        for f, args in programs(row, dtype):
            expected = f(*args)
            program, result = record(f, args)
            assert_same_bits(result, expected)
            simple = simplify(program)
            assert_same_bits(simple.eval(*args), expected)
            assert_same_bits(replay(program, args), expected)
            assert_same_bits(replay(simple, args), expected)
            assert simple.flops >= 0
            assert str(simple).count("\n") > 3
            assert simple.to_dot().startswith("digraph")


@pytest.mark.parametrize("row", STATIC, ids=str)
def test_numpys_program_on_strict(row: Row):
    for f, args in programs(row, "float64"):
        found = trace(f)(*args).eval(*tree.map(on_strict, args))
        for a, e in zip(tree.leaves(found), tree.leaves(f(*args)), strict=True):
            if not isinstance(e, np.ndarray | np.generic):
                assert a == e
                continue
            e = np.asarray(e)
            size = np.max(np.abs(e), initial=0.0, where=np.isfinite(e)) if e.dtype.kind in "fc" else 0.0
            np.testing.assert_allclose(STRICT.to_numpy(a), e, rtol=1e-11, atol=1e-11 * size)


def on_strict(x: Any) -> Any:
    return STRICT.asarray(x) if isinstance(x, np.ndarray | np.generic) else x
