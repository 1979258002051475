"""The floor: the matrix products of a training step and the gather of its batch, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.benchmarks.contenders._base import Contender, Order, Task, array_library
from tests.benchmarks.contenders._by_hand import Gather


class Floor(Contender):
    """What no library that calls BLAS can get under: bias, ReLU, loss and update cost nothing here.

    Where images are bytes they are cast, since BLAS has no products of bytes; even the rescaling is left out.
    Its losses mean nothing and are not compared.
    """

    slug = "floor"
    title = "floor (BLAS and gather)"
    devices = ("cpu", "gpu")
    computes = False

    def prepare(self, task: Task) -> None:
        self.xp = xp = array_library(self.device)
        self.gather = Gather(xp, task.images, task.labels, task.batch, "float32")
        rng = np.random.default_rng(0)
        rows = task.batch or len(task.labels)
        self.weights = [xp.asarray(w) for w, _ in task.weights]
        self.outputs = [
            xp.asarray(rng.random((rows, size), dtype=np.float32) * 0.01) for size in task.sizes[1:]
        ]
        self.deltas = [xp.empty_like(a) for a in self.outputs]
        self.steps = [xp.empty_like(w) for w in self.weights]

    def batch(self, chosen: Any) -> Any:
        """The images of a step, in float32."""
        if chosen is None:
            return self.gather.whole
        gather = self.gather
        self.xp.take(gather.labels, chosen, out=gather.y, **gather.options)
        raw = gather.rows(chosen)
        if raw is not gather.x:
            gather.x[...] = raw
        return gather.x

    def step(self, x: Any) -> None:
        """The products of a step: forward, with the transposed input, with the transposed weights."""
        for i, w in enumerate(self.weights):
            self.xp.matmul(x if i == 0 else self.outputs[i - 1], w, out=self.deltas[i])
        for i in reversed(range(len(self.weights))):
            below, d = x if i == 0 else self.outputs[i - 1], self.outputs[i]
            self.xp.matmul(below.T, d, out=self.steps[i])
            if i:
                self.xp.matmul(d, self.weights[i].T, out=self.deltas[i - 1])

    def run(self, order: Order) -> float:
        chosen = [None] * order.count if order.indices is None else self.xp.asarray(order.indices)
        for rows in chosen:
            self.step(self.batch(rows))
        return float("nan")

    def synchronize(self) -> None:
        if self.device == "gpu":
            self.xp.cuda.get_current_stream().synchronize()
