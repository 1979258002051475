"""A training as a plan: bit for bit the eager one, also where it goes wrong."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest

from portnn import losses, nn, optim, tree
from portnn.compile import PlanWarning
from portnn.network import Network
from portnn.random import stream
from portnn.train import DivergenceError
from portnn.train.callbacks import EarlyStopping, ReduceLROnPlateau
from tests.compile.test_jit_table import assert_same_bits

X = np.random.default_rng(0).normal(size=(200, 12)).astype(np.float32)
PIXELS = np.random.default_rng(1).integers(0, 256, size=(200, 4, 3)).astype(np.uint8)
LABELS = np.random.default_rng(2).integers(0, 5, 200)
ROWS = np.eye(5, dtype=np.float32)[LABELS]
WEIGHTS = np.random.default_rng(3).uniform(0.1, 2.0, 200).astype(np.float32)

OPTIMIZERS = {
    "sgd": optim.sgd(0.05),
    "momentum": optim.sgd(0.05, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "adam": optim.adam(0.01),
    "adamw and schedule": optim.adamw(optim.schedules.cosine(0.01, 100)),
    "amsgrad": optim.adam(0.01, amsgrad=True),
    "rmsprop": optim.rmsprop(0.01),
    "adagrad": optim.adagrad(0.05),
    "lion": optim.lion(0.001),
    "averaged": optim.ema(optim.adam(0.01), 0.9),
    "accumulated": optim.accumulate(optim.adam(0.01), 3),
    "adjustable": optim.adjustable(optim.adam(0.01)),
    "loss scale": optim.dynamic_loss_scale(optim.adam(0.01), interval=4),
    "clipped": optim.chain(optim.clip_by_global_norm(0.5), optim.sgd(0.05)),
}

NETWORKS: dict[str, tuple[Any, Any, Any, Any]] = {
    "article": ([nn.Linear(12, 10), nn.relu, nn.Linear(10, 5)], losses.softmax_cross_entropy, X, LABELS),
    "deep": (nn.MLP([12, 16, 16, 16, 5], activation=nn.gelu), losses.softmax_cross_entropy, X, ROWS),
    "pixels": (
        [nn.Rescale(1 / 255), nn.Flatten(), nn.Linear(12, 9), nn.PReLU(), nn.Linear(9, 5)],
        partial(losses.softmax_cross_entropy, label_smoothing=0.1), PIXELS, LABELS,
    ),
    "labels": ([nn.Linear(12, 8), nn.tanh, nn.Linear(8, 5)], losses.sigmoid_cross_entropy, X, ROWS),
    "values": ([nn.Linear(12, 8), nn.silu, nn.Linear(8, 12)], losses.huber, X, X),
}  # fmt: skip


def trained(
    network: str, optimizer: optim.Optimizer, *, compile: bool, **options: Any
) -> tuple[Network, Any]:
    layers, loss, x, y = NETWORKS[network]
    net = Network(layers, loss=loss, seed=4)
    options = {"epochs": 3, "batch_size": 48, **options}
    return net, net.fit(x, y, optimizer=optimizer, progress=False, compile=compile, **options)


def assert_same_training(network: str, optimizer: optim.Optimizer, **options: Any) -> None:
    eager, course = trained(network, optimizer, compile=False, **options)
    planned, planned_course = trained(network, optimizer, compile=True, **options)
    assert dict(planned_course) == dict(course)
    assert_same_bits(planned.params, eager.params)
    assert_same_bits(planned.optimizer_state, eager.optimizer_state)
    assert (planned.epochs, planned.steps) == (eager.epochs, eager.steps)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer(name: str) -> None:
    assert_same_training("article", OPTIMIZERS[name])


@pytest.mark.parametrize("network", NETWORKS)
def test_every_kind_of_network(network: str) -> None:
    assert_same_training(network, OPTIMIZERS["adam"], epochs=2)


@pytest.mark.parametrize("network", ["article", "deep", "pixels"])
def test_200_steps(network: str) -> None:
    assert_same_training(network, OPTIMIZERS["momentum"], epochs=40, batch_size=40)


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": None},
        {"batch_size": 1, "epochs": 1},
        {"shuffle": False},
        {"batch_size": 1000},
        {"sample_weight": WEIGHTS},
        {"class_weight": "balanced", "sample_weight": WEIGHTS},
        {"validation_split": 0.2},
        {"accumulate": 3, "batch_size": 70},
        {"accumulate": 3, "sample_weight": WEIGHTS},
        {"callbacks": [ReduceLROnPlateau("loss", patience=1, min_delta=10.0)]},
        {"callbacks": [EarlyStopping("loss", patience=1, min_delta=10.0)]},
        {"validation_data": (X[:20], LABELS[:20])},
    ],
    ids=lambda options: ", ".join(options),
)
def test_options(options: dict[str, Any]) -> None:
    assert_same_training("article", OPTIMIZERS["adam"], **options)


def test_two_fits_go_on() -> None:
    nets = [Network(NETWORKS["article"][0], seed=4) for _ in range(2)]
    for net, compile in zip(nets, (False, True), strict=True):
        for _ in range(2):
            net.fit(X, LABELS, epochs=2, optimizer=optim.sgd(0.1), compile=compile)
    assert_same_bits(nets[1].params, nets[0].params)


def test_what_the_caller_holds_does_not_change() -> None:
    net = Network(NETWORKS["article"][0], seed=4)
    before, held = net.params, tree.map(np.copy, net.params)
    x, y = X.copy(), LABELS.copy()
    seen: list[Any] = []
    net.fit(x, y, epochs=3, callbacks=[lambda epoch: seen.append(epoch.model.params)])
    assert_same_bits(before, held)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(y, LABELS)
    weights = [tree.leaves(params)[0] for params in seen]
    assert not np.array_equal(weights[0], weights[1])
    assert not np.shares_memory(weights[1], weights[2])


@pytest.mark.parametrize("batch_size", [4, 50, None])
@pytest.mark.parametrize("rate", [1e2, 1e6, 3e38])
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # NumPy sees it first
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")  # infinity - infinity
def test_divergence_leaves_the_same_parameters(rate: float, batch_size: int | None) -> None:
    left = []
    for compile in (False, True):
        net = Network([nn.Linear(12, 8), nn.identity, nn.Linear(8, 12)], loss=losses.squared_error, seed=1)
        with pytest.raises(DivergenceError) as error:
            net.fit(X, X, epochs=50, batch_size=batch_size, optimizer=optim.sgd(rate), compile=compile)
        left.append((net.params, str(error.value), net.epochs))
    assert_same_bits(left[1][0], left[0][0])
    assert left[1][1:] == left[0][1:]
    assert all(np.isfinite(leaf).all() for leaf in tree.leaves(left[1][0]))


@dataclass(frozen=True)
class Noise(nn.Layer):
    """Draws on the host, from a key whose value a plan does not know."""

    draws = True

    def forward(self, params: Any, state: Any, x: Any, *, training: bool, key: Any) -> Any:
        if not training or key is None:
            return x, state
        return x + stream(*key).normal(size=tuple(x.shape)).astype(np.float32), state


def test_host_randomness_is_not_frozen_into_a_plan() -> None:
    left = []
    for compile in (False, True):
        net = Network([nn.Linear(12, 5), Noise()], seed=4)
        if compile:
            with pytest.warns(PlanWarning, match="fit: no plan.*not known while a program is written"):
                net.fit(X, LABELS, epochs=2)
        else:
            net.fit(X, LABELS, epochs=2, compile=False)
        left.append(net.params)
    assert_same_bits(left[1], left[0])


def test_a_loss_that_looks_at_values_runs_without_a_plan() -> None:
    def looking(predictions: Any, targets: Any) -> Any:
        loss = losses.squared_error(predictions, targets)
        return loss if bool(loss > 0.5) else loss * 2.0

    own = losses.Loss(looking, task=losses.Task.VALUES)
    nets = [Network([nn.Linear(12, 12)], loss=own, seed=4) for _ in range(2)]
    nets[0].fit(X, X, epochs=2, compile=False)
    with pytest.warns(PlanWarning, match=r"fit: no plan.*where\(condition") as told:
        nets[1].fit(X, X, epochs=2)
    assert [warning.filename for warning in told] == [__file__]
    assert_same_bits(nets[1].params, nets[0].params)


def test_compile_is_checked() -> None:
    with pytest.raises(TypeError, match="compile must be True or False, got str"):
        Network([nn.Linear(12, 5)]).fit(X, LABELS, compile="yes")
