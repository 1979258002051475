"""Each option of a layer is heard: another value gives another output, other parameters or another state."""

# ruff: noqa: E501  # one row a line, so that it reads as a table

from __future__ import annotations

import inspect

import numpy as np
import pytest

from portnn import nn, tree
from portnn.random import key, stream

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(3, 4, 6, 7)).astype(np.float32)
SIGNALS = IMAGES[:, :, 0]
ROWS = SIGNALS[:, :, 0]
TIME = np.moveaxis(SIGNALS, 1, 2).copy()  # (n, time, features)
INTEGERS = np.asarray([[0, 2, 1], [2, 2, 0]])
BYTES = (10 * np.abs(IMAGES)).astype(np.uint8)
OTHER = nn.init.Constant(0.25)
CONV = {
    "stride": 2, "padding": 1, "dilation": 2, "groups": 2, "bias": False, "weight_init": OTHER, "bias_init": OTHER,
}  # fmt: skip
TRANSPOSED = {**CONV, "output_padding": (1, {"stride": 2})}
STACK = {
    "num_layers": 2, "bidirectional": True, "returns": "last", "bias": False, "input_init": OTHER,
    "hidden_init": OTHER, "bias_init": OTHER, "dropout": (0.5, {"num_layers": 2}),
}  # fmt: skip
ENCODER = {
    "hidden_features": 5, "dropout": 0.5, "activation": nn.gelu, "norm_first": False, "rotary": True, "bias": False,
    "eps": 0.5,
}  # fmt: skip
AVERAGE = {"stride": 1, "padding": 1, "count_include_pad": (False, {"padding": 1})}
LARGEST = {"stride": 1, "padding": 1, "dilation": 2}

# A layer, what it is given, and each option: another value, perhaps with options that it needs in order to matter.
LAYERS = {
    "Linear": (lambda **o: nn.Linear(4, 3, **o), ROWS, {"bias": False, "weight_init": OTHER, "bias_init": OTHER}),
    "Conv1d": (lambda **o: nn.Conv1d(4, 2, 3, **o), SIGNALS, CONV),
    "Conv2d": (lambda **o: nn.Conv2d(4, 2, 3, **o), IMAGES, CONV),
    "ConvTranspose1d": (lambda **o: nn.ConvTranspose1d(4, 2, 3, **o), SIGNALS, TRANSPOSED),
    "ConvTranspose2d": (lambda **o: nn.ConvTranspose2d(4, 2, 3, **o), IMAGES, TRANSPOSED),
    "AvgPool1d": (lambda **o: nn.AvgPool1d(2, **o), SIGNALS, AVERAGE),
    "AvgPool2d": (lambda **o: nn.AvgPool2d(2, **o), IMAGES, AVERAGE),
    "MaxPool1d": (lambda **o: nn.MaxPool1d(2, **o), SIGNALS, LARGEST),
    "MaxPool2d": (lambda **o: nn.MaxPool2d(2, **o), IMAGES, LARGEST),
    "BatchNorm": (
        lambda **o: nn.BatchNorm(4, **o), IMAGES, {"eps": 0.5, "momentum": 0.7, "affine": False, "track": False},
    ),
    "GroupNorm": (lambda **o: nn.GroupNorm(2, 4, **o), IMAGES, {"eps": 0.5, "affine": False}),
    "InstanceNorm": (lambda **o: nn.InstanceNorm(4, **o), IMAGES, {"eps": 0.5, "affine": True}),
    "LayerNorm": (lambda **o: nn.LayerNorm(4, **o), ROWS, {"eps": 0.5, "affine": False, "bias": False}),
    "RMSNorm": (lambda **o: nn.RMSNorm(4, **o), ROWS, {"eps": 0.5, "affine": False}),
    "Dropout": (lambda **o: nn.Dropout(**o), ROWS, {"p": 0.1}),
    "Dropout1d": (lambda **o: nn.Dropout1d(**o), SIGNALS, {"p": 0.1}),
    "Dropout2d": (lambda **o: nn.Dropout2d(**o), IMAGES, {"p": 0.1}),
    "Embedding": (lambda **o: nn.Embedding(3, 2, **o), INTEGERS, {"padding_idx": 2, "weight_init": OTHER}),
    "RNN": (lambda **o: nn.RNN(4, 3, **o), TIME, {**STACK, "activation": nn.relu}),
    "LSTM": (lambda **o: nn.LSTM(4, 3, **o), TIME, STACK),
    "GRU": (lambda **o: nn.GRU(4, 3, **o), TIME, STACK),
    "MultiHeadAttention": (
        lambda **o: nn.MultiHeadAttention(4, 2, **o), TIME,
        {"dropout": 0.5, "bias": False, "rotary": True, "weight_init": OTHER, "bias_init": OTHER},
    ),
    "TransformerEncoderLayer": (lambda **o: nn.TransformerEncoderLayer(4, 2, **o), TIME, ENCODER),
    "SinusoidalPositions": (lambda **o: nn.SinusoidalPositions(4, **o), TIME, {"base": 10.0}),
    "PReLU": (lambda **o: nn.PReLU(**o), ROWS, {"features": 4, "slope": nn.init.Constant(0.5)}),
    "Rescale": (lambda **o: nn.Rescale(**o), BYTES, {"scale": 0.5, "offset": 1.0, "dtype": "float64"}),
    "Upsample": (
        lambda **o: nn.Upsample(2, **o), IMAGES, {"mode": "bilinear", "align_corners": (True, {"mode": "bilinear"})},
    ),
    "MLP": (lambda **o: nn.MLP([4, 3, 2], **o), ROWS, {"activation": nn.gelu}),
    "Residual": (lambda **o: nn.Residual(nn.Linear(4, 4), **o), ROWS, {"shortcut": nn.Linear(4, 4)}),
    "Concatenate": (lambda **o: nn.Concatenate([nn.relu, nn.tanh], **o), IMAGES, {"axis": 2}),
    "celu": (lambda **o: nn.Activation(nn.celu, **o), ROWS, {"alpha": 0.5}),
    "elu": (lambda **o: nn.Activation(nn.elu, **o), ROWS, {"alpha": 0.5}),
    "glu": (lambda **o: nn.Activation(nn.glu, **o), IMAGES[:, :, :, :6], {"axis": 1}),
    "gelu": (lambda **o: nn.Activation(nn.gelu, **o), ROWS, {"approximate": True}),
    "leaky_relu": (lambda **o: nn.Activation(nn.leaky_relu, **o), ROWS, {"negative_slope": 0.5}),
    "softmax": (lambda **o: nn.Activation(nn.softmax, **o), ROWS, {"axis": 0}),
    "log_softmax": (lambda **o: nn.Activation(nn.log_softmax, **o), ROWS, {"axis": 0}),
    "softmin": (lambda **o: nn.Activation(nn.softmin, **o), ROWS, {"axis": 0}),
}  # fmt: skip
CASES = [(name, option) for name, (_, _, options) in LAYERS.items() for option in options]

ABOUT_PARAMETERS = {"weight_init", "bias_init", "input_init", "hidden_init", "slope", "padding_idx"}


def result(layer, x):
    """Parameters, then output and state in training and after it."""
    params, state = layer.init(stream(3)), layer.init_state()
    y, after = layer.forward(params, state, x, training=True, key=key(4))
    z, _ = layer.forward(params, after, x, training=False, key=None)
    return [np.asarray(a) for a in tree.leaves((params, y, after, z))]


def differs(found, other):
    return len(found) != len(other) or any(
        a.shape != b.shape or a.dtype != b.dtype or not np.array_equal(a, b)
        for a, b in zip(found, other, strict=True)
    )


def outputs(layer, params, x):
    """In training and after it."""
    states = [(training, key(4) if training else None) for training in (True, False)]
    found = [layer.forward(params, layer.init_state(), x, training=t, key=k) for t, k in states]
    return [np.asarray(a) for a in tree.leaves(found)]


@pytest.mark.parametrize(("name", "option"), CASES)
def test_another_value_gives_another_result(name, option):
    make, x, options = LAYERS[name]
    given = options[option]
    value, needed = given if isinstance(given, tuple) else (given, {})
    first, second = make(**needed), make(**needed, **{option: value})
    assert differs(result(second, x), result(first, x))
    # In what is computed, too, not in the parameters alone: one layer's are put into the other where they fit.
    params, others = first.init(stream(3)), second.init(stream(3))
    fit = tree.map(lambda a: a.shape, params) == tree.map(lambda a: a.shape, others)
    if fit and option not in ABOUT_PARAMETERS:
        assert differs(outputs(first, params, x), outputs(second, params, x))


def test_every_option_of_every_layer_is_here():
    """Of the layers above; `memory_features` and `paired` belong to layers with two inputs."""
    for name, (_, _, options) in LAYERS.items():
        found = inspect.signature(getattr(nn, name)).parameters.values()
        wanted = {p.name for p in found if p.default is not p.empty} - {"memory_features", "paired"}
        assert wanted == set(options), name


ODD = {
    "last axis": lambda x: x[..., :-1],
    "channels": lambda x: x[:, :-1],
    "no axis": lambda x: x[(0,) * x.ndim],
    "one axis": lambda x: x[(0,) * (x.ndim - 1)],
    "more axes": lambda x: np.stack([x, x]),
    "fewer axes": lambda x: x[0],
    "integers": lambda x: x.astype(int),
}
FIXED_AXES = frozenset({"no axis", "one axis", "more axes", "fewer axes", "integers"})
ROWS_OF_FEATURES = {"last axis", "channels", "no axis", "integers"}  # of which there may be any number
OF_TIME = FIXED_AXES | {"last axis"}
REFUSED = {
    "Linear": ROWS_OF_FEATURES, "LayerNorm": ROWS_OF_FEATURES, "RMSNorm": ROWS_OF_FEATURES,
    **dict.fromkeys(("Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d"), FIXED_AXES | {"channels"}),
    **dict.fromkeys(("BatchNorm", "GroupNorm", "InstanceNorm"), FIXED_AXES | {"channels"}),
    **dict.fromkeys(("AvgPool1d", "AvgPool2d", "MaxPool1d", "MaxPool2d", "Dropout1d", "Dropout2d"), FIXED_AXES),
    **dict.fromkeys(("RNN", "LSTM", "GRU", "MultiHeadAttention"), OF_TIME),
    "SinusoidalPositions": {"last axis", "no axis", "one axis", "integers"},
    "Upsample": {"no axis", "one axis", "more axes", "integers"},
    "Dropout": {"integers"}, "PReLU": {"integers"}, "glu": {"last axis", "no axis", "integers"},
    **dict.fromkeys(("celu", "elu", "gelu", "leaky_relu", "softmax", "log_softmax", "softmin"), frozenset({"integers"})),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_inputs_that_do_not_fit_are_refused_by_name(name):
    """And others are not."""
    make, x, _ = LAYERS[name]
    layer = make()
    params, state = layer.init(stream(3)), layer.init_state()
    for what, change in ODD.items():
        if what in REFUSED[name]:
            with pytest.raises((ValueError, TypeError), match=f"(?i){name}") as caught:
                layer.forward(params, state, change(x), training=True, key=key(4))
            assert len(str(caught.value)) < 300
        elif not (name.startswith("softm") or name == "log_softmax"):
            layer.forward(params, state, change(x), training=True, key=key(4))
