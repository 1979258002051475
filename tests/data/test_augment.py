"""Distorted images: against formulas in plain NumPy, the same on every backend."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import portnn as pn
from portnn.data import augment
from portnn.testing import check_gradients
from tests.backends import BackendUnderTest
from tests.data.sampling import BYTES, COLOURED, IMAGES, sampled
from tests.helpers import assert_close

rng = np.random.default_rng(1)
ROWS = rng.uniform(-2.0, 7.0, (3, 4, 6)).astype(np.float32)
COLUMNS = rng.uniform(-2.0, 9.0, (3, 4, 6)).astype(np.float32)


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


FILLED = {
    "sample": lambda x, fill: augment.sample(x, x[0, ...], x[0, ...], fill=fill),
    "affine": lambda x, fill: augment.affine(x, scale=0.5, fill=fill),
    "rotate": lambda x, fill: augment.rotate(x, 45.0, fill=fill),
    "shift": lambda x, fill: augment.shift(x, 1, 1, fill=fill),
    "shift by fractions": lambda x, fill: augment.shift(x, 0.5, 0.5, fill=fill),
    "elastic": lambda x, fill: augment.elastic(pn.random.key(0, like=x), x, fill=fill),
    "distort": lambda x, fill: augment.distort(pn.random.key(0, like=x), x, fill=fill),
}


@pytest.mark.parametrize("name", FILLED)
@pytest.mark.parametrize("fill", [0.5, -1, 256, float("nan"), float("inf")])
def test_what_images_cannot_hold_does_not_fill_them(name, fill, backend: BackendUnderTest):
    images = backend.asarray(np.ones((1, 4, 4), dtype=np.uint8))
    with pytest.raises(
        ValueError, match=r"fill must be a whole number from 0 to 255 for images of .*uint8, got "
    ):
        FILLED[name](images, fill)
    with pytest.raises(TypeError, match="fill must be a real number, got str"):
        FILLED[name](images, "1")


def test_integers_fill_images_of_integers(backend: BackendUnderTest):
    images = backend.asarray(np.ones((1, 2, 2), dtype=np.uint8))
    assert backend.to_numpy(augment.shift(images, 1, 0, fill=255.0)).tolist() == [[[255, 255], [1, 1]]]
    with pytest.raises(ValueError, match=r"fill=1e\+39 is too large for images of .*float32"):
        augment.shift(backend.asarray(np.ones((1, 2, 2), dtype=np.float32)), 1, 0, fill=1e39)
