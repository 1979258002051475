"""Random deep networks, and how far portnn and onnxruntime are from the same network in float64.

``python -m tests.export.random_networks 1000`` prints figures.
"""

from __future__ import annotations

import sys
from math import prod
from typing import Any

import numpy as np
import onnx

import portnn as pn
from portnn import nn, tree
from portnn.export import export_onnx
from tests.export.run import Runtime, raw

ULP = 2.0**-24  # half the distance of neighbours in float32, relative
ACTIVATIONS = [
    nn.relu, nn.tanh, nn.sigmoid, nn.silu, nn.elu, nn.selu, nn.celu, nn.softplus, nn.mish, nn.softsign,
    nn.leaky_relu, nn.hard_swish, nn.hard_sigmoid, nn.log_sigmoid, nn.gelu,
    nn.Activation(nn.gelu, approximate=True), nn.Activation(nn.softmax, axis=-1),
    nn.Activation(nn.log_softmax, axis=-1),
]  # fmt: skip
UNITS: list[Any] = [nn.GRU, nn.LSTM, nn.RNN]

Shape = tuple[int, ...]


def _of_vectors(r: np.random.Generator, shape: Shape, f: Any) -> list[tuple[Any, Shape]]:
    (d,) = shape
    out = int(r.integers(4, 24))
    return [
        *[(nn.Linear(d, out), (out,))] * 3,
        (nn.LayerNorm(d), shape),
        (nn.BatchNorm(d), shape),
        (nn.RMSNorm(d), shape),
        (nn.Residual([nn.Linear(d, d), f]), shape),
        (nn.Concatenate([nn.Linear(d, 4), nn.tanh]), (d + 4,)),
    ]


def _of_sequences(r: np.random.Generator, shape: Shape, f: Any) -> list[tuple[Any, Shape]]:
    time, d = shape
    out, both, last = int(r.integers(3, 10)), bool(r.integers(2)), r.integers(4) == 0
    unit = UNITS[r.integers(3)](
        d, out, bidirectional=both, num_layers=int(r.integers(1, 3)), returns="last" if last else "sequence"
    )
    width = out * (1 + both)
    found = [
        *[(unit, (width,) if last else (time, width))] * 4,
        (nn.Linear(d, out), (time, out)),
        (nn.LayerNorm(d), shape),
        (nn.RMSNorm(d), shape),
        (nn.BatchNorm(time), shape),
        (nn.Flatten(), (time * d,)),
        (nn.Residual([nn.Linear(d, d), f]), shape),
        (nn.ConvTranspose1d(time, out, 2, stride=2), (out, 2 * d)),
    ]
    if d > 2:
        found += [
            (nn.Conv1d(time, out, 3, padding="same"), (out, d)), (nn.AvgPool1d(2), (time, d // 2)),
            (nn.MaxPool1d(2), (time, d // 2)),
        ]  # fmt: skip
    if d % 2 == 0:
        found += [
            (nn.MultiHeadAttention(d, 2), shape), (nn.TransformerEncoderLayer(d, 2, 16), shape),
            (nn.SinusoidalPositions(d), shape),
        ]  # fmt: skip
    return found


def _of_images(r: np.random.Generator, shape: Shape, f: Any) -> list[tuple[Any, Shape]]:
    c, h, w = shape
    out, mode = int(r.integers(2, 10)), ("nearest", "bilinear")[r.integers(2)]
    found: list[tuple[Any, Shape]] = [
        *[(nn.Conv2d(c, out, 3, padding="same"), (out, h, w))] * 3,
        (nn.ConvTranspose2d(c, out, 2, stride=2), (out, 2 * h, 2 * w)),
        (nn.BatchNorm(c), shape),
        (nn.GroupNorm(1 if c % 2 else 2, c), shape),
        (nn.Upsample(2, mode), (c, 2 * h, 2 * w)),
        (nn.Residual([nn.Conv2d(c, c, 3, padding="same"), f]), shape),
        (nn.Flatten(), (c * h * w,)),
        (nn.Reshape((c, h * w)), (c, h * w)),
    ]
    if min(h, w) > 2:
        found += [
            (nn.Conv2d(c, out, (3, 2)), (out, h - 2, w - 1)), (nn.InstanceNorm(c), shape),
            (nn.MaxPool2d(2), (c, h // 2, w // 2)), (nn.AvgPool2d(2), (c, h // 2, w // 2)),
        ]  # fmt: skip
    return found


_NEXT = {1: _of_vectors, 2: _of_sequences, 3: _of_images}


class RandomNetwork:
    """A network of 4 to 14 layers, the same in float64, and batches for it."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        r = np.random.default_rng(seed)
        a, b, c = (int(n) for n in r.integers(3, 9, size=3))
        self.symbols = r.integers(4) == 0
        self.shape: Shape = (a,) if self.symbols else [(a,), (a, 2 * b), (a // 2, b, c)][r.integers(3)]
        layers: list[Any] = [nn.Embedding(11, 8)] if self.symbols else []
        now = (*self.shape, 8) if self.symbols else self.shape
        for _ in range(int(r.integers(4, 15))):
            f = ACTIVATIONS[r.integers(len(ACTIVATIONS))]
            choices = _NEXT[len(now)](r, now, f)
            layer, after = (f, now) if r.random() < 0.3 else choices[r.integers(len(choices))]
            if prod(after) <= 1500:
                layers.append(layer)
                now = after
        self.net, self.exact = (pn.Network(layers, seed=seed, dtype=d) for d in ("float32", "float64"))
        params = tree.map(lambda p: _moved(r, p) if p.ndim == 1 else p, self.net.params)
        state = tree.map(lambda s: abs(_moved(r, s)), self.net.state)
        self.net.load_params(params, state)
        self.exact.load_params(*(tree.map(_wide, t) for t in (params, state)))

    def batch(self, n: int) -> Any:
        """Samples that are the same in both dtypes."""
        r = np.random.default_rng([self.seed, n])
        if self.symbols:
            return r.integers(0, 11, size=(n, *self.shape))
        return r.normal(size=(n, *self.shape)).astype("float32")

    def truth(self, x: Any) -> Any:
        """The output in float64."""
        return raw(self.exact, _wide(x))

    def model(self) -> onnx.ModelProto:
        """As it is exported."""
        return export_onnx(self.net, input_shape=self.shape)

    def noise(self, x: Any, trials: int = 20) -> float:
        """How far the output moves if parameters and what layers give move by a rounding: the farthest."""
        r, truth = np.random.default_rng(0), self.truth(x)

        def moved(a: Any) -> Any:
            return a * (1.0 + r.uniform(-ULP, ULP, size=a.shape)) if a.dtype.kind == "f" else a

        found = []
        for _ in range(trials):
            y = moved(_wide(x))
            parts = zip(self.exact.layer.layers, self.exact.params, self.exact.state, strict=True)
            for layer, params, state in parts:
                y = moved(layer.apply(tree.map(moved, params), y, state=state)[0])
            found.append(distance(y, truth))
        return max(found)


def _moved(r: np.random.Generator, a: Any) -> Any:
    return (a + 0.2 * r.normal(size=a.shape)).astype(a.dtype) if a.dtype.kind == "f" else a


def _wide(a: Any) -> Any:
    return a.astype("float64") if a.dtype.kind == "f" else a


def distance(a: Any, truth: Any) -> float:
    """The largest difference, as a share of the largest number if that is above one."""
    return float(np.abs(a - truth).max() / max(1.0, np.abs(truth).max()))


def doubled(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph in float64."""
    copy, f32 = onnx.ModelProto.FromString(model.SerializeToString()), onnx.TensorProto.FLOAT
    for tensor in copy.graph.initializer:
        if tensor.data_type == f32:
            wide = onnx.numpy_helper.to_array(tensor).astype("float64")
            tensor.CopyFrom(onnx.numpy_helper.from_array(wide, tensor.name))
    for value in [*copy.graph.input, *copy.graph.output]:
        if value.type.tensor_type.elem_type == f32:
            value.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    for node in copy.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.i == f32:
                attribute.i = onnx.TensorProto.DOUBLE
    return copy


def main(count: int) -> None:
    """Print how many networks differ, and of those that do how far each is from float64."""
    apart, ours, theirs = [], [], []
    for seed in range(count):
        network = RandomNetwork(seed)
        run = Runtime(network.model())
        for n in (1, 7):
            x = network.batch(n)
            truth, mine, (other,) = network.truth(x), raw(network.net, x), run(x)
            apart.append(distance(mine, other))
            ours.append(distance(mine, truth))
            theirs.append(distance(other, truth))
            if apart[-1] > 1e-5:
                print(
                    f"network {seed}, {n} samples: apart {apart[-1]:.1e}; portnn {ours[-1]:.1e}, "
                    f"onnxruntime {theirs[-1]:.1e} from float64; roundings move it by {network.noise(x):.1e}",
                    flush=True,
                )
    far = {i // 2 for i, d in enumerate(apart) if d > 1e-5}
    print(f"{count} networks, {len(far)} of them more than 1e-5 apart")
    for name, found in (("apart", apart), ("portnn from float64", ours), ("onnxruntime", theirs)):
        print(f"{name}: median {np.median(found):.1e}, 99 of 100 {np.quantile(found, 0.99):.1e}, "
              f"largest {max(found):.1e}")  # fmt: skip


def functions() -> None:
    """Print how far a function is from float64: of its value, where that is small, and of one."""
    for f, x in ((nn.gelu, -4.0), (nn.sigmoid, -16.0), (nn.elu, -1e-3)):
        near = (x * np.linspace(0.99, 1.01, 1001)[:, None]).astype("float32")
        net, exact = pn.Network([f]), raw(pn.Network([f], dtype="float64"), near.astype("float64"))
        for name, y in (
            ("portnn", raw(net, near)),
            ("onnxruntime", Runtime(export_onnx(net, input_shape=(1,)))(near)[0]),
        ):
            apart = np.abs(y - exact)
            print(f"{f.__name__} near {x}: {name} {(apart / abs(exact)).max():.1e} of the value, "
                  f"{apart.max():.1e} of one")  # fmt: skip


if __name__ == "__main__":
    functions()
    main(int(sys.argv[1]))
