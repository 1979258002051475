"""Options of fit: weights of classes, samples held out, batches in parts, averages, a scaled loss."""

from __future__ import annotations

import copy
from functools import partial

import numpy as np
import pytest

from portnn import Network, losses, optim, tree
from portnn.network._inputs import weigh_classes
from portnn.nn import Dropout, Linear, tanh
from portnn.train import Dataset
from tests.compile.test_jit_table import assert_same_bits

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4)).astype(np.float32)
LABELS = np.argmax(X[:, :3] + [1.0, 0.0, 0.0], axis=1)
WEIGHTS = RNG.uniform(0.0, 2.0, 40).astype(np.float32)
COUNTS = np.bincount(LABELS)
BALANCED = (40 / (3 * COUNTS[LABELS])).astype(np.float32)


def network(**options):
    return Network([Linear(4, 6), tanh, Linear(6, 3)], **options)


def leaves(net):
    return [net.backend.to_numpy(p) for p in tree.leaves(net.params)]


def trained(**options):
    net = network()
    history = net.fit(X, LABELS, **{"epochs": 3, "batch_size": 16, **options})
    return net, history


def assert_close(a, b, rtol=1e-5):
    for p, q in zip(leaves(a), leaves(b), strict=True):
        np.testing.assert_allclose(p, q, rtol=rtol, atol=1e-6)


def test_class_weights_are_sample_weights():
    expected = trained(sample_weight=np.asarray([1.0, 3.0, 0.5], np.float32)[LABELS])
    found = trained(class_weight={1: 3.0, np.int64(2): 0.5})
    assert_same_bits(found[0].params, expected[0].params)
    assert dict(found[1]) == dict(expected[1])
    one_hot = network()
    one_hot.fit(X, np.eye(3, dtype=np.float32)[LABELS], epochs=3, batch_size=16, class_weight={1: 3, 2: 0.5})
    assert_close(one_hot, expected[0])


def test_class_weights_multiply_sample_weights():
    by_hand = np.asarray([1.0, 3.0, 1.0], np.float32)[LABELS] * WEIGHTS
    assert_same_bits(
        trained(class_weight={1: 3.0}, sample_weight=WEIGHTS)[0].params,
        trained(sample_weight=by_hand)[0].params,
    )


def test_balanced_classes_count_alike(backend):
    nets = [network(backend=backend.backend) for _ in range(2)]
    for net, options in zip(nets, ({"class_weight": "balanced"}, {"sample_weight": BALANCED}), strict=True):
        net.fit(X, LABELS, epochs=2, batch_size=16, **options)
    assert_close(*nets)
    for c in range(3):
        assert BALANCED[c == LABELS].sum() == pytest.approx(40 / 3, rel=1e-5)


def test_ignored_labels_balance_nothing():
    ignoring = partial(losses.softmax_cross_entropy, ignore_index=-1)
    nets = [Network([Linear(4, 3)], loss=ignoring) for _ in range(2)]
    some = np.where(np.arange(40) < 10, -1, LABELS)
    weight = np.where(some < 0, 0.0, 30 / (3 * np.bincount(LABELS[10:])[LABELS]))
    nets[0].fit(X, some, epochs=2, class_weight="balanced")
    nets[1].fit(X, some, epochs=2, sample_weight=weight)
    assert_close(*nets)
    labels, x = np.asarray([-1, -1, 0, 0, 0, 1]), X[:6]
    data = weigh_classes(Dataset(x, labels, None, nets[0].backend), "balanced", 3, ignoring, "float32")
    np.testing.assert_allclose(data.weight[2:], [2 / 3, 2 / 3, 2 / 3, 2.0], rtol=1e-6)


def test_yes_and_no_are_classes():
    nets = [Network([Linear(4, 1)], loss=losses.sigmoid_cross_entropy) for _ in range(2)]
    yes = (LABELS == 0).astype(np.float32)
    nets[0].fit(X, yes, epochs=2, class_weight={0: 2.0, 1: 0.5})
    nets[1].fit(X, yes, epochs=2, sample_weight=np.where(yes > 0, 0.5, 2.0))
    assert_close(*nets)


def test_the_last_samples_are_held_out():
    split, parts = (
        trained(validation_split=0.25, sample_weight=WEIGHTS),
        network(),
    )
    history = parts.fit(
        X[:30], LABELS[:30], epochs=3, batch_size=16, sample_weight=WEIGHTS[:30],
        validation_data=(X[30:], LABELS[30:], WEIGHTS[30:]),
    )  # fmt: skip
    assert_same_bits(split[0].params, parts.params)
    assert dict(split[1]) == dict(history)
    held = parts.evaluate(X[30:], LABELS[30:], sample_weight=WEIGHTS[30:])
    assert history["val_loss"][-1] == held["loss"]


@pytest.mark.parametrize("weight", [None, WEIGHTS], ids=["", "weighted"])
@pytest.mark.parametrize("compile", [True, False])
def test_a_batch_in_parts_is_the_batch(backend, compile, weight):
    """15 samples in 4 parts of 3 and 4; the last batch has 10."""
    options = {"epochs": 2, "batch_size": 15, "sample_weight": weight, "compile": compile}
    nets = [network(backend=backend.backend) for _ in range(2)]
    whole = nets[0].fit(X, LABELS, optimizer=optim.adam(0.05), **options)
    parts = nets[1].fit(X, LABELS, optimizer=optim.adam(0.05), accumulate=4, **options)
    assert_close(*nets, rtol=2e-4)
    np.testing.assert_allclose(parts["loss"], whole["loss"], rtol=1e-5)
    np.testing.assert_allclose(parts["accuracy"], whole["accuracy"], rtol=1e-6)
    assert nets[0].steps == nets[1].steps == 6


def test_parts_draw_the_same_in_a_plan():
    nets = [Network([Linear(4, 6), tanh, Dropout(0.5), Linear(6, 3)]) for _ in range(2)]
    for net, compile in zip(nets, (True, False), strict=True):
        net.fit(X, LABELS, epochs=2, batch_size=15, accumulate=4, compile=compile)
    assert_same_bits(nets[0].params, nets[1].params)


def test_more_parts_than_samples():
    assert_close(trained(batch_size=3, accumulate=100)[0], trained(batch_size=3)[0], rtol=1e-4)


def test_weights_of_zero_in_a_part_and_in_a_batch():
    weight = np.where(np.arange(40) < 9, 0.0, 1.0).astype(np.float32)
    options = {"sample_weight": weight, "shuffle": False, "batch_size": 8}
    assert_close(trained(accumulate=4, **options)[0], trained(**options)[0], rtol=1e-4)


@pytest.mark.parametrize("compile", [True, False])
def test_the_network_shows_the_averages(backend, compile):
    """Averages are watched, evaluated and left behind; training itself is the same."""
    seen = []
    options = {"epochs": 3, "batch_size": 16, "compile": compile}
    plain, averaged = network(backend=backend.backend), network(backend=backend.backend)
    plain.fit(X, LABELS, optimizer=optim.adam(0.1), **options)
    history = averaged.fit(
        X, LABELS, optimizer=optim.ema(optim.adam(0.1), 0.7), validation_data=(X, LABELS),
        callbacks=[lambda epoch: seen.append(epoch.model.evaluate(X, LABELS)["loss"])], **options,
    )  # fmt: skip
    assert history["val_loss"] == seen
    inside = map(averaged.backend.to_numpy, tree.leaves(averaged.net_state.params))
    for a, b in zip(inside, leaves(plain), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=0 if averaged.backend.name != "jax:cpu" else 1e-5)
    assert averaged.params is optim.ema_params(averaged.optimizer_state)
    assert np.abs(leaves(averaged)[0] - leaves(plain)[0]).max() > 1e-4


def test_single_steps_go_on_from_what_is_averaged():
    """Five steps by hand are five steps of the plain optimiser, although the average is shown in between."""
    plain, averaged = network(), network()
    first, second = optim.adam(0.1), optim.ema(optim.adam(0.1), 0.5)
    for i in range(5):
        plain.partial_fit(X, LABELS, optimizer=first)
        averaged.partial_fit(X, LABELS, optimizer=second)
        if i == 1:
            averaged = copy.deepcopy(averaged.to("array_api_strict").to("cpu"))
            second = averaged.net_state.optimizer
    assert_same_bits(averaged.net_state.params, plain.params)
    assert averaged.params is optim.ema_params(averaged.optimizer_state)


def test_a_scaled_loss_is_reported_and_learned_as_it_is(backend):
    nets = [network(backend=backend.backend) for _ in range(2)]
    for net, optimizer in zip(
        nets, (optim.adam(0.1), optim.dynamic_loss_scale(optim.adam(0.1))), strict=True
    ):
        net.history = net.fit(X, LABELS, epochs=2, batch_size=16, optimizer=optimizer)
    np.testing.assert_allclose(nets[1].history["loss"], nets[0].history["loss"], rtol=1e-5)
    assert_close(*nets, rtol=1e-4)


def test_a_scaled_loss_in_parts():
    scaled = optim.dynamic_loss_scale(optim.adam(0.1))
    assert_close(trained(optimizer=scaled, accumulate=3)[0], trained(optimizer=optim.adam(0.1))[0], rtol=1e-3)


def test_the_history_says_what_was_carried_out():
    assert trained()[1].plan.startswith("NumPy plan of a step on 16 samples, gathered: ")
    assert "step on 8 samples" in trained()[1].plan
    assert trained(compile=False)[1].plan == "eager: compile=False"
    strict = network(backend="array_api_strict")
    plan = strict.fit(X, LABELS, epochs=1).plan
    assert plan == f"eager: there are no plans for {strict.backend.name}"


def test_the_optimisers_state_can_be_set_to_its_like_only():
    net = network()
    assert net.optimizer_state is None
    with pytest.raises(ValueError, match="there is none before the first epoch"):
        net.optimizer_state = ()
    net.fit(X, LABELS, epochs=1)
    with pytest.raises(ValueError, match="the same structure"):
        net.optimizer_state = ()


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"class_weight": "even"}, TypeError, "class_weight must be a dict"),
        ({"class_weight": [1.0, 2.0]}, TypeError, "class_weight must be a dict"),
        ({"class_weight": {3: 1.0}}, ValueError, "has the class 3; classes are 0 to 2"),
        ({"class_weight": {"a": 1.0}}, ValueError, "has the class 'a'; classes are 0 to 2"),
        ({"class_weight": {0: -1.0}}, ValueError, r"class_weight\[0\] must be finite and >= 0"),
        ({"class_weight": {0: "1"}}, TypeError, r"class_weight\[0\] must be a number"),
        ({"class_weight": {0: 0, 1: 0, 2: 0}}, ValueError, "no sample with a weight above zero"),
        ({"validation_split": 1.0}, ValueError, "validation_split must be from 0 to below 1"),
        ({"validation_split": "a"}, TypeError, "validation_split must be a number"),
        ({"validation_split": 0.01}, ValueError, "leaves none to validate"),
        ({"validation_split": 0.5, "validation_data": (X, LABELS)}, ValueError, "give one of them"),
        ({"validation_data": (X,)}, TypeError, r"a pair \(x, y\) or \(x, y, sample_weight\), got 1 values"),
        ({"validation_data": (X, LABELS, WEIGHTS[:3])}, ValueError, "validation_data: sample_weight: "),
        ({"accumulate": 0}, ValueError, "accumulate must be at least 1"),
        ({"accumulate": 2.0}, TypeError, "accumulate must be an integer"),
    ],
)  # fmt: skip
def test_errors_come_before_anything_changes(options, kind, text):
    net = network()
    before = leaves(net)
    with pytest.raises(kind, match=text):
        net.fit(X, LABELS, **options)
    assert net.epochs == 0
    assert_same_bits(leaves(net), before)


def test_values_have_no_classes():
    net = Network([Linear(4, 1)], loss=losses.squared_error)
    with pytest.raises(ValueError, match="class_weight needs one class for each sample"):
        net.fit(X, X[:, :1], class_weight="balanced")


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["alone", "samples too"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_parts_count_by_the_class_weights_of_the_loss(weights, smoothing, backend):
    own = backend.backend.asarray(np.asarray([1.0, 5.0, 0.2], dtype=np.float32))
    loss = partial(losses.softmax_cross_entropy, class_weights=own, label_smoothing=smoothing)
    options = {"epochs": 2, "batch_size": 16, "sample_weight": weights, "progress": False}
    runs = {}
    for accumulate, compile in ((1, True), (5, True), (5, False)):
        net = network(loss=loss, backend=backend.backend)
        history = net.fit(X, LABELS, accumulate=accumulate, compile=compile, **options)
        runs[accumulate, compile] = net, history["loss"]
    assert_close(runs[5, True][0], runs[1, True][0], rtol=1e-4)
    np.testing.assert_allclose(runs[5, True][1], runs[1, True][1], rtol=1e-5)
    assert_close(runs[5, True][0], runs[5, False][0], rtol=0 if backend.name == "numpy" else 1e-4)
