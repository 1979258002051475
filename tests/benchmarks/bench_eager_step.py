"""An eager training step of the digit network against the same step written by hand in NumPy.

A step takes a batch of 64 from 60,000 images of bytes, rescales it, goes forward and backward through
784-10-10 with ReLU and softmax cross-entropy, and updates. Run with
``OPENBLAS_NUM_THREADS=1 python -m tests.benchmarks.bench_eager_step``: one BLAS thread, the two alternated
in one process, and the ratio of each round.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import portnn as pn
from portnn.random import stream

LEARNING_RATE = 0.1
Weights = tuple[Any, Any, Any, Any]


SAMPLES = 60_000


def step_by_hand(weights: Weights, images: Any, labels: Any, chosen: Any) -> tuple[Weights, Any]:
    """One step of training in plain NumPy, as one would write it for this network alone."""
    w1, b1, w2, b2 = weights
    x = np.take(images, chosen, axis=0).astype(np.float32) * np.float32(1 / 255)
    y = np.take(labels, chosen)
    rows = np.arange(y.shape[0])
    z1 = x @ w1 + b1
    a1 = np.maximum(z1, 0.0)
    z2 = a1 @ w2 + b2
    shifted = z2 - z2.max(axis=1, keepdims=True)
    e = np.exp(shifted)
    total = e.sum(axis=1, keepdims=True)
    loss = np.mean(np.log(total[:, 0]) - shifted[rows, y])
    d2 = e / total
    d2[rows, y] -= 1.0
    d2 /= y.shape[0]
    d1 = (d2 @ w2.T) * (z1 > 0.0)
    lr = np.float32(LEARNING_RATE)
    updated = (
        w1 - lr * (x.T @ d1),
        b1 - lr * d1.sum(axis=0),
        w2 - lr * (a1.T @ d2),
        b2 - lr * d2.sum(axis=0),
    )
    return updated, loss


def make_contenders(batch: int) -> tuple[Callable[[int], float], Callable[[int], float]]:
    """Two functions that take a number of steps from one start on the same batches, and give the loss."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (SAMPLES, 784), dtype=np.uint8)
    labels = rng.integers(0, 10, SAMPLES, dtype=np.uint8)
    order = rng.permutation(SAMPLES)
    model = pn.Sequential([pn.Rescale(), pn.Linear(784, 10), pn.relu, pn.Linear(10, 10)])
    start = model.init(stream(0))
    optimizer = pn.optim.sgd(LEARNING_RATE)

    def objective(params: Any, x: Any, y: Any) -> Any:
        return pn.losses.softmax_cross_entropy(model.apply(params, x), y)

    differentiate = pn.value_and_grad(objective)

    def batches(steps: int) -> Any:
        return (order[i * batch % SAMPLES :][:batch] for i in range(steps))

    def with_portnn(steps: int) -> float:
        params, state, loss = start, optimizer.init(start), None
        for chosen in batches(steps):
            x, y = pn.ops.take(images, chosen, axis=0), pn.ops.take(labels, chosen, axis=0)
            loss, grads = differentiate(params, x, y)
            updates, state = optimizer.update(grads, state, params)
            params = pn.optim.apply_updates(params, updates)
        return float(loss)

    def by_hand(steps: int) -> float:
        _, first, _, last = start
        weights, loss = (first["weight"], first["bias"], last["weight"], last["bias"]), None
        for chosen in batches(steps):
            weights, loss = step_by_hand(weights, images, labels, chosen)
        return float(loss)

    return with_portnn, by_hand


def measure(rounds: int, steps: int, batch: int = 64) -> tuple[list[float], list[float]]:
    """Microseconds a step in each round, of portnn and by hand; the losses must agree first."""
    with_portnn, by_hand = make_contenders(batch)
    a, b = with_portnn(50), by_hand(50)
    if abs(a - b) > 1e-4 * abs(b):
        raise AssertionError(f"after 50 steps the losses differ: {a} with portnn, {b} by hand")
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for contender, own in zip((with_portnn, by_hand), times, strict=True):
            begin = time.perf_counter()
            contender(steps)
            own.append((time.perf_counter() - begin) / steps * 1e6)
    return times


def main() -> None:
    """Print the median ratio, its spread, and the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--steps", type=int, default=300)
    args = parser.parse_args()
    mine, hand = measure(args.rounds, args.steps)
    ratios = sorted(a / b for a, b in zip(mine, hand, strict=True))
    print(f"portnn {statistics.median(mine):.0f} us, by hand {statistics.median(hand):.0f} us a step")
    median = statistics.median(ratios)
    print(f"ratio {median:.2f} (from {ratios[0]:.2f} to {ratios[-1]:.2f}, {args.rounds} rounds)")


if __name__ == "__main__":
    main()
