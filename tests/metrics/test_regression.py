"""Predicted values: equal to scikit-learn's, on every backend."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays

from portnn import metrics
from tests.helpers import assert_close

ERRORS = {
    "mean_absolute_error": (metrics.mean_absolute_error, sk.mean_absolute_error),
    "mean_squared_error": (metrics.mean_squared_error, sk.mean_squared_error),
    "root_mean_squared_error": (metrics.root_mean_squared_error, sk.root_mean_squared_error),
    "r2": (metrics.r2, sk.r2_score),
}
OUTPUTS = ["uniform_average", "raw_values"]


@st.composite
def values(draw: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Two arrays of quarters, whose sums are exact, so that a constant has a variance of exactly zero."""
    n = draw(st.integers(2, 4).map(lambda i: 2**i))
    shape = draw(st.sampled_from([(n,), (n, 1), (n, 3)]))
    quarters = st.integers(-400, 400).map(lambda i: i / 4)
    pair = [draw(arrays(np.float64, shape, elements=quarters)) for _ in range(2)]
    return (
        pair[0],
        pair[1],
        draw(st.none() | arrays(np.float64, n, elements=st.sampled_from([0.5, 1.0, 2.0]))),
    )


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.parametrize("multioutput", OUTPUTS)
@settings(max_examples=25)
@given(data=values())
def test_errors_are_scikit_learns(name: str, multioutput: Any, data: Any) -> None:
    mine, theirs = ERRORS[name]
    t, p, w = data
    expected = np.asarray(theirs(t, p, sample_weight=w, multioutput=multioutput), dtype=np.float64)
    if t.ndim == 1 and multioutput == "raw_values":
        expected = expected.reshape(())  # one output of one column has no axis here
    actual = mine(t, p, sample_weight=w, multioutput=multioutput)
    assert_close(actual, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("prediction", "expected"), [([2.0, 2.0, 2.0], 1.0), ([2.0, 2.0, 3.0], 0.0)])
def test_r2_of_a_constant_truth(prediction: list[float], expected: float) -> None:
    truth = np.full(3, 2.0)
    assert metrics.r2(truth, np.asarray(prediction)) == expected == sk.r2_score(truth, prediction)


def test_integers_are_values_too() -> None:
    t, p = np.asarray([1, 2, 250], dtype=np.uint8), np.asarray([3, 2, 1], dtype=np.uint8)
    expected = np.asarray(sk.mean_absolute_error(t.astype(float), p.astype(float)))
    assert_close(metrics.mean_absolute_error(t, p), expected, rtol=1e-12)


@pytest.mark.parametrize("name", ERRORS)
def test_on_every_backend(backend: Any, name: str) -> None:
    mine, theirs = ERRORS[name]
    rng = np.random.default_rng(0)
    t, p = rng.normal(size=(2, 100, 3)).astype(np.float32)
    w = rng.uniform(0.5, 2.0, 100).astype(np.float32)
    arrays_ = [backend.asarray(a) for a in (t, p)]
    for multioutput in OUTPUTS:
        options: dict[str, Any] = {"multioutput": multioutput}
        expected = np.asarray(theirs(t, p, sample_weight=w, **options), dtype=np.float32)
        actual = mine(*arrays_, sample_weight=backend.asarray(w), **options)
        assert_close(actual, expected, rtol=2e-5, backend=backend)


def test_inside_jax_jit() -> None:
    jax = pytest.importorskip("jax")
    t, p = jax.numpy.asarray([[1.0, 2.0], [3.0, 5.0]])
    for mine, _ in ERRORS.values():
        assert_close(jax.jit(mine)(t, p), mine(t, p), rtol=1e-6)
