"""Grids of images, and maps of attention."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from portnn import plot

GRID = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
MAPS = [([[0.75, 0.25, 0.0], [0.0, 0.0, 1.0]], ["F", "end"], list("abc")), ([[1.0]], ["K"], ["q"])]


def png(figure: Any) -> bytes:
    """What a file would hold."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=40)
    return file.getvalue()


def test_each_image_is_in_its_place(backend: Any) -> None:
    figure = plot.image_grids({"one": backend.asarray(GRID), "two": np.asarray(GRID[:1])})
    assert [axes.get_title() for axes in figure.axes] == ["one", "two"]
    drawn = np.asarray(figure.axes[0].images[0].get_array())
    assert drawn.shape == (8, 15)
    for row in range(2):
        for column in range(3):
            here = drawn[4 * row : 4 * row + 4, 5 * column : 5 * column + 5]
            np.testing.assert_array_equal(here, GRID[row, column])
    assert figure.axes[0].images[0].get_clim() == (0, GRID.max())
    assert png(figure).startswith(b"\x89PNG")


def test_what_is_below_zero_is_lighter_than_zero() -> None:
    figure = plot.image_grids({"signed": GRID - 7})
    assert figure.axes[0].images[0].get_clim() == (-7, GRID.max() - 7)


def test_a_map_names_its_rows_and_columns() -> None:
    figure = plot.attention_maps(MAPS)
    first, second = figure.axes
    assert [label.get_text() for label in first.get_yticklabels()] == ["F", "end"]
    assert [label.get_text() for label in first.get_xticklabels()] == ["a", "b", "c"]
    np.testing.assert_array_equal(first.images[0].get_array(), MAPS[0][0])
    assert first.images[0].get_clim() == second.images[0].get_clim() == (0.0, 1.0)
    assert png(figure).startswith(b"\x89PNG")


def test_places_without_a_map_stay_empty() -> None:
    figure = plot.attention_maps(MAPS + MAPS[:1])
    assert [axes.axison for axes in figure.axes] == [True, True, True, False]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: plot.image_grids({}), ValueError, "at least one grid, got none"),
        (lambda: plot.image_grids({"a": GRID[0]}), ValueError, r"for 'a', got \(3, 4, 5\)"),
        (lambda: plot.image_grids({"a": GRID[:0]}), ValueError, r"got \(0, 3, 4, 5\)"),
        (lambda: plot.image_grids({"a": "b"}), TypeError, "the grid 'a' must be an array of real numbers"),
        (lambda: plot.attention_maps([]), ValueError, "at least one map, got none"),
        (lambda: plot.attention_maps([(MAPS[0][0], ["F"], list("abc"))]), ValueError, "names 1 rows and 3"),
        (
            lambda: plot.attention_maps([(["x"], ["F"], ["a"])]),
            TypeError,
            "weights of map 0 must be an array",
        ),
    ],
)
def test_errors(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        call()
    assert len(str(caught.value)) < 300
