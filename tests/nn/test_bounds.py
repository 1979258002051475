"""How far a description lets images grow: as far as the layers really do."""

from __future__ import annotations

import numpy as np
import pytest

from portnn import nn
from portnn.nn._bounds import MOST_CALLS, _axes, check_bounds
from portnn.random import stream

WINDOW = [
    {}, {"padding": 1}, {"stride": 2}, {"stride": 2, "padding": 1}, {"padding": "valid"}, {"dilation": 2},
    {"dilation": 2, "padding": 1, "stride": 3},
]  # fmt: skip
POOL = [{}, {"padding": 1}, {"stride": 1}, {"stride": 3, "padding": 1}, {"padding": "valid"}]
LAYERS = [
    *[nn.Conv2d(1, 1, 3, **o) for o in WINDOW], *[nn.Conv1d(1, 1, 3, **o) for o in WINDOW],
    nn.Conv2d(1, 1, (2, 3), stride=(1, 2), padding=(1, 0), dilation=(3, 1)),
    *[nn.MaxPool2d(2, **o) for o in POOL], *[nn.AvgPool2d(2, **o) for o in POOL],
    *[nn.MaxPool1d(2, **o) for o in POOL], *[nn.AvgPool1d(2, **o) for o in POOL],
    nn.MaxPool2d((2, 3), stride=(3, 1), padding=(1, 0), dilation=(2, 1)),
    nn.ConvTranspose2d(1, 1, 3), nn.ConvTranspose2d(1, 1, 3, stride=2, padding=1, output_padding=1),
    nn.ConvTranspose2d(1, 1, (2, 3), stride=(3, 2), padding=(0, 1), output_padding=(2, 0), dilation=(1, 2)),
    nn.ConvTranspose1d(1, 1, 4, stride=3, output_padding=2), nn.ConvTranspose1d(1, 1, 2, dilation=3),
    nn.ZeroPad2d(2), nn.ZeroPad2d(((1, 2), (3, 4))), nn.ZeroPad1d(3), nn.ZeroPad1d(((0, 5),)), nn.Upsample(3),
    nn.Upsample((2, 5)), nn.relu, nn.BatchNorm(1),
]  # fmt: skip


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
@pytest.mark.parametrize("size", [(8, 9), (11, 7)])
def test_images_become_at_most_as_large_as_is_said(layer, size):
    layer = nn.Sequential([layer]).members[0]
    n = 1 if type(layer).__name__.endswith("1d") else 2
    x = np.ones((1, 1, *size[:n]), dtype=np.float32)
    y, _ = layer.forward(layer.init(stream(0)), layer.init_state(), x, training=False, key=None)
    inside, after = _axes(layer, size)
    grown = [a >= b for a, b in zip(after[:n], y.shape[2:], strict=True)]
    assert all(grown)
    transposed = isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d)  # whose padding is not counted
    if not transposed:
        assert after[:n] == y.shape[2:]
    assert all(a >= b for a, b in zip(inside, after, strict=True)) or not transposed
    assert after[n:] == size[n:]


def test_same_padding_makes_room_inside_and_none_behind():
    inside, after = _axes(nn.Conv2d(1, 1, 5, padding="same", dilation=3), (8, 9))
    assert inside == (8 + 12, 9 + 12)
    assert after == (8, 9)


def test_the_most_repetitions_and_the_next():
    check_bounds(nn.Repeat(nn.relu, MOST_CALLS + 1))
    with pytest.raises(ValueError, match="a prediction repeats 10,001 layers; expected at most 10,000"):
        check_bounds(nn.Repeat(nn.relu, MOST_CALLS + 2))
    check_bounds(nn.Repeat(nn.Repeat(nn.relu, 70), 70))
    with pytest.raises(ValueError, match="a prediction repeats"):
        check_bounds(nn.Repeat(nn.Repeat(nn.relu, 100), 100))
    with pytest.raises(ValueError, match="a prediction repeats far more layers"):
        check_bounds(nn.Repeat(nn.relu, 2**64 + 2))
