"""A small training whose checkpoints are written."""

from __future__ import annotations

import numpy as np

from portnn import Network, optim
from portnn.nn import Linear

X, Y = np.eye(8, dtype=np.float32), np.arange(8) % 2


def fit(*callbacks, **options):
    net = Network([Linear(8, 300), Linear(300, 2)])
    options = {"epochs": 4, "batch_size": 4, "optimizer": optim.sgd(0.01), **options}
    net.fit(X, Y, callbacks=callbacks, progress=False, **options)
    return net
