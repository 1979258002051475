"""What daily use costs: memory in processes of their own, times as ratios.

Bounds of ratios are a quarter above the aims, for machines that do other work; docs/benchmarks/daily-use.md
has the figures of a quiet one. A neighbour on the machine comes and goes, so there are several tries; a
slowdown stays.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterator

import pytest
from threadpoolctl import threadpool_limits

from tests.benchmarks.bench_daily_use import fit_rounds, in_process, iris_rounds, predict_rounds

MEMORY = 150_000_000  # bytes above the idle process
PREDICT_BOUND = 1.25  # `predict` over `predict` of pieces of 50 by hand; the aim is 1
FIT_BOUND = 34.0  # what a repeated fit costs beyond its steps, in steps; 1.5 ms are 27 of them
# CPU time of a fit over scikit-learn's, of the first and of later ones; the aims are 1.5, 0.9 and 1.3.
IRIS_BOUNDS = {(5, "later"): 1.9, (50, "later"): 1.12, (50, "first"): 1.62}
TRIES = 5


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    with threadpool_limits(limits=1):
        yield


def lowest(measure: Callable[[], float], bound: float) -> float:
    """The first figure that is not above the bound, or the lowest of all tries."""
    found = []
    for _ in range(TRIES):
        found.append(measure())
        if found[-1] <= bound:
            break
    return min(found)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell a process its peak of memory")
@pytest.mark.parametrize("workload", ["predict", "validate"])
def test_memory_is_bounded(workload: str) -> None:
    found = in_process("memory_in_use", workload, "pooled")["above"]
    assert found <= MEMORY, f"{workload} takes {found / 1e9:.2f} GB above the idle process"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell a process its peak of memory")
def test_memory_is_bounded_where_a_step_takes_nearly_as_much() -> None:
    step, predict, validate = (
        in_process("memory_in_use", workload, "wide")["above"] for workload in ("fit", "predict", "validate")
    )
    assert predict <= MEMORY
    assert validate <= 1.05 * max(step, MEMORY), "validation takes more than the step of 64 images"


def test_predicting_many_is_not_slower_than_in_pieces() -> None:
    def measure() -> float:
        ours, by_hand = predict_rounds("pooled", 500, 5)
        return min(ours) / min(by_hand)

    found = lowest(measure, PREDICT_BOUND)
    assert found <= PREDICT_BOUND, f"predict takes {found:.2f} times what pieces of 50 take"


def test_a_repeated_fit_costs_little_beyond_its_steps() -> None:
    def measure() -> float:
        beyond, step = zip(*fit_rounds(7), strict=True)
        return statistics.median(beyond) / statistics.median(step)

    found = lowest(measure, FIT_BOUND)
    assert found <= FIT_BOUND, f"a repeated fit costs {found:.0f} steps beyond its own"


@pytest.mark.parametrize(("epochs", "name"), IRIS_BOUNDS)
def test_the_estimators_keep_up_with_scikit_learn(epochs: int, name: str) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is compared with")
    bound = IRIS_BOUNDS[epochs, name]

    def measure() -> float:
        return statistics.median(ours / theirs for ours, theirs in iris_rounds(epochs, 5)[name])

    found = lowest(measure, bound)
    assert found <= bound, f"a {name} fit of {epochs} epochs takes {found:.2f} times scikit-learn's"
