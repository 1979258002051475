"""What threads of BLAS give and cost: products of float32 matrices with one and with several, alternated.

Run by ``python -m tests.benchmarks.bench_threads [--threads N] [--rounds N]``. A line for each product: its
operations, and the medians of its times in microseconds. On a machine that has other things to do, the
second column shows what it costs to wait for a thread.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence

import numpy as np
from threadpoolctl import threadpool_limits

PRODUCTS = (
    (64, 784, 10), (256, 784, 10), (512, 784, 10), (64, 784, 32), (64, 784, 128), (64, 784, 512),
    (256, 784, 1024), (60_000, 784, 10),
)  # fmt: skip
SPAN = 20_000_000  # operations of a trial, at least


def microseconds(a: np.ndarray, b: np.ndarray, out: np.ndarray, threads: int, count: int) -> float:
    """The mean time of some products."""
    with threadpool_limits(threads, user_api="blas"):
        np.matmul(a, b, out=out)
        start = time.perf_counter()
        for _ in range(count):
            np.matmul(a, b, out=out)
        return (time.perf_counter() - start) / count * 1e6


def measure(shape: tuple[int, int, int], threads: Sequence[int], rounds: int) -> list[float]:
    """The median times of a product, for each number of threads."""
    n, k, m = shape
    rng = np.random.default_rng(0)
    a, b = rng.random((n, k), np.float32), rng.random((k, m), np.float32)
    out, count = np.empty((n, m), np.float32), max(1, SPAN // (2 * n * k * m))
    taken = [[microseconds(a, b, out, t, count) for t in threads] for _ in range(rounds)]
    return [statistics.median(times) for times in zip(*taken, strict=True)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args(arguments)
    print(f"product | million operations | 1 thread, us | {options.threads} threads, us")
    for shape in PRODUCTS:
        times = measure(shape, (1, options.threads), options.rounds)
        operations = 2 * shape[0] * shape[1] * shape[2] / 1e6
        print(" x ".join(map(str, shape)), f"{operations:.1f}", *[f"{t:.0f}" for t in times], sep=" | ")


if __name__ == "__main__":
    main()
