"""PyTorch with the whole step, gather and update included, under `torch.compile`."""

from __future__ import annotations

from typing import Any

from tests.benchmarks.contenders._base import LEARNING_RATE, Order, Task
from tests.benchmarks.contenders._torch import Torch


class TorchCompile(Torch):
    """One graph a step; of several ways to compile a step this was the fastest one here."""

    slug = "torch-compile"
    title = "PyTorch, compiled"

    def prepare(self, task: Task) -> None:
        super().prepare(task)
        torch = self.torch
        torch._dynamo.reset()
        differentiate = torch.func.grad_and_value(self.objective)

        def step(params: Any, images: Any, labels: Any, rows: Any) -> Any:
            gradients, loss = differentiate(params, *self.fetch(images, labels, rows))
            for p, g in zip(params, gradients, strict=True):
                p.sub_(g, alpha=LEARNING_RATE)
            return loss

        self.step = torch.compile(step, fullgraph=True)

    def run(self, order: Order) -> float:
        with self.torch.no_grad():
            params, images, labels = self.params, self.images, self.labels
            return self.mean([self.step(params, images, labels, rows) for rows in self.rows(order)])
