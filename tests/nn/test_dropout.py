"""Dropout: what is dropped, what is left, and who gets a key."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from portnn import nn, ops
from portnn.autodiff import grad
from portnn.compile import jit
from portnn.nn import Dropout, Dropout1d, Dropout2d, Layer, Sequential
from portnn.random import bernoulli, fold_in, key

SHAPES = {Dropout: (40, 50), Dropout1d: (40, 50, 3), Dropout2d: (40, 50, 2, 3)}


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("p", [0.1, 0.5, 0.75])
def test_shares_scale_and_channels(backend, kind, p):
    x = backend.asarray(np.ones(SHAPES[kind]), "float32")
    k = key(1, like=backend.backend)
    y = backend.to_numpy(kind(p).apply({}, x, training=True, key=k))
    left = np.float32(1.0 / (1.0 - p))
    assert set(np.unique(y).tolist()) == {0.0, float(left)}
    channels = y.reshape(2000, -1)
    assert (channels == channels[:, :1]).all()
    assert channels[:, 0].mean() == pytest.approx(1.0, abs=5.0 * (p / (1.0 - p) / 2000) ** 0.5)


@pytest.mark.parametrize("kind", SHAPES)
def test_evaluation_is_the_identity(backend, kind):
    x = backend.asarray(np.ones(SHAPES[kind]), "float32")
    assert kind(0.5).apply({}, x) is x
    assert kind(0.5).apply({}, x, key=key(0)) is x
    assert kind(0.0).apply({}, x, training=True) is x  # which draws nothing
    none = kind(1.0).apply({}, x, training=True, key=key(0, like=backend.backend))
    assert not backend.to_numpy(none).any()


def test_gradients_pass_where_elements_did():
    def f(x):
        return ops.sum(Dropout(0.5).apply({}, x, training=True, key=key(2)))

    assert grad(f)(np.ones((4, 6))).tolist() == (2.0 * bernoulli(key(2), 0.5, (4, 6))).tolist()
    assert jit(grad(f))(np.ones((4, 6))).tolist() == grad(f)(np.ones((4, 6))).tolist()


def test_a_plan_drops_anew_with_each_key():
    layer = Sequential([Dropout(0.5), [Dropout(0.1)]])
    x = np.ones((9, 7), np.float32)
    drop = jit(lambda k: layer.apply(({}, ({},)), x, training=True, key=k))
    for seed in (0, 1, 2):
        assert (drop(key(seed)) == layer.apply(({}, ({},)), x, training=True, key=key(seed))).all()
    assert drop.plans == 1


def test_members_get_keys_of_their_places():
    model = Sequential([nn.tanh, Dropout(0.5), [nn.tanh, nn.tanh, Dropout(0.2)]])
    x, k = np.full((6, 5), 0.5, np.float32), key(9)
    y = model.apply(({}, {}, ({}, {}, {})), x, training=True, key=k)
    first = Dropout(0.5).apply({}, np.tanh(x), training=True, key=fold_in(k, 1))
    second = Dropout(0.2).apply({}, np.tanh(np.tanh(first)), training=True, key=fold_in(fold_in(k, 2), 2))
    assert (y == second).all()
    assert model.draws
    assert not Sequential([nn.tanh, [nn.Linear(2, 2)]]).draws


@dataclass(frozen=True)
class Around(Layer):
    """Holds a layer and says so, but forgets its key."""

    inner: Layer

    @property
    def members(self):
        return (self.inner,)

    def forward(self, params, state, x, *, training, key):
        return self.inner.forward(params, state, x, training=training, key=None)


def test_errors():
    x = np.ones((4, 3), np.float32)
    text = r"Dropout draws random numbers in training and got no key; pass key=portnn.random.key\(0\)"
    for layer in (Dropout(), Around(Dropout())):
        assert layer.draws
        with pytest.raises(TypeError, match=text) as caught:
            layer.apply({}, x, training=True, key=None if layer == Dropout() else key(0))
        assert len(str(caught.value)) < 300
    for p, kind, text in ((1.5, ValueError, "p must be a probability from 0 to 1, got 1.5"),
                          (float("nan"), ValueError, "got nan"),
                          ("half", TypeError, "p must be a number, got str")):  # fmt: skip
        for layer in SHAPES:
            with pytest.raises(kind, match=rf"{layer.__name__}: {text}|{text}"):
                layer(p)
    with pytest.raises(
        ValueError, match=r"Dropout2d: expected an input of shape \(n, channels, height, width\)"
    ):
        Dropout2d().apply({}, x)
    with pytest.raises(TypeError, match="Dropout: expected a real floating-point array"):
        Dropout().apply({}, np.arange(3))


def test_a_key_of_another_library_is_refused():
    torch = pytest.importorskip("torch", reason="PyTorch is optional; tests(torch) has it")
    for x, k in ((torch.ones(3), key(0)), (np.ones(3), torch.tensor([1, 2]))):
        with pytest.raises(TypeError, match="arrays of different libraries"):
            Dropout(0.5).apply({}, x, training=True, key=k)
