"""Memory and time of predictions in batches, in a process of its own.

Run as ``python -m tests.benchmarks.bench_batches WHAT [SAMPLES] [pooled]``; WHAT is predict, evaluate, hand,
fit or alone. It prints a line of JSON: the peak of the memory above the idle process, in MB, images included;
and the CPU seconds of the first call and of a second one. "hand" predicts in pieces of 50; "fit" trains on 64
images for two epochs and validates on SAMPLES after each, "alone" does not validate. With "pooled", a pooling
layer follows the first convolution as well.
"""

from __future__ import annotations

import json
import sys
from time import process_time
from typing import Any

import numpy as np

import portnn as pn
from tests.benchmarks.peak_memory import peak

PIECE = 50


def network(*, pooled: bool) -> pn.Network:
    """Two convolutions of 32 channels on images of 28 by 28."""
    between: list[Any] = [pn.MaxPool2d(2)] if pooled else []
    width = 32 * (25 if pooled else 144)
    body = [pn.Conv2d(1, 32, 3), pn.relu, *between, pn.Conv2d(32, 32, 3), pn.relu, pn.MaxPool2d(2)]
    return pn.Network([*body, pn.Flatten(), pn.Linear(width, 10)])


def ask(net: pn.Network, what: str, x: Any, y: Any) -> None:
    """Do what is measured."""
    if what == "predict":
        net.predict(x)
    elif what == "evaluate":
        net.evaluate(x, y)
    elif what == "hand":
        np.concatenate([net.predict(x[i : i + PIECE]) for i in range(0, len(x), PIECE)])
    elif what == "fit":
        net.fit(x[:64], y[:64], epochs=2, validation_data=(x, y), progress=False)
    elif what == "alone":
        net.fit(x[:64], y[:64], epochs=2, progress=False)
    else:
        raise SystemExit(__doc__)


def main(what: str, samples: int = 4000, pooled: bool = False) -> dict[str, float]:
    """Measure one thing."""
    net, rng = network(pooled=pooled), np.random.default_rng(0)
    net.predict(np.zeros((1, 1, 28, 28), dtype=np.float32))
    idle, seconds = peak(), []
    x = rng.normal(size=(samples, 1, 28, 28)).astype(np.float32)
    y = rng.integers(0, 10, samples)
    for _ in range(2):
        start = process_time()
        ask(net, what, x, y)
        seconds.append(round(process_time() - start, 3))
    return {"megabytes": round((peak() - idle) / 1e6, 1), "first": seconds[0], "second": seconds[1]}


if __name__ == "__main__":
    arguments = sys.argv[1:]
    sys.stdout.write(
        json.dumps(main(arguments[0], *map(int, arguments[1:2]), pooled="pooled" in arguments)) + "\n"
    )
