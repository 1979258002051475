"""Distortions that are drawn: one key, the same pictures everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import portnn as pn
from portnn.data import augment
from tests.backends import BackendUnderTest
from tests.data.sampling import BYTES, COLOURED, IMAGES, sampled
from tests.helpers import assert_close

rng = np.random.default_rng(1)


def key_of(backend: BackendUnderTest, *path: int) -> Any:
    return pn.random.key(*path, like=backend.backend)


def smoothed(field: np.ndarray, sigma: float) -> np.ndarray:
    """A convolution with a Gaussian, sum by sum; the field is zero outside."""
    weights = {k: np.exp(-(k**2) / (2 * sigma**2)) for k in range(-60, 61)}
    total = sum(weights.values())
    out = np.zeros(field.shape)
    for i, j in np.ndindex(field.shape):
        for k, m in np.ndindex(field.shape):
            out[i, j] += weights[i - k] * weights[j - m] / total**2 * field[k, m]
    return out


def test_elastic_is_a_smoothed_field():
    drawn = pn.random.uniform(pn.random.fold_in(pn.random.key(5), 6), (2, 3, 5, 7), low=-1.0)
    down, right = (np.stack([smoothed(u, 1.5) for u in field.astype(np.float64)]) for field in drawn)
    i, j = np.meshgrid(np.arange(5), np.arange(7), indexing="ij")
    expected = sampled(IMAGES, i + 4.0 * down, j + 4.0 * right).astype(np.float32)
    actual = augment.elastic(pn.random.key(5), IMAGES, alpha=4.0, sigma=1.5)
    assert_close(actual, expected, rtol=1e-4, atol=1e-5)


LIMITS: dict[str, float] = {
    "angle": 30.0,
    "scale": 0.2,
    "shear": 0.3,
    "shift": 1.5,
    "alpha": 4.0,
    "sigma": 2.0,
}


@pytest.mark.parametrize("images", [COLOURED, BYTES], ids=["coloured", "bytes"])
def test_one_key_one_distortion_everywhere(backend: BackendUnderTest, images: np.ndarray):
    expected = augment.distort(pn.random.key(1), images, **LIMITS)
    actual = augment.distort(key_of(backend, 1), backend.asarray(images), **LIMITS)
    if images is BYTES:  # a value half-way between two may be rounded either way
        assert np.abs(backend.to_numpy(actual).astype(int) - expected).max() <= 1
    else:
        assert_close(actual, expected, rtol=1e-4, atol=1e-5, backend=backend)
    other = backend.to_numpy(augment.distort(key_of(backend, 2), backend.asarray(images), **LIMITS))
    assert np.abs(other.astype(float) - expected).max() > 0.1


def test_a_plan_gives_the_same_bits(backend: BackendUnderTest):
    def distorted(key: Any, x: Any) -> Any:
        return augment.distort(key, x, **LIMITS)

    arguments = key_of(backend, 1), backend.asarray(IMAGES)
    planned = pn.jit(distorted)
    expected = backend.to_numpy(distorted(*arguments))
    exact = backend.member.value != "jax"  # whose compiler may change last bits
    for _ in range(3):
        found = backend.to_numpy(planned(*arguments))
        np.testing.assert_allclose(found, expected, rtol=0.0 if exact else 1e-4, atol=0.0 if exact else 1e-5)


def test_kinds_are_drawn_apart():
    """Whether an image is moved as well changes nothing about its angle; no two kinds share their numbers."""
    key, x = pn.random.key(0), rng.uniform(0.0, 1.0, (4, 9, 9))
    angles = pn.random.uniform(pn.random.fold_in(key, 0), 4, low=-1.0) * 40.0
    np.testing.assert_allclose(augment.distort(key, x, angle=40.0), augment.rotate(x, angles), atol=1e-5)
    moves = [pn.random.uniform(pn.random.fold_in(key, k), 4, low=-1.0) * 2.0 for k in (4, 5)]
    expected = augment.affine(x, angle=angles, shift=tuple(moves))
    np.testing.assert_allclose(augment.distort(key, x, angle=40.0, shift=2.0), expected, atol=1e-5)
    sizes = [pn.random.uniform(pn.random.fold_in(key, k), 4, low=-1.0) * 0.3 + 1.0 for k in (1, 2)]
    shears = pn.random.uniform(pn.random.fold_in(key, 3), 4, low=-1.0) * 0.5
    expected = augment.affine(x, scale=tuple(sizes), shear=shears)
    np.testing.assert_allclose(augment.distort(key, x, scale=0.3, shear=0.5), expected, atol=1e-5)


def test_each_image_has_its_own_limit():
    x = rng.uniform(0.0, 1.0, (2, 9, 9)).astype(np.float32)
    limits = np.asarray([0.0, 45.0], dtype=np.float32)
    turned = augment.distort(pn.random.key(0), x, angle=limits)
    both = augment.distort(pn.random.key(0), x, angle=45.0)
    np.testing.assert_allclose(turned[0], x[0], atol=1e-6)
    np.testing.assert_allclose(turned[1], both[1], atol=1e-6)
    bent = augment.elastic(pn.random.key(0), x, alpha=limits)
    np.testing.assert_allclose(bent[0], x[0], atol=1e-6)
    assert np.abs(bent[1] - x[1]).max() > 0.1


def test_nothing_asked_nothing_changed():
    for images in (IMAGES, COLOURED, BYTES):
        assert (augment.distort(pn.random.key(0), images) == images).all()


def test_a_pixel_moves_by_as_much_as_the_formula_says():
    """A ramp read at moved places is the ramp plus the movement: its spread is that of smoothed noise.

    The variance of u is 1/3, and smoothing multiplies it by the sum of the squared Gaussian, 1 / (4 π σ²).
    """
    ramp = np.broadcast_to(np.arange(28.0), (200, 28, 28))
    moved = (
        augment.elastic(pn.random.key(3), ramp, alpha=30.0, sigma=3.0)[:, 12:16, 12:16]
        - ramp[:, 12:16, 12:16]
    )
    spread = 30.0 * np.sqrt(1 / 3 / (4 * np.pi * 9.0))
    assert 0.9 * spread < moved.std() < 1.1 * spread
    assert abs(moved.mean()) < 0.1 * spread
