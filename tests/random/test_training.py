"""One seed, the same masks in training: on every backend, in a plan, after going back, and when going on."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

from portnn import losses, nn, ops, optim
from portnn.backend import get_backend
from portnn.network import Network
from portnn.train import DivergenceError
from tests.backends import BackendUnderTest
from tests.compile.test_jit_table import assert_same_bits

X = np.random.default_rng(0).normal(size=(70, 6)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 3, 70)
LAYERS = [nn.Linear(6, 8), nn.Dropout(0.3), [nn.relu, nn.Dropout(0.5)], nn.Linear(8, 3)]


def masks_met(place: Any, epochs: list[int]) -> list[Any]:
    """Which elements were left in each batch, as the loss was given them."""
    met: list[Any] = []

    def spy(predictions: Any, targets: Any) -> Any:
        if predictions.shape[0] > 1:  # the data's check at the door looks at a single sample
            met.append(place.to_numpy(ops.not_equal(predictions.plain, 0.0)))
        return losses.squared_error(predictions, targets)

    own = losses.Loss(spy, task=losses.Task.VALUES)
    net = Network([nn.PReLU(5), [nn.Dropout(0.25)], nn.Dropout2d(0.5)], loss=own, backend=place, seed=3)
    x = np.ones((50, 5, 1, 5), dtype=np.float32)
    for n in epochs:
        net.fit(x, x, epochs=n, batch_size=20, optimizer=optim.sgd(0.01), progress=False, compile=False)
    return met


def test_masks_are_these_on_every_backend(backend: BackendUnderTest) -> None:
    met = masks_met(backend.backend, [2])
    assert [mask.shape[0] for mask in met] == [20, 20, 10] * 2
    assert hashlib.sha256(b"".join(mask.tobytes() for mask in met)).hexdigest()[:16] == "f08fe72a27e48812"
    again = masks_met(backend.backend, [1, 1])  # going on goes on in the stream
    assert all((a == b).all() for a, b in zip(met, again, strict=True))
    assert (met[0] != met[1]).any()


def trained(compile: bool, backend: Any = "cpu", **options: Any) -> tuple[Network, Any]:
    net = Network(LAYERS, backend=backend, seed=4)
    options = {"epochs": 3, "batch_size": 16, "optimizer": optim.adam(0.01), **options}
    history = net.fit(X, Y, compile=compile, progress=False, **options)
    return net, dict(history)


@pytest.mark.parametrize("batch_size", [16, None])
def test_a_plan_draws_the_same(batch_size: int | None) -> None:
    (eager, course), (planned, same) = [trained(c, batch_size=batch_size) for c in (False, True)]
    assert same == course
    assert_same_bits(planned.params, eager.params)
    for net in (eager, planned):  # and goes on from there
        net.fit(X, Y, epochs=1, compile=net is planned, progress=False)
    assert_same_bits(planned.params, eager.params)


def test_training_agrees_with_numpy(backend: BackendUnderTest) -> None:
    there, here = trained(True, backend.backend)[1], trained(False)[1]
    np.testing.assert_allclose(there["loss"], here["loss"], rtol=1e-4)


@pytest.mark.parametrize("batch_size", [4, None])
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # NumPy sees it first
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")  # infinity - infinity
def test_going_back_draws_the_same(batch_size: int | None) -> None:
    left = []
    for compile in (False, True):
        net = Network([nn.Linear(6, 8), nn.Dropout(0.4), nn.Linear(8, 6)], loss=losses.squared_error, seed=1)
        with pytest.raises(DivergenceError) as error:
            net.fit(X, X, epochs=50, batch_size=batch_size, optimizer=optim.sgd(1e2), compile=compile)
        left.append((net.params, str(error.value)))
    assert_same_bits(left[1][0], left[0][0])
    assert left[1][1] == left[0][1]


def test_networks_that_draw_nothing_carry_no_number() -> None:
    from contextlib import ExitStack

    from portnn.train import Dataset, FitConfig, Progress, Snapshot, make_gradient, make_step
    from portnn.train._runners import Work, make_runner
    from portnn.train._state import EpochProgress

    data = Dataset(X, Y, None, get_backend("cpu"))
    carried = {}
    for name, layers in {"plain": [nn.Linear(6, 3)], "drops": [nn.Linear(6, 3), nn.Dropout()]}.items():
        net = Network(layers)
        optimizer = optim.sgd(0.1)
        step = make_step(make_gradient(net.layer, net.loss), optimizer)
        start = Snapshot(net.params, net.state, optimizer.init(net.params))
        work = Work(step, data, 16, True, 0 if net.layer.draws else None)
        config = FitConfig(1, 16, True, 1, optimizer)
        with ExitStack() as stack:
            runner = make_runner(work, start, (7, EpochProgress()), Progress(5, False), stack, config)
            runner._loop.run(np.arange(70), 0, 3)
            carried[name] = runner._loop.carry()[-2]
    assert carried["plain"] is None
    assert int(carried["drops"]) == 10
