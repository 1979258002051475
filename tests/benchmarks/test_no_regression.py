"""Ratios of times to plain NumPy, alternated in one process, against wide bounds.

A bound is about one and a half times what was measured, so that a slowdown by half is seen on any machine,
and a noisy one is not. Who has made portnn faster lowers it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from tests.benchmarks.contenders import TRAINING, Task, order_of
from tests.benchmarks.harness import inputs
from tests.benchmarks.harness.workloads import WORKLOADS
from tests.benchmarks.inference import INFERENCE

TRAINING_BOUND = 2.2  # W1, one BLAS thread: steps of `Network.fit` over the floor; 1.45 to 1.49 measured
PREDICTION_BOUND = 2.3  # W5, one image, one BLAS thread: `predict_proba` over NumPy by hand
SAMPLES = 20_000
ROUNDS, TRIES = 15, 3
EPOCHS, STEPS, CALLS = 4, 60, 150


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("regression")
    images, labels = inputs.stand_in(SAMPLES)
    inputs.write_data(path, images, labels)
    for name in ("W1", "W5-1"):
        inputs.write_params(path, WORKLOADS[name], images[:1024], labels[:1024])
    return path


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with threadpool_limits(limits=1):
        yield


def runner(registry: Any, slug: str, name: str, folder: Path, steps: int) -> Callable[[int], float]:
    """A function of a round's number: seconds a step of the contender's run."""
    w = WORKLOADS[name]
    contender = registry[slug]("cpu")
    contender.prepare(Task(w.sizes, w.batch, w.precision, str(folder), w.params, w.pixels))

    def run(number: int) -> float:
        order = order_of(EPOCHS * number, EPOCHS if w.training else 1, steps, w.batch)
        begin = time.perf_counter()
        contender.run(order)
        seconds = time.perf_counter() - begin
        if contender.settled is not None:  # without the first epoch, in which the step is written down
            return contender.settled / (order.count - order.steps)
        return seconds / order.count

    return run


def steady_ratio(ours: Callable[[int], float], theirs: Callable[[int], float], bound: float) -> float:
    """The median of the ratios or the ratio of the fastest rounds, whichever is lower.

    Above the bound there is another try: a neighbour on the machine comes and goes, a slowdown stays.
    """
    found = []
    for first in range(TRIES):
        pairs = [(ours(number), theirs(number)) for number in range(first * ROUNDS, (first + 1) * ROUNDS)]
        median = float(np.median([a / b for a, b in pairs]))
        fastest = min(a for a, _ in pairs) / min(b for _, b in pairs)
        found.append(min(median, fastest))
        if found[-1] <= bound:
            break
    return min(found)


def test_training_is_not_slower_than_it_was(folder: Path) -> None:
    ours, floor = (runner(TRAINING, slug, "W1", folder, STEPS) for slug in ("portnn", "floor"))
    ours(1000), floor(1000)
    found = steady_ratio(ours, floor, TRAINING_BOUND)
    assert found <= TRAINING_BOUND, f"a training step takes {found:.2f} times the floor"


def test_predicting_is_not_slower_than_it_was(folder: Path) -> None:
    ours, by_hand = (runner(INFERENCE, slug, "W5-1", folder, CALLS) for slug in ("portnn", "numpy"))
    ours(1000), by_hand(1000)
    found = steady_ratio(ours, by_hand, PREDICTION_BOUND)
    assert found <= PREDICTION_BOUND, f"predicting one image takes {found:.2f} times NumPy by hand"
