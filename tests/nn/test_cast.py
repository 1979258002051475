"""Mixed precision: half precision inside, float32 outside, and a loss that is scaled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from portnn import Network, jit, losses, nn, ops, optim, tree, value_and_grad
from portnn.random import stream
from tests.compile.test_jit_table import assert_same_bits

RNG = np.random.default_rng(0)
X = RNG.normal(size=(48, 6)).astype(np.float32)
LABELS = np.argmax(X[:, :3], axis=1)
# NumPy says that it happens; the other libraries are silent.
OVERFLOWS = pytest.mark.filterwarnings(
    "ignore:overflow encountered:RuntimeWarning", "ignore:invalid value:RuntimeWarning"
)
HALVES = ("float16", "bfloat16")


def network(backend="cpu", dtype="float16"):
    inside = nn.Cast([nn.Linear(6, 16), nn.tanh, nn.Linear(16, 16), nn.tanh], dtype)
    return Network([inside, nn.Linear(16, 3)], backend=backend, seed=1)


def halves(backend):
    found = [name for name in HALVES if hasattr(backend.xp, name)]
    if not found:
        pytest.skip("the library has no half precision")
    return found


def test_training_in_half_precision(backend):
    for dtype in halves(backend):
        net = network(backend.backend, dtype)
        optimizer = optim.dynamic_loss_scale(optim.adam(0.02), initial=2.0**10)
        history = net.fit(X, LABELS, epochs=15, batch_size=16, optimizer=optimizer)
        assert history["loss"][-1] < 0.5 * history["loss"][0]
        assert net.score(X, LABELS) > 0.85
        assert all(p.dtype == backend.xp.float32 for p in tree.leaves(net.params))
        exact = Network([net.layer.layers[0].layer, net.layer.layers[1]], backend=backend.backend)
        exact.params = net.params
        difference = np.abs(exact.predict_proba(X) - net.predict_proba(X)).max()
        assert 0.0 < difference < 0.02


def test_a_library_without_it_says_so():
    with pytest.raises(ValueError, match="dtype='bfloat16' is not known to"):
        network("cpu", "bfloat16").fit(X, LABELS)


@pytest.mark.parametrize("optimizer", [optim.adam(0.02), optim.dynamic_loss_scale(optim.adam(0.02))])
def test_a_plan_is_the_eager_training(optimizer):
    nets = [network() for _ in range(2)]
    courses = [
        dict(net.fit(X, LABELS, epochs=3, batch_size=20, optimizer=optimizer, compile=compile))
        for net, compile in zip(nets, (True, False), strict=True)
    ]
    assert courses[0] == courses[1]
    assert_same_bits(nets[0].params, nets[1].params)


def tiny(scale):
    """The gradient of a loss whose gradients inside are below the smallest number of float16."""
    layer = nn.Cast(nn.Linear(4, 4), "float16")
    params = layer.init(stream(0))
    x = np.full((2, 4), 1e-2, np.float32)

    def objective(p):
        return ops.multiply(ops.sum(ops.multiply(layer.apply(p, x), 1e-8)), scale)

    _, grads = jit(value_and_grad(objective))(params)
    return grads["weight"] / np.float32(scale)


def test_small_gradients_vanish_unless_the_loss_is_scaled():
    assert not tiny(1.0).any()
    np.testing.assert_allclose(tiny(2.0**15), 2e-10, rtol=1e-2)


@OVERFLOWS
def test_a_scale_that_is_too_large_finds_its_way():
    """float16 ends at 65504: the first steps overflow and are left out, until the scale has fallen enough."""
    net, scales = network(), []
    optimizer = optim.dynamic_loss_scale(optim.adam(0.02), initial=2.0**24)
    net.fit(
        X * 8.0, LABELS, epochs=20, batch_size=None, optimizer=optimizer,
        callbacks=[lambda epoch: scales.append(float(optim.loss_scale(epoch.model.optimizer_state)))],
    )  # fmt: skip
    assert scales[0] == 2.0**23
    assert scales[-1] == scales[-4] < 2.0**22
    assert net.score(X * 8.0, LABELS) > 0.6


@dataclass(frozen=True)
class Mean(nn.Layer):
    """Keeps a mean in its state, and takes a further input and an option."""

    def init_state(self, dtype: str = "float32") -> Any:
        return {"mean": np.zeros(2, dtype=dtype)}

    def forward(self, params, state, x, more, *, training, key, mask=None):
        assert x.dtype == more.dtype == np.float16
        assert mask.dtype == np.bool_
        y = ops.where(mask, x + more, 0.0)
        return (y, [y]), {"mean": ops.mean(y, axis=0)}


def test_states_masks_and_further_inputs():
    layer = nn.Cast(Mean(), "float16")
    x = np.ones((3, 2), np.float32)
    (y, [again]), state = layer.apply({}, x, x, mask=x > 0, state=layer.init_state())
    assert {y.dtype, again.dtype, state["mean"].dtype} == {np.dtype("float32")}
    assert state["mean"].tolist() == [2.0, 2.0]


def test_integers_go_in_as_they_are():
    layer = nn.Cast(nn.Embedding(5, 3), "float16")
    params = layer.init(stream(0))
    y = layer.apply(params, np.asarray([[1, 4]]))
    assert (y.dtype, y.shape) == (np.float32, (1, 2, 3))
    np.testing.assert_array_equal(y, layer.layer.apply(params, np.asarray([[1, 4]])).astype(np.float16))


def test_it_is_described_saved_and_summed_up(tmp_path):
    net = network()
    net.save(tmp_path / "net")
    loaded = Network.load(tmp_path / "net")
    assert loaded.layer == net.layer
    np.testing.assert_array_equal(loaded.predict_proba(X), net.predict_proba(X))
    assert "\nCast  " in net.summary()
    assert nn.from_torch(nn.Cast(nn.Linear(2, 1)), {"weight": np.ones((1, 2)), "bias": np.zeros(1)})[0]


def test_what_cannot_be_cast():
    with pytest.raises(ValueError, match="dtype must be one of float16"):
        nn.Cast(nn.relu, "int8")
    with pytest.raises(TypeError, match="expected a layer"):
        nn.Cast("relu")


@OVERFLOWS
def test_values_are_learned_too():
    net = Network([nn.Cast(nn.MLP([6, 16, 1]), "float16")], loss=losses.squared_error)
    target = X[:, :1] - X[:, 1:2]
    net.fit(X, target, epochs=60, optimizer=optim.dynamic_loss_scale(optim.adam(0.02)))
    assert net.score(X, target) > 0.9


def test_shared_parameters_decide_the_dtype_of_what_comes_from_integers():
    layer = nn.Sharing(nn.Cast(nn.Shared("words", nn.Embedding(5, 4)), "float16"))
    assert layer.apply(layer.init(stream(0)), np.asarray([1])).dtype == np.float32
