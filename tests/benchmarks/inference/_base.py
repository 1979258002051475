"""What a predictor is: a contender whose run is a number of calls, each with other images."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from tests.benchmarks.contenders import Contender, Order, Task


class Predictor(Contender):
    """Probabilities for one batch after another; its loss is the mean cross-entropy of what came out."""

    def prepare(self, task: Task) -> None:
        images, self.labels = task.images, task.labels
        size = task.batch or len(images)
        self.starts = range(0, len(images) - size + 1, size)
        self.batches = [images[i : i + size] for i in self.starts]
        self.load(task)

    @abstractmethod
    def load(self, task: Task) -> None:
        """Take over the parameters."""

    @abstractmethod
    def predict(self, x: np.ndarray) -> np.ndarray:
        """Probabilities (n, classes) for images (n, 784), both NumPy arrays of float32."""

    def run(self, order: Order) -> list[Any]:
        batches, predict = self.batches, self.predict
        return [predict(batches[i % len(batches)]) for i in range(order.count)]

    def loss(self, result: list[Any], order: Order) -> float:
        """The mean over all calls, so that a wrong answer to any of them shows."""
        losses = []
        for i, p in enumerate(result):
            start = self.starts[i % len(self.starts)]
            labels = self.labels[start : start + len(p)]
            losses.append(-np.log(p[np.arange(len(p)), labels].astype(np.float64)).mean())
        return float(np.mean(losses))


class PredictorReference(Predictor):
    """Probabilities in float64."""

    slug = "reference"
    title = "reference"

    def load(self, task: Task) -> None:
        self.params = [(w.astype(np.float64), b.astype(np.float64)) for w, b in task.weights]

    def predict(self, x: np.ndarray) -> np.ndarray:
        for i, (w, b) in enumerate(self.params):
            x = (np.maximum(x, 0) if i else x.astype(np.float64)) @ w + b
        e = np.exp(x - x.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)
