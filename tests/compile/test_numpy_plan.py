"""Inside a plan for NumPy: memory is reused, parameters lie end to end, nothing is allocated on the way."""

from __future__ import annotations

import re
import tracemalloc
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from portnn import losses, nn, ops, optim, tree
from portnn.autodiff import value_and_grad
from portnn.compile import jit, make_loop
from portnn.compile._errors import PlanError
from portnn.compile._numpy import NumpyPlan
from portnn.compile._numpy._memory import Arena
from portnn.compile._threads import blas_threads, threads_allowed, threads_for
from portnn.optim import apply_updates
from portnn.program import record, simplify
from portnn.random import stream
from portnn.tracing import values_in
from tests.compile.test_jit_table import assert_same_bits

RNG = np.random.default_rng(0)
X = RNG.normal(size=(100, 12)).astype(np.float32)
Y = RNG.integers(0, 5, 100)


def plan_of(f: Any, *args: Any) -> NumpyPlan:
    program = simplify(record(f, args)[0])
    return NumpyPlan(program.calls, program.inputs, values_in(tree.leaves(program.result)))


def training(layers: Any, optimizer: optim.Optimizer) -> tuple[Any, Any]:
    layer = nn.Sequential(layers)
    params = layer.init(stream(0))

    def step(carry: Any, x: Any, y: Any) -> Any:
        params, moments = carry
        loss, grads = value_and_grad(lambda p: losses.softmax_cross_entropy(layer.apply(p, x), y))(params)
        updates, moments = optimizer.update(grads, moments, params)
        return (apply_updates(params, updates), moments), loss

    return step, (params, optimizer.init(params))


def lines_of(text: str, pattern: str) -> list[str]:
    return [line for line in text.splitlines() if re.search(pattern, line)]


def test_a_chain_needs_one_buffer() -> None:
    """Each exact step overwrites the one before; `exp` is not exact, so it writes elsewhere."""
    x = np.zeros((64, 16), dtype=np.float32)
    assert plan_of(lambda x: -((x + 1.0) * 2.0 - 3.0) + 0.0, x).memory.size == x.nbytes
    assert plan_of(lambda x: ops.exp(ops.exp(ops.exp(x))) + 0.0, x).memory.size == 2 * x.nbytes


def test_buffers_are_not_shared_while_they_are_needed() -> None:
    def f(x: Any) -> Any:
        a, b = x + 1.0, x * 2.0
        c = ops.exp(a.T)
        d = b - 1.0
        return a + b, c @ d, ops.sum(a[1:, :] * b[:-1, :], axis=0), d

    planned = jit(f)
    for _ in range(3):
        assert_same_bits(planned(X), f(X))


def test_a_plan_allocates_only_what_it_returns() -> None:
    width = 4096
    step, carry = training([nn.Linear(12, width), nn.relu, nn.Linear(width, 5)], optim.sgd(0.1, momentum=0.9))
    loop = make_loop(step, carry, (X, Y), 50)
    order = np.arange(100)
    loop.run(order, 0, 2)
    tracemalloc.start()
    try:
        loop.run(order, 0, 2)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        loop.run(order, 0, 2)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert peak < 50 * width  # an eighth of an activation: NumPy's own buffers for conversions, and numbers


@pytest.mark.parametrize("depth", [2, 10])
def test_the_optimizer_is_a_few_calls_however_many_layers_there_are(depth: int) -> None:
    layers = [nn.Linear(12, 12), nn.relu] * depth + [nn.Linear(12, 5)]
    step, carry = training(layers, optim.sgd(0.1, momentum=0.9))
    loop = make_loop(step, carry, (X, Y), None, shuffled=False)
    program = simplify(record(lambda c, x, y: step(c, x, y), (carry, X, Y))[0])
    optimizer = sum(call.result.shape in ((12, 12), (12,), (12, 5), (5,)) for call in program.calls
                    if call.name in ("add", "multiply") and len(call.inputs()) <= 2)  # fmt: skip
    assert optimizer >= 4 * 2 * depth  # momentum * sum, + gradient, * -rate, + parameters; for each leaf
    calls = loop._plans[100, False].calls
    parameters = sum(p.size for p in tree.leaves(carry[0]))
    flat = [call.name for call in calls if call.result.shape == (parameters,)]
    assert flat == ["multiply", "add", "multiply", "add"]
    eager = carry
    for _ in range(5):
        eager, _loss = step(eager, X, Y)
    loop.run(None, 0, 1)
    for _ in range(4):
        loop.run(None, 0, 1)
    assert_same_bits(loop.carry(), tree.map(np.asarray, eager))


def test_leaves_that_depend_on_each_other_are_not_joined() -> None:
    """The second parameter is moved by what the first has become: their sums cannot be one call."""

    def step(carry: Any, x: Any) -> Any:
        ((a, b),) = carry
        new = a + ops.mean(x, axis=0)
        return ((new, b + new),), ops.sum(b)

    loop = make_loop(step, ((np.zeros(12, np.float32), np.ones(12, np.float32)),), (X,), None, shuffled=False)
    eager: Any = ((np.zeros(12, np.float32), np.ones(12, np.float32)),)
    for _ in range(4):
        eager, _ = step(eager, X)
        loop.run(None, 0, 1)
    assert_same_bits(loop.carry(), eager)


def test_values_that_change_places() -> None:
    def step(carry: Any, x: Any) -> Any:
        ((a, b, c),) = carry
        return ((b, a, c[::-1] + 0.0 * ops.sum(x)),), ops.sum(a)

    start: Any = (tuple(np.arange(3, dtype=np.float32) + i for i in range(3)),)
    loop, eager = make_loop(step, start, (X,), None, shuffled=False), start
    for _ in range(3):
        eager, _ = step(eager, X)
        loop.run(None, 0, 1)
        assert_same_bits(loop.carry(), eager)


def test_save_restore_and_write() -> None:
    step, carry = training([nn.Linear(12, 5)], optim.adam(0.01))
    loop = make_loop(step, carry, (X, Y), 30)
    order = RNG.permutation(100)
    first = loop.run(order, 0, 4)
    saved, then = loop.save(), loop.carry()
    after = loop.run(order, 0, 4)
    assert len(first) == len(after) == 4
    loop.restore(saved)
    assert_same_bits(loop.carry(), then)
    np.testing.assert_array_equal(loop.run(order, 0, 4), after)
    loop.write(carry)
    np.testing.assert_array_equal(loop.run(order, 0, 4), first)


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (lambda carry, x: carry, r"return \(carry, loss\)"),
        (lambda carry, x: ((carry[0], carry[0]), ops.sum(x)), "a tree like the one"),
        (lambda carry, x: ((ops.astype(carry[0], "float64"),), ops.sum(x)), "shapes and dtypes"),
        (lambda carry, x: ((carry[0][:1],), ops.sum(x)), "shapes and dtypes"),
    ],
)
def test_steps_that_cannot_be_loops(step: Any, text: str) -> None:
    with pytest.raises(PlanError, match=text):
        make_loop(step, (np.zeros(3, dtype=np.float32),), (X,), None)


def test_an_arena_gives_pieces_that_do_not_overlap() -> None:
    arena, held = Arena(), {}
    for i in range(2000):
        if held and RNG.random() < 0.5:
            key = int(RNG.choice([*held]))
            arena.give(*held.pop(key))
        else:
            size = int(RNG.integers(1, 5000))
            held[i] = arena.take(size), size
        spans = sorted(held.values())
        assert all(a + n <= b for (a, n), (b, _) in pairwise(spans))
        assert all(a % 64 == 0 and a + n <= arena.size for a, n in spans)
    for piece in held.values():
        arena.give(*piece)
    size = arena.size
    assert arena.take(size) == 0
    assert arena.size == size


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "uint8", "int64"])
@pytest.mark.parametrize("n", [7, 5000])
def test_selection_moves_bits(dtype: str, n: int) -> None:
    """NaN with a payload, infinities and minus zero come through `where` unchanged."""
    rng = np.random.default_rng(n)
    bits = np.dtype(dtype).itemsize
    a, b = (rng.integers(0, 256, n * bits, dtype=np.uint8).view(dtype) for _ in range(2))
    c = rng.random(n) < 0.5
    zero = 0.0 if dtype.startswith("float") else 0

    def f(c: Any, a: Any, b: Any) -> Any:
        return [ops.where(c, a, b)[...], ops.where(c, a, zero)[...], ops.where(c, zero, b)[...]] + (
            [ops.where(c, a, -0.0)[...]] if dtype.startswith("float") else []
        )

    planned = jit(lambda c, a, b: [x[::1] for x in f(c, a, b)])
    for _ in range(2):
        assert_same_bits(planned(c, a, b), f(c, a, b))


def test_threads_are_decided_by_the_large_products_and_given_back() -> None:
    from threadpoolctl import threadpool_info

    def now() -> list[int]:
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    assert threads_for([], 4) == 1
    assert threads_for([10**9, 10**9, 10**5], 4) == 4
    assert threads_for([10**6] * 50, 4) == 1
    before = now()
    with blas_threads(1):
        assert set(now()) == {1}
        assert threads_allowed() == 1
    assert now() == before
    assert threads_allowed() == max(before)
