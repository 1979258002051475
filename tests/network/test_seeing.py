"""What a network shows of itself: the table of its layers, their outputs, the gradient."""

from __future__ import annotations

import re
import tracemalloc
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from portnn import autodiff, losses, nn, ops, tree
from portnn.network import Network

X = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
LABELS = np.asarray([0, 1, 2, 0, 1, 2])


def rows(text: str) -> dict[str, list[str]]:
    """The cells of a summary by the name of the layer."""
    found = [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()[2:]]
    return {cells[0]: cells[1:] for cells in found if len(cells) == 4}


def test_members_stand_indented_below_their_container() -> None:
    net = Network([nn.Linear(4, 4), nn.Residual([nn.Linear(4, 4), nn.relu]), nn.Linear(4, 3)])
    lines = net.summary().splitlines()
    assert [line[:20].rstrip() for line in lines[2:8]] == [
        "Linear(4, 4)", "Residual", "  Sequential", "    Linear(4, 4)", "    Activation(relu)",
        "Linear(4, 3)",
    ]  # fmt: skip
    assert lines[3].split() == ["Residual", "(4,)", "20", "44"]  # 2 * 16 + 4, relu 4, sum 4
    assert [line.split()[0] for line in net.summary(depth=1).splitlines()[2:5]] == [
        "Linear(4,", "Residual", "Linear(4,",
    ]  # fmt: skip


def test_costs_are_those_of_the_program() -> None:
    net = Network([nn.Conv2d(1, 2, 3), nn.relu, nn.Flatten(), nn.Linear(72, 3)])
    text = net.summary((1, 8, 8))
    cells = rows(text)
    assert cells["Conv2d(1, 2, 3)"] == ["(2, 6, 6)", "20", f"{2 * 72 * 9 + 72:,}"]
    assert cells["Linear(72, 3)"] == ["(3,)", "219", "435"]
    total = 2 * 72 * 9 + 72 + 72 + 435
    assert text.splitlines()[-1].startswith(f"a sample: {total:,} flops, ")


def test_a_repeated_layer_is_paid_for_each_time_and_counted_once() -> None:
    cells = rows(Network(nn.Repeat(nn.Linear(4, 4, bias=False), 5)).summary())
    assert cells["Linear(4, 4, bias=False)"] == ["(4,)", "16", str(5 * 32)]
    assert cells["Repeat(5 times)"] == ["(4,)", "16", str(5 * 32)]


def test_shared_parameters_are_counted_where_they_are_held() -> None:
    shared = nn.Shared("m", nn.Linear(4, 4, bias=False))
    text = Network(nn.Sharing([shared, nn.tanh, shared])).summary()
    assert rows(text)["Sharing"][1] == "16"
    assert [line.split()[-2] for line in text.splitlines() if "Linear" in line] == ["0", "0"]


def test_a_network_of_words() -> None:
    net = Network([nn.Embedding(9, 4), nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2), 2)])
    lines = net.summary((5,)).splitlines()
    assert lines[2].split() == ["Embedding(9,", "4)", "(5,", "4)", "36", "0"]
    assert sum("MultiHeadAttention(4, 2)" in line for line in lines) == 2


@dataclass(frozen=True)
class Asks(nn.Layer):
    """Looks at a value, so that no program can be written."""

    def forward(self, params: Any, state: Any, x: Any, *, training: bool, key: Any) -> Any:
        return (x if float(ops.sum(x)) >= 0 else -x), state


def test_costs_that_cannot_be_known_are_left_open() -> None:
    text = Network([nn.Linear(4, 3), Asks()]).summary()
    assert rows(text)["Asks()"] == ["(3,)", "0", "?"]
    assert rows(text)["Linear(4, 3)"] == ["(3,)", "15", "27"]
    assert text.endswith("15 parameters (60 B), float32, on numpy")


@pytest.mark.parametrize(("depth", "error"), [(0, ValueError), (True, TypeError), ("1", TypeError)])
def test_depth_is_a_positive_integer(depth: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="summary: depth must be"):
        Network(nn.Linear(4, 3)).summary(depth=depth)


class Texts(HTMLParser):
    """The texts of a page, and its tags, which must be closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def nasty(x: Any) -> Any:
    return x


nasty.__name__ = "<script>alert(1)</script>"


def test_html_has_what_the_text_has_and_is_escaped() -> None:
    net = Network([nn.Linear(4, 4), nn.Residual([nn.Linear(4, 4), nasty]), nn.Linear(4, 3)])
    page = Texts()
    page.feed(net._repr_html_())
    assert not page.open
    known = ("div", "style", "table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td", "br")
    assert page.tags <= {*known}
    assert "Activation(<script>alert(1)</script>)" in page.texts
    assert "Network, softmax_cross_entropy, not trained" in page.texts
    assert {"Residual", "40"} <= set(page.texts)
    assert "http" not in net._repr_html_()
    net.fit(X, LABELS, epochs=2, progress=False)
    assert "Network, softmax_cross_entropy, 2 epochs" in net._repr_html_()
    assert "?" in Network([nn.Flatten(), nn.Linear(4, 3)])._repr_html_()


def test_activations_are_the_outputs_of_each_layer(backend: Any) -> None:
    layers = [nn.Linear(4, 5), nn.relu, [nn.Linear(5, 3)]]
    net = Network(layers, backend=backend.member.backend_name, seed=3)
    x = backend.asarray(X)
    found = net.activations(x)
    assert list(found) == ["0 Linear(4, 5)", "1 Activation(relu)", "2.0 Linear(5, 3)"]
    assert all(type(y) is type(x) for y in found.values())
    values = {name: backend.to_numpy(y) for name, y in found.items()}
    p = tree.map(backend.to_numpy, net.params)
    hidden = X @ p[0]["weight"] + p[0]["bias"]
    np.testing.assert_allclose(values["0 Linear(4, 5)"], hidden, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(values["1 Activation(relu)"], np.maximum(values["0 Linear(4, 5)"], 0))
    assert values["2.0 Linear(5, 3)"].argmax(1).tolist() == backend.to_numpy(net.predict(x)).tolist()


def test_a_layer_that_is_called_twice_is_there_twice() -> None:
    net = Network(nn.Repeat(nn.Linear(4, 4), 2))
    assert list(net.activations(X)) == ["0 Linear(4, 4)", "0 Linear(4, 4) #2"]


def test_gradients_are_those_of_a_step(backend: Any) -> None:
    net = Network([nn.Linear(4, 3)], backend=backend.member.backend_name)
    before = tree.map(backend.to_numpy, net.params)
    found = net.gradients(backend.asarray(X), backend.asarray(LABELS))

    def loss(p: Any) -> Any:
        return losses.softmax_cross_entropy(net.layer.apply(p, X), LABELS)

    wanted = autodiff.grad(loss)(before)
    for a, b in zip(tree.leaves(found), tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    assert net.steps == 0


def test_gradients_with_dropout_and_statistics() -> None:
    net = Network([nn.BatchNorm(4), nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 3)], seed=1)
    state = tree.map(np.copy, net.state)
    grads = net.gradients(X, LABELS, sample_weight=np.ones(6))
    assert tree.structure(grads) == tree.structure(net.params)
    assert tree.leaves(grads)[0].any()
    for a, b in zip(tree.leaves(state), tree.leaves(net.state), strict=True):
        np.testing.assert_array_equal(a, b)


def test_gradients_are_those_of_training() -> None:
    # Statistics of the batch take out what a bias before them adds.
    net = Network([nn.Linear(4, 8), nn.BatchNorm(8), nn.Linear(8, 3)])
    grads = net.gradients(X, LABELS)
    assert abs(grads[0]["bias"]).max() < 1e-5 < abs(grads[0]["weight"]).max()


def test_peak_memory_of_a_program() -> None:
    from portnn.program import trace

    x = np.ones(100, dtype=np.float64)
    assert trace(lambda x: ops.exp(ops.exp(x)))(x).peak_bytes == 1600
    assert trace(lambda x: ops.add(ops.exp(x), ops.sin(x)))(x).peak_bytes == 2400
    assert trace(lambda x: ops.reshape(ops.exp(x), (10, 10)))(x).peak_bytes == 800
    assert trace(lambda x: [ops.exp(x), ops.sin(x), ops.cos(x)])(x).peak_bytes == 2400


@pytest.mark.parametrize("shape", ["4", (4.5,), (-1,), (True,)])
def test_a_shape_is_a_tuple_of_lengths(shape):
    with pytest.raises((TypeError, ValueError), match="summary: input_shape must be a tuple of") as caught:
        Network([nn.Linear(4, 3)]).summary(shape)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("shape", [(10**9,), (10**5, 10**5), (10**400,)])
def test_a_sample_that_is_too_large_is_not_tried(shape):
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"summary: a sample of shape .* is too large to be tried") as caught:
        Network([nn.Flatten(), nn.relu]).summary(shape)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
    assert len(str(caught.value)) < 300
