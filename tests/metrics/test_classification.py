"""Labels against labels: equal to scikit-learn's, on every backend."""

from __future__ import annotations

import tracemalloc
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays

from portnn import metrics
from tests.helpers import assert_close

RATIOS = {
    "precision": (metrics.precision, sk.precision_score),
    "recall": (metrics.recall, sk.recall_score),
    "f1": (metrics.f1, sk.f1_score),
}
AVERAGES = ["micro", "macro", "weighted", None]

DTYPES = st.sampled_from(["uint8", "int8", "int32", "int64"])


@st.composite
def weights(draw: Any, n: int) -> np.ndarray | None:
    """No weights, or float64 ones without zeros (a class of zero weight is another test)."""
    values = st.integers(1, 64).map(lambda i: i / 16)
    return draw(st.none() | arrays(np.float64, n, elements=values))


@st.composite
def labels(draw: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Two arrays of labels, in two dtypes, some classes missing, with or without weights."""
    n, classes = draw(st.integers(1, 30)), draw(st.integers(1, 12))
    pair = [draw(arrays(draw(DTYPES), n, elements=st.integers(0, classes - 1))) for _ in range(2)]
    return pair[0], pair[1], draw(weights(n))


@st.composite
def indicators(draw: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Two matrices of several labels per sample; two columns at least, or scikit-learn sees one label."""
    shape = draw(st.integers(1, 20)), draw(st.integers(2, 6))
    pair = [draw(arrays(np.int64, shape, elements=st.integers(0, 1))) for _ in range(2)]
    return pair[0], pair[1], draw(weights(shape[0]))


def equal(actual: Any, expected: Any) -> None:
    """Equal to what scikit-learn returned, in float64."""
    assert_close(actual, np.asarray(expected, dtype=np.float64), rtol=1e-12, atol=1e-15)


@given(labels(), st.booleans())
def test_accuracy_is_scikit_learns(data: Any, normalize: bool) -> None:
    t, p, w = data
    actual = metrics.accuracy(t, p, normalize=normalize, sample_weight=w)
    equal(actual, sk.accuracy_score(t, p, normalize=normalize, sample_weight=w))


@given(indicators(), st.booleans())
def test_accuracy_of_several_labels_is_subset_accuracy(data: Any, normalize: bool) -> None:
    t, p, w = data
    actual = metrics.accuracy(t, p, normalize=normalize, sample_weight=w)
    equal(actual, sk.accuracy_score(t, p, normalize=normalize, sample_weight=w))


@given(labels(), st.booleans())
def test_confusion_matrix_is_scikit_learns(data: Any, given_count: bool) -> None:
    t, p, w = data
    n = int(max(t.max(), p.max())) + 1
    if n == 1 or given_count:  # scikit-learn warns of a matrix of one class
        n, given_count = 15, True
    actual = metrics.confusion_matrix(t, p, n_classes=n if given_count else None, sample_weight=w)
    expected = sk.confusion_matrix(t, p, labels=range(n), sample_weight=w)
    assert_close(actual, expected, rtol=1e-12)


def test_small_integers_do_not_overflow() -> None:
    t, p = np.full(300, 200, dtype=np.uint8), np.full(300, 199, dtype=np.uint8)
    matrix = metrics.confusion_matrix(t, p)
    assert matrix.shape == (201, 201)
    assert matrix[200, 199] == matrix.sum() == 300


@pytest.mark.parametrize("name", RATIOS)
@pytest.mark.parametrize("average", AVERAGES)
@settings(max_examples=25)
@given(data=labels())
def test_ratios_are_scikit_learns(name: str, average: Any, data: Any) -> None:
    mine, theirs = RATIOS[name]
    t, p, w = data
    n = int(max(t.max(), p.max())) + 1
    which = {"labels": range(n)} if average is None else {}
    expected = theirs(t, p, average=average, sample_weight=w, zero_division=0, **which)
    equal(mine(t, p, average=average, sample_weight=w), expected)
    if average is not None:  # the number of classes changes no average
        equal(mine(t, p, average=average, sample_weight=w, n_classes=20), expected)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", RATIOS)
def test_ratios_of_many_classes_need_little_memory(name: str, weighted: bool) -> None:
    mine, theirs = RATIOS[name]
    draw = np.random.default_rng(0)
    t, p = draw.integers(0, 100_000, (2, 20_000))
    p = np.where(draw.uniform(size=20_000) < 0.5, t, p)
    w = draw.uniform(0.5, 2.0, 20_000) if weighted else None
    for average in ("macro", "weighted", "micro"):
        tracemalloc.start()
        found = mine(t, p, average=average, sample_weight=w)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 20e6  # a matrix of the classes has 80 GB, and one of samples and classes 16 GB
        equal(found, theirs(t, p, average=average, sample_weight=w, zero_division=0))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", RATIOS)
def test_averages_of_huge_labels_need_little_memory(name: str, weighted: bool, backend: Any) -> None:
    """Hashes and article numbers as labels: only those that occur count."""
    mine, theirs = RATIOS[name]
    t = np.asarray([5, 2**30, 2**30, 7, 2**31 - 1, 5], np.int32)
    p = np.asarray([5, 2**30, 7, 7, 5, 2**31 - 1], np.int32)
    w = np.asarray([1.0, 0.5, 2.0, 0.25, 1.5, 1.0], np.float32) if weighted else None
    given = [None if a is None else backend.asarray(a) for a in (t, p, w)]
    for average in ("macro", "weighted", "micro"):
        expected = theirs(t, p, average=average, sample_weight=w, zero_division=0)
        found = mine(given[0], given[1], average=average, sample_weight=given[2])
        np.testing.assert_allclose(float(found), expected, rtol=1e-6)


def test_weighted_confusion_matrices_need_no_column_a_class() -> None:
    draw = np.random.default_rng(0)
    t, p = draw.integers(0, 500, (2, 20_000))
    w = draw.uniform(0.5, 2.0, 20_000)
    tracemalloc.start()
    found = metrics.confusion_matrix(t, p, sample_weight=w)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6  # the matrix itself has 2 MB, one of samples and classes 80 MB
    assert_close(found, sk.confusion_matrix(t, p, sample_weight=w), rtol=1e-12)


def test_a_confusion_matrix_whose_cells_have_no_numbers_is_refused() -> None:
    with pytest.raises(ValueError, match=r"n_classes=4000000000 needs more cells than int64 can number"):
        metrics.confusion_matrix(np.asarray([0, 1]), np.asarray([1, 1]), n_classes=4_000_000_000)


@pytest.mark.parametrize("name", RATIOS)
@pytest.mark.parametrize("average", [*AVERAGES, "samples"])
@settings(max_examples=25)
@given(data=indicators())
def test_ratios_of_several_labels_are_scikit_learns(name: str, average: Any, data: Any) -> None:
    mine, theirs = RATIOS[name]
    t, p, w = data
    expected = theirs(t, p, average=average, sample_weight=w, zero_division=0)
    equal(mine(t, p, average=average, sample_weight=w), expected)


@pytest.mark.parametrize("name", RATIOS)
@given(data=arrays(np.bool_, st.tuples(st.just(2), st.integers(1, 20))))
def test_binary_ratios_are_scikit_learns(name: str, data: np.ndarray) -> None:
    mine, theirs = RATIOS[name]
    t, p = data
    equal(mine(t, p, average="binary"), theirs(t, p, average="binary", zero_division=0))


def test_a_sample_of_weight_zero_is_as_good_as_left_out() -> None:
    t, p, w = np.asarray([0, 1, 2, 2]), np.asarray([0, 1, 0, 1]), np.asarray([1.0, 2.0, 0.0, 0.0])
    for mine in (metrics.precision, metrics.recall, metrics.f1):
        assert mine(t, p, sample_weight=w) == mine(t[:2], p[:2], sample_weight=w[:2]) == 1.0


def on(backend: Any, *arrays: np.ndarray) -> list[Any]:
    return [backend.asarray(a) for a in arrays]


def defaults(backend: Any) -> dict[str, Any]:
    """The default dtypes of the device."""
    return backend.xp.__array_namespace_info__().default_dtypes(device=backend.device)


def default_float(backend: Any) -> str:
    """The name of the dtype that unweighted scores have."""
    return "float32" if defaults(backend)["real floating"] == backend.xp.float32 else "float64"


rng = np.random.default_rng(0)
TRUE, PRED = rng.integers(0, 5, 200), rng.integers(0, 5, 200)
WEIGHT = rng.uniform(0.5, 2.0, 200).astype(np.float32)


def test_accuracy_on_every_backend(backend: Any) -> None:
    t, p, w = on(backend, TRUE, PRED, WEIGHT)
    expected = np.asarray(sk.accuracy_score(TRUE, PRED), dtype=default_float(backend))
    assert_close(metrics.accuracy(t, p), expected, rtol=1e-6, backend=backend)
    expected = np.asarray(sk.accuracy_score(TRUE, PRED, sample_weight=WEIGHT), dtype=np.float32)
    assert_close(metrics.accuracy(t, p, sample_weight=w), expected, rtol=1e-6, backend=backend)


def test_confusion_matrix_on_every_backend(backend: Any) -> None:
    t, p, w = on(backend, TRUE, PRED, WEIGHT)
    counts = metrics.confusion_matrix(t, p)
    assert counts.dtype == defaults(backend)["integral"]
    assert backend.to_numpy(counts).tolist() == sk.confusion_matrix(TRUE, PRED).tolist()
    expected = sk.confusion_matrix(TRUE, PRED, sample_weight=WEIGHT).astype(np.float32)
    assert_close(metrics.confusion_matrix(t, p, sample_weight=w), expected, rtol=1e-5, backend=backend)


@pytest.mark.parametrize("average", AVERAGES)
def test_ratios_on_every_backend(backend: Any, average: Any) -> None:
    t, p, w = on(backend, TRUE, PRED, WEIGHT)
    several_t, several_p = on(backend, TRUE.reshape(-1, 4) > 1, PRED.reshape(-1, 4) > 1)
    for mine, theirs in RATIOS.values():
        expected = np.asarray(theirs(TRUE, PRED, average=average), dtype=default_float(backend))
        assert_close(mine(t, p, average=average, n_classes=5), expected, rtol=1e-6, backend=backend)
        expected = np.asarray(theirs(TRUE, PRED, average=average, sample_weight=WEIGHT), dtype=np.float32)
        assert_close(mine(t, p, average=average, sample_weight=w), expected, rtol=1e-5, backend=backend)
        pair = TRUE.reshape(-1, 4) > 1, PRED.reshape(-1, 4) > 1
        expected = np.asarray(theirs(*pair, average=average), dtype=default_float(backend))
        assert_close(mine(several_t, several_p, average=average), expected, rtol=1e-6, backend=backend)


def test_everything_runs_inside_jax_jit() -> None:
    jax = pytest.importorskip("jax", reason="JAX is optional")
    t, p, w = jax.numpy.asarray(TRUE), jax.numpy.asarray(PRED), jax.numpy.asarray(WEIGHT)

    def all_of_them(t: Any, p: Any, w: Any) -> list[Any]:
        return [
            metrics.accuracy(t, p, sample_weight=w),
            metrics.confusion_matrix(t, p, n_classes=5),
            metrics.confusion_matrix(t, p, n_classes=5, sample_weight=w),
            *[f(t, p, n_classes=5, average=a) for f, _ in RATIOS.values() for a in AVERAGES],
        ]

    for compiled, eager in zip(jax.jit(all_of_them)(t, p, w), all_of_them(t, p, w), strict=True):
        assert_close(compiled, eager, rtol=1e-6)
    with pytest.raises(ValueError, match="n_classes must be given"):
        jax.jit(metrics.confusion_matrix)(t, p)
