"""Parity of convolution, pooling and enlarging, on random shapes and options."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from portnn import nn
from tests.parity.frame import cases, compare, torch

SPACES = {1: "1d", 2: "2d"}


def draw(rng: np.random.Generator, axes: int, low: int, high: int) -> tuple[int, ...]:
    """A small number for each axis, `high` among them."""
    return tuple(rng.integers(low, high + 1, axes).tolist())


def image(rng: np.random.Generator, channels: int, axes: int) -> np.ndarray:
    """Two samples, large enough for every window that is drawn here."""
    return rng.normal(size=(2, channels, *draw(rng, axes, 9, 12)))


def options(rng: np.random.Generator, axes: int) -> dict[str, Any]:
    """What all convolutions take."""
    return {
        "stride": draw(rng, axes, 1, 3), "padding": draw(rng, axes, 0, 2), "dilation": draw(rng, axes, 1, 2),
        "groups": int(rng.integers(1, 3)), "bias": bool(rng.integers(2)),
    }  # fmt: skip


@cases(10)
def test_convolution(rng):
    axes = int(rng.integers(1, 3))
    more = options(rng, axes)
    a, b = (np.asarray(draw(rng, 2, 1, 4)) * more["groups"]).tolist()
    args = (a, b, draw(rng, axes, 1, 4))
    name = f"Conv{SPACES[axes]}"
    compare(getattr(nn, name)(*args, **more), getattr(torch.nn, name)(*args, **more), image(rng, a, axes))


@pytest.mark.filterwarnings("ignore:Using padding='same'")  # of PyTorch, that it makes a copy
@cases(3)
def test_same(rng):
    kernel, dilation = draw(rng, 2, 1, 4), draw(rng, 2, 1, 2)
    args, more = (2, 3, kernel), {"padding": "same", "dilation": dilation}
    compare(nn.Conv2d(*args, **more), torch.nn.Conv2d(*args, **more), image(rng, 2, 2))


@cases(10)
def test_transposed_convolution(rng):
    axes = int(rng.integers(1, 3))
    more = options(rng, axes)
    room = [max(s, d) for s, d in zip(more["stride"], more["dilation"], strict=True)]
    more["output_padding"] = tuple([int(rng.integers(n)) for n in room])
    a, b = (np.asarray(draw(rng, 2, 1, 4)) * more["groups"]).tolist()
    args = (a, b, draw(rng, axes, 1, 4))
    name = f"ConvTranspose{SPACES[axes]}"
    compare(getattr(nn, name)(*args, **more), getattr(torch.nn, name)(*args, **more), image(rng, a, axes))


@cases(8)
def test_pooling(rng):
    axes, largest = int(rng.integers(1, 3)), bool(rng.integers(2))
    kernel = draw(rng, axes, 1, 4)
    more: dict[str, Any] = {"stride": draw(rng, axes, 1, 4)}
    more["padding"] = tuple([int(rng.integers(k // 2 + 1)) for k in kernel])
    if largest:
        more["dilation"] = draw(rng, axes, 1, 2)
    else:
        more["count_include_pad"] = bool(rng.integers(2))
    name = f"{'Max' if largest else 'Avg'}Pool{SPACES[axes]}"
    x = np.round(2.0 * image(rng, 3, axes))  # so that there are equal ones
    compare(getattr(nn, name)(kernel, **more), getattr(torch.nn, name)(kernel, **more), x)


@cases(4)
def test_global_pooling(rng):
    axes, largest = int(rng.integers(1, 3)), bool(rng.integers(2))
    name = f"{'Max' if largest else 'Avg'}Pool{SPACES[axes]}"
    module = torch.nn.Sequential(getattr(torch.nn, f"Adaptive{name}")(1), torch.nn.Flatten())
    layer = nn.Sequential([getattr(nn, f"Global{name}")(), nn.identity])
    compare(layer, module, np.round(2.0 * image(rng, 3, axes)))


@cases(6)
def test_enlarging(rng):
    axes, mode = int(rng.integers(1, 3)), rng.choice(["nearest", "linear"])
    scale, corners = draw(rng, axes, 1, 3), bool(rng.integers(2)) and mode == "linear"
    theirs = {"mode": ("linear", "bilinear")[axes - 1], "align_corners": corners} if mode == "linear" else {}
    module = torch.nn.Upsample(scale_factor=tuple(map(float, scale)), **theirs)
    compare(nn.Upsample(scale, str(mode), corners), module, image(rng, 2, axes))


@cases(2)
def test_padding(rng):
    (top, bottom), (left, right) = draw(rng, 2, 0, 3), draw(rng, 2, 0, 3)
    module = torch.nn.ZeroPad2d((left, right, top, bottom))
    compare(nn.ZeroPad2d(((top, bottom), (left, right))), module, image(rng, 2, 2))
    compare(nn.ZeroPad1d((left,)), torch.nn.ZeroPad1d(left), image(rng, 2, 1))


@cases(2)
def test_network(rng):
    layers = [
        nn.Conv2d(1, 3, 3),
        nn.relu,
        nn.MaxPool2d(2),
        nn.Conv2d(3, 6, 3, padding=1),
        nn.Flatten(),
        nn.Linear(96, 4),
    ]
    parts = [
        torch.nn.Conv2d(1, 3, 3),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(3, 6, 3, padding=1),
    ]
    module = torch.nn.Sequential(*parts, torch.nn.Flatten(), torch.nn.Linear(96, 4))
    compare(nn.Sequential(layers), module, rng.normal(size=(2, 1, 10, 10)))
