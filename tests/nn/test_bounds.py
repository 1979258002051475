"""How far a description lets images grow: as far as the layers really do."""

from __future__ import annotations

import numpy as np
import pytest

from portnn import nn
from portnn.nn._bounds import MOST_CALLS, MOST_GROWTH, _axes, check_bounds
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


def grows(*layers):
    check_bounds(nn.Sequential([*layers]))


def test_the_largest_image_and_the_next():
    side = int(MOST_GROWTH**0.5)
    grows(nn.Upsample(side))
    grows(nn.ZeroPad1d(MOST_GROWTH // 2 - 1))
    grows(nn.ZeroPad2d(((0, side - 1), (side - 1, 0))))
    with pytest.raises(
        ValueError, match=r"Upsample makes 4,097 x 4,097 numbers of one; expected at most 16,777,216"
    ):
        grows(nn.Upsample(side + 1))
    with pytest.raises(ValueError, match=r"ZeroPad1d makes 16,777,217 numbers of one"):
        grows(nn.ZeroPad1d(MOST_GROWTH // 2))
    with pytest.raises(ValueError, match=r"ZeroPad2d makes 4,097 x 4,096 numbers"):
        grows(nn.ZeroPad2d(((0, side), (side - 1, 0))), nn.MaxPool2d(side))
    with pytest.raises(ValueError, match=r"Upsample makes far more x far more numbers"):
        grows(nn.Upsample(2**64))


def test_what_grows_in_steps():
    grows(nn.Repeat(nn.Upsample(2), 12))
    grows(nn.Residual(nn.Upsample(64)), nn.Upsample(64))
    with pytest.raises(ValueError, match="Upsample makes 8,192 x 8,192"):
        grows(nn.Repeat(nn.Upsample(2), 13))
    with pytest.raises(ValueError, match="Upsample makes 8,192 x 8,192"):
        grows(nn.Residual(nn.Upsample(64)), nn.Upsample(128))
    with pytest.raises(ValueError, match="Upsample makes 8,192 x 8,192"):
        grows(nn.Concatenate([nn.relu, nn.Upsample(64), nn.Upsample(2)]), nn.Upsample(128))


def test_the_most_repetitions_and_the_next():
    grows(nn.Repeat(nn.relu, MOST_CALLS + 1))
    with pytest.raises(ValueError, match="a prediction repeats 10,001 layers; expected at most 10,000"):
        grows(nn.Repeat(nn.relu, MOST_CALLS + 2))
    grows(nn.Repeat(nn.Repeat(nn.relu, 70), 70))
    with pytest.raises(ValueError, match="a prediction repeats"):
        grows(nn.Repeat(nn.Repeat(nn.relu, 100), 100))
    with pytest.raises(ValueError, match="a prediction repeats far more layers"):
        grows(nn.Repeat(nn.relu, 2**64 + 2))
