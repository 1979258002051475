"""Parity of the fully connected layer, PReLU and lists of layers."""

from __future__ import annotations

import pytest

from portnn import nn
from tests.parity.frame import cases, compare, torch


@cases(4)
def test_linear(rng):
    n_in, n_out, n = rng.integers(1, 6, 3).tolist()
    bias = bool(rng.integers(2))
    shape = (n, n_in) if rng.integers(2) else (n, 3, n_in)
    compare(nn.Linear(n_in, n_out, bias=bias), torch.nn.Linear(n_in, n_out, bias), rng.normal(size=shape))


@cases(2)
def test_sequential(rng):
    a, b, c = rng.integers(1, 6, 3).tolist()
    layer = nn.Sequential([nn.Flatten(), nn.Linear(2 * a, b), nn.PReLU(b), [nn.gelu, nn.Linear(b, c)]])
    parts = [torch.nn.Flatten(), torch.nn.Linear(2 * a, b), torch.nn.PReLU(b)]
    module = torch.nn.Sequential(*parts, torch.nn.Sequential(torch.nn.GELU(), torch.nn.Linear(b, c)))
    compare(layer, module, rng.normal(size=(3, 2, a)))


@pytest.mark.parametrize("axes", range(1, 6))
@pytest.mark.parametrize("one", [True, False])
@cases(2)
def test_prelu(rng, one, axes):
    c = int(rng.integers(2, 5))
    features = 1 if one or axes == 1 else c  # of one axis PyTorch takes one slope alone
    shape = (int(rng.integers(1, 4)), *[c] * (axes - 1))  # every axis but the first fits the slopes
    compare(nn.PReLU(features), torch.nn.PReLU(features), rng.normal(size=shape))


@cases(2)
def test_prelu_of_images(rng):
    c = int(rng.integers(2, 5))
    wide = c * c * 4
    layer = nn.Sequential([nn.Conv2d(1, c, 3), nn.PReLU(c), nn.Flatten(), nn.Linear(wide, 2), nn.PReLU(2)])
    parts = [torch.nn.Flatten(), torch.nn.Linear(wide, 2), torch.nn.PReLU(2)]
    module = torch.nn.Sequential(torch.nn.Conv2d(1, c, 3), torch.nn.PReLU(c), *parts)
    compare(layer, module, rng.normal(size=(3, 1, 6, c + 2)))  # behind the kernel as wide as its channels
