"""How long the 60,000 rows of MNIST take to read from a CSV, beside pandas, alternated in one process.

Run by ``python -m tests.benchmarks.bench_csv [--rounds N] [--rows N]``. The last line is the median of the
ratios portnn / pandas.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from portnn.data import load_mnist, read_mnist_csv

MNIST = Path(__file__).parents[2] / "examples" / "data" / "mnist"


def write_csv(file: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """Write images as the rows of a CSV with MNIST's header."""
    names = [str(value) for value in range(256)]
    with file.open("w", newline="\n") as stream:
        pixels = [f"{row}x{column}" for row in range(1, 29) for column in range(1, 29)]
        stream.write(",".join(["label", *pixels]) + "\n")
        for label, image in zip(labels.tolist(), images.reshape(len(images), -1), strict=True):
            stream.write(f"{label}," + ",".join(map(names.__getitem__, image.tolist())) + "\n")


def seconds(read: Callable[[Path], object], file: Path) -> float:
    """The time of one call."""
    start = time.perf_counter()
    read(file)
    return time.perf_counter() - start


def main(arguments: Sequence[str] | None = None) -> float:
    """Print the times and return the median ratio."""
    import pandas as pd

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--rows", type=int, default=60_000)
    options = parser.parse_args(arguments)
    images, labels = (array[: options.rows] for array in load_mnist(MNIST, "train"))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mnist_train.csv"
        write_csv(file, images, labels)
        read_images, read_labels = read_mnist_csv(file)
        assert np.array_equal(read_images, images)
        assert np.array_equal(read_labels, labels)
        pairs = [(seconds(read_mnist_csv, file), seconds(pd.read_csv, file)) for _ in range(options.rounds)]
    ours, theirs = (statistics.median(times) for times in zip(*pairs, strict=True))
    ratios = [mine / other for mine, other in pairs]
    print(f"{len(images)} rows, {options.rounds} rounds, pandas {pd.__version__}")
    print(f"portnn {ours:.3f} s, pandas {theirs:.3f} s (medians)")
    print(f"ratio {statistics.median(ratios):.3f} (from {min(ratios):.3f} to {max(ratios):.3f})")
    return statistics.median(ratios)


if __name__ == "__main__":
    main()
