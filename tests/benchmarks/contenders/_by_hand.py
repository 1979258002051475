"""Training written by hand: NumPy calls with their outputs allocated once."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np

from tests.benchmarks.contenders._base import LEARNING_RATE, Contender, Order, Task, array_library


class Gather:
    """The batches of a data set, in buffers of their own."""

    def __init__(self, xp: Any, images: Any, labels: Any, batch: int | None, dtype: str) -> None:
        self.xp, self.images, self.labels = xp, xp.asarray(images), xp.asarray(labels)
        # The one mode in which NumPy writes to `out` directly; CuPy has no modes.
        self.options = {"mode": "clip"} if xp is np else {}
        if batch is None:
            self.whole = self.images.astype(dtype, copy=False)
        else:
            self.raw = xp.empty((batch, images.shape[1]), dtype=images.dtype)
            self.x = self.raw if images.dtype == dtype else xp.empty(self.raw.shape, dtype=dtype)
            self.y = xp.empty((batch,), dtype=labels.dtype)
        self.scale = np.dtype(dtype).type(1 / 255 if images.dtype == np.uint8 else 1)

    def rows(self, chosen: Any) -> Any:
        """The chosen images as they are stored."""
        return self.xp.take(self.images, chosen, axis=0, out=self.raw, **self.options)

    def __call__(self, chosen: Any) -> tuple[Any, Any]:
        """Images from 0 to 1 and labels; all of them for None."""
        if chosen is None:
            return self.whole, self.labels
        raw = self.rows(chosen)
        if raw is not self.x:
            self.xp.multiply(raw, self.scale, out=self.x)
        return self.x, self.xp.take(self.labels, chosen, out=self.y, **self.options)


class ByHand(Contender):
    """What one would write for a stack of linear layers with ReLU, with care for memory."""

    slug = "numpy"
    title = "NumPy by hand"
    devices = ("cpu", "gpu")
    dtype = "float32"

    def prepare(self, task: Task) -> None:
        self.xp = xp = array_library(self.device)
        self.gather = Gather(xp, task.images, task.labels, task.batch, self.dtype)
        self.params = [tuple(xp.array(a, dtype=self.dtype) for a in pair) for pair in task.weights]
        rows = task.batch or len(task.labels)

        def buffers(shapes: Any) -> list[Any]:
            return [xp.empty(shape, dtype=self.dtype) for shape in shapes]

        self.outputs = buffers((rows, size) for size in task.sizes[1:])
        self.deltas = buffers((rows, size) for size in task.sizes[1:-1])
        self.steps = buffers(w.shape for w, _ in self.params)
        self.rows = xp.arange(rows)
        self.share = np.dtype(self.dtype).type(1 / rows)
        self.rate = np.dtype(self.dtype).type(LEARNING_RATE)

    def forward(self, x: Any) -> Any:
        """The logits; `outputs` keeps what each layer put out."""
        for i, ((w, b), z) in enumerate(zip(self.params, self.outputs, strict=True)):
            self.xp.matmul(x if i == 0 else self.outputs[i - 1], w, out=z)
            z += b
            if i + 1 < len(self.params):
                self.xp.maximum(z, 0, out=z)
        return self.outputs[-1]

    def cross_entropy(self, z: Any, y: Any) -> Any:
        """The mean loss; the logits become its gradient with respect to them."""
        z -= z.max(axis=1, keepdims=True)
        picked = z[self.rows, y]
        self.xp.exp(z, out=z)
        total = z.sum(axis=1, keepdims=True)
        loss = (self.xp.log(total[:, 0]) - picked).mean()
        z /= total
        z[self.rows, y] -= 1
        z *= self.share
        return loss

    def step(self, x: Any, y: Any) -> Any:
        """One step: forward, backward, update; the loss."""
        loss = self.cross_entropy(self.forward(x), y)
        d = self.outputs[-1]
        for i in reversed(range(len(self.params))):
            (w, b), below = self.params[i], x if i == 0 else self.outputs[i - 1]
            gradient = self.xp.matmul(below.T, d, out=self.steps[i])
            bias = d.sum(axis=0)
            if i:
                d = self.xp.matmul(d, w.T, out=self.deltas[i - 1])
                d *= below > 0
            gradient *= self.rate
            w -= gradient
            bias *= self.rate
            b -= bias
        return loss

    def run(self, order: Order) -> Any:
        chosen = [None] * order.count if order.indices is None else self.xp.asarray(order.indices)
        losses = [self.step(*self.gather(rows)) for rows in chosen]
        return self.xp.stack(losses).mean()

    def synchronize(self) -> None:
        if self.device == "gpu":
            self.xp.cuda.get_current_stream().synchronize()


class Reference(ByHand):
    """The same in float64: what the losses of all others are compared with."""

    slug = "reference"
    title = "reference"
    dtype = "float64"

    def __init__(self, device: str) -> None:
        # Values do not depend on the device: without CuPy they are computed on the CPU.
        super().__init__(device if find_spec("cupy") else "cpu")
