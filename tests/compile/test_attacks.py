"""What once went wrong: plans that gave other numbers, or failed where eager execution does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from portnn import losses, nn, ops, optim, tree, value_and_grad
from portnn.compile import PlanWarning, jit
from portnn.network import Network
from tests.compile.test_jit_table import assert_same_bits

X = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
LABELS = np.random.default_rng(1).integers(0, 3, 40)


def check(f: Any, *calls: tuple[Any, ...]) -> None:
    """A plan gives what the function gives, for each of the arguments in turn."""
    planned = jit(f)
    for args in calls:
        with np.errstate(all="ignore"):
            expected = f(*args)
            actual = planned(*args)
        assert_same_bits(actual, expected)


def test_blocks_do_not_run_over_memory_that_is_still_needed() -> None:
    def f(x: Any) -> Any:
        p = x * 1.5
        a = (p + 1.0) > (p * 2.0)
        d = ops.logical_not(a)
        c1 = p * 3.0
        c2 = c1 - p
        return ops.sum(c1), ops.sum(c2), ops.count_nonzero(a), ops.count_nonzero(d)

    z = np.random.default_rng(0).normal(size=300_000).astype(np.float32)
    check(f, (z,), (z * 2,), (z - 1,))


def test_random_chains_on_long_arrays() -> None:
    rng = np.random.default_rng(5)
    unary = [ops.negative, ops.abs, ops.square, lambda x: x * 1.5, lambda x: 2.0 - x, lambda x: x + 1.0]
    binary = [ops.add, ops.subtract, ops.multiply, ops.maximum, ops.minimum]

    for _ in range(40):
        plan = [(int(rng.integers(0, 9)), *rng.integers(0, 1000, 2)) for _ in range(12)]

        def f(x: Any, plan: Any = plan) -> Any:
            made = [x]
            for kind, i, j in plan:
                a, b = made[-1 - i % min(4, len(made))], made[-1 - j % min(4, len(made))]
                if kind < 4:
                    made.append(unary[i % len(unary)](a))
                elif kind < 8:
                    made.append(binary[j % len(binary)](a, b))
                else:
                    made.append(ops.astype(ops.greater(a, b), "float32") + a)
            return [ops.sum(v) for v in made[-3:]]

        x = rng.normal(size=140_000).astype(np.float32)
        check(f, (x,), (x * 0.5,))


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64"])
def test_positions_in_small_integers(dtype: str) -> None:
    x = np.arange(300, dtype=np.float32)
    places = ([1, 2], [-1, -2], [0, 9])
    check(lambda x, i: ops.take(x, i, axis=0) * 2.0, *((x, np.asarray(i, dtype)) for i in places))


def test_positions_that_exist_in_one_array_need_not_in_another() -> None:
    def f(x: Any, y: Any) -> Any:
        places = ops.argmax(x, axis=1)
        return ops.take(x, places, axis=1) * 2.0, ops.take(y, places, axis=0) * 2.0

    planned = jit(f)
    x, y = np.eye(3), np.ones(2)
    planned(np.eye(3)[:, :2] @ np.ones((2, 3)), y)
    for _ in range(2):
        with pytest.raises(IndexError, match="index 2 is out of bounds"):
            planned(x, y)


def test_views_of_arrays_without_axes() -> None:
    check(lambda x: ops.flip(ops.sum(x) * 2.0) * 3.0, (np.arange(3.0),), (np.arange(3.0) + 1,))


def test_ranges_end_where_a_cast_wraps_around() -> None:
    def squares(p: Any, y: Any) -> Any:
        m = ops.maximum(ops.astype(y, "int8"), 0)
        return ops.mean(ops.square(p - ops.expand_dims(ops.astype(m, "float32"), axis=1)))

    loss = losses.Loss(squares, task=losses.Task.CLASSES, link=ops.softmax)
    nets = [Network([nn.Linear(4, 200)], loss=loss, seed=1) for _ in range(2)]
    y = np.arange(40) * 5
    courses = [net.fit(X, y, epochs=2, compile=c)["loss"] for net, c in zip(nets, (False, True), strict=True)]
    assert courses[0] == courses[1]


def test_sums_that_wrap_around() -> None:
    one, most = np.asarray(1), np.asarray(2**63 - 1)
    check(lambda a, b: (a + b) * 2, (one, one), (most, one))


def test_arrays_without_axes_stay_arrays_for_operators() -> None:
    # NumPy's scalars warn where integers wrap around, and square True to another dtype.
    for x in (np.asarray(100, dtype="int8"), np.asarray(True)):
        for f in (
            lambda x: (x * x, x**2),
            lambda x: ops.reshape(ops.stack([x]), ()) ** 2,
            lambda x: ops.unstack(ops.stack([x]))[0] ** 2,
        ):
            planned = jit(f)
            for _ in range(3):
                with np.errstate(all="raise"):
                    assert_same_bits(planned(x), f(x))


def test_large_numbers_in_where() -> None:
    c, x = np.arange(3000) % 2 == 0, np.ones(3000, dtype=np.float32)
    for number in (2**60, -(2**60), 3, 2.5, 0):
        check(lambda c, x, number=number: ops.where(c, x, number) * 2.0, (c, x), (~c, x))


@pytest.mark.parametrize(("number", "dtype"), [(-1, "uint8"), (300, "uint8"), (-1, "uint32"), (200, "int8")])
def test_integers_without_room_in_where(number: int, dtype: str) -> None:
    for n in (5, 3000):
        c, x = np.arange(n) % 2 == 0, np.ones(n, dtype=dtype)
        check(lambda c, x: ops.where(c, number, x) + 1, (c, x), (~c, x))
        check(lambda c, x: ops.where(c, x, number) + 1, (c, x), (~c, x))


def test_the_first_result_is_the_callers_too() -> None:
    kept = np.arange(3.0)
    planned = jit(lambda x: (x * 2.0, kept, x, x.T))
    x = np.ones((2, 2))
    for _ in range(3):
        _, constant, same, view = planned(x)
        constant[...], same[...], view[...] = 9.0, 9.0, 9.0
    np.testing.assert_array_equal(kept, np.arange(3.0))
    np.testing.assert_array_equal(x, np.ones((2, 2)))


def test_views_that_are_returned_are_the_callers_too() -> None:
    def f(x: Any) -> Any:
        return ops.linalg.diagonal(x), x * 2.0, (x * 2.0)[0]

    planned = jit(f)
    x = np.ones((2, 2))
    for _ in range(3):
        diagonal, whole, row = planned(x)
        assert not np.shares_memory(diagonal, x)
        assert not np.shares_memory(whole, row)
    check(lambda x: ops.sum(ops.linalg.diagonal(x * 2.0)) + ops.linalg.diagonal(x + 1.0), (x,), (x * 3,))


def test_a_jit_within_a_jit_closes_over_what_changes() -> None:
    outer = jit(lambda w: jit(lambda x: x * w)(np.ones(2)))
    for value in (1.0, 5.0, 7.0):
        np.testing.assert_array_equal(outer(np.full(2, value)), np.full(2, value))


def test_a_jit_of_what_is_made_of_a_jit_is_its_own() -> None:
    inner = jit(lambda x: ops.sum(x * x))
    x = np.arange(3.0)
    for _ in range(3):
        value, gradient = jit(value_and_grad(inner))(x)
        assert float(value) == 5.0
        np.testing.assert_array_equal(gradient, 2 * x)
    twice = jit(inner)
    assert twice.function is inner
    assert float(twice(x)) == 5.0
    assert (twice.plans, inner.plans) == (1, 0)


def test_assignment_keeps_the_dtype() -> None:
    def f(x: Any, y: Any) -> Any:
        z = x * 2.0
        z += y
        return z

    check(f, (X, X), (X * 2, X))
    with pytest.raises(TypeError, match=r"must keep shape \(40, 4\) and dtype float32.*write x = x \+ y"):
        jit(f)(X, X.astype(np.float64))


@pytest.mark.parametrize(
    "layer", [lambda x: x.clip(0), lambda x: x / float(x.max()), lambda x: np.asarray(x) * 2.0]
)
def test_layers_that_only_plain_arrays_can_take_predict_again_and_again(layer: Any) -> None:
    net = Network([nn.Linear(4, 3), layer], seed=1)
    first = net.predict_proba(X)
    for _ in range(3):
        np.testing.assert_array_equal(net.predict_proba(X), first)


def test_losses_that_only_plain_arrays_can_take_train_without_a_plan() -> None:
    own = losses.Loss(
        lambda p, y: losses.squared_error(p, y[:, :1].astype("float32") * np.ones(4, "float32")),
        task=losses.Task.VALUES,
    )
    nets = [Network([nn.Linear(4, 4)], loss=own, seed=1) for _ in range(2)]
    nets[0].fit(X, X, epochs=2, compile=False)
    with pytest.warns(PlanWarning, match="no plan"):
        nets[1].fit(X, X, epochs=2)
    assert_same_bits(nets[1].params, nets[0].params)


def test_what_a_callback_changes_in_place_counts() -> None:
    def halve(epoch: Any) -> None:
        for leaf in tree.leaves(epoch.model.params):
            leaf *= np.float32(0.5)

    nets = [Network([nn.Linear(4, 3)], seed=1) for _ in range(2)]
    for net, compile in zip(nets, (False, True), strict=True):
        net.fit(X, LABELS, epochs=4, optimizer=optim.adam(0.01), callbacks=[halve], compile=compile)
    assert_same_bits(nets[1].params, nets[0].params)


def test_predictions_follow_the_loss_and_the_layers() -> None:
    net = Network([nn.Linear(4, 3)], seed=1)
    for _ in range(3):
        net.predict_proba(X)
    net.loss = losses.sigmoid_cross_entropy
    raw = X @ net.params[0]["weight"] + net.params[0]["bias"]
    np.testing.assert_allclose(net.predict_proba(X), 1 / (1 + np.exp(-raw)), rtol=1e-5)
    net.layer = nn.Sequential([nn.Linear(4, 3), nn.relu])
    net.params = (*net.params, {})
    net.state = (*net.state, {})
    np.testing.assert_allclose(net.predict_proba(X), 1 / (1 + np.exp(-np.maximum(raw, 0))), rtol=1e-5)


def test_results_that_happen_to_be_the_same_object() -> None:
    """NumPy's True is one object: what gave it need not have handed on its argument."""

    def f(x: Any) -> Any:
        some, every = ops.any(x), ops.all(x)
        return some == some, ops.logical_or(some, every), ops.count_nonzero(some)

    check(f, (np.asarray([1.0, 0.0]),), (np.zeros(2),), (np.ones(2),))
