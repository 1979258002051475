"""Trainings with kept plans: bit for bit those with plans of their own."""

from __future__ import annotations

import gc
import os
import sys
import threading
import weakref
from collections.abc import Iterator
from functools import partial, wraps
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import portnn as pn
from portnn import losses, nn, ops, optim, tree
from portnn.compile import _kept as kept
from portnn.compile import forget_loops
from portnn.network import Network
from tests.compile.test_jit_table import assert_same_bits

N = 100
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 6)).astype("float32")
IDS = RNG.integers(0, 9, (N, 4))
Y = RNG.integers(0, 4, N)
WEIGHTS = RNG.uniform(0.5, 2.0, N).astype("float32")


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    forget_loops()
    yield
    forget_loops()


def noisy() -> Any:
    return [nn.Linear(6, 8), nn.BatchNorm(8), nn.relu, nn.Dropout(0.3), nn.Linear(8, 4)]


FITS: dict[str, tuple[Any, Any, Any, dict[str, Any]]] = {
    "noise": (noisy, X, Y, {}),
    "weights": (noisy, X, Y, {"sample_weight": WEIGHTS}),
    "accumulate": (noisy, X, Y, {"accumulate": 2}),
    "whole": (noisy, X, Y, {"batch_size": None}),
    "unshuffled": (noisy, X, Y, {"shuffle": False}),
    "ids": (lambda: [nn.Embedding(9, 3), nn.Flatten(), nn.Linear(12, 4)], IDS, Y, {}),
}


def fitted(name: str, seed: int, *, backend: Any = "cpu", optimizer: Any = None, **more: Any) -> Any:
    layers, x, y, options = FITS[name]
    net = Network(layers(), seed=seed, backend=backend)
    options = {"batch_size": 16, "epochs": 2, **options, **more}
    turn = np.random.default_rng(seed).permutation(N)
    history = net.fit(
        x[turn], (y[turn] + seed) % 4, optimizer=optimizer or optim.adam(0.01), progress=False, **options
    )
    arrays = net.net_state.arrays
    return tree.map(net.backend.to_numpy, (arrays.params, arrays.state, arrays.opt_state)), dict(history)


@pytest.mark.parametrize("name", FITS)
def test_a_second_fit_gives_the_bits_of_a_first_one(name: str) -> None:
    fitted(name, 1)
    again = fitted(name, 2)
    assert len(kept._loops) == 1
    forget_loops()
    alone = fitted(name, 2)
    assert again[1] == alone[1]
    assert_same_bits(again[0], alone[0])


def test_on_every_library(backend) -> None:
    fitted("noise", 1, backend=backend.backend)
    again = fitted("noise", 2, backend=backend.backend)
    forget_loops()
    alone = fitted("noise", 2, backend=backend.backend)
    assert again[1] == alone[1]
    assert_same_bits(again[0], alone[0])


@pytest.mark.parametrize("number", [2, 3])
def test_what_is_trained_differently_has_its_own_plan(number: int) -> None:
    for optimizer in (optim.sgd(0.1), optim.sgd(0.1), optim.sgd(0.2), optim.adam(0.1))[: number + 1]:
        fitted("noise", 1, optimizer=optimizer)
    assert len(kept._loops) == number


rate = 1.0


def scaled(predictions: Any, targets: Any, **options: Any) -> Any:
    return ops.multiply(losses.softmax_cross_entropy(predictions, targets, **options), rate)


def test_a_loss_that_reads_a_global(monkeypatch) -> None:
    def trained() -> Any:
        net = Network([nn.Linear(6, 4)], loss=losses.Loss(scaled, task=losses.Task.CLASSES), seed=0)
        return net.fit(X, Y, epochs=1, batch_size=16, optimizer=optim.sgd(0.1), progress=False)["loss"]

    one = trained()
    monkeypatch.setattr(f"{__name__}.rate", 2.0)
    assert trained() != one
    monkeypatch.setattr(f"{__name__}.rate", 1.0)
    assert trained() == one
    assert len(kept._loops) == 2


settings = ModuleType("settings")
settings.below = inner = ModuleType("settings.below")
sys.modules["settings"] = settings


def _weight(params: Any) -> Any:
    return ops.sum(ops.square(params[0]["weight"]))


def _imported(params: Any, n: Any) -> Any:
    from settings import rate

    return ops.multiply(_weight(params), rate)


def _bound(module: Any) -> Any:
    return lambda params, n: ops.multiply(_weight(params), module.rate)


@wraps(ops.sum)
def _wrapping(params: Any, n: Any) -> Any:
    return ops.multiply(_weight(params), rate)


READERS: dict[str, tuple[Any, Any]] = {
    "a module in a module": (lambda p, n: ops.multiply(_weight(p), settings.below.rate), settings.below),
    "a module in a closure": (_bound(settings), settings),
    "an import in a function": (_imported, settings),
    "getattr": (lambda p, n: ops.multiply(_weight(p), getattr(inner, "rate")), inner),  # noqa: B009
    "the names of a module": (lambda p, n: ops.multiply(_weight(p), inner.__dict__["rate"]), inner),
    "globals": (lambda p, n: ops.multiply(_weight(p), globals()["rate"]), sys.modules[__name__]),
    "what wraps the function of a library": (_wrapping, sys.modules[__name__]),
}


@pytest.mark.parametrize("reader", READERS)
def test_numbers_that_a_penalty_finds_elsewhere(reader: str, monkeypatch: Any) -> None:
    penalty, place = READERS[reader]
    monkeypatch.setattr(place, "rate", 0.1, raising=False)
    fitted("unshuffled", 1, penalty=penalty)
    monkeypatch.setattr(place, "rate", 0.5)
    assert_same_bits(
        fitted("unshuffled", 1, penalty=penalty), fitted("unshuffled", 1, penalty=penalty, compile=False)
    )


def test_an_environment_variable_and_a_function_put_in_place_of_another(monkeypatch: Any) -> None:
    def penalty(params: Any, n: Any) -> Any:
        return ops.multiply(ops.sum(ops.square(params[0]["weight"])), float(os.environ["RATE"]))

    for value in ("0.1", "0.5"):
        monkeypatch.setenv("RATE", value)
        found = fitted("unshuffled", 1, penalty=penalty)
    assert_same_bits(found, fitted("unshuffled", 1, penalty=penalty, compile=False))
    fitted("unshuffled", 1, penalty=lambda p, n: ops.sum(ops.square(p[0]["weight"])))
    monkeypatch.setattr(ops, "square", ops.abs)
    both = [
        fitted("unshuffled", 1, compile=how, penalty=lambda p, n: ops.sum(ops.square(p[0]["weight"])))
        for how in (True, False)
    ]
    assert_same_bits(*both)


def test_a_file_that_a_penalty_reads(tmp_path: Any) -> None:
    file = str(tmp_path / "rate")

    def penalty(params: Any, n: Any) -> Any:
        from pathlib import Path

        return ops.multiply(_weight(params), float(Path(file).read_text()))

    for value in ("0.1", "0.5"):
        (tmp_path / "rate").write_text(value)
        found = fitted("unshuffled", 1, penalty=penalty)
    assert_same_bits(found, fitted("unshuffled", 1, penalty=penalty, compile=False))


def test_what_changes_during_a_training_is_in_no_kept_plan(monkeypatch: Any) -> None:
    def penalty(params: Any, n: Any) -> Any:
        return ops.multiply(_weight(params), rate)

    class Change(pn.train.Callback):  # before the last batch, which is smaller, is written down
        def on_step(self, step: Any) -> None:
            monkeypatch.setattr(sys.modules[__name__], "rate", 0.5)

    fitted("noise", 1, penalty=penalty, callbacks=[Change()])
    monkeypatch.setattr(sys.modules[__name__], "rate", 0.1)
    assert_same_bits(fitted("noise", 1, penalty=penalty), fitted("noise", 1, penalty=penalty, compile=False))


class _Shrink:
    def __init__(self, rate: float) -> None:
        self.rate = rate

    def __call__(self, params: Any, n: Any) -> Any:
        return ops.multiply(_weight(params), self.rate)


def test_a_kept_plan_that_is_made_anew_follows_the_new_objects() -> None:
    def fit(penalty: Any, most: int, **more: Any) -> Any:
        net = Network(
            [nn.Linear(6, 4)], loss=partial(pn.losses.softmax_cross_entropy, ignore_index=-9), seed=0
        )
        y = np.where(np.arange(N) == 3, -9, np.minimum(Y, most))
        net.fit(X, y, penalty=penalty, epochs=1, progress=False, **more)
        return net.params

    first = _Shrink(0.1)
    fit(first, 1)
    first.rate = 9.0
    assert_same_bits(fit(_Shrink(0.1), 3), fit(_Shrink(0.1), 3, compile=False))


def test_arrays_that_a_loss_or_a_layer_holds() -> None:
    """A plan refers to the arrays themselves: it goes when they change, not only for those that changed."""

    def fit(weights: Any, **more: Any) -> Any:
        loss = partial(losses.softmax_cross_entropy, class_weights=weights)
        net = Network([nn.Linear(6, 4)], loss=loss, seed=0)
        net.fit(X, Y, epochs=1, progress=False, **more)
        return net.params

    weights = np.asarray([1.0, 2.0, 3.0, 4.0], dtype="float32")
    before = weights.copy()
    fit(weights)
    weights[:] = 1.0, 5.0, 1.0, 1.0
    for given in (before, weights, before):
        assert_same_bits(fit(given), fit(given, compile=False))


def test_after_a_fit_the_data_are_free() -> None:
    net = Network([nn.Linear(6, 4)], seed=0)
    x, y = X.copy(), Y.copy()
    held = weakref.ref(x), weakref.ref(y)
    net.fit(x, y, epochs=1, batch_size=16, progress=False)
    del x, y
    gc.collect()
    assert [ref() for ref in held] == [None, None]
    assert len(kept._loops) == 1


def test_a_fit_that_fails_leaves_nothing() -> None:
    class Failed(pn.train.Callback):
        def on_epoch_end(self, epoch: Any) -> None:
            raise RuntimeError("of a callback")

    with pytest.raises(RuntimeError, match="of a callback"):
        fitted("noise", 1, callbacks=[Failed()])
    assert len(kept._loops) == 0
    forget_loops()


def test_threads_side_by_side() -> None:
    wanted = {seed: fitted("noise", seed) for seed in range(3)}
    found: dict[int, Any] = {}

    def train(seed: int) -> None:
        for _ in range(3):
            found[seed] = fitted("noise", seed)

    threads = [threading.Thread(target=partial(train, seed)) for seed in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed, (arrays, history) in wanted.items():
        assert found[seed][1] == history
        assert_same_bits(found[seed][0], arrays)
