"""A small network and what it learns from."""

from __future__ import annotations

import numpy as np

from portnn import Network, tree
from portnn.nn import Linear, tanh

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 4)).astype(np.float32)
Y = np.argmax(X[:, :3], axis=1)


def network(**options):
    return Network([Linear(4, 6), tanh, Linear(6, 3)], **options)


def leaves(net):
    return [net.backend.to_numpy(p).copy() for p in tree.leaves(net.params)]
