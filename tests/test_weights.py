"""Weights of samples: only their ratios count in a weighted mean, however large or small they are."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import portnn as pn
from portnn import Linear, Network, autodiff, losses, metrics, ops, optim
from portnn.nn import BatchNorm
from tests.backends import Matrix
from tests.network.small import LABELS, X, bits, classifier

N = 6
RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(N, 3))
VALUES, TARGETS = RNG.normal(size=(2, N, 2))
CLASSES = np.asarray([0, 2, 1, 1, 0, 2])
YES = (TARGETS > 0).astype(np.float64)
CLASS_WEIGHTS = np.asarray([1.0, 2.0, 0.5])
MIXED = np.asarray([1e-40, 1.0, 1e38, 2e38, 1e-40, 1e10])

ALL = {
    "cross-entropy": (losses.softmax_cross_entropy, LOGITS, CLASSES),
    "soft": (losses.softmax_cross_entropy, LOGITS, np.abs(LOGITS) / np.abs(LOGITS).sum(1, keepdims=True)),
    "smoothed": (partial(losses.softmax_cross_entropy, label_smoothing=0.1), LOGITS, CLASSES),
    "ignoring": (partial(losses.softmax_cross_entropy, ignore_index=1), LOGITS, CLASSES),
    "focal": (losses.focal, LOGITS, CLASSES),
    "hinges": (losses.multiclass_hinge, LOGITS, CLASSES),
    "divergence": (losses.kl_divergence, LOGITS, np.full((N, 3), 1 / 3)),
    "sigmoid": (losses.sigmoid_cross_entropy, VALUES, YES),
    "sigmoid focal": (losses.sigmoid_focal, VALUES, YES),
    "hinge": (losses.hinge, VALUES, YES),
    "squared": (losses.squared_error, VALUES, TARGETS),
    "absolute": (losses.absolute_error, VALUES, TARGETS),
    "huber": (losses.huber, VALUES, TARGETS),
    "log cosh": (losses.log_cosh, VALUES, TARGETS),
    "cosine": (losses.cosine_distance, VALUES, TARGETS),
    "poisson": (losses.poisson_nll, VALUES, np.abs(TARGETS)),
    "gaussian": (losses.gaussian_nll, RNG.normal(size=(N, 4)), TARGETS),
}
TINY = 1.2e-38  # JAX takes what is smaller for zero


def by_hand(loss, x, t, weight):
    """The weighted mean in float64, of losses whose weights of classes are in the losses."""
    each = loss(x, t, reduction="none")
    w = np.broadcast_to((weight / weight.max()).reshape((-1,) + (1,) * (each.ndim - 1)), each.shape)
    return float((each * w).sum() / w.sum())


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("size", [1e-40, 1e-30, 3.0, 1e30, 1e38])
@pytest.mark.parametrize("name", ALL)
def test_equal_weights_of_any_size_are_weights_of_one(backend, name, size, dtype):
    if backend.member is Matrix.JAX and size < TINY:
        pytest.skip("JAX takes it for zero")
    if dtype == "float16" and not hasattr(backend.xp, "float16"):
        pytest.skip("no float16")
    loss, x, t = ALL[name]
    t = backend.asarray(t, None if t.dtype.kind in "iu" else "float32")
    x = backend.asarray(x, dtype)
    found, slopes = [], []
    for value in (1.0, size):
        w = backend.asarray(np.full(N, value), "float32")
        f = autodiff.value_and_grad(lambda x, w=w: loss(x, t, sample_weight=w))
        y, slope = pn.jit(f)(x)
        found.append(float(y))
        slopes.append(backend.to_numpy(slope).tolist())
    assert found[0] == found[1]
    assert slopes[0] == slopes[1]
    assert found[0] == pytest.approx(float(loss(x, t)), rel=1e-5 if dtype == "float32" else 5e-3)


@pytest.mark.parametrize("weight", [MIXED, MIXED[::-1].copy(), np.where(MIXED > 1, 0.0, MIXED)])
@pytest.mark.parametrize("name", [name for name in ALL if name != "ignoring"])
def test_weights_of_mixed_size_are_those_of_float64(backend, name, weight):
    if backend.member is Matrix.JAX and weight.max() == 1.0:
        weight = np.maximum(weight, 0.0)
    loss, x, t = ALL[name]
    expected = by_hand(loss, x, t, weight)
    placed = backend.asarray(t, None if t.dtype.kind in "iu" else "float32")
    found = loss(backend.asarray(x, "float32"), placed, sample_weight=backend.asarray(weight, "float32"))
    assert float(found) == pytest.approx(expected, rel=2e-5)


def test_many_weights_in_half_precision():
    x, n = np.ones((70_000, 1), dtype=np.float16), 70_000  # more than float16 counts to
    found = losses.squared_error(x, 0 * x, sample_weight=np.ones(n, dtype=np.float16))
    assert float(found) == 1.0
    assert found.dtype == np.float16
    assert (
        float(metrics.mean_squared_error(x[:, 0], 0 * x[:, 0], sample_weight=np.ones(n, np.float16))) == 1.0
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("size", [1e-38, 1e-30, 1e30, 1e38])
def test_class_weights_of_any_size(backend, size, smoothing):
    if backend.member is Matrix.JAX and (CLASS_WEIGHTS * size).min() < TINY:
        pytest.skip("JAX takes it for zero")
    x, t = backend.asarray(LOGITS, "float32"), backend.asarray(CLASSES)
    loss = partial(losses.softmax_cross_entropy, label_smoothing=smoothing)
    expected = float(loss(LOGITS, CLASSES, class_weights=CLASS_WEIGHTS))
    weights = backend.asarray(CLASS_WEIGHTS * size, "float32")
    assert float(loss(x, t, class_weights=weights)) == pytest.approx(expected, rel=1e-5)


def test_of_classes_without_a_sample_no_weight_counts():
    x, t = LOGITS[[0, 4]].astype(np.float32), CLASSES[[0, 4]]  # the first class alone
    for weights in ([1e-40, 1e38, 1.0], [1e-40, 0.0, 3e38], [1e38, 1e-40, 0.0]):
        found = losses.softmax_cross_entropy(x, t, class_weights=np.asarray(weights, dtype=np.float32))
        assert float(found) == pytest.approx(float(losses.softmax_cross_entropy(x, t)), rel=1e-6)


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_weights_that_are_all_zero_give_zero_and_nan_shows(backend):
    loss, x, t = ALL["squared"]
    x, t = backend.asarray(x, "float32"), backend.asarray(t, "float32")
    assert float(loss(x, t, sample_weight=backend.asarray(np.zeros(N), "float32"))) == 0.0
    for odd in (np.nan, np.inf):
        w = backend.asarray([1.0, odd, 1.0, 1.0, 1.0, 1.0], "float32")
        assert np.isnan(float(loss(x, t, sample_weight=w)))


WEIGHTED_METRICS = {
    "accuracy": lambda b, w: metrics.accuracy(b.asarray(CLASSES), b.asarray(CLASSES[::-1]), sample_weight=w),
    "f1": lambda b, w: metrics.f1(b.asarray(CLASSES), b.asarray(CLASSES[::-1]), sample_weight=w),
    "precision": lambda b, w: metrics.precision(
        b.asarray(YES.astype(np.int64)), b.asarray((VALUES > 0).astype(np.int64)), sample_weight=w
    ),
    "samples": lambda b, w: metrics.recall(
        b.asarray(YES.astype(np.int64)),
        b.asarray(np.ones((N, 2), np.int64)),
        average="samples",
        sample_weight=w,
    ),
    "average precision": lambda b, w: metrics.average_precision(
        b.asarray(YES.astype(np.int64)), b.asarray(VALUES, "float32"), average="weighted", sample_weight=w
    ),
    "top k": lambda b, w: metrics.top_k_accuracy(
        b.asarray(CLASSES), b.asarray(LOGITS, "float32"), sample_weight=w
    ),
    "log loss": lambda b, w: metrics.log_loss(
        b.asarray(YES[:, 0].astype(np.int64)), b.asarray(np.linspace(0.1, 0.9, N), "float32"), sample_weight=w
    ),
    "r2": lambda b, w: metrics.r2(
        b.asarray(TARGETS, "float32"), b.asarray(VALUES, "float32"), sample_weight=w
    ),
}


@pytest.mark.parametrize("weight", [1e-40, 1e38, MIXED])
@pytest.mark.parametrize("name", WEIGHTED_METRICS)
def test_metrics_with_weights_of_any_size(backend, name, weight):
    if backend.member is Matrix.JAX and np.max(weight) < TINY:
        pytest.skip("JAX takes it for zero")
    metric = WEIGHTED_METRICS[name]
    w = np.broadcast_to(np.asarray(weight), (N,))
    found = float(metric(backend, backend.asarray(w, "float32")))
    scaled = np.maximum(w / w.max(), 1e-30)  # the same, in numbers that cannot go wrong
    assert found == pytest.approx(float(metric(backend, backend.asarray(scaled, "float32"))), rel=1e-5)


# In a network


def trained(weight, backend="cpu", **options):
    net = classifier(backend=backend)
    history = net.fit(
        X,
        LABELS,
        sample_weight=weight,
        optimizer=optim.adam(0.05),
        **{"epochs": 3, "batch_size": 25, **options},
    )
    return net, history


@pytest.mark.parametrize(
    "options",
    [{}, {"compile": False}, {"accumulate": 3}, {"validation_split": 0.2}, {"batch_size": 1, "epochs": 1}],
)
@pytest.mark.parametrize("size", [1e-300, 1e-40, 1e-10, 1e10, 1e38, 1e300])
@pytest.mark.filterwarnings("ignore:fit. sample_weight has no effect with one sample")
def test_equal_weights_train_bit_by_bit_as_those_of_one(backend, options, size):
    (a, history), (b, known) = (
        trained(np.full(60, value), backend.backend, progress=False, **options) for value in (size, 1.0)
    )
    for x, y in zip(bits(a), bits(b), strict=True):
        np.testing.assert_array_equal(x, y)
    for name, values in known.items():
        assert history[name] == pytest.approx(values, rel=1e-5)
    weight = np.full(60, size)
    assert a.evaluate(X, LABELS, sample_weight=weight) == pytest.approx(b.evaluate(X, LABELS), rel=1e-5)
    assert a.score(X, LABELS, sample_weight=weight) == pytest.approx(b.score(X, LABELS), rel=1e-6)


def test_equal_weights_of_classes_do_not_matter():
    nets = [trained(None, class_weight={0: s, 1: s, 2: s})[0] for s in (1.0, 1e-300, 1e300, 1e-40)]
    for net in nets[1:]:
        for x, y in zip(bits(net), bits(nets[0]), strict=True):
            np.testing.assert_array_equal(x, y)
    both = trained(np.full(60, 1e300), class_weight={0: 1e300, 1: 1e300, 2: 1e300})[0]
    for x, y in zip(bits(both), bits(nets[0]), strict=True):
        np.testing.assert_array_equal(x, y)


def test_weights_of_mixed_size_train_as_in_float64():
    weight = np.tile([1e-40, 1e38, 3e37, 1e10], 15)
    nets = []
    for dtype in ("float32", "float64"):
        net = Network([Linear(4, 3)], dtype=dtype)
        net.fit(
            X, LABELS, sample_weight=weight, epochs=3, batch_size=4, shuffle=False, optimizer=optim.sgd(0.1)
        )
        nets.append(net)
    for x, y in zip(bits(nets[0]), bits(nets[1]), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5)


def test_a_batch_of_small_weights_is_learned_from():
    weight = np.where(np.arange(60) < 30, 1e-200, 1.0)
    few, many = (Network([Linear(4, 3)]) for _ in range(2))
    options = {"epochs": 1, "shuffle": False, "optimizer": optim.sgd(0.1), "batch_size": 30}
    few.fit(X, LABELS, sample_weight=weight, **options)
    many.fit(X, LABELS, **options)
    for x, y in zip(bits(few), bits(many), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5)


@pytest.mark.parametrize(
    "weight", [np.zeros(60), np.full(60, -1.0), np.full(60, np.nan), np.full(60, np.inf), [1j] * 60]
)
def test_weights_that_no_sample_can_have(weight):
    net = classifier()
    with pytest.raises((ValueError, TypeError), match="sample_weight: "):
        net.fit(X, LABELS, sample_weight=weight)
    assert net.steps == 0


def test_usual_weights_are_weighed_against_a_penalty():
    seen = []

    def penalty(params, samples):
        seen.append(samples)
        return ops.sum(params[0]["weight"]) * 0.0

    for size in (0.5, 2.0, 1e-30):
        Network([Linear(4, 3)]).fit(
            X,
            LABELS,
            sample_weight=np.full(60, size),
            penalty=penalty,
            epochs=1,
            batch_size=60,
            compile=False,
        )
    assert [float(n) for n in seen] == [30.0, 120.0, 60.0]


# Accumulation


@pytest.mark.parametrize(
    ("parts", "sizes"), [(1, [60]), (2, [30, 30]), (4, [15] * 4), (7, [8, 9, 8, 9, 8, 9, 9])]
)
def test_a_batch_is_worked_through_in_parts(parts, sizes):
    seen = []

    def note(x):
        seen.append(x.shape[0])
        return x

    net = Network([note, Linear(4, 3), BatchNorm(3)])
    net.predict(X[:1])
    seen.clear()
    net.fit(X, LABELS, epochs=1, batch_size=None, accumulate=parts, compile=False, optimizer=optim.sgd(1e-30))
    assert seen[-parts:] == sizes  # and one sample before, of which the shape of predictions is known
    assert len(seen) <= parts + 2
    y = X @ np.asarray(net.params[1]["weight"]) + np.asarray(net.params[1]["bias"])
    mean = np.zeros(3)
    for part in np.split(y, np.cumsum(sizes)[:-1]):  # every part begins with the same statistics
        mean += 0.1 * part.mean(axis=0) * len(part) / 60
    np.testing.assert_allclose(net.state[2]["mean"], mean, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("parts", [1, 2])
def test_labels_are_checked_once_and_not_in_each_step(parts):
    history = Network([Linear(4, 3)]).fit(X, LABELS, epochs=1, batch_size=20, accumulate=parts)
    assert "in_range" not in history.plan
