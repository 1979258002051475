"""Network: training, predicting and scoring, on every backend."""

from __future__ import annotations

import copy
import pickle
from functools import partial

import numpy as np
import pytest

from portnn import Network, losses, nn, optim, tree
from portnn.nn import Flatten, Linear, Rescale, relu, tanh
from portnn.random import stream
from tests.helpers import assert_close

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype(np.float32)
LABELS = np.argmax(X[:, :3], axis=1)
BITS = (X[:, :2] > 0).astype(np.float32)
VALUES = (X @ np.asarray([[1.0], [-2.0], [0.5], [0.0]])).astype(np.float32)


def classifier(**options):
    return Network([Linear(4, 8), tanh, Linear(8, 3)], **options)


def bits(net):
    return [np.array(net.backend.to_numpy(p)) for p in tree.leaves(net.params)]


def same(a, b):
    return all((x == y).all() for x, y in zip(a, b, strict=True))


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
    images = RNG.integers(0, 256, (20, 6, 6)).astype(np.uint8)
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
        before, fitted, where = bits(net), net._fitted, net.backend
        with pytest.raises(ValueError, match="has no dtype 'float64'"):
            net.to("array_api_strict:no_float64")
        assert same(bits(net), before)
        assert (net._fitted, net.backend) == (fitted, where)
        net.partial_fit(X, LABELS)


def test_networks_can_be_pickled_and_copied():
    net = Network([Linear(4, 8), relu, Linear(8, 3)], loss=losses.softmax_cross_entropy)
    for again in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        assert again.layer == net.layer
        assert (again.predict_proba(X) == net.predict_proba(X)).all()
        again.fit(X, LABELS, epochs=1)
    assert same(bits(net), bits(Network([Linear(4, 8), relu, Linear(8, 3)])))


def test_summary_of_images():
    layers = [nn.Conv2d(1, 4, (3, 3)), nn.MaxPool2d(2), nn.Conv2d(4, 2, (1, 3)), nn.GlobalAvgPool2d()]
    lines = Network(layers).summary((1, 8, 8)).splitlines()[2:6]
    assert [line.split("  ")[0] for line in lines] == [
        "Conv2d(1, 4, 3)", "MaxPool2d(2)", "Conv2d(4, 2, (1, 3))", "GlobalAvgPool2d()",
    ]  # fmt: skip
    assert "(2, 3, 1)" in lines[2]


def test_summary():
    net = Network([Rescale(), Flatten(), Linear(36, 8), relu, Linear(8, 2)], dtype="float64")
    assert "?" in net.summary()
    text = net.summary((6, 6))
    assert "Linear(36, 8)     (8,)           296" in text
    assert "\n314 parameters (2.51 kB), float64, on numpy\na sample: " in text
    net.fit(np.zeros((4, 6, 6)), np.zeros(4, dtype=int), epochs=1)
    assert net.summary() == text
    with pytest.raises(ValueError, match=r"expected an input of shape \(..., 36\), got \(1, 5\)"):
        net.summary((5,))


def test_tensors_that_record_are_refused():
    torch = pytest.importorskip("torch")
    net = classifier(backend="torch")
    with pytest.raises(ValueError, match=r"x: .* requires grad; pass x\.detach\(\)"):
        net.fit(torch.asarray(X).requires_grad_(), torch.asarray(LABELS))


def test_large_numbers_are_no_reason_to_warn():
    """Their squares overflow, they do not."""
    net = Network([Linear(4, 2)])
    x = np.full((3, 4), 1e30, dtype=np.float32)
    for _ in range(4):
        np.testing.assert_array_equal(net.predict(x), net.predict(x[:1]).repeat(3))
