"""Plans give bit for bit what eager execution gives: every row of the table, and its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from portnn import tree
from portnn.compile import jit
from portnn.tracing import ControlFlowError
from tests.backends import Matrix, open_member
from tests.table.engine import CONSTANT_KIND, SMOOTH, VALUES, Row, cotangents, gradients, place, strided
from tests.table.test_table import rows

DTYPES = ("float64", "float32")


def assert_same_bits(actual: Any, expected: Any) -> None:
    """The same leaves: arrays of the same dtype, shape and bytes."""
    assert tree.structure(actual) == tree.structure(expected)
    for a, e in zip(tree.leaves(actual), tree.leaves(expected), strict=True):
        if not isinstance(e, np.ndarray | np.generic):
            assert a == e
            continue
        assert a.dtype == e.dtype
        assert a.shape == e.shape
        assert np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(e).tobytes()


def arguments(row: Row, dtype: str, seed: int) -> list[Any]:
    return place(row.make(seed), open_member(Matrix.NUMPY), dtype)


def check(f: Any, row: Row, dtype: str, change: Any = lambda args: args) -> None:
    """The first call writes the function down; the others carry out the plan, with other numbers too."""
    planned = jit(f)
    for seed in (0, 0, 1, 2):
        args = change(arguments(row, dtype, seed))
        with np.errstate(all="ignore"):
            expected = f(*args)
            actual = planned(*args)
        assert_same_bits(actual, expected)
    assert planned.plans <= 1


@rows(SMOOTH, CONSTANT_KIND, VALUES)
def test_values(row: Row) -> None:
    for dtype in DTYPES:
        if row.needs_data_dependent_shapes:
            with pytest.raises(ControlFlowError, match="shape depends on values"):
                jit(row.function)(*arguments(row, dtype, 0))
        else:
            check(row.function, row, dtype)


@rows(SMOOTH)
def test_gradients(row: Row) -> None:
    seeds = {
        d: place([cotangents(row.function(*row.make()))], open_member(Matrix.NUMPY), d)[0] for d in DTYPES
    }

    for dtype in DTYPES:

        def differentiated(*args: Any, dtype: str = dtype) -> Any:
            return gradients(row, list(args), lambda value: seeds[dtype])

        check(differentiated, row, dtype)


@rows(SMOOTH)
def test_strided_arguments(row: Row) -> None:
    check(row.function, row, "float32", lambda args: [tree.map(strided, a) for a in args])


@rows(SMOOTH, CONSTANT_KIND, VALUES)
def test_closed_over_arguments(row: Row) -> None:
    """Each argument alone is given; the others are constants of the plan."""
    for i in range(len(row.args)):
        for x in tree.leaves(arguments(row, "float32", 0)[i]):
            if not isinstance(x, np.ndarray) or row.needs_data_dependent_shapes:
                break
        else:

            def alone(x: Any, i: int = i) -> Any:
                args = arguments(row, "float32", 0)
                return row.function(*args[:i], x, *args[i + 1 :])

            alone_row = Row(row.name, alone, row.args[i : i + 1], row.oracle)
            check(alone, alone_row, "float32")
