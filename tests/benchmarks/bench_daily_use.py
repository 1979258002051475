"""What daily use costs: memory and time of predictions, small fits, and the first look at the data.

Run with ``OPENBLAS_NUM_THREADS=1 python -m tests.benchmarks.bench_daily_use PART``, one of ``memory``,
``predict``, ``fits``, ``iris`` and ``checks``; without a part all of them. Each prints Markdown. What is
compared takes turns in one process, and a ratio is that of one round; memory is measured in processes of
their own.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import portnn as pn
from tests.benchmarks import memory_in_use
from tests.benchmarks.harness import inputs

PIECE = 50  # images that are predicted at a time by hand
ROWS, BATCH, FEATURES, CLASSES = 640, 64, 20, 3
SHORT, LONG = 2, 52  # epochs of the small fits: 20 steps and 520
IRIS = {"batch_size": 32, "random_state": 0, "tol": 0.0}
HIDDEN = 100
SIZES = itertools.count(HIDDEN + 1)  # numbers of hidden units, each of which is used once
IRIS_EPOCHS = (5, 10, 50, 200)
Clock = Callable[[], float]


def in_process(module: str, *arguments: object) -> dict[str, Any]:
    """The line of JSON that a module prints in a process of its own."""
    command = [sys.executable, "-m", f"tests.benchmarks.{module}", *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def seconds(call: Callable[[], object], clock: Clock = time.perf_counter) -> float:
    """The time of a call."""
    begin = clock()
    call()
    return clock() - begin


def spread(values: list[float], form: str = ".2f") -> str:
    """The median, with the quartiles."""
    low, middle, high = statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
    return f"**{middle:{form}}** ({low:{form}} to {high:{form}})"


def memory(_: argparse.Namespace) -> None:
    """Print what predicting and validating take above the idle process."""
    print("| network | workload | GB above the idle process |\n|---|---|---|")
    for name in ("pooled", "wide"):
        for workload in memory_in_use.WORKLOADS:
            found = in_process("memory_in_use", workload, name)
            print(f"| {name} | {workload} | {found['above'] / 1e9:.3f} |", flush=True)


def predict_rounds(name: str, count: int, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of `predict` of all images, and of `predict` of pieces of them by hand, round by round."""
    net, (x, _) = memory_in_use.network(name), memory_in_use.images(count)

    def by_hand() -> Any:
        return np.concatenate([net.predict(x[i : i + PIECE]) for i in range(0, count, PIECE)])

    def whole() -> Any:
        return net.predict(x)

    if not np.array_equal(whole(), by_hand()):
        raise AssertionError("predict gives other classes than predict of pieces")
    pairs = [(seconds(whole), seconds(by_hand)) for _ in range(rounds)]
    return [a for a, _ in pairs], [b for _, b in pairs]


def predict(options: argparse.Namespace) -> None:
    """Print the time of `predict` over that of pieces by hand."""
    print("| network | images | predict, s | in pieces of 50 by hand, s | ratio |\n|---|---|---|---|---|")
    for name in ("pooled", "wide"):
        for count in (500, memory_in_use.PREDICTED):
            ours, hand = predict_rounds(name, count, options.rounds or 7)
            ratio = spread([a / b for a, b in zip(ours, hand, strict=True)])
            print(f"| {name} | {count} | {spread(ours)} | {spread(hand)} | {ratio} |", flush=True)


def fit_rounds(rounds: int) -> list[tuple[float, float]]:
    """Milliseconds of the CPU of a repeated `fit` beyond its 20 steps, and of one step, round by round.

    A step takes what the longer of two fits has in addition, divided by the number of its additional steps.
    """
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(ROWS, FEATURES)).astype(np.float32), rng.integers(0, CLASSES, ROWS)
    net = pn.Network([pn.Linear(FEATURES, 32), pn.relu, pn.Linear(32, CLASSES)], seed=0)
    short, long = (
        partial(net.fit, x, y, epochs=epochs, batch_size=BATCH, progress=False) for epochs in (SHORT, LONG)
    )
    short(), long()
    found = []
    for _ in range(rounds):
        less, more = seconds(short, time.process_time), seconds(long, time.process_time)
        step = (more - less) / ((LONG - SHORT) * (ROWS // BATCH))
        found.append((1e3 * (less - step * (SHORT * ROWS // BATCH)), 1e3 * step))
    return found


def fits(options: argparse.Namespace) -> None:
    """Print what a repeated fit costs beyond its steps."""
    found = fit_rounds(options.rounds or 41)
    print("| repeated fit of 640 rows, batches of 64, two epochs | CPU, ms |\n|---|---|")
    print(f"| beyond 20 steps | {spread([a for a, _ in found])} |")
    print(f"| one step | {spread([b for _, b in found], '.3f')} |", flush=True)


def iris_fits(epochs: int, hidden: int = HIDDEN) -> tuple[Callable[[], object], Callable[[], object]]:
    """A fit of portnn's classifier and of scikit-learn's on iris, each of a new estimator."""
    from sklearn.datasets import load_iris
    from sklearn.neural_network import MLPClassifier as TheirClassifier

    from portnn.estimators import MLPClassifier

    x, y = load_iris(return_X_y=True)
    options = {**IRIS, "hidden_layer_sizes": (hidden,), "max_iter": epochs, "n_iter_no_change": epochs}
    return (lambda: MLPClassifier(**options).fit(x, y)), (lambda: TheirClassifier(**options).fit(x, y))


def iris_rounds(epochs: int, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Seconds of the CPU of portnn's fit and of scikit-learn's, round by round.

    "first" fits have a number of hidden units that was never there before, so that they make a plan; "later"
    ones have the same number in each round.
    """
    found: dict[str, list[tuple[float, float]]] = {"first": [], "later": []}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a training that goes on for all its epochs has not converged
        for i in range(rounds + 1):
            for name, hidden in (("first", next(SIZES)), ("later", HIDDEN)):
                ours, theirs = (seconds(call, time.process_time) for call in iris_fits(epochs, hidden))
                if i:  # before it, all that is imported where it is used was not yet there
                    found[name].append((ours, theirs))
    return found


def iris(options: argparse.Namespace) -> None:
    """Print the CPU time of the estimators over scikit-learn's."""
    print("| iris, batches of 32 | scikit-learn, ms | first fit / scikit-learn | later fits / scikit-learn |")
    print("|---|---|---|---|")
    for epochs in IRIS_EPOCHS:
        found = iris_rounds(epochs, options.rounds or 15)
        theirs = spread([1e3 * b for _, b in found["later"]], ".1f")
        ratios = [spread([a / b for a, b in found[name]]) for name in ("first", "later")]
        print(f"| {epochs} epochs | {theirs} | {' | '.join(ratios)} |", flush=True)


def checks_rounds(images: Any, labels: Any, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of a `fit` of one epoch, of one more epoch, and of a pass for finite values by hand."""
    x = images.reshape(len(images), -1).astype(np.float32) / np.float32(255)
    net = pn.Network([pn.Linear(784, 10), pn.relu, pn.Linear(10, 10)], seed=0)
    options = {"batch_size": BATCH, "optimizer": pn.optim.sgd(0.1), "progress": False}
    one, three = (partial(net.fit, x, labels, epochs=epochs, **options) for epochs in (1, 3))
    calls = {"one": one, "three": three, "pass": lambda: np.isfinite(x.max()) and np.isfinite(x.min())}
    for call in calls.values():
        call()
    times = [{name: 1e3 * seconds(call) for name, call in calls.items()} for _ in range(rounds)]
    return {
        "fit of one epoch": [t["one"] for t in times],
        "another epoch": [(t["three"] - t["one"]) / 2 for t in times],
        "a pass over all data for finite values, by hand": [t["pass"] for t in times],
    }


def checks(options: argparse.Namespace) -> None:
    """Print what a fit of one epoch of MNIST takes beyond an epoch: the looks at the data, and the plan."""
    images, labels, kind = (
        (*inputs.stand_in(), inputs.STAND_IN) if options.data is None else inputs.load(options.data)
    )
    found = checks_rounds(images, labels, options.rounds or 15)
    one, another, by_hand = found.values()
    print(f"| 60,000 images, {kind} | ms |\n|---|---|")
    for name, times in found.items():
        print(f"| {name} | {spread(times, '.1f')} |")
    beyond = [(a - b) / a for a, b in zip(one, another, strict=True)]
    print(f"| share of the fit beyond an epoch | {spread(beyond)} |")
    print(
        f"| share of such a pass | {spread([a / b for a, b in zip(by_hand, one, strict=True)])} |", flush=True
    )


PARTS = {"memory": memory, "predict": predict, "fits": fits, "iris": iris, "checks": checks}


def main() -> None:
    """Read the options and print the parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; by default all")
    parser.add_argument("--rounds", type=int, help="by default as many as take a few seconds")
    parser.add_argument(
        "--data", type=Path, help="the folder of MNIST; by default random pixels of its shape"
    )
    options = parser.parse_args()
    if odd := sorted(set(options.parts) - PARTS.keys()):
        parser.error(f"there is no part {odd[0]!r}, only {', '.join(PARTS)}")
    for number, name in enumerate(options.parts or PARTS):
        print("\n" * bool(number), end="")
        PARTS[name](options)


if __name__ == "__main__":
    main()
