"""How long random numbers take on the CPU, beside NumPy's own generator, alternated in one process.

Run by ``python -m tests.benchmarks.bench_random [--rounds N] [--seconds S]``. A line for each draw and
size: the times eager and in a plan, and the medians of their ratios to NumPy's. The last line is the
geometric mean of the planned ratios.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from portnn import random
from portnn.compile import jit
from tests.benchmarks.harness.ratios import ratio

SHAPES = ((64, 128), (1000, 1000))
P = 0.1


def contenders(shape: tuple[int, ...]) -> dict[str, tuple[Callable[..., object], Callable[..., object]]]:
    """For each distribution the draw from a key, and NumPy's from a generator, both in float32."""
    f32 = np.float32
    return {
        "uniform": (lambda k: random.uniform(k, shape), lambda g: g.random(shape, f32)),
        "normal": (lambda k: random.normal(k, shape), lambda g: g.standard_normal(shape, f32)),
        "mask, p = 0.5": (lambda k: random.bernoulli(k, 0.5, shape), lambda g: g.random(shape, f32) < 0.5),
        "mask, p = 0.1": (lambda k: random.bernoulli(k, P, shape), lambda g: g.random(shape, f32) < P),
    }  # fmt: skip


def seconds(draw: Callable[..., object], source: object, repeats: int) -> float:
    """The mean time of some calls."""
    start = time.perf_counter()
    for _ in range(repeats):
        draw(source)
    return (time.perf_counter() - start) / repeats


def measure(
    ours: Callable[..., object], theirs: Callable[..., object], rounds: int, span: float
) -> list[float]:
    """Print a line's times; return the ratio in a plan."""
    key, generator, planned = random.key(0), np.random.default_rng(0), jit(ours)
    for _ in range(3):
        ours(key), planned(key), theirs(generator)
    runs = [(ours, key), (planned, key), (theirs, generator)]
    repeats = [max(1, int(span / seconds(draw, source, 3))) for draw, source in runs]
    taken = [[seconds(*run, n) for run, n in zip(runs, repeats, strict=True)] for _ in range(rounds)]
    eager, plan, numpy = zip(*taken, strict=True)
    times = [f"{statistics.median(t) * 1e6:10.1f}" for t in (eager, plan, numpy)]
    ratios = [ratio(t, numpy) for t in (eager, plan)]
    print(*times, *[f"{r.median:7.2f}" for r in ratios], sep=" | ")
    return ratios[1].median


def main(arguments: Sequence[str] | None = None) -> float:
    """Print the table and return the geometric mean of the ratios in plans."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=0.03, help="of each contender in a round")
    options = parser.parse_args(arguments)
    print("draw | numbers | eager, us | plan, us | NumPy, us | eager / NumPy | plan / NumPy")
    found = []
    for shape in SHAPES:
        for name, (ours, theirs) in contenders(shape).items():
            print(f"{name:14} | {prod(shape):9,} | ", end="")
            found.append(measure(ours, theirs, options.rounds, options.seconds))
    print(f"ratio {statistics.geometric_mean(found):.2f}")
    return statistics.geometric_mean(found)


if __name__ == "__main__":
    main()
