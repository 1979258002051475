"""tinygrad with `TinyJit` around one step."""

from __future__ import annotations

from shutil import which
from typing import Any

import numpy as np

from tests.benchmarks.contenders._base import LEARNING_RATE, Contender, Order, Task, UnavailableError


class Tinygrad(Contender):
    """Gather, step and update in one captured list of kernels; losses are added up on the device."""

    slug = "tinygrad"
    title = "tinygrad, TinyJit"
    packages = ("tinygrad",)
    devices = ("cpu", "gpu")
    threads_at_start = True

    @classmethod
    def environment(cls, threads: int | None) -> dict[str, str]:
        return {} if threads is None else {"NUM_CPU_THREADS": str(threads)}

    def __init__(self, device: str) -> None:
        super().__init__(device)
        if device == "cpu" and which("clang") is None:
            raise UnavailableError("clang, with which tinygrad compiles")
        import tinygrad

        self.tinygrad = tinygrad
        self.place = "CPU" if device == "cpu" else "CUDA"

    def use_threads(self, threads: int | None) -> None:
        """Nothing: its process was started with them."""

    def tensor(self, array: np.ndarray) -> Any:
        """A tensor that is in memory."""
        return self.tinygrad.Tensor(array, device=self.place).contiguous().realize()

    def prepare(self, task: Task) -> None:
        self.pixels = task.pixels
        self.images, self.labels = self.tensor(task.images), self.tensor(task.labels.astype(np.int32))
        self.params = [self.tensor(a) for pair in task.weights for a in pair]
        self.total = self.tensor(np.zeros(1, dtype=np.float32))
        self.whole = self.tinygrad.TinyJit(lambda: self.step(None))
        self.compiled = self.tinygrad.TinyJit(self.step)

    def step(self, rows: Any) -> None:
        """One step; the loss goes to `total`."""
        x, y = (self.images, self.labels) if rows is None else (self.images[rows], self.labels[rows])
        if self.pixels:
            x = x.cast("float") * (1 / 255)
        for i in range(0, len(self.params), 2):
            x = (x.relu() if i else x) @ self.params[i] + self.params[i + 1]
        loss = x.sparse_categorical_crossentropy(y)
        for p, g in zip(self.params, loss.gradient(*self.params), strict=True):
            p.assign(p.detach() - LEARNING_RATE * g)
        self.total.assign(self.total + loss)
        self.total.realize(*self.params)

    def run(self, order: Order) -> float:
        self.total.assign(self.total * 0).realize()
        if order.indices is None:
            for _ in range(order.count):
                self.whole()
        else:
            for rows in order.indices.astype(np.int32):
                self.compiled(self.tensor(rows))
        return float(self.total.item()) / order.count

    def synchronize(self) -> None:
        self.tinygrad.Device[self.place].synchronize()
