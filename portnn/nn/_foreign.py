"""Layers and tensors of other libraries: layers are refused by name, tensors become NumPy arrays."""

from __future__ import annotations

from typing import Any

from portnn import ops
from portnn._typing import Array
from portnn.backend import get_backend
from portnn.tracing import is_array

__all__ = ["NAMES", "brought", "refuse_foreign"]

_BASES = {
    ("torch", "Module"), ("keras", "Layer"), ("tf_keras", "Layer"), ("tensorflow", "Module"),
    ("flax", "Module"), ("equinox", "Module"),
}  # fmt: skip
# What portnn calls like them, but for capitals and underscores.
_ALIKE = (
    "GRU", "LSTM", "RNN", "AvgPool1d", "AvgPool2d", "BatchNorm", "Conv1d", "Conv2d", "ConvTranspose1d",
    "ConvTranspose2d", "Dropout", "Dropout1d", "Dropout2d", "Embedding", "Flatten", "GlobalAvgPool1d",
    "GlobalAvgPool2d", "GlobalMaxPool1d", "GlobalMaxPool2d", "GroupNorm", "InstanceNorm", "LayerNorm",
    "Linear", "MaxPool1d", "MaxPool2d", "MultiHeadAttention", "PReLU", "RMSNorm", "Reshape", "Sequential",
    "TransformerDecoder", "TransformerDecoderLayer", "TransformerEncoder", "TransformerEncoderLayer",
    "Upsample", "ZeroPad1d", "ZeroPad2d", "celu", "elu", "gelu", "glu", "hard_sigmoid", "hard_swish",
    "hard_tanh", "identity", "leaky_relu", "log_sigmoid", "log_softmax", "mish", "relu", "selu", "sigmoid",
    "silu", "softmax", "softmin", "softplus", "softsign", "tanh",
)  # fmt: skip
NAMES = {name.lower().replace("_", ""): name for name in _ALIKE} | {
    "batchnorm1d": "BatchNorm", "batchnorm2d": "BatchNorm", "dense": "Linear", "simplernn": "RNN",
    "instancenorm1d": "InstanceNorm", "instancenorm2d": "InstanceNorm", "conv1dtranspose": "ConvTranspose1d",
    "conv2dtranspose": "ConvTranspose2d", "spatialdropout1d": "Dropout1d", "spatialdropout2d": "Dropout2d",
    "rescaling": "Rescale", "unflatten": "Reshape", "upsampling1d": "Upsample", "upsampling2d": "Upsample",
    "zeropadding1d": "ZeroPad1d", "zeropadding2d": "ZeroPad2d", "adaptiveavgpool1d": "GlobalAvgPool1d",
    "adaptiveavgpool2d": "GlobalAvgPool2d", "add": "Residual",
}  # fmt: skip
_SHORT = ("bfloat16", "float8")  # what float32 holds exactly, and NumPy lacks


def refuse_foreign(part: Any) -> None:
    """Refuse a layer of PyTorch, Keras, flax or equinox, and the class of one.

    Raises:
        TypeError: if it is; it names portnn's layer.
    """
    cls = part if isinstance(part, type) else type(part)
    for base in cls.__mro__:
        root = str(base.__module__).partition(".")[0]
        if (root, base.__name__) in _BASES:
            name = cls.__name__.lower().replace("average", "avg").replace("pooling", "pool")
            same = NAMES.get(name.replace("normalization", "norm"))
            hint = f"write portnn.{same}" if same else "write it with the layers of portnn"
            raise TypeError(f"expected a layer of portnn, got {root}'s {cls.__name__[:60]}; {hint}")


def brought(what: str, tensor: Any) -> Array:
    """Return a tensor of any library as a NumPy array, float32 of what is narrower than NumPy's types.

    Args:
        what: the function and the tensor, for messages.
        tensor: the tensor.

    Raises:
        TypeError: if it is not an array of numbers.
        ValueError: if it records gradients.
    """
    try:
        if is_array(tensor) and _name_of(tensor).startswith(_SHORT):
            tensor = ops.astype(tensor, "float32")
        return get_backend("numpy").to_numpy(tensor)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{what}: {str(error).removeprefix('x ')[:200]}") from None


def _name_of(tensor: Any) -> str:
    """Return the standard's name of its dtype."""
    return str(getattr(tensor.dtype, "name", tensor.dtype)).rpartition(".")[2]
