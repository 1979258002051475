"""The formulas of activations as the papers print them, and where to compare."""

from functools import partial
from math import erfc, exp, log1p, pi, sqrt

import numpy as np
import pytest

from portnn.nn import _activations as nn

SELU = (1.0507009873554804934, 1.6732632423543772848)


def logistic(x):
    return 1 / (1 + exp(-x)) if x >= 0 else exp(x) / (1 + exp(x))


def tanh_gelu(x):
    return 0.5 * x * (1 + np.tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))


# Scalar formulas as the papers print them, good for moderate x.
FORMULAS = {
    "identity": (nn.identity, lambda x: x),
    "relu": (nn.relu, lambda x: max(x, 0.0)),
    "leaky_relu": (nn.leaky_relu, lambda x: x if x > 0 else 0.01 * x),
    "leaky_relu 0.3": (partial(nn.leaky_relu, negative_slope=0.3), lambda x: x if x > 0 else 0.3 * x),
    "elu": (nn.elu, lambda x: x if x > 0 else exp(x) - 1),
    "elu 0.5": (partial(nn.elu, alpha=0.5), lambda x: x if x > 0 else 0.5 * (exp(x) - 1)),
    "selu": (nn.selu, lambda x: SELU[0] * (x if x > 0 else SELU[1] * (exp(x) - 1))),
    "celu": (nn.celu, lambda x: x if x > 0 else exp(x) - 1),
    "celu 2": (partial(nn.celu, alpha=2.0), lambda x: x if x > 0 else 2 * (exp(x / 2) - 1)),
    "gelu": (nn.gelu, lambda x: x * 0.5 * erfc(-x / sqrt(2))),
    "gelu tanh": (partial(nn.gelu, approximate=True), tanh_gelu),
    "silu": (nn.silu, lambda x: x * logistic(x)),
    "mish": (nn.mish, lambda x: x * np.tanh(log1p(exp(x)))),
    "softplus": (nn.softplus, lambda x: log1p(exp(x))),
    "softsign": (nn.softsign, lambda x: x / (1 + abs(x))),
    "sigmoid": (nn.sigmoid, logistic),
    "hard_sigmoid": (nn.hard_sigmoid, lambda x: min(max(x / 6 + 0.5, 0.0), 1.0)),
    "tanh": (nn.tanh, np.tanh),
    "hard_tanh": (nn.hard_tanh, lambda x: min(max(x, -1.0), 1.0)),
    "hard_swish": (nn.hard_swish, lambda x: x * min(max(x / 6 + 0.5, 0.0), 1.0)),
    "log_sigmoid": (nn.log_sigmoid, lambda x: -log1p(exp(-x))),
}
ELEMENTWISE = [pytest.param(f, formula, id=name) for name, (f, formula) in FORMULAS.items()]
FUNCTIONS = [pytest.param(f, id=name) for name, (f, _) in FORMULAS.items()]

# Both sides of every kink (0, 1 and 3 in magnitude), more than two steps of the differences away from it.
SMOOTH = np.asarray([[-7.5, -4.0, -2.6, -1.4, -0.7, -0.15], [0.15, 0.7, 1.4, 2.6, 4.0, 7.5]])
WIDE = np.concatenate([np.linspace(-12, 12, 97), [-3.0, -1.0, 0.0, 1.0, 3.0]])
