"""What networks are made of: layers, activations and initialisers."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from portnn import _late

if TYPE_CHECKING:
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
    from portnn.nn._branches import Concatenate, Parallel, Residual, Sum
    from portnn.nn._cast import Cast
    from portnn.nn._containers import MLP, Sequential
    from portnn.nn._convolution import Conv1d, Conv2d
    from portnn.nn._convolution_transposed import ConvTranspose1d, ConvTranspose2d
    from portnn.nn._description import describe, from_description
    from portnn.nn._dropout import Dropout, Dropout1d, Dropout2d
    from portnn.nn._embedding import Embedding
    from portnn.nn._keras import from_keras, to_keras
    from portnn.nn._layer import Key, Layer
    from portnn.nn._linear import Linear
    from portnn.nn._normalization import GroupNorm, InstanceNorm, LayerNorm, RMSNorm
    from portnn.nn._outline import outline
    from portnn.nn._pooling import (
        AvgPool1d,
        AvgPool2d,
        GlobalAvgPool1d,
        GlobalAvgPool2d,
        GlobalMaxPool1d,
        GlobalMaxPool2d,
        MaxPool1d,
        MaxPool2d,
    )  # fmt: skip
    from portnn.nn._positions import SinusoidalPositions
    from portnn.nn._recurrent_layers import GRU, LSTM, RNN
    from portnn.nn._resampling import Upsample, ZeroPad1d, ZeroPad2d
    from portnn.nn._reshaping import Flatten, Rescale, Reshape
    from portnn.nn._sharing import Repeat, Shared, Sharing
    from portnn.nn._torch_names import from_torch, to_torch
    from portnn.nn._transformer import TransformerDecoderLayer, TransformerEncoderLayer
    from portnn.nn._transformer_stacks import TransformerDecoder, TransformerEncoder
    from portnn.nn._watching import Visit, walk, watched

__all__ = [
    "GRU", "LSTM", "MLP", "RNN", "Activation", "AvgPool1d", "AvgPool2d", "BatchNorm", "Cast",
    "Concatenate",
    "Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d", "Dropout", "Dropout1d", "Dropout2d",
    "Embedding", "Flatten", "GlobalAvgPool1d", "GlobalAvgPool2d", "GlobalMaxPool1d", "GlobalMaxPool2d",
    "GroupNorm", "InstanceNorm", "Key", "Layer", "LayerNorm", "Linear", "MaxPool1d", "MaxPool2d",
    "MultiHeadAttention", "PReLU", "Parallel", "RMSNorm", "Repeat", "Rescale", "Reshape", "Residual",
    "Sequential", "Shared", "Sharing", "SinusoidalPositions", "Sum", "TransformerDecoder",
    "TransformerDecoderLayer", "TransformerEncoder", "TransformerEncoderLayer", "Upsample", "Visit",
    "ZeroPad1d", "ZeroPad2d", "celu", "describe", "elu", "from_description", "from_keras", "from_torch",
    "gelu", "glu", "hard_sigmoid", "hard_swish", "hard_tanh", "identity", "init", "leaky_relu",
    "log_sigmoid",
    "log_softmax", "mish", "outline", "prelu", "relu", "selu", "sigmoid", "silu", "softmax", "softmin",
    "softplus", "softsign", "tanh", "to_keras", "to_torch", "walk", "watched",
]  # fmt: skip

# A layer is imported when it is first used: few networks have them all.
_HOMES = (
    "_layer", "_linear", "_activations", "_activation", "_containers", "_reshaping", "_convolution",
    "_pooling", "_resampling", "_batch_norm", "_normalization", "_dropout", "_embedding", "_recurrent_layers",
    "_attention", "_positions", "_transformer", "_transformer_stacks", "_convolution_transposed", "_branches",
    "_cast",
    "_sharing", "_description", "_torch_names", "_outline", "_keras", "_watching",
)  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "init":
        return import_module("portnn.nn.init")
    return _late.look_up(__name__, name, __all__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
