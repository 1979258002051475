"""Predictions, measures, activations and gradients in batches: the same answers, in bounded memory."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from types import GeneratorType
from typing import Any

import numpy as np
import pytest

from portnn import losses, metrics, nn, ops, tree
from portnn.network import Network, _predict

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4)).astype(np.float32)
LABELS = RNG.integers(0, 3, 50)
WEIGHT = RNG.uniform(0.5, 2.0, 50)
SIZES = [1, 7, 25, 49, 50, 1000]


def classifier(**options: Any) -> Network:
    return Network([nn.Linear(4, 8), nn.tanh, nn.Linear(8, 3)], **options)


@dataclass(frozen=True)
class Counted(nn.Layer):
    """Notes how many samples it is given at a time."""

    seen: Any

    def init(self, rng, dtype="float32"):
        return {}

    def forward(self, params, state, x, *, training=False, key=None):
        self.seen.append(x.shape[0])
        return x, state


def counted(*layers: Any) -> tuple[Network, list[int]]:
    seen: list[int] = []
    return Network([Counted(seen), *layers]), seen


# ---------------------------------------------------------------------------------------------- predictions


@pytest.mark.parametrize("size", SIZES)
def test_predictions_do_not_depend_on_the_batch_size(backend: Any, size: int) -> None:
    net = classifier(backend=backend.backend)
    x = backend.asarray(X)
    whole, probabilities = net.predict(x), net.predict_proba(x)
    parts, shown = net.predict(x, batch_size=size), net.predict_proba(x, batch_size=size)
    assert (type(parts), parts.dtype) == (type(whole), whole.dtype)
    np.testing.assert_array_equal(backend.to_numpy(parts), backend.to_numpy(whole))
    np.testing.assert_allclose(backend.to_numpy(shown), backend.to_numpy(probabilities), rtol=1e-5)
    np.testing.assert_array_equal(net.predict(X, batch_size=size), backend.to_numpy(whole))
    assert type(net.predict(X, batch_size=size)) is np.ndarray
    assert net.predict(X.tolist(), batch_size=size).tolist() == backend.to_numpy(whole).tolist()


@pytest.mark.parametrize("dtype", ["float64", "uint8", "int64", "float16"])
def test_inputs_of_other_dtypes_are_brought_batch_by_batch(dtype: str) -> None:
    x = (np.abs(X) * 50).astype(dtype)
    net = Network([nn.Rescale(0.1), nn.Linear(4, 3)]) if "int" in dtype else Network([nn.Linear(4, 3)])
    np.testing.assert_array_equal(net.predict(x, batch_size=7), net.predict(x))


def test_a_sample_of_what_batches_there_are() -> None:
    net, seen = counted(nn.Linear(4, 3))
    net.predict(X, batch_size=20)
    assert seen == [20, 20, 10]


def test_a_few_small_samples_are_one_batch_and_not_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_predict, "sketch", None)
    net, seen = counted(nn.Linear(4, 3))
    net.predict(X)
    assert seen == [50]


def test_batches_are_chosen_by_what_a_sample_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_predict, "_SMALL", 0)
    net, seen = counted(nn.Linear(4, 1000), nn.Linear(1000, 3))
    monkeypatch.setattr(_predict, "_FEW", 1)
    monkeypatch.setattr(_predict, "_HOST", 20 * 8020)  # the product, its sum with the bias, and the inputs
    net.predict(X)
    assert [n for n in seen if n != 1] == [16, 16, 2]  # the third has a plan; the trace is of one sample
    traces = seen.count(1)
    net.predict(X), net.predict_proba(X), net.predict(X[:30])
    assert seen.count(1) == traces, "kept for each shape of a sample"


@pytest.mark.parametrize(("room", "size"), [(1, 4), (3, 8), (5, 16), (17, 16)])
def test_few_large_samples_may_take_more(room: int, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_predict, "_SMALL", 0)
    monkeypatch.setattr(_predict, "_HOST", room * 8020)
    net, seen = counted(nn.Linear(4, 1000), nn.Linear(1000, 3))
    net.predict(X)
    assert max(seen) == size


def test_weights_that_are_computed_anew_are_there_once_for_all_samples(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The casts of large parameters must not count as what each sample takes."""
    monkeypatch.setattr(_predict, "_SMALL", 0)
    monkeypatch.setattr(_predict, "_HOST", 64 * 4000)
    net = Network([nn.Cast(nn.Linear(4, 500), "float16"), nn.Linear(500, 3)])
    before = _predict._MOST
    assert net.predict(X, batch_size=before).shape == (50,)
    sizes = net._predictions._sizes
    net.predict(X)
    [(_, size)] = sizes.values()
    assert size >= 32


def test_layers_that_cannot_be_traced_get_batches_of_32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_predict, "_SMALL", 0)

    def odd(x):
        return x if float(ops.sum(x)) > 1e9 else ops.tanh(x)

    net, seen = counted(odd, nn.Linear(4, 3))
    net.predict(X)
    assert [n for n in seen if n != 1] == [32, 18]


@pytest.mark.parametrize("method", ["predict", "predict_proba", "activations"])
def test_a_wrong_batch_size_is_refused(method: str) -> None:
    ask = getattr(classifier(), method)
    for wrong in (0, -3):
        with pytest.raises(ValueError, match=f"{method}: batch_size must be at least 1, got {wrong}"):
            ask(X, batch_size=wrong)
    for odd in (2.0, "64", True):
        with pytest.raises(TypeError, match=f"{method}: batch_size must be an integer, got"):
            ask(X, batch_size=odd)
    assert len(ask(X, batch_size=np.int64(7))) in (50, 3)


@pytest.mark.parametrize("method", ["evaluate", "score", "gradients"])
def test_a_wrong_batch_size_is_refused_with_targets(method: str) -> None:
    with pytest.raises(ValueError, match=f"{method}: batch_size must be at least 1, got 0"):
        getattr(classifier(), method)(X, LABELS, batch_size=0)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_errors_name_the_sample_among_all() -> None:
    net, x = Network([nn.Linear(4, 3)]), X.copy()
    x[33, 2] = np.nan
    with pytest.raises(ValueError, match="x: sample 33 has NaN"):
        net.predict(x, batch_size=8)
    x[33] = 3e38
    net.params = tree.map(lambda p: ops.abs(p) * 100, net.params)
    for ask in (
        net.predict,
        net.predict_proba,
        partial(net.evaluate, y=LABELS),
        partial(net.score, y=LABELS),
    ):
        with pytest.raises(ValueError, match="the prediction for sample 33 is NaN or infinite"):
            ask(x, batch_size=8)
    words = Network([nn.Embedding(5, 4), nn.Flatten(), nn.Linear(8, 3)])
    ids = np.zeros((50, 2), dtype=np.int64)
    ids[41, 1] = 7
    with pytest.raises(ValueError, match=r"from 0 to 4, got 7 at position \(41, 1\)"):
        words.predict(ids, batch_size=8)


def test_inputs_that_are_wrong_as_a_whole_are_refused() -> None:
    net = classifier()
    for wrong in (X[:0], X[0], np.float32(1.0), []):
        with pytest.raises(ValueError, match="x: expected"):
            net.predict(wrong, batch_size=8)
    with pytest.raises(TypeError, match="x: expected real numbers"):
        net.predict(X > 0, batch_size=8)


@pytest.mark.parametrize("loss", [losses.squared_error, losses.sigmoid_cross_entropy])
def test_one_output_is_as_flat_as_its_targets(loss: Any, tmp_path: Any) -> None:
    """``y - net.predict(x)`` was a matrix of all differences."""
    net = Network([nn.Linear(4, 1)], loss=loss)
    assert net.predict(X).shape == (50, 1)
    y = (X[:, 0] > 0).astype(np.float32)
    net.fit(X, y, epochs=1, progress=False)
    values = net.task is losses.Task.VALUES
    shown = net.predict if values else net.predict_proba
    assert {net.predict(X).shape, net.predict(X, batch_size=7).shape, shown(X[:1]).shape} == {(50,), (1,)}
    assert [part.shape for part in shown(iter([X, X[:3]]))] == [(50,), (3,)]
    net.save(tmp_path / "net.safetensors")
    np.testing.assert_array_equal(
        Network.load(tmp_path / "net.safetensors", loss=None).predict(X), net.predict(X)
    )
    assert net.score(X, y) == pytest.approx(net.score(X, y[:, None]))
    net.fit(X, y[:, None], epochs=1, progress=False)
    assert net.predict(X).shape == (50, 1)


# ------------------------------------------------------------------------------------ iterators of batches


def test_an_iterator_of_batches_is_answered_batch_by_batch(backend: Any) -> None:
    net, asked = classifier(), []

    def batches():
        for i in range(0, 50, 20):
            asked.append(i)
            yield backend.asarray(X[i : i + 20])

    found = net.predict(batches())
    assert isinstance(found, GeneratorType)
    assert not asked
    first = next(found)
    assert asked == [0]
    assert type(first) is type(backend.asarray(X))
    rest = [backend.to_numpy(y) for y in found]
    np.testing.assert_array_equal(np.concatenate([backend.to_numpy(first), *rest]), net.predict(X))
    shown = net.predict_proba(iter([X[:20], X[20:].tolist()]), batch_size=3)
    assert [y.shape for y in shown] == [(20, 3), (30, 3)]


def test_a_list_of_lists_is_one_array() -> None:
    assert classifier().predict([[0.0] * 4, [1.0] * 4]).shape == (2,)


def test_iterators_are_answered_by_the_parameters_of_the_call() -> None:
    net = classifier()
    before, found = net.predict_proba(X), net.predict_proba(iter([X, X]))
    next(found)
    net.fit(X, LABELS, epochs=1, progress=False)
    np.testing.assert_array_equal(next(found), before)


def test_errors_of_iterators() -> None:
    values = Network([nn.Linear(4, 1)], loss=losses.squared_error)
    with pytest.raises(TypeError, match="which have no probabilities"):
        values.predict_proba(iter([X]))
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        values.predict(iter([X]), batch_size=0)
    found = values.predict(iter([X, X[:, :3]]))
    next(found)
    with pytest.raises(ValueError, match=r"^batch 1: "):
        next(found)


# --------------------------------------------------------------------------------------------- measures


def measured(net: Network, x: Any, y: Any, **options: Any) -> tuple[Any, Any]:
    return net.evaluate(x, y, **options), net.score(x, y, **options)


ONE_HOT = np.eye(3, dtype=np.float32)[LABELS]
CASES = {
    "labels": (losses.softmax_cross_entropy, LABELS),
    "one-hot": (losses.softmax_cross_entropy, ONE_HOT),
    "smoothed": (partial(losses.softmax_cross_entropy, label_smoothing=0.1), LABELS),
    "ignored": (partial(losses.softmax_cross_entropy, ignore_index=2), LABELS),
    "weighed": (
        partial(losses.softmax_cross_entropy, class_weights=np.float32([1.0, 5.0, 0.25])),
        np.sort(LABELS),
    ),
    "both": (
        partial(losses.softmax_cross_entropy, class_weights=np.float32([1.0, 5.0, 0.25]), ignore_index=1),
        np.sort(LABELS),
    ),
    "several": (losses.sigmoid_cross_entropy, ONE_HOT),
    "values": (losses.squared_error, X[:, :3] + 1000.0),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_measures_of_batches_are_those_of_the_whole(backend: Any, case: str, weighted: bool) -> None:
    loss, y = CASES[case]
    net = classifier(loss=_on(backend, loss), backend=backend.backend)
    options = {"sample_weight": WEIGHT} if weighted else {}
    logs, score = measured(net, X, y, **options)
    for size in (1, 7, 49):
        parts, found = measured(net, X, y, batch_size=size, **options)
        assert parts == pytest.approx(logs, rel=2e-5)
        assert found == pytest.approx(score, rel=1e-6)
        if not weighted and "accuracy" in logs:
            assert parts["accuracy"] == logs["accuracy"] == score


def _on(backend: Any, loss: Any) -> Any:
    """A loss whose options lie on the backend."""
    if not hasattr(loss, "keywords"):
        return loss
    options = {n: backend.asarray(v) if hasattr(v, "shape") else v for n, v in loss.keywords.items()}
    return partial(loss.func, **options)


@pytest.mark.parametrize("size", [1, 7, None])
def test_r2_is_that_of_the_metrics_in_float64(size: int | None) -> None:
    net = Network([nn.Linear(4, 3)], loss=losses.squared_error)
    y = X[:, :3] + 0.1 * X[:, 1:4] + 1e4
    net.params = ({**net.params[0], "bias": np.float32([1e4, 1e4, 1e4])},)
    for weight in (None, WEIGHT):
        wanted = metrics.r2(y.astype(float), net.predict(X).astype(float), sample_weight=weight)
        found = net.score(X, y, sample_weight=weight, batch_size=size)
        assert found == pytest.approx(float(wanted), rel=1e-7)


@pytest.mark.parametrize("size", [7, None])
def test_r2_of_a_constant_is_all_or_nothing(size: int | None) -> None:
    net = Network([nn.Linear(4, 1)], loss=losses.squared_error)
    y = np.full((50, 1), 0.1, dtype=np.float32)
    assert net.score(X, y, batch_size=size) == 0.0
    net.params = tree.map(lambda p: p * 0 + (np.float32(0.1) if p.shape == (1,) else 0), net.params)
    assert net.score(X, y, batch_size=size) == 1.0


def test_r2_needs_two_samples() -> None:
    net = Network([nn.Linear(4, 1)], loss=losses.squared_error)
    with pytest.raises(ValueError, match="needs at least 2 samples, got 1"):
        net.score(X[:1], [[1.0]])


def test_batches_that_count_for_nothing_are_left_out() -> None:
    """A loss of one's own may divide by the sum of the weights."""

    def mean(predictions, targets, *, sample_weight=None):
        w = ops.ones_like(predictions[:, 0]) if sample_weight is None else sample_weight
        with np.errstate(invalid="ignore"):
            return ops.sum(w * ops.mean(ops.square(predictions - targets), axis=1)) / ops.sum(w)

    net = Network([nn.Linear(4, 3)], loss=losses.Loss(mean, task=losses.Task.VALUES))
    weight = np.where(np.arange(50) < 20, 0.0, 1.0)
    found = net.evaluate(X, X[:, :3], sample_weight=weight, batch_size=10)
    assert found["loss"] == pytest.approx(net.evaluate(X[20:], X[20:, :3])["loss"], rel=1e-5)
    assert net.score(X, X[:, :3], sample_weight=weight, batch_size=10) == pytest.approx(
        net.score(X[20:], X[20:, :3]), rel=1e-6
    )


def test_an_infinite_loss_stays_infinite_and_nan_is_an_error() -> None:
    bad = losses.Loss(lambda p, t: ops.sum(p) * float("nan"), task=losses.Task.VALUES)
    net = Network([nn.Linear(4, 1)], loss=bad)
    with pytest.raises(ValueError, match="evaluate: the loss is NaN"):
        net.evaluate(X, X[:, :1], batch_size=7)
    huge = losses.Loss(lambda p, t: ops.sum(ops.abs(p)) * float("inf"), task=losses.Task.VALUES)
    assert Network([nn.Linear(4, 1)], loss=huge).evaluate(X, X[:, :1], batch_size=7) == {"loss": np.inf}


def test_validation_goes_by_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    net, seen = counted(nn.Linear(4, 3))
    monkeypatch.setattr(_predict, "_SMALL", 0)
    monkeypatch.setattr(_predict, "_HOST", 8 * 40)
    monkeypatch.setattr(_predict, "_FEW", 1)
    history = net.fit(X[:8], LABELS[:8], epochs=1, progress=False, validation_data=(X, LABELS), compile=False)
    assert set(seen) <= {1, 8, 2}, seen
    assert history["val_loss"] == [pytest.approx(net.evaluate(X, LABELS)["loss"], rel=1e-6)]


# ---------------------------------------------------------------------------- activations and gradients


def test_activations_of_batches_are_those_of_the_whole(backend: Any) -> None:
    net = classifier(backend=backend.backend)
    x = backend.asarray(X)
    whole = net.activations(x)
    for size in (1, 7, 49):
        parts = net.activations(x, batch_size=size)
        assert list(parts) == list(whole)
        for name, y in parts.items():
            assert type(y) is type(whole[name])
            np.testing.assert_allclose(
                backend.to_numpy(y), backend.to_numpy(whole[name]), rtol=1e-5, atol=1e-6
            )


@dataclass(frozen=True)
class Positions(nn.Layer):
    """Adds an embedding of the positions, which has no axis for samples."""

    layer: nn.Layer

    @property
    def members(self):
        return (self.layer,)

    def init(self, rng, dtype="float32"):
        return self.layer.init(rng, dtype)

    def forward(self, params, state, x, *, training=False, key=None):
        places, _ = self.layer.forward(
            params,
            (),
            ops.asarray(list(range(x.shape[1])), like=x, dtype="int64"),
            training=training,
            key=key,
        )
        return x + places, state


def test_what_has_no_axis_of_samples_is_there_once() -> None:
    net = Network([Positions(nn.Embedding(5, 4)), nn.Linear(4, 3)])
    x = RNG.normal(size=(50, 5, 4)).astype(np.float32)
    whole = net.activations(x)
    for size in (5, 7, 1):
        parts = net.activations(x, batch_size=size)
        assert {n: y.shape for n, y in parts.items()} == {n: y.shape for n, y in whole.items()}


@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_in_parts_are_those_of_the_whole(backend: Any, weighted: bool) -> None:
    net = classifier(backend=backend.backend)
    options = {"sample_weight": WEIGHT} if weighted else {}
    whole = net.gradients(X, LABELS, **options)
    for size in (7, 49):
        parts = net.gradients(X, LABELS, batch_size=size, **options)
        for a, b in zip(tree.leaves(parts), tree.leaves(whole), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7)


def test_gradients_of_batch_statistics_see_all_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_predict, "_HOST", 1)
    net, seen = counted(nn.BatchNorm(4), nn.Linear(4, 3))
    net.gradients(X, LABELS)
    assert max(seen) == 50
    net, seen = counted(nn.Linear(4, 3))
    net.gradients(X, LABELS)
    assert max(seen) == 1


# ---------------------------------------------------------------------------------------------- memory


def megabytes(*arguments: str) -> float:
    """The peak of a process of its own above what it has before the data."""
    command = [sys.executable, "-m", "tests.benchmarks.bench_batches", *arguments]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(json.loads(found.stdout)["megabytes"])


@pytest.mark.parametrize("what", ["predict", "evaluate"])
def test_the_memory_of_predictions_is_bounded(what: str) -> None:
    assert megabytes(what, "1500") <= 100  # as much for any number: the rest are images


def test_the_memory_of_validation_is_bounded() -> None:
    assert megabytes("fit", "1500", "pooled") <= 150
    assert megabytes("fit", "1500") <= megabytes("alone", "1500") + 30
