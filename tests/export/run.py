"""Models in onnxruntime, beside what portnn says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime

from portnn import tree

onnxruntime.set_default_logger_severity(4)  # what it thinks of a model is not the tests' affair

_TYPES = {"tensor(float)": "float32", "tensor(double)": "float64"}


class Runtime:
    """A model in onnxruntime, on the processor."""

    def __init__(self, model: onnx.ModelProto) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        data, providers = model.SerializeToString(), ["CPUExecutionProvider"]
        self.session = onnxruntime.InferenceSession(data, options, providers=providers)
        self.inputs = {i.name: _TYPES.get(i.type, i.type[7:-1]) for i in self.session.get_inputs()}

    def __call__(self, *arrays: Any) -> list[Any]:
        return self.session.run(None, dict(zip(self.inputs, arrays, strict=True)))


def samples(shapes: dict[str, tuple[int, ...]], dtypes: dict[str, str], n: int) -> list[Any]:
    """A batch of made-up samples for each input."""
    rng, made = np.random.default_rng(n), []
    for name, shape in shapes.items():
        dtype = dtypes[name]
        if dtype == "bool":
            made.append(rng.random((n, *shape)) < 0.6)
        elif dtype.startswith("float"):
            made.append(rng.normal(size=(n, *shape)).astype(dtype))
        else:
            made.append(rng.integers(0, 6, size=(n, *shape)).astype(dtype))
    return made


def further(shapes: Any, more: Any) -> dict[str, Any]:
    """The inputs after the first by their names."""
    return dict(zip([*shapes][1:], more, strict=True)) if more else {}


def compare(found: list[Any], expected: Any, tolerance: float = 1e-5) -> None:
    """The same shapes and dtypes, and values within the tolerance, of the largest if that is above 1."""
    arrays = [np.asarray(a) for a in tree.leaves(expected)]
    assert [(a.shape, a.dtype) for a in found] == [(a.shape, a.dtype) for a in arrays]
    for a, e in zip(found, arrays, strict=True):
        a, e = np.asarray(a, dtype="float64"), np.asarray(e, dtype="float64")
        scale = max(1.0, float(np.max(np.abs(e), initial=0.0, where=np.isfinite(e))))
        np.testing.assert_allclose(a, e, rtol=tolerance, atol=tolerance * scale)


def agree(model: onnx.ModelProto, f: Callable[..., Any], shapes: Any, tolerance: float = 1e-5) -> None:
    """A model and a function agree for batches of one sample and of seven."""
    runtime = Runtime(model)
    named = shapes if isinstance(shapes, dict) else {"x": shapes}
    for n in (1, 7):
        arrays = samples(named, runtime.inputs, n)
        compare(runtime(*arrays), f(*arrays), tolerance)


def raw(net: Any, x: Any) -> Any:
    """The output of a network's last layer."""
    return net.layer.apply(net.params, x, state=net.state)[0]
