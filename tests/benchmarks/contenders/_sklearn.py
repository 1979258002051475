"""scikit-learn: `MLPClassifier.partial_fit`, plain SGD."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.benchmarks.contenders._base import LEARNING_RATE, Contender, Order, Task

CHUNK = 16  # batches a call: its checks are then paid once for all of them, and the rows stay in the cache


def make_classifier(task: Task) -> Any:
    """A classifier with the task's parameters."""
    from sklearn.neural_network import MLPClassifier

    classifier = MLPClassifier(
        hidden_layer_sizes=task.sizes[1:-1],
        solver="sgd",
        alpha=0.0,
        batch_size=task.batch or len(task.labels),
        learning_rate_init=LEARNING_RATE,
        momentum=0.0,
        nesterovs_momentum=False,
        shuffle=False,
    )
    rows = max(task.batch or len(task.labels), task.sizes[-1])
    classes, some = np.arange(task.sizes[-1]), np.zeros((rows, task.sizes[0]), dtype=np.float32)
    # The only way to make the parameters; they are then overwritten where they lie, since its optimiser
    # holds them too.
    classifier.partial_fit(some, np.resize(classes, rows), classes=classes)
    for i, (w, b) in enumerate(task.weights):
        classifier.coefs_[i][...] = w
        classifier.intercepts_[i][...] = b
    return classifier


class SklearnMLP(Contender):
    """Several batches a call, gathered in order; the classifier goes through them one by one."""

    slug = "sklearn"
    title = "scikit-learn"
    packages = ("sklearn", "threadpoolctl")

    def prepare(self, task: Task) -> None:
        self.classifier = make_classifier(task)
        self.images, self.labels, self.pixels = task.images, task.labels, task.pixels

    def fit(self, rows: np.ndarray | None) -> float:
        """The mean loss of the batches that the rows are."""
        x, y = (self.images, self.labels) if rows is None else (self.images[rows], self.labels[rows])
        if self.pixels:
            x = x.astype(np.float32)
            x *= np.float32(1 / 255)
        self.classifier.partial_fit(x, y)
        return self.classifier.loss_

    def run(self, order: Order) -> float:
        if order.indices is None:
            return float(np.mean([self.fit(None) for _ in range(order.count)]))
        chunks = [order.indices[i : i + CHUNK] for i in range(0, order.count, CHUNK)]
        losses = [self.fit(chunk.reshape(-1)) for chunk in chunks]
        return float(np.average(losses, weights=[len(chunk) for chunk in chunks]))
