"""Layers print as the call that makes them, on one or two lines."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from portnn import nn
from portnn.nn import Layer
from portnn.nn._text import label_of, short_repr
from tests.nn.test_description import LAYERS

NAMES = {**{name: getattr(nn, name) for name in nn.__all__}, **vars(nn.init)}
TEXTS = {
    "Linear(3, 4)": nn.Linear(3, 4),
    "Linear(3, 4, bias=False)": nn.Linear(3, 4, bias=False),
    "Linear(3, 4, weight_init=Constant(value=0.0))": nn.Linear(3, 4, weight_init=nn.init.zeros()),
    "Conv2d(1, 16, 5)": nn.Conv2d(1, 16, 5),
    "Conv2d(1, 16, (5, 3), stride=2, padding='same')": nn.Conv2d(1, 16, (5, 3), stride=2, padding="same"),
    "MaxPool2d(2)": nn.MaxPool2d(2),
    "MaxPool2d(3, stride=2)": nn.MaxPool2d(3, 2),
    "MultiHeadAttention(64, 4, dropout=0.1)": nn.MultiHeadAttention(64, 4, dropout=0.1),
    "Sequential([Linear(3, 4), relu, Linear(4, 5)])": nn.MLP([3, 4, 5]),
    "TransformerEncoder(TransformerEncoderLayer(64, 4), 2)": nn.TransformerEncoder(
        nn.TransformerEncoderLayer(64, 4), 2
    ),
    "Dropout(p=0.5)": nn.Dropout(0.5),
    "Flatten()": nn.Flatten(),
    "Rescale()": nn.Rescale(),
    "Reshape((4, 4))": nn.Reshape((4, 4)),
    "GRU(3, 4, num_layers=2, returns='last')": nn.GRU(3, 4, num_layers=2, returns="last"),
    "Activation(elu, alpha=2.0)": nn.Activation(nn.elu, alpha=2.0),
    "Residual([Linear(3, 3), relu])": nn.Residual([nn.Linear(3, 3), nn.relu]),
    "Residual(relu, shortcut=Linear(3, 3))": nn.Residual(nn.relu, nn.Linear(3, 3)),
    "Parallel([relu, [relu, tanh]], paired=True)": nn.Parallel([nn.relu, [nn.relu, nn.tanh]], paired=True),
    "Repeat(Linear(3, 3), 3)": nn.Repeat(nn.Linear(3, 3), 3),
    "Sharing([Shared('a', Linear(3, 3)), Shared('a', Linear(3, 3), transposed=True)])": nn.Sharing(
        [nn.Shared("a", nn.Linear(3, 3)), nn.Shared("a", nn.Linear(3, 3), transposed=True)]
    ),
}


@pytest.mark.parametrize("text", TEXTS)
def test_a_layer_is_the_call_that_makes_it(text):
    assert repr(TEXTS[text]) == text
    assert eval(text, NAMES) == TEXTS[text]


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_is_made_again_by_its_text(name):
    layer = LAYERS[name]
    text = repr(layer)
    assert all(len(line) <= 100 for line in text.split("\n"))
    assert text.count("\n") <= 1
    assert len(label_of(layer)) <= 40
    assert eval(short_repr(layer, 10_000), NAMES) == layer


@pytest.mark.parametrize("width", [40, 60, 80, 100])
@pytest.mark.parametrize("depth", [1, 3, 8, 40])
def test_large_networks_take_two_lines(depth, width):
    block = nn.Sequential([nn.Conv2d(64, 64, 3, padding="same"), nn.BatchNorm(64), nn.relu])
    nets = [
        nn.MLP([784] + [128] * depth + [10]),
        nn.Sequential([nn.Conv2d(3, 64, 3), *[nn.Residual(block)] * depth, nn.Flatten(), nn.Linear(64, 10)]),
        nn.Sequential([nn.Sequential([block] * depth)] * 4),
    ]
    for net in nets:
        lines = short_repr(net, width).split("\n")
        assert len(lines) <= 2
        assert max(map(len, lines)) <= width
        assert lines[0].startswith("Sequential(")
        assert len(lines) == 1 or lines[0].endswith(",")


def test_what_is_left_out_is_counted():
    text = repr(nn.MLP([784] + [128] * 20 + [10])).replace("\n    ", " ")
    shown = text.removeprefix("Sequential([").removesuffix("])").split("), ")
    assert text.endswith("more, Linear(128, 10)])")
    [count] = [int(part.split("... ")[1].split(" more")[0]) for part in shown if "... " in part]
    assert text.count("relu") + text.count("Linear") + count == 41


@dataclass(frozen=True)
class Own(Layer):
    body: Layer
    factor: float = 2.0

    def forward(self, params, state, x, *, training, key):
        return x, state


class Plain(Layer):
    def forward(self, params, state, x, *, training, key):
        return x, state


def test_layers_of_ones_own():
    assert repr(Own(nn.Linear(3, 2))) == "Own(Linear(3, 2))"
    assert repr(Own(nn.Activation(nn.relu), factor=3.0)) == "Own(Activation(relu), factor=3.0)"
    assert repr(nn.Sequential([Own(nn.Linear(3, 2))])) == "Sequential([Own(Linear(3, 2))])"
    assert "Plain object" in repr(Plain())
    assert repr(nn.Sequential([lambda x: x])) == "Sequential([<lambda>])"


LABELS = {
    "Sequential": nn.MLP([3, 2]),
    "Repeat(3 times)": nn.Repeat(nn.Linear(3, 3), 3),
    "Activation(relu)": nn.Activation(nn.relu),
    "Linear(9, 3)": nn.Linear(9, 3),
    "Linear(9, 3, bias=False)": nn.Linear(9, 3, bias=False),
    "Conv2d(1, 16, (5, 3))": nn.Conv2d(1, 16, (5, 3), stride=2, padding="same"),
    "Activation(elu)": nn.Activation(nn.elu, **dict.fromkeys(["a" * 40], 1)),
}


@pytest.mark.parametrize("label", LABELS)
def test_labels(label):
    assert label_of(LABELS[label]) == label
