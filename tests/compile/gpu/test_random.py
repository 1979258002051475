"""Random numbers in plans of a GPU, on the stand-in: the bits of eager execution, and no host."""

from __future__ import annotations

import numpy as np

from portnn import ops
from portnn.compile._cupy import CupyLoop
from portnn.random import bernoulli, fold_in, key, randint, uniform
from tests.compile.gpu.helpers import needs_compiler, plan_of
from tests.compile.gpu.standin import StandIn

pytestmark = needs_compiler


def drawn(k, step):
    k = fold_in(k, step)
    return uniform(k, (3, 5)), bernoulli(k, 0.5, 100), bernoulli(k, 0.1, 10), randint(k, 7, -3, 90)


def test_draws_are_those_of_eager_execution():
    args = key(5), np.asarray(7, dtype=np.uint32)
    plan, _ = plan_of(drawn, *args)
    for other in (args, (key(2**40), np.asarray(2**31, dtype=np.uint32))):
        found = plan(*other)
        for got, expected in zip(found, drawn(*other), strict=True):
            np.testing.assert_array_equal(got, expected)


def test_each_step_of_a_loop_draws_by_its_number():
    def step(carry, x):
        total, number = carry
        number = ops.add(number, 1)
        mask = ops.astype(bernoulli(fold_in(key(1), number), 0.5, (4, 2)), "float32")
        loss = ops.sum(ops.multiply(mask, x))
        return (ops.add(total, mask), number), loss

    start = np.zeros((4, 2), np.float32), np.asarray(3, dtype=np.uint32)
    x = np.arange(400.0, dtype=np.float32).reshape(200, 2)
    loop = CupyLoop(step, start, [x], 4, driver=StandIn())
    losses, carry = [], start
    for i in range(50):
        carry, loss = step(carry, x[4 * i : 4 * i + 4])
        losses.append(loss)
    np.testing.assert_array_equal(loop.run(None, 0, 50), losses)
    assert int(loop.carry()[1]) == 53
    np.testing.assert_array_equal(loop.carry()[0], carry[0])
