"""What `export_onnx` refuses, and in which words."""

from __future__ import annotations

import builtins
import pickle
from typing import Any

import numpy as np
import pytest

import portnn as pn
from portnn import nn, ops
from portnn.estimators import MLPClassifier
from portnn.export import ExportError, export_onnx
from tests.export.test_networks import small

WRONG = {
    "layer": ((nn.Linear(2, 3), {}), TypeError, "expected a Network, a Program or a function, got Linear"),
    "file": (("net.safetensors", {}), TypeError, r"got str; load the file first: Network.load\(...\)"),
    "estimator": ((MLPClassifier(), {}), TypeError, "export its network_, once it is fitted"),
    "shape": ((small(), {"input_shape": 4}), TypeError, r"must be a tuple, got int; write \(4,\)"),
    "a number": ((small(), {"input_shape": np.int64(4)}), TypeError, r"a tuple, got int64; write \(4,\)"),
    "flag": ((small(), {"input_shape": (True,)}), ValueError, r"a tuple of positive integers, got \(True,\)"),
    "float": ((small(), {"input_shape": (4.0,)}), ValueError, r"a tuple of positive integers, got \(4.0,\)"),
    "batches": ((small(), {"batch_size": np.ones(2)}), ValueError, "batch_size must be a positive integer"),
    "no shape": ((ops.exp, {}), ValueError, "give it: input_shape"),
    "lengths": ((small(), {"input_shape": (0,)}), ValueError, r"a tuple of positive integers, got \(0,\)"),
    "no inputs": ((ops.exp, {"input_shape": {}}), ValueError, "name at least one input"),
    "dtype": ((small(), {"input_dtype": {"z": "int64"}}), ValueError, "names 'z', which is no input"),
    "softmax": ((ops.exp, {"input_shape": (3,), "softmax": True}), TypeError, "softmax=True is for networks"),
    "options": ((ops.exp, {"input_shape": (3,), "options": {"a": 1}}), TypeError, "options are for networks"),
    "batch": ((small(), {"batch_size": 0}), ValueError, "batch_size must be a positive integer, got 0"),
    "unknown dtype": ((small(), {"input_dtype": "float33"}), ValueError, "float33"),
    "bfloat16": ((pn.Network(nn.Cast(nn.relu, "bfloat16")), {"input_shape": (2,)}), ValueError, "bfloat16"),
    "dtype's name": ((small(), {"input_dtype": "f4"}), ValueError, "_onnx: input_dtype: .*no dtype 'f4'"),
    "softmax's type": ((small(), {"softmax": "yes"}), TypeError, "softmax must be True or False, got str"),
    "options' type": ((small(), {"options": "x"}), TypeError, "options must be a dict, got str"),
    "training": ((small(), {"options": {"training": True}}), TypeError, "'training' is no option of a layer"),
    "option 1": ((small(), {"options": {1: True}}), TypeError, "1 is no option of a layer"),
    "metadata": ((small(), {"metadata": {"a": 1}}), TypeError, "metadata must be a dict of texts"),
    "metadata's type": ((small(), {"metadata": "x"}), TypeError, "metadata must be a dict of texts"),
    "path": ((small(), {"path": b"x"}), TypeError, "path must be the name of a file, got bytes"),
    "empty name": ((small(), {"input_shape": {"": (3,)}}), ValueError, "'' cannot be the name of an input"),
    "name of a parameter": (
        (small(), {"input_shape": {"params.0.weight": (3,)}}), ValueError, "cannot be the name of an input",
    ),
    "no name": ((small(), {"input_shape": {1: (3,)}}), ValueError, "1 cannot be the name of an input"),
    "no output": ((lambda x: None, {"input_shape": (3,)}), ExportError, "the function returns no arrays"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments(name: str):
    (source, options), kind, text = WRONG[name]
    with pytest.raises(kind, match=text) as caught:
        export_onnx(source, **options)
    assert len(str(caught.value)) < 300


def test_without_the_package(monkeypatch):
    real = builtins.__import__

    def without(name: str, *args: Any, **options: Any) -> Any:
        if name.partition(".")[0] == "onnx":
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r'ONNX files need the package onnx: pip install "portnn\[onnx\]"'):
        export_onnx(small())


def test_errors_can_be_pickled():
    assert str(pickle.loads(pickle.dumps(ExportError("a")))) == "export_onnx: a"


def test_integers_of_numpy_are_integers():
    net = small()
    plain, numpys = [
        export_onnx(net, input_shape=(n,), batch_size=b) for n, b in ((4, 2), (np.int64(4), np.int32(2)))
    ]
    assert numpys.SerializeToString() == plain.SerializeToString()
