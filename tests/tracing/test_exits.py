"""No value leaves a traced array without its derivative: each way out keeps it or says what to do."""

from __future__ import annotations

import array
import cmath
import copy
import ctypes
import math
import operator
import pickle
import statistics

import numpy as np
import pytest
from sklearn.metrics import mean_squared_error

import portnn as pn
from portnn import losses, metrics, ops, optim

POINT = 2.5


def put(x):
    numbers = np.zeros(2)
    numbers[0] = x
    return numbers[0]


# What takes the value out of an array without axes: every one of them would give a constant.
REFUSED = {
    "float": float,
    "int": int,
    "complex": lambda x: complex(x).real,
    "complex of two": lambda x: complex(x, 0.0).real,
    "round": lambda x: round(x, 2),
    "math.trunc": math.trunc,
    "math.exp": math.exp,
    "math.floor": math.floor,
    "math.fsum": lambda x: math.fsum([x]),
    "math.hypot": lambda x: math.hypot(x, 1.0),
    "math.isfinite": lambda x: 1.0 * math.isfinite(x),
    "cmath.exp": lambda x: cmath.exp(x).real,
    "index": operator.index,
    "range": lambda x: len(range(x)),
    "item": lambda x: x.item(),
    "tolist": lambda x: x.tolist(),
    "format": lambda x: float(f"{x:.17f}"),
    "percent": lambda x: float("%.17f" % x),  # noqa: UP031  # this very operator is tested
    "pickle": lambda x: pickle.loads(pickle.dumps(x)),
    "array.array": lambda x: array.array("d", [x])[0],
    "ctypes": lambda x: ctypes.c_double(x).value,
    "statistics.fmean": lambda x: statistics.fmean([x, x]),
    "numpy.float64": np.float64,
    "numpy.asarray": np.asarray,
    "numpy.array of a list": lambda x: np.array([x])[0],
    "numpy.array of objects": lambda x: np.asarray(x, dtype=object)[()],
    "numpy.full": lambda x: np.full((), x),
    "numpy.mean": np.mean,
    "numpy.sum": np.sum,
    "numpy.where": lambda x: np.where(True, x, 0.0),
    "numpy.linspace": lambda x: np.linspace(0.0, x, 2)[1],
    "numpy.from_dlpack": np.from_dlpack,
    "an array of numpy += x": lambda x: operator.iadd(np.zeros(()), x),
    "the same, as out": lambda x: np.add(x, 0.0, out=np.zeros(())),
    "ops.asarray": lambda x: ops.asarray(x, like=x),
    "ops.asarray of a list": lambda x: ops.asarray([x], like=x)[0],
    "ops.from_dlpack": lambda x: ops.from_dlpack(x, like=x),
    "ops.linspace": lambda x: ops.linspace(0.0, x, 2, dtype="float64", like=x)[1],
    "Backend.asarray": lambda x: pn.get_backend("numpy").asarray(x),
    "Backend.to_numpy": lambda x: pn.get_backend("numpy").to_numpy(x),
    "to_device": lambda x: x.to_device(x.device),
}
WITH_THE_LIBRARYS_WORDS = {"range", "array.array", "ctypes", "ops.linspace"}

KEPT = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "a copied tree": lambda x: copy.deepcopy({"a": [x]})["a"][0],
    "sum": lambda x: sum([x]),
    "sum of an iteration": lambda x: sum(ops.stack([x, 0.0 * x])),
    "sum of an iteration over rows": lambda x: ops.sum(sum(ops.full_like(ops.reshape(x, (1, 1)), x))),
    "a list of the elements": lambda x: list(ops.reshape(x, (1,)))[0],  # noqa: RUF015  # all of them are made
    "an unpacked pair": lambda x: operator.add(*ops.stack([x, 0.0 * x])),
    "max": lambda x: max(x, 0.0),
    "min": lambda x: min(x, 99.0),
    "sorted": lambda x: sorted([x, 0.0])[-1],  # noqa: FURB192  # sorted is tested
    "abs": abs,
    "divmod": lambda x: divmod(x, 100.0)[1],
    "divmod, the other way": lambda x: 100.0 - divmod(100.0, x + 50.0)[1] - 50.0,
    "full": lambda x: ops.full((), x, dtype="float64", like=x),
    "full_like": lambda x: ops.full_like(pn.stop_gradient(x), x),
    "full_like in the namespace": lambda x: x.__array_namespace__().full_like(x, x),
    "asarray in the namespace": lambda x: x.__array_namespace__().asarray(x),
    "pow": lambda x: pow(x, 1.0),
    "math.prod": lambda x: math.prod([x]),
    "clip": lambda x: ops.clip(0.0 * x + 99.0, max=x),
}


def derivative(f, order):
    for _ in range(order):
        f = pn.grad(f)
    return f


@pytest.fixture
def exact(backend):
    if not backend.has_float64:
        pytest.skip("the device has no float64")
    return backend


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("name", REFUSED)
def test_what_would_lose_the_derivative_is_refused(name, order, exact):
    with pytest.raises(TypeError) as caught:  # noqa: PT011  # what it says is tested below
        derivative(lambda x: x * x * REFUSED[name](x), order)(exact.asarray(POINT))
    said = str(caught.value)
    assert len(said) < 300
    if exact.xp.__name__.endswith("numpy") and name not in WITH_THE_LIBRARYS_WORDS:
        assert "portnn" in said, said


@pytest.mark.parametrize("name", KEPT)
def test_what_keeps_the_derivative(name, exact):
    for order, expected in ((1, 3.0 * POINT**2), (2, 6.0 * POINT), (3, 6.0)):
        found = derivative(lambda x: x * x * KEPT[name](x), order)(exact.asarray(POINT))
        np.testing.assert_allclose(exact.to_numpy(found), expected, rtol=1e-12)


def test_an_element_of_another_array_cannot_be_set(exact):
    """NumPy says itself what is wrong, with the reason behind it."""
    with pytest.raises((TypeError, ValueError)):
        pn.grad(lambda x: x * put(x))(exact.asarray(POINT))


def test_the_issue_of_a_penalty_that_alone_was_learned():
    gradient = pn.grad(lambda p: ops.sum(p * p) + ops.sum(p))(np.asarray([1.0, 2.0, 3.0]))
    assert gradient.tolist() == [3.0, 5.0, 7.0]
    with pytest.raises(TypeError, match=r"float\(x\), .* would drop .*stop_gradient"):
        pn.grad(lambda p: float(ops.sum(p * p)) + ops.sum(p))(np.asarray([1.0, 2.0, 3.0]))


def test_a_metric_of_another_library_is_refused():
    y = np.asarray([1.0, 0.0])
    for argument in (lambda p: p, list):
        with pytest.raises((TypeError, ValueError)):
            pn.grad(lambda p, a=argument: mean_squared_error(y, a(p)) + ops.sum(p))(np.ones(2))


def test_an_array_is_looked_at_in_conditions(exact):
    def f(x):
        assert x > 0.0
        assert bool(x < 3.0)
        assert 2.5 in ops.stack([x, 0.0 * x])
        assert not isinstance(x, float)
        return x * x if x else x

    assert exact.to_numpy(pn.grad(f)(exact.asarray(POINT))) == 2.0 * POINT


def test_integers_have_no_derivative_to_lose(exact):
    """As in JAX, whose concrete integers make shapes, ranges and indices too."""

    def f(x):
        count = ops.astype(ops.sum(ops.astype(x > 0.0, "int32")), "int64")
        assert (int(count), operator.index(count), float(count), f"{count}"[:6]) == (2, 2, 2.0, "Traced")
        return sum(x[i % 2, ...] * float(i) for i in range(count)) + x[count - 1, ...]

    gradient = pn.grad(f)(exact.asarray([1.0, 2.0]))
    assert exact.to_numpy(gradient).tolist() == [0.0, 2.0]


def test_the_value_alone_is_there_for_the_asking(exact):
    seen = []

    def f(x):
        value = pn.stop_gradient(x)
        again = pickle.loads(pickle.dumps(value)) if exact.member != "jax" else value
        seen.extend(
            [float(value), int(value), complex(value), round(value, 1), math.exp(value), float(again)]
        )
        return x * x * value * copy.deepcopy(value)

    gradient = pn.grad(f)(exact.asarray(POINT))
    assert seen == [2.5, 2, 2.5 + 0j, 2.5, math.exp(2.5), 2.5]
    assert exact.to_numpy(gradient) == 2.0 * POINT**3


def test_a_constant_is_formatted_as_a_number():
    x = pn.differentiable(np).asarray(2.0)
    assert f"{x:.3f}" == "2.000"
    assert (x.item(), (x + 1.0).tolist()) == (2.0, 3.0)


def test_a_copied_constant_does_not_share_its_elements():
    x = pn.differentiable(np).asarray([1.0, 2.0])
    for y in (copy.copy(x), copy.deepcopy(x)):
        y[0] = 9.0
        assert x.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("number", [2.0, True])
def test_an_option_that_carries_a_derivative_is_refused(number):
    @pn.primitive
    def scaled(x, *, by):
        return ops.multiply(x, by)

    scaled.vjp(lambda g, y, x, by: ops.multiply(g, by))
    assert float(pn.grad(lambda x: scaled(x, by=number))(np.asarray(3.0))) == number
    with pytest.raises(TypeError, match=r"scaled: an option, .* carries a derivative"):
        pn.grad(lambda x: scaled(x, by=x))(np.asarray(3.0))
    with pytest.raises(TypeError, match=r"scaled: an option, .* carries a derivative"):
        pn.grad(pn.grad(lambda x: scaled(x, by=x)))(np.asarray(3.0))


def test_len_and_iteration_of_no_axes():
    for use in (len, list):
        with pytest.raises(TypeError, match="without axes"):
            pn.grad(lambda x, use=use: x * use(x))(np.asarray(1.0))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_inside_a_program_is_not_a_constant(copied):
    program = pn.trace(lambda x: copied(x) * 2.0)(np.ones(3))
    assert program.eval(np.full(3, 5.0)).tolist() == [10.0, 10.0, 10.0]


def test_full_like_inside_a_program_is_not_a_constant():
    for f in (lambda x: ops.full_like(x, x[0]), lambda x: x.__array_namespace__().full_like(x, x[0])):
        program = pn.trace(f)(np.ones(2))
        assert program.eval(np.asarray([5.0, 1.0])).tolist() == [5.0, 5.0]


def test_pickling_inside_a_program_is_refused():
    with pytest.raises(TypeError, match="pickling needs values"):
        pn.trace(lambda x: pickle.loads(pickle.dumps(x)))(np.ones(3))


@pytest.mark.parametrize("written", [pn.trace, pn.jit], ids=["trace", "jit"])
def test_an_array_of_one_program_is_no_constant_of_another(written):
    uses = (lambda v, x: v * x, lambda v, x: x * v, lambda v, x: x, lambda v, x: ops.stack([v, x]))
    for use in uses:
        with pytest.raises(TypeError, match="array of a program that is being written is used in another"):
            written(lambda x, use=use: pn.trace(lambda v: use(v, x))(np.ones(3)).eval(np.ones(3)))(np.ones(3))


ODD = {
    "objects": np.asarray([1.0, 2.0], dtype=object),
    "dates": np.asarray(["2020-01-01"] * 2, dtype="datetime64[D]"),
    "times": np.asarray([1, 2], dtype="timedelta64[s]"),
    "records": np.zeros(2, dtype=[("a", "f8")]),
    "text": np.asarray(["a", "b"]),
}


@pytest.mark.parametrize("kind", ODD)
def test_arrays_of_no_numbers_are_refused(kind):
    """The sum of objects is no array, and would be a constant of every later run."""
    x, odd = np.ones(2), ODD[kind]
    attempts = {
        "grad": lambda: pn.grad(ops.sum)(odd),
        "closed over": lambda: pn.grad(lambda x: ops.sum(x * odd))(x),
        "the other way": lambda: pn.grad(lambda x: ops.sum(odd * x))(x),
        "vjp": lambda: pn.vjp(lambda x: x * odd, x),
        "pullback": lambda: pn.vjp(ops.exp, x)[1](odd),
        "jit": lambda: pn.jit(lambda x: ops.sum(x * 2.0))(odd),
        "closed over in jit": lambda: pn.jit(lambda x: ops.sum(x * odd))(x),
        "trace": lambda: pn.trace(lambda x: ops.sum(x * 2.0))(odd),
    }
    for name, attempt in attempts.items():
        with pytest.raises(TypeError, match=r"array of numbers|floating-point array") as caught:
            attempt()
        assert len(str(caught.value)) < 300, name


def test_results_of_objects_inside_a_program_are_refused():
    with pytest.raises(TypeError, match="expected an array of numbers, got dtype object"):
        pn.jit(lambda x: ops.sum(np.frompyfunc(lambda v: v * v, 1, 1)(x)))(np.ones(2))


SIZED = {
    "arange": lambda xp, x, n: xp.arange(n),
    "eye": lambda xp, x, n: xp.eye(n),
    "zeros": lambda xp, x, n: xp.zeros((n,)),
    "full": lambda xp, x, n: xp.full((n,), 1.0),
    "linspace": lambda xp, x, n: xp.linspace(0.0, 1.0, n),
    "reshape": lambda xp, x, n: xp.reshape(x, (n, -1)),
    "broadcast_to": lambda xp, x, n: xp.broadcast_to(x, (n, 2)),
    "tile": lambda xp, x, n: xp.tile(x, (n,)),
    "repeat": lambda xp, x, n: xp.repeat(x, n),
}


@pytest.mark.parametrize("name", SIZED)
def test_no_value_becomes_a_length_in_a_program(name):
    def f(x):
        n = ops.astype(x[0], "int64")
        return ops.sum(SIZED[name](x.__array_namespace__(), x, n))

    with pytest.raises(TypeError, match=r"depends on values|needs values"):
        pn.trace(f)(np.ones(2))


def test_values_in_a_program_fill_and_reach():
    def f(x):
        xp = x.__array_namespace__()
        return xp.full((2,), x[0]) + xp.linspace(0.0, x[1], 2)

    assert pn.trace(f)(np.ones(2)).eval(np.asarray([5.0, 3.0])).tolist() == [5.0, 8.0]


def test_a_dtype_that_numpy_does_not_know_is_refused():
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes comes with ONNX or JAX")
    x = np.ones(3).astype(ml_dtypes.bfloat16)
    attempts = (
        lambda: pn.grad(ops.sum)(x),
        lambda: ops.layer_norm(x),
        lambda: ops.linalg.vector_norm(x),
        lambda: optim.adam().init({"w": x}),
        lambda: optim.adam().update({"w": x}, optim.adam().init({"w": np.ones(3)}), {"w": np.ones(3)}),
        lambda: losses.squared_error(x, x),
        lambda: metrics.mean_squared_error(x, x),
    )
    for attempt in attempts:
        with pytest.raises(TypeError, match="bfloat16") as caught:
            attempt()
        assert "numpy.dtype[" not in str(caught.value)
