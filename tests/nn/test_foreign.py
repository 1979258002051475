"""Layers of other libraries are refused by name; their tensors are taken over, or named."""

from __future__ import annotations

import numpy as np
import pytest

import portnn as pn
from portnn import nn
from portnn.nn import from_keras, from_torch, to_keras, to_torch
from portnn.random import stream


def foreign(module, base, name):
    """A class as another library has it: callable objects, derived from the library's class of layers."""
    parent = type(base, (), {"__module__": f"{module}.layers.base", "__call__": lambda self, x: x})
    return type(name, (parent,), {"__module__": f"{module}.layers.some"})


LAYERS = {
    ("torch", "Module", "Linear"): "torch's Linear; write portnn.Linear",
    ("torch", "Module", "LeakyReLU"): "torch's LeakyReLU; write portnn.leaky_relu",
    ("torch", "Module", "BatchNorm2d"): "torch's BatchNorm2d; write portnn.BatchNorm",
    ("torch", "Module", "Net"): "torch's Net; write it with the layers of portnn",
    ("keras", "Layer", "Dense"): "keras's Dense; write portnn.Linear",
    ("keras", "Layer", "GlobalAveragePooling2D"): "write portnn.GlobalAvgPool2d",
    ("keras", "Layer", "LayerNormalization"): "write portnn.LayerNorm",
    ("tf_keras", "Layer", "Conv2D"): "tf_keras's Conv2D; write portnn.Conv2d",
    ("tensorflow", "Module", "Dense"): "tensorflow's Dense; write portnn.Linear",
    ("flax", "Module", "Conv"): "flax's Conv; write it with",
    ("equinox", "Module", "GRUCell"): "equinox's GRUCell; write it with",
}
PLACES = {
    "list": lambda part: pn.Network([nn.Linear(3, 2), part]),
    "list in a list": lambda part: nn.Sequential([[part]]),
    "alone": nn.Sequential,
    "activation": nn.Activation,
    "between": lambda part: nn.MLP([2, 3, 4], activation=part),
    "branch": lambda part: nn.Sum([part, nn.Linear(2, 2)]),
    "around": nn.Residual,
    "outline": nn.outline,
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("layer", "text"), LAYERS.items(), ids=map("-".join, LAYERS))
def test_layers_of_other_libraries_are_refused(layer, text, place):
    cls = foreign(*layer)
    for part in (cls(), cls):
        with pytest.raises(TypeError, match=f"expected a layer of portnn, got .*{text}") as caught:
            PLACES[place](part)
        assert len(str(caught.value)) < 300


def test_modules_of_pytorch_are_refused():
    torch = pytest.importorskip("torch", reason="PyTorch is optional")
    parts = {
        "Linear": torch.nn.Linear(20, 2),
        "relu": torch.nn.ReLU(),
        "Sequential": torch.nn.Sequential(torch.nn.ReLU()),
    }
    for name, part in parts.items():
        with pytest.raises(TypeError, match=rf"got torch's \w+; write portnn\.{name}$"):
            pn.Network([part])
        with pytest.raises(TypeError, match="got torch's"):
            pn.Network(part)
    assert pn.Network([torch.relu], backend="torch").layer.layers[0].function is torch.relu  # a function


@pytest.mark.parametrize("convert", [from_torch, to_torch, from_keras, to_keras])
def test_what_is_no_layer_is_refused(convert):
    net = pn.Network([nn.Linear(3, 2)])
    with pytest.raises(
        TypeError, match=rf"^{convert.__name__}: expected a layer, got Network; pass its layer, net\.layer"
    ):
        convert(net, {})
    with pytest.raises(TypeError, match="expected a layer of portnn, got torch's Linear"):
        convert(foreign("torch", "Module", "Linear")(), {})


@pytest.mark.parametrize(
    ("convert", "names"),
    [(from_torch, r"module\.state_dict\(\)"), (from_keras, r"model\.get_weights\(\)")],
    ids=["torch", "keras"],
)
def test_a_model_instead_of_its_weights_is_refused(convert, names):
    model = foreign("torch", "Module", "Net")()
    with pytest.raises(TypeError, match=f"{convert.__name__}: .* got Net; .* pass {names}"):
        convert(nn.Linear(3, 2), model)
    if convert is from_keras:
        with pytest.raises(TypeError, match="must be a list of arrays, got dict"):
            convert(nn.Linear(3, 2), {"0.weight": np.ones((3, 2))})
        each = iter([np.ones((3, 2)), np.ones(2)])
        assert convert(nn.Linear(3, 2), each)[0]["bias"].tolist() == [1.0, 1.0]
    else:
        with pytest.raises(TypeError, match="must be a mapping of names to tensors, got list"):
            convert(nn.Linear(3, 2), [np.ones((3, 2))])


@pytest.mark.parametrize("library", ["torch", "jax.numpy", "ml_dtypes"])
def test_bfloat16_becomes_float32_exactly(library):
    xp = pytest.importorskip(library, reason="an optional library")
    weight = np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32)
    if library == "ml_dtypes":
        short = weight.astype(xp.bfloat16)
        wide = short.astype(np.float32)
    else:
        short = xp.asarray(weight, dtype=xp.bfloat16)
        wide = short.float().numpy() if library == "torch" else np.asarray(short.astype("float32"))
    assert (wide != weight).any()
    layer = nn.Linear(2, 3, bias=False)
    params, _ = from_torch(layer, {"weight": short})
    np.testing.assert_array_equal(params["weight"], wide.T, strict=True)
    params, _ = from_keras(nn.Linear(3, 2, bias=False), [short])
    np.testing.assert_array_equal(params["weight"], wide, strict=True)


def test_a_tensor_that_cannot_be_read_is_named():
    torch = pytest.importorskip("torch", reason="PyTorch is optional")
    layer = nn.Sequential([nn.Linear(3, 2)])
    good = {name: torch.as_tensor(a) for name, a in to_torch(layer, layer.init(stream(0))).items()}
    with pytest.raises(ValueError, match=r"from_torch: 0\.bias: .*detach"):
        from_torch(layer, {**good, "0.bias": good["0.bias"].clone().requires_grad_()})
    with pytest.raises(TypeError, match=r"from_torch: 0\.bias: "):
        from_torch(layer, {**good, "0.bias": "text"})
    with pytest.raises(TypeError, match=r"from_keras: weight 1, params\.0\.bias: "):
        from_keras(layer, [np.ones((3, 2)), "text"])
