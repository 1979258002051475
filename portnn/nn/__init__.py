"""What networks are made of: layers, activations and initialisers."""

from portnn.nn import init
from portnn.nn._activation import Activation, PReLU
from portnn.nn._activations import (
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
from portnn.nn._attention import MultiHeadAttention
from portnn.nn._batch_norm import BatchNorm
from portnn.nn._containers import MLP, Sequential
from portnn.nn._description import describe, from_description
from portnn.nn._embedding import Embedding
from portnn.nn._layer import Key, Layer
from portnn.nn._linear import Linear
from portnn.nn._normalization import GroupNorm, InstanceNorm, LayerNorm, RMSNorm
from portnn.nn._positions import SinusoidalPositions
from portnn.nn._recurrent import GRU, LSTM, RNN
from portnn.nn._reshaping import Flatten, Rescale
from portnn.nn._torch_names import from_torch, to_torch

__all__ = [
    "GRU", "LSTM", "MLP", "RNN", "Activation", "BatchNorm", "Embedding", "Flatten", "GroupNorm",
    "InstanceNorm", "Key", "Layer", "LayerNorm", "Linear", "MultiHeadAttention", "PReLU", "RMSNorm",
    "Rescale", "Sequential", "SinusoidalPositions", "celu", "describe", "elu", "from_description",
    "from_torch", "gelu", "glu", "hard_sigmoid", "hard_swish", "hard_tanh", "identity", "init",
    "leaky_relu", "log_sigmoid", "log_softmax", "mish", "prelu", "relu", "selu", "sigmoid", "silu",
    "softmax", "softmin", "softplus", "softsign", "tanh", "to_torch",
]  # fmt: skip
