"""Optimizers and schedules compare, hash and print as the calls that made them."""

from __future__ import annotations

import copy

import pytest

from portnn import optim
from portnn.compile._fingerprint import fingerprint
from portnn.optim import schedules
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
    assert fingerprint(one) == fingerprint(two) is not None
    assert copy.deepcopy(one) == one
    assert eval(text, {**vars(optim), **vars(schedules)}) == one


def test_no_two_recipes_are_equal():
    made = [make() for make in [*RECIPES.values(), *SCHEDULES.values()]]
    assert len({*made}) == len(made)
    keys = [fingerprint(one) for one in made]
    assert None not in keys
    assert len({*keys}) == len(keys)
    assert {fingerprint(case.optimizer) for case in CASES}.isdisjoint({None})


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
    assert optim.chain(one, optim.sgd(0.1)) == optim.chain(one, optim.sgd(0.1))
    assert optim.chain(one, optim.sgd(0.1)) != optim.chain(two, optim.sgd(0.1))
    assert repr(one).startswith("<optimizer ")
    assert "halving" in repr(optim.Optimizer(one.start, one.advance, name="halving"))
    rate = lambda step: 0.1 / (step + 1)  # noqa: E731
    assert optim.sgd(rate) == optim.sgd(rate)
    assert optim.sgd(rate) != optim.sgd(lambda step: 0.1 / (step + 1))


def test_a_long_chain_is_cut():
    assert len(repr(optim.chain(*[optim.sgd(0.1)] * 99))) == 200


def test_numbers_that_only_seem_equal_differ():
    assert optim.scale(0.0) != optim.scale(-0.0)
    assert optim.sgd(0.1, momentum=0.9, nesterov=True) != optim.sgd(0.1, momentum=0.9, nesterov=False)
    assert optim.ema(optim.sgd(0.1), 0.0) != optim.ema(optim.sgd(0.1), 0)
    assert schedules.multi_step(0.1, [1, 2]) != schedules.multi_step(0.1, [1, 3])
