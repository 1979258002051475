"""Activations: values by formula and by PyTorch, gradients, and inputs at which naive formulas break."""

from math import erf, exp, inf, nan, sqrt

import numpy as np
import pytest

import portnn
from portnn import ops
from portnn.autodiff import grad, vjp
from portnn.compile import jit
from portnn.nn import PReLU
from portnn.nn import _activations as nn
from portnn.testing import check_gradients
from tests.helpers import assert_close
from tests.nn.formulas import ELEMENTWISE, FORMULAS, FUNCTIONS, SELU, SMOOTH, WIDE


def rowwise(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def test_every_public_activation_is_tested():
    tested = {name.split()[0] for name in FORMULAS} | {"softmax", "log_softmax", "softmin", "glu", "prelu"}
    assert tested == set(nn.__all__)


def test_every_activation_is_exported():
    for package in (portnn, portnn.nn):
        assert set(nn.__all__) - set(package.__all__) == set()


@pytest.mark.parametrize(("f", "formula"), ELEMENTWISE)
def test_values(f, formula, backend):
    expected = np.asarray([formula(float(v)) for v in WIDE])
    if backend.has_float64:
        assert_close(f(backend.asarray(WIDE)), expected, rtol=1e-12, atol=1e-14, backend=backend)
    x = WIDE.astype(np.float32)
    assert_close(f(backend.asarray(x)), expected.astype(np.float32), rtol=2e-5, atol=3e-6, backend=backend)


@pytest.mark.parametrize("f", FUNCTIONS)
def test_gradients(f, backend):
    if not backend.has_float64:
        pytest.skip("differences need float64")
    check_gradients(f, (backend.asarray(SMOOTH),), order=2)


@pytest.mark.parametrize("f", FUNCTIONS)
def test_float32_gradient_is_that_of_float64(f, backend):
    def gradient(x):
        return grad(lambda x: ops.sum(f(x)))(x)

    exact = gradient(SMOOTH)
    found = gradient(backend.asarray(SMOOTH.astype(np.float32)))
    bound = 5e-6 * float(np.max(np.abs(exact)))
    assert_close(found, exact.astype(np.float32), rtol=0.0, atol=bound, backend=backend)


@pytest.mark.parametrize("f", FUNCTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (1, 1)])
def test_shape_and_dtype_stay(f, dtype, shape):
    y, pullback = vjp(f, np.full(shape, 0.5, dtype=dtype))
    assert (y.shape, y.dtype) == (shape, dtype)
    (g,) = pullback(np.ones(shape, dtype=dtype))
    assert (g.shape, g.dtype) == (shape, dtype)


@pytest.mark.parametrize("f", FUNCTIONS)
def test_nan_stays(f):
    assert np.isnan(f(np.asarray([nan, 1.0], dtype=np.float32))).tolist() == [True, False]


# x, value and derivative; each computed in float32 with warnings as errors, so no step may overflow.
TRAPS = [
    ("relu", inf, inf, 1.0), ("relu", -inf, 0.0, 0.0), ("relu", 0.0, 0.0, 0.0),
    ("leaky_relu", -inf, -inf, 0.01), ("leaky_relu", 0.0, 0.0, 0.01),
    ("elu", 1e4, 1e4, 1.0), ("elu", -1e4, -1.0, 0.0), ("elu", inf, inf, 1.0), ("elu", -inf, -1.0, 0.0),
    ("elu", 0.0, 0.0, 1.0),
    ("selu", 1e4, 10507.01, SELU[0]), ("selu", -1e4, -SELU[0] * SELU[1], 0.0),
    ("selu", 0.0, 0.0, SELU[0] * SELU[1]),
    ("celu 2", 1e4, 1e4, 1.0), ("celu 2", -1e4, -2.0, 0.0), ("celu 2", 0.0, 0.0, 1.0),
    ("gelu", inf, inf, 1.0), ("gelu", -inf, 0.0, 0.0), ("gelu", 1e20, 1e20, 1.0), ("gelu", -1e20, 0.0, 0.0),
    ("gelu", 0.0, 0.0, 0.5),
    ("gelu tanh", inf, inf, 1.0), ("gelu tanh", -inf, 0.0, 0.0), ("gelu tanh", 1e20, 1e20, 1.0),
    ("gelu tanh", -1e20, 0.0, 0.0), ("gelu tanh", 0.0, 0.0, 0.5),
    ("silu", inf, inf, 1.0), ("silu", -inf, 0.0, 0.0), ("silu", 1e30, 1e30, 1.0), ("silu", -1e30, 0.0, 0.0),
    ("mish", inf, inf, 1.0), ("mish", -inf, 0.0, 0.0), ("mish", 1e4, 1e4, 1.0), ("mish", -1e4, 0.0, 0.0),
    ("mish", 0.0, 0.0, 0.6), ("mish", 25.0, 25.0, 1.0),
    ("softplus", 1000.0, 1000.0, 1.0), ("softplus", -1000.0, 0.0, 0.0), ("softplus", inf, inf, 1.0),
    ("softplus", -inf, 0.0, 0.0), ("softplus", -50.0, exp(-50.0), exp(-50.0)),
    ("log_sigmoid", -200.0, -200.0, 1.0), ("log_sigmoid", 200.0, 0.0, 0.0), ("log_sigmoid", -inf, -inf, 1.0),
    ("log_sigmoid", inf, 0.0, 0.0), ("log_sigmoid", 50.0, -exp(-50.0), exp(-50.0)),
    ("softsign", inf, 1.0, 0.0), ("softsign", -inf, -1.0, 0.0), ("softsign", 1e30, 1.0, 0.0),
    ("softsign", 0.0, 0.0, 1.0),
    ("sigmoid", 1e4, 1.0, 0.0), ("sigmoid", -1e4, 0.0, 0.0), ("sigmoid", -50.0, exp(-50.0), exp(-50.0)),
    ("tanh", inf, 1.0, 0.0), ("tanh", -1e4, -1.0, 0.0),
    ("hard_sigmoid", inf, 1.0, 0.0), ("hard_sigmoid", -inf, 0.0, 0.0), ("hard_sigmoid", 3.0, 1.0, 0.0),
    ("hard_tanh", inf, 1.0, 0.0), ("hard_tanh", -1.0, -1.0, 0.0),
    ("hard_swish", inf, inf, 1.0), ("hard_swish", -inf, 0.0, 0.0), ("hard_swish", 3.0, 3.0, 1.0),
    ("hard_swish", -3.0, 0.0, 0.0),
]  # fmt: skip


@pytest.mark.parametrize(("name", "x", "value", "derivative"), TRAPS)
def test_traps(name, x, value, derivative, backend):
    f = FORMULAS[name][0]
    y, pullback = vjp(f, backend.asarray([x], dtype="float32"))
    (g,) = pullback(backend.asarray([1.0], dtype="float32"))
    assert_close(y, np.asarray([value], dtype=np.float32), rtol=1e-5, backend=backend)
    assert_close(g, np.asarray([derivative], dtype=np.float32), rtol=1e-5, backend=backend)


@pytest.mark.parametrize(
    ("name", "x"), [("gelu", -9.0), ("silu", -40.0), ("mish", -40.0), ("softplus", -40.0), ("sigmoid", -40.0)]
)
def test_left_tail_keeps_its_digits(name, x):
    mpmath = pytest.importorskip("mpmath")
    tails = {
        "gelu": lambda x: x * mpmath.erfc(-x / mpmath.sqrt(2)) / 2,
        "silu": lambda x: x / (1 + mpmath.exp(-x)),
        "mish": lambda x: x * mpmath.tanh(mpmath.log1p(mpmath.exp(x))),
        "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
        "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    }
    with mpmath.workdps(50):
        exact = float(tails[name](mpmath.mpf(x)))
    assert float(FORMULAS[name][0](np.asarray(x))) == pytest.approx(exact, rel=1e-13)


@pytest.mark.parametrize("f", [f for f, _ in FORMULAS.values()], ids=FORMULAS.keys())
def test_float16_keeps_its_digits(f):
    x = np.asarray([-6e4, -300, -20, -5, -2, 0.5, 4, 5.5, 20, 6e4], dtype=np.float16)
    (y, pullback), (wide, exact) = vjp(f, x), vjp(f, x.astype(np.float64))
    np.testing.assert_allclose(y, wide, rtol=4e-3, atol=2e-3)
    np.testing.assert_allclose(pullback(np.ones_like(x))[0], exact(np.ones(10))[0], rtol=4e-3, atol=2e-3)


def test_gelu_of_erf():
    # Hendrycks and Gimpel's own form, of which erfc is a rearrangement.
    x = np.linspace(-4, 4, 33)
    expected = [0.5 * v * (1 + erf(v / sqrt(2))) for v in x.tolist()]
    np.testing.assert_allclose(nn.gelu(x), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("f", "oracle"),
    [
        pytest.param(nn.softmax, rowwise, id="softmax"),
        pytest.param(nn.softmin, lambda x: rowwise(-x), id="softmin"),
        pytest.param(nn.log_softmax, lambda x: np.log(rowwise(x)), id="log_softmax"),
        pytest.param(nn.glu, lambda x: x[:, :3] / (1 + np.exp(-x[:, 3:])), id="glu"),
    ],
)
def test_functions_along_an_axis(f, oracle, backend):
    x = np.asarray([[0.3, -1.2, 2.0, 0.1, 0.4, -0.5], [1.0, 2.0, 0.0, -3.0, 1.5, 0.7]])
    found = f(backend.asarray(x.astype(np.float32)))
    assert_close(found, oracle(x).astype(np.float32), rtol=1e-5, backend=backend)
    along_first = f(backend.asarray(x.T.astype(np.float32)), axis=0)
    assert_close(along_first, oracle(x).T.astype(np.float32), rtol=1e-5, backend=backend)
    if backend.has_float64:
        check_gradients(f, (backend.asarray(x),), order=2)


def test_softmin_of_large_values():
    assert nn.softmin(np.asarray([1e4, 1e4])).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 1), (2, 3)])
def test_prelu(shape, backend):
    x = np.asarray([[-2.0, 0.5, 1.0], [-0.5, 3.0, -1.0]])
    alpha = np.linspace(0.1, 0.6, int(np.prod(shape))).reshape(shape)
    found = nn.prelu(backend.asarray(x.astype(np.float32)), backend.asarray(alpha.astype(np.float32)))
    assert_close(found, np.where(x > 0, x, x * alpha).astype(np.float32), rtol=1e-6, backend=backend)
    if backend.has_float64:
        check_gradients(nn.prelu, (backend.asarray(x), backend.asarray(alpha)), order=2)


@pytest.mark.parametrize("shape", [(2, 3, 3), (2, 3, 4), (2, 3, 3, 3), (1, 3, 2, 3, 3)])
@pytest.mark.parametrize("planned", [False, True])
def test_prelu_has_a_slope_for_each_channel(shape, planned, backend):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    alpha = np.asarray([0.1, -0.5, 2.0], dtype=np.float32)
    f = jit(nn.prelu) if planned else nn.prelu
    expected = np.stack([np.where(x[:, i] > 0, x[:, i], x[:, i] * alpha[i]) for i in range(3)], axis=1)
    assert_close(f(backend.asarray(x), backend.asarray(alpha)), expected, rtol=1e-6, backend=backend)
    one = PReLU().apply({"alpha": backend.asarray(alpha[:1])}, backend.asarray(x))
    assert_close(one, np.where(x > 0, x, x * alpha[0]), rtol=1e-6, backend=backend)
    layer = PReLU(3).apply({"alpha": backend.asarray(alpha)}, backend.asarray(x))
    assert_close(layer, expected, rtol=1e-6, backend=backend)


@pytest.mark.parametrize(
    ("shape", "slopes"), [((2, 3, 4), (4,)), ((2, 1, 4), (4,)), ((2, 3), (2,)), ((2, 3, 4), (2, 1, 1, 3))]
)
def test_prelu_refuses_slopes_that_do_not_fit(shape, slopes):
    with pytest.raises(
        ValueError, match=r"prelu: expected alpha to have one slope, or one per channel"
    ) as caught:
        nn.prelu(np.ones(shape), np.ones(slopes))
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("shape", [(), (4,), (3, 4), (2, 4, 3), (3, 2, 3, 3)])
def test_a_layer_of_slopes_refuses_other_channels(shape):
    with pytest.raises(ValueError, match=r"PReLU: expected an input of shape \(n, 3, \.\.\.\), got"):
        PReLU(3).apply({"alpha": np.ones(3)}, np.ones(shape))


def test_prelu_of_a_scalar_is_a_scalar(backend):
    x, alpha = backend.asarray(-2.0, "float32"), backend.asarray([0.25], "float32")
    y, pull = vjp(nn.prelu, x, alpha)
    assert (y.shape, float(y)) == ((), -0.5)
    slopes = [backend.to_numpy(g) for g in pull(ops.ones_like(y))]
    assert [(g.shape, g.tolist()) for g in slopes] == [((), 0.25), ((1,), [-2.0])]


def test_prelu_of_infinity_leaves_the_slope_alone():
    x, alpha = np.asarray([inf, -2.0], dtype=np.float32), np.asarray([0.5, 0.5], dtype=np.float32)
    y, pullback = vjp(nn.prelu, x, alpha)
    dx, dalpha = pullback(np.ones(2, dtype=np.float32))
    assert (y.tolist(), dx.tolist(), dalpha.tolist()) == ([inf, -1.0], [1.0, 0.5], [0.0, -2.0])


INTEGERS = [
    name for name in nn.__all__ if name not in ("identity", "prelu", "sigmoid", "softmax", "log_softmax")
]


@pytest.mark.parametrize("name", INTEGERS)
def test_integers_are_refused(name, backend):
    with pytest.raises(
        TypeError, match=rf"^{name}: expected a real floating-point array, got dtype .*int64.*astype"
    ):
        getattr(nn, name)(backend.asarray([1, 2], dtype="int64"))


@pytest.mark.parametrize("name", INTEGERS)
@pytest.mark.parametrize("x", [[1.0, 2.0], 1.0, None])
def test_what_is_no_array_is_refused(name, x):
    with pytest.raises(TypeError, match=rf"^{name}: expected .*array"):
        getattr(nn, name)(x)


def test_complex_is_refused():
    with pytest.raises(TypeError, match=r"relu: .* got dtype complex128"):
        nn.relu(np.ones(2, dtype=complex))


def test_prelu_refuses_integer_slopes():
    with pytest.raises(TypeError, match=r"prelu: .* got dtype int64"):
        nn.prelu(np.ones(2), np.asarray([1, 2]))


@pytest.mark.parametrize(("shape", "axis", "text"), [
    ((2, 3), -1, r"glu: expected an even length along axis -1, got shape \(2, 3\)"),
    ((2, 3), 2, "glu: axis=2 is out of range for an array with 2 axes"),
    ((), -1, "glu: axis=-1 is out of range"),
])  # fmt: skip
def test_glu_errors(shape, axis, text):
    with pytest.raises(ValueError, match=text):
        nn.glu(np.ones(shape), axis=axis)


@pytest.mark.parametrize("alpha", [0.0, -1.0, nan])
def test_celu_errors(alpha):
    with pytest.raises(ValueError, match="celu: alpha must be positive, got"):
        nn.celu(np.ones(2), alpha=alpha)


@pytest.mark.parametrize(
    ("approximate", "expected"),
    [(False, 0.8413447460685429), ("none", 0.8413447460685429), (np.False_, 0.8413447460685429),
     (True, 0.8411919906082768), ("tanh", 0.8411919906082768), (np.True_, 0.8411919906082768)],
)  # fmt: skip
def test_gelu_takes_the_words_of_pytorch(approximate, expected):
    """Phi(1) by the normal distribution, and 0.5 (1 + tanh(sqrt(2 / pi) 1.044715))."""
    assert float(nn.gelu(np.asarray(1.0), approximate=approximate)) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(
    ("approximate", "error"), [("asdf", ValueError), ("True", ValueError), (1, TypeError), (None, TypeError)]
)
def test_gelu_refuses_other_words(approximate, error):
    with pytest.raises(error, match="gelu: approximate must be"):
        nn.gelu(np.asarray(1.0), approximate=approximate)


def test_a_network_with_a_word_for_gelu_is_saved(tmp_path):
    layers = [portnn.Linear(2, 2), portnn.Activation(portnn.gelu, approximate="tanh")]
    net = portnn.Network(layers, loss=portnn.losses.squared_error)
    net.save(tmp_path / "net.safetensors")
    x = np.ones((3, 2), np.float32)
    np.testing.assert_array_equal(
        portnn.Network.load(tmp_path / "net.safetensors").predict(x), net.predict(x)
    )
