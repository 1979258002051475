"""What layers say to hyperparameters that are no numbers, and to parameters of another layer."""

from __future__ import annotations

import numpy as np
import pytest

from portnn import nn

ODD = ["a", True, [2], (), {}, np.asarray([1, 2])]
NUMBERS = {
    "BatchNorm.eps": lambda v: nn.BatchNorm(2, eps=v),
    "BatchNorm.momentum": lambda v: nn.BatchNorm(2, momentum=v),
    "LayerNorm.eps": lambda v: nn.LayerNorm(2, eps=v),
    "GroupNorm.eps": lambda v: nn.GroupNorm(1, 2, eps=v),
    "InstanceNorm.eps": lambda v: nn.InstanceNorm(2, eps=v),
    "RMSNorm.eps": lambda v: nn.RMSNorm(2, eps=v),
    "SinusoidalPositions.base": lambda v: nn.SinusoidalPositions(2, v),
    "Dropout.p": lambda v: nn.Dropout(v),
    "LSTM.dropout": lambda v: nn.LSTM(2, 3, dropout=v),
}
INTEGERS = {
    "Linear.in_features": lambda v: nn.Linear(v, 2),
    "Embedding.padding_idx": lambda v: nn.Embedding(3, 2, padding_idx=v),
    "MultiHeadAttention.features": lambda v: nn.MultiHeadAttention(v, 2),
    "TransformerEncoderLayer.features": lambda v: nn.TransformerEncoderLayer(v, 2),
}
FLAGS = {
    "Linear.bias": lambda v: nn.Linear(3, 2, bias=v),
    "Conv2d.bias": lambda v: nn.Conv2d(1, 2, 3, bias=v),
    "ConvTranspose1d.bias": lambda v: nn.ConvTranspose1d(1, 2, 3, bias=v),
    "BatchNorm.affine": lambda v: nn.BatchNorm(2, affine=v),
    "BatchNorm.track": lambda v: nn.BatchNorm(2, track=v),
    "LayerNorm.bias": lambda v: nn.LayerNorm(2, bias=v),
    "GroupNorm.affine": lambda v: nn.GroupNorm(1, 2, affine=v),
    "InstanceNorm.affine": lambda v: nn.InstanceNorm(2, affine=v),
    "RMSNorm.affine": lambda v: nn.RMSNorm(2, affine=v),
    "AvgPool2d.count_include_pad": lambda v: nn.AvgPool2d(2, count_include_pad=v),
    "GRU.bidirectional": lambda v: nn.GRU(2, 3, bidirectional=v),
    "Upsample.align_corners": lambda v: nn.Upsample(2, mode="bilinear", align_corners=v),
    "MultiHeadAttention.rotary": lambda v: nn.MultiHeadAttention(4, 2, rotary=v),
    "TransformerEncoderLayer.norm_first": lambda v: nn.TransformerEncoderLayer(4, 2, norm_first=v),
}


@pytest.mark.parametrize("name", FLAGS)
@pytest.mark.parametrize("value", [0, "no", [False], None, np.asarray([True])], ids=repr)
def test_what_is_neither_true_nor_false_is_refused(name, value):
    layer, what = name.split(".")
    with pytest.raises(
        TypeError, match=f"^{layer}: {what} must be True or False, got {type(value).__name__}$"
    ):
        FLAGS[name](value)


@pytest.mark.parametrize("name", FLAGS)
def test_flags_of_numpy_become_those_of_python(name):
    """So that layers stay plain data that compare and can be saved."""
    layer = FLAGS[name](np.asarray([True])[0])
    assert getattr(layer, name.split(".")[1]) is True
    assert layer == FLAGS[name](True)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", ODD, ids=repr)
def test_what_is_no_number_is_refused(name, value):
    layer, what = name.split(".")
    with pytest.raises(TypeError, match=f"^{layer}: {what} must be a number, got {type(value).__name__}$"):
        NUMBERS[name](value)


@pytest.mark.parametrize("name", INTEGERS)
@pytest.mark.parametrize("value", [*ODD, 1.5], ids=repr)
def test_what_is_no_integer_is_refused(name, value):
    layer, what = name.split(".")
    with pytest.raises(TypeError, match=f"^{layer}: {what} must be an integer, got {type(value).__name__}$"):
        INTEGERS[name](value)


def test_features_must_be_given():
    for make in (nn.MultiHeadAttention, nn.TransformerDecoderLayer):
        with pytest.raises(TypeError, match="features must be an integer, got NoneType"):
            make(None, 2)
    with pytest.raises(
        ValueError, match=r"Upsample: scale must be an integer or one for each axis, got \(\)"
    ):
        nn.Upsample(())
    with pytest.raises(ValueError, match="Embedding: padding_idx must be at least 0, got -1"):
        nn.Embedding(3, 2, padding_idx=-1)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Parallel([nn.relu]),
        nn.Sum([nn.relu]),
        nn.Concatenate([nn.relu]),
        nn.Residual(nn.relu),
        nn.Repeat(nn.relu, 2),
        nn.Sharing(nn.Shared("a", nn.relu)),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_parameters_of_another_container_are_refused(layer):
    for params in ({}, (), {"other": ()}, None):
        with pytest.raises(ValueError, match=f"^{type(layer).__name__}: expected parameters"):
            layer.apply(params, np.ones((2, 2)), state=layer.init_state())


@pytest.mark.parametrize("state", [{"mean": np.zeros(2)}, {}, (), None, 3], ids=repr)
@pytest.mark.parametrize("training", [False, True])
def test_batch_norm_refuses_the_state_of_another_layer(state, training):
    layer = nn.BatchNorm(2)
    params = layer.init(np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"^BatchNorm: expected a state named mean, var"):
        layer.forward(params, state, np.ones((3, 2), dtype=np.float32), training=training, key=None)
