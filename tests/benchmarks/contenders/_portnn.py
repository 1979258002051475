"""portnn as its users call it: `Network.fit`."""

from __future__ import annotations

from statistics import fmean
from time import perf_counter
from typing import Any, ClassVar

from tests.benchmarks.contenders._base import LEARNING_RATE, Contender, Order, Task, UnavailableError


def make_network(pn: Any, task: Task, device: str) -> Any:
    """A network with the task's parameters."""
    layers: list[Any] = [pn.Rescale()] if task.pixels else []
    for fan_in, fan_out in zip(task.sizes, task.sizes[1:], strict=False):
        layers += [pn.Linear(fan_in, fan_out), pn.relu]
    try:
        net = pn.Network(layers[:-1], loss=pn.losses.softmax_cross_entropy, backend=device, seed=0)
    except pn.BackendUnavailableError as error:
        raise UnavailableError(str(error)) from None
    weights = iter(task.weights)
    params = [
        dict(zip(("weight", "bias"), next(weights), strict=True)) if p else p for p in map(dict, net.params)
    ]
    net.load_params(type(net.params)(params))
    return net


class Portnn(Contender):
    """Whole epochs of `fit`: shuffling, losses and accuracy are part of the time.

    A `fit` looks at all its data once, and writes its step down; both are over when its first epoch is, and
    the time is taken from there on if there are more. W6 measures how long it takes to begin.
    """

    slug = "portnn"
    title = "portnn"
    packages = ("portnn",)
    devices = ("cpu", "gpu")
    precisions = ("float32", "tf32", "bfloat16")
    whole_epochs = True
    options: ClassVar[dict[str, Any]] = {}

    @classmethod
    def thread_choices(cls, device: str) -> tuple[int | None, ...]:
        return (None,)  # `fit` decides

    def prepare(self, task: Task) -> None:
        import portnn as pn

        self.net = make_network(pn, task, self.device)
        self.images, self.labels = map(self.net.backend.asarray, (task.images, task.labels))
        self.sgd = pn.optim.sgd(LEARNING_RATE)
        self.extra = {} if task.precision == "float32" else {"precision": task.precision}

    def run(self, order: Order) -> float:
        samples = len(self.labels) if order.batch is None else order.steps * order.batch
        self.net.epochs = order.first  # decides the order of the batches
        ends: list[float] = []
        history = self.net.fit(
            self.images[:samples],
            self.labels[:samples],
            epochs=order.epochs,
            batch_size=order.batch,
            optimizer=self.sgd,
            progress=False,
            callbacks=[lambda epoch: ends.append(perf_counter())],
            **self.options,
            **self.extra,
        )
        self.synchronize()
        self.settled = perf_counter() - ends[0] if len(ends) > 1 else None
        return fmean(history["loss"])

    def synchronize(self) -> None:
        self.net.backend.synchronize()


class PortnnEager(Portnn):
    """The same without plans."""

    slug = "portnn-eager"
    title = "portnn, eager"
    packages = ("portnn", "threadpoolctl")
    precisions = ("float32",)
    options: ClassVar[dict[str, Any]] = {"compile": False}

    @classmethod
    def thread_choices(cls, device: str) -> tuple[int | None, ...]:
        return Contender.thread_choices(device)
