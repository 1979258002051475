"""check_gradients sees what is wrong and lets pass what is right."""

from __future__ import annotations

import numpy as np
import pytest

from portnn import ops
from portnn.autodiff import stop_gradient
from portnn.testing import check_gradients
from portnn.tracing import primitive

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 5))


def spoiled(function, rule):
    """The function as a primitive of one argument with another rule."""
    made = primitive(lambda x: function(x))
    made.vjp(rule)
    return made


def layer_norm_values(x):
    centred = ops.subtract(x, ops.mean(x, axis=-1, keepdims=True))
    variance = ops.mean(ops.square(centred), axis=-1, keepdims=True)
    return ops.divide(centred, ops.sqrt(ops.add(variance, 1e-5)))


def layer_norm_rule(g, y, x, *, with_mean=True):
    """(g - mean(g) - y mean(g y)) / sqrt(var + eps)."""
    variance = ops.var(x, axis=-1, keepdims=True)
    inner = ops.subtract(g, ops.multiply(y, ops.mean(ops.multiply(g, y), axis=-1, keepdims=True)))
    if with_mean:
        inner = ops.subtract(inner, ops.mean(g, axis=-1, keepdims=True))
    return ops.divide(inner, ops.sqrt(ops.add(variance, 1e-5)))


def gelu_values(x):
    return ops.multiply(ops.multiply(x, 0.5), ops.add(ops.erf(ops.multiply(x, 2**-0.5)), 1.0))


def gelu_rule(g, y, x):
    density = ops.multiply(ops.exp(ops.multiply(ops.square(x), -0.5)), (2.0 * np.pi) ** -0.5)
    cumulative = ops.multiply(ops.add(ops.erf(ops.multiply(x, 2**-0.5)), 1.0), 0.5)
    return ops.multiply(g, ops.add(cumulative, ops.multiply(x, density)))


def gelu_tanh_rule(g, y, x):
    """The derivative of the tanh approximation of GELU (Hendrycks and Gimpel 2016, section 2)."""
    c = (2.0 / np.pi) ** 0.5
    t = ops.tanh(ops.multiply(ops.add(x, ops.multiply(ops.multiply(x, ops.square(x)), 0.044715)), c))
    slope = ops.multiply(ops.add(ops.multiply(ops.square(x), 3 * 0.044715), 1.0), c)
    inner = ops.multiply(ops.multiply(ops.subtract(1.0, ops.square(t)), slope), x)
    return ops.multiply(g, ops.multiply(ops.add(ops.add(t, 1.0), inner), 0.5))


def one_wrong(x):
    """Ones, but for one element that is 1 % off."""
    wrong = np.ones(x.shape)
    wrong.flat[-1] = 1.01
    return wrong


RIGHT = {
    "exp": spoiled(ops.exp, lambda g, y, x: ops.multiply(g, y)),
    "gelu": spoiled(gelu_values, gelu_rule),
    "layer norm": spoiled(layer_norm_values, layer_norm_rule),
}
WRONG = {
    "scale off by 1e-6": spoiled(ops.exp, lambda g, y, x: ops.multiply(g, y * (1 + 1e-6))),
    "one element": spoiled(ops.exp, lambda g, y, x: ops.multiply(ops.multiply(g, y), one_wrong(x))),
    "dropped term": spoiled(gelu_values, lambda g, y, x: ops.multiply(g, ops.divide(y, x))),
    "gelu with its tanh derivative": spoiled(gelu_values, gelu_tanh_rule),
    "layer norm without its mean term": spoiled(
        layer_norm_values, lambda g, y, x: layer_norm_rule(g, y, x, with_mean=False)
    ),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_rules_pass(name):
    check_gradients(RIGHT[name], (X,))


@pytest.mark.parametrize("shape", [(3, 5), (2, 3), (20, 30)])
@pytest.mark.parametrize("name", WRONG)
def test_wrong_rules_are_caught(name, shape):
    x = np.random.default_rng(1).normal(size=shape)
    with pytest.raises(AssertionError, match=r"^gradient by argument 0, order 1, .* analytic .* numeric "):
        check_gradients(WRONG[name], (x,))


def test_wrong_second_derivative_is_caught():
    """A rule that is right but whose own record is not: exp with its value held constant."""
    held = spoiled(ops.exp, lambda g, y, x: ops.multiply(g, stop_gradient(y)))
    check_gradients(held, (X,), order=1)
    with pytest.raises(AssertionError, match="order 2"):
        check_gradients(held, (X,))


def test_the_argument_entry_and_values_are_named():
    half = primitive(lambda x: x)
    half.vjp(lambda g, y, x: ops.multiply(g, np.asarray([1.0, 1.0, 0.5])))
    args = ({"w": np.ones(3)}, 3, np.ones(2))
    with pytest.raises(AssertionError) as error:
        check_gradients(lambda p, n, x: half(p["w"]), args, order=1, directions=1)
    assert "argument 0[w]" in str(error.value)
    entries = primitive(lambda x: x)
    entries.vjp(lambda g, y, x: ops.multiply(g, np.asarray([[1.0, 1.0], [1.0, 1.0 + 1e-7]])))
    with pytest.raises(AssertionError, match=r"analytic .*, numeric .*, difference .*, allowed"):
        check_gradients(entries, (np.ones((2, 2)),), order=1)


def test_every_entry_of_a_small_jacobian_is_checked():
    """Two errors that cancel along the direction that is tried are seen entry by entry."""
    d = np.zeros(2)

    def rule(g, y, x):
        return ops.add(g, d)

    shifted = primitive(lambda x: ops.multiply(x, 1.0))
    shifted.vjp(rule)
    check_gradients(shifted, (np.ones(2),), order=1)
    d[1] = 1e-5
    with pytest.raises(AssertionError, match="argument 0"):
        check_gradients(shifted, (np.ones(2),), order=1)


def network(params, x):
    """Linear, GELU, layer norm, linear, log-softmax."""
    hidden = ops.add(ops.matmul(x, params["w1"]), params["b1"])
    hidden = layer_norm_values(gelu_values(hidden))
    return ops.log_softmax(ops.add(ops.matmul(hidden, params["w2"]), params["b2"]), axis=-1)


def make_network(seed):
    rng = np.random.default_rng(seed)
    params = {
        "w1": rng.normal(size=(4, 6)),
        "b1": rng.normal(size=6),
        "w2": rng.normal(size=(6, 3)),
        "b2": rng.normal(size=3),
    }
    return params, rng.normal(size=(2, 4))


@pytest.mark.parametrize("seed", range(50))
def test_no_false_alarm(seed):
    check_gradients(network, make_network(seed), order=1, seed=seed)


@pytest.mark.parametrize("seed", range(3))
def test_no_false_alarm_in_second_order(seed):
    check_gradients(network, make_network(seed), directions=3, seed=seed)


def test_other_arguments_are_handed_on():
    def f(x, index, nothing, flag):
        assert nothing is None
        assert flag == "yes"
        assert index.dtype == np.int64
        return ops.multiply(x, 3.0), index

    check_gradients(f, (X, np.asarray([1]), None, "yes"))


def test_large_and_empty_arrays():
    check_gradients(ops.square, (np.asarray([1e6, -2e6]),))
    check_gradients(lambda x, e: (ops.square(x), ops.square(e)), (X, np.ones((0, 3))))


def test_functions_that_do_not_depend_on_an_argument():
    check_gradients(lambda x, y: ops.square(x), (X, X))


def test_shape_and_dtype_of_the_gradient_are_checked():
    narrow = spoiled(lambda x: ops.multiply(x, 1.0), lambda g, y, x: ops.astype(g, np.float32))
    with pytest.raises(AssertionError, match="dtype is float32"):
        check_gradients(narrow, (X,), order=1)


def index_only(n):
    """A function that hands on what is not differentiated."""
    return n


@pytest.mark.parametrize(
    ("args", "options", "error", "words"),
    [
        (X, {}, TypeError, r"list or tuple of arguments, got ndarray.*write \(x,\)"),
        ((X.astype("f4"),), {}, ValueError, "argument 0 has dtype float32.*float64"),
        (({"a": X + 0j},), {}, ValueError, r"argument 0\[a\] has dtype complex128"),
        ((3,), {}, ValueError, "hold no float64 array"),
        ((np.asarray([3]),), {}, ValueError, "hold no float64 array"),
        ((X,), {"order": 0}, ValueError, "order=0"),
        ((X,), {"directions": 0}, ValueError, "directions=0"),
        ((X,), {"step": -1.0}, ValueError, "step=-1.0"),
        ((X,), {"tolerance": 0.0}, ValueError, "tolerance=0.0"),
    ],
)
def test_bad_input(args, options, error, words):
    with pytest.raises(error, match=words) as caught:
        check_gradients(index_only, args, **options)
    assert len(str(caught.value)) < 300


def test_nothing_floating_is_returned():
    with pytest.raises(ValueError, match="no real floating-point array"):
        check_gradients(lambda x: ops.greater(x, 0.0), (X,))


def test_nan_is_a_disagreement():
    nan = spoiled(lambda x: ops.multiply(x, 1.0), lambda g, y, x: ops.multiply(g, float("nan")))
    with pytest.raises(AssertionError, match="analytic nan"):
        check_gradients(nan, (X,), order=1)


def test_other_libraries(backend):
    if not backend.has_float64:
        with pytest.raises(ValueError, match="need float64"):
            check_gradients(ops.tanh, (backend.asarray(X, "float32"),))
        return
    check_gradients(ops.tanh, (backend.asarray(X),))
