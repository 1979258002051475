"""Training loops on the stand-in: order, remainder, carry, snapshots, streaming, races."""

import numpy as np
import pytest
from array_api_compat import array_namespace

from portnn import nn, ops, optim, tree
from portnn.compile import PlanWarning
from portnn.compile._cupy import CupyLoop
from portnn.compile._cupy._loop import _STEPS
from portnn.compile._cupy._plan import make_plan
from portnn.compile._cupy._small import gather_kernel, keep_kernel
from portnn.compile._cupy._staging import Staging, fits, steps_in_slot
from portnn.tracing import OutOfRangeError
from tests.compile.gpu.clocks import Race
from tests.compile.gpu.helpers import digits, exact_step, needs_compiler, net_step, program_of, same
from tests.compile.gpu.standin import StandIn

pytestmark = needs_compiler


def exact_data(n):
    rng = np.random.default_rng(7)
    return rng.integers(-2, 3, (n, 6)).astype("int8"), rng.integers(-2, 3, (n, 3)).astype("float32")


def eager(step, carry, data, batch, order, first, count):
    """The same steps one by one."""
    losses = []
    for n in range(first, first + count):
        rows = np.arange(len(data[0])) if order is None else order
        rows = rows[n * batch : (n + 1) * batch]
        carry, loss = step(carry, *[x[rows] for x in data])
        losses.append(loss)
    return carry, np.asarray(losses)


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("n", [4 * 50, 4 * 50 + 3, 3])
def test_epochs_bit_for_bit(n, shuffled):
    step, carry = exact_step()
    data, rng = exact_data(n), np.random.default_rng(0)
    driver = StandIn()
    loop = CupyLoop(step, carry, data, 4, driver=driver)
    total = -(-n // 4)
    for _ in range(2):
        order = rng.permutation(n) if shuffled else None
        got = loop.run(order, 0, total)
        carry, losses = eager(step, carry, data, min(4, n), order, 0, total)
        np.testing.assert_array_equal(got, losses)
        assert same(loop.carry(), carry)
    assert driver.captures == (1 if n == 3 else 2 + (n % 4 > 0))


def test_parts_of_an_epoch_bit_for_bit():
    step, carry = exact_step()
    data, order = exact_data(203), np.random.default_rng(0).permutation(203)
    loop = CupyLoop(step, carry, data, 4, driver=StandIn())
    for first, count in ((0, 1), (1, 30), (31, 19), (50, 1)):
        got = loop.run(order, first, count)
        carry, losses = eager(step, carry, data, 4, order, first, count)
        np.testing.assert_array_equal(got, losses)
    assert same(loop.carry(), carry)


def test_many_steps_a_launch_and_one_read():
    step, carry = exact_step()
    driver = StandIn()
    loop = CupyLoop(step, carry, exact_data(4 * 50), 4, driver=driver)
    loop.run(None, 0, 50)
    driver.log.clear()
    loop.run(None, 0, 50)
    assert driver.log.count("launch") == 50 // _STEPS + 50 % _STEPS
    assert driver.log.count("read") == 1
    assert "synchronize" not in driver.log
    assert "kernel" not in driver.log


def test_what_the_caller_gave_is_not_changed():
    step, carry = exact_step()
    before = tree.map(np.copy, carry)
    loop = CupyLoop(step, carry, exact_data(40), 4, driver=StandIn())
    loop.run(None, 0, 10)
    assert same(carry, before)


def test_snapshots_and_writing():
    step, carry = exact_step()
    loop = CupyLoop(step, carry, exact_data(40), 4, driver=StandIn())
    saved = loop.save()
    first = loop.run(None, 0, 10)
    loop.restore(saved)
    assert same(loop.carry(), carry)
    np.testing.assert_array_equal(loop.run(None, 0, 10), first)
    loop.write(carry)
    np.testing.assert_array_equal(loop.run(None, 0, 10), first)


def test_parameters_are_written_where_they_are():
    step, carry = net_step(optim.sgd(0.1))
    loop = CupyLoop(step, carry, digits(128), 64, driver=StandIn())
    assert "written in place: 4 of 5 results" in loop.explain()  # the fifth is the loss
    assert "as CUDA graphs" in loop.explain()


def test_a_carry_whose_members_change_places():
    def step(carry, x):
        a, b, c = carry
        xp = array_namespace(x)
        return (b, a, c + xp.sum(x) + a[0]), xp.sum(x) * 1.0

    carry = (np.asarray([1.0, 2.0], "float32"), np.asarray([3.0, 4.0], "float32"), np.zeros((), "float32"))
    data = (np.arange(12, dtype="float32"),)
    loop = CupyLoop(step, carry, data, 4, driver=StandIn())
    loop.run(None, 0, 3)
    assert same(loop.carry(), eager(step, carry, data, 4, None, 0, 3)[0])


def test_an_old_value_that_is_read_late_is_not_written_over():
    def step(carry, x):
        xp = array_namespace(x)
        (a,) = carry
        new = a * 0.5 + xp.sum(x)
        return (new,), xp.sum(xp.max(new, keepdims=True) + a)

    carry, data = (np.asarray([1.0, 2.0], "float32"),), (np.arange(12, dtype="float32"),)
    loop = CupyLoop(step, carry, data, 4, driver=StandIn())
    np.testing.assert_array_equal(loop.run(None, 0, 3), eager(step, carry, data, 4, None, 0, 3)[1])


def test_an_old_value_among_those_that_are_broadcast_is_not_written_over():
    def step(carry, x):
        xp = array_namespace(x)
        (a,) = carry
        _, old = xp.broadcast_arrays(x, a)
        new = a * 0.5
        return (new,), xp.sum(old * xp.sum(new))

    program = program_of(step, (np.ones(4, "float32"),), np.ones(4, "float32"))
    (new,), _ = program.result
    assert make_plan(program, {id(new): program.inputs[0]}).in_place == {}


def test_a_transposed_old_value_is_not_written_over():
    def step(carry, x):
        (a,) = carry
        return (a + a.T,), array_namespace(x).sum(x)

    carry, data = (np.arange(9, dtype="float32").reshape(3, 3),), (np.arange(12, dtype="float32"),)
    loop = CupyLoop(step, carry, data, 4, driver=StandIn())
    loop.run(None, 0, 3)
    assert same(loop.carry(), eager(step, carry, data, 4, None, 0, 3)[0])
    assert "written in place: 0" in loop.explain()


def test_a_step_that_cannot_be_captured_runs_all_the_same():
    def step(carry, x):
        xp = array_namespace(x)
        return (carry[0] + xp.linalg.inv(x[:1, None])[0, 0],), xp.sum(x)

    carry, data = (np.zeros((), "float32"),), (np.arange(1, 11, dtype="float32"),)
    driver = StandIn()
    with pytest.warns(PlanWarning, match="linalg.inv"):
        loop = CupyLoop(step, carry, data, 4, driver=driver)
    got = loop.run(None, 0, 3)
    want, losses = eager(step, carry, data, 4, None, 0, 3)
    np.testing.assert_array_equal(got, losses)
    assert same(loop.carry(), want)
    assert "call by call: linalg.inv" in loop.explain()
    assert driver.captures == 0


def test_a_capture_that_breaks_leaves_no_trace_in_the_training():
    step, carry = exact_step()
    data, driver = exact_data(40), StandIn()
    loop = CupyLoop(step, carry, data, 4, driver=driver)
    driver.fail = "product"
    with pytest.warns(PlanWarning, match="product is not permitted"):
        got = loop.run(None, 0, 10)
    want, losses = eager(step, carry, data, 4, None, 0, 10)
    np.testing.assert_array_equal(got, losses)
    assert same(loop.carry(), want)


def test_an_error_while_steps_warm_up_leaves_the_training_where_it_was(monkeypatch):
    step, carry = exact_step()
    loop = CupyLoop(step, carry, exact_data(40), 4, driver=StandIn())
    run, calls = loop._step, []

    def second_fails(source, rows):
        calls.append(rows)
        if len(calls) == 2:
            raise MemoryError("as if")
        run(source, rows)

    monkeypatch.setattr(loop, "_step", second_fails)
    with pytest.raises(MemoryError, match="as if"):
        loop.run(None, 0, 10)
    assert same(loop.carry(), carry)


@pytest.mark.parametrize("graphs", [True, False])
def test_ids_that_a_step_computes_are_looked_at(graphs):
    """The check is part of the graph; what the warm-up steps find does not count."""

    def step(carry, x):
        ids = ops.astype(x, "int32") + 1
        rows = nn.Embedding(5, 3).apply({"weight": carry[0]}, ids)
        return (carry[0] + ops.sum(rows),), ops.mean(rows)

    table, x = np.ones((5, 3), "float32"), (np.arange(43) % 4).astype("float32")
    wrong = x.copy()
    wrong[5] = 4.0
    loop, driver = None, StandIn()
    for data in (x, wrong):
        loop = CupyLoop(step, (table,), (data,), 4, driver=driver)
        if not graphs:
            loop._obstacle = "as if"
        got = loop.run(None, 0, 1)
        want, losses = eager(step, (table,), (data,), 4, None, 0, 1)
        np.testing.assert_array_equal(got, losses)
        assert same(loop.carry(), want)
    for _ in range(2):
        with pytest.raises(OutOfRangeError, match="out of range in one of 2 steps"):
            loop.run(None, 1, 2)
        loop.run(None, 2, 9)
    assert driver.captures == (3 if graphs else 0)


def test_steps_that_are_not_there():
    step, carry = exact_step()
    loop = CupyLoop(step, carry, exact_data(40), 4, driver=StandIn())
    with pytest.raises(ValueError, match="an epoch has 10"):
        loop.run(None, 8, 3)


@pytest.mark.parametrize(
    ("step", "word"),
    [
        (lambda c, x: (c, x), "a floating-point loss of shape"),
        (lambda c, x: ((c[0].astype("float64"),), x.sum()), "keep shapes and dtypes; 0 was"),
        (lambda c, x: ((c[0], c[0]), x.sum()), "a carry of 1 arrays"),
    ],
)
def test_steps_that_are_none(step, word):
    def checked(carry, x):
        xp = array_namespace(x)
        carry, loss = step((_Cast(carry[0], xp),), _Sum(x, xp))
        return tuple(getattr(c, "array", c) for c in carry), getattr(loss, "array", loss)

    with pytest.raises(ValueError, match=word):
        CupyLoop(checked, (np.zeros(2, "float32"),), (np.ones(8, "float32"),), 4, driver=StandIn())


class _Cast:
    def __init__(self, array, xp):
        self.array, self._xp = array, xp

    def astype(self, dtype):
        return self._xp.astype(self.array, np.dtype(dtype))


class _Sum(_Cast):
    def sum(self):
        return self._xp.sum(self.array)


def streamed(n, batch, driver, free=100):
    step, carry = exact_step()
    data = exact_data(n)
    driver.host |= {id(x) for x in data}
    driver.free = free
    driver.watch = True
    return step, carry, data, CupyLoop(step, carry, data, batch, driver=driver)


SLOTS = 8 * 18 * 4  # free bytes per step that fits in a slot


@pytest.mark.parametrize(
    ("n", "free"),
    [
        (4 * 9, 100),
        (4 * 9 + 3, 3 * SLOTS),
        (4 * _STEPS * 6, 99 * SLOTS),
        (4 * _STEPS * 5 + 31, _STEPS * SLOTS),
    ],
)
def test_data_that_do_not_fit_are_streamed_without_a_race(n, free):
    driver = StandIn()
    step, carry, data, loop = streamed(n, 4, driver, min(free, 2 * 18 * n - 1))
    assert "streamed in chunks" in loop.explain()
    total = -(-n // 4)
    for seed in range(2):
        order = np.random.default_rng(seed).permutation(n)
        got = loop.run(order, 0, total)
        carry, losses = eager(step, carry, data, 4, order, 0, total)
        np.testing.assert_array_equal(got, losses)
    assert same(loop.carry(), carry)


@pytest.mark.parametrize(
    "forgotten", ["wait_on_host", "wait copying", "wait own", "mark copying", "mark own"]
)
def test_each_event_is_needed(forgotten, monkeypatch):
    """Without any one of them, a buffer is overwritten, or read, before it may be."""
    driver = StandIn()
    _, _, _, loop = streamed(4 * _STEPS * 5, 4, driver, _STEPS * SLOTS)
    name, _, stream = forgotten.partition(" ")
    honest = getattr(driver, name)

    def careless(event, **options):
        if stream and options["copying"] != (stream == "copying"):
            honest(event, **options)

    monkeypatch.setattr(driver, name, careless)
    with pytest.raises(Race):
        loop.run(None, 0, 5 * _STEPS)


def test_data_that_fit_are_moved_to_the_device():
    driver = StandIn()
    step, carry = exact_step()
    data = exact_data(40)
    driver.host |= {id(x) for x in data}
    loop = CupyLoop(step, carry, data, 4, driver=driver)
    assert "the data are on the device" in loop.explain()
    driver.free = 40 * 18 * 2
    assert fits(driver, data)
    driver.free = 40 * 18
    assert not fits(driver, data)


@pytest.mark.parametrize(("free", "steps"), [(0, 1), (2 * SLOTS - 1, 1), (7 * SLOTS, 7), (1 << 40, _STEPS)])
def test_slots_hold_what_there_is_room_for(free, steps):
    driver = StandIn()
    driver.free = free
    assert steps_in_slot(driver, exact_data(40), 4, _STEPS) == steps


@pytest.mark.parametrize("dtype", ["float64", ">i4"])
def test_two_slots_in_turn(dtype):
    driver = StandIn()
    staging = Staging(driver, [np.arange(10, dtype=dtype)], 4)
    assert all(slot[0].dtype.isnative for slot in staging.slots)  # CuPy has no other byte order
    seen = [(slot, rows, staging.slots[slot][0][:rows].copy()) for slot, rows in staging.chunks(None, 1, 10)]
    assert [(slot, rows) for slot, rows, _ in seen] == [(0, 4), (1, 4), (0, 1)]
    np.testing.assert_array_equal(np.concat([x for _, _, x in seen]), np.arange(1.0, 10.0))


def test_warming_up_beyond_the_end_writes_no_loss_and_reads_the_last_row():
    driver = StandIn()
    keep, gather = keep_kernel("float32", 3), gather_kernel([4], [4], 2, 2, 3)
    functions = driver.compile([keep, gather])
    losses, position, cursor = np.zeros(5, "float32"), np.asarray([3]), np.asarray([1])
    with driver.working():
        driver.launch(functions[keep.name], 1, [np.ones(1, "float32"), losses, position, cursor])
        assert (losses.tolist(), position.tolist(), cursor.tolist()) == ([0.0] * 5, [4], [2])
        out, rows = np.zeros(2, "int32"), np.asarray([5, 6, 7, 8], "int32")
        places = np.asarray([rows.ctypes.data], "uint64")
        driver.launch(functions[gather.name], 1, [np.asarray([2, 0, 1, 3]), np.asarray([1]), places, out])
    assert out.tolist() == [6, 6]
