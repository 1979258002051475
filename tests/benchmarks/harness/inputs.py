"""The files that every contender reads: images, labels, initial and trained parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import portnn as pn
from portnn.data import load_mnist
from tests.benchmarks.harness.workloads import Workload

__all__ = ["STAND_IN", "load", "write_data", "write_params"]

STAND_IN = "synthetic: random pixels and labels of MNIST's shapes"
TRAINED = "one epoch of batches of 64, sgd(0.1), seed 0"  # what W5 predicts with


def stand_in(samples: int = 60_000) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 28, 28) and labels (n,) that have MNIST's shapes, and about its share of ink."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (samples, 28, 28), dtype=np.uint8)
    images *= rng.random(images.shape, dtype=np.float32) < 0.2
    return images, rng.integers(0, 10, samples, dtype=np.uint8)


def load(folder: Path) -> tuple[np.ndarray, np.ndarray, str]:
    """The training images and labels of MNIST, or a stand-in, and which of them it is."""
    try:
        images, labels = load_mnist(folder, "train")
    except FileNotFoundError:
        return *stand_in(), STAND_IN
    return images, labels, "MNIST"


def write_data(folder: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """Write images (n, 784) and labels for the workers."""
    np.save(folder / "images.npy", images.reshape(len(images), -1))
    np.save(folder / "labels.npy", labels)


def write_params(folder: Path, workload: Workload, images: np.ndarray, labels: np.ndarray) -> None:
    """Write the parameters that a workload begins with, from a portnn network; for W5 a trained one."""
    file = folder / workload.params
    if file.exists():
        return
    layers: list[Any] = [pn.Flatten(), pn.Rescale(), *pn.MLP(list(workload.sizes)).layers]
    net = pn.Network(layers, loss=pn.losses.softmax_cross_entropy, backend="cpu", seed=0)
    if not workload.training:
        net.fit(images, labels, epochs=1, batch_size=64, optimizer=pn.optim.sgd(0.1), progress=False)
    linear = [p for p in net.params if p]
    arrays = {f"{letter}{i}": p[name] for i, p in enumerate(linear) for letter, name in NAMES.items()}
    np.savez(file, **{name: net.backend.to_numpy(a) for name, a in arrays.items()})


NAMES = {"w": "weight", "b": "bias"}
