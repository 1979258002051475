"""Pictures of several digits."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from portnn.data import overlay
from portnn.random import stream

rng = np.random.default_rng(0)
IMAGES = rng.integers(1, 256, (6, 3, 4)).astype(np.uint8)
LABELS = np.asarray([0, 1, 2, 2, 4, 3])


def places_of(picture: np.ndarray, image: np.ndarray) -> list[tuple[int, int]]:
    """Where an image may lie: nothing of it is covered by something darker."""
    h, w = image.shape
    rows, columns = picture.shape[0] - h + 1, picture.shape[1] - w + 1
    return [
        (i, j) for i in range(rows) for j in range(columns) if (picture[i : i + h, j : j + w] >= image).all()
    ]


def test_pictures_are_maxima_of_two_images():
    pictures, shown = overlay(IMAGES, LABELS, 20, rng=stream(3), size=(5, 6), classes=5)
    assert pictures.shape == (20, 5, 6)
    assert (pictures.dtype, shown.dtype) == (np.uint8, np.uint8)
    for picture, classes in zip(pictures, shown, strict=True):
        found = []
        for a, b in np.ndindex(6, 6):
            for i, j in places_of(picture, IMAGES[a]):
                for k, m in places_of(picture, IMAGES[b]):
                    made = np.zeros_like(picture)
                    made[i : i + 3, j : j + 4] = IMAGES[a]
                    made[k : k + 3, m : m + 4] = np.maximum(made[k : k + 3, m : m + 4], IMAGES[b])
                    if (made == picture).all():
                        found.append({int(LABELS[a]), int(LABELS[b])})
        assert set(np.flatnonzero(classes).tolist()) in found


def test_every_place_and_every_image_comes_up():
    pictures, shown = overlay(
        np.ones((2, 1, 1)), np.asarray([0, 1]), 300, rng=stream(0), size=(2, 3), parts=1
    )
    assert pictures.sum(axis=0).min() >= 30
    assert (pictures.sum(axis=(1, 2)) == 1).all()
    assert shown[:, :2].sum(axis=0).min() >= 100


def test_images_keep_apart():
    """Two points on a line of five places, three apart: only these pairs are left, each as often."""
    options = {"size": (1, 5), "classes": 1, "apart": 3.0}
    pictures, _ = overlay(np.ones((1, 1, 1)), np.asarray([0]), 600, rng=stream(0), **options)
    found, counts = np.unique(pictures[:, 0], axis=0, return_counts=True)
    assert found.tolist() == [[0, 1, 0, 0, 1], [1, 0, 0, 0, 1], [1, 0, 0, 1, 0]]
    assert counts.min() >= 150


def test_one_seed_one_set_of_pictures():
    prints = [
        hashlib.sha256(
            b"".join(a.tobytes() for a in overlay(IMAGES, LABELS, 9, rng=stream(seed)))
        ).hexdigest()
        for seed in (1, 1, 2)
    ]
    assert prints[0] == prints[1] != prints[2]


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"images": IMAGES[0]}, ValueError, r"images must be \(count, height, width\)"),
        ({"labels": LABELS[:2]}, ValueError, r"labels \(count,\)"),
        ({"labels": LABELS / 2}, TypeError, "labels must be integers"),
        ({"classes": 3}, ValueError, "between 0 and 2, got 0 to 4"),
        ({"size": (2, 9)}, ValueError, "do not fit into pictures"),
        ({"apart": 99.0}, ValueError, "no places for 2 images 99.0 pixels apart"),
        ({"n": 0}, ValueError, "n must be 1 or more"),
        ({"parts": 1.5}, TypeError, "parts must be an integer, got float"),
    ],
)
def test_errors(change, error, text):
    given = {"images": IMAGES, "labels": LABELS, "n": 3, "rng": stream(0), **change}
    with pytest.raises(error, match=text):
        overlay(given.pop("images"), given.pop("labels"), given.pop("n"), **given)
