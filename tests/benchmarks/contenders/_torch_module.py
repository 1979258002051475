"""PyTorch eager, the way its tutorials write it: modules, `backward`, an optimiser."""

from __future__ import annotations

from typing import Any

from tests.benchmarks.contenders._base import LEARNING_RATE, Order, Task
from tests.benchmarks.contenders._torch import Torch


class TorchModule(Torch):
    """`nn.Sequential` and `optim.SGD`, fused."""

    slug = "torch"
    title = "PyTorch"

    def prepare(self, task: Task) -> None:
        super().prepare(task)
        torch, layers = self.torch, []
        for i, (fan_in, fan_out) in enumerate(zip(task.sizes, task.sizes[1:], strict=False)):
            linear = torch.nn.Linear(fan_in, fan_out, device=self.place)
            with torch.no_grad():
                linear.weight.copy_(self.params[2 * i])
                linear.bias.copy_(self.params[2 * i + 1])
            layers += [linear, torch.nn.ReLU()]
        self.model = torch.nn.Sequential(*layers[:-1])
        self.loss_of = torch.nn.CrossEntropyLoss()
        self.sgd = torch.optim.SGD(self.model.parameters(), lr=LEARNING_RATE, fused=True)

    def step(self, rows: Any) -> Any:
        """One step; the loss."""
        x, y = self.fetch(self.images, self.labels, rows)
        with self.products():
            logits = self.model(x)
        loss = self.loss_of(logits.float(), y)
        self.sgd.zero_grad()
        loss.backward()
        self.sgd.step()
        return loss.detach()

    def run(self, order: Order) -> float:
        return self.mean([self.step(rows) for rows in self.rows(order)])
