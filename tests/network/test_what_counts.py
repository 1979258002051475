"""What counts in a training: kinds of labels, weights of samples, labels that are ignored."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from portnn import Network, losses, optim
from portnn.nn import Linear
from tests.network.small import LABELS, X, bits, classifier


def test_the_loss_of_an_epoch_weighs_partial_batches_by_their_size():
    net = classifier()
    history = net.fit(X, LABELS, epochs=1, batch_size=50, optimizer=optim.sgd(1e-30))
    assert history["loss"][0] == pytest.approx(net.evaluate(X, LABELS)["loss"], rel=1e-5)
    assert history["accuracy"][0] == net.score(X, LABELS)


def test_one_hot_labels_are_labels():
    nets = [classifier(), classifier()]
    for net, y in zip(nets, (LABELS, np.eye(3)[LABELS]), strict=True):
        net.fit(X, y, epochs=2, batch_size=None)
    for a, b in zip(*map(bits, nets), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    assert nets[0].score(X, LABELS) == nets[0].score(X, np.eye(3)[LABELS].astype(np.uint8))


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int32", "uint32", "int64", "uint64"])
def test_labels_of_any_integer_dtype(dtype):
    for ignore in (None, -100):
        loss = partial(losses.softmax_cross_entropy, ignore_index=ignore)
        net = Network([Linear(4, 300)], loss=loss, backend="array_api_strict")
        history = net.fit(X, LABELS.astype(dtype), epochs=1)
        assert np.isfinite(history["loss"][0])


def test_weights_of_zero_are_like_removal():
    weight = np.where(np.arange(60) % 3 == 0, 0.0, 2.0)
    kept = weight > 0
    weighted, removed = classifier(), classifier()
    optimizer = optim.sgd(0.1)
    weighted.fit(X, LABELS, sample_weight=weight, epochs=3, batch_size=None, optimizer=optimizer)
    removed.fit(X[kept], LABELS[kept], epochs=3, batch_size=None, optimizer=optimizer)
    for a, b in zip(bits(weighted), bits(removed), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    score = weighted.score(X, LABELS, sample_weight=weight)
    assert score == pytest.approx(weighted.score(X[kept], LABELS[kept]), rel=1e-6)
    assert weighted.evaluate(X, LABELS, sample_weight=weight) == pytest.approx(
        weighted.evaluate(X[kept], LABELS[kept]), rel=1e-5
    )


def test_the_values_of_an_epoch_are_weighted():
    weight = np.where(np.arange(60) < 45, 0.0, 1.0) + np.arange(60) / 100
    net = classifier()
    for w in (weight, np.where(np.arange(60) < 45, 0.0, 2.0)):  # with whole batches of no weight, too
        history = net.fit(
            X, LABELS, sample_weight=w, epochs=1, batch_size=9, shuffle=False, optimizer=optim.sgd(1e-30)
        )
        expected = net.evaluate(X, LABELS, sample_weight=w)
        assert {name: values[0] for name, values in history.items()} == pytest.approx(expected, rel=1e-5)


def test_ignored_labels_are_allowed():
    y = np.where(np.arange(60) < 20, -1, LABELS)
    net = classifier(loss=partial(losses.softmax_cross_entropy, ignore_index=-1))
    net.fit(X, y, epochs=1, batch_size=None, optimizer=optim.sgd(0.1))
    other = classifier()
    other.fit(X[20:], LABELS[20:], epochs=1, batch_size=None, optimizer=optim.sgd(0.1))
    for a, b in zip(bits(net), bits(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("weight", [None, np.linspace(0.5, 2.0, 60)], ids=["unweighted", "weighted"])
def test_ignored_labels_count_in_no_figure(weight):
    y = np.where(np.arange(60) < 20, -1, LABELS)
    kept = None if weight is None else weight[20:]
    net = classifier(loss=partial(losses.softmax_cross_entropy, ignore_index=-1))
    expected = net.evaluate(X[20:], LABELS[20:], sample_weight=kept)
    assert net.evaluate(X, y, sample_weight=weight) == pytest.approx(expected, rel=1e-5)
    assert net.score(X, y, sample_weight=weight) == pytest.approx(expected["accuracy"], rel=1e-5)
    history = net.fit(X, y, sample_weight=weight, epochs=1, batch_size=7, optimizer=optim.sgd(1e-30))
    assert {name: values[0] for name, values in history.items()} == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match="no sample counts"):
        net.fit(X[:20], y[:20])
