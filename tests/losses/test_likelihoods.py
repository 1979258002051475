"""Losses of angles and of distributions: cosine distance, and negative log-likelihoods."""

from functools import partial
from math import log

import numpy as np
import pytest

from portnn import losses
from portnn.autodiff import grad, vjp
from portnn.testing import check_gradients
from tests.helpers import assert_close
from tests.losses.elements import COUNTS, WEIGHT, V, X, Y


def cosine(x, y):
    norms = np.linalg.norm(x, axis=-1) * np.linalg.norm(y, axis=-1)
    return 1 - np.sum(x * y, axis=-1) / norms


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cosine_distance(reduction, backend):
    expected = {"mean": np.mean, "sum": np.sum, "none": np.asarray}[reduction](cosine(X, Y))
    found = losses.cosine_distance(
        backend.asarray(X, "float32"), backend.asarray(Y, "float32"), reduction=reduction
    )
    assert_close(found, np.asarray(expected, dtype=np.float32), rtol=1e-5, backend=backend)
    if backend.has_float64:
        both = (backend.asarray(X), backend.asarray(Y))
        check_gradients(partial(losses.cosine_distance, reduction=reduction), both)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_cosine_of_what_is_not_finite_is_not_finite(bad):
    x = np.asarray([[bad, 1.0], [1.0, 2.0]])
    with np.errstate(invalid="ignore"):
        found = losses.cosine_distance(x, np.ones((2, 2)), reduction="none")
    assert np.isnan(found).tolist() == [True, False]


def test_cosine_distance_at_zero_and_far_out():
    x = np.asarray([[0, 0], [3, 4], [0, 0], [3e30, 4e30], [3e-30, 4e-30], [1e-42, 0]], dtype=np.float32)
    t = np.asarray([[1, 0], [0, 0], [0, 0], [4e30, 3e30], [4e30, 3e30], [1, 0]], dtype=np.float32)
    y, pullback = vjp(partial(losses.cosine_distance, reduction="none"), x, t)
    np.testing.assert_allclose(y, [1, 1, 1, 0.04, 0.04, 1], atol=2e-7)
    dx, dt = pullback(np.ones(6, dtype=np.float32))
    assert np.all(np.isfinite(dx))
    assert np.all(np.isfinite(dt))
    assert not np.any(dx[:3])
    assert not np.any(dt[:3])


def test_cosine_distance_does_not_know_the_scale():
    expected = losses.cosine_distance(X, Y, reduction="none")
    np.testing.assert_allclose(
        losses.cosine_distance(X * 1e100, Y * 1e-100, reduction="none"), expected, rtol=1e-13
    )
    radial = grad(lambda x: losses.cosine_distance(x, Y))(X) * X
    assert np.max(np.abs(np.sum(radial, axis=1))) < 1e-15


def test_cosine_sample_weights():
    found = losses.cosine_distance(X, Y, sample_weight=WEIGHT)
    np.testing.assert_allclose(found, np.average(cosine(X, Y), weights=WEIGHT), rtol=1e-13)


def test_poisson_of_rates(backend):
    rates = np.exp(X)
    expected = rates - COUNTS * np.log(rates + 1e-8)
    x, t = backend.asarray(rates, "float32"), backend.asarray(COUNTS)
    found = losses.poisson_nll(x, t, log_input=False, reduction="none")
    assert_close(found, expected.astype(np.float32), rtol=1e-5, atol=1e-5, backend=backend)
    if backend.has_float64:
        loss = partial(losses.poisson_nll, targets=t, log_input=False)
        check_gradients(lambda x: loss(x), (backend.asarray(1 + rates),), step=1e-4)
    found = losses.poisson_nll(np.zeros(2), np.asarray([0, 1]), log_input=False, reduction="none")
    np.testing.assert_allclose(found, [0.0, -np.log(1e-8)], rtol=1e-12)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_gaussian_nll(reduction, backend):
    each_ = 0.5 * (V + (X - Y) ** 2 / np.exp(V))
    expected = {"mean": each_.mean(), "sum": each_.sum(), "none": each_}[reduction]
    x, y, v = (backend.asarray(a, "float32") for a in (X, Y, V))
    both = backend.asarray(np.concatenate([X, V], axis=1), "float32")
    for found in (
        losses.gaussian_nll(x, y, v, reduction=reduction),
        losses.gaussian_nll(both, y, reduction=reduction),
    ):
        assert_close(found, np.asarray(expected, dtype=np.float32), rtol=1e-5, backend=backend)
    if backend.has_float64:
        args = tuple(backend.asarray(a) for a in (X, Y, V))
        check_gradients(partial(losses.gaussian_nll, reduction=reduction), args)


def test_gaussian_nll_weights():
    each_ = 0.5 * (V + (X - Y) ** 2 / np.exp(V))
    found = losses.gaussian_nll(X, Y, V, sample_weight=WEIGHT)
    np.testing.assert_allclose(found, np.average(each_.mean(axis=1), weights=WEIGHT), rtol=1e-13)


def test_gaussian_nll_of_hardly_any_variance():
    v = np.asarray([-1e4, -1e20, log(1e-6), 1e4], dtype=np.float32)
    x, y = np.full(4, 0.25, dtype=np.float32), np.zeros(4, dtype=np.float32)
    found, pullback = vjp(lambda v: losses.gaussian_nll(x, y, v, reduction="none"), v)
    least = 0.5 * (log(1e-6) + 0.0625e6)
    np.testing.assert_allclose(found, [least, least, least, 5e3], rtol=1e-6)
    # Below the least variance the error still drives the variance up.
    slope = 0.5 * (1 - 0.0625e6)
    np.testing.assert_allclose(
        pullback(np.ones(4, dtype=np.float32))[0], [slope, slope, slope, 0.5], rtol=1e-5
    )
