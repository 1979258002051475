"""`jit`: signatures, the cache, what is said when it cannot help, and what it never does."""

from __future__ import annotations

import gc
import pickle
import tracemalloc
from collections import OrderedDict
from copy import copy, deepcopy
from threading import Thread
from typing import Any

import numpy as np
import pytest

from portnn import ops
from portnn.autodiff import grad, value_and_grad
from portnn.compile import jit
from portnn.tracing import ControlFlowError
from tests.backends import BackendUnderTest
from tests.helpers import assert_close

X = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_what_it_returns_is_the_callers() -> None:
    planned = jit(lambda x: (x, x, x * 1.0, ops.ones_like(x), x.T, -x))
    x = X.copy()
    planned(x)
    results = [planned(x), planned(x)]
    for result in results[0][:4]:
        result[...] = 99.0
    np.testing.assert_array_equal(x, X)
    assert not np.shares_memory(results[0][0], results[0][1])
    expected = (X, X, X, np.ones_like(X), X.T, -X)
    for actual, wanted in zip(planned(x), expected, strict=True):
        np.testing.assert_array_equal(actual, wanted)
    for actual, wanted in zip(results[1], expected, strict=True):
        np.testing.assert_array_equal(actual, wanted)


def test_results_of_one_call_outlive_the_next() -> None:
    planned = jit(lambda x: [ops.exp(x) + 1.0, ops.sum(x), x[0, 1:], ops.sort(x, axis=1)])
    kept = planned(X), planned(X), planned(X + 1.0)
    again = planned(X)
    for a, b in zip(kept[1], again, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(kept[2][0], np.exp(X + 1.0) + 1.0)


def test_the_callers_arrays_are_not_changed() -> None:
    held = X.copy()
    held.flags.writeable = False
    planned = jit(value_and_grad(lambda w: ops.sum(ops.square(w * 2.0))))
    for _ in range(3):
        _, gradient = planned(held)
    np.testing.assert_array_equal(gradient, X * 8.0)
    np.testing.assert_array_equal(held, X)
    assert gradient.flags.writeable


def test_jit_within_jit_and_within_grad() -> None:
    inner = jit(lambda x: ops.sum(x * x * x))
    np.testing.assert_array_equal(grad(inner)(X), 3.0 * X * X)
    outer = jit(lambda x: inner(x) + inner(x * 2.0))
    for _ in range(2):
        assert float(outer(X)) == float(inner(X) + inner(X * 2.0))
    np.testing.assert_array_equal(jit(grad(lambda x: grad(inner)(x)[0, 1]))(X)[0], [0.0, 6.0, 0.0])


def test_closed_over_arrays_are_constants() -> None:
    w = X.copy()
    planned = jit(lambda x: x + w)
    planned(X)
    np.testing.assert_array_equal(planned(X), X + w)


def test_a_tracer_that_is_closed_over_is_an_error() -> None:
    def f(w: Any) -> Any:
        return jit(lambda x: ops.sum(ops.multiply(x, w)))(X)

    with pytest.raises(TypeError, match="as an argument"):
        grad(f)(X)


@pytest.mark.parametrize(
    ("f", "text"),
    [
        (lambda x: x if x[0, 0] > 0 else -x, r"where\(condition"),
        (lambda x: x * float(ops.sum(x)), "float"),
        (lambda x: x[x > 0], r"where\(mask"),
        (lambda x: [x] * int(x[0, 0]), "int"),
    ],
)
def test_control_flow_on_values(f: Any, text: str) -> None:
    planned = jit(f)
    for _ in range(2):
        with pytest.raises(ControlFlowError, match=text) as error:
            planned(X)
        assert len(str(error.value)) < 300


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: jit(3), TypeError, r"expected a function, got int; write jit\(f\)"),
        (lambda: jit(abs, cache_size=0), ValueError, "at least 1, got 0"),
        (lambda: jit(abs, cache_size=True), TypeError, "must be an integer, got bool"),
        (lambda: jit(lambda x, s: x)(X, {1, 2}), TypeError, r"argument 0\.1 is of type set"),
    ],
)
def test_bad_input(call: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text) as error:
        call()
    assert len(str(error.value)) < 300


def test_positions_that_do_not_exist_are_still_an_error() -> None:
    planned = jit(lambda x, i: ops.take(x, i, axis=1) * 1.5)
    for places in ([0, 2, 1], [-1, -3, 0], [2, 2, 2]):
        i = np.asarray(places)
        np.testing.assert_array_equal(planned(X, i), X[:, i] * 1.5)
    for places in ([0, 3, 1], [0, -4, 1]):
        with pytest.raises(IndexError, match="out of bounds"):
            planned(X, np.asarray(places))


def test_threads_do_not_meet_in_a_plans_memory() -> None:
    planned = jit(lambda x: ops.sum(ops.exp(x @ x) - 1.0, axis=0))
    inputs = [np.random.default_rng(i).normal(size=(40, 40)).astype(np.float32) / 40 for i in range(4)]
    expected = [planned.function(x) for x in inputs]
    planned(inputs[0])
    wrong: list[int] = []

    def work(i: int) -> None:
        wrong.extend(i for _ in range(200) if not np.array_equal(planned(inputs[i]), expected[i]))

    threads = [Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_memory_does_not_grow() -> None:
    w = {"w": np.random.default_rng(0).normal(size=(8, 8))}
    step = jit(value_and_grad(lambda w, x: ops.mean(ops.square(ops.tanh(x @ w["w"])))))
    x = np.random.default_rng(1).normal(size=(16, 8))
    for _ in range(3):
        step(w, x)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(10_000):
            step(w, x)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 20_000


def test_explain() -> None:
    planned = jit(lambda x: ops.sum(x * 2.0))
    text = planned.explain(X)
    assert text.startswith("NumPy plan of <lambda>: 2 calls, 64 bytes")
    assert "plan(v0):\n    multiply(v0, 2.0, a0)  # multiply" in text
    assert planned.plans == 1
    assert "no array" in planned.explain(3)


def test_functions_keep_their_names() -> None:
    def energy(x: Any) -> Any:
        """Squared."""
        return ops.sum(ops.square(x))

    planned = jit(energy)
    assert (planned.__name__, planned.__doc__) == ("energy", "Squared.")
    assert "energy" in repr(planned)


def test_every_backend(backend: BackendUnderTest) -> None:
    def loss(params: Any, x: Any) -> Any:
        return ops.mean(ops.square(ops.tanh(ops.matmul(x, params["w"])) - 0.5))

    host = {"w": np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32)}
    planned = jit(value_and_grad(loss))
    for seed in (1, 2):
        x = np.random.default_rng(seed).normal(size=(4, 3)).astype(np.float32)
        value, gradient = planned({"w": backend.asarray(host["w"])}, backend.asarray(x))
        expected, wanted = value_and_grad(loss)(host, x)
        assert_close(value, np.asarray(expected), rtol=1e-5, backend=backend)
        assert_close(gradient["w"], wanted["w"], rtol=1e-5, atol=1e-6, backend=backend)
    assert planned.plans == 1


def test_precision_is_for_gpus() -> None:
    with pytest.raises(ValueError, match="'tf32' is for products on a GPU through CuPy, not for numpy"):
        jit(lambda x: x @ x.T, precision="tf32")(X)
    with pytest.raises(ValueError, match="must be one of float32, tf32, bfloat16, got 'half'"):
        jit(lambda x: x @ x.T, precision="half")(X)


def test_another_thread_drops_the_plan_that_is_looked_for() -> None:
    planned = jit(lambda x: x * 2.0, cache_size=1)
    planned(X)
    others: list[Thread] = []

    class Slow(OrderedDict[Any, Any]):
        """A cache in which another thread stores a plan during a lookup."""

        def get(self, key: Any, default: Any = None) -> Any:
            found = super().get(key, default)
            if not others:
                others.append(Thread(target=planned, args=(X[:1],)))
                others[0].start()
                others[0].join(0.2)
            return found

    planned._plans = Slow(planned._plans)
    np.testing.assert_array_equal(planned(X), X * 2.0)
    others[0].join()
    assert planned.plans == 1


@pytest.mark.parametrize("duplicate", [copy, deepcopy, lambda planned: pickle.loads(pickle.dumps(planned))])
def test_copies_make_plans_of_their_own(duplicate: Any) -> None:
    planned = jit(ops.exp, cache_size=3)
    planned(X)
    twin = duplicate(planned)
    assert (twin.plans, planned.plans, repr(twin)) == (0, 1, repr(planned).replace("1 plan", "0 plans"))
    for x in (X, X[:1], X[0], X[0, 0], X[1:]):
        np.testing.assert_array_equal(twin(x), ops.exp(x))
    assert (twin.plans, planned.plans) == (3, 1)
