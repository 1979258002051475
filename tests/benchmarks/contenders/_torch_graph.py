"""PyTorch with the whole step captured into a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.benchmarks.contenders._base import LEARNING_RATE, Order, Task
from tests.benchmarks.contenders._torch import Torch

WARM = 3  # steps before the capture, as PyTorch's own notes on CUDA graphs have it


def capture(torch: Any, step: Callable[[], None], device: str) -> Callable[[], None]:
    """A function that does what `step` does: on a GPU by replaying its graph, elsewhere by calling it.

    On a GPU `step` is called a few times first, and what it changes is changed by that.
    """
    if device == "cpu":
        return step
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


class TorchGraph(Torch):
    """A graph that takes its batch from a table of indices on the device and counts its steps itself."""

    slug = "torch-graph"
    title = "PyTorch, CUDA graph"
    devices = ("gpu",)

    def prepare(self, task: Task) -> None:
        super().prepare(task)
        for p in self.params:
            p.requires_grad_()
        self.replay: Callable[[], None] | None = None
        self.held = 0

    def step(self) -> None:
        """One step, with nothing that the host decides."""
        torch = self.torch
        rows = None if self.table is None else self.table.index_select(0, self.count).view(-1)
        loss = self.objective(self.params, *self.fetch(self.images, self.labels, rows))
        gradients = torch.autograd.grad(loss, self.params)
        with torch.no_grad():
            torch._foreach_add_(self.params, gradients, alpha=-LEARNING_RATE)
            self.total.add_(loss.detach())
            self.count.add_(1)

    def capture(self, order: Order) -> None:
        """Make the graph for tables of indices of up to this length; parameters are as before."""
        torch = self.torch
        self.held = order.count
        if order.indices is None:
            self.table = None
        else:  # the steps before the capture need rows too
            rows = np.resize(order.indices, (max(order.count, WARM), order.batch))
            self.table = torch.from_numpy(rows).to(self.place)
        self.count = torch.zeros(1, dtype=torch.int64, device=self.place)
        self.total = torch.zeros((), device=self.place)
        before = [p.detach().clone() for p in self.params]
        self.replay = capture(torch, self.step, self.device)
        with torch.no_grad():
            for p, q in zip(self.params, before, strict=True):
                p.copy_(q)

    def run(self, order: Order) -> float:
        if self.replay is None or order.count > self.held:
            self.capture(order)
        elif order.indices is not None:
            self.table[: order.count].copy_(self.torch.from_numpy(order.indices))
        self.count.zero_()
        self.total.zero_()
        for _ in range(order.count):
            self.replay()
        return float(self.total) / order.count
