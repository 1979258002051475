"""The article's algorithm: full batch, plain float64 NumPy, features first."""

from __future__ import annotations

import numpy as np

from tests.benchmarks.contenders._base import LEARNING_RATE, Contender, Order, Task


class Article(Contender):
    """Two layers as the article's formulas say them: x is (784, m), a weight is (out, in), new arrays always.

    The article subtracts no maximum before it exponentiates and makes the one-hot labels in every step. It
    looks at no loss, so here only the loss of a run's last step is computed.
    """

    slug = "article"
    title = "article (NumPy, float64)"
    full_batch_only = True

    def prepare(self, task: Task) -> None:
        # As the article does it: a transposed table, divided, which keeps the order in memory.
        self.x = task.images.T.astype(np.float64)
        self.labels = task.labels
        self.params = [a.astype(np.float64) for w, b in task.weights for a in (w.T, b[:, None])]

    def step(self) -> np.ndarray:
        """One step of gradient descent; the probabilities (10, m) before it."""
        x, m = self.x, self.labels.size
        w1, b1, w2, b2 = self.params
        z1 = w1 @ x + b1
        a1 = np.maximum(z1, 0)
        z2 = w2 @ a1 + b2
        a2 = np.exp(z2)
        a2 /= a2.sum(axis=0)
        one_hot = np.zeros((m, 10))
        one_hot[np.arange(m), self.labels] = 1
        dz2 = a2 - one_hot.T
        dw2, db2 = 1 / m * dz2 @ a1.T, 1 / m * dz2.sum(axis=1, keepdims=True)
        dz1 = w2.T @ dz2 * (z1 > 0)
        dw1, db1 = 1 / m * dz1 @ x.T, 1 / m * dz1.sum(axis=1, keepdims=True)
        gradients = (dw1, db1, dw2, db2)
        self.params = [p - LEARNING_RATE * g for p, g in zip(self.params, gradients, strict=True)]
        return a2

    def run(self, order: Order) -> np.ndarray:
        for _ in range(order.count):
            probabilities = self.step()
        return probabilities

    def loss(self, result: np.ndarray, order: Order) -> float:
        if order.count > 1:
            return float("nan")
        return float(-np.log(result[self.labels, np.arange(self.labels.size)]).mean())
