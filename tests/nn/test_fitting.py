"""Layers that do not fit each other are found before there are data, and nothing else is refused."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import pytest

from portnn import nn, ops
from portnn.nn import GRU, MLP, Layer, Linear, Residual, Sequential, outline, relu
from portnn.nn._fitting import check_shapes, output_activation
from portnn.random import stream


def check(*layers):
    layer = Sequential(layers)
    check_shapes(layer, layer.init(stream(0)), layer.init_state())


WRONG = {
    "2 Linear(9, 3): expected 9 features, got 8 from the layer before; write Linear(8, 3)": [
        Linear(4, 8), relu, Linear(9, 3)],
    "1.0 Linear(9, 3): expected 9 features, got 8 from the layer before; write Linear(8, 3)": [
        MLP([4, 6, 8]), [Linear(9, 3)]],
    "1.1.0 Linear(9, 8): expected 9 features, got 8 from the layer before; write Linear(8, 8)": [
        Linear(4, 8), Residual(Linear(8, 8), [Linear(9, 8)])],
    "3 Linear(15, 3): expected 15 features, got 16 from the layer before; write Linear(16, 3)": [
        Linear(4, 16), nn.BatchNorm(16), relu, Linear(15, 3)],
    "1 GRU(9, 4): expected 9 features, got 8 from the layer before; write GRU(8, 4)": [
        GRU(3, 8), GRU(9, 4)],
    "1 GRU(9, 4): expected 9 features, got 8 from the layer before; write GRU(8, 4) ": [
        Linear(3, 8), GRU(9, 4)],
    "2 Linear(8, 2): expected 8 features, got 16 from the layer before; write Linear(16, 2)": [
        Linear(3, 8), GRU(8, 8, bidirectional=True, returns="last"), Linear(8, 2)],
    "2 Linear(8, 2): expected 8 features, got 4 from the layer before; write Linear(4, 2)": [
        Linear(3, 8), nn.glu, Linear(8, 2)],
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_features_that_do_not_fit_are_found(text):
    with pytest.raises(ValueError, match="features") as caught:
        check(*WRONG[text])
    assert str(caught.value) == f"layer {text.strip()}"


@dataclass(frozen=True)
class Moody(Layer):
    def forward(self, params, state, x, *, training, key):
        raise ArithmeticError("zeros!")


FINE = {
    "a perceptron": [MLP([4, 8, 3])],
    "a classifier of sequences": [Linear(4, 8), GRU(8, 8, returns="last"), Linear(8, 2)],
    "sequences of one length": [Linear(4, 8), nn.Flatten(), Linear(8 * 20, 3)],
    "sequences of one length, reshaped": [Linear(4, 8), nn.Reshape((160,)), Linear(160, 3)],
    "made to images": [Linear(4, 36), nn.Reshape((1, 6, 6)), nn.Conv2d(1, 2, 3), nn.Flatten(), Linear(32, 3)],
    "channels of a sequence": [Linear(4, 8), nn.BatchNorm(5), nn.Flatten(), Linear(40, 3)],
    "a function of one's own": [Linear(4, 8), lambda x: ops.reshape(x, (-1, 40)), Linear(40, 3)],
    "a layer of one's own": [Linear(4, 8), Moody(), Linear(9, 3)],
    "one that warns": [Linear(4, 8), lambda x: ops.log(x - 1.0), Linear(8, 3)],
    "not known": [nn.Flatten(), Linear(4, 8), Linear(9, 3)],
    "ids": [nn.Embedding(10, 4), Linear(5, 3)],
    "images": [nn.Conv2d(1, 8, 3), nn.Conv2d(9, 8, 3)],
    "several inputs": [nn.Parallel([Linear(3, 4), Linear(5, 4)], paired=True)],
    "attention": [Linear(4, 8), nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2), 2), Linear(8, 2)],
    "without parameters": [relu],
}


@pytest.mark.parametrize("name", FINE)
def test_what_may_fit_is_not_refused(name):
    check(*FINE[name])


def test_nothing_is_drawn_or_computed_for_long():
    layer = MLP([4000, 4000, 4000, 10])
    params, state = layer.init(stream(0)), layer.init_state()
    start = time.perf_counter()
    check_shapes(layer, params, state)
    assert time.perf_counter() - start < 1.0, "one sample, on the host"


def test_weights_may_be_outlines():
    layer = MLP([100, 1000, 10])
    check_shapes(layer, *outline(layer))


def test_no_layer():
    with pytest.raises(TypeError, match="check_shapes: expected a layer, got list"):
        check_shapes([Linear(3, 2)], (), ())


def test_the_last_activation():
    assert output_activation(Sequential([Linear(4, 3), nn.softmax])) is nn.softmax
    assert output_activation(Sequential([Linear(4, 3), [relu, nn.sigmoid]])) is nn.sigmoid
    assert output_activation(nn.Cast(Sequential([Linear(4, 3), nn.softmax]))) is nn.softmax
    assert output_activation(Sequential([nn.softmax, Linear(4, 3)])) is None
    assert output_activation(Linear(4, 3)) is None
    assert np.isfinite(nn.softmax(np.zeros(3))).all()


CLASSES = {
    "expected a layer or an activation function such as portnn.relu, got the class Linear; "
    "write Linear(...) with in_features, out_features": lambda: Sequential([Linear]),
    "expected a layer or an activation function such as portnn.relu, got the class Flatten; "
    "write Flatten()": lambda: Residual(nn.Flatten),
    "expected a layer or an activation function such as portnn.relu, got the class dict; "
    "write dict(...)": lambda: Sequential([dict]),
    "Sequential: expected a list of layers, got the class Linear; "
    "write [Linear(in_features, out_features), ...]": lambda: Sequential(Linear),
}


@pytest.mark.parametrize("text", CLASSES)
def test_a_class_is_no_layer(text):
    with pytest.raises(TypeError) as caught:  # noqa: PT011  # the whole text is compared
        CLASSES[text]()
    assert str(caught.value) == text
