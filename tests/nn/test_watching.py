"""Layers that tell of each call of the layers inside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import portnn as pn
from portnn import nn, tree
from portnn.random import key, stream

X = np.random.default_rng(0).normal(size=(2, 5, 8)).astype(np.float32)
LINEAR = nn.Linear(8, 8)
LAYERS = {
    "a layer": LINEAR,
    "the same layer twice": nn.Sequential([LINEAR, nn.relu, LINEAR]),
    "residual": nn.Residual([LINEAR, nn.tanh], LINEAR),
    "parallel": nn.Concatenate([LINEAR, nn.identity], axis=-1),
    "repeat": nn.Repeat([LINEAR, nn.Dropout(0.5)], 3),
    "sharing": nn.Sharing([nn.Shared("a", LINEAR), nn.tanh, nn.Shared("a", LINEAR, transposed=True)]),
    "cast": nn.Cast([LINEAR], "float16"),
    "transformer": nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, dropout=0.1), 2),
}


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_every_layer_is_told_of_and_nothing_else_changes(layer: nn.Layer) -> None:
    params, state = layer.init(stream(0)), layer.init_state()
    seen: dict[tuple[int, ...], nn.Visit] = {}
    counts: list[tuple[int, ...]] = []

    def see(visit: nn.Visit) -> None:
        seen[visit.path] = visit
        counts.append(visit.path)

    options: dict[str, Any] = {"state": state, "training": True, "key": key(1)}
    y, _ = nn.watched(layer, see).apply(params, X, **options)
    np.testing.assert_array_equal(y, layer.apply(params, X, **options)[0])
    places = dict(nn.walk(layer))
    assert set(seen) == set(places)
    assert {path: visit.layer for path, visit in seen.items()} == places
    assert counts[-1] == ()
    assert counts.count(()) == 1
    np.testing.assert_array_equal(seen[()].output, y)
    for visit in seen.values():
        again, _ = visit.layer.forward(visit.params, visit.state, *visit.inputs, **visit.options)
        np.testing.assert_array_equal(tree.leaves(again)[0], tree.leaves(visit.output)[0])


def test_a_repeated_layer_is_told_of_each_time() -> None:
    layer = nn.Repeat(LINEAR, 3)
    paths = []
    nn.watched(layer, lambda visit: paths.append(visit.path)).apply(layer.init(stream(0)), X)
    assert paths == [(0,), (0,), (0,), ()]


def test_the_layer_stays_as_it_is() -> None:
    model = nn.Sequential([LINEAR, nn.relu])
    shadow = nn.watched(model, print)
    assert model.layers[0] is LINEAR
    assert type(model) is nn.Sequential
    assert isinstance(shadow, nn.Sequential)
    assert type(shadow) is type(nn.watched(model, print))  # classes do not pile up


@dataclass(frozen=True)
class Hidden(nn.Layer):
    """A container that makes its member anew each time it is asked."""

    __slots__ = ("factor",)
    factor: int

    def forward(self, params: Any, state: Any, x: Any, *, training: bool, key: Any) -> Any:
        return nn.Linear(8, 8, bias=False).apply(params, x) * self.factor, state


def test_what_cannot_be_looked_into_is_told_of_as_a_whole() -> None:
    params = {"weight": np.eye(8, dtype=np.float32)}
    paths = []
    y = nn.watched(nn.Sequential([Hidden(2)]), lambda visit: paths.append(visit.path)).apply((params,), X)
    np.testing.assert_array_equal(y, 2 * X)
    assert paths == [(0,), ()]


NO_LAYERS = {
    "nothing": (None, "expected a layer, got NoneType"),
    "a list": ([nn.relu], "got list; make one of them with Sequential"),
    "a function": (len, "expected a layer, got builtin_function_or_method"),
    "a class": (nn.Linear, "expected a layer, got the class Linear"),
    "a network": (pn.Network([nn.Linear(3, 2)]), "got Network; pass its layer, net\\.layer"),
}


@pytest.mark.parametrize("name", ["walk", "outline", "watched"])
@pytest.mark.parametrize(("thing", "text"), NO_LAYERS.values(), ids=NO_LAYERS)
def test_what_is_no_layer_is_refused(name: str, thing: Any, text: str) -> None:
    more = [print] if name == "watched" else []
    with pytest.raises(TypeError, match=f"{name}: .*{text}"):
        getattr(nn, name)(thing, *more)


def test_what_watches_is_a_function_and_outlines_have_a_dtype() -> None:
    with pytest.raises(TypeError, match="watched: see must be a function of a Visit, got NoneType"):
        nn.watched(nn.Linear(3, 2), None)
    with pytest.raises(ValueError, match=r"outline: dtype must be one of float16, .*, got 'int8'"):
        nn.outline(nn.Linear(3, 2), "int8")
