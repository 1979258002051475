"""What a contender is: it is told a task, then an order of batches, and trains on them."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np

LEARNING_RATE = 0.1
ORDER = 1  # the purpose of the random stream from which `Network.fit` draws the order of an epoch


class UnavailableError(Exception):
    """What this contender needs is not here; the message says what."""


@final
@dataclass(frozen=True)
class Order:
    """The batches of a run.

    Attributes:
        first: the number of the first epoch, which decides the order within it.
        epochs: how many epochs.
        steps: the batches of an epoch; an epoch goes through the first ``steps * batch`` samples.
        batch: samples a step; None for the whole data set.
        indices: (count, batch), the samples of each step; None where a step takes them all.
        count: the number of steps in all.
    """

    first: int
    epochs: int
    steps: int
    batch: int | None
    indices: np.ndarray | None
    count: int


def order_of(first: int, epochs: int, steps: int, batch: int | None, limit: int | None = None) -> Order:
    """The order in which ``Network(..., seed=0).fit`` takes its batches, cut off after `limit` steps."""
    count = min(epochs * steps, limit or epochs * steps)
    if batch is None:
        return Order(first, epochs, steps, None, None, count)
    size = steps * batch
    names = [np.random.SeedSequence(0, spawn_key=(ORDER, first + epoch)) for epoch in range(epochs)]
    rows = [np.random.Generator(np.random.PCG64(name)).permutation(size) for name in names]
    indices = np.concatenate(rows).reshape(epochs * steps, batch)[:count]
    return Order(first, epochs, steps, batch, np.ascontiguousarray(indices), count)


@final
@dataclass(frozen=True)
class Task:
    """What to learn, or to predict.

    Attributes:
        sizes: features of each layer, such as ``(784, 10, 10)``.
        batch: samples a step; None for the whole data set.
        precision: "float32", "tf32" or "bfloat16", that of the matrix products.
        folder: where images, labels and parameters lie.
        params: the name of the file of parameters.
        pixels: whether images are given as bytes, to be rescaled batch by batch, or as float32 from 0 to 1.
    """

    sizes: tuple[int, ...]
    batch: int | None
    precision: str
    folder: str
    params: str
    pixels: bool

    @cached_property
    def images(self) -> np.ndarray:
        """Images (n, 784), uint8 or float32."""
        images = np.load(Path(self.folder) / "images.npy")
        return images if self.pixels else np.divide(images, 255, dtype=np.float32)

    @cached_property
    def labels(self) -> np.ndarray:
        """Labels (n,), int64."""
        return np.load(Path(self.folder) / "labels.npy").astype(np.int64)

    @cached_property
    def weights(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """The initial weight (in, out) and bias (out,) of each layer, float32."""
        with np.load(Path(self.folder) / self.params) as file:
            return [(file[f"w{i}"], file[f"b{i}"]) for i in range(len(self.sizes) - 1)]


class Contender(ABC):
    """One way to train, on one device.

    Attributes:
        slug: its name on the command line and in the results.
        title: its name in tables and plots.
        packages: what has to be importable.
        devices: where it can run.
        precisions: which precisions of products it has.
        whole_epochs: whether it only goes through entire epochs.
        computes: whether its losses mean something.
        full_batch_only: whether it takes all samples in each step.
        threads_at_start: whether the number of threads is fixed when its process starts.
        settled: seconds that the last run took after its first epoch, for a contender that measures them.
    """

    slug: ClassVar[str]
    title: ClassVar[str]
    packages: ClassVar[tuple[str, ...]] = ("threadpoolctl",)
    devices: ClassVar[tuple[str, ...]] = ("cpu",)
    precisions: ClassVar[tuple[str, ...]] = ("float32",)
    whole_epochs: ClassVar[bool] = False
    computes: ClassVar[bool] = True
    full_batch_only: ClassVar[bool] = False
    threads_at_start: ClassVar[bool] = False

    def __init__(self, device: str) -> None:
        self.device = device
        self.settled: float | None = None
        self.limits: Any = None

    @classmethod
    def thread_choices(cls, device: str) -> tuple[int | None, ...]:
        """The numbers of threads to try; None leaves the matter to the library."""
        cores = usable_cores()
        return (1, cores) if device == "cpu" and cores > 1 else (None,)

    @classmethod
    def environment(cls, threads: int | None) -> dict[str, str]:
        """Variables that its process starts with."""
        return {}

    def use_threads(self, threads: int | None) -> None:
        """Have BLAS and OpenMP use so many threads from now on."""
        if threads is not None:
            from threadpoolctl import threadpool_limits

            self.limits = threadpool_limits(limits=threads)

    @abstractmethod
    def prepare(self, task: Task) -> None:
        """Take over data and initial parameters; a second call begins anew."""

    @abstractmethod
    def run(self, order: Order) -> Any:
        """Train on the batches, going on from where the last run ended, and wait until it is done."""

    def loss(self, result: Any, order: Order) -> float:
        """The mean loss of a run's steps, from what `run` returned; NaN if it was not asked for each."""
        return float(result)

    def synchronize(self) -> None:
        """Wait for the device, where computing goes on behind a call's back: not on the CPU."""
        return


def usable_cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def missing_package(contender: type[Contender]) -> str | None:
    """The first package that the contender needs and that is not installed."""
    return next((name for name in contender.packages if find_spec(name) is None), None)


def array_library(device: str) -> Any:
    """NumPy, or CuPy on a GPU.

    Raises:
        UnavailableError: if there is no CuPy for the GPU.
    """
    if device == "cpu":
        return np
    if find_spec("cupy") is None:
        raise UnavailableError("cupy")
    import cupy

    return cupy
