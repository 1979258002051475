"""Layers side by side and layers that share parameters: state, keys, further inputs, files, and errors."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest

from portnn import Network, nn, tree
from portnn.nn import (
    BatchNorm,
    Concatenate,
    Dropout,
    Layer,
    Linear,
    Parallel,
    Repeat,
    Residual,
    Sequential,
    Shared,
    Sharing,
    Sum,
    describe,
    from_description,
    from_torch,
    to_torch,
)  # fmt: skip
from portnn.random import fold_in, key, stream

X = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
LINEAR = Linear(3, 3)


@dataclass(frozen=True)
class Witness(Layer):
    """Adds a second input and an option, counts its calls, and remembers nothing else."""

    def init_state(self, dtype="float32"):
        return {"calls": np.zeros((), np.int32)}

    def forward(self, params, state, x, memory=None, *, training, key, mask=None):
        x = x if memory is None else x + memory
        return (x if mask is None else x * mask), {"calls": state["calls"] + np.int32(training)}


def places(container):
    """The keys that the members of a container draw from, as dropout shows them."""
    ones = np.ones((2, 64), np.float32)
    params, state = container.init(stream(0)), container.init_state()
    y, _ = container.apply(params, ones, state=state, training=True, key=key(3))
    return [np.asarray(part) != 0.0 for part in (y if isinstance(y, tuple) else (y,))]


def dropped(own):
    return np.asarray(Dropout(0.5).apply({}, np.ones((2, 64), np.float32), training=True, key=own)) != 0.0


def test_each_member_that_draws_has_a_key_of_its_own():
    k = key(3)
    found = places(Parallel([Dropout(0.5), nn.identity, Dropout(0.5)]))
    assert (found[0] == dropped(fold_in(k, 0))).all()
    assert found[1].all()
    assert (found[2] == dropped(fold_in(k, 2))).all()
    assert (found[0] != found[2]).any()
    [twice] = places(Repeat(Dropout(0.5), 2))
    assert (twice == dropped(fold_in(k, 0)) & dropped(fold_in(k, 1))).all()
    [both] = places(Residual(Dropout(0.5), Dropout(0.5)))
    assert (both == dropped(fold_in(k, 0)) | dropped(fold_in(k, 1))).all()
    assert Sharing(Shared("a", Dropout())).draws
    assert not Sharing(Shared("a", LINEAR)).draws


@pytest.mark.parametrize(
    ("container", "calls"),
    [
        (Residual(Witness()), 1),
        (Residual(Witness(), Witness()), 2),
        (Sum([Witness(), nn.identity]), 1),
        (Concatenate([Witness(), [nn.relu, Witness()]]), 2),
        (Parallel([Witness(), Witness()]), 2),
        (Repeat(Witness(), 3), 3),
        (Sharing([Shared("a", Witness()), Shared("a", Witness())]), 2),
    ],
    ids=str,
)
def test_state_further_inputs_and_options_are_handed_through(container, calls):
    params, state = container.init(stream(0)), container.init_state()
    y, after = container.apply(params, X, state=state, training=True)
    assert tree.structure(after) == tree.structure(state)
    assert sum(int(leaf) for leaf in tree.leaves(after)) == calls
    assert all(int(leaf) == 0 for leaf in tree.leaves(state))
    zeros = container.apply(params, X, np.ones_like(X), mask=np.float32(0.0))
    assert tree.structure(zeros) == tree.structure(y)
    with pytest.raises(TypeError, match="unexpected option 'other'"):
        container.apply(params, X, other=1)
    with pytest.raises(TypeError, match="takes at most 1 further input besides x, got 2"):
        container.apply(params, X, X, X)


def test_several_inputs():
    params = ({"weight": np.eye(3), "bias": np.ones(3)}, {})
    both = Parallel([LINEAR, nn.tanh], paired=True)
    for found in (both.apply(params, X, 2 * X), both.apply(params, (X, 2 * X))):
        np.testing.assert_allclose(found[0], X + 1.0, rtol=1e-6)
        np.testing.assert_allclose(found[1], np.tanh(2 * X), rtol=1e-6)
    chain = Sequential(
        [Parallel([nn.identity, nn.tanh], paired=True), Concatenate([nn.relu] * 2, paired=True)]
    )
    found = chain.apply((({}, {}), ({}, {})), X, -X)
    np.testing.assert_allclose(
        found, np.concatenate([np.maximum(X, 0), np.tanh(np.maximum(-X, 0))], 1), rtol=1e-6
    )
    assert Sum([nn.identity] * 2, paired=True).apply(({}, {}), X, -X).any() == np.False_


def test_shared_parameters_are_there_once_and_their_gradients_add_up():
    twins = Sharing(Sequential([Shared("t", LINEAR), nn.tanh, Linear(3, 3), Shared("t", LINEAR)]))
    params = twins.init(stream(0))
    assert [name for name, _ in tree.items(params)] == [
        "shared.t.weight", "shared.t.bias", "layer.2.weight", "layer.2.bias",
    ]  # fmt: skip
    t, rest = params["shared"]["t"], params["layer"][2]
    expected = np.tanh(X @ t["weight"] + t["bias"]) @ rest["weight"] + rest["bias"]
    expected = expected @ t["weight"] + t["bias"]
    np.testing.assert_allclose(twins.apply(params, X), expected, rtol=1e-4, atol=1e-5)


def test_each_place_keeps_its_own_running_state():
    model = Sharing([Shared("n", BatchNorm(3)), nn.tanh, Shared("n", BatchNorm(3))])
    _, after = model.apply(model.init(stream(0)), X + 5.0, state=model.init_state(), training=True)
    assert abs(after[0]["mean"] - 0.5).max() < 0.2
    assert abs(after[2]["mean"]).max() < 0.1
    repeated = Repeat(BatchNorm(3), 2)
    _, after = repeated.apply(repeated.init(stream(0)), X, state=repeated.init_state(), training=True)
    assert int(after["layer"]["count"]) == 2


CONTAINERS = {
    "residual": Residual([LINEAR, nn.relu], BatchNorm(3)),
    "plain residual": Residual(LINEAR),
    "sum": Sum([LINEAR, nn.tanh]),
    "concatenate": Concatenate([LINEAR, BatchNorm(3)], axis=-1),
    "repeat": Repeat([LINEAR, BatchNorm(3)], 2),
    "sharing": Sharing([Shared("t", [LINEAR, nn.tanh]), LINEAR, Shared("t", [LINEAR, nn.tanh], True)]),
}


@pytest.mark.parametrize("layer", CONTAINERS.values(), ids=CONTAINERS.keys())
def test_containers_survive_files_and_torchs_names(layer, tmp_path):
    assert from_description(json.loads(json.dumps(describe(layer)))) == layer
    labels = np.arange(4) % 3
    net = Network([layer, nn.relu], seed=1)
    net.fit(X, labels, epochs=2, batch_size=2, progress=False)
    net.save(tmp_path / "net.safetensors")
    again = Network.load(tmp_path / "net.safetensors")
    assert (again.predict_proba(X) == net.predict_proba(X)).all()
    assert "2 layers" in net.summary() or type(layer).__name__ in net.summary()
    theirs = to_torch(net.layer, net.params, net.state)
    params, state = from_torch(net.layer, theirs)
    for a, b in zip(tree.leaves((params, state)), tree.leaves((net.params, net.state)), strict=True):
        np.testing.assert_array_equal(a, b, strict=True)


@pytest.mark.parametrize("layer", CONTAINERS.values(), ids=CONTAINERS.keys())
def test_a_plan_trains_containers_bit_for_bit(layer):
    left = []
    for compile in (False, True):
        net = Network([layer, Dropout(0.5), nn.tanh], seed=1)
        net.fit(X, np.arange(4) % 3, epochs=3, batch_size=2, compile=compile, progress=False)
        left.append([np.ascontiguousarray(a).tobytes() for a in tree.leaves((net.params, net.state))])
    assert left[0] == left[1]


def test_names_for_torch():
    layer = Sequential([Residual(LINEAR, BatchNorm(3)), Sum([nn.relu, LINEAR]), Repeat(LINEAR, 2)])
    names = list(to_torch(layer, layer.init(stream(0))))
    assert names[:2] == ["0.layer.weight", "0.layer.bias"]
    assert names[2:7] == [
        f"0.shortcut.{n}" for n in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    ]
    assert names[7:] == ["1.1.weight", "1.1.bias", "2.layer.weight", "2.layer.bias"]
    shared = Sharing([Shared("t", LINEAR), Linear(3, 1, bias=False)])
    assert list(to_torch(shared, shared.init(stream(0)))) == [
        "shared.t.weight", "shared.t.bias", "layer.1.weight",
    ]  # fmt: skip
    norm = Sharing([Shared("t", BatchNorm(3))])
    with pytest.raises(TypeError, match="PyTorch shares the running state too"):
        to_torch(norm, norm.init(stream(0)))


REFUSED = {
    "residual": (lambda: Residual("relu"), TypeError, "expected a layer or an activation function"),
    "shapes": (lambda: Residual(Linear(3, 2)).apply({"layer": Linear(3, 2).init(stream(0))}, X), ValueError,
               r"output has shape \(4, 2\), the shortcut's \(4, 3\); give a shortcut"),
    "no list": (lambda: Parallel(LINEAR), TypeError, r"Parallel: .* got Linear; write \[layer, ...\]"),
    "empty": (lambda: Sum([]), ValueError, "Sum: expected at least one layer"),
    "axis": (lambda: Concatenate([LINEAR], axis=1.0), TypeError, "axis must be an integer, got float"),
    "inputs": (lambda: Parallel([nn.relu] * 3, paired=True).apply(({},) * 3, X, X), ValueError,
               "an input for each of 3 layers, got 2"),
    "more inputs": (lambda: Parallel([nn.relu] * 2, paired=True).apply(({},) * 2, X, X, X), TypeError,
                    "Parallel: takes at most 1 further input besides x, got 2"),
    "times": (lambda: Repeat(LINEAR, 0), ValueError, "Repeat: times must be at least 1, got 0"),
    "name": (lambda: Shared(LINEAR, "name"), TypeError, "expected a name and a layer, got Linear"),
    "dots": (lambda: Shared("a.b", LINEAR), ValueError, "name without dots, got 'a.b'"),
    "alone": (lambda: Shared("a", LINEAR).apply({}, X), ValueError, r"'a' has no parameters .* portnn.Sh"),
    "nobody": (lambda: Sharing([LINEAR]), ValueError, "a layer inside that is Shared"),
    "differ": (lambda: Sharing([Shared("a", LINEAR), Shared("a", Linear(3, 4))]), ValueError, "'a' differ"),
    "transposed": (lambda: Sharing(Shared("a", LINEAR, True)), ValueError, "places of 'a' are transposed"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "text"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(call, kind, text):
    with pytest.raises(kind, match=text) as caught:
        call()
    assert len(str(caught.value)) < 300
