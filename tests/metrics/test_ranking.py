"""Average precision: equal to scikit-learn's, on every backend."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given
from hypothesis.extra.numpy import arrays

from portnn import metrics
from tests.helpers import assert_close

AVERAGES = ["macro", "weighted", "micro", None]


@st.composite
def ranked(draw: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Labels, scores on a grid (so that ties are common), and weights or None."""
    n, labels = draw(st.integers(2, 20)), draw(st.integers(2, 4))
    t = draw(arrays(np.uint8, (n, labels), elements=st.integers(0, 1)))
    t[draw(st.integers(0, n - 1))] = 1
    scores = draw(arrays(np.float64, (n, labels), elements=st.integers(-3, 3).map(float)))
    positive = st.integers(1, 64).map(lambda i: i / 16)
    return t, scores, draw(st.none() | arrays(np.float64, n, elements=positive))


@given(ranked(), st.sampled_from(AVERAGES))
def test_average_precision_is_scikit_learns(data: Any, average: Any) -> None:
    t, scores, w = data
    actual = metrics.average_precision(t, scores, average=average, sample_weight=w)
    expected = sk.average_precision_score(t, scores, average=average, sample_weight=w)
    assert_close(actual, np.asarray(expected, dtype=np.float64), rtol=1e-12)


@given(ranked())
def test_one_label_is_scikit_learns(data: Any) -> None:
    t, scores, w = data
    actual = metrics.average_precision(t[:, 0] > 0, scores[:, 0], sample_weight=w)
    expected = sk.average_precision_score(t[:, 0], scores[:, 0], sample_weight=w)
    assert_close(actual, np.asarray(expected, dtype=np.float64), rtol=1e-12)


def test_extremes() -> None:
    """A perfect order has 1, the worst with one true of four 1/4; infinite logits are scores like others."""
    t = np.asarray([1, 0, 0, 0])
    for score, expected in (([np.inf, 1.0, 0.0, -np.inf], 1.0), ([0.0, 1.0, 2.0, 3.0], 0.25)):
        assert float(metrics.average_precision(t, np.asarray(score))) == expected


def test_a_label_that_is_never_true_has_zero() -> None:
    t, scores = np.asarray([[1, 0], [0, 0]]), np.asarray([[0.9, 0.2], [0.1, 0.3]])
    assert metrics.average_precision(t, scores, average=None).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("labels", [1, 2, 3])
@pytest.mark.parametrize("average", AVERAGES)
def test_shapes(labels: int, average: Any) -> None:
    """A column for each label, also if there is one; without an average the result has one for each."""
    t, scores, w = TRUE[:, :labels], SCORES[:, :labels], WEIGHT
    each = [sk.average_precision_score(t[:, k], scores[:, k], sample_weight=w) for k in range(labels)]
    actual = metrics.average_precision(t, scores, average=average, sample_weight=w)
    assert actual.shape == (() if average else (labels,))
    if average in (None, "macro") or labels == 1:
        np.testing.assert_allclose(actual, np.mean(each) if average else each, rtol=1e-5)
    one_axis = metrics.average_precision(t[:, 0], scores[:, 0], average=average, sample_weight=w)
    assert one_axis.shape == (), "with one axis there is one label, whatever the average"
    np.testing.assert_allclose(one_axis, each[0], rtol=1e-5)


rng = np.random.default_rng(0)
TRUE = rng.integers(0, 2, (200, 3))
SCORES = (rng.integers(-8, 8, (200, 3)) + TRUE).astype(np.float32)
WEIGHT = rng.uniform(0.5, 2.0, 200).astype(np.float32)


@pytest.mark.parametrize("average", AVERAGES)
def test_on_every_backend(backend: Any, average: Any) -> None:
    t, scores, w = (backend.asarray(a) for a in (TRUE, SCORES, WEIGHT))
    expected = sk.average_precision_score(TRUE, SCORES, average=average, sample_weight=WEIGHT)
    actual = metrics.average_precision(t, scores, average=average, sample_weight=w)
    assert_close(actual, np.asarray(expected, dtype=np.float32), rtol=1e-5, backend=backend)


def test_inside_jax_jit() -> None:
    jax = pytest.importorskip("jax")
    t, scores = jax.numpy.asarray(TRUE), jax.numpy.asarray(SCORES)
    expected = metrics.average_precision(t, scores)
    assert_close(jax.jit(metrics.average_precision)(t, scores), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"y_true": TRUE * 2}, ValueError, "y_true of shape .* holds other values"),
        ({"y_true": TRUE * 1.0}, TypeError, "y_true must hold integer labels"),
        ({"y_true": TRUE[:, 0]}, ValueError, "they must be equal"),
        ({"y_true": TRUE[:, :, None], "y_score": SCORES[:, :, None]}, ValueError, r"got \(200, 3, 1\)"),
        ({"y_true": TRUE[:, :0], "y_score": SCORES[:, :0]}, ValueError, r"\(n, labels\), got \(200, 0\)"),
        (
            {"y_true": TRUE[:0], "y_score": SCORES[:0], "sample_weight": None},
            ValueError,
            "empty|at least one",
        ),
        ({"y_true": TRUE[0, 0], "y_score": SCORES[0, 0], "sample_weight": None}, ValueError, "axis|axes|0-d"),
        ({"sample_weight": WEIGHT[:-1]}, ValueError, "sample_weight"),
        ({"sample_weight": WEIGHT[:, None]}, ValueError, "sample_weight"),
        ({"y_score": TRUE}, TypeError, "y_score must be floating-point"),
        ({"y_score": SCORES * np.nan}, ValueError, "y_score holds NaN"),
        ({"average": "samples"}, ValueError, "average must be one of"),
        ({"sample_weight": -WEIGHT}, ValueError, "negative weights"),
    ],
)
def test_errors(change: dict[str, Any], error: type[Exception], text: str) -> None:
    given: dict[str, Any] = {"y_true": TRUE, "y_score": SCORES, **change}
    with pytest.raises(error, match=text):
        metrics.average_precision(given.pop("y_true"), given.pop("y_score"), **given)
