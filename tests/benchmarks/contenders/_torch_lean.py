"""PyTorch eager at its leanest: functions, `autograd.grad`, one fused update."""

from __future__ import annotations

from typing import Any

from tests.benchmarks.contenders._base import LEARNING_RATE, Order, Task
from tests.benchmarks.contenders._torch import Torch


class TorchLean(Torch):
    """As few calls as eager PyTorch needs, without modules and optimisers."""

    slug = "torch-lean"
    title = "PyTorch, functions"

    def prepare(self, task: Task) -> None:
        super().prepare(task)
        for p in self.params:
            p.requires_grad_()

    def step(self, rows: Any) -> Any:
        """One step; the loss."""
        torch = self.torch
        loss = self.objective(self.params, *self.fetch(self.images, self.labels, rows))
        gradients = torch.autograd.grad(loss, self.params)
        with torch.no_grad():
            torch._foreach_add_(self.params, gradients, alpha=-LEARNING_RATE)
        return loss.detach()

    def run(self, order: Order) -> float:
        return self.mean([self.step(rows) for rows in self.rows(order)])
