"""The estimators beside scikit-learn's perceptrons: scores of five seeds, and the time of training on MNIST.

Run by ``python -m tests.benchmarks.bench_estimators``; ``--data FOLDER`` says where MNIST is, ``--help`` the
rest; it prints Markdown. Everybody is given the same data, parameters and seeds; times are alternated in
one process.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import sklearn
from sklearn.datasets import load_diabetes, load_digits, make_friedman1
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_info, threadpool_limits

import portnn
from portnn.data import load_mnist
from portnn.estimators import MLPClassifier, MLPRegressor

MNIST = Path(__file__).parents[2] / "examples" / "data" / "mnist"
Split = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
# What both are given, what portnn is told to compute in, and what it then computes in.
FRAMES = {
    "stored": ("uint8", "auto", "float32"), "float32": ("float32", "auto", "float32"),
    "float64": ("float64", "auto", "float64"), "mixed": ("float64", "float32", "float32"),
}  # fmt: skip


def digits() -> Split:
    """8 x 8 digits of scikit-learn: training inputs, test inputs, and both targets."""
    x, y = load_digits(return_X_y=True)
    return tuple(train_test_split(x / 16.0, y, random_state=0))


def regression(name: str) -> Split:
    """Patients or Friedman's function, standardised."""
    x, y = (
        load_diabetes(return_X_y=True)
        if name == "diabetes"
        else make_friedman1(5000, noise=1.0, random_state=0)
    )
    a, b, c, d = train_test_split(x, y, random_state=0)
    scale, target = StandardScaler().fit(a), StandardScaler().fit(c[:, None])
    return (
        scale.transform(a),
        scale.transform(b),
        target.transform(c[:, None])[:, 0],
        target.transform(d[:, None])[:, 0],
    )


def mnist(folder: Path) -> Split:
    """The digits of MNIST from 0 to 1 in float32."""
    (x, y), (test_x, test_y) = (load_mnist(folder, part) for part in ("train", "test"))
    flat = [(images.reshape(len(images), -1) / 255.0).astype(np.float32) for images in (x, test_x)]
    return flat[0], flat[1], y, test_y


def scores(kinds: tuple[type, type], data: Split, seeds: int, **options: object) -> str:
    """A row of a table: mean and standard deviation of both, and the largest difference of one seed."""
    x, test_x, y, test_y = data
    found = np.asarray(
        [
            [kind(random_state=s, **options).fit(x, y).score(test_x, test_y) for kind in kinds]
            for s in range(seeds)
        ]
    )
    cells = [f"{m:.4f} ± {s:.4f}" for m, s in zip(found.mean(0), found.std(0, ddof=1), strict=True)]
    means = found.mean(0)
    error = np.sqrt(found.var(0, ddof=1).sum() / seeds)
    return f"{cells[0]} | {cells[1]} | {means[1] - means[0]:+.4f} ± {error:.4f} |"


def seconds(model: object, x: np.ndarray, y: np.ndarray) -> float:
    """The time of one training."""
    start = time.perf_counter()
    model.fit(x, y)
    return time.perf_counter() - start


def times(data: Split, hidden: tuple[int, ...], frame: str, threads: int, options: argparse.Namespace) -> str:
    """A row of a table: the median times of an epoch, and their ratio with its range."""
    given, dtype, computed = FRAMES[frame]
    x, y = np.rint(data[0] * 255).astype(given) if given == "uint8" else data[0].astype(given), data[2]
    shared = {"hidden_layer_sizes": hidden, "max_iter": options.epochs, "batch_size": 200, "random_state": 0}
    with threadpool_limits(threads, user_api="blas"):
        pairs = [
            (seconds(TheirClassifier(**shared), x, y), seconds(MLPClassifier(dtype=dtype, **shared), x, y))
            for _ in range(options.rounds)
        ]
    theirs, ours = (statistics.median(t) / options.epochs for t in zip(*pairs, strict=True))
    ratios = sorted(a / b for a, b in pairs)
    span = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
    what = f"{'-'.join(map(str, (784, *hidden, 10)))} | {given} | {computed} | {threads}"
    return f"| {what} | {theirs:.3f} | {ours:.3f} | **{statistics.median(ratios):.2f}** ({span}) |"


def environment() -> str:
    """What the figures depend on."""
    blas = [f"{i['internal_api']} {i['version']} ({i.get('architecture', '?')})" for i in threadpool_info()]
    versions = f"portnn {portnn.__version__}, scikit-learn {sklearn.__version__}, NumPy {np.__version__}"
    return f"{versions}, Python {platform.python_version()}, {', '.join(sorted(set(blas)))}"


def table_of_scores(options: argparse.Namespace, data: Split) -> None:
    """Print how good both are."""
    n, classify, regress = options.seeds, (TheirClassifier, MLPClassifier), (TheirRegressor, MLPRegressor)
    print(f"| {n} seeds | scikit-learn | portnn | difference of the means |\n|---|---|---|---|")
    print(f"| digits, accuracy | {scores(classify, digits(), n)}")
    print(f"| diabetes, R² | {scores(regress, regression('diabetes'), n, alpha=1.0, max_iter=100)}")
    print(f"| Friedman 1, R² | {scores(regress, regression('friedman'), n, max_iter=50)}")
    epochs = options.epochs
    print(f"| MNIST, {epochs} epochs, accuracy | {scores(classify, data, n, max_iter=epochs)}", flush=True)


def report(options: argparse.Namespace) -> None:
    """Print everything."""
    data, n = mnist(options.data), options.seeds
    print(f"{environment()}\n")
    if n > 1:
        table_of_scores(options, data)
    heads = (
        "network",
        "X",
        "portnn computes in",
        "BLAS threads",
        "scikit-learn, s an epoch",
        "portnn",
        "ratio",
    )
    print(f"\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for threads in options.threads:
        for frame in options.frames:
            print(times(data, tuple(options.hidden), frame, threads, options), flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the options and print the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=MNIST)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--hidden", type=int, nargs="+", default=[100])
    parser.add_argument("--frames", choices=FRAMES, nargs="+", default=list(FRAMES))
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        report(parser.parse_args(arguments))


if __name__ == "__main__":
    main()
