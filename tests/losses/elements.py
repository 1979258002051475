"""Predictions and targets for losses that look at each element."""

import numpy as np

RNG = np.random.default_rng(3)
X = RNG.normal(size=(5, 3)) * 2
Y = RNG.normal(size=(5, 3)) * 2
COUNTS = np.asarray([[1, 0, 4], [0, 2, 1], [3, 1, 1], [0, 1, 0], [7, 0, 0]])
WEIGHT = np.asarray([1.0, 0.0, 2.0, 0.5, 3.0])

V = RNG.normal(size=(5, 3))
