"""Trainings that are stopped and go on, for the tests of both."""

from __future__ import annotations

from functools import partial

import numpy as np

from portnn import Network, losses, optim, tree
from portnn.nn import BatchNorm, Dropout, Linear, relu
from portnn.optim import schedules
from portnn.train.callbacks import Checkpoint, EarlyStopping, ReduceLROnPlateau

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 6)).astype(np.float32)
Y = np.argmax(X @ RNG.normal(size=(6, 3)), axis=1)
WEIGHT = RNG.uniform(0.5, 1.5, size=90).astype(np.float32)
LAYERS = [Linear(6, 8), BatchNorm(8), relu, Dropout(0.3), Linear(8, 3)]
EPOCHS = 6


def adam():
    return optim.adam(schedules.cosine(0.02, 60))


def averaged():
    return optim.ema(optim.chain(optim.clip_by_global_norm(1.0), optim.adamw(0.01)), 0.9)


def watchers():
    return [
        ReduceLROnPlateau("val_loss", factor=0.5, patience=1, min_delta=0.01),
        EarlyStopping("val_loss", patience=3, min_delta=0.01),
    ]


CASES = {
    "adam and schedule": {"optimizer": adam},
    "ema": {"optimizer": averaged},
    "plateau and early stopping": {"optimizer": partial(optim.sgd, 0.5, momentum=0.9), "watch": watchers},
    "eager": {"optimizer": adam, "compile": False},
    "eager ema": {"optimizer": averaged, "compile": False, "watch": watchers},
    "weights": {"optimizer": adam, "sample_weight": WEIGHT},
    "in parts": {"optimizer": averaged, "accumulate": 2},
    "all at once": {"optimizer": adam, "batch_size": None},
    "in order": {"optimizer": adam, "shuffle": False, "watch": watchers},
}


def train(options, folder=None, resume=None, backend="cpu", **more):
    options = {"batch_size": 7, **options, **more}
    watch = options.pop("watch", list)()
    if folder is not None:
        watch.insert(0, Checkpoint(folder, every_steps=5, keep=None))
    net = Network(LAYERS, seed=3, backend=backend, loss=options.pop("loss", losses.softmax_cross_entropy))
    options = {"validation_data": (X[:20], Y[:20]), **options, "optimizer": options["optimizer"]()}
    history = net.fit(X, Y, epochs=EPOCHS, callbacks=watch, resume=resume, **options)
    return net, history


def numbers(net):
    parts = net.params, net.state, net.optimizer_state
    return [net.backend.to_numpy(a) for a in tree.leaves(parts)], (net.epochs, net.steps, net.seed)


def same(a, b):
    (arrays, counts), (others, other_counts) = numbers(a), numbers(b)
    return counts == other_counts and all(
        x.dtype == y.dtype and np.array_equal(x, y) for x, y in zip(arrays, others, strict=True)
    )
