"""Network: training, predicting and scoring, on every backend."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from portnn import Network, losses, optim
from portnn.nn import Flatten, Linear, Rescale, relu
from portnn.random import stream
from tests.helpers import assert_close
from tests.network.small import LABELS, X, bits, classifier, same

BITS = (X[:, :2] > 0).astype(np.float32)
VALUES = (X @ np.asarray([[1.0], [-2.0], [0.5], [0.0]])).astype(np.float32)


def on(bench, **options):
    return classifier(backend=bench.backend, **options)


def test_classes(backend):
    net = on(backend)
    before = net.score(X, LABELS)
    history = net.fit(X, LABELS, epochs=15, batch_size=16, optimizer=optim.adam(0.03))
    assert len(history["loss"]) == len(history["accuracy"]) == 15
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert net.score(X, LABELS) > max(0.9, before)
    logs = net.evaluate(X, LABELS)
    assert logs["accuracy"] == net.score(X, LABELS)
    assert set(logs) == {"loss", "accuracy"}
    proba, decided = net.predict_proba(X), net.predict(X)
    assert type(proba) is type(decided) is np.ndarray
    assert (proba.shape, proba.dtype, decided.shape) == ((60, 3), np.float32, (60,))
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-5)
    assert (decided == proba.argmax(axis=1)).all()
    assert net.score(X, LABELS) == pytest.approx((decided == LABELS).mean(), rel=1e-6)


def test_labels(backend):
    net = Network([Linear(4, 2)], loss=losses.sigmoid_cross_entropy, backend=backend.backend)
    history = net.fit(X, BITS, epochs=30, batch_size=20, optimizer=optim.adam(0.1))
    assert set(history) == {"loss", "accuracy"}
    decided = net.predict(X)
    assert (decided.dtype, decided.shape) == (np.bool_, (60, 2))
    assert ((net.predict_proba(X) > 0.5) == decided).all()
    right = (decided == (BITS > 0.5)).all(axis=1).mean()
    assert net.score(X, BITS) == pytest.approx(right, rel=1e-6)
    assert right > 0.8
    assert net.score(X, BITS > 0.5) == net.score(X, BITS.astype(np.int64)) == net.score(X, BITS)


def test_one_label_may_be_a_vector():
    net = Network([Linear(4, 1)], loss=losses.sigmoid_cross_entropy)
    net.fit(X, BITS[:, 0], epochs=30, optimizer=optim.adam(0.1))
    assert net.score(X, BITS[:, 0]) == net.score(X, BITS[:, :1]) > 0.9


def test_values(backend):
    net = Network([Linear(4, 1)], loss=losses.squared_error, backend=backend.backend)
    history = net.fit(X, VALUES, epochs=60, batch_size=10, optimizer=optim.sgd(0.05))
    assert set(history) == {"loss"}
    found = net.predict(X)
    assert (found.dtype, found.shape) == (np.float32, (60, 1))
    np.testing.assert_allclose(found, VALUES, atol=0.02)
    residual = ((VALUES - found) ** 2).sum() / ((VALUES - VALUES.mean()) ** 2).sum()
    assert net.score(X, VALUES) == pytest.approx(1.0 - residual, abs=1e-5)
    assert set(net.evaluate(X, VALUES[:, 0])) == {"loss"}


def test_initial_parameters_are_the_same_bits_everywhere(backend):
    assert same(bits(on(backend, seed=5)), bits(classifier(seed=5)))
    assert not same(bits(on(backend, seed=5)), bits(classifier(seed=6)))


def test_batches_come_in_the_same_order_everywhere(backend):
    seen = []

    def watch(predictions, targets):
        seen.append(backend.to_numpy(targets.plain if hasattr(targets, "plain") else targets).tolist())
        return losses.squared_error(predictions, targets)

    def order(where):
        seen.clear()
        net = Network([Linear(1, 1)], loss=losses.Loss(watch, task=losses.Task.VALUES), backend=where, seed=3)
        x = np.arange(10, dtype=np.float32)[:, None]
        net.fit(x, x, epochs=2, batch_size=4, optimizer=optim.sgd(1e-4), compile=False)
        return [[int(t[0]) for t in batch] for batch in seen[1:]]

    here = order(backend.backend)
    permutations = [stream(3, 1, epoch).permutation(10).tolist() for epoch in (0, 1)]
    assert here == [p[i : i + 4] for p in permutations for i in (0, 4, 8)]


def test_training_agrees_with_numpy_in_float64(backend):
    if not backend.has_float64:
        pytest.skip("needs float64")
    nets = [classifier(backend=b, dtype="float64") for b in (backend.backend, "cpu")]
    histories = [net.fit(X, LABELS, epochs=10, batch_size=16, optimizer=optim.adam(0.01)) for net in nets]
    np.testing.assert_allclose(histories[0]["loss"], histories[1]["loss"], rtol=1e-10)
    assert nets[0].predict_proba(X).dtype == np.float64


def test_answers_are_in_the_library_of_the_question(backend):
    net = classifier()
    x = backend.asarray(X)
    for answer in (net.predict_proba(x), on(backend).predict_proba(x)):
        assert_close(answer, net.predict_proba(X), rtol=1e-5, atol=1e-7, backend=backend)
    assert type(net.predict(X.tolist())) is np.ndarray
    net.fit(x, backend.asarray(LABELS), epochs=1)
    assert type(net.params[0]["weight"]) is np.ndarray


def test_fit_goes_on():
    once, twice = classifier(seed=1), classifier(seed=1)
    once.fit(X, LABELS, epochs=4, batch_size=16, optimizer=optim.sgd(0.1))
    for _ in range(2):
        twice.fit(X, LABELS, epochs=2, batch_size=16, optimizer=optim.sgd(0.1))
    assert same(bits(once), bits(twice))
    assert (once.epochs, once.steps) == (twice.epochs, twice.steps) == (4, 16)


def test_the_same_seed_gives_the_same_training():
    nets = [classifier(seed=2) for _ in range(2)]
    for net in nets:
        net.fit(X, LABELS, epochs=2, batch_size=7)
    assert same(bits(nets[0]), bits(nets[1]))


def test_partial_fit_is_a_step_of_fit():
    fitted, stepped = classifier(), classifier()
    optimizer = optim.adam(0.01)
    fitted.fit(X, LABELS, epochs=3, batch_size=None, optimizer=optimizer)
    for _ in range(3):
        assert stepped.partial_fit(X, LABELS, optimizer=optimizer) is stepped
    assert same(bits(fitted), bits(stepped))
    assert (stepped.epochs, stepped.steps) == (0, 3)
    stepped.partial_fit(X, LABELS)  # goes on with the same optimiser and its state
    fitted.partial_fit(X, LABELS)
    assert same(bits(fitted), bits(stepped))


def test_without_shuffling_batches_are_in_the_order_of_the_data():
    net, by_hand = classifier(), classifier()
    optimizer = optim.sgd(0.1)
    net.fit(X, LABELS, epochs=1, batch_size=25, shuffle=False, optimizer=optimizer)
    for i in (0, 25, 50):
        by_hand.partial_fit(X[i : i + 25], LABELS[i : i + 25], optimizer=optimizer)
    assert same(bits(net), bits(by_hand))


def test_integers_of_numpy_are_integers():
    assert Linear(np.int64(4), np.uint8(3)) == Linear(4, 3)
    assert type(Linear(np.int64(4), np.uint8(3)).in_features) is int
    nets = classifier(), classifier()
    nets[0].fit(X, LABELS, epochs=np.int64(2), batch_size=np.uint8(16))
    nets[1].fit(X, LABELS, epochs=2, batch_size=16)
    assert same(*map(bits, nets))


def test_validation_data_are_watched_and_not_learned_from():
    plain, watched = classifier(), classifier()
    plain.fit(X[:40], LABELS[:40], epochs=3, optimizer=optim.sgd(0.1))
    history = watched.fit(
        X[:40], LABELS[:40], epochs=3, optimizer=optim.sgd(0.1), validation_data=(X[40:], LABELS[40:])
    )
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert same(bits(plain), bits(watched))
    assert history["val_loss"][-1] == pytest.approx(watched.evaluate(X[40:], LABELS[40:])["loss"], rel=1e-6)


def test_callbacks_see_each_epoch_and_stop_it():
    seen = []

    def watch(epoch):
        seen.append((epoch.number, epoch.total, dict(epoch.logs), epoch.model.epochs))
        return epoch.number == 3

    net = classifier()
    history = net.fit(X, LABELS, epochs=10, callbacks=[watch, lambda _: False, lambda _: None])
    assert [(number, total) for number, total, _, _ in seen] == [(1, 10), (2, 10), (3, 10)]
    assert [logs["loss"] for _, _, logs, _ in seen] == history["loss"]
    assert net.epochs == 3


def test_an_error_in_a_callback_leaves_the_parameters_of_the_epoch():
    net = classifier()

    def fail(epoch):
        raise KeyError(epoch.number)

    with pytest.raises(KeyError):
        net.fit(X, LABELS, epochs=5, callbacks=[fail])
    assert net.epochs == 1
    net.fit(X, LABELS, epochs=1)
    assert net.epochs == 2


def test_images_of_bytes_stay_bytes():
    images = np.random.default_rng(1).integers(0, 256, (20, 6, 6)).astype(np.uint8)
    y = (images.reshape(20, -1).mean(axis=1) > 127).astype(np.int64)
    net = Network([Rescale(), Flatten(), Linear(36, 8), relu, Linear(8, 2)])
    net.fit(images, y, epochs=5, batch_size=8)
    assert images.dtype == np.uint8
    assert net.predict(images).shape == (20,)
    assert net.predict_proba(images[:1]).dtype == np.float32
    net64 = Network([Rescale(dtype="float64"), Flatten(), Linear(36, 2)], dtype="float64")
    assert net64.predict_proba(images).dtype == np.float64


def test_inputs_are_not_changed_and_results_are_not_views():
    x, y = X.copy(), LABELS.copy()
    x.flags.writeable = y.flags.writeable = False
    net = classifier()
    net.fit(x, y, epochs=1)
    proba = net.predict_proba(x)
    identity = Network([Flatten()], loss=losses.squared_error)
    assert (identity.predict(x) == x).all()
    assert (x == X).all()
    assert proba.sum() == pytest.approx(60, rel=1e-5)


def test_many_samples_are_predicted_in_parts():
    x = np.tile(X, (150, 1))  # 9000
    net = classifier()
    np.testing.assert_allclose(net.predict_proba(x)[-60:], net.predict_proba(X), rtol=1e-5)


def test_networks_can_be_pickled_and_copied():
    net = Network([Linear(4, 8), relu, Linear(8, 3)], loss=losses.softmax_cross_entropy)
    for again in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        assert again.layer == net.layer
        assert (again.predict_proba(X) == net.predict_proba(X)).all()
        again.fit(X, LABELS, epochs=1)
    assert same(bits(net), bits(Network([Linear(4, 8), relu, Linear(8, 3)])))


def test_tensors_that_record_are_refused():
    torch = pytest.importorskip("torch", reason="PyTorch is optional; tests(torch) has it")
    net = classifier(backend="torch")
    with pytest.raises(ValueError, match=r"x: .* requires grad; pass x\.detach\(\)"):
        net.fit(torch.asarray(X).requires_grad_(), torch.asarray(LABELS))


def test_large_numbers_are_no_reason_to_warn():
    """Their squares overflow, they do not."""
    net = Network([Linear(4, 2)])
    x = np.full((3, 4), 1e30, dtype=np.float32)
    for _ in range(4):
        np.testing.assert_array_equal(net.predict(x), net.predict(x[:1]).repeat(3))
