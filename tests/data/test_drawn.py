"""Drawings become pictures like those of MNIST."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from portnn.data import center_digit, draw_strokes

HOOK = np.asarray([[40, 40], [160, 60], [70, 240]], dtype=float)


def centre(picture: np.ndarray) -> tuple[float, float]:
    ys, xs = np.mgrid[:28, :28]
    return float((picture * ys).sum() / picture.sum()), float((picture * xs).sum() / picture.sum())


def extent(picture: np.ndarray) -> tuple[int, int]:
    rows, columns = np.nonzero(picture > 127)
    return int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1


def test_strokes_fill_the_box_and_are_centred_by_mass() -> None:
    picture = draw_strokes([HOOK])
    assert (picture.shape, picture.dtype, picture.max()) == ((28, 28), np.uint8, 255)
    assert max(extent(picture)) in (19, 20, 21)  # where the pixels' grid happens to lie
    assert centre(picture) == pytest.approx((13.5, 13.5), abs=0.05)
    assert 0 < ((picture > 0) & (picture < 255)).sum() < (picture > 0).sum()  # grey edges


@pytest.mark.parametrize(("factor", "move"), [(0.1, 0), (3.0, -500), (1.0, 77)])
def test_size_and_place_of_strokes_do_not_matter(factor: float, move: float) -> None:
    np.testing.assert_array_equal(draw_strokes([HOOK * factor + move]), draw_strokes([HOOK]))


def test_lines_are_as_thick_as_told() -> None:
    line = [[[0, 0], [0, 100]]]
    for thickness in (1.0, 2.6, 4.0):
        assert draw_strokes(line, thickness=thickness)[14].sum() / 255 == pytest.approx(thickness, abs=0.02)


def test_many_points_give_the_line_that_few_give() -> None:
    straight = np.linspace([0, 0], [30, 100], 1000)
    np.testing.assert_array_equal(draw_strokes([straight]), draw_strokes([straight[[0, -1]]]))


def test_a_point_is_a_dot_and_nothing_is_nothing() -> None:
    dot = draw_strokes([[[5, 5]]])
    assert 2 < dot.sum() / 255 < 9
    assert centre(dot) == pytest.approx((13.5, 13.5))
    assert not draw_strokes([]).any()
    assert not draw_strokes([[], []]).any()
    np.testing.assert_array_equal(draw_strokes([[[5, 5], [5, 5]], []]), dot)


@pytest.mark.parametrize("factor", [1, 3, 7])
def test_a_picture_is_centred_whatever_its_size(factor: int) -> None:
    shape = np.zeros((60, 90))
    shape[5:45, 60:64] = 1.0
    shape[41:45, 40:64] = 1.0
    picture = center_digit(np.kron(shape, np.ones((factor, factor))))
    assert extent(picture) == (20, 12)
    assert centre(picture) == pytest.approx((13.5, 13.5), abs=0.51)
    assert picture.max() == 255


def test_ink_on_paper() -> None:
    paper = np.full((50, 50), 240, dtype=np.uint8)
    paper[10:40, 20:25] = 12
    ink = (240 - paper.astype(float)) / 228
    np.testing.assert_array_equal(center_digit(paper, invert=True), center_digit(ink))
    assert center_digit(paper, invert=True)[13].sum() / 255 == pytest.approx(3, abs=0.1)


def test_a_digit_of_mnist_stays_about_what_it_is() -> None:
    digit = draw_strokes([HOOK])
    again = center_digit(np.pad(digit, 30))
    assert np.abs(again.astype(int) - digit).mean() < 12


def test_minutes_of_drawing_take_a_second_or_two() -> None:
    scribble = np.random.default_rng(0).uniform(size=(20_000, 2))
    start = time.process_time()
    assert draw_strokes([scribble]).max() == 255
    assert time.process_time() - start < 4


@pytest.mark.parametrize("empty", [np.zeros((5, 5)), np.full((5, 5), 7)])
def test_an_empty_picture(empty: np.ndarray) -> None:
    assert not center_digit(empty).any()


ERRORS: list[tuple[Any, type[Exception], str]] = [
    (lambda: center_digit("x"), TypeError, "image must hold real numbers"),
    (lambda: center_digit(np.zeros(4)), ValueError, r"shape \(height, width\), got \(4,\)"),
    (lambda: center_digit(np.zeros((0, 3))), ValueError, "got"),
    (lambda: center_digit(np.full((3, 3), np.nan)), ValueError, "NaN or infinity"),
    (lambda: draw_strokes([[1, 2, 3]]), ValueError, r"shape \(points, 2\), got \(3,\)"),
    (lambda: draw_strokes(["ab"]), TypeError, "a stroke must be a list of points"),
    (lambda: draw_strokes([[("1", "2")]]), TypeError, "a stroke must be a list of points, got dtype <U1"),
    (lambda: draw_strokes([[(True, False)]]), TypeError, "a stroke must be a list of points, got dtype bool"),
    (lambda: draw_strokes([[[1, None]]]), ValueError, "finite"),
    (lambda: draw_strokes([[[1, np.inf]]]), ValueError, "finite"),
    (lambda: draw_strokes([np.zeros((20_001, 2))]), ValueError, "at most 20,000 points"),
    (lambda: draw_strokes([[[1, 2]]], thickness=0), ValueError, "thickness must be from"),
]


@pytest.mark.parametrize(("call", "error", "text"), ERRORS, ids=[row[2][:30] for row in ERRORS])
def test_what_is_refused(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()


@pytest.mark.parametrize(
    ("strokes", "options", "text"),
    [
        (3, {}, "strokes must be a list of strokes, got int"),
        (None, {}, "strokes must be a list of strokes, got NoneType"),
        ([[(10**400, 0)]], {}, "a stroke must be a list of points"),
        ([[(0, 0)]], {"thickness": "thin"}, "thickness must be a number, got str"),
    ],
)
def test_what_is_no_drawing(strokes, options, text):
    with pytest.raises(TypeError, match=f"draw_strokes: {text}"):
        draw_strokes(strokes, **options)
