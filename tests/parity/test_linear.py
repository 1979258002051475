"""Parity of the fully connected layer, PReLU and lists of layers."""

from __future__ import annotations

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
