"""Parity of the layers that normalise, and of their running statistics."""

from __future__ import annotations

import pytest

from portnn import nn
from tests.parity.frame import cases, compare, torch


def pick(rng, *choices):
    return choices[int(rng.integers(len(choices)))]


@pytest.mark.parametrize("training", [True, False])
@cases(4)
def test_batch_norm(rng, training):
    axes, c = int(rng.integers(3)), int(rng.integers(1, 5))
    options = {
        "affine": pick(rng, True, False),
        "momentum": pick(rng, None, 0.3),
        "eps": pick(rng, 1e-5, 1e-2),
    }
    track = pick(rng, True, True, False)
    kind = (torch.nn.BatchNorm1d, torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)[axes]
    module = kind(c, track_running_stats=track, **options)
    shape = (int(rng.integers(2, 6)), c, *rng.integers(1, 5, axes).tolist())
    compare(nn.BatchNorm(c, track=track, **options), module, rng.normal(3.0, 2.0, shape), training=training)


@cases(4)
def test_layer_norm(rng):
    shape = tuple(rng.integers(2, 5, int(rng.integers(1, 3))).tolist())
    affine, bias, eps = pick(rng, True, False), pick(rng, True, False), pick(rng, 1e-5, 1e-2)
    module = torch.nn.LayerNorm(shape, eps, elementwise_affine=affine, bias=bias)
    compare(nn.LayerNorm(shape, eps, affine, bias), module, rng.normal(3.0, 2.0, (3, 2, *shape)))
    module = torch.nn.RMSNorm(shape, eps, elementwise_affine=affine)
    compare(nn.RMSNorm(shape, eps, affine), module, rng.normal(3.0, 2.0, (3, 2, *shape)))
    scale = 10.0 ** -rng.integers(0, 9)  # down to where the default of eps decides
    compare(nn.RMSNorm(shape), torch.nn.RMSNorm(shape), rng.normal(0.0, scale, (3, 2, *shape)))


@cases(4)
def test_group_and_instance_norm(rng):
    groups, axes, affine = int(rng.integers(1, 4)), int(rng.integers(1, 3)), pick(rng, True, False)
    c, eps = groups * int(rng.integers(1, 4)), pick(rng, 1e-5, 1e-2)
    x = rng.normal(3.0, 2.0, (3, c, *rng.integers(2, 5, axes).tolist()))
    compare(nn.GroupNorm(groups, c, eps, affine), torch.nn.GroupNorm(groups, c, eps, affine), x)
    kind = (torch.nn.InstanceNorm1d, torch.nn.InstanceNorm2d)[axes - 1]
    compare(nn.InstanceNorm(c, eps, affine), kind(c, eps, affine=affine), x)
