"""The table: every public function against an oracle, and every rule against finite differences."""

from __future__ import annotations

from functools import cache, partial
from types import FunctionType
from typing import Any

import numpy as np
import pytest

from portnn import losses, nn, ops, tree
from portnn.autodiff import DifferentiationError
from portnn.backend import get_backend
from portnn.nn import Layer
from portnn.testing import check_gradients
from portnn.tracing import Primitive
from tests.backends import BackendUnderTest, Matrix, open_member
from tests.table import (
    rows_constants,
    rows_containers,
    rows_elementwise,
    rows_fft,
    rows_images,
    rows_linalg,
    rows_losses,
    rows_nn,
    rows_norms,
    rows_reductions,
    rows_sequences,
    rows_shapes,
)
from tests.table.engine import (
    CONSTANT_KIND,
    SMOOTH,
    VALUES,
    Row,
    assert_constant,
    assert_gradient,
    assert_value,
    cotangents,
    dtypes,
    gradients,
    is_floating,
    place,
    squared,
    strided,
)

MODULES = [
    rows_elementwise, rows_constants, rows_shapes, rows_reductions, rows_linalg, rows_fft, rows_nn,
    rows_losses, rows_sequences, rows_norms, rows_images, rows_containers,
]  # fmt: skip
ROWS: list[Row] = [row for module in MODULES for row in module.ROWS]
ELEMENTWISE = [row for row in ROWS if row.elementwise]


def rows(*kinds: str, among: list[Row] = ROWS) -> Any:
    """Parametrise a test by the rows of some kinds."""
    chosen = [row for row in among if row.kind in kinds]
    return pytest.mark.parametrize("row", chosen, ids=str)


def skip_where_off(row: Row, backend: BackendUnderTest) -> None:
    """Skip a row that needs what a backend lacks."""
    if backend.name in row.not_on:
        pytest.skip(f"{backend.name} has not got it")
    if backend.member is Matrix.STRICT_RESTRICTED:
        if row.name.startswith("ops.fft."):
            pytest.skip("the fft extension is switched off")
        if row.needs_data_dependent_shapes:
            pytest.skip("data-dependent shapes are switched off")


@rows(SMOOTH, CONSTANT_KIND, VALUES)
def test_value(row: Row, backend: BackendUnderTest) -> None:
    skip_where_off(row, backend)
    for dtype in dtypes(backend):
        assert_value(row, backend, dtype)


@rows(SMOOTH)
def test_gradient_proof(row: Row, proven: BackendUnderTest) -> None:
    args = place(row.make(), proven)
    check_gradients(row.function, args, row.order, step=row.step, tolerance=row.tolerance)
    if row.order > 1:
        check_gradients(squared(row), args, row.order, directions=1, step=row.step, tolerance=row.tolerance)


@rows(SMOOTH)
def test_gradient_with_the_other_arguments_plain(row: Row) -> None:
    """Strict refuses `plain + traced`: each argument is traced once while the others are plain."""
    proven = open_member(Matrix.STRICT)
    args = place(row.make(), proven)
    floating = [i for i, a in enumerate(row.make()) if any(map(is_floating, tree.leaves(a)))]
    if len(floating) < 2:
        floating = []
    for i in floating:

        def alone(x: Any, i: int = i) -> Any:
            return row.function(*args[:i], x, *args[i + 1 :])

        check_gradients(alone, (args[i],), row.order, directions=1, step=row.step, tolerance=row.tolerance)


@rows(SMOOTH)
def test_gradient_on_each_backend(row: Row, backend: BackendUnderTest) -> None:
    skip_where_off(row, backend)
    for dtype in dtypes(backend):
        assert_gradient(row, backend, dtype)


@rows(SMOOTH, CONSTANT_KIND, VALUES)
def test_strided_arguments(row: Row) -> None:
    numpy = open_member(Matrix.NUMPY)
    args = [tree.map(strided, a) for a in row.make()]
    for a, e in zip(tree.leaves(row.function(*args)), tree.leaves(row.oracle(*row.make())), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(e), rtol=10 * row.rtol, atol=10 * row.rtol)
    if row.kind == SMOOTH:
        assert_gradient(row, numpy, "float64", args)


@rows(CONSTANT_KIND)
def test_constants_are_constant(row: Row, proven: BackendUnderTest) -> None:
    assert_constant(row, place(row.make(), proven))


@rows(VALUES)
def test_functions_without_a_rule_refuse(row: Row, proven: BackendUnderTest) -> None:
    args = place(row.make(), proven)
    with pytest.raises(DifferentiationError) as error:
        gradients(row, args, lambda value: place([cotangents(_host(value))], proven)[0])
    assert len(str(error.value)) < 300


def _host(value: Any) -> Any:
    to_numpy = get_backend("numpy").to_numpy
    return tree.map(lambda y: to_numpy(y.plain if hasattr(y, "plain") else y), value)


def first(x: Any) -> Any:
    """An array as a 0-d one: its first element."""
    return np.asarray(x.ravel()[0]) if isinstance(x, np.ndarray) else x


def is_array(x: Any) -> bool:
    return isinstance(x, np.ndarray)


def check_shape(row: Row, args: list[Any], backend: BackendUnderTest) -> None:
    """Value and gradient of an elementwise function at arguments of other shapes."""
    for dtype in dtypes(backend):
        assert_value(row, backend, dtype, args)
    if row.kind == SMOOTH:
        placed = place(args, backend)
        check_gradients(row.function, placed, row.order, directions=1, step=row.step, tolerance=row.tolerance)


@rows(SMOOTH, CONSTANT_KIND, among=ELEMENTWISE)
def test_0d(row: Row, proven: BackendUnderTest) -> None:
    check_shape(row, [first(a) for a in row.make()], proven)


@rows(SMOOTH, CONSTANT_KIND, among=ELEMENTWISE)
def test_empty(row: Row, proven: BackendUnderTest) -> None:
    check_shape(row, [a[:0] if is_array(a) else a for a in row.make()], proven)


BINARY = [row for row in ELEMENTWISE if sum(map(is_array, row.make())) >= 2]


@rows(SMOOTH, CONSTANT_KIND, among=BINARY)
def test_broadcast(row: Row, proven: BackendUnderTest) -> None:
    """Every pair of (2, 1), (3,) and (2, 3); the second is cut to the first's place in (2, 3)."""
    args = row.make()
    arrays = [i for i, a in enumerate(args) if is_array(a)]
    column, line = (slice(None), slice(0, 1)), 0
    for cuts in ((column, line), (line, column), (column, ...), (..., line)):
        shaped = list(args)
        for i, cut in zip(arrays[-2:], cuts, strict=True):
            shaped[i] = args[i][cut]
        if not row.name.endswith(("maximum", "minimum")) or _no_ties(shaped):
            check_shape(row, shaped, proven)


def _no_ties(args: list[Any]) -> bool:
    return bool(np.min(np.abs(args[0] - args[1])) > 0.05)


@rows(SMOOTH, CONSTANT_KIND, among=BINARY)
def test_python_numbers(row: Row, proven: BackendUnderTest) -> None:
    """A Python number for either argument, in the dtype of the other."""
    if not row.numbers:
        pytest.skip("documented for arrays only")
    args = row.make()
    arrays = [i for i, a in enumerate(args) if is_array(a) and is_floating(a)]
    for i in arrays:
        number = float(args[i].ravel()[0])
        scalar = [number if k == i else a for k, a in enumerate(args)]
        wide = [np.asarray(number) if k == i else a for k, a in enumerate(args)]
        if row.name.endswith(("maximum", "minimum")) and not _no_ties(wide):
            continue
        call = partial(_with_number, row, i, number)
        bound = [a for k, a in enumerate(args) if k != i]
        narrowed = Row(row.name, call, row.args, lambda *xs, wide=wide: row.oracle(*wide), row.kind,
                       rtol=row.rtol, rtol32=row.rtol32)  # fmt: skip
        assert len(scalar) == len(bound) + 1
        check_shape(narrowed, bound, proven)


def _with_number(row: Row, i: int, number: float, *rest: Any) -> Any:
    return row.function(*rest[:i], number, *rest[i:])


@rows(SMOOTH, among=[row for row in BINARY if sum(map(is_floating, row.make())) == len(row.make()) == 2])
def test_repeated_argument(row: Row, proven: BackendUnderTest) -> None:
    """f(x, x): the gradient is the sum of both."""
    if not row.repeatable:
        pytest.skip("not smooth at two equal arguments")
    x = place(row.make()[:1] if row.name != "ops.divide" else row.make()[1:], proven)[0]
    check_gradients(lambda x: row.function(x, x), (x,), row.order, step=row.step, tolerance=row.tolerance)


def public_functions(module: Any) -> list[str]:
    """The public functions, losses and layers of a module; types, numbers and modules are none."""
    found = [(name, getattr(module, name)) for name in module.__all__]
    return [name for name, value in found if _is_function(value)]


def _is_function(value: Any) -> bool:
    if isinstance(value, type):
        return issubclass(value, Layer) and value is not Layer
    return isinstance(value, FunctionType | Primitive | losses.Loss)


PUBLIC = {"ops": ops, "ops.linalg": ops.linalg, "ops.fft": ops.fft, "nn": nn, "losses": losses}
# Functions that say what a thing is, and compute nothing.
NO_MATHEMATICS = {
    "nn.describe", "nn.from_description", "nn.from_keras", "nn.from_torch", "nn.outline", "nn.to_keras",
    "nn.to_torch", "nn.walk", "nn.watched",
    "losses.task_of", "losses.link_of",
}  # fmt: skip


@cache
def row_names() -> frozenset[str]:
    return frozenset(row.name for row in ROWS)


def _has_row(prefix: str, name: str) -> bool:
    """Whether a function has a row, under this name or as the same function of the main namespace."""
    if f"{prefix}.{name}" in row_names():
        return True
    return f"ops.{name}" in row_names() and getattr(ops, name, None) is getattr(PUBLIC[prefix], name)


@pytest.mark.parametrize("prefix", PUBLIC)
def test_every_public_function_has_a_row(prefix: str) -> None:
    names = public_functions(PUBLIC[prefix])
    assert len(names) > 3
    wanted = [name for name in names if f"{prefix}.{name}" not in NO_MATHEMATICS]
    missing = [name for name in wanted if not _has_row(prefix, name)]
    assert not missing, f"{prefix}: no row for {', '.join(missing)}"


def test_rows_are_told_apart() -> None:
    names = [str(row) for row in ROWS]
    assert sorted(set(names)) == sorted(names)
