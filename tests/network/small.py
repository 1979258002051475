"""A small classifier, what it learns from, and how to compare two."""

from __future__ import annotations

import numpy as np

from portnn import Network, tree
from portnn.nn import Linear, tanh

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype(np.float32)
LABELS = np.argmax(X[:, :3], axis=1)


def classifier(**options):
    return Network([Linear(4, 8), tanh, Linear(8, 3)], **options)


def bits(net):
    return [np.array(net.backend.to_numpy(p)) for p in tree.leaves(net.params)]


def same(a, b):
    return all((x == y).all() for x, y in zip(a, b, strict=True))
