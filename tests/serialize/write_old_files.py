"""Networks and trainings whose files an earlier version of portnn wrote, and the program that wrote them.

The files of `tests/serialize/old_files` are of commit b5c6214, and later versions have to read them. This
program takes nothing from the tests; they were written by it in a checkout of that commit::

    git worktree add --detach ../old b5c6214
    here=$PWD/tests/serialize && cd ../old
    PYTHONPATH=. OPENBLAS_NUM_THREADS=1 python $here/write_old_files.py $here/old_files

The recipes are used by the tests too, so they use only what both versions have. The data need no generator of
random numbers, whose numbers may differ between versions of NumPy.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from portnn import Network, losses, optim, tree
from portnn.nn import (
    LSTM,
    BatchNorm,
    Conv2d,
    Dropout,
    Embedding,
    Flatten,
    Linear,
    MaxPool2d,
    Rescale,
    relu,
    tanh,
)
from portnn.optim import schedules
from portnn.train.callbacks import (
    Checkpoint,
    CSVLogger,
    EarlyStopping,
    ModelCheckpoint,
    ReduceLROnPlateau,
)

EXPECTED = "expected.npz"  # what the networks predicted, and how the trainings ended that nobody interrupted


def numbers(*shape, start=0):
    """Numbers from -1 to 1 without a visible order, the same on every machine."""
    i = np.arange(start, start + np.prod(shape), dtype=np.int64)
    return ((i * 7919 + i * i * 104729) % 10007 / 5003.5 - 1.0).reshape(shape)


X = numbers(90, 6).astype(np.float32)
LABELS = np.where(X[:, 0] > 0.2, 2, X[:, 1] > X[:, 2]).astype(np.int64)
VALUES = (X[:, :1] * X[:, 1:2] + 0.5 * X[:, 2:3]).astype(np.float32)
WEIGHT = (1.5 + numbers(90, start=5000)).astype(np.float32)
IMAGES = np.rint((numbers(24, 1, 8, 8, start=9000) + 1.0) * 127.0).astype(np.uint8)
WORDS = np.rint((numbers(30, 5, start=20_000) + 1.0) * 3.0).astype(np.int64)


def classifier():
    """A perceptron with notes, a partial loss and a seed of 100 bits."""
    loss = partial(losses.softmax_cross_entropy, label_smoothing=0.1)
    net = Network([Linear(6, 8), tanh, Dropout(0.2), Linear(8, 3)], loss=loss, seed=2**100 + 5)
    net.notes = {"classes": ["left", "right", "über"], "trained on": {"samples": 90, "version": 1.5}}
    net.fit(X, LABELS, epochs=3, batch_size=16, optimizer=optim.adam(0.02), progress=False)
    return net


def convolution():
    """A convolutional network with the running state of a batch normalization."""
    layers = [
        [Rescale(), Conv2d(1, 4, 3), BatchNorm(4), relu, MaxPool2d(2)],
        Flatten(),
        Linear(36, 4),
    ]
    net = Network(layers, seed=3)
    optimizer = optim.sgd(0.05, momentum=0.9)
    net.fit(IMAGES, np.arange(24) % 4, epochs=4, batch_size=8, optimizer=optimizer, progress=False)
    return net


def recurrent():
    """A recurrent network of float64 for values, whose parameters are averages."""
    layers = [Embedding(7, 4, padding_idx=0), LSTM(4, 5), Flatten(), Linear(25, 1)]
    net = Network(layers, loss=partial(losses.huber, delta=0.5), dtype="float64", seed=4)
    targets = numbers(30, 1, start=30_000)
    optimizer = optim.ema(optim.adam(0.02), 0.8)
    net.fit(WORDS, targets, epochs=3, batch_size=10, optimizer=optimizer, progress=False)
    return net


NETWORKS = {
    "classifier": (classifier, X),
    "convolution": (convolution, IMAGES),
    "recurrent": (recurrent, WORDS),
}


@dataclass(frozen=True)
class Training:
    """A training of which a checkpoint was kept.

    Attributes:
        layers: those of the network.
        loss: its loss.
        targets: of the samples `X`.
        steps: how many steps the network had been trained for when the checkpoint was written.
        options: of `fit`, as far as they are plain values.
        optimizer: makes the optimizer.
        watchers: makes the callbacks; their files have relative paths.
        before: epochs of a training before it, with plain gradient descent.
        dtype: that of the network.
        checkpoints: when checkpoints are written.
    """

    layers: list
    loss: object
    targets: np.ndarray
    steps: int
    options: dict
    optimizer: object
    watchers: object = list
    before: int = 0
    dtype: str = "float32"
    checkpoints: dict = field(default_factory=lambda: {"every_steps": 1})

    def run(self, callbacks=(), backend="cpu", **more):
        """Train, or resume; the network and the history."""
        net = Network(self.layers, loss=self.loss, seed=11, dtype=self.dtype, backend=backend)
        if self.before and "resume" not in more:
            net.fit(X, self.targets, epochs=self.before, optimizer=optim.sgd(0.1), progress=False)
        watchers = [*self.watchers(), *callbacks]
        options = {**self.options, "optimizer": self.optimizer(), "progress": False, **more}
        return net, net.fit(X, self.targets, callbacks=watchers, **options)


def watchers():
    """Callbacks with a memory: of the best parameters, of a wait, of files, of lines."""
    return [
        EarlyStopping("val_loss", patience=4, min_delta=0.02),
        ReduceLROnPlateau("val_accuracy", factor=0.5, patience=1, cooldown=1),
        ModelCheckpoint("best-{epoch}.safetensors", monitor="val_loss", save_best_only=True),
        CSVLogger("log.csv"),
    ]


def averaged():
    """Averages of parameters that follow a schedule, with a bound for the gradient."""
    return optim.ema(optim.chain(optim.clip_by_global_norm(1.0), optim.adam(schedules.cosine(0.05, 25))), 0.9)


TRAININGS = {
    "within an epoch": Training(
        [Linear(6, 8), BatchNorm(8), relu, Dropout(0.3), Linear(8, 3)], losses.softmax_cross_entropy, LABELS,
        steps=22, before=2, options={"epochs": 4, "batch_size": 7},
        optimizer=partial(optim.sgd, 0.1, momentum=0.9, nesterov=True),
    ),
    "watched": Training(
        [Linear(6, 8), tanh, Linear(8, 3)], partial(losses.softmax_cross_entropy, label_smoothing=0.05),
        LABELS, steps=30, options={"epochs": 12, "batch_size": 16, "validation_split": 0.2},
        optimizer=partial(optim.sgd, 1.5, momentum=0.5), watchers=watchers, checkpoints={"every_epochs": 1},
    ),
    "averaged": Training(
        [Linear(6, 6), tanh, Linear(6, 1)], losses.squared_error, VALUES,
        steps=11, options={"epochs": 5, "batch_size": 20, "shuffle": False}, optimizer=averaged,
    ),
    "weighted": Training(
        [Linear(6, 5), tanh, Linear(5, 1)], losses.squared_error, VALUES, dtype="float64",
        steps=12, options={"epochs": 3, "batch_size": 10, "sample_weight": WEIGHT, "accumulate": 1},
        optimizer=partial(optim.adamw, 0.02),
    ),
}  # fmt: skip


def file_of(name):
    """The name of a file."""
    return f"{name.replace(' ', '_')}.safetensors"


def arrays_of(net, history):
    """How a training ended: parameters, running state, and the values of its epochs."""
    found = {"params": net.params, "state": net.state}
    arrays = {name: net.backend.to_numpy(a) for name, a in tree.items(found)}
    counts = {"counts": np.asarray([net.epochs, net.steps])}
    return {**arrays, **counts, **{f"history.{name}": np.asarray(v) for name, v in history.items()}}


def write_training(name, folder):
    """Keep one checkpoint of a training; the arrays that it ended with."""
    training = TRAININGS[name]
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        keeper = Checkpoint("kept", keep=None, **training.checkpoints)
        ended = training.run([keeper])
        shutil.copyfile(f"kept/checkpoint-{training.steps:09d}.safetensors", folder / file_of(name))
        os.chdir(folder)
    return arrays_of(*ended)


def main(folder):
    """Write all files."""
    expected = {}
    for name, (make, x) in NETWORKS.items():
        net = make()
        net.save(folder / file_of(name))
        answer = net.predict(x) if name == "recurrent" else net.predict_proba(x)
        expected[f"{name}/predictions"] = answer
        expected[f"{name}/counts"] = np.asarray([net.epochs, net.steps])
    for name in TRAININGS:
        expected |= {f"{name}/{key}": a for key, a in write_training(name, folder).items()}
    np.savez_compressed(folder / EXPECTED, **expected)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
