"""Errors inside a network name the layer by its place."""

from __future__ import annotations

import gc
from dataclasses import dataclass

import numpy as np
import pytest

import portnn as pn
from portnn import nn
from portnn.nn import Layer, Linear, Residual, Sequential, relu
from portnn.nn._naming import path_text, place_of
from portnn.nn._text import label_of
from portnn.random import stream

X = np.ones((5, 4), "float32")
TWICE = Linear(4, 4)
WRONG = {
    "2 Linear(9, 3)": [Linear(4, 8), relu, Linear(9, 3)],
    "0 Linear(9, 3)": [Linear(9, 3)],
    "1.1 Linear(9, 3)": [Linear(4, 8), [relu, Linear(9, 3)]],
    "0.0.1.0 Linear(9, 3)": [Residual([relu, [Linear(9, 3)]])],
    "1.1 Linear(5, 4)": [relu, Residual(Linear(4, 4), Linear(5, 4))],
    "1.0 BatchNorm(7)": [relu, nn.Repeat(nn.BatchNorm(7), 2)],
    "0.1 Linear(9, 3)": [nn.Concatenate([Linear(4, 2), Linear(9, 3)])],
    "1 Conv2d(3, 8, 3)": [TWICE, nn.Conv2d(3, 8, 3)],
    "2 Linear(9, 4)": [TWICE, TWICE, Linear(9, 4)],
    "0.0.0.1.0 Linear(9, 9)": [nn.Sharing([[relu, nn.Shared("a", Linear(9, 9))]])],
    "1 MultiHeadAttention(6, 2)": [nn.Reshape((1, 4)), nn.MultiHeadAttention(6, 2)],
    "1.0.0.0 MultiHeadAttention(6, 2)": [
        nn.Reshape((1, 4)),
        nn.TransformerEncoder(nn.TransformerEncoderLayer(6, 2, norm_first=False), 1),
    ],
}


@pytest.mark.parametrize("place", WRONG)
@pytest.mark.parametrize("how", ["apply", "apply with state", "training", "grad", "jit", "trace"])
def test_shapes_that_do_not_fit_name_the_layer(place, how):
    layer = Sequential(WRONG[place])
    params, state = layer.init(stream(0)), layer.init_state()
    calls = {
        "apply": lambda: layer.apply(params, X),
        "apply with state": lambda: layer.apply(params, X, state=state),
        "training": lambda: layer.apply(params, X, state=state, training=True, key=pn.random.key(0)),
        "grad": lambda: pn.grad(lambda p: pn.ops.sum(layer.apply(p, X)))(params),
        "jit": lambda: pn.jit(lambda p, x: layer.apply(p, x))(params, X),
        "trace": lambda: pn.trace(lambda p, x: layer.apply(p, x))(params, X),
    }
    with pytest.raises(ValueError, match="expected") as caught:
        calls[how]()
    text = str(caught.value)
    assert text.endswith(f"; in layer {place}")
    path = tuple(map(int, place.partition(" ")[0].split(".")))
    assert label_of(dict(nn.walk(layer))[path]) == place.partition(" ")[2]
    assert len(text) < 300


def test_of_one_layer_in_two_places_the_right_one_is_named():
    """They are the same object: their parameters tell them apart."""
    odd = nn.Activation(lambda x: pn.ops.reshape(x, (5, 4)))
    layer = Sequential([odd, Linear(4, 6), odd, odd])
    with pytest.raises(ValueError, match=r"; in layer 2 Activation\(<lambda>\)$"):
        layer.apply(layer.init(stream(0)), X)


@dataclass(frozen=True)
class Body(Layer):
    """A container of one's own, which applies its members."""

    first: Layer
    second: Layer

    @property
    def members(self):
        return self.first, self.second

    def init(self, rng, dtype="float32"):
        return {"first": self.first.init(rng, dtype), "second": self.second.init(rng, dtype)}

    def forward(self, params, state, x, *, training, key):
        return self.second.apply(params["second"], self.first.apply(params["first"], x)), state


def test_containers_of_ones_own():
    layer = Sequential([relu, Body(Linear(4, 4), Sequential([relu, Linear(9, 3)]))])
    with pytest.raises(ValueError, match=r"got \(5, 4\); in layer 1\.1\.1 Linear\(9, 3\)$"):
        layer.apply(layer.init(stream(0)), X)


@dataclass(frozen=True)
class Fails(Layer):
    error: Exception

    def forward(self, params, state, x, *, training, key):
        raise self.error


def test_other_errors_stay_as_they_are():
    for error in (KeyError("a"), RuntimeError("b"), ValueError(), ValueError("a", 1), UnicodeError("c")):
        before = error.args
        with pytest.raises(type(error)) as caught:
            Sequential([relu, Fails(error)]).apply(({}, {}), X)
        assert caught.value.args == before
    with pytest.raises(TypeError, match=r"^mine; in layer 1 Fails\(TypeError\('mine'\)\)$"):
        Sequential([relu, Fails(TypeError("mine"))]).apply(({}, {}), X)


def test_a_layer_alone_is_not_named_twice():
    layer = Linear(9, 3)
    with pytest.raises(ValueError, match=r"^Linear: expected an input of shape \(..., 9\), got \(5, 4\)$"):
        layer.apply(layer.init(stream(0)), X)


@pytest.mark.parametrize("method", ["predict", "fit", "evaluate", "activations"])
def test_a_network_names_the_layer(method):
    net = pn.Network([Linear(4, 8), [relu, Linear(8, 3)]])
    y = np.zeros(5, int)
    with pytest.raises(ValueError, match=r"\(..., 4\), got \(\d, 3\); in layer 0 Linear\(4, 8\)$"):
        getattr(net, method)(X[:, :3], *([y] if method in ("fit", "evaluate") else []))


def test_long_paths_are_cut():
    assert path_text(()) == "0"
    assert path_text((2, 0, 1)) == "2.0.1"
    assert path_text((0,) * 90) == "..." + "0.0." * 9 + "0"


def test_no_frame_is_kept():
    """Frames hold arrays."""
    layer = Sequential([Linear(9, 3)])
    with pytest.raises(ValueError, match="in layer 0"):
        layer.apply(layer.init(stream(0)), X)
    gc.collect()
    assert place_of(layer, None) is None
