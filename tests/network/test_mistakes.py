"""Common mistakes with a network raise or warn in a way that leads to the fix."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest

import portnn as pn
from portnn import losses, optim
from portnn.network._mistakes import check_save_path, floating_labels, to_predict_numbers, warn_of_weights

NUMBERS = "to predict numbers give the network loss=portnn.losses.squared_error"
PATHS = {
    "m.onnx": "portnn.export_onnx(net, 'm.onnx') writes ONNX",
    "m.pt": "portnn.nn.to_torch gives its parameters to a PyTorch module",
    "m.pth": "portnn.nn.to_torch gives its parameters to a PyTorch module",
    "m.h5": "portnn.nn.to_keras gives its weights to a Keras model",
    "m.keras": "portnn.nn.to_keras gives its weights to a Keras model",
    "m.NPZ": "portnn.serialize.save_npz('m.NPZ', net.params) writes arrays alone",
    "m.pkl": "pickle.dump(net, file) pickles it",
    "m.json": "portnn.nn.describe(net.layer) has the layers as plain data",
}


@pytest.mark.parametrize("name", PATHS)
def test_names_of_other_formats_are_not_written_to(name, tmp_path):
    text = f"save: writes a safetensors file, got the name {name!r}; write net.save('m.safetensors'). "
    text += PATHS[name]
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        check_save_path(tmp_path / name)


def test_other_names_are(tmp_path):
    for name in ("m", "m.safetensors", "m.model", "digits.v2", "m.onnx.safetensors"):
        check_save_path(tmp_path / name)
    with pytest.raises(ValueError, match="save: writes a safetensors file") as caught:
        check_save_path("a" * 200 + ".npz")
    assert len(str(caught.value)) < 300


def test_values_under_a_loss_of_classes():
    start = "y: expected integer labels or one-hot rows, got dtype float32; "
    values = np.asarray([0.5, 2.0, 1.0], "float32")
    assert str(floating_labels(values, 10)) == f"{start}{NUMBERS}"
    assert str(floating_labels(values * 100, 10)) == f"{start}{NUMBERS}"
    assert str(floating_labels(np.zeros(3, "float32"), 1)) == f"{start}{NUMBERS}"
    whole = np.asarray([0.0, 2.0, 1.0], "float32")
    assert str(floating_labels(whole, 3)) == f"{start}for classes pass y.astype('int64'), {NUMBERS}"
    assert str(floating_labels(whole, 2)) == f"{start}{NUMBERS}"


def test_labels_far_beyond_the_classes_may_be_values():
    assert to_predict_numbers(250, 10) == f"; {NUMBERS}"
    assert to_predict_numbers(1, 1) == f"; {NUMBERS}"
    assert to_predict_numbers(3, 3) == ""
    assert to_predict_numbers(-1, 3) == ""


@pytest.mark.parametrize("name", ["class_weight", "sample_weight"])
def test_weights_of_single_samples(name):
    text = (
        f"fit: {name} has no effect with one sample a batch, since the loss of a batch is the mean over its "
        "samples by their weights; pass a larger batch_size, such as 32"
    )
    for batch_size, samples in ((1, 100), (None, 1), (32, 1)):
        with pytest.warns(UserWarning, match=f"^{text}$"):
            warn_of_weights(name, batch_size, samples)
    for batch_size, samples in ((2, 100), (None, 2), (32, 33)):
        warn_of_weights(name, batch_size, samples)


RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 4)).astype("float32")
VALUES = (X @ np.asarray([1.0, -2.0, 3.0, 0.5], "float32")) * 10
LABELS = np.arange(12) % 3


def classifier(*layers, **options):
    return pn.Network(list(layers) or [pn.Linear(4, 8), pn.relu, pn.Linear(8, 3)], **options)


def fit(net, y=LABELS, **options):
    return net.fit(X, y, epochs=1, progress=False, **options)


REFUSED = {
    "a loss is missing": (
        lambda: fit(classifier(pn.Linear(4, 1)), VALUES),
        TypeError,
        f"y: expected integer labels or one-hot rows, got dtype float32; {NUMBERS}",
    ),
    "a loss is missing, two axes": (
        lambda: fit(classifier(pn.Linear(4, 1)), VALUES[:, None]),
        ValueError,
        (
            "y: expected targets between 0 and 1 for a loss for classes, got values outside; "
            "to predict numbers give the network loss=portnn.losses.squared_error"
        ),
    ),
    "a loss is missing, small values": (
        lambda: fit(classifier(pn.Linear(4, 2)), np.full((12, 2), 0.1, "float32")),
        ValueError,
        (
            "y: expected one-hot or soft rows that sum to 1; for several labels use sigmoid_cross_entropy, "
            "to predict numbers loss=portnn.losses.squared_error"
        ),
    ),
    "a loss is missing, whole values": (
        lambda: fit(classifier(pn.Linear(4, 1)), np.arange(12) * 100),
        ValueError,
        (
            "y: sample 1 has the label 100, but the network has one class; for yes or no give it "
            "loss=portnn.losses.sigmoid_cross_entropy, to predict numbers loss=portnn.losses.squared_error; "
            "for more classes widen the last layer"
        ),
    ),
    "a loss is missing, several outputs": (
        lambda: fit(classifier(), np.arange(12) * 100),
        ValueError,
        (
            "y: sample 1 has the label 100, but the network has 3 classes, 0 to 2; widen the last layer or "
            f"renumber the labels; {NUMBERS}"
        ),
    ),
    "labels as numbers": (
        lambda: fit(classifier(), LABELS.astype("float32")),
        TypeError,
        (
            "y: expected integer labels or one-hot rows, got dtype float32; for classes pass "
            f"y.astype('int64'), {NUMBERS}"
        ),
    ),
    "layers that do not fit": (
        lambda: classifier(pn.Linear(4, 8), pn.relu, pn.Linear(9, 3)),
        ValueError,
        "layer 2 Linear(9, 3): expected 9 features, got 8 from the layer before; write Linear(8, 3)",
    ),
    "data that do not fit": (
        lambda: classifier().predict(X[:, :3]),
        ValueError,
        "Linear: expected an input of shape (..., 4), got (12, 3); in layer 0 Linear(4, 8)",
    ),
    "a class as a layer": (
        lambda: pn.Network([pn.Linear]),
        TypeError,
        (
            "expected a layer or an activation function such as portnn.relu, got the class Linear; "
            "write Linear(...) with in_features, out_features"
        ),
    ),
    "a class as the network": (
        lambda: pn.Network(pn.Flatten),
        TypeError,
        "Sequential: expected a list of layers, got the class Flatten; write [Flatten(), ...]",
    ),
    "parts too small": (
        lambda: fit(classifier(pn.Linear(4, 3), pn.BatchNorm(3)), batch_size=4, accumulate=4),
        ValueError,
        (
            "fit: accumulate=4 makes parts of 1 sample, too few for BatchNorm, which needs two elements a "
            "channel; pass a smaller accumulate or a larger batch_size (the last batch counts, too), or use "
            "LayerNorm; in layer 1 BatchNorm(3)"
        ),
    ),
    "one sample": (
        lambda: fit(classifier(pn.Linear(4, 3), pn.BatchNorm(3)), batch_size=1, compile=False),
        ValueError,
        (
            "BatchNorm: training needs at least two elements a channel, got shape (1, 3); leave out the last "
            "batch if it is a single sample, or use LayerNorm; in layer 1 BatchNorm(3)"
        ),
    ),
    "lr": (
        lambda: fit(classifier(), lr=0.1),
        TypeError,
        (
            "fit: unexpected argument 'lr'; did you mean optimizer=portnn.optim.adam(0.001), with a rate of "
            "your own?"
        ),
    ),
    "epoch": (
        lambda: classifier().fit(X, LABELS, epoch=3),
        TypeError,
        "fit: unexpected argument 'epoch'; did you mean epochs?",
    ),
    "device": (
        lambda: classifier(device="cpu"),
        TypeError,
        "Network: unexpected argument 'device'; did you mean backend?",
    ),
    "criterion": (
        lambda: classifier(criterion=losses.squared_error),
        TypeError,
        "Network: unexpected argument 'criterion'; did you mean loss?",
    ),
    "a callback": (
        lambda: pn.train.callbacks.ModelCheckPoint,
        AttributeError,
        (
            "module 'portnn.train.callbacks' has no attribute 'ModelCheckPoint'; did you mean "
            "portnn.train.callbacks.ModelCheckpoint?"
        ),
    ),
    "training": (
        lambda: pn.train.EarlyStopping,
        AttributeError,
        (
            "module 'portnn.train' has no attribute 'EarlyStopping'; did you mean "
            "portnn.train.callbacks.EarlyStopping?"
        ),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_mistakes_lead_to_the_fix(name):
    call, kind, text = REFUSED[name]
    with pytest.raises(kind, match=f"^{re.escape(text)}$"):
        call()
    assert len(text) < 300


@pytest.mark.parametrize("compile", [True, False])
def test_errors_of_a_training_name_the_layer(compile):
    """The first samples pass: the layer sees that it is a training only in the step."""
    with pytest.raises(ValueError, match=r"in layer 1\.0 BatchNorm\(3\)$"):
        fit(classifier(pn.Linear(4, 3), [pn.BatchNorm(3), pn.relu]), batch_size=1, compile=compile)


def test_probabilities_under_a_loss_of_logits():
    text = "^Network: the last layer is softmax, but the loss softmax_cross_entropy takes logits"
    with pytest.warns(UserWarning, match=text) as told:
        classifier(pn.Linear(4, 3), pn.nn.softmax)
    assert [warning.filename for warning in told] == [__file__]
    with pytest.warns(UserWarning, match="predict_proba applies sigmoid$"):
        classifier(pn.Linear(4, 1), pn.sigmoid, loss=losses.sigmoid_cross_entropy)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier(pn.Linear(4, 1), pn.sigmoid, loss=losses.squared_error)


def test_weights_that_have_no_effect():
    for options in ({"class_weight": "balanced"}, {"sample_weight": np.ones(12)}):
        [name] = options
        with pytest.warns(UserWarning, match=f"^fit: {name} has no effect with one sample a batch") as told:
            fit(classifier(), batch_size=1, **options)
        assert [warning.filename for warning in told] == [__file__]


def test_a_network_prints_on_two_lines():
    layers = "Sequential([Linear(4, 8), relu, Linear(8, 3)])"
    options = "loss=softmax_cross_entropy, backend='numpy', dtype='float32'"
    assert repr(classifier()) == f"Network({layers},\n    {options})"
    assert repr(pn.Network(pn.Linear(4, 3))) == f"Network(Linear(4, 3), {options})"
    for net in (pn.Network(pn.MLP([4] + [8] * 60)), pn.Network([pn.Residual(pn.MLP([4, 8, 8, 8, 8, 4]))])):
        lines = repr(net).split("\n")
        assert len(lines) == 2
        assert max(map(len, lines)) <= 100
    loss = losses.Loss(lambda p, t: pn.ops.mean(p - t), task=losses.Task.VALUES)
    assert "loss=<lambda>" in repr(pn.Network([pn.Linear(4, 3)], loss=loss))


def test_saving_under_another_name(tmp_path):
    with pytest.raises(ValueError, match=r"^save: writes a safetensors file, got the name 'm.onnx'; "):
        classifier().save(tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_a_recipe_that_is_equal_goes_on():
    net = classifier()
    net.partial_fit(X, LABELS, optimizer=optim.adam(0.01))
    net.partial_fit(X, LABELS, optimizer=optim.adam(0.01))
    assert int(net.optimizer_state[0]["step"]) == 2


def test_a_log_that_is_not_a_number():
    for value, kind in (("0.1", "str"), (np.ones(3), "ndarray"), (None, "NoneType")):

        def note(epoch, value=value):
            epoch.logs["rate"] = value

        text = f"^fit: the log 'rate' must be a number, got {kind}; write float\\(...\\)$"
        with pytest.raises(TypeError, match=text):
            fit(classifier(), callbacks=[note])


def test_residuals_of_flat_targets():
    net = classifier(pn.Linear(4, 1), loss=losses.squared_error)
    fit(net, VALUES)
    assert (VALUES - net.predict(X)).shape == (12,)


def test_a_recipe_without_its_call():
    with pytest.raises(TypeError, match=r"got function; write optim.adam\(0.001\)"):
        pn.Network([pn.Linear(2, 2)]).fit(np.eye(2), np.arange(2), optimizer=pn.optim.adam)
