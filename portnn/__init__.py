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
from typing import TYPE_CHECKING, Any

from portnn import _late, ops  # whatever is used first, traced arrays need their operators
from portnn._version import __version__

if TYPE_CHECKING:
    from portnn import (
        data,
        decode,
        estimators,
        losses,
        metrics,
        nn,
        optim,
        plot,
        random,
        serialize,
        testing,
        train,
        tree,
    )
    from portnn.autodiff import DifferentiationError, checkpoint, grad, stop_gradient, value_and_grad, vjp
    from portnn.backend import Backend, BackendUnavailableError, available_backends, get_backend, show_config
    from portnn.compile import Jitted, PlanError, PlanWarning, RetraceWarning, jit
    from portnn.export import export_onnx
    from portnn.network import Network
    from portnn.nn import (
        GRU,
        LSTM,
        MLP,
        RNN,
        Activation,
        AvgPool1d,
        AvgPool2d,
        BatchNorm,
        Cast,
        Concatenate,
        Conv1d,
        Conv2d,
        ConvTranspose1d,
        ConvTranspose2d,
        Dropout,
        Dropout1d,
        Dropout2d,
        Embedding,
        Flatten,
        GlobalAvgPool1d,
        GlobalAvgPool2d,
        GlobalMaxPool1d,
        GlobalMaxPool2d,
        GroupNorm,
        InstanceNorm,
        Layer,
        LayerNorm,
        Linear,
        MaxPool1d,
        MaxPool2d,
        MultiHeadAttention,
        Parallel,
        PReLU,
        Repeat,
        Rescale,
        Reshape,
        Residual,
        RMSNorm,
        Sequential,
        Shared,
        Sharing,
        SinusoidalPositions,
        Sum,
        TransformerDecoder,
        TransformerDecoderLayer,
        TransformerEncoder,
        TransformerEncoderLayer,
        Upsample,
        ZeroPad1d,
        ZeroPad2d,
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
    from portnn.program import Program, lockstep, trace
    from portnn.serialize import CheckpointError
    from portnn.tracing import ControlFlowError, Primitive, primitive
    from portnn.train import DivergenceError, Epoch, History

__all__ = [
    "GRU",
    "LSTM",
    "MLP",
    "RNN",
    "Activation",
    "AvgPool1d",
    "AvgPool2d",
    "Backend",
    "BackendUnavailableError",
    "BatchNorm",
    "Cast",
    "CheckpointError",
    "Concatenate",
    "ControlFlowError",
    "Conv1d",
    "Conv2d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "DifferentiationError",
    "DivergenceError",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Embedding",
    "Epoch",
    "Flatten",
    "GlobalAvgPool1d",
    "GlobalAvgPool2d",
    "GlobalMaxPool1d",
    "GlobalMaxPool2d",
    "GroupNorm",
    "History",
    "InstanceNorm",
    "Jitted",
    "Layer",
    "LayerNorm",
    "Linear",
    "MaxPool1d",
    "MaxPool2d",
    "MultiHeadAttention",
    "Network",
    "NonFiniteGradientError",
    "PReLU",
    "Parallel",
    "PlanError",
    "PlanWarning",
    "Primitive",
    "Program",
    "RMSNorm",
    "Repeat",
    "Rescale",
    "Reshape",
    "Residual",
    "RetraceWarning",
    "Sequential",
    "Shared",
    "Sharing",
    "SinusoidalPositions",
    "Sum",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
    "Upsample",
    "ZeroPad1d",
    "ZeroPad2d",
    "__version__",
    "available_backends",
    "celu",
    "checkpoint",
    "data",
    "decode",
    "differentiable",
    "elu",
    "estimators",
    "export_onnx",
    "gelu",
    "get_backend",
    "glu",
    "grad",
    "hard_sigmoid",
    "hard_swish",
    "hard_tanh",
    "identity",
    "jit",
    "leaky_relu",
    "lockstep",
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
    "trace",
    "train",
    "tree",
    "value_and_grad",
    "vjp",
]  # fmt: skip

# Each other name is imported when it is first used: `import portnn` alone costs less than NumPy, and who
# wants gradients only does not load networks. From light to heavy, so that each search stops early.
_MODULES = (
    "tree",
    "random",
    "losses",
    "nn",
    "optim",
    "metrics",
    "serialize",
    "data",
    "decode",
    "testing",
    "train",
    "plot",
    "estimators",
)
# The first that has a name gives it: `trace` is that of programs, `optim.trace` stays where it is, and `tanh`
# is the activation, which files and other layers know by name.
_HOMES = (
    "tracing", "autodiff", "backend", "nn", "ops", "program", "optim", "compile", "train", "network",
    "serialize", "export",
)  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"portnn.{name}")
    return _late.look_up(__name__, name, __all__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
