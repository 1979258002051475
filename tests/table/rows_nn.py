"""Activations and layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np

from portnn import nn, random
from tests.table.engine import Maker, Row, apart, fixed, normal
from tests.table.rows_elementwise import exact

X: Maker = normal(2, 3)
# No corner of an activation (-3, -1, 0, 1, 3) is closer than 0.1.
CORNERS = fixed([[-4.0, -2.2, -0.7], [0.3, 1.9, 3.6]])


def row(name: str, oracle: Callable[..., Any], *args: Any, **more: Any) -> Row:
    """A row of an activation."""
    function = more.pop("function", None) or getattr(nn, name)
    return Row(
        f"nn.{name}", function, args or (X,), oracle, elementwise=more.pop("elementwise", True), **more
    )


def _sigmoid(a: Any) -> Any:
    return 1 / (1 + mpmath.exp(-a))


def _gelu_tanh(a: Any) -> Any:
    return a / 2 * (1 + mpmath.tanh(mpmath.sqrt(2 / mpmath.pi) * (a + mpmath.mpf("0.044715") * a**3)))


def _elu(alpha: float) -> Callable[[Any], Any]:
    return lambda a: a if a > 0 else alpha * mpmath.expm1(a)


# Klambauer et al. 2017, equation 14, to 30 digits by their definition as a fixed point.
SELU_ALPHA = mpmath.mpf("1.6732632423543772848170429916717")
SELU_SCALE = mpmath.mpf("1.0507009873554804934193349852946")


def softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    """exp(x) over its sum."""
    return np.exp(x) / np.sum(np.exp(x), axis, keepdims=True)


def _glu(x: np.ndarray, axis: int = -1) -> np.ndarray:
    a, b = np.split(x, 2, axis)
    return a / (1.0 + np.exp(-b))


SMOOTH_ONES = [
    row("identity", exact(lambda a: a)),
    row("tanh", exact(mpmath.tanh)),
    row("sigmoid", exact(_sigmoid)),
    row("log_sigmoid", exact(lambda a: mpmath.log(_sigmoid(a)))),
    row("softplus", exact(lambda a: mpmath.log(1 + mpmath.exp(a)))),
    row("softsign", exact(lambda a: a / (1 + abs(a))), apart(2, 3)),
    row("silu", exact(lambda a: a * _sigmoid(a))),
    row("mish", exact(lambda a: a * mpmath.tanh(mpmath.log(1 + mpmath.exp(a))))),
    row("gelu", exact(lambda a: a * mpmath.ncdf(a))),
    row("gelu", exact(_gelu_tanh), case="tanh", function=lambda x: nn.gelu(x, approximate=True)),
    row("gelu", exact(lambda a: a * mpmath.ncdf(a)), fixed([-6.0, -3.0, -1.0, 0.0, 1e-4, 0.5, 2.0, 7.0]),
        case="wide", elementwise=False),
    row("mish", exact(lambda a: a * mpmath.tanh(mpmath.log(1 + mpmath.exp(a)))),
        fixed([-30.0, -8.0, -0.5, 0.0, 3.0, 25.0]), case="wide", elementwise=False),
]  # fmt: skip

CORNERED = [
    row("relu", exact(lambda a: max(a, 0)), CORNERS),
    row("leaky_relu", exact(lambda a: a if a > 0 else a / 100), CORNERS),
    row("leaky_relu", exact(lambda a: a if a > 0 else a / 4), CORNERS, case="slope",
        function=lambda x: nn.leaky_relu(x, negative_slope=0.25)),
    row("prelu", exact(lambda a, s: a if a > 0 else a * s), CORNERS, normal(2, 3), numbers=False),
    row("elu", exact(_elu(1.0)), CORNERS),
    row("elu", exact(_elu(0.5)), CORNERS, case="alpha", function=lambda x: nn.elu(x, alpha=0.5)),
    row("celu", exact(_elu(1.0)), CORNERS),
    row("celu", exact(lambda a: a if a > 0 else 2 * mpmath.expm1(a / 2)), CORNERS, case="alpha",
        function=lambda x: nn.celu(x, alpha=2.0)),
    row("selu", exact(lambda a: SELU_SCALE * _elu(SELU_ALPHA)(a)), CORNERS),
    row("hard_sigmoid", exact(lambda a: min(max(a / 6 + mpmath.mpf(1) / 2, 0), 1)), CORNERS),
    row("hard_tanh", exact(lambda a: min(max(a, -1), 1)), CORNERS),
    row("hard_swish", exact(lambda a: a * min(max(a / 6 + mpmath.mpf(1) / 2, 0), 1)), CORNERS),
]  # fmt: skip

ALONG_AN_AXIS = [
    row("softmax", softmax, elementwise=False),
    row("softmax", lambda x: softmax(x, 0), case="axis 0", elementwise=False, function=lambda x: nn.softmax(x, axis=0)),
    row("log_softmax", lambda x: np.log(softmax(x)), elementwise=False),
    row("softmin", lambda x: softmax(-x), elementwise=False),
    row("softmin", lambda x: softmax(-x, 0), case="axis 0", elementwise=False, function=lambda x: nn.softmin(x, axis=0)),
    row("glu", _glu, normal(2, 4), elementwise=False),
    row("glu", lambda x: _glu(x, 0), normal(4, 2), case="axis 0", elementwise=False,
        function=lambda x: nn.glu(x, axis=0)),
]  # fmt: skip

NETWORK = nn.Sequential([nn.Flatten(), nn.Linear(4, 3), nn.tanh, nn.Linear(3, 2)])


def tree_of(**makers: Maker) -> Callable[[np.random.Generator], Any]:
    """A dict of parameters."""
    return lambda rng: {name: make(rng) for name, make in makers.items()}


def network_params(rng: np.random.Generator) -> Any:
    """Parameters of NETWORK, or of an MLP of the same sizes."""
    w = [rng.normal(size=s) for s in ((4, 3), (3,), (3, 2), (2,))]
    return ({}, {"weight": w[0], "bias": w[1]}, {}, {"weight": w[2], "bias": w[3]})


def plain_network(params: Any, x: np.ndarray) -> np.ndarray:
    """tanh(x W + b) V + c."""
    first, second = (p for p in params if p)
    hidden = np.tanh(x.reshape(len(x), -1) @ first["weight"] + first["bias"])
    return hidden @ second["weight"] + second["bias"]


def layer(name: str, of: Any, params: Any, x: Maker, oracle: Callable[..., Any], case: str = "") -> Row:
    """A row of a layer: its output as a function of parameters and input."""
    return Row(f"nn.{name}", lambda p, x: of.apply(p, x), (params, x), oracle, case=case)


def plain_linear(p: Any, x: np.ndarray) -> np.ndarray:
    """Σ x w + b."""
    return np.einsum("...i,io->...o", x, p["weight"]) + p.get("bias", 0.0)


def dropping(of: Any) -> Callable[..., Any]:
    """A layer in training, with a key on the library of its input."""
    return lambda x: of.apply({}, x, training=True, key=random.key(3, like=x))


LINEAR = tree_of(weight=normal(3, 2), bias=normal(2))
LAYERS = [
    layer("Linear", nn.Linear(3, 2), LINEAR, normal(4, 3), plain_linear),
    layer("Linear", nn.Linear(3, 2), LINEAR, normal(2, 2, 3), plain_linear, "more axes"),
    layer("Linear", nn.Linear(3, 2), LINEAR, normal(0, 3), plain_linear, "empty batch"),
    layer("Linear", nn.Linear(3, 2, bias=False), tree_of(weight=normal(3, 2)), normal(4, 3), plain_linear, "no bias"),
    Row("nn.Dropout", dropping(nn.Dropout(0.25)), (X,), lambda x: x * [[0, 1, 1], [0, 1, 1]] / 0.75),
    Row("nn.Dropout1d", dropping(nn.Dropout1d(0.5)), (normal(2, 2, 2),), lambda x: x * [[[0], [0]], [[1], [0]]] * 2.0),
    Row("nn.Dropout2d", dropping(nn.Dropout2d(0.5)), (normal(1, 3, 1, 2),), lambda x: x * [[[[0]], [[0]], [[1]]]] * 2.0),
    layer("Flatten", nn.Flatten(), tree_of(), normal(2, 3, 2), lambda p, x: x.reshape(2, 6)),
    layer("Rescale", nn.Rescale(0.5, -1.0), tree_of(), X, lambda p, x: x / 2.0 - 1.0),
    Row("nn.Rescale", lambda x: nn.Rescale().apply({}, x) * 255.0, (lambda rng: rng.integers(0, 256, (2, 3), dtype=np.uint8),),
        lambda x: x.astype(np.float64), kind="constant", case="bytes", rtol=2e-6, own_dtype=True),
    layer("PReLU", nn.PReLU(3), tree_of(alpha=normal(3)), CORNERS, lambda p, x: np.where(x > 0, x, x * p["alpha"])),
    layer("PReLU", nn.PReLU(), tree_of(alpha=normal(1)), CORNERS, lambda p, x: np.where(x > 0, x, x * p["alpha"]),
          "one slope"),
    layer("Activation", nn.Activation(nn.leaky_relu, negative_slope=0.25), tree_of(), CORNERS,
          lambda p, x: np.where(x > 0, x, x / 4.0)),
    layer("MLP", nn.MLP([4, 3, 2], activation=nn.tanh), lambda rng: network_params(rng)[1:], normal(3, 4), plain_network),
    Row("nn.Cast", lambda p, x: nn.Cast(NETWORK, "float64").apply(p, x), (network_params, normal(3, 2, 2)), plain_network,
        not_on=("array_api_strict:no_float64",)),
    layer("Sequential", NETWORK, network_params, normal(3, 2, 2), plain_network),
]  # fmt: skip

ROWS = [*SMOOTH_ONES, *CORNERED, *ALONG_AN_AXIS, *LAYERS]
