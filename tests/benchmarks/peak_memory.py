"""The peak memory of a process that trains W2: the whole of MNIST as float32 in every step.

Run as ``python -m tests.benchmarks.peak_memory FOLDER [STEPS]``; without the files in FOLDER it trains on a
stand-in. It prints a line of JSON: bytes at the peak, before the data, and of the data.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

import portnn as pn
from tests.benchmarks.harness import inputs

PART = 1000  # images that are converted at a time


def peak() -> int:
    """The most bytes that this process had in memory.

    Linux hands `ru_maxrss` down from the process that started this one, so the kernel's own figure for this
    program is preferred where there is one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        return int(fields["VmHWM"].split()[0]) * 1024
    import resource  # not everywhere

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def load(folder: Path) -> tuple[Any, Any, str]:
    """Images (n, 784) as float32 from 0 to 1, converted in parts; labels; which data they are."""
    images, labels, data = inputs.load(folder)
    x = np.empty((len(images), 784), dtype=np.float32)
    for i in range(0, len(x), PART):
        np.divide(images[i : i + PART].reshape(-1, 784), 255, out=x[i : i + PART])
    return x, labels, data


def main(folder: Path, steps: int) -> dict[str, Any]:
    """Train, and say what memory it took."""
    net = pn.Network([pn.Linear(784, 10), pn.relu, pn.Linear(10, 10)], seed=0)
    before = peak()
    x, labels, data = load(folder)
    loaded = peak()
    net.fit(x, labels, epochs=steps, batch_size=None, optimizer=pn.optim.sgd(0.1), progress=False)
    return {
        "status": "ok", "data": data, "steps": steps, "before": before, "loaded": loaded, "peak": peak(),
        "dataset": x.nbytes, "ratio": peak() / x.nbytes,
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 20)))
