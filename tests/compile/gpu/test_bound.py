"""Loops on a GPU that are bound anew: the graphs stay, the samples and the values change."""

import gc
import weakref

import numpy as np
import pytest

from portnn import ops, optim, tree
from portnn.compile import PlanWarning, forget_loops, kept_loop
from portnn.compile import _kept as kept
from portnn.compile._cupy import CupyLoop
from portnn.compile._cupy._loop import _STEPS
from portnn.tracing import OutOfRangeError
from tests.compile.gpu.helpers import digits, exact_step, needs_compiler, net_step, same
from tests.compile.gpu.standin import StandIn
from tests.compile.gpu.test_loop import eager, exact_data, streamed

N = 4 * (_STEPS + 3) + 3
TOTAL = -(-N // 4)
ORDER = np.random.default_rng(0).permutation(N)


def other(seed):
    x, y = exact_data(N)
    return np.roll(x, seed, axis=0), y + np.float32(seed)


def other_carry(seed):
    params, gradient, count = exact_step()[1]
    return [p + np.float32(seed) for p in params], gradient, np.asarray(count + seed, dtype="int32")


@needs_compiler
def test_graphs_serve_other_samples_and_values():
    step, carry = exact_step()
    driver = StandIn()
    loop = CupyLoop(step, carry, exact_data(N), 4, driver=driver)
    loop.run(ORDER, 0, TOTAL)
    captures = driver.captures
    for seed in (1, 2):
        loop.unbind()
        carry, data = other_carry(seed), other(seed)
        loop.bind(carry, data)
        got = loop.run(ORDER, 0, TOTAL)
        carry, losses = eager(step, carry, data, 4, ORDER, 0, TOTAL)
        np.testing.assert_array_equal(got, losses)
        assert same(loop.carry(), carry)
    assert driver.captures == captures


@needs_compiler
def test_samples_that_lie_askew_are_copied():
    def step(carry, x):
        return carry + ops.sum(x), ops.sum(x)

    wide = np.arange(4 * N + 1, dtype="float32").view("uint8")
    data = np.arange(4 * N, dtype="float32").reshape(N, 4)
    askew = wide[1 : 16 * N + 1].view("float32").reshape(N, 4)
    askew[...] = data[::-1]
    driver = StandIn()
    loop = CupyLoop(step, np.zeros((), "float32"), [data], 4, driver=driver)
    loop.run(None, 0, TOTAL)
    loop.bind(np.zeros((), "float32"), [askew])
    got = loop.run(None, 0, TOTAL)
    assert all(
        driver.address(x) % u == 0 for x, u in zip(loop._sources[0].data, loop._plans[4].units, strict=True)
    )
    np.testing.assert_array_equal(got, eager(step, np.zeros((), "float32"), [askew], 4, None, 0, TOTAL)[1])


@needs_compiler
def test_an_unbound_loop_holds_no_samples():
    step, carry = exact_step()
    data = [np.array(x) for x in exact_data(N)]
    loop = CupyLoop(step, carry, data, 4, driver=StandIn())
    loop.run(ORDER, 0, TOTAL)
    held = [weakref.ref(x) for x in data]
    size = loop.nbytes()
    loop.unbind()
    del data
    gc.collect()
    assert [ref() for ref in held] == [None, None]
    assert loop.nbytes() == size > 8 * N


@needs_compiler
def test_a_loop_that_nobody_holds_is_gone_at_once():
    """Without waiting for the garbage collector: the next training may need its memory."""
    step, carry = exact_step()
    data = [np.array(x) for x in exact_data(N)]
    loop = CupyLoop(step, carry, data, 4, driver=StandIn())
    loop.run(ORDER, 0, TOTAL)
    held = [weakref.ref(x) for x in (loop, *data)]
    gc.disable()
    try:
        del loop, data
        assert [ref() for ref in held] == [None] * 3
    finally:
        gc.enable()


@needs_compiler
def test_other_streamed_samples():
    driver = StandIn()
    step, carry, _, loop = streamed(4 * _STEPS * 3, 4, driver, 2000)
    loop.run(None, 0, 3 * _STEPS)
    loop.unbind()
    data = [x[::-1].copy() for x in exact_data(4 * _STEPS * 3)]
    driver.host |= {id(x) for x in data}
    loop.bind(carry, data)
    np.testing.assert_array_equal(
        loop.run(None, 0, 3 * _STEPS), eager(step, carry, data, 4, None, 0, 3 * _STEPS)[1]
    )
    assert loop.nbytes() > 2 * loop._staging.rows * 18


@needs_compiler
def test_samples_that_fit_no_more():
    driver = StandIn()
    step, carry = exact_step()
    data = exact_data(N)
    driver.host |= {id(x) for x in data}
    loop = CupyLoop(step, carry, data, 4, driver=driver)
    driver.free = 100
    with pytest.raises(MemoryError, match="make a new loop"):
        loop.bind(carry, data)


@needs_compiler
def test_labels_are_checked_again():
    step, carry = net_step(optim.sgd(0.1))
    x, y = digits(40)
    loop = CupyLoop(step, carry, (x, y), 8, driver=StandIn())
    with pytest.raises(OutOfRangeError, match="must be from 0 to 9, got 10 at position 3"):
        loop.bind(carry, (x, np.where(np.arange(40) == 3, 10, y)))


@needs_compiler
def test_the_warning_comes_again():
    def step(carry, x):
        return carry + ops.sum(ops.prod(x)), ops.sum(x)

    driver = StandIn()
    loop = CupyLoop(step, np.zeros((), "float32"), [np.ones((N, 4), "float32")], 4, driver=driver)
    driver.fail = "kernel"
    with pytest.warns(PlanWarning, match="without a CUDA graph"):
        loop.run(None, 0, TOTAL)
    with pytest.warns(PlanWarning, match="without a CUDA graph"):
        loop.bind(np.zeros((), "float32"), [np.ones((N, 4), "float32")])


@pytest.fixture
def emptied():
    forget_loops()
    yield
    forget_loops()


def test_kept_on_the_device(gpu, emptied):
    """Twice with other samples: the graphs are the same, the bits are those of new ones."""
    step, carry = net_step(optim.adam(1e-3))
    found, loops = {}, []
    for key in ("net", None):
        for seed in (1, 2):
            start, data = (tree.map(gpu.backend.asarray, t) for t in (carry, digits(8 * 23 + 5, seed)))
            order = np.random.default_rng(seed).permutation(8 * 23 + 5)
            with kept_loop(key, step, start, data, 8) as loop:
                losses = [loop.run(order, 0, 24) for _ in range(2)]
                found[key, seed] = losses, tree.map(gpu.to_numpy, loop.carry())
                loops.append((loop, dict(loop._graphs)))
    for seed in (1, 2):
        np.testing.assert_array_equal(found["net", seed][0], found[None, seed][0])
        assert same(found["net", seed][1], found[None, seed][1])
    (first, graphs), (second, again), *_ = loops
    assert first is second
    assert graphs == again != {}
    assert first.place.startswith("cuda:")
    assert 0 < kept._loops.nbytes(first.place) <= first.room


def test_the_device_gives_the_samples_back(gpu, emptied):
    step, carry = net_step(optim.sgd(0.1))
    start, data = (tree.map(gpu.backend.asarray, t) for t in (carry, digits(800)))
    with kept_loop("net", step, start, data, 8) as loop:
        loop.run(np.arange(800), 0, 100)
    held = [weakref.ref(x) for x in data]
    del data
    gc.collect()
    assert [ref() for ref in held] == [None, None]
