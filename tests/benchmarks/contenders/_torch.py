"""What the contenders of PyTorch share: data, parameters, precision, threads, waiting."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from tests.benchmarks.contenders._base import Contender, Order, Task, UnavailableError


class Torch(Contender):
    """Data and parameters as tensors on one device; a step is left to the contender."""

    packages = ("torch",)
    devices = ("cpu", "gpu")
    precisions = ("float32", "tf32", "bfloat16")

    def __init__(self, device: str) -> None:
        super().__init__(device)
        import torch

        if device == "gpu" and not torch.cuda.is_available():
            raise UnavailableError("torch with CUDA")
        self.torch = torch
        self.place = torch.device("cpu" if device == "cpu" else "cuda")

    def use_threads(self, threads: int | None) -> None:
        if threads is not None:
            self.torch.set_num_threads(threads)

    def prepare(self, task: Task) -> None:
        torch = self.torch
        if self.device == "gpu":
            torch.set_float32_matmul_precision("high" if task.precision == "tf32" else "highest")
        self.half = task.precision == "bfloat16"
        self.pixels = task.pixels
        self.images = torch.from_numpy(task.images).to(self.place)
        self.labels = torch.from_numpy(task.labels).to(self.place)
        # Weights are (out, in), as in PyTorch's own layers: with a full batch that is far faster.
        arrays = [a for w, b in task.weights for a in (np.ascontiguousarray(w.T), b)]
        self.params = [torch.tensor(a, device=self.place) for a in arrays]

    def products(self) -> AbstractContextManager[Any]:
        """The precision of the products; without the cache of casts, which no CUDA graph can hold."""
        if not self.half:
            return nullcontext()
        kind = self.torch.bfloat16
        return self.torch.autocast(self.place.type, dtype=kind, cache_enabled=False)

    def fetch(self, images: Any, labels: Any, rows: Any) -> tuple[Any, Any]:
        """The chosen images from 0 to 1 and their labels."""
        if rows is None:
            return images, labels
        x = images.index_select(0, rows)
        if self.pixels:
            x = x.to(self.torch.float32) * (1 / 255)
        return x, labels.index_select(0, rows)

    def objective(self, params: Any, x: Any, y: Any) -> Any:
        """The loss, in functions alone."""
        torch, linear = self.torch, self.torch.nn.functional.linear
        with self.products():
            for i in range(0, len(params), 2):
                x = linear(torch.relu(x) if i else x, params[i], params[i + 1])
        return torch.nn.functional.cross_entropy(x.float(), y)

    def rows(self, order: Order) -> Any:
        """The samples of each step, on the device."""
        if order.indices is None:
            return [None] * order.count
        return self.torch.from_numpy(order.indices).to(self.place)

    def mean(self, losses: list[Any]) -> float:
        """The mean of 0-d tensors: the one time that a run waits for the device."""
        return float(self.torch.stack(losses).mean())

    def synchronize(self) -> None:
        if self.device == "gpu":
            self.torch.cuda.synchronize()
