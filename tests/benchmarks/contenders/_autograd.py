"""HIPS/autograd: NumPy with derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.benchmarks.contenders._base import LEARNING_RATE, Contender, Order, Task


class Autograd(Contender):
    """`value_and_grad` of the loss, and an update by hand."""

    slug = "autograd"
    title = "HIPS/autograd"
    packages = ("autograd", "scipy", "threadpoolctl")

    def prepare(self, task: Task) -> None:
        import autograd.numpy as anp
        from autograd import value_and_grad
        from autograd.scipy.special import logsumexp

        zero = np.float32(0)

        def objective(params: Any, x: Any, targets: Any) -> Any:
            for i, (w, b) in enumerate(params):
                x = anp.dot(anp.maximum(x, zero) if i else x, w) + b
            return anp.mean(logsumexp(x, axis=1) - anp.sum(x * targets, axis=1))

        self.differentiate = value_and_grad(objective)
        self.params = [(w.copy(), b.copy()) for w, b in task.weights]
        self.images, self.labels, self.pixels = task.images, task.labels, task.pixels
        # Rows of ones and zeros: its gradient of an index is far slower.
        self.one_hot = np.eye(task.sizes[-1], dtype=np.float32)

    def step(self, rows: np.ndarray | None) -> float:
        """One step; the loss."""
        x, y = (self.images, self.labels) if rows is None else (self.images[rows], self.labels[rows])
        if self.pixels:
            x = x.astype(np.float32)
            x *= np.float32(1 / 255)
        loss, gradients = self.differentiate(self.params, x, self.one_hot[y])
        rate = np.float32(LEARNING_RATE)
        for (w, b), (dw, db) in zip(self.params, gradients, strict=True):
            w -= rate * dw
            b -= rate * db
        return loss

    def run(self, order: Order) -> float:
        rows = [None] * order.count if order.indices is None else order.indices
        return float(np.mean([self.step(chosen) for chosen in rows]))
