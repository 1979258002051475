"""lockstep finds the primitive that is wrong on one of two backends."""

from __future__ import annotations

from typing import Any

import array_api_compat
import numpy as np
import pytest

from portnn import losses, ops
from portnn.autodiff import value_and_grad
from portnn.backend import BackendUnavailableError, get_backend
from portnn.program import LockstepReport, lockstep, trace
from portnn.tracing import primitive
from tests.backends import Matrix
from tests.program.networks import layers, predict, step, step_arguments

X = np.linspace(-2, 2, 12, dtype=np.float32).reshape(3, 4)


def library(x: Any) -> str:
    """The name of the library of an array, recorded or not."""
    return str(array_api_compat.array_namespace(x).__name__)


def wrong_off_numpy(factor: float):
    """An activation that is wrong by a factor on every library but NumPy."""

    @primitive
    def soft(x):
        y = x / (1.0 + abs(x))
        return y if library(x) == "array_api_compat.numpy" else y * factor

    # y' = (1 - |y|)**2
    soft.vjp(lambda g, y, x: ops.multiply(g, ops.square(ops.subtract(1.0, ops.abs(y)))))
    return soft


def deep(activation, at: int):
    """A loss of 30 linear layers, with one activation that is another."""

    def f(params, x, labels):
        for i, p in enumerate(params):
            x = ops.linear(x, p["w"], p["b"])
            x = activation(x) if i == at else ops.tanh(x)
        return losses.softmax_cross_entropy(x, labels)

    return f


def deep_arguments():
    rng = np.random.default_rng(2)
    return layers(*[8] * 31), rng.normal(size=(5, 8)).astype("float32"), np.asarray([0, 1, 2, 3, 4], "int32")


@pytest.mark.parametrize("at", [0, 17, 29])
@pytest.mark.parametrize("factor", [1.001, 1.00001, -1.0])
def test_a_wrong_primitive_in_thirty_layers(at, factor):
    f = value_and_grad(deep(wrong_off_numpy(factor), at))
    report = lockstep(f, deep_arguments(), ("cpu", "array_api_strict"))
    assert report.first is not None
    assert (report.first.name, report.first.index) == ("soft", 2 * at + 1)
    # It alone is wrong: the lines after it are right when they are given right values.
    assert [line.name for line in report.lines if line.differs] == ["soft"]
    assert report.first.relative == pytest.approx(abs(1 - factor), rel=0.05)
    assert report.lines[2 * at].accumulated == 0.0
    assert report.lines[-1].accumulated > 0.0
    assert report.worst(1) == [report.first]
    line = 2 * at + 1
    assert f"the first primitive that differs: soft, in line {line}: %{line} = soft(" in str(report)


def test_a_wrong_primitive_on_each_backend(backend):
    if backend.member in (Matrix.NUMPY, Matrix.NUMPY_READONLY):
        pytest.skip("nothing to compare with NumPy")
    f = value_and_grad(deep(wrong_off_numpy(1.001), 17))
    report = lockstep(f, deep_arguments(), ("cpu", backend.backend))
    assert [line.name for line in report.lines if line.differs] == ["soft"]


def test_a_training_step_agrees_on_each_backend(backend):
    if backend.member in (Matrix.NUMPY, Matrix.NUMPY_READONLY):
        pytest.skip("nothing to compare with NumPy")
    report = lockstep(step, step_arguments(), ("cpu", backend.backend))
    assert report.first is None, str(report)
    assert len(report.lines) == len(trace(step)(*step_arguments()).lines)
    back = lockstep(step, step_arguments(), (backend.backend, "cpu"))
    assert back.first is None, str(back)


@pytest.mark.parametrize("dtypes", [("float32", "float64"), ("float64", "float32"), ("float16", "float32")])
def test_two_dtypes_on_one_backend(dtypes):
    params, x = layers(5, 4, 3), np.linspace(-1, 1, 10).reshape(2, 5)
    report = lockstep(predict, (params, x), "cpu", dtypes=dtypes)
    assert report.first is None
    assert report.sides == (f"numpy {dtypes[0]}", f"numpy {dtypes[1]}")
    assert 0.0 < report.lines[-1].accumulated < 1e-2
    assert all(line.relative > 0 for line in report.lines)


def test_a_dtype_that_is_too_small_is_found():
    dtypes = ("float16", "float64")
    small = np.asarray([1.0, 1e-5, 2.0])  # the square of the second is no number of float16
    report = lockstep(lambda x: ops.sqrt(ops.square(x)), (small,), "cpu", dtypes=dtypes)
    assert report.first is None  # beside the largest it is nothing
    large = np.asarray([300.0, 1.0])
    with np.errstate(over="ignore"):
        report = lockstep(lambda x: ops.square(x) / 2.0, (large,), "cpu", dtypes=dtypes)
    assert report.first.name == "square"
    assert report.first.note == "infinity on numpy float16 only"


def test_the_coarser_dtype_leads():
    x = np.asarray([10000.3, 1.0])  # rounded to float32, its sine is another
    assert lockstep(ops.sin, (x,), "cpu", dtypes=("float64", "float32")).first is None


def test_constants_have_the_dtype_of_their_side():
    table = np.asarray([0.1, 0.2, 0.3, 0.4], dtype=np.float32)
    report = lockstep(lambda x: ops.astype(x, np.float32) * table, (X,), "cpu", dtypes=("float32", "float64"))
    assert report.lines[-1].name == "multiply"
    shifted = lockstep(lambda x: ops.astype(x + 0.1, np.float32), (X,), "cpu", dtypes=("float32", "float64"))
    assert shifted.lines[-1].name == "cast"
    assert shifted.lines[-1].accumulated > 0.0  # the other side keeps its digits
    assert 0.0 < report.lines[-1].relative < 1e-6  # the products are rounded on one side only


def odd_one(change):
    """A primitive that changes its result on strict."""

    @primitive
    def odd(x):
        return change(x) if "strict" in library(x) else x + 0.0

    return odd


def find(change, x=X, **options):
    report = lockstep(odd_one(change), (x,), ("cpu", "array_api_strict"), **options)
    return report.lines[0]


def put(value):
    """A change of the first element."""

    def change(x):
        xp = array_api_compat.array_namespace(x)
        here = xp.reshape(xp.arange(X.size) == 0, X.shape)
        return xp.where(here, xp.asarray(value, dtype=x.dtype), x)

    return change


def test_nan_and_infinities():
    assert find(put(float("nan"))).note == "NaN on array_api_strict only"
    assert find(put(float("inf"))).note == "infinity on array_api_strict only"
    assert find(put(float("inf"))).relative == float("inf")
    special = np.asarray([[np.nan, np.inf, -np.inf, 1.0]] * 3, dtype=np.float32)
    same = find(lambda x: x + 0.0, special)
    assert (same.absolute, same.relative, same.note) == (0.0, 0.0, "")
    assert not find(lambda x: x + 0.0, np.full((3, 4), np.nan, "float32")).differs
    assert find(put(1.0), special).note == "NaN on numpy only"
    assert find(lambda x: abs(x), special).note == "infinities of different signs"


def test_shapes_integers_and_nothing():
    assert find(lambda x: x[1:, :]).note == "shapes (3, 4) and (2, 4)"
    integers = np.arange(12).reshape(3, 4)
    assert find(put(5), integers).note == "1 of 12 differ"
    assert find(put(5), integers).relative == float("inf")
    assert not find(lambda x: x + 0.0, np.empty((0, 4), "float32")).differs


def test_a_small_difference_beside_zeros_differs():
    assert find(lambda x: x + 1e-30, np.zeros((3, 4), "float32")).differs


def test_tolerance_can_be_given():
    assert find(lambda x: x * 1.01).differs
    assert not find(lambda x: x * 1.01, tolerance=0.02).differs
    assert find(lambda x: x * 1.01, tolerance=0.005).differs
    assert find(lambda x: x * 1.01).tolerance == pytest.approx(32 * 2.0**-23)


def test_tolerance_grows_with_the_root_of_the_terms():
    report = lockstep(lambda x: x @ x.mT, (np.ones((3, 100), "f"),), ("cpu", "array_api_strict"))
    assert report.lines[-1].tolerance == pytest.approx(320 * 2.0**-23)


def test_terms_that_cancel_are_no_finding():
    rng = np.random.default_rng(0)
    x = rng.normal(size=1000)
    x = (x - x.mean()).astype("float32")  # the sum is nothing but rounding errors
    assert lockstep(ops.sum, (x,), "cpu", dtypes=("float32", "float64")).first is None
    ones = np.ones((1000, 1), dtype="float32")
    assert lockstep(ops.matmul, (x[None], ones), "cpu", dtypes=("float32", "float64")).first is None


def test_the_report():
    report = lockstep(odd_one(put(9.0)), (X,), ("cpu", "array_api_strict"))
    assert isinstance(report, LockstepReport)
    assert str(report).splitlines() == [
        "lockstep of odd: numpy and array_api_strict",
        "the first primitive that differs: odd, in line 0: %0 = odd(x)",
        "line  primitive  results        max |a - b|  relative  tolerance  accumulated",
        "0     odd        float32[3, 4]  11           5.5       3.8e-06    5.5",
    ]
    assert repr(report) == "LockstepReport(function='odd', sides=('numpy', 'array_api_strict'))"
    agree = lockstep(ops.exp, (X,), ("cpu", "array_api_strict"))
    assert str(agree).endswith(
        "no primitive differs by more than is tolerated; lines compared: 1\nevery result is the same on both"
    )


def test_what_cannot_be_compared():
    with pytest.raises(ValueError, match="nothing to compare: both runs are on 'numpy'"):
        lockstep(ops.exp, (X,), "cpu")
    with pytest.raises(ValueError, match="nothing to compare"):
        lockstep(ops.exp, (X,), ("numpy", "cpu"), dtypes=("float32", "float32"))
    with pytest.raises(ValueError, match="backends must be one or two, got 3"):
        lockstep(ops.exp, (X,), ("cpu", "cpu", "cpu"))
    with pytest.raises(ValueError, match="dtypes must be two of bfloat16, float16, float32, float64, got"):
        lockstep(ops.exp, (X,), "cpu", dtypes=("float32", "int8"))
    with pytest.raises(TypeError, match="at least one array"):
        lockstep(ops.exp, (1.0,), ("cpu", "array_api_strict"))


def test_an_absent_gpu_is_an_error():
    try:
        get_backend("gpu")
    except BackendUnavailableError:
        with pytest.raises(BackendUnavailableError):
            lockstep(ops.exp, (X,))
    else:
        assert lockstep(ops.exp, (X,)).first is None


def test_an_error_names_line_and_side():
    def refuse(x):
        raise RuntimeError("not here")

    with pytest.raises(RuntimeError, match="not here") as caught:
        find(refuse)
    assert caught.value.__notes__ == ["in odd: %0 = odd(x)", "on array_api_strict"]
