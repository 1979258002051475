"""Scores and probabilities: equal to scikit-learn's, on every backend."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given
from hypothesis.extra.numpy import arrays

from portnn import metrics
from portnn.autodiff import grad
from tests.helpers import assert_close


@st.composite
def scored(draw: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Labels, positive scores on a grid (so that ties are common), and weights or None."""
    n, classes = draw(st.integers(1, 20)), draw(st.integers(3, 8))
    t = draw(arrays(np.uint8, n, elements=st.integers(0, classes - 1)))
    scores = draw(arrays(np.float64, (n, classes), elements=st.integers(0, 4).map(float)))
    positive = st.integers(1, 64).map(lambda i: i / 16)
    return t, scores, draw(st.none() | arrays(np.float64, n, elements=positive))


@given(scored(), st.integers(1, 3), st.booleans())
def test_top_k_accuracy_is_scikit_learns(data: Any, k: int, normalize: bool) -> None:
    t, scores, w = data
    if k == scores.shape[1]:
        k -= 1  # scikit-learn warns that this is always right
    actual = metrics.top_k_accuracy(t, scores, k=k, normalize=normalize, sample_weight=w)
    options = {"labels": range(scores.shape[1]), "normalize": normalize, "sample_weight": w}
    expected = sk.top_k_accuracy_score(t, scores, k=k, **options)
    assert_close(actual, np.asarray(expected, dtype=np.float64), rtol=1e-12)


@given(scored())
def test_log_loss_is_scikit_learns(data: Any) -> None:
    t, scores, w = data
    scores = scores + (scores.sum(axis=1, keepdims=True) == 0)
    p = scores / scores.sum(axis=1, keepdims=True)
    expected = sk.log_loss(t, p, labels=range(p.shape[1]), sample_weight=w)
    actual = metrics.log_loss(t, p, sample_weight=w)
    assert_close(actual, np.asarray(expected, dtype=np.float64), rtol=1e-12, atol=1e-15)


@given(arrays(np.float64, st.integers(1, 20), elements=st.floats(0, 1)), st.data())
def test_log_loss_of_two_classes_is_scikit_learns(p: np.ndarray, data: Any) -> None:
    t = data.draw(arrays(np.bool_, p.shape[0]))
    expected = np.asarray(sk.log_loss(t, p, labels=[False, True]), dtype=np.float64)
    assert_close(metrics.log_loss(t, p), expected, rtol=1e-12, atol=1e-15)


def test_a_sure_and_wrong_answer_costs_no_infinity() -> None:
    for dtype in (np.float32, np.float64):
        p = np.asarray([[1.0, 0.0]], dtype=dtype)
        expected = np.asarray(-np.log(np.finfo(dtype).eps), dtype=dtype)
        assert_close(metrics.log_loss(np.asarray([1]), p), expected, rtol=1e-6)


def test_a_sure_and_right_answer_costs_the_rounding_error() -> None:
    for dtype in (np.float32, np.float64):
        p = np.asarray([[1.0, 0.0]], dtype=dtype)
        expected = np.asarray(sk.log_loss([0], p, labels=[0, 1]), dtype=dtype)
        assert expected > 0
        assert_close(metrics.log_loss(np.asarray([0]), p), expected, rtol=1e-6)


rng = np.random.default_rng(0)
TRUE = rng.integers(0, 5, 200)
PROBABILITIES = rng.dirichlet(np.ones(5), 200).astype(np.float32)
WEIGHT = rng.uniform(0.5, 2.0, 200).astype(np.float32)


def test_on_every_backend(backend: Any) -> None:
    t, p, w = (backend.asarray(a) for a in (TRUE, PROBABILITIES, WEIGHT))
    expected = np.asarray(sk.log_loss(TRUE, PROBABILITIES, sample_weight=WEIGHT), dtype=np.float32)
    assert_close(metrics.log_loss(t, p, sample_weight=w), expected, rtol=1e-5, backend=backend)
    two = np.asarray(sk.log_loss(TRUE > 2, PROBABILITIES[:, 0]), dtype=np.float32)
    assert_close(metrics.log_loss(backend.asarray(TRUE > 2), p[:, 0]), two, rtol=1e-5, backend=backend)
    expected = np.asarray(sk.top_k_accuracy_score(TRUE, PROBABILITIES, k=3), dtype=np.float32)
    assert_close(metrics.top_k_accuracy(t, p, k=3), expected, rtol=1e-6, backend=backend)


def test_log_loss_has_a_gradient() -> None:
    t, p = TRUE[:6], PROBABILITIES[:6].astype(np.float64)
    expected = np.zeros_like(p)
    expected[np.arange(6), t] = -1 / (6 * p[np.arange(6), t])
    assert_close(grad(lambda q: metrics.log_loss(t, q))(p), expected, rtol=1e-12)


def test_inside_jax_jit() -> None:
    jax = pytest.importorskip("jax")
    t, p = jax.numpy.asarray(TRUE), jax.numpy.asarray(PROBABILITIES)
    assert_close(jax.jit(metrics.log_loss)(t, p), metrics.log_loss(t, p), rtol=1e-6)
    assert_close(jax.jit(metrics.top_k_accuracy)(t, p), metrics.top_k_accuracy(t, p), rtol=1e-6)
