"""Layers: parameters drawn by seed, pure application, containers, and what they refuse."""

from __future__ import annotations

import hashlib
from dataclasses import FrozenInstanceError, dataclass
from functools import partial

import numpy as np
import pytest

from portnn import nn, ops, tree
from portnn.autodiff import grad
from portnn.nn import MLP, Activation, Flatten, Layer, Linear, PReLU, Rescale, Sequential, relu, tanh
from portnn.random import key, stream
from portnn.testing import check_gradients
from tests.helpers import assert_close

X = np.asarray([[1.0, -2.0, 0.5], [0.25, 3.0, -1.0]], np.float32)
BITS = ["a50307350d96c50c", "fc55a1966c3073ba"]


def fingerprint(params):
    digest = hashlib.sha256()
    for path, leaf in tree.items(params):
        digest.update(f"{path}{leaf.shape}{leaf.dtype}".encode() + leaf.tobytes())
    return digest.hexdigest()[:16]


def test_parameters_are_these_bits_for_a_seed():
    model = Sequential([Linear(5, 4), relu, PReLU(4), Linear(4, 3, bias=False)])
    assert [fingerprint(model.init(stream(0), dtype)) for dtype in ("float32", "float64")] == BITS
    assert fingerprint(model.init(stream(1))) not in BITS


def test_linear(backend):
    layer = Linear(3, 2)
    params = tree.map(backend.asarray, layer.init(stream(0)))
    w, b = (backend.to_numpy(params[name]) for name in ("weight", "bias"))
    y = layer.apply(params, backend.asarray(X))
    assert_close(y, X @ w + b, rtol=1e-5, backend=backend)
    deep = layer.apply(params, backend.asarray(np.stack([X, X])))
    assert_close(deep, np.stack([X @ w + b] * 2), rtol=1e-5, backend=backend)
    assert backend.to_numpy(params["bias"]).tolist() == [0.0, 0.0]
    bare = Linear(3, 2, bias=False)
    assert set(bare.init(stream(0))) == {"weight"}
    y = bare.apply({"weight": params["weight"]}, backend.asarray(X))
    assert_close(y, X @ w, rtol=1e-5, backend=backend)


def test_flatten(backend):
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    assert_close(Flatten().apply({}, backend.asarray(x)), x.reshape(2, 12), rtol=0, backend=backend)
    assert_close(Flatten().apply({}, backend.asarray(x[0])), x[0], rtol=0, backend=backend)
    assert_close(Flatten().apply({}, backend.asarray(x[:, 0, 0])), x[:, 0, :1], rtol=0, backend=backend)


def test_rescale_of_bytes(backend):
    x = np.asarray([[0, 51, 255]], dtype=np.uint8)
    y = Rescale().apply({}, backend.asarray(x))
    assert_close(y, np.asarray([[0.0, 0.2, 1.0]], np.float32), rtol=1e-6, backend=backend)
    y = Rescale(2.0, -1.0).apply({}, backend.asarray(x))
    assert_close(y, np.asarray([[-1.0, 101.0, 509.0]], np.float32), rtol=1e-6, backend=backend)
    floating = Rescale(0.5).apply({}, backend.asarray(X))
    assert_close(floating, X / 2, rtol=1e-6, backend=backend)
    if backend.has_float64:
        y = Rescale(dtype="float64").apply({}, backend.asarray(x))
        assert_close(y, np.asarray([[0.0, 0.2, 1.0]]), rtol=1e-15, backend=backend)


def test_prelu(backend):
    layer = PReLU(3)
    params = tree.map(backend.asarray, layer.init(stream(0)))
    expected = np.where(X > 0, X, 0.25 * X).astype(np.float32)
    assert_close(layer.apply(params, backend.asarray(X)), expected, rtol=1e-6, backend=backend)
    g = grad(lambda p: ops.sum(layer.apply(p, backend.asarray(X))))(params)
    assert_close(g["alpha"], np.minimum(X, 0).sum(axis=0), rtol=1e-6, backend=backend)


def test_sequential_takes_layers_functions_partials_and_lists():
    leaky = partial(nn.leaky_relu, negative_slope=0.1)
    model = Sequential([Linear(3, 4), leaky, [Linear(4, 4), (tanh, Linear(4, 2))], nn.softmax])
    params = model.init(stream(0))
    assert [type(layer) for layer in model.layers] == [Linear, Activation, Sequential, Activation]
    (a, _, (b, (_, c)), _) = params
    h = X @ a["weight"] + a["bias"]
    h = np.where(h > 0, h, 0.1 * h) @ b["weight"] + b["bias"]
    h = np.tanh(h) @ c["weight"] + c["bias"]
    e = np.exp(h - h.max(axis=1, keepdims=True))
    np.testing.assert_allclose(model.apply(params, X), e / e.sum(axis=1, keepdims=True), rtol=1e-5)
    assert model.layers[1] == Activation(nn.leaky_relu, negative_slope=0.1)


def test_mlp_is_linear_layers_with_activations_between():
    assert MLP([3, 5, 2]) == Sequential([Linear(3, 5), relu, Linear(5, 2)])
    assert MLP([3, 2], activation=tanh) == Sequential([Linear(3, 2)])
    model = MLP([3, 4, 4, 2], activation=tanh)
    params = model.init(stream(0), "float64")
    check_gradients(lambda p: model.apply(p, X.astype(np.float64)), (params,), order=2)


def test_application_is_pure():
    model = Sequential([Rescale(), Linear(3, 4), PReLU(4), Linear(4, 2)])
    params, x = model.init(stream(0)), X.copy()
    for leaf in [*tree.leaves(params), x]:
        leaf.flags.writeable = False
    before = fingerprint(params)
    first = model.apply(params, x)
    assert (model.apply(params, x) == first).all()
    assert fingerprint(params) == before
    assert (x == X).all()


@dataclass(frozen=True)
class Noise(Layer):
    """A layer that uses everything a layer may use."""

    size: float = 1.0
    draws = True

    def init_state(self, dtype="float32"):
        return {"calls": np.zeros((), np.int64)}

    def forward(self, params, state, x, *, training, key):
        if not training:
            return x, state
        noise = stream(*key).standard_normal(x.shape).astype(np.float32)
        return x + self.size * noise, {"calls": state["calls"] + 1}


def test_state_training_and_randomness_are_handed_through():
    model = Sequential([Noise(), [Noise(0.5), tanh], Noise()])
    params, state = model.init(stream(0)), model.init_state()
    y, after = model.apply(params, X, state=state)
    assert (y == np.tanh(X)).all()
    assert after == state
    y, after = model.apply(params, X, state=state, training=True, key=key(7, 2, 1))
    assert [int(leaf) for leaf in tree.leaves(after)] == [1, 1, 1]
    assert [int(leaf) for leaf in tree.leaves(state)] == [0, 0, 0]
    keys = [key(7, 2, 1, *path) for path in ((0,), (1, 0), (2,))]
    n = [stream(*k).standard_normal(X.shape).astype(np.float32) for k in keys]
    np.testing.assert_allclose(y, np.tanh(X + n[0] + 0.5 * n[1]) + n[2], rtol=1e-6)
    again, _ = model.apply(params, X, state=state, training=True, key=key(7, 2, 1))
    assert (again == y).all()
    other, _ = model.apply(params, X, state=state, training=True, key=key(7, 2, 2))
    assert (other != y).all()
    assert (model.apply(params, X) == np.tanh(X)).all()  # without state, the initial one


def test_layers_are_values():
    assert Linear(3, 2) == Linear(3, 2) != Linear(3, 2, bias=False)
    assert len({Linear(3, 2), Linear(3, 2), MLP([3, 2]), MLP([3, 2])}) == 2
    assert repr(Activation(nn.elu, alpha=2.0)) == "Activation(elu, alpha=2.0)"
    with pytest.raises(FrozenInstanceError):
        Linear(3, 2).bias = False


@dataclass(frozen=True)
class Alone(Layer):
    """Forgets to return its state."""

    def forward(self, params, state, x, *, training, key):
        return x


@dataclass(frozen=True)
class Masked(Layer):
    """Takes a second input and an option."""

    def forward(self, params, state, x, memory=None, *, training, key, mask=None):
        y = x if memory is None else x + memory
        return (y if mask is None else y * mask), state


@dataclass(frozen=True)
class Open(Layer):
    """Takes whatever comes, and says what it was."""

    def forward(self, params, state, x, *more, training, key, **options):
        return x + len(more) + len(options), state


def test_further_inputs_and_options_reach_the_layers_that_take_them():
    model = Sequential([Linear(3, 3, bias=False), Masked(), [tanh, Masked()]])
    params = ({"weight": np.eye(3, dtype=np.float32)}, {}, ({}, {}))
    memory, mask = np.ones_like(X), np.asarray([1.0, 0.0, 1.0], np.float32)
    want = (np.tanh((X + memory) * mask) + memory) * mask
    np.testing.assert_allclose(model.apply(params, X, memory, mask=mask), want, rtol=1e-6)
    np.testing.assert_allclose(model.apply(params, X, mask=mask), np.tanh(X * mask) * mask, rtol=1e-6)
    assert (Sequential([Open(), tanh]).apply(({}, {}), 0 * X, X, X, odd=1) == np.tanh(0 * X + 3)).all()


EMPTY = np.zeros((2, 3), np.float32)
REFUSED = {
    "size 0": (lambda: Linear(0, 2), ValueError, "Linear: in_features must be at least 1, got 0"),
    "size float": (lambda: Linear(3, 2.0), TypeError, "out_features must be an integer, got float"),
    "size bool": (lambda: PReLU(True), TypeError, "PReLU: features must be an integer, got bool"),
    "input": (lambda: Linear(4, 2).apply({}, EMPTY), ValueError, r"Linear: .* \(..., 4\), got \(2, 3\)$"),
    "image": (lambda: Linear(4, 2).apply({}, np.zeros((1, 2, 2))), ValueError, r"put portnn.Flatten\(\) in"),
    "bytes": (lambda: Linear(3, 2).apply({}, EMPTY.astype(np.uint8)), TypeError, "put portnn.Rescale"),
    "0-d": (lambda: Flatten().apply({}, np.asarray(1.0)), ValueError, "Flatten: .* batch axis"),
    "scale": (lambda: Rescale(float("nan")), ValueError, "Rescale: scale and offset must be finite, got nan"),
    "dtype": (lambda: Rescale(dtype="int8"), ValueError, "Rescale: dtype must be 'float32' or .* got 'int8'"),
    "class": (lambda: Sequential([Linear]), TypeError, r"got the class Linear; write Linear\(...\)"),
    "text": (lambda: Sequential(["relu"]), TypeError, "an activation function such as portnn.relu, got str"),
    "layer": (lambda: Sequential(Linear(1, 1)), TypeError, r"layers, got Linear; write \[layer, ...\]"),
    "nothing": (lambda: Sequential([]), ValueError, "at least one layer"),
    "inner nothing": (lambda: Sequential([[]]), ValueError, "at least one layer"),
    "pair": (lambda: Alone().apply({}, EMPTY), TypeError, r"Alone.forward must return .*state\), got nd"),
    "inner pair": (lambda: Sequential([Alone()]).apply(({},), EMPTY), TypeError, "Alone.forward must return"),
    "further": (lambda: Flatten().apply({}, EMPTY, EMPTY), TypeError, "Flatten: takes no further .* 1"),
    "two further": (lambda: Masked().apply({}, EMPTY, EMPTY, EMPTY), TypeError, "takes at most 1 .* got 2"),
    "inner further": (lambda: Sequential([tanh]).apply(({},), EMPTY, EMPTY), TypeError, "Sequential: takes"),
    "option": (lambda: Flatten().apply({}, EMPTY, mask=1), TypeError, "Flatten: .* 'mask'; it has none"),
    "inner option": (lambda: Sequential([Masked()]).apply(({},), EMPTY, msk=1), TypeError,
                     "Sequential: unexpected option 'msk'; its options are mask, memory"),
    "widths": (lambda: MLP([3]), ValueError, r"MLP: .* got \[3\]"),
    "function": (lambda: Activation("relu"), TypeError, "Activation: expected a function .* got str"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "text"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(call, kind, text):
    with pytest.raises(kind, match=text) as caught:
        call()
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("layer", "shape"),
    [(Linear(3, 2), (2, 3)), (Linear(3, 2, bias=False), (2, 3)), (nn.Conv1d(6, 2, 2), (1, 6, 3)),
     (nn.Conv1d(4, 2, 2, groups=2), (1, 4, 3)), (nn.ConvTranspose1d(2, 2, 2), (1, 2, 3))],
)  # fmt: skip
def test_inputs_of_less_precision_are_promoted(backend, layer, shape):
    """Pixels rescaled to float32 in a network of float64."""
    if not backend.has_float64:
        pytest.skip("needs float64")
    host = layer.init(stream(0), "float64")
    params, x = tree.map(backend.asarray, host), np.linspace(-1.0, 1.0, 18)[: np.prod(shape)].reshape(shape)
    x = backend.asarray(x, "float32")
    assert layer.apply(params, x).dtype == backend.xp.float64
    by_params, by_x = grad(lambda p, x: ops.sum(layer.apply(p, x)), argnums=(0, 1))(params, x)
    assert all(leaf.dtype == backend.xp.float64 for leaf in tree.leaves(by_params))
    assert by_x.dtype == backend.xp.float32
