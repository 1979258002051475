"""The table of a network."""

from __future__ import annotations

import numpy as np
import pytest

from portnn import Network, nn
from portnn.nn import Flatten, Linear, Rescale, relu


def test_summary_of_images():
    layers = [nn.Conv2d(1, 4, (3, 3)), nn.MaxPool2d(2), nn.Conv2d(4, 2, (1, 3)), nn.GlobalAvgPool2d()]
    lines = Network(layers).summary((1, 8, 8)).splitlines()[2:6]
    assert [line.split("  ")[0] for line in lines] == [
        "Conv2d(1, 4, 3)", "MaxPool2d(2)", "Conv2d(4, 2, (1, 3))", "GlobalAvgPool2d()",
    ]  # fmt: skip
    assert "(2, 3, 1)" in lines[2]


def test_summary():
    net = Network([Rescale(), Flatten(), Linear(36, 8), relu, Linear(8, 2)], dtype="float64")
    assert "?" in net.summary()
    text = net.summary((6, 6))
    assert "Linear(36, 8)     (8,)           296" in text
    assert "\n314 parameters (2.51 kB), float64, on numpy\na sample: " in text
    net.fit(np.zeros((4, 6, 6)), np.zeros(4, dtype=int), epochs=1)
    assert net.summary() == text
    with pytest.raises(ValueError, match=r"expected an input of shape \(..., 36\), got \(1, 5\)"):
        net.summary((5,))


def test_other_layers_have_another_shape():
    net = Network([Linear(4, 3)])
    net.fit(np.eye(4, dtype=np.float32), np.arange(4) % 3, epochs=1, progress=False)
    net.layer = Linear(2, 3)
    assert net.sample_shape == (2,)
