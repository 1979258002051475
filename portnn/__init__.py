"""portnn: neural networks on the Python Array API standard.

A network is described once and runs on NumPy (``backend="cpu"``), on CuPy (``backend="gpu"``), or on any
other library that follows the standard:

    >>> import numpy as np
    >>> import portnn as pn
    >>> net = pn.Network([pn.Linear(4, 8), pn.relu, pn.Linear(8, 3)], backend="cpu", seed=0)
    >>> net.predict_proba(np.zeros((2, 4), dtype=np.float32)).shape
    (2, 3)
"""

from importlib import import_module
from typing import Any

from portnn import losses, nn, ops, optim, random, tree
from portnn._version import __version__
from portnn.autodiff import DifferentiationError, checkpoint, grad, stop_gradient, value_and_grad, vjp
from portnn.backend import Backend, BackendUnavailableError, available_backends, get_backend, show_config
from portnn.network import Network
from portnn.nn import (
    MLP,
    Activation,
    Flatten,
    Layer,
    Linear,
    PReLU,
    Rescale,
    Sequential,
    celu,
    elu,
    gelu,
    glu,
    hard_sigmoid,
    hard_swish,
    hard_tanh,
    identity,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    mish,
    prelu,
    relu,
    selu,
    sigmoid,
    silu,
    softmax,
    softmin,
    softplus,
    softsign,
    tanh,
)  # fmt: skip
from portnn.ops import differentiable
from portnn.optim import NonFiniteGradientError
from portnn.serialize import CheckpointError
from portnn.trace import Primitive, primitive
from portnn.train import DivergenceError, Epoch, History

__all__ = [
    "MLP",
    "Activation",
    "Backend",
    "BackendUnavailableError",
    "CheckpointError",
    "DifferentiationError",
    "DivergenceError",
    "Epoch",
    "Flatten",
    "History",
    "Layer",
    "Linear",
    "Network",
    "NonFiniteGradientError",
    "PReLU",
    "Primitive",
    "Rescale",
    "Sequential",
    "__version__",
    "available_backends",
    "celu",
    "checkpoint",
    "data",
    "differentiable",
    "elu",
    "gelu",
    "get_backend",
    "glu",
    "grad",
    "hard_sigmoid",
    "hard_swish",
    "hard_tanh",
    "identity",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "losses",
    "metrics",
    "mish",
    "nn",
    "ops",
    "optim",
    "plot",
    "prelu",
    "primitive",
    "random",
    "relu",
    "selu",
    "serialize",
    "show_config",
    "sigmoid",
    "silu",
    "softmax",
    "softmin",
    "softplus",
    "softsign",
    "stop_gradient",
    "tanh",
    "testing",
    "tree",
    "value_and_grad",
    "vjp",
]  # fmt: skip

_LATER = ("data", "metrics", "plot", "serialize", "testing")


def __getattr__(name: str) -> Any:
    # Modules that a network can do without are imported when they are first named.
    if name in _LATER:
        return import_module(f"portnn.{name}")
    raise AttributeError(f"module 'portnn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
