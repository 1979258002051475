"""scikit-learn: its own tests of multilayer perceptrons run on portnn's, and its metrics on random inputs."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import sklearn.metrics
import sklearn.neural_network.tests

from portnn import metrics
from tests.peers.frame import PASSED, WRONG, Outcome, assert_close, judge

PERCEPTRONS, METRICS = "scikit-learn perceptrons", "scikit-learn metrics"
SUITE = Path(sklearn.neural_network.tests.__file__).with_name("test_mlp.py")
ROOT = Path(__file__).parents[2]
SEEDS = 60


def of_report(path: Path) -> Iterator[Outcome]:
    """The outcomes in a JUnit XML file; a skipped test has not passed."""
    for case in ET.parse(path).iter("testcase"):
        faults = [fault for tag in ("failure", "error", "skipped") for fault in case.findall(tag)]
        detail = str(faults[0].get("message"))[:300] if faults else ""
        yield Outcome(PERCEPTRONS, str(case.get("name")), WRONG if faults else PASSED, detail)


def test_perceptrons(hold: Callable[[Iterator[Outcome]], None], tmp_path: Path) -> None:
    """Run scikit-learn's file in a process whose scikit-learn has portnn's classes."""
    report = tmp_path / "report.xml"
    plugins = ("-p", "tests.peers.replaced", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:xdist")
    alone = ("-c", "/dev/null", "--rootdir", str(tmp_path), "--junit-xml", str(report), "-q")
    command = [sys.executable, "-m", "pytest", *plugins, *alone, str(SUITE)]
    env = {**os.environ, "SKLEARN_SEED": "0"}  # of NumPy's global generator
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout[-2000:] + done.stderr[-2000:]
    hold(of_report(report))


class Inputs:
    """Random labels, scores and values of one seed: few samples, ties, weights for every second seed."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        n, k = int(rng.integers(1, 30)), int(rng.integers(2, 5))
        self.n_classes, self.labels = k, list(range(k))
        self.true, self.predicted = rng.integers(0, k, n), rng.integers(0, k, n)
        self.weights = rng.random(n) if seed % 2 else None
        scores = rng.normal(size=(n, k))
        self.scores = np.round(scores, 1) if seed % 3 == 0 else scores
        exponentials = np.exp(self.scores)
        self.probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
        self.indicators = rng.integers(0, 2, (n, k))
        self.values, self.estimates = rng.normal(size=(n, k)), rng.normal(size=(n, k))


def both(
    name: str, theirs: str, given: tuple[Any, ...], options: dict[str, Any], their_options: dict[str, Any]
) -> Callable[[], None]:
    """A check that a metric of both libraries agrees, or that both refuse."""

    def check() -> None:
        mine = attempt(getattr(metrics, name), *given, **options)
        other = attempt(getattr(sklearn.metrics, theirs), *given, **their_options)
        if isinstance(mine, Exception) or isinstance(other, Exception):
            assert isinstance(mine, Exception), f"{mine!r}, the peer raises {other!r:.150}"
            assert isinstance(other, Exception), f"{mine!r:.150}, the peer has {other!r:.100}"
            return
        assert_close(np.asarray(mine, dtype=float), np.asarray(other, dtype=float), 1e-12)

    return check


def attempt(function: Callable[..., Any], *given: Any, **named: Any) -> Any:
    try:
        return function(*given, **named)
    except (ValueError, TypeError) as error:
        return error


def checks(inputs: Inputs) -> Iterator[tuple[str, Callable[[], None]]]:
    """Every metric that both libraries have, with every way of averaging."""
    k, labels = inputs.n_classes, inputs.labels
    weighted = {"sample_weight": inputs.weights}
    own = {"n_classes": k, **weighted}
    known = {"labels": labels, **weighted}
    classes = inputs.true, inputs.predicted
    for normalize in (True, False):
        options = {"normalize": normalize, **weighted}
        yield f"accuracy {normalize}", both("accuracy", "accuracy_score", classes, options, options)
    yield "confusion_matrix", both("confusion_matrix", "confusion_matrix", classes, own, known)
    for average in ("macro", "micro", "weighted", None):
        # The macro average is over the classes that occur, as scikit-learn's is where no labels are named.
        named = {"average": average, **known, "labels": None if average == "macro" else labels}
        for name in ("precision", "recall", "f1"):
            options = {**named, "zero_division": 0}
            yield (
                f"{name} {average}",
                both(name, f"{name}_score", classes, {"average": average, **own}, options),
            )
        options = {"average": average, **weighted}
        pair = inputs.indicators, inputs.scores
        check = both("average_precision", "average_precision_score", pair, options, options)
        yield f"average_precision {average}", check
    pair = inputs.true, inputs.probabilities
    yield "log_loss", both("log_loss", "log_loss", pair, weighted, known)
    if k > 2:
        pair, top = (inputs.true, inputs.scores), {"k": 2}
        check = both("top_k_accuracy", "top_k_accuracy_score", pair, {**top, **weighted}, {**top, **known})
        yield "top_k_accuracy", check
    errors = ("mean_squared_error", "mean_absolute_error", "root_mean_squared_error")
    for name, theirs in {**{name: name for name in errors}, "r2": "r2_score"}.items():
        for multioutput in ("uniform_average", "raw_values"):
            options = {"multioutput": multioutput, **weighted}
            pair = inputs.values, inputs.estimates
            yield f"{name} {multioutput}", both(name, theirs, pair, options, options)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_metrics(seed: int, hold: Callable[[Iterator[Outcome]], None]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hold(judge(METRICS, f"{name} [{seed}]", check) for name, check in checks(Inputs(seed)))
