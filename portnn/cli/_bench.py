"""``portnn bench``: a short measurement, with its spread."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter
from typing import Any, final

from portnn import nn, ops
from portnn._typing import Array
from portnn.cli._compare import random_inputs
from portnn.cli._names import hidden_of
from portnn.cli._saved import open_network, shape_of
from portnn.cli._terminal import emit, table
from portnn.network import Network

__all__ = ["run"]

_ROUNDS = 5
_BATCH = 1024  # samples predicted at once
_STEPS = 96  # steps between two looks at the clock: three of the pieces that `fit` works in


def run(
    *, network: str | None, features: int, layers: str, classes: int, shape: str | None, batch_size: int,
    seconds: float, backend: str, as_json: bool,
) -> None:  # fmt: skip
    """Measure a network that is saved or described."""
    net, notes = _opened(network, features, layers, classes, backend)
    x = random_inputs(notes, (max(batch_size * _STEPS, _BATCH), *shape_of(net, notes, shape)), 0)
    single, many = x[:1], x[:_BATCH]
    predict = net.predict if notes["task"] == "regression" else net.predict_proba
    rows = {
        "predictions/s, one at a time": _rate(lambda: predict(single), 1, seconds),
        f"predictions/s, {_BATCH:,} at a time": _rate(lambda: predict(many), _BATCH, seconds),
        f"steps/s, {batch_size:,} samples each": _steps(net, x[: batch_size * _STEPS], batch_size, seconds),
    }
    data = {"backend": net.backend.name, "device": net.backend.hardware, "rounds": _ROUNDS} | {
        name: {"median": median(r), "min": min(r), "max": max(r)} for name, r in rows.items()
    }
    threads = os.environ.get("OMP_NUM_THREADS", "as many as the library takes")
    name = network or f"{features}-{layers}-{classes}"
    where = " ".join(filter(None, [net.backend.name, net.backend.hardware and f"({net.backend.hardware})"]))
    head = f"{name} on {where}, {net.dtype}; {platform.machine()}, "
    head += f"{os.cpu_count()} cores, threads: {threads}; random data, {_ROUNDS} rounds after one to warm up"
    shown = [(name, *(f"{v:,.0f}" for v in (median(r), min(r), max(r)))) for name, r in rows.items()]
    emit(head + "\n" + table(("", "median", "min", "max"), shown), data, as_json)


def _opened(
    network: str | None, features: int, layers: str, classes: int, backend: str
) -> tuple[Network, Any]:
    if network:
        return open_network(network, backend)
    net = Network(nn.MLP([features, *hidden_of(layers), classes]), backend=backend, seed=0)
    return net, {"task": "classification"}


def _rate(call: Callable[[], Any], samples: int, seconds: float) -> list[float]:
    """Samples a second, in several rounds; what a call returns is on the host, so it has been computed."""
    rates = []
    for _ in range(_ROUNDS + 1):
        count, begin = 0, perf_counter()
        while (passed := perf_counter() - begin) < seconds / (_ROUNDS + 1):
            call()
            count += 1
        rates.append(count * samples / passed)
    return rates[1:]


@final
class _Clock:
    """Told of steps by `fit`; counts those between the first look and the last, without the start."""

    def __init__(self) -> None:
        self.done = 0
        self.first: tuple[float, int] | None = None
        self.last = (0.0, 0)

    def step(self, count: int = 1) -> None:
        if count:
            self.done += count
            self.last = (perf_counter(), self.done)
            self.first = self.first or self.last

    def epoch(self, number: int, total: int, logs: Mapping[str, float]) -> None:
        pass

    def rate(self) -> float:
        assert self.first is not None, "there was a step"
        return (self.last[1] - self.first[1]) / (self.last[0] - self.first[0])


def _steps(net: Network, x: Array, batch_size: int, seconds: float) -> list[float]:
    """Steps a second, in several rounds; the targets are what the network says."""
    y = net.predict(x)
    y = ops.astype(y, "float32") if str(y.dtype) == "bool" else y
    start, state = net.params, net.state
    rates: list[float] = []
    epochs = 2
    while len(rates) <= _ROUNDS:
        clock, begin = _Clock(), perf_counter()
        net.restore(start, state)
        net.fit(x, y, epochs=epochs, batch_size=batch_size, progress=clock)
        if perf_counter() - begin < 0.5 * seconds / _ROUNDS and not rates:
            epochs *= 2  # too short to be measured
            continue
        rates.append(clock.rate())
    return rates[1:]
