"""Keys of what plans are made of: equal if one plan serves both, and none where it could change unseen."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest

from portnn import losses, nn, optim
from portnn._identity import identity_of
from portnn.estimators._methods import L2
from portnn.nn import Activation, Layer, Linear
from portnn.optim import schedules
from tests.nn.test_description import LAYERS
from tests.optim.cases import CASES

SCHEDULES = {
    "constant": lambda: schedules.constant(0.1),
    "step": lambda: schedules.step(0.5, 10, factor=0.5),
    "multi_step": lambda: schedules.multi_step(0.5, [10, 15]),
    "exponential": lambda: schedules.exponential(1.0, 0.5),
    "polynomial": lambda: schedules.polynomial(1.0, 4),
    "cosine": lambda: schedules.cosine(0.1, 100),
    "cosine_restarts": lambda: schedules.cosine_restarts(0.1, 100),
    "warmup": lambda: schedules.warmup(schedules.exponential(1.0, 0.5), 4),
    "one_cycle": lambda: schedules.one_cycle(0.1, 100),
}
RECIPES = {
    "sgd(0.1)": lambda: optim.sgd(0.1),
    "sgd(0.1, momentum=0.9)": lambda: optim.sgd(0.1, momentum=0.9),
    "adam()": lambda: optim.adam(),
    "adamw(cosine(0.1, 100))": lambda: optim.adamw(schedules.cosine(0.1, 100)),
    "chain(clip_by_global_norm(1.0), adam(0.001))": lambda: optim.chain(
        optim.clip_by_global_norm(1.0), optim.adam(1e-3)
    ),
    "chain(clip_by_value(0.5), trace(0.9), scale(-0.1))": lambda: optim.chain(
        optim.clip_by_value(0.5), optim.trace(0.9), optim.scale(-0.1)
    ),
    "ema(lion(warmup(one_cycle(0.1, 100), 10)), 0.99)": lambda: optim.ema(
        optim.lion(schedules.warmup(schedules.one_cycle(0.1, 100), 10)), 0.99
    ),
    "accumulate(adjustable(dynamic_loss_scale(adam(0.1))), 4)": lambda: optim.accumulate(
        optim.adjustable(optim.dynamic_loss_scale(optim.adam(0.1))), 4
    ),
}


@pytest.mark.parametrize("text", RECIPES)
def test_a_recipe_is_its_name_and_arguments(text):
    one, two = RECIPES[text](), RECIPES[text]()
    assert repr(one) == text
    assert one == two
    assert hash(one) == hash(two)
    assert identity_of(one) == identity_of(two) is not None
    assert copy.deepcopy(one) == one
    assert eval(text, {**vars(optim), **vars(schedules)}) == one


def test_all_recipes_have_different_keys():
    keys = [identity_of(make()) for make in [*RECIPES.values(), *SCHEDULES.values()]]
    assert None not in keys
    assert len({*keys}) == len(keys)
    assert {identity_of(case.optimizer) for case in CASES}.isdisjoint({None})


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_is_its_name_and_arguments(name):
    one, two = SCHEDULES[name](), SCHEDULES[name]()
    assert repr(one).startswith(f"{name}(")
    assert one == two
    assert hash(one) == hash(two)
    assert eval(repr(one), vars(schedules)) == one
    assert copy.deepcopy(one) == one


def test_every_schedule_knows_its_call():
    made = {name for name in schedules.__all__ if name != "Schedule"}
    assert made == SCHEDULES.keys()


def test_arguments_count_by_meaning():
    assert optim.sgd(0.1) == optim.sgd(learning_rate=0.1) == optim.sgd(0.1, momentum=0.0)
    assert optim.adam() == optim.adam(1e-3, betas=(0.9, 0.999))
    assert optim.sgd(0.1) != optim.sgd(0.2)
    assert optim.sgd(0.1) != optim.scale(-0.1)
    assert optim.sgd(0.1) != "sgd(0.1)"
    assert schedules.cosine(0.1, 10) != schedules.cosine(0.1, 11)
    assert schedules.cosine(0.1, 10) == schedules.cosine(0.1, steps=10, end=0.0)


def test_optimizers_of_ones_own_compare_by_identity():
    def make():
        return optim.Optimizer(lambda params: (), lambda grads, state, params: (grads, state))

    one, two = make(), make()
    assert one == one
    assert one != two
    assert identity_of(one) != identity_of(two)
    assert optim.chain(one, optim.sgd(0.1)) == optim.chain(one, optim.sgd(0.1))
    assert optim.chain(one, optim.sgd(0.1)) != optim.chain(two, optim.sgd(0.1))
    assert repr(one).startswith("<optimizer ")
    assert "halving" in repr(optim.Optimizer(one.start, one.advance, name="halving"))
    rate = lambda step: 0.1 / (step + 1)  # noqa: E731
    assert optim.sgd(rate) == optim.sgd(rate)
    assert optim.sgd(rate) != optim.sgd(lambda step: 0.1 / (step + 1))


def test_a_long_chain_is_cut():
    assert len(repr(optim.chain(*[optim.sgd(0.1)] * 99))) == 200


def test_partial_losses_and_penalties_count_by_meaning():
    entropy = losses.softmax_cross_entropy
    assert identity_of(entropy) == identity_of(entropy) is not None
    assert identity_of(partial(entropy, ignore_index=0)) == identity_of(partial(entropy, ignore_index=0))
    assert identity_of(partial(partial(entropy, ignore_index=0), label_smoothing=0.1)) == identity_of(
        partial(entropy, label_smoothing=0.1, ignore_index=0)
    )
    assert identity_of(partial(entropy, ignore_index=0)) != identity_of(partial(entropy, ignore_index=1))
    assert identity_of(partial(entropy, ignore_index=0)) != identity_of(entropy)
    assert identity_of(L2(0.1)) == identity_of(L2(0.1)) != identity_of(L2(0.2))
    assert identity_of(lambda p, n: 0.0) != identity_of(lambda p, n: 0.0)


NEARLY = [0, False, 0.0, -0.0, None, "0", (), b"", 0j, np.float32(0), np.float64(0), np.int64(0)]


def test_numbers_that_only_seem_equal_have_different_keys():
    """A plan bakes in the type of a number and the sign of zero."""
    keys = [identity_of(partial(losses.huber, delta=value)) for value in NEARLY]
    assert None not in keys
    assert len({*keys}) == len(NEARLY)
    assert identity_of(float("nan")) == identity_of(float("nan"))
    for values in ((1, True, 1.0), (0.0, -0.0)):
        keys = [identity_of(nn.Sequential([Activation(nn.leaky_relu, negative_slope=v)])) for v in values]
        assert len({*keys}) == len(values)


def test_what_holds_an_array_has_no_key():
    weights = np.ones(3, "float32")
    entropy = losses.softmax_cross_entropy
    unkept = [
        weights,
        partial(entropy, class_weights=weights),
        Activation(nn.elu, alpha=weights),
        lambda p, n: weights.sum(),
        [optim.sgd(lambda step: weights[0])],
        {"a": [1, weights]},
    ]
    for thing in unkept:
        assert identity_of(thing) is None
        assert identity_of(Linear(3, 2), thing) is None
    assert optim.sgd(unkept[3]) == optim.sgd(unkept[3]), "comparing never fails"


def test_unhashable_parts_are_no_error():
    assert identity_of([1, {"a": {2, 3}}, {4}]) == identity_of([1, {"a": {3, 2}}, {4}])
    assert identity_of(Activation(nn.elu, alpha=[1.0])) == identity_of(Activation(nn.elu, alpha=[1.0]))
    endless: list = []
    endless.append(endless)
    assert identity_of(endless) == identity_of(endless)
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    assert identity_of(deep) is None


alpha = 0.1


def helper(params):
    return alpha


def of_the_module(params, n):
    return helper(params) * n


class Penalty:
    factor = 2.0

    def __init__(self, alpha):
        self.alpha = alpha

    def __call__(self, params, n):
        return self.alpha * self.factor * n


def test_what_a_function_reads_is_part_of_its_key(monkeypatch):
    before = identity_of(of_the_module)
    assert before == identity_of(of_the_module)
    monkeypatch.setitem(globals(), "alpha", 0.2)
    assert identity_of(of_the_module) != before

    rate = 0.1

    def around(params, n):
        return rate

    before = identity_of(around)
    rate = 0.2
    assert identity_of(around) != before

    penalty = Penalty(0.1)
    before = identity_of(penalty), identity_of(penalty.__call__)
    assert before == (identity_of(penalty), identity_of(penalty.__call__))
    penalty.alpha = 0.2
    assert identity_of(penalty) != before[0]
    assert identity_of(penalty.__call__) != before[1]
    assert identity_of(Penalty(0.2)) != identity_of(penalty)


@dataclass(frozen=True)
class Scale(Layer):
    factor: float

    def forward(self, params, state, x, *, training, key):
        return x * self.factor * alpha, state


@dataclass(frozen=True, eq=False)
class Own(Layer):
    factor: float

    def forward(self, params, state, x, *, training, key):
        return x * self.factor, state


def test_layers_of_ones_own(monkeypatch):
    before = identity_of(Scale(2.0))
    assert before == identity_of(Scale(2.0)) != identity_of(Scale(3.0))
    assert identity_of(Own(2.0)) != identity_of(Own(2.0))
    monkeypatch.setitem(globals(), "alpha", 0.3)
    assert identity_of(Scale(2.0)) != before


def test_a_key_keeps_what_it_is_of():
    """Else its identity could go to something else."""
    kept = {identity_of(lambda: 0) for _ in range(100)}
    assert len(kept) == 100


@pytest.mark.parametrize("name", LAYERS)
def test_layers_count_by_their_hyperparameters(name):
    layer = LAYERS[name]
    twin = nn.from_description(nn.describe(layer))
    assert twin is not layer
    assert twin == layer
    assert hash(twin) == hash(layer)
    assert identity_of(twin) == identity_of(layer) is not None


def test_no_two_layers_have_one_key():
    keys = {name: identity_of(layer) for name, layer in LAYERS.items()}
    same = [(a, b) for a in LAYERS for b in LAYERS if a < b and keys[a] == keys[b]]
    assert all(LAYERS[a] == LAYERS[b] for a, b in same)


def test_every_loss_has_a_key():
    found = [
        getattr(losses, name) for name in losses.__all__ if isinstance(getattr(losses, name), losses.Loss)
    ]
    keys = {identity_of(loss) for loss in found}
    assert None not in keys
    assert len(keys) == len(found)
    own = losses.Loss(of_the_module, task=losses.Task.VALUES)
    assert identity_of(own) == identity_of(own)
    assert identity_of(own) != identity_of(losses.Loss(of_the_module, task=losses.Task.VALUES))


def test_a_loss_of_ones_own_tells_of_its_function(monkeypatch):
    own = losses.Loss(of_the_module, task=losses.Task.VALUES)
    before = identity_of(own)
    monkeypatch.setitem(globals(), "alpha", 0.4)
    assert identity_of(own) != before
