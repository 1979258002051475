"""The table of all public functions: each is exported and agrees, or is refused by its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from portnn import ops, tree
from portnn.export import ExportError, export_onnx
from portnn.export._steps import merged
from portnn.export._translate import CALLS, PRIMITIVES
from portnn.program import trace
from tests.export.run import Runtime, compare
from tests.program.test_table import STATIC, programs
from tests.table.engine import Row

# What ONNX has no counterpart of in opset 20: the last parts of the names of rows, or one of their cases.
LACKING = {
    "bitwise_left_shift", "bitwise_right_shift", "copysign", "from_dlpack", "nextafter", "signbit",
    # decompositions
    "cholesky", "cross", "det", "diagonal", "eigh", "eigvalsh", "inv", "matrix_norm(nuclear)",
    "matrix_norm(order 2)", "matrix_norm(order -2)", "matrix_power(negative)", "matrix_power(zero)",
    "matrix_rank()", "pinv", "qr", "slogdet", "solve", "svd", "svdvals", "trace",
    # complex numbers
    "astype(complex)", "conj", "imag", "real(complex)", "fft", "ifft", "rfft", "irfft", "hfft", "ihfft",
    "fftn", "ifftn", "rfftn", "irfftn", "fftshift", "ifftshift",
    # what gives no arrays
    "can_cast", "finfo", "iinfo", "isdtype", "result_type",
}  # fmt: skip
# Functions of which the runtime has no float64 kernel.
FLOAT32 = {"acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cosh", "log_cosh", "sinh", "tan"}


def name_of(row: Row) -> str:
    return row.name.rpartition(".")[2]


def refused(row: Row) -> bool:
    """Whether it, or all of its name, cannot be exported."""
    name = name_of(row)
    return name in LACKING or f"{name}({row.case})" in LACKING


def arrays(nested: Any) -> list[Any]:
    return [np.asarray(x) for x in tree.leaves(nested) if isinstance(x, np.ndarray | np.generic)]


def check(f: Any, args: tuple[Any, ...], row: Row) -> None:
    """The program of a call agrees with it; a refusal names what it refuses."""
    program = trace(f)(*args)
    if refused(row):
        with pytest.raises(ExportError, match=r"^export_onnx: ") as caught:
            export_onnx(program)
        assert len(str(caught.value)) < 300
    else:
        compare(Runtime(export_onnx(program))(*arrays(args)), arrays(f(*args)))


@pytest.mark.parametrize("row", STATIC, ids=str)
def test_function(row: Row):
    for dtype in ("float32",) if name_of(row) in FLOAT32 else ("float32", "float64"):
        f, args = programs(row, dtype)[0]
        check(f, args, row)


def test_what_is_lacking_has_rows():
    named = {name_of(row) for row in STATIC} | {f"{name_of(row)}({row.case})" for row in STATIC}
    assert LACKING - named == set()


# Functions that portnn makes of others, and a user's layer may call by the namespace of its array.
DIRECT: dict[str, Callable[[Any, Any], Any]] = {
    "asarray": lambda xp, x: xp.asarray(x, copy=True) + 1.0,
    "broadcast_arrays": lambda xp, x: xp.broadcast_arrays(x, x[:1, :], xp.asarray(2.0, dtype=x.dtype)),
    "linalg.matmul": lambda xp, x: xp.linalg.matmul(x, x.T),
    "linalg.matrix_transpose": lambda xp, x: xp.linalg.matrix_transpose(x[None, ...]),
    "linalg.tensordot": lambda xp, x: xp.linalg.tensordot(x, x, axes=((1,), (1,))),
    "linalg.vecdot": lambda xp, x: xp.linalg.vecdot(x, x),
    "meshgrid": lambda xp, x: [*xp.meshgrid(x[0, :], x[:, 0]), *xp.meshgrid(x[0, :], x[1, :], indexing="ij")],
    "moveaxis": lambda xp, x: xp.moveaxis(xp.reshape(x, (2, 3, 2)), (0, 1), (1, 2)),
    "tensordot": lambda xp, x: [xp.tensordot(x, x.T, axes=1), xp.tensordot(x, x, axes=((0, -1), (0, -1)))],
    "tile": lambda xp, x: [xp.tile(x, (2, 1, 3)), xp.tile(x, (2,))],
}


@pytest.mark.parametrize("name", DIRECT)
def test_function_of_the_namespace(name: str):
    def f(x: Any) -> Any:
        return DIRECT[name](x.__array_namespace__(), x)

    x = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    program = trace(f)(x)
    assert name in {call.name for line in program.lines for call in line.calls}
    compare(Runtime(export_onnx(program))(x), arrays(program.eval(x)))


def test_every_translation_is_met():
    steps_met, calls_met = set(), set()
    for row in STATIC:
        f, args = programs(row, "float32")[0]
        try:
            steps = merged([trace(f)(*args)], [1], []).steps
        except ExportError:
            continue
        steps_met.update(step.name for step in steps)
        calls_met.update(call.name for step in steps for call in step.calls())
    assert PRIMITIVES.keys() - steps_met == set()
    assert CALLS.keys() - calls_met == DIRECT.keys()


@pytest.mark.slow
@pytest.mark.parametrize("row", STATIC, ids=str)
def test_gradient(row: Row):
    """Rules are functions as well: a step of training could be exported."""
    f, args = programs(row, "float32")[-1]
    check(f, args, row)


def test_norms_far_from_zero():
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(8, 6)) + 1e4).astype("float32")
    for f in (ops.layer_norm, lambda x: ops.batch_norm(x)[0]):
        compare(Runtime(export_onnx(f, input_shape=(6,)))(x), f(x))
