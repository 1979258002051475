"""Each elementwise function in each dtype: the generated C, compiled for the host, against NumPy."""

import numpy as np
import pytest
from array_api_compat import array_namespace

from portnn import ops
from portnn.compile._cupy._elementwise import _FLOATING, _TRUTH, _WHOLE, lower
from portnn.compile._cupy._steps import Kernel
from tests.compile.gpu.helpers import needs_compiler, plan_of, program_of

pytestmark = needs_compiler

FLOATS = ("float16", "float32", "float64")
INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
EXACT = {"add", "subtract", "multiply", "divide", "square", "negative", "positive", "abs", "sqrt", "floor",
         "ceil", "trunc", "maximum", "minimum", "sign", "copysign"}  # fmt: skip
BINARY = {"add", "subtract", "multiply", "divide", "maximum", "minimum", "atan2", "hypot", "copysign",
          "bitwise_and", "bitwise_or", "bitwise_xor", "logical_and", "logical_or", "logical_xor"}  # fmt: skip
COMPARISONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")


def numbers(dtype, seed=0):
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        x = np.concat(
            [rng.normal(size=40), rng.normal(size=40) * 8, [0.0, -0.0, np.inf, -np.inf, np.nan, 1, -1]]
        )
        return rng.permutation(x).astype(dtype)
    if dtype == "bool":
        return rng.integers(0, 2, 87).astype(bool)
    info = np.iinfo(dtype)
    x = rng.integers(info.min, info.max, 87, dtype=dtype, endpoint=True)
    x[:5] = [0, 1, info.max, info.min, 2]
    return rng.permutation(x)


def check(f, *arrays, ulps=0):
    """One kernel, and NumPy's numbers, for a function of arrays that returns one or, by name, several."""
    plan, _ = plan_of(f, *arrays)
    assert [type(s) for s in plan._plan.steps] == [Kernel], plan.explain()
    with np.errstate(all="ignore"):
        got, want = plan(*arrays), f(*arrays)
    if not isinstance(want, dict):
        got, want = {"result": got}, {"result": want}
    for name in want:
        compare(name, got[name], want[name], ulps if name not in EXACT else 0)


def compare(name, got, want, ulps):
    assert (got.dtype, got.shape) == (want.dtype, want.shape), name
    finite = np.isfinite(want) if ulps else np.zeros(want.shape, bool)
    np.testing.assert_array_equal(got[~finite], want[~finite], name)
    if want.dtype.kind == "f" and not ulps:
        number = ~np.isnan(want)
        np.testing.assert_array_equal(np.signbit(got[number]), np.signbit(want[number]), name)
    step = np.spacing(np.abs(want[finite]))
    assert np.all(np.abs(got[finite].astype("float64") - want[finite]) <= ulps * step), name


def each(names):
    """A function that gives for each name the standard's function of its arrays, as many as it takes."""

    def f(*arrays):
        xp = array_namespace(arrays[0])
        return {
            n: getattr(xp, n)(*(arrays if n in BINARY or n in COMPARISONS else arrays[:1])) for n in names
        }

    return f


def whole_names(dtype):
    """Functions of whole numbers of a dtype, but shifts, whose second operand has to be small."""
    left = {"bitwise_left_shift", "bitwise_right_shift", *(["negative"] if dtype.startswith("u") else [])}
    return [n for n in _WHOLE if n not in left]


def shifts(x):
    return {"left": ops.bitwise_left_shift(x, 3), "right": ops.bitwise_right_shift(x, 7)}


@pytest.mark.parametrize("dtype", FLOATS)
def test_floating(dtype):
    limited = {"acos", "asin", "atanh", "sin", "cos", "tan"}
    with np.errstate(all="ignore"):
        check(each(sorted(set(_FLOATING) - limited)), numbers(dtype, 0), numbers(dtype, 1), ulps=4)
        x = np.nan_to_num(numbers(dtype) / 64, posinf=0.5, neginf=-0.5)
        check(each(sorted(limited)), x.clip(-1, 1).astype(dtype), ulps=4)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_shifts(dtype):
    check(shifts, numbers(dtype))


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers(dtype):
    check(each(whole_names(dtype)), numbers(dtype, 0), numbers(dtype, 1))


def test_truth():
    check(each(_TRUTH), numbers("bool", 0), numbers("bool", 1))


@pytest.mark.parametrize("dtype", ["bool", *INTEGERS, *FLOATS])
def test_comparisons(dtype):
    x = numbers(dtype)
    y = np.where(numbers("bool"), x, np.roll(x, 1))
    check(each([*COMPARISONS, *(("isnan", "isinf", "isfinite") if dtype in FLOATS else ())]), x, y)


@pytest.mark.parametrize("source", ["bool", *INTEGERS, *FLOATS])
def test_casts(source):
    x = numbers(source)
    twice = source in ("int32", "uint32", "int64", "uint64", "float64")  # rounded twice on the way to float16
    targets = [t for t in ("bool", *FLOATS) if t != source and not (twice and t == "float16")]
    with np.errstate(all="ignore"):
        check(cast_to(targets), x)
        if twice:
            assert lower(program_of(cast_to(["float16"]), x).calls[0]) is None
        small = np.nan_to_num(np.abs(x.astype("float64")) * 4, nan=3, posinf=100).clip(0, 100).astype(source)
        check(cast_to([t for t in INTEGERS if t != source]), small if source in FLOATS else x)


def cast_to(targets):
    def f(x):
        return {t: array_namespace(x).astype(x, np.dtype(t)) for t in targets}

    return f


@pytest.mark.parametrize("dtype", ["bool", "int16", "float16", "float32", "float64"])
def test_where_takes_numbers_and_arrays(dtype):
    condition, x = numbers("bool", 5), numbers(dtype)
    other = True if dtype == "bool" else 3

    def f(condition, x):
        return array_namespace(x).where(condition, x, other)

    check(f, condition, x)


@pytest.mark.parametrize("dtype", ["int8", "int32", *FLOATS])
@pytest.mark.parametrize("bounds", [(-1, 2), (0, None), (None, 3), (3, -3), ()])
def test_clip_between_numbers(dtype, bounds):
    def f(x):
        return array_namespace(x).clip(x, *bounds)

    check(f, numbers(dtype) + np.asarray(0, dtype))  # no -0.0, of which NumPy and array-api-compat differ


@pytest.mark.parametrize("dtype", ["int8", "int32", *FLOATS])
def test_clip_between_arrays(dtype):
    def f(x, low, high):
        clip = array_namespace(x).clip
        return {"both": clip(x, low, high), "low": clip(x, low, None), "number": clip(x, 1, high)}

    check(f, *[numbers(dtype, n) + np.asarray(0, dtype) for n in range(3)])


def test_clip_between_other_things_is_left_to_cupy():
    x = np.ones(3, "float32")
    assert lower(program_of(lambda x: array_namespace(x).clip(x, float("nan"), 1.0), x).calls[0]) is None


@pytest.mark.parametrize(
    "number", [0.1, -3.4028234663852886e38, float("inf"), -float("inf"), 1e-45, 2, -7, True]
)
@pytest.mark.parametrize("dtype", FLOATS)
def test_python_numbers_take_the_dtype_of_the_array(dtype, number):
    if dtype == "float16" and 65504 < abs(number) < float("inf"):
        pytest.skip("no number of float16")
    with np.errstate(all="ignore"):
        check(lambda x: x * number + number, numbers(dtype))


@pytest.mark.parametrize("number", [2, -1, 127, -128])
def test_whole_numbers_at_the_ends_of_a_dtype(number):
    check(lambda x: (x + number) * number, numbers("int8"))


def test_the_lowest_number_of_int64():
    check(lambda x: x + (-(2**63)), numbers("int64"))


def test_a_rounded_product_is_not_contracted():
    rng = np.random.default_rng(5)
    x, y, z = (rng.normal(size=1000).astype("float32") for _ in range(3))
    plan, _ = plan_of(lambda x, y, z: x * y + z, x, y, z)
    assert "__fadd_rn(v0, in2)" in plan._plan.steps[0].source.text.replace("(float)", "")
    check(lambda x, y, z: x * y + z, x, y, z)


def test_mixed_dtypes_meet_in_the_common_one():
    check(lambda x, y: x + y, numbers("int32"), numbers("float32"))
    check(lambda x, y: x + y, numbers("float16"), numbers("float32"))
    check(lambda x, y: x * y, numbers("uint8"), numbers("int16"))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x**2,
        lambda x: x // 3.0,
        lambda x: x % 3.0,
        lambda x: array_namespace(x).logaddexp(x, x),
    ],
)
def test_functions_with_formulas_of_cupys_own_are_left_to_it(f):
    assert [lower(call) for call in program_of(f, np.ones(3, "float32")).calls] == [None]


def test_signed_beside_unsigned_64_bits_is_left_to_cupy():
    program = program_of(lambda x, y: x < y, np.ones(3, "int64"), np.ones(3, "uint64"))
    assert lower(program.calls[0]) is None


def test_complex_numbers_are_left_to_cupy():
    assert lower(program_of(lambda x: x + x, np.ones(3, "complex64")).calls[0]) is None
