"""Networks that are copied, and pickled by others."""

from __future__ import annotations

import pickle
from copy import copy, deepcopy

import numpy as np
import pytest

from portnn import Network, optim, tree
from portnn.nn import BatchNorm, Dropout, Linear, relu

X = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
Y = np.arange(12) % 3


def fitted(backend="cpu", optimizer=None):
    net = Network([Linear(4, 8), BatchNorm(8), relu, Dropout(0.2), Linear(8, 3)], backend=backend, seed=1)
    net.fit(X, Y, epochs=2, batch_size=5, optimizer=optimizer or optim.adam(0.01))
    return net


def same(a, b):
    parts = [tree.leaves((n.params, n.state, n.optimizer_state)) for n in (a, b)]
    pairs = zip(*parts, strict=True)
    return all(np.array_equal(a.backend.to_numpy(x), b.backend.to_numpy(y)) for x, y in pairs)


@pytest.mark.parametrize("duplicate", [copy, deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_a_copy_is_as_good_as_the_network(backend, duplicate):
    net = fitted(backend.backend)
    twin = duplicate(net)
    assert (twin.layer, twin.backend, twin.epochs, twin.steps) == (net.layer, net.backend, 2, 6)
    assert same(net, twin)
    np.testing.assert_array_equal(net.predict_proba(X), twin.predict_proba(X))
    for n in (net, twin):
        n.fit(X, Y, epochs=1, batch_size=5)
    assert same(net, twin)


@pytest.mark.parametrize("optimizer", [optim.adam(0.01), optim.ema(optim.sgd(0.1, momentum=0.9), 0.5)])
def test_steps_go_on_where_they_were(optimizer):
    net = fitted(optimizer=optimizer)
    twins = copy(net), deepcopy(net), deepcopy(net), pickle.loads(pickle.dumps(net))
    net.partial_fit(X, Y)
    again = {"optimizer": optimizer}
    for twin, options in zip(twins, ({}, {}, again, again), strict=True):
        twin.partial_fit(X, Y, **options)
        assert same(net, twin)


def test_a_pickled_network_is_told_its_optimiser():
    twin = pickle.loads(pickle.dumps(fitted()))
    with pytest.raises(ValueError, match="a network that was pickled has no optimizer; pass optimizer="):
        twin.partial_fit(X, Y)
    twin.partial_fit(X, Y, optimizer=optim.sgd(0.1))
    assert tree.leaves(twin.optimizer_state) == []  # another optimiser begins anew


def test_numbers_of_python_in_an_optimizers_state_stay_what_they_are():
    def update(grads, state, params):
        return tree.map(lambda g: -0.1 * g, grads), {"count": state["count"] + 1}

    net = Network([Linear(4, 3)])
    net.fit(X, Y, epochs=2, optimizer=optim.Optimizer(lambda params: {"count": 0}, update), compile=False)
    for twin in (pickle.loads(pickle.dumps(net)), copy(net).to("numpy")):
        assert type(twin.optimizer_state["count"]) is int
