"""Common mistakes with a network raise or warn in a way that leads to the fix."""

from __future__ import annotations

import re

import numpy as np
import pytest

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
