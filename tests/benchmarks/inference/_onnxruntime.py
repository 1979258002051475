"""onnxruntime on a model that is built node by node."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.benchmarks.contenders import Task, UnavailableError
from tests.benchmarks.inference._base import Predictor

OPSET, IR_VERSION = 17, 8


def build(weights: list[tuple[np.ndarray, np.ndarray]]) -> bytes:
    """An ONNX model: Gemm, Relu, ..., Gemm, Softmax."""
    from onnx import TensorProto, checker, helper, numpy_helper

    nodes, tensors, name = [], [], "x"
    for i, (w, b) in enumerate(weights):
        tensors += [numpy_helper.from_array(w, f"w{i}"), numpy_helper.from_array(b, f"b{i}")]
        nodes.append(helper.make_node("Gemm", [name, f"w{i}", f"b{i}"], [f"z{i}"]))
        last = i + 1 == len(weights)
        name = "p" if last else f"a{i}"
        nodes.append(helper.make_node("Softmax" if last else "Relu", [f"z{i}"], [name]))

    def described(name: str, width: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width])

    ends = [described("x", weights[0][0].shape[0])], [described("p", weights[-1][0].shape[1])]
    graph = helper.make_graph(nodes, "digits", *ends, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    checker.check_model(model)
    return model.SerializeToString()


class OnnxPredictor(Predictor):
    """A session with its optimisations as they come."""

    slug = "onnxruntime"
    title = "onnxruntime"
    packages = ("onnxruntime", "onnx")
    devices = ("cpu", "gpu")

    def use_threads(self, threads: int | None) -> None:
        self.threads = threads

    def load(self, task: Task) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads or 0
        provider = "CPUExecutionProvider" if self.device == "cpu" else "CUDAExecutionProvider"
        if provider not in onnxruntime.get_available_providers():
            raise UnavailableError(f"onnxruntime with {provider}")
        self.session = onnxruntime.InferenceSession(build(task.weights), options, providers=[provider])

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.session.run(None, {"x": x})[0]
