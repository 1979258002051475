"""Pictures: what is drawn where, from arrays of any library, without a display."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import portnn as pn
from portnn import plot

HISTORY = {
    "loss": [2.0, 1.0, 0.5],
    "val_loss": [2.5, 1.5, 1.0],
    "accuracy": [0.5, 0.75, 0.875],
    "lr": [1, 1, 1],
}

IMAGES = np.arange(5 * 28 * 28, dtype=np.float32).reshape(5, 28, 28)
TRUE = np.asarray([0, 1, 2, 1, 0])
PROBABILITIES = np.asarray(
    [[0.75, 0.25, 0.0], [0.5, 0.25, 0.25], [0.9375, 0.0625, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    dtype=np.float32,
)
WORST_FIRST = ["0 → 2   100 %", "2 → 0   94 %", "1 → 0   50 %"]


def png(figure: Any) -> bytes:
    """What a file would hold."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=40)
    return file.getvalue()


def titles(figure: Any) -> list[str]:
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


def numbers(axes: Any) -> dict[tuple[int, int], str]:
    """The texts in the cells of a matrix, by row and column."""
    return {(text.get_position()[1], text.get_position()[0]): text.get_text() for text in axes.texts}


def test_history_draws_training_and_validation() -> None:
    figure = plot.history(HISTORY)
    loss, accuracy = figure.axes
    assert loss.get_ylabel() == "loss (mean per sample)"
    assert accuracy.get_ylabel() == "accuracy (% of samples)"
    assert loss.get_xlabel() == accuracy.get_xlabel() == "epoch"
    drawn = {line.get_label(): list(line.get_ydata()) for line in loss.lines}
    assert drawn == {"training": [2.0, 1.0, 0.5], "validation": [2.5, 1.5, 1.0]}
    assert list(loss.lines[0].get_xdata()) == [1, 2, 3]
    assert list(accuracy.lines[0].get_ydata()) == [50.0, 75.0, 87.5]
    assert titles(figure) == ["last: training 0.5, validation 1", "last: training 87.50 %"]
    assert png(figure).startswith(b"\x89PNG")


def test_curves_differ_by_more_than_colour() -> None:
    training, validation = plot.history(HISTORY).axes[0].lines
    assert training.get_linestyle() != validation.get_linestyle()
    assert training.get_marker() != validation.get_marker()


@pytest.mark.parametrize(
    ("values", "scale"),
    [([2.0, 1.0], "linear"), ([2.0, 0.01], "log"), ([2.0, 0.01, 0.0], "linear"), ([2.0, -1.0], "linear")],
)
def test_a_wide_range_of_losses_is_drawn_by_decades(values: list[float], scale: str) -> None:
    figure = plot.history({"loss": values})
    assert figure.axes[0].get_yscale() == scale
    png(figure)


def test_a_loss_that_is_not_finite_leaves_a_gap() -> None:
    assert png(plot.history({"loss": [1.0, float("nan"), float("inf"), 0.5]}))


def test_long_training_is_drawn_as_a_line_without_dots() -> None:
    assert plot.history({"loss": [1.0] * 1000}).axes[0].lines[0].get_marker() == ""


def test_confusion_matrix_writes_counts_and_colours_shares() -> None:
    figure = plot.confusion_matrix([[8, 2, 0], [0, 5, 5], [0, 0, 0]], labels=["a", "b", "c"])
    axes = figure.axes[0]
    assert numbers(axes) == {(0, 0): "8", (0, 1): "2", (1, 1): "5", (1, 2): "5"}
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.8, 0.2, 0], [0, 0.5, 0.5], [0, 0, 0]])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b", "c"]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("true class", "predicted class")
    assert titles(figure) == ["65.00 % right, 7 of 20 wrong"]
    assert figure.axes[1].get_ylabel() == "share of the true class (%)"
    assert png(figure).startswith(b"\x89PNG")


def test_numbers_in_cells_can_be_read() -> None:
    """The contrast of text and ground is at least 4.5 (WCAG 2.1, criterion 1.4.3)."""

    def luminance(color: Any) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color[:3]]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    from matplotlib.colors import to_rgba

    counts = np.arange(1, 26).reshape(5, 5) ** 4
    axes = plot.confusion_matrix(counts).axes[0]
    image = axes.images[0]
    for text in axes.texts:
        column, row = text.get_position()
        ground = luminance(image.cmap(image.norm(image.get_array()[row, column])))
        dark, light = sorted([ground, luminance(to_rgba(text.get_color()))])
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_rare_mistakes_have_a_colour_of_their_own() -> None:
    image = plot.confusion_matrix([[995, 5], [0, 1000]]).axes[0].images[0]
    rare, none = (np.asarray(image.cmap(image.norm(share))) for share in (0.005, 0.0))
    assert np.abs(rare - none).max() > 0.1


def test_many_classes_leave_out_the_numbers() -> None:
    assert not plot.confusion_matrix(np.eye(31)).axes[0].texts
    assert len(plot.confusion_matrix(np.eye(30)).axes[0].texts) == 30


def test_weights_and_no_samples() -> None:
    assert numbers(plot.confusion_matrix([[0.5, 0.0], [0.0, 1.25]]).axes[0]) == {
        (0, 0): "0.5",
        (1, 1): "1.25",
    }
    assert titles(plot.confusion_matrix([[0, 0], [0, 0]])) == ["no samples"]


def test_mistakes_come_surest_first(backend: Any) -> None:
    arrays = [backend.asarray(a) for a in (IMAGES, TRUE, PROBABILITIES)]
    figure = plot.mistakes(*arrays)
    assert titles(figure) == WORST_FIRST
    drawn = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    np.testing.assert_array_equal(np.stack(drawn), IMAGES[[4, 2, 1]])
    assert figure.get_suptitle() == "3 mistakes in 5 samples, the surest first"


def test_at_most_n_mistakes_are_drawn() -> None:
    figure = plot.mistakes(IMAGES, TRUE, PROBABILITIES, n=2, labels=["cat", "dog", "owl"])
    assert titles(figure) == ["cat → owl   100 %", "owl → cat   94 %"]
    assert figure.get_suptitle() == "2 of 3 mistakes in 5 samples, the surest first"


@pytest.mark.parametrize("shape", [(5, 784), (5, 28, 28), (5, 1, 28, 28)])
def test_images_of_one_channel(shape: tuple[int, ...]) -> None:
    axes = plot.mistakes(IMAGES.reshape(shape), TRUE, PROBABILITIES, n=1).axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), IMAGES[4])


def test_images_of_three_channels() -> None:
    images = np.arange(5 * 3 * 4 * 6, dtype=np.uint8).reshape(5, 3, 4, 6)
    drawn = plot.mistakes(images, TRUE, PROBABILITIES, n=1).axes[0].images[0].get_array()
    np.testing.assert_array_equal(drawn, np.moveaxis(images[4], 0, -1))


def test_no_mistakes_is_said() -> None:
    figure = plot.mistakes(IMAGES[:1], TRUE[:1], PROBABILITIES[:1])
    assert figure.get_suptitle() == "no mistakes in 1 sample"
    assert not figure.axes


def test_nothing_short_of_certain_is_called_certain() -> None:
    p = np.asarray([[0.0, 0.999, 0.001]])
    assert titles(plot.mistakes(IMAGES[:1], TRUE[:1], p)) == ["0 → 1   >99 %"]


def test_digits_report_holds_all_three() -> None:
    figure = plot.digits_report(HISTORY, IMAGES, TRUE, PROBABILITIES, n=2, title="digits")
    curves, matrix, worst = figure.subfigs
    assert figure.get_suptitle() == "digits"
    assert len(curves.axes) == 2
    assert numbers(matrix.axes[0]) == {(0, 0): "1", (0, 2): "1", (1, 0): "1", (1, 1): "1", (2, 0): "1"}
    assert titles(worst) == WORST_FIRST[:2]
    assert png(figure).startswith(b"\x89PNG")


def test_matplotlib_is_imported_when_drawing_and_pyplot_never() -> None:
    program = (
        "import sys; from portnn import plot; assert 'matplotlib' not in sys.modules, 'too early';"
        "plot.history({'loss': [1.0]}).savefig(sys.stderr.buffer, format='svg');"
        "assert 'matplotlib.pyplot' not in sys.modules, 'pyplot'"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr[-300:]


def test_without_matplotlib_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'pip install "portnn\[plot\]"'):
        plot.history(HISTORY)


ERRORS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: plot.images(IMAGES, ["a"]), ValueError, "captions must be one for each of 5 images, got 1"),
    (lambda: plot.images(IMAGES[:0]), ValueError, "images is empty"),
    (lambda: plot.images("pictures"), TypeError, "images must be an array of real numbers"),
    (lambda: plot.predictions([1.0, 2.0], [1.0]), ValueError, "y_true has 2, y_pred has 1"),
    (lambda: plot.predictions([1.0, float("nan")], [1.0, 2.0]), ValueError, "NaN or infinity"),
    (lambda: plot.history([1.0]), TypeError, "history must map names to values per epoch, got list"),
    (
        lambda: plot.history({"lr": [1.0]}),
        ValueError,
        "no values under 'loss' or 'accuracy' to draw; it has: lr",
    ),
    (lambda: plot.history({"loss": []}), ValueError, "no values under 'loss'"),
    (
        lambda: plot.history({"loss": [1.0], "val_loss": [1.0, 2.0]}),
        ValueError,
        r"one value per epoch.*\[1, 2\]",
    ),
    (lambda: plot.confusion_matrix([[1, 2]]), ValueError, r"matrix must have shape .*, got \(1, 2\)"),
    (lambda: plot.confusion_matrix(np.zeros((0, 0))), ValueError, r"got \(0, 0\)"),
    (lambda: plot.confusion_matrix([[-1]]), ValueError, "some are negative, NaN or infinite"),
    (lambda: plot.confusion_matrix([[np.nan]]), ValueError, "some are negative, NaN or infinite"),
    (lambda: plot.confusion_matrix([[np.inf]]), ValueError, "some are negative, NaN or infinite"),
    (lambda: plot.confusion_matrix("ab"), TypeError, "matrix must be an array of real numbers"),
    (lambda: plot.confusion_matrix([[1]], ["a", "b"]), ValueError, "labels must name 1 classes, got 2"),
    (
        lambda: plot.mistakes(IMAGES[0, 0], TRUE, PROBABILITIES),
        ValueError,
        r"images must have shape.*\(28,\)",
    ),
    (lambda: plot.mistakes(IMAGES[:, 0, :3], TRUE, PROBABILITIES), ValueError, r"images must have.*\(5, 3\)"),
    (lambda: plot.mistakes(IMAGES[:4], TRUE, PROBABILITIES), ValueError, "a row for each image.* 4 images"),
    (lambda: plot.mistakes(IMAGES[:0], TRUE[:0], PROBABILITIES[:0]), ValueError, "and 0 images"),
    (lambda: plot.mistakes(IMAGES, TRUE / 2, PROBABILITIES), TypeError, "y_true must hold integer labels"),
    (lambda: plot.mistakes(IMAGES, TRUE + 1, PROBABILITIES), ValueError, "between 0 and 2, got 1 to 3"),
    (
        lambda: plot.mistakes(IMAGES, TRUE, PROBABILITIES > 0),
        TypeError,
        "probabilities must be floating-point",
    ),
    (lambda: plot.mistakes(IMAGES, TRUE, PROBABILITIES * np.nan), ValueError, "probabilities holds NaN"),
    (lambda: plot.mistakes(IMAGES, TRUE, PROBABILITIES, n=0), ValueError, "n must be 1 or more, got 0"),
    (lambda: plot.mistakes(IMAGES, TRUE, PROBABILITIES, n=2.0), TypeError, "n must be an integer, got float"),
    (lambda: plot.digits_report({}, IMAGES, TRUE, PROBABILITIES), ValueError, "it has: nothing"),
]


@pytest.mark.parametrize(("call", "error", "text"), ERRORS, ids=[row[2][:40] for row in ERRORS])
def test_the_error_says_what_to_do(call: Callable[[], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text) as caught:
        call()
    assert type(caught.value) is error
    assert len(str(caught.value)) < 300


def test_images_stand_in_a_grid_under_their_captions(backend: Any) -> None:
    figure = plot.images(backend.asarray(IMAGES), list("abcde"), marked=[False] * 4 + [True], columns=3)
    assert titles(figure) == list("abcde")
    assert [axes.get_subplotspec().get_gridspec().get_geometry() for axes in figure.axes] == [(2, 3)] * 6
    colours = [axes.title.get_color() for axes in figure.axes[:5]]
    assert len(set(colours)) == 2
    assert colours.index(colours[4]) == 4
    assert [axes.images[0].get_array().sum() for axes in figure.axes[:5]] == IMAGES.sum(axis=(1, 2)).tolist()
    assert png(figure).startswith(b"\x89PNG")


def test_images_without_captions_are_drawn_as_light_as_each_other() -> None:
    figure = plot.images(IMAGES[:4, None], title="digits")
    assert figure.get_suptitle() == "digits"
    assert titles(figure) == []
    assert {axes.images[0].get_clim() for axes in figure.axes} == {(0.0, float(IMAGES[:4].max()))}


def test_predictions_are_drawn_against_the_truth(backend: Any) -> None:
    true = backend.asarray([[0.0], [1.0], [2.0]], "float32")
    predicted = backend.asarray([[0.5], [1.0], [1.0]], "float32")
    figure = plot.predictions(true, predicted, unit="cm", title="lengths")
    scatter, errors = figure.axes
    assert scatter.collections[0].get_offsets().tolist() == [[0.0, 0.5], [1.0, 1.0], [2.0, 1.0]]
    assert (scatter.get_xlabel(), scatter.get_ylabel()) == ("true (cm)", "predicted (cm)")
    assert titles(figure) == ["3 samples, R² 0.375", "root mean squared error 0.645 cm, dotted"]
    assert sum(bar.get_height() for bar in errors.patches) == 3
    assert [round(float(line.get_xdata()[0]), 3) for line in errors.lines] == [0.0, -0.645, 0.645]
    assert png(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plot.predictions([1.0, 2.0], [1.0, 2.0 + 1j]),
        lambda: plot.images(IMAGES * 1j),
        lambda: plot.confusion_matrix(np.eye(3) * 1j),
        lambda: plot.image_grids({"a": IMAGES[None] * 1j}),
        lambda: plot.confusion_matrix([["1", "2"], ["3", "4"]]),
    ],
)
def test_only_real_numbers_are_drawn(draw: Callable[[], Any]) -> None:
    with pytest.raises(TypeError, match="must be an array of real numbers"):
        draw()


ODD = "$x_{^ \\frac$ 5\x1b\x00"
SHOWN = "$x_{^ \\frac$ 5\\x1b\\x00"
NETWORK = pn.Network([pn.nn.Flatten(), pn.nn.Linear(784, 3), pn.nn.relu, pn.nn.Linear(3, 3)])
LABELS = [ODD, "$", "\ud800"]
DRAWN = {
    "activations": lambda: plot.activations(NETWORK, IMAGES, title=ODD),
    "attention_maps": lambda: plot.attention_maps([(np.eye(12), LABELS * 4, LABELS * 4)]),
    "calibration": lambda: plot.calibration(TRUE, PROBABILITIES, title=ODD),
    "confusion_matrix": lambda: plot.confusion_matrix(np.eye(3), LABELS),
    "diagram": lambda: plot.diagram(NETWORK, (28, 28), title=ODD),
    "digits_report": lambda: plot.digits_report(
        HISTORY, IMAGES, TRUE, PROBABILITIES, labels=LABELS, title=ODD
    ),
    "first_weights": lambda: plot.first_weights(NETWORK, title=ODD),
    "gradients": lambda: plot.gradients(NETWORK, IMAGES, TRUE, title=ODD),
    "history": lambda: plot.history(HISTORY),
    "image_grids": lambda: plot.image_grids({ODD: IMAGES[None]}),
    "images": lambda: plot.images(IMAGES, [ODD] * 5, title=ODD),
    "mistakes": lambda: plot.mistakes(IMAGES, TRUE, PROBABILITIES, labels=LABELS),
    "predictions": lambda: plot.predictions([1.0, 2.0], [1.0, 3.0], unit=ODD, title=ODD),
}


@pytest.mark.parametrize("name", plot.__all__)
def test_text_of_users_is_drawn_as_it_is(name: str) -> None:
    from matplotlib.text import Text

    figure = DRAWN[name]()
    png(figure)
    texts = [
        text for text in figure.findobj(Text) if "$" in text.get_text() and "math" not in text.get_text()
    ]
    assert any(SHOWN in text.get_text() for text in texts) is (name != "history")
    assert not any(text.get_parse_math() for text in texts)
