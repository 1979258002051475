"""Capture: the order in which the driver is asked, what happens when it breaks, and plans of functions."""

import gc
from itertools import permutations

import numpy as np
import pytest
from array_api_compat import array_namespace

from portnn import optim, tree
from portnn.compile import PlanWarning
from portnn.compile._cupy._graph import CaptureError, capture
from portnn.compile._cupy._single import packed
from tests.compile.gpu.helpers import digits, exact_step, needs_compiler, net_step, plan_of, same
from tests.compile.gpu.standin import StandIn

X = np.arange(12, dtype="float32").reshape(3, 4)


def works(words):
    """The words of a log that stand for work on the device."""
    return [w for w in words if w in ("kernel", "product", "copy") or w.startswith("call")]


@needs_compiler
def test_pool_stream_warm_up_capture_upload_launch():
    plan, driver = plan_of(lambda x: (array_namespace(x).sum(x * 2.0), x @ x.T), X)
    plan(X)
    log = driver.log
    marks = [w for w in log if w in ("stream", "pool", "synchronize", "begin", "end", "upload", "launch")]
    assert marks == ["stream", "stream", "pool", "synchronize", "begin", "end", "upload", "launch"]
    begin, end, launch = (log.index(w) for w in ("begin", "end", "launch"))
    once = works(log[begin:end])
    assert (
        once == ["product", "kernel", "call sum"]
        or once == ["kernel", "product", "call sum"]
        or len(once) == 3
    )
    assert (
        works(log[log.index("pool") : begin]) == once * 2
    )  # twice for real, to compile and to fill the pool
    assert works(log[end:launch]) == []


@needs_compiler
def test_two_launches_of_copies_and_that_of_the_graph_after_the_first_call():
    plan, driver = plan_of(lambda x, y: x * y + 1.0, X, X)
    plan(X, X)
    driver.log.clear()
    got = plan(X, X + 1.0)
    assert driver.log == ["stream", "kernel", "launch", "copy"]
    assert same(got, X * (X + 1.0) + 1.0)


@needs_compiler
def test_results_are_the_callers_and_stay_as_they_are():
    plan, _ = plan_of(lambda x: (x * 2.0, x, x.T), X)
    first = plan(X)
    plan(X + 1.0)
    assert same(first, (X * 2.0, X, X.T))


@needs_compiler
def test_python_numbers_and_constants_among_the_results():
    constant = np.ones(2, "float32")
    plan, _ = plan_of(lambda x: {"a": x + 1.0, "b": 3, "c": constant * 2.0}, X)
    got = plan(X)
    assert got["b"] == 3
    assert same((got["a"], got["c"]), (X + 1.0, constant * 2.0))


def test_other_shapes_are_refused():
    plan, _ = plan_of(lambda x: array_namespace(x).sum(x), X)
    with pytest.raises(ValueError, match=r"a plan was made for 0 of shape \(3, 4\)"):
        plan(X.T)
    with pytest.raises(ValueError, match="and dtype float32"):
        plan(X.astype("float64"))


@needs_compiler
def test_other_layouts_are_laid_out_anew():
    plan, _ = plan_of(lambda x: x * 2.0, X)
    assert same(plan(np.asfortranarray(X)), X * 2.0)


GAPS = {
    "a column": lambda x: x[:, :1],
    "every second row": lambda x: x[::2],
    "some columns": lambda x: x[:, 1:3],
    "backwards": lambda x: x[::-1, ::-1],
    "broadcast": lambda x: np.broadcast_to(x[:1], (3, 4)),
}


@needs_compiler
@pytest.mark.parametrize("precision", ["float32", "tf32"])
@pytest.mark.parametrize("gap", GAPS)
def test_arrays_with_gaps_are_packed_before_a_plan_is_made(gap, precision):
    x = GAPS[gap](np.arange(12, dtype="float32").reshape(3, 4))
    close = packed(x)
    assert same(close, x)
    assert close.strides == np.ascontiguousarray(x).strides
    plan, _ = plan_of(lambda x: (x * 2.0, x @ x.T), close, precision=precision)
    for again in (x, x + 1.0, x):
        assert same(plan(again), (again * 2.0, again @ again.T))
    with pytest.raises(ValueError, match="has gaps between its elements"):
        plan_of(lambda x: x * 2.0, x)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_arrays_without_gaps_stay_as_they_are(order):
    x = np.arange(24.0).reshape(2, 3, 4).transpose(order)
    assert packed(x) is x
    for alone in (np.ones(()), np.ones((1, 3))[:, ::-1][:, :1], np.ones((0, 5))[:, ::2]):
        assert packed(alone) is alone


@needs_compiler
@pytest.mark.parametrize("word", ["kernel", "product", "call sum"])
def test_a_capture_that_breaks_falls_back_and_says_so(word):
    def f(x):
        return array_namespace(x).sum((x * 2.0) @ x.T)

    plan, driver = plan_of(f, X)
    driver.fail = word
    with pytest.warns(PlanWarning, match=f"without a CUDA graph, slower: Broken: {word} is not permitted"):
        got = plan(X)
    assert driver.log.count("begin") == driver.log.count("end") == 1
    assert driver.graph is None
    assert same(got, f(X))
    assert f"runs call by call: Broken: {word} is not permitted" in plan.explain()
    assert same(plan(X), f(X))  # without another attempt
    assert driver.log.count("begin") == 1


@needs_compiler
def test_an_end_that_breaks_falls_back_too():
    plan, driver = plan_of(lambda x: x * 2.0, X)
    driver.fail = "end"
    with pytest.warns(PlanWarning, match="CUDA gave the capture up: the capture was broken"):
        assert same(plan(X), X * 2.0)


@needs_compiler
def test_what_cannot_be_captured_is_said_before_it_is_tried():
    with pytest.warns(PlanWarning, match="linalg.inv: not known to only start kernels"):
        plan, driver = plan_of(lambda x: array_namespace(x).linalg.inv(x[:2, :2]), X)
    assert same(plan(X), np.linalg.inv(X[:2, :2]))
    assert "begin" not in driver.log


def test_mistakes_in_the_work_are_not_hidden_and_end_the_capture():
    driver, turns = StandIn(), []

    def work():
        turns.append(None)
        if len(turns) == 3:
            raise KeyError("a mistake")

    with driver.working(), pytest.raises(KeyError, match="a mistake"):
        capture(driver, work)
    assert driver.graph is None
    assert gc.isenabled()


def test_an_interrupt_between_the_work_and_its_end_ends_the_capture():
    driver, end, asked = StandIn(), StandIn.end_capture, []

    def interrupted():
        asked.append(None)
        if len(asked) == 1:
            raise KeyboardInterrupt
        return end(driver)

    driver.end_capture = interrupted
    with driver.working(), pytest.raises(KeyboardInterrupt):
        capture(driver, lambda: None)
    assert driver.graph is None


def test_no_garbage_is_collected_during_a_capture():
    driver, seen = StandIn(), []
    with driver.working():
        capture(driver, lambda: seen.append(gc.isenabled()))
    assert seen == [True, True, False]
    assert gc.isenabled()


def test_memory_that_runs_out_during_a_capture_is_a_capture_error():
    driver, turns = StandIn(), []

    def work():
        turns.append(None)
        if len(turns) == 3:
            raise MemoryError("out of memory")

    with driver.working(), pytest.raises(CaptureError, match="MemoryError: out of memory"):
        capture(driver, work)


@needs_compiler
@pytest.mark.parametrize(
    "optimizer", [optim.sgd(0.1), optim.adam(1e-2), optim.sgd(lambda s: 0.1 / (s + 1.0), momentum=0.9)]
)
def test_a_step_of_training(optimizer):
    """exp and the products may differ in the last bit on the host; nothing else does."""
    step, carry = net_step(optimizer)
    x, y = digits(64)
    plan, _ = plan_of(step, carry, x, y)
    got, want = plan(*tree.leaves((carry, x, y))), step(carry, x, y)
    for a, b in zip(tree.leaves(got), tree.leaves(want), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@needs_compiler
def test_an_exact_step_of_training_bit_for_bit():
    step, carry = exact_step()
    rng = np.random.default_rng(0)
    x, y = rng.integers(-2, 3, (5, 6)).astype("int8"), rng.integers(-2, 3, (5, 3)).astype("float32")
    plan, _ = plan_of(step, carry, x, y)
    for _ in range(3):
        got, want = plan(*tree.leaves((carry, x, y))), step(carry, x, y)
        assert same(got, tuple(want))
        carry = got[0]


@needs_compiler
def test_bfloat16_factors_are_cast_once_for_all_products():
    x = np.random.default_rng(0).normal(size=(8, 8)).astype("float32")

    def f(x, y):
        return x @ y, y @ x, x.T @ y

    plan, driver = plan_of(f, x, x * 2.0, precision="bfloat16")
    with driver.working():
        driver.log.clear()
        got = plan._execution.run([x, x * 2.0])
    assert driver.log.count("product") == 3
    assert driver.log.count("kernel") == 2
    for a, b in zip(got, f(x, x * 2.0), strict=True):
        assert 1e-4 < np.abs(a - b).max() / np.abs(b).max() < 1e-2
    assert plan._execution._narrowed == {}


@needs_compiler
def test_factors_that_a_broken_capture_had_cast_are_not_used():
    w = np.random.default_rng(0).normal(size=(4, 4)).astype("float32")

    def f(x, w):
        return (x + array_namespace(x).sum(x @ w)) @ w

    whole, _ = plan_of(f, X, w, precision="bfloat16")
    plan, driver = plan_of(f, X, w, precision="bfloat16")
    driver.fail = "call sum"
    with pytest.warns(PlanWarning, match="call sum is not permitted"):
        assert same(plan(X, w), whole(X, w))
