"""Predictions that are asked for again: which shapes have plans, how many, and what makes them void."""

from __future__ import annotations

from typing import Any

import array_api_strict
import numpy as np
import pytest

from portnn import ops
from portnn.compile import _predictor
from portnn.compile._predictor import Predictor
from tests.compile.test_jit_table import assert_same_bits

W = np.arange(6.0, dtype=np.float32).reshape(2, 3) / 7


def x_of(*shape: int, dtype: str = "float32") -> Any:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(dtype)


class Counted:
    """A function that counts how often Python runs it, and how often it is traced."""

    def __init__(self) -> None:
        self.plain, self.recorded = 0, 0

    def __call__(self, bound: Any, x: Any) -> Any:
        if type(x) is np.ndarray:
            self.plain += 1
        else:
            self.recorded += 1
        return ops.tanh(x @ bound["w"]) + 1.0

    def counts(self) -> tuple[int, int]:
        return self.plain, self.recorded


def asked(predictor: Predictor, f: Counted, bound: Any, x: Any) -> tuple[int, int]:
    """Ask for a value, which is right, and say what it took: calls of the function, plain and recorded."""
    wanted = ops.tanh(x @ bound["w"]) + 1.0
    before = f.counts()
    assert_same_bits(predictor(bound, x), wanted)
    plain, recorded = f.counts()
    return plain - before[0], recorded - before[1]


ONCE, PLANNED, AGAIN = (1, 0), (0, 1), (0, 0)


def test_the_second_call_makes_a_plan_and_the_third_has_it() -> None:
    f, bound = Counted(), {"w": W}
    predictor = Predictor(f)
    x = x_of(4, 2)
    assert predictor.ready(bound, x) is None
    assert [asked(predictor, f, bound, x + i) for i in range(4)] == [ONCE, PLANNED, AGAIN, AGAIN]
    assert_same_bits(predictor.ready(bound, 2 * x), ops.tanh(2 * x @ W) + 1.0)
    assert [asked(predictor, f, bound, x_of(5, 2)) for _ in range(3)] == [ONCE, PLANNED, AGAIN]
    assert asked(predictor, f, bound, x) == AGAIN
    assert asked(predictor, f, bound, np.asfortranarray(x)) == ONCE  # other strides
    assert asked(predictor, f, bound, x.astype(np.float64)) == ONCE


def test_a_result_is_not_overwritten_by_the_next() -> None:
    f, bound = Counted(), {"w": W}
    predictor = Predictor(f)
    for _ in range(2):
        predictor(bound, x_of(4, 2))
    first = predictor(bound, x_of(4, 2))
    kept = first.copy()
    predictor(bound, 5 * x_of(4, 2))
    predictor.ready(bound, 6 * x_of(4, 2))
    assert_same_bits(first, kept)


def test_what_is_not_ready() -> None:
    f, bound = Counted(), {"w": W}
    predictor = Predictor(f)
    x = x_of(4, 2)
    for _ in range(3):
        predictor(bound, x)
    assert predictor.ready(bound, x) is not None
    for odd in (np.nan, np.inf, -np.inf):
        wrong = x.copy()
        wrong[3, 1] = odd
        assert predictor.ready(bound, wrong) is None
    for other in (x.tolist(), array_api_strict.asarray(x), x.astype(np.float64), x[:3], np.asfortranarray(x)):
        assert predictor.ready(bound, other) is None
    assert predictor.ready({"w": W.copy()}, x) is None  # others than the last call had
    assert predictor.ready(bound, x) is not None


def test_other_arrays_of_the_same_kind_have_the_same_plan() -> None:
    f = Counted()
    predictor = Predictor(f)
    x = x_of(4, 2)
    for _ in range(2):
        asked(predictor, f, {"w": W}, x)
    assert asked(predictor, f, {"w": W + 1}, x) == AGAIN
    assert asked(predictor, f, {"w": W.astype(np.float64)}, x) == ONCE
    assert asked(predictor, f, {"w": W.astype(np.float64)}, x) == PLANNED
    assert asked(predictor, f, {"w": W}, x) == ONCE  # plans of one kind of arrays are kept
    assert asked(predictor, f, {"w": W[:, :2]}, x) == ONCE


def test_the_shapes_asked_for_last_are_kept() -> None:
    f, bound = Counted(), {"w": W}
    predictor = Predictor(f)
    for n in range(1, _predictor._SHAPES + 1):
        assert [asked(predictor, f, bound, x_of(n, 2)) for _ in range(2)] == [ONCE, PLANNED]
    assert asked(predictor, f, bound, x_of(1, 2)) == AGAIN  # now 2 was asked for longest ago
    assert asked(predictor, f, bound, x_of(99, 2)) == ONCE
    assert asked(predictor, f, bound, x_of(1, 2)) == AGAIN
    assert asked(predictor, f, bound, x_of(3, 2)) == AGAIN
    assert asked(predictor, f, bound, x_of(2, 2)) == ONCE


def test_a_plan_that_keeps_too_much_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    f, bound, x = Counted(), {"w": W}, x_of(64, 2)
    predictor = Predictor(f)
    for _ in range(2):
        asked(predictor, f, bound, x)
    size = next(iter(predictor._plans.values())).memory.size  # type: ignore[union-attr]  # none is None
    for limit, wanted in ((size, AGAIN), (size - 1, ONCE)):
        monkeypatch.setattr(_predictor, "_LARGEST", limit)
        predictor = Predictor(f)
        asked(predictor, f, bound, x)
        asked(predictor, f, bound, x)
        assert asked(predictor, f, bound, x) == wanted
        assert (predictor.ready(bound, x) is None) == (wanted == ONCE)


@pytest.mark.parametrize(
    "function",
    [
        lambda bound, x: x,
        lambda bound, x: bound["w"],
        lambda bound, x: np.asarray(x.tolist()),
        lambda bound, x: ops.reshape(x, (-1,)),
        lambda bound, x: x[:1],
        lambda bound, x: x if float(ops.sum(x)) > 1e9 else x + 1.0,
    ],
    ids=["itself", "bound", "lists", "view", "part", "looks"],
)
def test_what_cannot_be_planned_is_right_nevertheless(function: Any) -> None:
    """And is tried once: then again with bound arrays of another kind."""
    calls = []

    def f(bound: Any, x: Any) -> Any:
        calls.append(type(x))
        return function(bound, x)

    predictor, x = Predictor(f), x_of(3, 2)
    for w in (W, W.astype(np.float64)):
        for _ in range(4):
            try:
                found = predictor({"w": w}, x)
            except TypeError:  # a look at a value, which no one may have while a plan is written
                break
            assert_same_bits(found, function({"w": w}, x))
            assert predictor.ready({"w": w}, x) is None
        recorded = [kind for kind in calls if kind is not np.ndarray]
        assert len(recorded) == 1
        calls.clear()


def test_arrays_of_other_libraries() -> None:
    xp = array_api_strict
    predictor = Predictor(lambda bound, x: ops.tanh(x @ bound["w"]))
    w, x = xp.asarray(W), xp.asarray(x_of(4, 2))
    for _ in range(3):
        found = predictor({"w": w}, x)
        np.testing.assert_array_equal(np.asarray(found), np.asarray(xp.tanh(x @ w)))
        assert predictor.ready({"w": w}, x) is None


def test_many_shapes_are_no_reason_to_warn(recwarn: pytest.WarningsRecorder) -> None:
    """The caller of `predict` cannot help it that batch sizes differ."""
    xp = array_api_strict
    predictor = Predictor(lambda bound, x: x @ bound["w"])
    for n in range(1, 20):
        for _ in range(2):
            predictor({"w": xp.asarray(W)}, xp.asarray(x_of(n, 2)))
    assert not recwarn.list


def test_plans_together_keep_no_more_than_two_large_ones_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan for each of sixteen batch sizes held up to 64 MB each."""
    f, bound = Counted(), {"w": W}
    predictor = Predictor(f)
    asked(predictor, f, bound, x_of(40, 2)), asked(predictor, f, bound, x_of(40, 2))
    [plan] = predictor._plans.values()
    monkeypatch.setattr(_predictor, "_TOGETHER", 3 * plan.memory.size)
    for n in (30, 20, 35, 38):
        assert [asked(predictor, f, bound, x_of(n, 2)) for _ in range(2)] == [ONCE, PLANNED]
    kept = [plan.memory.size for plan in predictor._plans.values() if plan is not None]
    assert sum(kept) <= _predictor._TOGETHER
    assert asked(predictor, f, bound, x_of(38, 2)) == AGAIN  # the last one
    assert asked(predictor, f, bound, x_of(40, 2)) == ONCE  # used longest ago
