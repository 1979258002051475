"""Each layer of the closed registry, and each activation, as onnxruntime computes it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import portnn as pn
from portnn import nn, ops, tree
from portnn.export import export_onnx
from portnn.nn import Activation, Layer
from portnn.nn._description import _CLASSES
from tests.export.cases import ACTIVATIONS, LAYERS, Case
from tests.export.run import Runtime, agree, compare, further

CASES = [(f"{name}-{i}", case) for name, cases in LAYERS.items() for i, case in enumerate(cases)]
DTYPES = ("float32", "float64")


def network(case: Case) -> pn.Network:
    """A network of a layer, with a running state that is not the first one."""
    net = pn.Network(case.layer, dtype=case.dtype, seed=3)
    state = tree.map(lambda a: a + a.dtype.type(0.25) if a.dtype.kind == "f" else a, net.state)
    net.load_params(net.params, state)
    return net


def check(case: Case) -> None:
    net = network(case)

    def predict(x: Any, *more: Any) -> Any:
        named = further(case.shapes, more)
        return net.layer.apply(net.params, x, state=net.state, **named, **case.options)[0]

    model = export_onnx(net, input_shape=case.shapes, input_dtype=case.dtypes, options=case.options)
    agree(model, predict, case.shapes, case.tolerance)


def test_every_layer_of_the_registry_has_a_case():
    layers = {name for name, cls in _CLASSES.items() if issubclass(cls, Layer)}
    assert layers == LAYERS.keys()
    for name, cases in LAYERS.items():
        assert any(name in repr(case.layer) for case in cases), f"no case of {name} has one"


# Networks that end with a function of probabilities, under the default loss on logits.
pytestmark = pytest.mark.filterwarnings("ignore:Network. the last layer is")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", [case for _, case in CASES], ids=[name for name, _ in CASES])
def test_layer(case: Case, dtype: str):
    check(replace(case, dtype=dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name: str, dtype: str):
    check(Case(Activation(getattr(nn, name)), (4, 6), dtype=dtype))


@pytest.mark.parametrize(
    "name", ["relu", "gelu", "silu", "mish", "softplus", "elu", "sigmoid", "tanh", "celu"]
)
def test_activations_far_out(name: str):
    function = getattr(nn, name)
    x = np.asarray([[-1e4, -90.0, -20.0, -1e-6, 0.0, 1e-6, 20.0, 90.0, 1e4]], dtype="float32")
    found = Runtime(export_onnx(function, input_shape=(9,)))(x)
    np.testing.assert_allclose(found[0], function(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["log_sigmoid", "softplus"])
def test_what_is_small_keeps_its_digits(name: str):
    function = getattr(nn, name)
    x = np.asarray([[12.0, 16.0]] if name == "log_sigmoid" else [[-12.0, -16.0]], dtype="float64")
    found = Runtime(export_onnx(function, input_shape=(2,), input_dtype="float64"))(x)
    np.testing.assert_allclose(found[0], function(x), rtol=1e-12)


def test_attention_to_nothing_is_zero():
    net = network(Case(nn.MultiHeadAttention(4, 2, bias=False), (3, 4)))
    model = export_onnx(net, input_shape={"x": (3, 4), "key_mask": (3,)})
    x = np.ones((2, 3, 4), dtype="float32")
    mask = np.asarray([[False] * 3, [True, False, True]])
    found = Runtime(model)(x, mask)
    assert not found[0][0].any()
    compare(found, net.layer.apply(net.params, x, key_mask=mask))


MASKS: dict[str, Any] = {
    "chosen": lambda x: ops.where(x > 0.0, x, -float("inf")),
    "chosen from an array": lambda x: ops.where(x > 0.0, x, ops.full_like(x[:1, :], -float("inf"))),
    "added": lambda x: x + ops.asarray([[-float("inf")] * 2], like=x, dtype="float32"),
}


@pytest.mark.parametrize("name", MASKS)
def test_softmax_of_a_masked_row(name: str):
    """Zeros, whose logarithm is minus infinity."""
    x = np.asarray([[-1.0, -2.0], [1.0, -1.0]], dtype="float32")
    for function in (nn.softmax, nn.log_softmax):

        def masked(x: Any, function: Any = function) -> Any:
            return function(MASKS[name](x))

        found = Runtime(export_onnx(masked, input_shape=(2,)))(x)
        np.testing.assert_allclose(found[0], masked(x), rtol=1e-6)
        assert found[0][0].tolist() == ([0.0, 0.0] if function is nn.softmax else [-float("inf")] * 2)
