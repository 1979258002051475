"""Logits, labels and weights for losses of classes."""

import numpy as np

RNG = np.random.default_rng(7)
LOGITS = RNG.normal(size=(6, 4)) * 2
LABELS = np.asarray([0, 3, 1, 1, 2, 0])
SOFT = RNG.dirichlet(np.ones(4), size=6)
HOT = np.eye(4)[LABELS]
CLASS_WEIGHTS = np.asarray([0.5, 2.0, 1.0, 0.25])
SAMPLE_WEIGHT = np.asarray([1.0, 0.0, 2.0, 0.5, 1.0, 3.0])


def log_softmax(x):
    return x - np.log(np.sum(np.exp(x), axis=-1, keepdims=True))


def moved(options, backend, dtype):
    return {
        k: backend.asarray(v, dtype=dtype) if isinstance(v, np.ndarray) else v for k, v in options.items()
    }
