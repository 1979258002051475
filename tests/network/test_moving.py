"""Networks on the way to another backend."""

from __future__ import annotations

import numpy as np
import pytest

from portnn import optim
from tests.network.small import LABELS, X, bits, classifier, same


def test_to_moves_all(backend):
    net = classifier(seed=4)
    net.partial_fit(X, LABELS, optimizer=optim.adam(0.01))
    other = classifier(seed=4).partial_fit(X, LABELS, optimizer=optim.adam(0.01))
    expected = bits(net)
    assert net.to(backend.backend) is net
    assert same(bits(net), expected)
    assert backend.backend.owns(net.params[0]["weight"])
    net.partial_fit(X, LABELS)  # the optimiser's state came along
    other.partial_fit(X, LABELS)
    for a, b in zip(bits(net), bits(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-6)


def test_a_move_that_fails_changes_nothing():
    for optimizer in (optim.adam(0.1), optim.sgd(0.1)):
        net = classifier(dtype="float64", backend="array_api_strict")
        net.partial_fit(X, LABELS, optimizer=optimizer)
        before, state = bits(net), net.net_state
        with pytest.raises(ValueError, match="has no dtype 'float64'"):
            net.to("array_api_strict:no_float64")
        assert same(bits(net), before)
        assert net.net_state is state
        net.partial_fit(X, LABELS)
