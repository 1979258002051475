"""Parity of containers with the modules that one writes for them in PyTorch, shared modules among them."""

from __future__ import annotations

import numpy as np

from portnn import Network, nn
from tests.parity.frame import cases, compare, torch


def module(forward, **parts):
    """A module of PyTorch with named parts."""

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            for name, part in parts.items():
                setattr(self, name, part)

        def forward(self, *inputs):
            return forward(self, *inputs)

    return Module()


@cases(2)
def test_residual_with_running_statistics(rng):
    n = int(rng.integers(1, 5))
    layer = nn.Residual([nn.Linear(n, n), nn.BatchNorm(n), nn.relu], nn.Linear(n, n))
    inner = torch.nn.Sequential(torch.nn.Linear(n, n), torch.nn.BatchNorm1d(n), torch.nn.ReLU())
    theirs = module(lambda m, x: m.layer(x) + m.shortcut(x), layer=inner, shortcut=torch.nn.Linear(n, n))
    compare(layer, theirs, rng.normal(size=(5, n)), training=True)


@cases(2)
def test_branches(rng):
    a, b = rng.integers(1, 5, 2).tolist()
    x, y = rng.normal(size=(3, a)), rng.normal(size=(3, b))
    parts = torch.nn.ModuleList([torch.nn.Linear(a, 2), torch.nn.Linear(b, 2)])
    ours = [nn.Linear(a, 2), nn.Linear(b, 2)]

    def call(combine):
        return lambda m, x, y: combine((m[0](x), m[1](y)))

    compare(nn.Parallel(ours, paired=True), parts, x, y, call=call(tuple))
    compare(nn.Sum(ours, paired=True), parts, x, y, call=call(sum))
    compare(nn.Concatenate(ours, paired=True), parts, x, y, call=call(lambda p: torch.cat(p, 1)))


@cases(2)
def test_shared_parameters(rng):
    n = int(rng.integers(2, 5))
    layer = nn.Repeat(nn.Linear(n, n), 2)
    repeated = module(lambda m, x: m.layer(m.layer(x)), layer=torch.nn.Linear(n, n))
    compare(layer, repeated, rng.normal(size=(3, n)))
    place = nn.Linear(n, 2, bias=False)
    layer = nn.Sharing(
        [nn.Shared("w", place), nn.tanh, nn.Shared("w", nn.Linear(2, n, bias=False), transposed=True)]
    )
    shared = torch.nn.ModuleDict({"w": torch.nn.Linear(n, 2, bias=False)})
    tied = module(lambda m, x: torch.tanh(m.shared["w"](x)) @ m.shared["w"].weight, shared=shared)
    compare(layer, tied, rng.normal(size=(3, n)))


@cases(1)
def test_a_trained_network_of_pytorch_as_a_network(rng):
    stem = [nn.Conv2d(2, 4, 3, padding="same"), nn.BatchNorm(4), nn.relu, nn.MaxPool2d(2)]
    net = Network([*stem, nn.Flatten(), nn.Linear(16, 3)], dtype="float64")
    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 3, padding="same"), torch.nn.BatchNorm2d(4), torch.nn.ReLU(),
        torch.nn.MaxPool2d(2), torch.nn.Flatten(), torch.nn.Linear(16, 3),
    ).double()  # fmt: skip
    x = rng.normal(size=(5, 2, 4, 4))
    theirs(torch.tensor(x))  # a step of training for the running statistics
    theirs.eval()
    net.load_params(*nn.from_torch(net.layer, theirs.state_dict()))
    expected = torch.softmax(theirs(torch.tensor(x)), 1).detach().numpy()
    np.testing.assert_allclose(net.predict_proba(x), expected, rtol=0.0, atol=1e-12)
    net.fit(x, [0, 1, 2, 0, 1], epochs=2, batch_size=3, progress=False)
    back = nn.to_torch(net.layer, net.params, net.state)
    theirs.load_state_dict({name: torch.asarray(a) for name, a in back.items()})
    expected = torch.softmax(theirs(torch.tensor(x)), 1).detach().numpy()
    np.testing.assert_allclose(net.predict_proba(x), expected, rtol=0.0, atol=1e-12)
