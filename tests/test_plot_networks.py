"""Pictures of what goes on in a network: weights, activations, gradients, its layers, its calibration."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from portnn import losses, nn, plot, tree
from portnn.network import Network

IMAGES = np.random.default_rng(0).normal(size=(20, 16)).astype(np.float32)
LABELS = np.arange(20) % 3
NET = Network([nn.Linear(16, 5), nn.relu, nn.Linear(5, 3)])


def png(figure: Any) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=40)
    return file.getvalue()


def names(axes: Any) -> list[str]:
    return [label.get_text() for label in axes.get_yticklabels()]


def texts(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts if text.get_text()]


def test_weights_of_a_linear_layer_are_images(backend: Any) -> None:
    net = Network([nn.Flatten(), nn.Linear(16, 5)], backend=backend.member.backend_name)
    figure = plot.first_weights(net)
    drawn = [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images]
    weight = backend.to_numpy(net.params[1]["weight"])
    np.testing.assert_array_equal(np.stack(drawn), weight.T.reshape(5, 4, 4))
    limits = {axes.images[0].get_clim() for axes in figure.axes if axes.images}
    assert limits == {(-abs(weight).max(), abs(weight).max())}
    assert figure.get_suptitle() == "1.weight: 5 images of 4 x 4"
    assert png(figure).startswith(b"\x89PNG")


def test_weights_of_a_convolution_and_of_other_shapes() -> None:
    figure = plot.first_weights(Network([nn.Conv2d(2, 3, (3, 5)), nn.Flatten()]), n=4)
    assert figure.get_suptitle() == "0.weight: 4 of 6 images of 3 x 5"
    wide = plot.first_weights(NET, shape=(2, 8), n=1)
    assert wide.axes[0].images[0].get_array().shape == (2, 8)


def test_constant_weights_can_be_drawn() -> None:
    net = Network(nn.Linear(4, 1))
    net.params = tree.map(np.zeros_like, net.params)
    assert png(plot.first_weights(net))


def test_activations_of_each_layer_and_dead_units(backend: Any) -> None:
    net = Network([nn.Rescale(2.0), nn.Linear(16, 4), nn.relu], backend=backend.member.backend_name)
    bias = np.asarray([-1e3, -1e3, -1e3, 0.0], dtype=np.float32)  # the last one answers to some samples
    params = tree.map(backend.to_numpy, net.params)
    net.params = tree.map(backend.asarray, (params[0], {**params[1], "bias": bias}, params[2]))
    figure = plot.activations(net, backend.asarray(IMAGES), title="units")
    left, right = figure.axes
    assert names(left) == ["1 Linear(16, 4)", "2 Activation(relu)"]  # the data themselves are left out
    assert [bar.get_width() for bar in right.patches] == [0.0, 75.0]
    assert [text.get_text() for text in right.texts] == ["", "75 %"]
    alive, dead = (bar.get_facecolor() for bar in right.patches)
    assert alive != dead
    assert figure.get_suptitle() == "units"
    assert png(figure).startswith(b"\x89PNG")


def test_ranges_are_quantiles() -> None:
    net = Network(nn.Linear(1, 1, bias=False))
    net.params = tree.map(np.ones_like, net.params)
    left = plot.activations(net, np.linspace(0, 100, 101, dtype=np.float32)[:, None]).axes[0]
    assert list(left.lines[0].get_xdata()) == [1.0, 99.0]
    assert (left.patches[0].get_x(), left.patches[0].get_width()) == (25.0, 50.0)
    assert list(left.lines[1].get_xdata()) == [50.0]


def test_what_is_not_finite_is_told() -> None:
    net = Network([nn.Linear(16, 5), nn.relu])
    net.params[0]["bias"][0] = np.inf
    assert names(plot.activations(net, IMAGES).axes[0])[0] == "0 Linear(16, 5): 20 not finite"


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.0, ""), (1e-5, "vanishes"), (1e6, "explodes"), (np.nan, "explodes")]
)
def test_gradients_that_vanish_and_explode_are_told(
    factor: float, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = NET.gradients(IMAGES, LABELS)
    scaled = ({name: g * np.float32(factor) for name, g in real[0].items()}, *real[1:])
    monkeypatch.setattr(Network, "gradients", lambda *args, **options: scaled)
    figure = plot.gradients(NET, IMAGES, LABELS)
    found = names(figure.axes[0])
    assert [name.split(":")[0] for name in found] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert [verdict in name and bool(verdict) for name in found] == [bool(verdict)] * 2 + [False] * 2
    assert ("not finite" in found[0]) == (factor != factor)
    assert png(figure).startswith(b"\x89PNG")


def test_deep_sigmoids_vanish() -> None:
    net = Network(nn.MLP([16, *[8] * 8, 3], activation=nn.sigmoid))
    found = names(plot.gradients(net, IMAGES, LABELS).axes[0])
    assert "vanishes" in found[0]
    assert "vanishes" not in found[-1]


def test_gradients_that_are_zero_can_be_drawn() -> None:
    net = Network(nn.Linear(2, 1), loss=losses.squared_error)
    net.params = tree.map(np.zeros_like, net.params)
    figure = plot.gradients(net, np.zeros((3, 2), np.float32), np.zeros((3, 1)))
    assert names(figure.axes[0]) == ["weight: vanishes, 100 % zero", "bias: vanishes, 100 % zero"]
    assert png(figure)


def test_a_diagram_has_every_layer_and_shape() -> None:
    layers = [nn.Conv2d(1, 2, 3), nn.Residual([nn.Conv2d(2, 2, 1), nn.relu]), nn.Flatten(), nn.Linear(32, 3)]
    figure = plot.diagram(Network(layers), (1, 6, 6), title="net")
    told = texts(figure)
    for text in (
        "Conv2d(1, 2, 3)",
        "20 parameters",
        "Residual",
        "Conv2d(2, 2, 1)",
        "+",
        "Flatten()",
        "(32,)",
        "(3,)",
    ):
        assert text in told
    assert told.count("(2, 4, 4)") == 3
    assert told[0] == "(1, 6, 6)"
    assert figure.get_suptitle() == "net"
    assert png(figure).startswith(b"\x89PNG")


def test_boxes_do_not_overlap_and_long_networks_go_on_in_columns() -> None:
    layers = [part for _ in range(12) for part in (nn.Linear(4, 4), nn.relu)]
    axes = plot.diagram(Network(layers)).axes[0]
    boxes = [patch.get_window_extent() for patch in axes.patches]
    assert len(boxes) == 24
    assert len({round(box.x0) for box in boxes}) >= 3
    for i, a in enumerate(boxes):
        assert not any(a.overlaps(b) for b in boxes[i + 1 :])
    assert plot.diagram(Network(layers)).get_figheight() < 9


def test_depth_hides_what_is_inside() -> None:
    net = Network([nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2), 2), nn.Linear(4, 2)])
    whole, outer = texts(plot.diagram(net, (3, 4))), texts(plot.diagram(net, (3, 4), depth=1))
    assert whole.count("MultiHeadAttention(4, 2)") == 2
    assert {text for text in outer if "parameters" in text or "(3," in text} >= {"(3, 4)", "(3, 2)"}
    assert "TransformerEncoder" in outer
    assert "MultiHeadAttention(4, 2)" not in outer


@pytest.mark.parametrize(
    "layer",
    [
        nn.Linear(4, 3), nn.Sum([nn.relu, [nn.Linear(4, 4), nn.tanh]]), nn.Repeat(nn.Linear(4, 4), 2),
        nn.Residual(nn.Linear(4, 2), nn.Linear(4, 2)), nn.Cast(nn.relu, "float16"),
    ],
)  # fmt: skip
def test_single_layers_and_containers(layer: nn.Layer) -> None:
    assert png(plot.diagram(Network(layer), (4,)))
    assert png(plot.diagram(Network(layer)))


def test_calibration_of_known_answers(backend: Any) -> None:
    # 0.55 sure of four, right in one; 0.95 sure of four, right in all.
    p = np.asarray([[0.55, 0.45]] * 4 + [[0.05, 0.95]] * 4, dtype=np.float32)
    figure = plot.calibration(backend.asarray([0, 1, 1, 1, 1, 1, 1, 1]), backend.asarray(p))
    above, below = figure.axes
    assert above.lines[1].get_xdata() == pytest.approx([55, 95], abs=1e-3)
    assert above.lines[1].get_ydata() == pytest.approx([25, 100])
    assert [bar.get_height() for bar in below.patches] == [4, 4]
    assert above.get_title() == "8 samples, expected calibration error 0.175"
    assert png(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_calibration_of_yes_and_no(shape: tuple[int, ...]) -> None:
    p = np.asarray([0.9, 0.1, 0.1, 0.9]).reshape(shape)
    line = plot.calibration(np.asarray([1, 0, 1, 1]).reshape(shape), p).axes[0].lines[1]
    assert (list(line.get_xdata()), list(line.get_ydata())) == (pytest.approx([90]), [75.0])


def test_calibration_of_one_sample() -> None:
    assert plot.calibration([1], [[1.0]]).axes[0].get_title() == "1 sample, expected calibration error 0.000"


P = [[0.5, 0.5]]
ERRORS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: plot.first_weights(Network(nn.Flatten())), ValueError, "does not begin with a linear layer"),
    (lambda: plot.first_weights(Network(nn.Linear(5, 2))), ValueError, r"has 5 inputs; give shape="),
    (lambda: plot.first_weights(NET, shape=(3, 3)), ValueError, r"a shape of 16 pixels, got \(3, 3\)"),
    (lambda: plot.first_weights(NET, n=0), ValueError, "n must be 1 or more"),
    (lambda: plot.gradients(Network(nn.Flatten()), IMAGES, LABELS), ValueError, "has no parameters"),
    (lambda: plot.diagram(NET, depth=0), ValueError, "must be 1 or more"),
    (lambda: plot.diagram(NET, (3,)), ValueError, r"\(..., 16\), got \(1, 3\)"),
    (lambda: plot.activations(NET, "x"), TypeError, "x"),
    (lambda: plot.calibration([0, 1], P), ValueError, r"got \(2,\) and \(1, 2\)"),
    (lambda: plot.calibration([2], P), ValueError, "between 0 and 1"),
    (lambda: plot.calibration([0.5], P), TypeError, "expected labels and floating-point"),
    (lambda: plot.calibration([0], [[1.5, -0.5]]), ValueError, "probabilities must lie between 0 and 1"),
    (lambda: plot.calibration([0], [[np.nan, 0.5]]), ValueError, "probabilities must lie between 0 and 1"),
    (lambda: plot.calibration([0], P, bins=0), ValueError, "must be 1 or more"),
]


@pytest.mark.parametrize(("call", "error", "text"), ERRORS, ids=[row[2][:40] for row in ERRORS])
def test_the_error_says_what_to_do(call: Callable[[], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text) as caught:
        call()
    assert len(str(caught.value)) < 300
