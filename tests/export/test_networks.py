"""Networks as a whole: those of the examples, names, what is kept besides, files, and errors."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import onnx
import onnx.version_converter
import pytest

import portnn as pn
from examples import (
    backprop_by_hand,
    deep_big_simple,
    digits,
    digits_conv,
    generative_digits,
    multilabel_digits,
    regression_rotation,
    seq2seq_pronunciation,
)
from examples._arguments import MNIST
from portnn import losses, nn, ops, serialize, tree
from portnn.backend import get_backend
from portnn.data import load_mnist
from portnn.export import ExportError, export_onnx
from portnn.optim import adam
from portnn.random import stream
from tests.export.run import Runtime, agree, compare, raw

ARGS = argparse.Namespace(backend="cpu", seed=0, output="softmax", augment=True)
SIGMOID = argparse.Namespace(backend="cpu", seed=0, output="sigmoid", augment=False)
SIDE = multilabel_digits.SIDE
NETWORKS = {
    "digits, article": (digits.make_network(digits.RECIPES["article"], SIGMOID), (28, 28)),
    "digits, minibatch": (digits.make_network(digits.RECIPES["minibatch"], ARGS), (28, 28)),
    "digits, best": (digits.make_network(digits.RECIPES["best"], ARGS), (28, 28)),
    "digits_conv": (digits_conv.make_network(ARGS), (28, 28)),
    "multilabel_digits": (multilabel_digits.make_network(ARGS), (SIDE, SIDE)),
    "regression_rotation": (regression_rotation.make_network(ARGS), (28, 28)),
    "deep_big_simple": (deep_big_simple.make_network(deep_big_simple.RECIPES["reduced"], ARGS), (28, 28)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_example(name: str):
    net, shape = NETWORKS[name]
    agree(export_onnx(net, input_shape=shape), lambda x: raw(net, x), shape)
    if name != "regression_rotation":
        agree(export_onnx(net, input_shape=shape, softmax=True), net.predict_proba, shape)


def test_example_that_generates():
    model = generative_digits.Autoencoder((50,), 8)
    params = model.init(0)
    decode, encode = partial(model.decode, params), partial(model.encode, params)
    agree(export_onnx(decode, input_shape=(8,)), decode, (8,))
    agree(export_onnx(encode, input_shape=(784,)), encode, (784,))


def test_example_that_pronounces():
    model = seq2seq_pronunciation.Speaker(6, 8)
    params = model.init(0)
    repeat = partial(model.repeat, params)
    shapes, dtypes = {"letters": (7,), "phonemes": (5,)}, {"letters": "int64", "phonemes": "int64"}
    agree(export_onnx(repeat, input_shape=shapes, input_dtype=dtypes), repeat, shapes)


def test_example_by_hand():
    params = backprop_by_hand.initial(get_backend("cpu"), 0)

    def f(x: Any) -> Any:
        return backprop_by_hand.forward(x.__array_namespace__(), params, x)

    agree(export_onnx(f, input_shape=(784,)), f, (784,))


def small(**options: Any) -> pn.Network:
    return pn.Network([nn.Linear(4, 5), nn.BatchNorm(5), nn.relu, [nn.Linear(5, 3)]], **options)


def test_names_are_those_of_the_file(tmp_path):
    net = small()
    net.save(tmp_path / "net.safetensors")
    arrays, _ = serialize.load_tensors(tmp_path / "net.safetensors")
    model = export_onnx(net)
    kept = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer if "." in t.name}
    assert kept.keys() == arrays.keys() - {"state.1.count"}  # which has no part in predictions
    for name, array in kept.items():
        np.testing.assert_array_equal(array, arrays[name])


def test_graph():
    model = export_onnx(small(), softmax=True)
    onnx.checker.check_model(model, full_check=True)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 20)]
    assert (model.ir_version, model.producer_name) == (10, "portnn")
    assert model.producer_version == pn.__version__
    assert [i.name for i in model.graph.input] == ["x"]
    assert [o.name for o in model.graph.output] == ["y"]
    assert {node.name.partition("/")[0] for node in model.graph.node} == {
        "0.Linear", "1.BatchNorm", "2.relu", "3.0.Linear", "softmax"
    }  # fmt: skip
    operators = [node.op_type for node in export_onnx(pn.Network(nn.MLP([4, 5, 3])), softmax=True).graph.node]
    assert operators == ["Gemm", "Relu", "Gemm", "Softmax"]


@pytest.mark.parametrize("opset", [19, 26])
def test_other_opsets(opset: int):
    smooth = nn.gelu if opset > 19 else nn.silu  # ONNX has Gelu from opset 20 on
    net = pn.Network([nn.GRU(3, 4), nn.LayerNorm(4), nn.AvgPool1d(2), nn.Flatten(), smooth, nn.BatchNorm(10)])
    model = onnx.version_converter.convert_version(export_onnx(net, input_shape=(5, 3)), opset)
    assert [o.version for o in model.opset_import] == [opset]
    agree(model, lambda x: raw(net, x), (5, 3))


@pytest.mark.parametrize(("unit", "most"), [(nn.RNN, 5), (nn.GRU, 16), (nn.LSTM, 14)])
def test_a_step_is_few_operators(unit: Any, most: int):
    short, long = (len(export_onnx(pn.Network([unit(3, 4)]), input_shape=(t, 3)).graph.node) for t in (4, 14))
    assert long - short <= 10 * most


def test_a_step_with_its_state():
    layer = nn.GRU(3, 4, num_layers=2)
    params, x = layer.init(stream(0)), np.random.default_rng(0).normal(size=(2, 6, 3)).astype("float32")

    def step(x: Any, h: Any, g: Any) -> Any:
        return layer.step(params, x, (h, g))

    run = Runtime(export_onnx(step, input_shape={"x": (3,), "h": (4,), "g": (4,)}))
    states = [np.zeros((2, 4), dtype="float32")] * 2
    for t in range(6):
        y, *states = run(x[:, t], *states)
    compare([y], layer.apply(params, x)[:, -1])


def test_what_is_kept_besides():
    model = export_onnx(
        small(loss=partial(losses.sigmoid_cross_entropy, label_smoothing=0.1)), metadata={"by": "me"}
    )
    kept = {entry.key: entry.value for entry in model.metadata_props}
    assert nn.from_description(json.loads(kept.pop("portnn.layers"))) == small().layer
    assert kept == {
        "by": "me", "portnn.loss": "sigmoid_cross_entropy", "portnn.task": "labels", "portnn.epochs": "0",
        "portnn.output": "raw",
    }  # fmt: skip


def test_probabilities_are_those_of_the_loss():
    x = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    for loss in (losses.softmax_cross_entropy, losses.sigmoid_cross_entropy):
        net = small(loss=loss)
        compare(Runtime(export_onnx(net, softmax=True))(x), net.predict_proba(x))
    with pytest.raises(TypeError, match="softmax=True is for networks that tell classes or labels"):
        export_onnx(small(loss=losses.squared_error), softmax=True)


def test_bytes_in():
    net = pn.Network([nn.Flatten(), nn.Rescale(), nn.Linear(12, 3)])
    model = export_onnx(net, input_shape=(3, 4))
    assert Runtime(model).inputs == {"x": "uint8"}
    x = np.random.default_rng(0).integers(0, 256, size=(5, 3, 4), dtype="uint8")
    compare(Runtime(model)(x), raw(net, x))
    assert Runtime(export_onnx(net, input_shape=(3, 4), input_dtype="float32")).inputs == {"x": "float32"}


def test_the_shape_is_that_of_the_training():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 2, 3)).astype("float32"), rng.integers(0, 3, size=20)
    net = pn.Network([nn.Flatten(), nn.Linear(6, 3)])
    with pytest.raises(ValueError, match=r"the shape of a sample is not known; give it: input_shape"):
        export_onnx(net)
    net.fit(x, y, epochs=3, batch_size=5, optimizer=adam(0.1), progress=False)
    compare(Runtime(export_onnx(net))(x), raw(net, x))


def test_from_any_backend(backend):
    net = small(backend=backend.member.backend_name, seed=2)
    x = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
    compare(Runtime(export_onnx(net, softmax=True))(x), net.predict_proba(x))
    program = pn.trace(lambda x: ops.softmax(x * ops.asarray([1.0, 2.0, 3.0, 4.0], like=x, dtype="float32")))
    found = Runtime(export_onnx(program(backend.asarray(x))))(x)
    compare(found, ops.softmax(x * np.asarray([1.0, 2.0, 3.0, 4.0], dtype="float32")))


def test_program():
    def predict(params: Any, x: Any) -> Any:
        return ops.tanh(ops.linear(x, params["w"], params["b"]))

    params = {"w": np.ones((3, 2), dtype="float32"), "b": np.zeros(2, dtype="float32")}
    x = np.ones((4, 3), dtype="float32")
    model = pn.export_onnx(pn.trace(predict)(params, x))
    assert [i.name for i in model.graph.input] == ["params.w", "params.b", "x"]
    compare(Runtime(model)(params["w"], params["b"], x), predict(params, x))
    with pytest.raises(TypeError, match="input_shape is not for programs"):
        export_onnx(pn.trace(predict)(params, x), input_shape=(3,))


def test_a_training_step():
    """What is written down can be exported, whatever it is."""

    def loss(params: Any, x: Any, y: Any) -> Any:
        return losses.softmax_cross_entropy(ops.layer_norm(ops.linear(x, params["w"], params["b"])), y)

    def step(params: Any, x: Any, y: Any) -> Any:
        value, gradient = pn.value_and_grad(loss)(params, x, y)
        return value, tree.map(lambda p, g: p - 0.1 * g, params, gradient)

    rng = np.random.default_rng(0)
    params = {"w": rng.normal(size=(4, 3)).astype("float32"), "b": np.zeros(3, dtype="float32")}
    args = params, rng.normal(size=(6, 4)).astype("float32"), rng.integers(0, 3, size=6)
    model = export_onnx(pn.trace(step)(*args))
    compare(Runtime(model)(*tree.leaves(args)), step(*args))


def test_file(tmp_path):
    path = tmp_path / "net.onnx"
    model = export_onnx(small(), path)
    assert onnx.load(path) == model
    assert [file.name for file in tmp_path.iterdir()] == ["net.onnx"]
    with pytest.raises(FileNotFoundError, match=r"the folder .* does not exist; make it first"):
        export_onnx(small(), tmp_path / "nowhere" / "net.onnx")
    with pytest.raises(IsADirectoryError, match="is a folder; name a file in it"):
        export_onnx(small(), tmp_path)


def test_a_file_holds_two_gibibytes(monkeypatch):
    monkeypatch.setattr("portnn.export._model._MOST", 100)
    with pytest.raises(ExportError, match=r"the parameters take .* GiB; a model in one file can have 2"):
        export_onnx(small())


def test_the_article_and_its_digits():
    images, labels = load_mnist(MNIST, "test")
    net, _ = NETWORKS["digits, minibatch"]
    net.fit(images[:2000], labels[:2000], epochs=2, batch_size=64, optimizer=adam(1e-2), progress=False)
    found = Runtime(export_onnx(net, softmax=True))(images[2000:3000])
    compare(found, net.predict_proba(images[2000:3000]))
    assert np.mean(np.argmax(found[0], axis=1) == labels[2000:3000]) > 0.8


@dataclass(frozen=True)
class Own(nn.Layer):
    """A layer of the user's own, by a function that ONNX lacks, or by an own primitive."""

    function: Any

    def forward(self, params: Any, state: Any, x: Any, *, training: bool, key: Any) -> tuple[Any, Any]:
        return self.function(x), state


@pn.primitive
def softplus(x: Any) -> Any:
    """Of the same name as one of portnn's, and something else."""
    return ops.multiply(x, 3.0)


def test_a_layer_of_ones_own():
    net = pn.Network([nn.Linear(4, 3), Own(lambda x: ops.sort(x, axis=1)), Own(softplus)])
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    model = export_onnx(net)
    compare(Runtime(model)(x), raw(net, x))
    kept = {entry.key: entry.value for entry in model.metadata_props}
    assert kept["portnn.layers"] == repr(net.layer)


def test_what_onnx_lacks_is_named_with_its_layer():
    net = pn.Network([nn.Linear(4, 3), [nn.relu, Own(lambda x: ops.copysign(x, 1.0 + x))]])
    text = (
        r"^export_onnx: 'copysign', which the primitive 'copysign' calls, in layer 1.1.Own cannot be exported"
    )
    with pytest.raises(ExportError, match=text):
        export_onnx(net)
    with pytest.raises(ExportError, match=r"'linalg.inv'.*in layer 1.Own.*no counterpart"):
        export_onnx(pn.Network([nn.Reshape((2, 2)), Own(ops.linalg.inv)]), input_shape=(4,))
    with pytest.raises(
        ExportError, match=r"'multiply' in layer 0.Own: a number .* follows the batch|multiply in"
    ):
        export_onnx(pn.Network([Own(lambda x: x * (1 / x.shape[0]))]), input_shape=(4,))


def test_values_are_not_looked_at():
    net = pn.Network([nn.Linear(4, 3), Own(lambda x: x if x[0, 0] > 0 else -x)])
    with pytest.raises(pn.ControlFlowError) as caught:
        export_onnx(net)
    assert caught.value.__notes__ == ["while export_onnx traced layer 1.Own"]
