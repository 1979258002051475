"""Layers to export: for each one of the closed registry a case or more."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from portnn import nn
from portnn.nn import _activations


@dataclass(frozen=True)
class Case:
    """A layer, and the shapes and dtypes of one sample of each of its inputs; the first is called x."""

    layer: Any
    shapes: Any
    dtypes: Any = None
    dtype: str = "float32"
    options: dict[str, Any] = field(default_factory=dict)
    tolerance: float = 1e-5


_LENGTHS = {"x": (5, 3), "lengths": ()}
_MEMORY = {"x": (3, 8), "memory": (5, 8)}
_MASKS = {"x": (3, 8), "memory": (5, 8), "key_mask": (5,)}
_MASK_TYPES = {"key_mask": "bool"}
_TOWER = nn.Shared("tower", nn.Linear(4, 4))

LAYERS: dict[str, list[Case]] = {
    "GRU": [
        Case(nn.GRU(3, 4), (5, 3)),
        Case(nn.GRU(3, 4, bidirectional=True, num_layers=2, returns="last"), _LENGTHS, {"lengths": "int64"}),
    ],
    "LSTM": [
        Case(nn.LSTM(3, 4, returns="last"), (5, 3)),
        Case(nn.LSTM(3, 4, bidirectional=True), _LENGTHS, {"lengths": "int32"}),
    ],
    "RNN": [
        Case(nn.RNN(3, 4), (5, 3)),
        Case(nn.RNN(3, 4, activation=nn.relu, returns="both", bias=False), (5, 3)),
    ],
    "Activation": [
        Case(nn.Activation(function, **options), (4, 6))
        for function, options in (
            (nn.leaky_relu, {"negative_slope": 0.3}), (nn.celu, {"alpha": 2.0}), (nn.elu, {"alpha": 0.5}),
            (nn.gelu, {"approximate": True}), (nn.softmax, {"axis": 1}), (nn.log_softmax, {"axis": 1}),
            (nn.glu, {"axis": 1}),
        )
    ],
    "AvgPool1d": [
        Case(nn.AvgPool1d(3, 2, 1), (2, 9)),
        Case(nn.AvgPool1d(3, 2, "same", count_include_pad=False), (2, 9)),
    ],
    "AvgPool2d": [
        Case(nn.AvgPool2d(2), (3, 6, 7)),
        Case(nn.AvgPool2d((3, 2), 1, 1, count_include_pad=False), (3, 6, 7)),
    ],
    "BatchNorm": [
        Case(nn.BatchNorm(4), (4,)),
        Case(nn.BatchNorm(3, affine=False), (3, 5, 5)),
        Case(nn.BatchNorm(3, track=False), (3, 5)),
    ],
    "Cast": [
        Case(nn.Cast([nn.Linear(4, 8), nn.relu, nn.Linear(8, 3)], "float64"), (4,)),
        # Runtimes fuse operators and round less often than NumPy.
        Case(nn.Cast([nn.Linear(4, 8), nn.relu, nn.Linear(8, 3)], "float16"), (4,), tolerance=5e-3),
    ],
    "Concatenate": [Case(nn.Concatenate([nn.Linear(4, 3), nn.tanh]), (4,))],
    "Conv1d": [
        Case(nn.Conv1d(3, 4, 3), (3, 11)),
        Case(nn.Conv1d(4, 6, 3, stride=2, padding="same", dilation=1, groups=2, bias=False), (4, 11)),
    ],
    "Conv2d": [
        Case(nn.Conv2d(3, 8, 3), (3, 9, 8)),
        Case(
            nn.Conv2d(6, 4, (3, 2), stride=(2, 1), padding=((1, 0), (2, 1)), dilation=2, groups=2), (6, 9, 8)
        ),
        Case(nn.Conv2d(8, 8, 3, padding="same", groups=8), (8, 6, 6)),
    ],
    "ConvTranspose1d": [
        Case(nn.ConvTranspose1d(4, 3, 3), (4, 6)),
        Case(nn.ConvTranspose1d(4, 3, 4, padding=2), (4, 6)),
        Case(nn.ConvTranspose1d(4, 6, 4, stride=3, padding=1, output_padding=2, groups=2), (4, 6)),
    ],
    "ConvTranspose2d": [
        Case(nn.ConvTranspose2d(3, 2, 2, stride=2), (3, 5, 4)),
        Case(
            nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, dilation=2, groups=2),
            (4, 5, 4),
        ),
    ],
    "Dropout": [Case(nn.Sequential([nn.Linear(4, 4), nn.Dropout(0.5)]), (4,))],
    "Dropout1d": [Case(nn.Sequential([nn.Conv1d(2, 3, 2), nn.Dropout1d(0.5)]), (2, 5))],
    "Dropout2d": [Case(nn.Sequential([nn.Conv2d(2, 3, 2), nn.Dropout2d(0.5)]), (2, 5, 5))],
    "Embedding": [
        Case(nn.Embedding(11, 4), (6,)),
        Case(nn.Embedding(11, 4, padding_idx=2), (2, 3), "uint8"),
    ],
    "Flatten": [Case(nn.Flatten(), (2, 3, 4))],
    "GlobalAvgPool1d": [Case(nn.GlobalAvgPool1d(), (3, 7))],
    "GlobalAvgPool2d": [Case(nn.GlobalAvgPool2d(), (3, 4, 5))],
    "GlobalMaxPool1d": [Case(nn.GlobalMaxPool1d(), (3, 7))],
    "GlobalMaxPool2d": [Case(nn.GlobalMaxPool2d(), (3, 4, 5))],
    "GroupNorm": [Case(nn.GroupNorm(2, 6), (6, 5, 4))],
    "InstanceNorm": [Case(nn.InstanceNorm(3), (3, 5, 4))],
    "LayerNorm": [Case(nn.LayerNorm(6), (4, 6)), Case(nn.LayerNorm((4, 6), bias=False), (4, 6))],
    "Linear": [Case(nn.Linear(5, 3), (5,)), Case(nn.Linear(5, 3, bias=False), (4, 5))],
    "MaxPool1d": [Case(nn.MaxPool1d(3, 2, 1, dilation=2), (2, 9))],
    "MaxPool2d": [Case(nn.MaxPool2d(2), (3, 6, 7)), Case(nn.MaxPool2d(3, 2, "same"), (3, 6, 7))],
    "MultiHeadAttention": [
        Case(nn.MultiHeadAttention(8, 2), (5, 8)),
        Case(nn.MultiHeadAttention(8, 2), _MASKS, _MASK_TYPES),
        Case(nn.MultiHeadAttention(8, 4, rotary=True), (5, 8), options={"causal": True}),
        Case(nn.MultiHeadAttention(8, 2), (5, 8), options={"weights": True}),
    ],
    "PReLU": [Case(nn.PReLU(), (4, 3)), *[Case(nn.PReLU(3), (3, *rest)) for rest in ((), (4,), (3, 3))]],
    "Parallel": [Case(nn.Parallel([nn.Linear(4, 3), nn.Linear(4, 2)]), (4,))],
    "RMSNorm": [Case(nn.RMSNorm(6), (4, 6))],
    "Repeat": [Case(nn.Repeat([nn.Linear(4, 4), nn.tanh], 3), (4,))],
    "Rescale": [
        Case(nn.Rescale(), (28, 28), "uint8"),
        Case(nn.Rescale(2.0, -1.0), (4,), "float32"),
    ],
    "Reshape": [Case(nn.Reshape((2, -1)), (3, 4))],
    "Residual": [Case(nn.Residual([nn.Linear(4, 3), nn.relu], nn.Linear(4, 3)), (4,))],
    "Sequential": [Case(nn.Sequential([nn.Linear(4, 8), nn.relu, [nn.Linear(8, 3), nn.tanh]]), (4,))],
    "Shared": [Case(nn.Sharing([_TOWER, nn.tanh, _TOWER]), (4,))],
    "Sharing": [
        Case(
            nn.Sharing(
                [nn.Shared("words", nn.Embedding(9, 4)), nn.tanh,
                 nn.Shared("words", nn.Linear(4, 9, bias=False), transposed=True)]
            ), (5,), "int64"),
    ],
    "SinusoidalPositions": [Case(nn.SinusoidalPositions(8), (5, 8))],
    "Sum": [Case(nn.Sum([nn.Linear(4, 3), nn.Linear(4, 3)]), (4,))],
    "TransformerDecoder": [
        Case(
            nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16), 2), _MEMORY, options={"causal": True}
        ),
    ],
    "TransformerDecoderLayer": [Case(nn.TransformerDecoderLayer(8, 2, 16), _MEMORY)],
    "TransformerEncoder": [Case(nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 2), (5, 8))],
    "TransformerEncoderLayer": [
        Case(nn.TransformerEncoderLayer(8, 2, 16), {"x": (5, 8), "key_mask": (5,)}, _MASK_TYPES),
    ],
    "Upsample": [
        Case(nn.Upsample(2), (2, 5)),
        Case(nn.Upsample((2, 3)), (2, 3, 4)),
        Case(nn.Upsample(2, "bilinear"), (2, 3, 4)),
        Case(nn.Upsample(3, "linear", align_corners=True), (2, 5)),
    ],
    "ZeroPad1d": [Case(nn.ZeroPad1d(((1, 2),)), (2, 5))],
    "ZeroPad2d": [Case(nn.ZeroPad2d(((1, 0), (0, 2))), (2, 5, 4))],
}  # fmt: skip

ACTIVATIONS = [name for name in _activations.__all__ if name != "prelu"]  # which is a layer, PReLU
