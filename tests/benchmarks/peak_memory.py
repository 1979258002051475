"""The peak memory of a process that trains W2: the whole of MNIST as float32 in every step.

Run as ``python -m tests.benchmarks.peak_memory FOLDER [STEPS]``; without the files in FOLDER it trains on a
stand-in. It prints a line of JSON: bytes at the peak, before the data, and of the data.
"""

from __future__ import annotations

import gzip
import json
import struct
import sys
from collections.abc import Iterator
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


def stream(folder: Path, name: str) -> Any:
    """An IDX file, plain or compressed, as a stream that stands behind its header; and its samples."""
    for file, opened in ((folder / name, open), (folder / f"{name}.gz", gzip.open)):
        if file.exists():
            source = opened(file, "rb")
            axes = struct.unpack(">HBB", source.read(4))[2]
            return source, struct.unpack(f">{axes}I", source.read(4 * axes))[0]
    raise FileNotFoundError(f"{folder}: no {name}")


def parts(folder: Path) -> tuple[int, Iterator[Any], Any, str]:
    """How many images there are, the images as bytes part by part, the labels, and which data they are.

    The images are never in memory all at once: as float32 they take four times what they take as bytes.
    """
    try:
        source, count = stream(folder, "train-images-idx3-ubyte")
        with stream(folder, "train-labels-idx1-ubyte")[0] as labels:
            y = np.frombuffer(labels.read(), dtype=np.uint8)
    except FileNotFoundError:
        images = (inputs.stand_in(PART)[0] for _ in range(60))
        return 60 * PART, images, np.arange(60 * PART) % 10, inputs.STAND_IN
    pieces = iter(lambda: source.read(784 * PART), b"")
    return count, (np.frombuffer(piece, dtype=np.uint8) for piece in pieces), y, "MNIST"


def load(folder: Path) -> tuple[Any, Any, str]:
    """Images (n, 784) as float32 from 0 to 1; labels; which data they are."""
    count, pieces, labels, data = parts(folder)
    x = np.empty((count, 784), dtype=np.float32)
    for i, piece in enumerate(pieces):
        np.divide(piece.reshape(-1, 784), 255, out=x[i * PART : (i + 1) * PART])
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
