"""The ceiling of a device: the matrix products of a training step alone, in the precision asked for."""

from __future__ import annotations

from tests.benchmarks.contenders._base import Order, Task
from tests.benchmarks.contenders._torch import Torch
from tests.benchmarks.contenders._torch_graph import capture


class Products(Torch):
    """Products of PyTorch with their outputs allocated once; on a GPU replayed as a graph."""

    slug = "products"
    title = "matrix products alone"
    devices = ("gpu",)
    computes = False

    def prepare(self, task: Task) -> None:
        super().prepare(task)
        torch = self.torch
        rows = task.batch or len(task.labels)
        options = {"dtype": torch.bfloat16 if self.half else torch.float32, "device": self.place}
        sizes = list(zip(task.sizes, task.sizes[1:], strict=False))
        self.inputs = [torch.rand((rows, size), **options) for size in task.sizes]
        self.weights = [torch.rand(pair, **options) for pair in sizes]
        self.outputs = [torch.empty((rows, size), **options) for size in task.sizes]
        self.steps = [torch.empty(pair, **options) for pair in sizes]
        self.replay = capture(torch, self.step, self.device)

    def step(self) -> None:
        """The products of a step."""
        mm = self.torch.mm
        for i, w in enumerate(self.weights):
            mm(self.inputs[i], w, out=self.outputs[i + 1])
        for i in reversed(range(len(self.weights))):
            mm(self.inputs[i].T, self.inputs[i + 1], out=self.steps[i])
            if i:
                mm(self.inputs[i + 1], self.weights[i].T, out=self.outputs[i])

    def run(self, order: Order) -> float:
        for _ in range(order.count):
            self.replay()
        return float("nan")
