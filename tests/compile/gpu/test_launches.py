"""Launches besides those of graphs, counted by the emulated GPU; needs ``--backend gpu``."""

import os
import warnings

import numpy as np
import pytest

import portnn as pn
from portnn import losses, optim
from portnn.autodiff import value_and_grad
from portnn.compile import PlanWarning
from tests.compile.gpu.test_on_gpu import moved, to_bytes

pytestmark = pytest.mark.skipif(
    "CPUCUDA_HOME" not in os.environ, reason="only the emulated GPU counts launches"
)
LAYER = pn.Sequential([pn.Linear(12, 8), pn.relu, pn.Linear(8, 4)])
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(640, 12)).astype("float32"), RNG.integers(0, 4, 640)


def counted(f):
    """Return the number of kernel and graph launches of a function, and its result."""
    from cpucuda import counter

    names = ("kernel launches", "graph launches")
    before = [counter(name) for name in names]
    result = f()
    return [counter(name) - n for name, n in zip(names, before, strict=True)], result


def test_weights_of_samples_start_no_kernel_a_step(gpu):
    def of_an_epoch(**options):
        net = pn.Network([LAYER], loss=losses.softmax_cross_entropy, backend="gpu", seed=0)
        few, many = (
            counted(lambda n=n: net.fit(X, Y, epochs=n, batch_size=16, **options))[0][0] for n in (1, 5)
        )
        return (many - few) / 4

    assert of_an_epoch(sample_weight=RNG.uniform(size=640)) <= of_an_epoch() + 2


def test_a_planned_step_is_copied_in_and_out_by_two_kernels(gpu):
    """Adam with four parameters: fifteen arrays go in and fourteen come out."""
    optimizer = optim.adam(1e-3)

    def step(params, state, x, y):
        value, grads = value_and_grad(lambda p: losses.softmax_cross_entropy(LAYER.apply(p, x), y))(params)
        updates, state = optimizer.update(grads, state, params)
        return optim.apply_updates(params, updates), state, value

    params, x, y = moved(
        gpu, (LAYER.init(np.random.default_rng(0)), X[:32], np.eye(4, dtype="float32")[Y[:32]])
    )
    planned, now = pn.jit(step), (params, optimizer.init(params))
    for _ in range(3):
        now, before = planned(*now, x, y)[:2], now
    counts, result = counted(lambda: planned(*before, x, y))
    assert counts == [2, 1]
    assert to_bytes(gpu, result[:2]) == to_bytes(gpu, now)
    assert to_bytes(gpu, result) == to_bytes(gpu, step(*before, x, y))


def test_a_training_by_lbfgs_is_a_graph(gpu):
    sklearn = pytest.importorskip("sklearn", reason="the estimators need scikit-learn")
    from portnn.estimators import MLPClassifier

    with warnings.catch_warnings():
        warnings.simplefilter("error", PlanWarning)
        warnings.simplefilter("ignore", sklearn.exceptions.ConvergenceWarning)
        net = MLPClassifier((8,), solver="lbfgs", max_iter=10, backend="gpu", random_state=0)
        (_, graphs), _ = counted(lambda: net.fit(X, Y))
    assert graphs >= 10
