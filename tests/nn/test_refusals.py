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
