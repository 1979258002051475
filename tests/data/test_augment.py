"""Distorted images: against formulas in plain NumPy, the same on every backend."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import portnn as pn
from portnn.data import augment
from portnn.testing import check_gradients
from tests.backends import BackendUnderTest
from tests.helpers import assert_close

rng = np.random.default_rng(0)
IMAGES = rng.uniform(0.0, 1.0, (3, 5, 7)).astype(np.float32)
COLOURED = rng.uniform(0.0, 1.0, (2, 3, 5, 7)).astype(np.float32)
BYTES = rng.integers(0, 256, (3, 5, 7)).astype(np.uint8)
ROWS = rng.uniform(-2.0, 7.0, (3, 4, 6)).astype(np.float32)
COLUMNS = rng.uniform(-2.0, 9.0, (3, 4, 6)).astype(np.float32)


def at(image: np.ndarray, row: float, column: float, fill: float) -> float:
    """One image at one place: the weighted mean of four pixels."""

    def pixel(i: int, j: int) -> float:
        inside = 0 <= i < image.shape[0] and 0 <= j < image.shape[1]
        return float(image[i, j]) if inside else fill

    i, j = int(np.floor(row)), int(np.floor(column))
    s, t = row - i, column - j
    upper = (1 - t) * pixel(i, j) + t * pixel(i, j + 1)
    lower = (1 - t) * pixel(i + 1, j) + t * pixel(i + 1, j + 1)
    return (1 - s) * upper + s * lower


def sampled(images: np.ndarray, rows: np.ndarray, columns: np.ndarray, fill: float = 0.0) -> np.ndarray:
    """Every image at every place, one after the other."""
    if images.ndim == 4:
        return np.stack([sampled(images[:, k], rows, columns, fill) for k in range(images.shape[1])], axis=1)
    rows, columns = (np.broadcast_to(a, (len(images), *a.shape[-2:])) for a in (rows, columns))
    out = np.empty(rows.shape)
    for place in np.ndindex(rows.shape):
        out[place] = at(images[place[0]], float(rows[place]), float(columns[place]), fill)
    return out


def affine_places(shape, angle, scale, shear, shift):
    """Where a matrix sends the pixels back to, written as the inverse of a product of matrices."""
    theta = np.radians(angle)
    # On (row, column): counterclockwise with rows downwards.
    turn = np.asarray([[np.cos(theta), -np.sin(theta)], [np.sin(theta), np.cos(theta)]])
    slant = np.asarray([[1.0, 0.0], [-shear, 1.0]])
    back = np.linalg.inv(turn @ slant @ np.diag(scale))
    centre = (np.asarray(shape) - 1) / 2
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    places = (grid - centre - np.asarray(shift)) @ back.T + centre
    return places[..., 0], places[..., 1]


@pytest.mark.parametrize("fill", [0.0, 0.5])
def test_sample(fill: float):
    expected = sampled(IMAGES, ROWS, COLUMNS, fill).astype(np.float32)
    assert_close(augment.sample(IMAGES, ROWS, COLUMNS, fill=fill), expected, rtol=1e-5, atol=1e-6)


def test_sample_on_every_backend(backend: BackendUnderTest):
    rows, columns = ROWS[:2], COLUMNS[:2]
    actual = augment.sample(*map(backend.asarray, (COLOURED, rows, columns)), fill=0.5)
    expected = sampled(COLOURED, rows, columns, 0.5).astype(np.float32)
    assert_close(actual, expected, rtol=1e-5, atol=1e-6, backend=backend)


def test_sample_at_places_for_all_images():
    expected = sampled(COLOURED, ROWS[0], COLUMNS[0]).astype(np.float32)
    assert_close(augment.sample(COLOURED, ROWS[0], COLUMNS[0]), expected, rtol=1e-5, atol=1e-6)


def test_sample_at_pixels_is_exact():
    rows, columns = np.meshgrid(np.arange(5), np.arange(7), indexing="ij")
    for images in (IMAGES, COLOURED, BYTES):
        assert_close(augment.sample(images, rows, columns), images, rtol=0.0)


def test_far_away_is_outside():
    far = np.asarray([[-1e30, 1e30, -1.0, 7.0, 3.0]], dtype=np.float32)
    expected = np.full((3, 1, 5), 0.25, dtype=np.float32)
    expected[:, 0, 4] = IMAGES[:, 3, 3]
    assert_close(augment.sample(IMAGES, far, far, fill=0.25), expected, rtol=0.0)


def test_bytes_are_rounded(backend: BackendUnderTest):
    actual = augment.sample(*map(backend.asarray, (BYTES, ROWS, COLUMNS)))
    assert_close(actual, actual, rtol=0.0)
    host = backend.to_numpy(actual)
    assert host.dtype == np.uint8
    assert np.abs(host - sampled(BYTES, ROWS, COLUMNS)).max() <= 0.5 + 1e-4


AFFINES: list[dict[str, Any]] = [
    {"angle": 30.0},
    {"scale": 1.3},
    {"scale": (0.7, 1.2)},
    {"shear": 0.4},
    {"shift": (1.25, -0.5)},
    {"angle": -20.0, "scale": (0.9, 1.2), "shear": -0.3, "shift": (0.5, 1.0)},
]


@pytest.mark.parametrize("options", AFFINES, ids=str)
def test_affine(options: dict[str, Any]):
    """One amount for all images, and one for each: the same."""
    given = {"angle": 0.0, "scale": 1.0, "shear": 0.0, "shift": (0.0, 0.0), **options}
    scale = given["scale"] if isinstance(given["scale"], tuple) else (given["scale"],) * 2
    rows, columns = affine_places((5, 7), given["angle"], scale, given["shear"], given["shift"])
    expected = sampled(IMAGES, rows, columns).astype(np.float32)
    assert_close(augment.affine(IMAGES, **options), expected, rtol=1e-4, atol=1e-5)
    arrays = pn.tree.map(lambda a: np.full(3, a, dtype=np.float32), options)
    assert_close(augment.affine(IMAGES, **arrays), expected, rtol=1e-4, atol=1e-5)


def test_affine_on_every_backend(backend: BackendUnderTest):
    """Numbers and arrays mixed."""
    x, angles = IMAGES, np.asarray([0.0, 25.0, -40.0], dtype=np.float32)
    options: dict[str, Any] = {"scale": (0.9, 1.2), "shear": -0.3, "shift": (0.5, 1.0)}
    expected = np.concatenate(
        [augment.affine(x[i : i + 1], angle=float(angles[i]), **options) for i in range(3)]
    )
    actual = augment.affine(backend.asarray(x), angle=backend.asarray(angles), **options)
    assert_close(actual, expected, rtol=1e-4, atol=1e-5, backend=backend)


def test_rotation_is_counterclockwise():
    square = IMAGES[:, :5, :5]
    expected = np.ascontiguousarray(np.rot90(square, axes=(1, 2)))
    assert_close(augment.rotate(square, 90.0), expected, rtol=1e-5, atol=1e-6)


def test_shear_leans_to_the_right():
    """A vertical stroke becomes the stroke of an italic letter."""
    stroke = np.zeros((1, 5, 5), dtype=np.uint8)
    stroke[0, :, 2] = 9
    leaning = augment.affine(stroke, shear=1.0)
    assert (leaning[0] == 9 * np.eye(5, dtype=np.uint8)[::-1]).all()


@pytest.mark.parametrize("images", [COLOURED, BYTES], ids=["coloured", "bytes"])
def test_whole_shifts_move_pixels_as_they_are(backend: BackendUnderTest, images: np.ndarray):
    n = len(images)
    down, right = np.asarray([1, -2, 0])[:n], np.asarray([0, 3, -9])[:n]
    expected = np.zeros_like(images)
    for k in range(n):
        for i, j in np.ndindex(5, 7):
            if 0 <= i - down[k] < 5 and 0 <= j - right[k] < 7:
                expected[k, ..., i, j] = images[k, ..., i - down[k], j - right[k]]
    actual = augment.shift(*map(backend.asarray, (images, down, right)))
    assert_close(actual, expected, rtol=0.0, backend=backend)
    assert_close(augment.shift(images[:1], 1, 0), expected[:1], rtol=0.0)


def test_shifts_of_half_a_pixel_interpolate():
    left = np.concatenate([np.zeros((3, 5, 1), dtype=np.float32), IMAGES[:, :, :-1]], axis=2)
    assert_close(augment.shift(IMAGES, 0.0, 0.5), (IMAGES + left) / 2, rtol=1e-6)


def test_gradients():
    """To the pixels, and to the amounts."""
    images = IMAGES[:2].astype(np.float64)

    def turned(x: Any, angle: Any, shear: Any) -> Any:
        return pn.ops.mean(pn.ops.square(augment.affine(x, angle=angle, shear=shear)))

    # Between two kinks, where a place passes the centre of a pixel.
    check_gradients(turned, [images, np.asarray([10.0, -7.0]), np.asarray([0.2, 0.1])], order=1, step=1e-4)


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


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda key, x: augment.rotate(x.tolist(), 3.0),
            TypeError,
            "rotate: images must be an array, got list",
        ),
        (
            lambda key, x: augment.rotate(x > 0.5, 3.0),
            TypeError,
            "rotate: images must hold floats or integers",
        ),
        (lambda key, x: augment.rotate(x[0], 3.0), ValueError, r"images must be \(n, height, width\) or"),
        (lambda key, x: augment.rotate(x[:0], 3.0), ValueError, "have no pixel"),
        (
            lambda key, x: augment.rotate(x, x),
            ValueError,
            r"angle must be a number or an array of shape \(3,\)",
        ),
        (lambda key, x: augment.rotate(x, "3"), TypeError, "angle must be a number or an array .* got str"),
        (lambda key, x: augment.rotate(x, float("nan")), ValueError, "angle must be finite, got nan"),
        (lambda key, x: augment.affine(x, scale=0.0), ValueError, "scale must not be zero"),
        (lambda key, x: augment.affine(x, shift=1.0), TypeError, "shift must be a pair"),
        (lambda key, x: augment.sample(x, ROWS, COLUMNS[:, :2]), ValueError, "rows and columns must both be"),
        (lambda key, x: augment.sample(x, 1.0, 2.0), TypeError, "rows must be an array of real numbers"),
        (lambda key, x: augment.distort(key, x, scale=1.0), ValueError, "scale must be below 1"),
        (lambda key, x: augment.elastic(key, x, sigma=0.0), ValueError, "sigma must be positive"),
        (lambda key, x: augment.elastic(key, x, sigma="4"), TypeError, "sigma must be a number, got str"),
        (lambda key, x: augment.elastic(0, x), TypeError, "expected a key"),
    ],
)
def test_errors(call: Any, error: type[Exception], text: str):
    with pytest.raises(error, match=text):
        call(pn.random.key(0), IMAGES)
