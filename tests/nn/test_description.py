"""Layers as plain data and back; data that are not a layer's are refused and run nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

import portnn
from portnn import nn
from portnn.nn import (
    Activation,
    Cast,
    Flatten,
    Linear,
    PReLU,
    Rescale,
    Sequential,
    describe,
    from_description,
    init,
)
from portnn.nn import _activations as activations
from portnn.nn._description import _CLASSES

LAYERS = {
    "linear": Linear(3, 2),
    "linear with more": Linear(3, 2, bias=False, weight_init=init.orthogonal(), bias_init=init.constant(0.5)),
    "flatten": Flatten(),
    "batch norm": nn.BatchNorm(3, momentum=None, affine=False),
    "layer norm": nn.LayerNorm((2, 3), bias=False),
    "group norm": nn.GroupNorm(2, 4, 1e-3),
    "instance norm": nn.InstanceNorm(4, affine=True),
    "rms norm": nn.RMSNorm(4),
    "rescale": Rescale(0.5, -1.0, "float64"),
    "convolution": nn.Conv2d(2, 4, (3, 5), padding=((1, 0), (2, 2)), groups=2),
    "transposed convolution": nn.ConvTranspose1d(4, 2, 4, stride=2, bias=False),
    "pooling": Sequential([nn.MaxPool2d(2), nn.AvgPool1d(3, 1, "same"), nn.GlobalAvgPool2d()]),
    "sizes": Sequential([nn.Reshape((1, -1)), nn.Upsample(2, "linear"), nn.ZeroPad2d(1)]),
    "prelu": PReLU(7, init.constant(0.1)),
    "activation": Activation(nn.gelu, approximate=True),
    "dropout": Sequential([nn.Dropout(0.25), nn.Dropout1d(0.0), nn.Dropout2d(1.0)]),
    "cast": Cast([Linear(3, 2), nn.relu], "float16"),
    "sequential": Sequential([nn.relu, [Flatten(), partial(nn.leaky_relu, negative_slope=0.2)]]),
}
INITIALIZERS = [
    init.he_uniform(), init.he_normal(), init.glorot_uniform(), init.glorot_normal(), init.lecun_uniform(),
    init.lecun_normal(), init.orthogonal(), init.truncated_normal(0.1), init.constant(2.0),
    init.zeros(), init.uniform(-1.0, 1.0), init.normal(0.5),
]  # fmt: skip


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS.keys())
def test_layers_survive_json(layer):
    assert from_description(json.loads(json.dumps(describe(layer), allow_nan=False))) == layer


@pytest.mark.parametrize("made", INITIALIZERS, ids=str)
def test_initialisers_survive_json(made):
    assert from_description(json.loads(json.dumps(describe(made)))) == made


def test_every_activation_survives():
    assert len(activations.__all__) == 22
    for name in activations.__all__:
        layer = Activation(getattr(nn, name))
        assert from_description(json.loads(json.dumps(describe(layer)))) == layer


def test_every_public_layer_can_be_described_and_is_exported():
    found = {name: getattr(nn, name) for name in nn.__all__}
    layers = {name for name, part in found.items() if isinstance(part, type) and issubclass(part, nn.Layer)}
    assert layers - {"Layer"} - _CLASSES.keys() == set()
    assert layers - set(portnn.__all__) == set()


def own(x):
    return x


def relu(x):
    return x


class Own(nn.Layer):
    def forward(self, params, state, x, *, training, key):
        return x, state


Impostor = dataclass(frozen=True)(type("Flatten", (Own,), {}))


@pytest.mark.parametrize("part", [Activation(own), Own(), Impostor(), object(), eval])
def test_what_is_not_portnns_own_cannot_be_described(part):
    text = (
        "is no layer, activation or initialiser of portnn, so a file cannot describe it; save the parameters"
    )
    with pytest.raises(TypeError, match=text) as caught:
        describe(part)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("function", [portnn.ops.tanh, relu])
def test_of_another_function_of_that_name_the_activation_is_named(function):
    with pytest.raises(TypeError, match=f"describe it; portnn.{function.__name__} can be described$"):
        describe(Activation(function))


GOOD = describe(Linear(3, 2))
REFUSED = {
    "unknown": (
        {"is": "Conv9"},
        "name of a layer or initialiser of portnn, got 'Conv9'; a file of a newer portnn needs that version$",
    ),
    "code": ({"is": "os.system", "command": "true"}, "got 'os.system'"),
    "builtin": ({"is": "eval"}, "got 'eval'"),
    "dunder": ({"is": "__class__"}, "got '__class__'"),
    "function": ({"is": "function", "name": "eval"}, "got 'function'"),
    "function with more": ({"is": "function", "name": "relu", "x": 1}, "got 'function'"),
    "no name": ({}, "got 'None'"),
    "number": ({"is": 5}, "got '5'"),
    "list": ({"is": ["Linear"]}, "expected the name of a layer"),
    "missing": ({k: v for k, v in GOOD.items() if k != "bias"}, r"missing or unknown: \['bias'\]"),
    "too much": ({**GOOD, "evil": 1}, r"Linear: expected the fields .* unknown: \['evil'\]"),
    "size": ({**GOOD, "in_features": 0}, "description of Linear: Linear: in_features must be at least 1"),
    "type": ({**GOOD, "in_features": "3"}, "description of Linear: .* must be an integer, got str"),
    "inner": ({"is": "Sequential", "layers": [{"is": "Nope"}]}, "got 'Nope'"),
    "no layers": ({"is": "Sequential", "layers": []}, "at least one layer"),
    "options": ({**describe(Activation(nn.relu)), "options": 3}, "of Activation"),
    "infinite": ({**describe(Rescale()), "scale": float("inf")}, "Rescale: .* finite"),
    "huge": ({**describe(Rescale()), "scale": 10**400}, "description of Rescale: .* too large"),
    "long": ({"is": "x" * 10**6}, "expected the name of a layer"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "text"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(data, text):
    with pytest.raises(ValueError, match=text) as caught:
        from_description(data)
    assert len(str(caught.value)) < 400


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["is", "name"]), inner, max_size=2)
    ),
    max_leaves=8,
)


@given(
    st.sampled_from(["Linear", "Sequential", "Activation", "PReLU", "Rescale", "VarianceScaling"]),
    st.dictionaries(
        st.sampled_from(["in_features", "out_features", "bias", "layers", "function", "options", "features",
                         "slope", "scale", "offset", "dtype", "fan"]), JSON),
)  # fmt: skip
def test_any_data_make_a_layer_or_a_value_error(kind, fields):
    try:
        from_description({"is": kind, **fields})
    except ValueError as error:
        assert "description" in str(error)  # noqa: PT017  # most draws raise, some do not


@given(JSON)
def test_a_changed_field_makes_a_layer_or_a_value_error(value):
    for layer in LAYERS.values():
        data = describe(layer)
        for name in data:
            try:
                from_description({**data, name: value})
            except ValueError as error:
                assert "description" in str(error)  # noqa: PT017  # likewise


@pytest.mark.parametrize(
    "data",
    [
        {"is": "function", "name": []}, {"is": "function", "name": {}}, {"is": "function", "name": "eval"},
        {"is": "function"}, {"is": []}, {"is": {}}, {"is": None}, {},
        {"is": "Activation", "function": 3, "options": 3},
        {"is": "Activation", "function": {"is": "function", "name": "relu"}, "options": [1]},
        {"is": "Sequential", "layers": {"is": "Flatten"}}, {"is": "Reshape", "shape": [[1]]},
        {"is": "LayerNorm", "shape": None, "eps": 1e-5, "affine": True, "bias": True},
        {"is": "TransformerEncoder", "layer": {"is": "Flatten"}, "num_layers": 2, "final_norm": None},
        {"is": "Sharing", "layer": {"is": "Flatten"}}, {"is": "Repeat", "layer": None, "times": []},
    ],
    ids=str,
)  # fmt: skip
def test_odd_data_have_the_one_error(data):
    with pytest.raises(ValueError, match="description") as caught:
        from_description(data)
    assert len(str(caught.value)) < 400
