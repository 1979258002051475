"""The memory that predicting and validating take, as a process of its own; it prints a line of JSON.

Run as ``python -m tests.benchmarks.memory_in_use WORKLOAD NETWORK``. Workloads: ``predict`` (4,000 images),
``fit`` (64 images) and ``validate`` (``fit`` with 2,000 validation images); networks: ``pooled``, with max
pooling after each convolution, and ``wide``, with max pooling after the second alone. Measured is what the
process has at its peak above what it had when libraries, data and network were there: plans, and modules
imported on the way, count.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import portnn as pn
from tests.benchmarks.peak_memory import peak

SHAPE = (1, 28, 28)
PREDICTED, TRAINED, VALIDATED = 4000, 64, 2000


def network(name: str) -> pn.Network:
    """Two convolutions of 32 maps with max pooling, and a linear layer."""
    first, second = (
        [pn.Conv2d(1, 32, 3), pn.relu],
        [pn.Conv2d(32, 32, 3), pn.relu, pn.MaxPool2d(2), pn.Flatten()],
    )
    layers = {
        "pooled": [*first, pn.MaxPool2d(2), *second, pn.Linear(800, 10)],
        "wide": [*first, *second, pn.Linear(4608, 10)],
    }
    return pn.Network(layers[name], seed=0)


def images(count: int) -> tuple[Any, Any]:
    """Images (count, 1, 28, 28) of float32, made without intermediate results, and labels."""
    rng = np.random.default_rng(count)
    return rng.random((count, *SHAPE), dtype=np.float32), rng.integers(0, 10, count)


def predict(net: pn.Network) -> Callable[[], Any]:
    """Predict all images in one call."""
    x, _ = images(PREDICTED)
    return lambda: net.predict(x)


def fit(net: pn.Network, validated: int = 0) -> Callable[[], Any]:
    """Train for an epoch, with validation data or without."""
    (x, y), held_out = images(TRAINED), images(validated) if validated else None
    return lambda: net.fit(x, y, epochs=1, validation_data=held_out, progress=False)


WORKLOADS = {"predict": predict, "fit": fit, "validate": partial(fit, validated=VALIDATED)}


def idle() -> int:
    """The bytes that this process has in memory now, from which its peak is counted anew.

    Where Linux's ``clear_refs`` is absent they are the most that it had so far.
    """
    reset = Path("/proc/self/clear_refs")
    if reset.exists():
        reset.write_text("5")  # the peak is now what there is now: proc(5)
    return peak()


def main(workload: str, name: str = "pooled") -> dict[str, Any]:
    """Do the work once; bytes at the peak above the idle process."""
    work = WORKLOADS[workload](network(name))
    before = idle()
    work()
    return {"workload": workload, "network": name, "idle": before, "above": peak() - before}


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
