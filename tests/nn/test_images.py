"""Layers of images and signals: fans, shapes, and what is refused."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from portnn import nn, ops
from portnn.random import stream

X = np.zeros((2, 4, 9, 9), dtype=np.float32)


def test_fans_of_weights():
    plain = nn.Conv2d(8, 16, 5, groups=2).init(stream(0))["weight"]
    assert plain.shape == (16, 4, 5, 5)
    assert abs(np.abs(plain).max() - np.sqrt(6 / 100)) < 0.01
    turned = nn.ConvTranspose2d(8, 2, 5, groups=2).init(stream(0))["weight"]
    assert turned.shape == (8, 1, 5, 5)
    assert abs(np.abs(turned).max() - np.sqrt(6 / 100)) < 0.01


def test_same_keeps_the_size_and_divides_it_by_the_stride():
    for n, k, s in [(9, 3, 1), (9, 4, 1), (9, 4, 2), (8, 5, 3), (7, 2, 4)]:
        y = ops.conv1d(np.zeros((1, 1, n)), np.zeros((1, 1, k)), stride=s, padding="same")
        assert y.shape[2] == -(-n // s)


def test_integers_and_tuples_of_them_are_the_same_layer():
    assert nn.Conv2d(1, 2, 3, stride=2) == nn.Conv2d(1, 2, (3, 3), stride=(2, 2))
    assert nn.MaxPool2d(2) == nn.MaxPool2d(2, 2)
    assert nn.Upsample((2,)) == nn.Upsample(2)


REFUSED = {
    "channels": (lambda: nn.Conv2d(0, 2, 3), ValueError, "Conv2d: in_channels must be at least 1, got 0"),
    "kernel": (
        lambda: nn.Conv2d(1, 2, 1.5),
        TypeError,
        "kernel_size must be an integer or a tuple of 2, got float",
    ),
    "axes": (lambda: nn.Conv1d(1, 2, (3, 3)), ValueError, "kernel_size must be an integer or a tuple of 1"),
    "groups": (lambda: nn.Conv2d(4, 6, 3, groups=4), ValueError, "must be multiples of groups=4"),
    "transposed groups": (lambda: nn.ConvTranspose2d(4, 6, 3, groups=4), ValueError, "multiples of groups=4"),
    "word": (lambda: nn.Conv2d(1, 2, 3, padding="full"), ValueError, "'valid' or 'same', got 'full'"),
    "pairs": (lambda: nn.Conv2d(1, 2, 3, padding=((1, 1),)), ValueError, "a pair for each of 2 axes"),
    "negative": (lambda: nn.MaxPool1d(2, padding=-1), ValueError, "padding must be .* at least 0, got -1"),
    "image": (
        lambda: nn.Conv2d(3, 2, 3).apply({}, X),
        ValueError,
        r"shape \(n, 3, height, width\), got \(2, 4, 9, 9\)$",
    ),
    "no channels": (
        lambda: nn.Conv2d(1, 2, 3).apply({}, X[:, 0]),
        ValueError,
        r"put portnn.Reshape\(\(1, 9, 9\)\) in",
    ),
    "bytes": (lambda: nn.MaxPool2d(2).apply({}, X.astype(np.uint8)), TypeError, "put portnn.Rescale"),
    "parameters": (
        lambda: nn.Conv2d(4, 2, 3).apply({"weight": X}, X),
        ValueError,
        "parameters named weight, bias",
    ),
    "pad": (lambda: nn.ZeroPad2d("same"), TypeError, "ZeroPad2d: padding must be integers or a pair"),
    "mode": (lambda: nn.Upsample(2, "cubic"), ValueError, "mode must be 'nearest' or 'linear', got 'cubic'"),
    "two unknown": (lambda: nn.Reshape((-1, -1)), ValueError, "only one length may be -1"),
    "length": (lambda: nn.Reshape((0,)), ValueError, "a length must be at least 1, got 0"),
    "reshape": (
        lambda: nn.Reshape((5, -1)).apply({}, X),
        ValueError,
        r"\(4, 9, 9\) do not fit into \(5, -1\)",
    ),
    "no batch": (lambda: nn.Reshape((1,)).apply({}, X[0, 0, 0, 0]), ValueError, "a batch axis"),
    "too large": (
        lambda: ops.conv2d(X, np.zeros((1, 4, 12, 1))),
        ValueError,
        "window of 12 .* not fit into an axis of 9",
    ),
    "weight": (
        lambda: ops.conv2d(X, np.zeros((1, 3, 2, 2))),
        ValueError,
        r"do not fit with groups=1; expected \(out",
    ),
    "signal": (lambda: ops.conv1d(X, np.zeros((1, 4, 2))), ValueError, r"expected x \(n, channels, length\)"),
    "bias": (
        lambda: ops.conv2d(X, np.zeros((3, 4, 2, 2)), np.zeros(2)),
        ValueError,
        r"bias of shape \(3,\), got \(2,\)",
    ),
    "empty": (lambda: ops.conv2d(X, np.zeros((3, 4, 0, 2))), ValueError, "a weight that is not empty"),
    "stride": (
        lambda: ops.conv2d(X, np.zeros((3, 4, 2, 2)), stride=0),
        ValueError,
        "stride must be .* at least 1",
    ),
    "pair": (
        lambda: ops.conv2d(X, np.zeros((3, 4, 2, 2)), padding=((1, 1),)),
        ValueError,
        "a pair for each of 2",
    ),
    "name": (lambda: ops.conv2d(X, np.zeros((3, 4, 2, 2)), padding="full"), ValueError, "'valid' or 'same'"),
    "output padding": (
        lambda: ops.conv_transpose2d(X, np.zeros((4, 1, 2, 2)), output_padding=1),
        ValueError,
        "must be less than",
    ),
    "nothing left": (
        lambda: ops.conv_transpose2d(X, np.zeros((4, 1, 2, 2)), padding=5),
        ValueError,
        "leaves nothing",
    ),
    "nothing but padding": (
        lambda: ops.max_pool1d(np.ones((1, 1, 3)), 2, stride=1, padding="same", dilation=4),
        ValueError,
        "max_pool1d: window 1 lies in the padding altogether: kernel 2 with dilation 4 steps over",
    ),
    "nothing but padding across": (
        lambda: ops.max_pool2d(X, (1, 2), stride=1, padding=(0, 1), dilation=(1, 10)),
        ValueError,
        "max_pool2d: window 0 lies in the padding altogether",
    ),
    "half": (lambda: ops.max_pool2d(X, 2, padding=2), ValueError, "at most half of the kernel"),
    "pool axes": (lambda: ops.max_pool1d(X, 2), ValueError, "expected x of 3 axes"),
    "no space": (lambda: ops.global_avg_pool(X[:, :, 0, 0]), ValueError, r"\(n, channels, \*spatial\)"),
    "widths": (lambda: ops.pad(X, [(1, 1)]), ValueError, "a pair for each of 4 axes, got 1"),
    "rows": (lambda: ops.upsample(X[0, 0], 2), ValueError, "three or four axes"),
    "bilinear": (lambda: ops.upsample(X[0], 2, mode="bilinear"), ValueError, "mode must be"),
    "no pixels": (lambda: ops.upsample(X[:, :, :0], 2, mode="linear"), ValueError, "not empty"),
}


def test_a_maximum_is_that_of_some_element():
    refused = 0
    for n, k, s, d in product(range(1, 7), (1, 2, 3), (1, 2), (1, 2, 3, 5)):
        for padding in ("same", *range(k // 2 + 1)):
            x = -1.0 - np.arange(float(n))[None, None]
            try:
                y = ops.max_pool1d(x, k, stride=s, padding=padding, dilation=d)
            except ValueError as error:
                refused += "in the padding altogether" in str(error)
                continue
            assert np.isin(y, x).all(), (n, k, s, d, padding)
    assert refused > 10


@pytest.mark.parametrize(("call", "kind", "text"), REFUSED.values(), ids=REFUSED)
def test_refused(call, kind, text):
    with pytest.raises(kind, match=text) as caught:
        call()
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("groups", [1, 2])
def test_transposed_kernels_are_drawn_as_kernels_are(groups):
    """By the fans of the same connections the other way around: outputs of one are inputs of the other."""
    kernel = (2, 3)
    drawn = nn.Conv2d(4, 6, kernel, groups=groups).init(stream(5))["weight"]
    found = nn.ConvTranspose2d(4, 6, kernel, groups=groups).init(stream(5))["weight"]
    n, m = 4 // groups, 6 // groups
    for g in range(groups):
        for i in range(n):
            for o in range(m):
                np.testing.assert_array_equal(found[g * n + i, o], drawn[g * m + o, i])
