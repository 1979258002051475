"""Loops that are kept: bound anew they do what a new one does, hold no data, and are never shared."""

from __future__ import annotations

import gc
import os
import random
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pytest

import portnn as pn
from portnn import losses, nn, ops, optim, tree
from portnn.autodiff import value_and_grad
from portnn.compile import _kept as kept
from portnn.compile import fingerprint, forget_loops, kept_loop, make_loop
from portnn.compile._kept import KeptLoops
from portnn.tracing import Extent, OutOfRangeError, extent_of, parts_of
from tests.compile.test_jit_table import assert_same_bits

N, ROWS = 70, 16  # with a last smaller batch
ORDER = np.random.default_rng(5).permutation(N)
STEPS = -(-N // ROWS)


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    forget_loops()
    yield
    forget_loops()


def training(
    seed: int, *, wide: int = 12, hidden: tuple[int, ...] = (8,), loss: Any = losses.softmax_cross_entropy
) -> tuple[Any, Any]:
    """A step of a network of 5 classes that hands a key on and counts, and what it begins with."""
    layer, optimizer = nn.MLP([12, 8, 5], activation=nn.tanh), optim.sgd(0.1, momentum=0.9)
    params, state = layer.init(np.random.default_rng(seed)), layer.init_state()

    def objective(params: Any, x: Any, y: Any, extents: Any) -> Any:
        with parts_of(*zip((x, y), extents, strict=False)):
            return loss(layer.forward(params, state, x, training=True, key=None)[0], y)

    differentiate = value_and_grad(objective)

    def step(carry: Any, x: Any, y: Any) -> Any:
        params, opt_state, key, number = carry
        extents = [extent for extent in map(extent_of, (x, y)) if extent is not None]
        value, grads = differentiate(params, x, y, extents)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return (optim.apply_updates(params, updates), opt_state, key, ops.add(number, 1)), value

    key = np.asarray([seed, 7], dtype="uint32")
    return step, (params, optimizer.init(params), key, np.asarray(3 * seed, dtype="uint32"))


def samples(seed: int, lowest: int = 0, highest: int = 4) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    y = rng.integers(lowest, highest, N, endpoint=True)
    y[:2] = lowest, highest
    return rng.normal(size=(N, 12)).astype("float32"), y


def on(library: str, nested: Any) -> Any:
    if library == "numpy":
        return nested
    jax = pytest.importorskip("jax.numpy")
    return tree.map(jax.asarray, nested)


def epochs(loop: Any, *, shuffled: bool = True) -> tuple[Any, Any]:
    order = ORDER if shuffled else None
    return [loop.run(order, 0, -(-N // loop_rows(loop))) for _ in range(2)], hosts(loop)


def hosts(loop: Any) -> Any:
    return tree.map(np.asarray, loop.carry())


def loop_rows(loop: Any) -> int:
    return getattr(loop, "_batch_size", None) or loop._size


def wholes(data: Any, *, known: bool) -> tuple[Extent, ...]:
    return tuple(map(Extent, data)) if known else ()


@pytest.mark.parametrize(
    ("library", "shuffled", "batch", "known"),
    [*product(["numpy"], [False, True], [ROWS, None], [False, True]), ("jax", True, ROWS, True)],
)
def test_a_bound_loop_gives_the_bits_of_a_new_one(library, shuffled, batch, known) -> None:
    step, carry = training(0)
    first = on(library, samples(0, 1, 3))
    loop = make_loop(
        step, on(library, carry), first, batch, shuffled=shuffled, extents=wholes(first, known=known)
    )
    epochs(loop, shuffled=shuffled)
    loop.unbind()
    others = [(1, (0, 4)), (2, (2, 2)), (3, (0, 1))]
    for seed, ends in others if library == "numpy" else others[:1]:
        carry, data = on(library, training(seed)[1]), on(library, samples(seed, *ends))
        loop.bind(carry, data, wholes(data, known=known))
        new = make_loop(step, carry, data, batch, shuffled=shuffled, extents=wholes(data, known=known))
        (found, after), (wanted, expected) = epochs(loop, shuffled=shuffled), epochs(new, shuffled=shuffled)
        np.testing.assert_array_equal(found, wanted)
        assert_same_bits(after, expected)
        loop.unbind()


def test_labels_with_other_ends_need_no_other_plan_if_they_were_checked() -> None:
    step, carry = training(0)
    data = samples(0, 1, 3)
    loop: Any = make_loop(step, carry, data, ROWS, extents=wholes(data, known=True))
    epochs(loop)
    plans = dict(loop._plans)
    data = samples(1, 0, 4)
    loop.bind(carry, data, wholes(data, known=True))
    epochs(loop)
    assert loop._plans == plans
    assert not any("in_range" in plan.explain() for plan in plans.values())


@pytest.mark.parametrize("label", [-1, 5])
@pytest.mark.parametrize("library", ["numpy", "jax"])
@pytest.mark.parametrize("known", [False, True])
def test_labels_that_are_no_class(library, label, known) -> None:
    step, carry = training(0)
    data = on(library, samples(0))
    if known and library == "jax":  # values are unknown while jax.jit traces: they are checked before
        for extent in (extents := wholes(data, known=True))[1:]:
            extent.fits(what="y", low=0, high=5, exempt=None)
    else:
        extents = wholes(data, known=known)
    loop = make_loop(step, on(library, carry), data, ROWS, extents=extents)
    epochs(loop)
    x, y = samples(1)
    y[17] = label
    bad = on(library, (x, y))

    def trained() -> None:
        loop.bind(on(library, carry), bad, wholes(bad, known=known))
        epochs(loop)

    with pytest.raises(OutOfRangeError, match=r"out of range|must be from 0 to 4"):
        trained()


IGNORING = partial(losses.softmax_cross_entropy, ignore_index=-1)


def test_a_label_to_ignore_that_comes_later() -> None:
    step, carry = training(0, loss=IGNORING)
    data = samples(0)
    loop: Any = make_loop(step, carry, data, ROWS, extents=wholes(data, known=True))
    epochs(loop)
    for lowest in (-1, 0, -1):
        data = samples(1, lowest)
        extents = wholes(data, known=True)
        loop.bind(carry, data, extents)
        new = make_loop(step, carry, data, ROWS, extents=extents)
        (found, after), (wanted, expected) = epochs(loop), epochs(new)
        np.testing.assert_array_equal(found, wanted)
        assert_same_bits(after, expected)


def test_positions_that_nobody_checks_may_lie_elsewhere() -> None:
    def step(carry: Any, x: Any, y: Any) -> Any:
        (table,) = carry
        return (ops.add(table, 1.0),), ops.sum(ops.take(table, y, axis=0))

    carry = (np.arange(5.0),)
    loop = make_loop(step, carry, samples(0, 1, 3), ROWS)
    loop.run(ORDER, 0, STEPS)
    for ends in ((0, 4), (-2, 3)):
        loop.bind(carry, samples(1, *ends))
        new = make_loop(step, carry, samples(1, *ends), ROWS)
        np.testing.assert_array_equal(loop.run(ORDER, 0, STEPS), new.run(ORDER, 0, STEPS))
    with pytest.raises(IndexError):
        loop.bind(carry, samples(1, 0, 5))


@pytest.mark.parametrize("batch", [ROWS, None])
def test_other_strides_and_a_carry_of_another_order(batch) -> None:
    step, carry = training(0)
    loop = make_loop(step, carry, samples(0), batch, shuffled=False)
    x, y = samples(1)
    params, *rest = training(1)[1]
    params = tree.map(lambda p: p, params)
    turned = tuple([dict(reversed(p.items())) if isinstance(p, dict) else p for p in params])
    for data in ((np.asfortranarray(x), y), (x[::-1], y[::-1]), (x, np.repeat(y, 2)[::2])):
        loop.bind((turned, *rest), data)
        new = make_loop(step, (params, *rest), data, batch, shuffled=False)
        (found, after), (wanted, expected) = epochs(loop, shuffled=False), epochs(new, shuffled=False)
        np.testing.assert_array_equal(found, wanted)
        assert_same_bits(after, expected)


@pytest.mark.parametrize("library", ["numpy", "jax"])
def test_what_is_not_alike_is_refused(library) -> None:
    step, carry = training(0)
    carry, data = on(library, carry), on(library, samples(0))
    loop = make_loop(step, carry, data, ROWS)
    epochs(loop)
    before = hosts(loop)
    for other in ((data[0][1:], data[1][1:]), data[:1], (data[0], data[0][:, 0])):
        with pytest.raises(ValueError, match=r"bind: data: expected .*; make a new loop"):
            loop.bind(carry, other)
    with pytest.raises(ValueError, match=r"bind: carry: .*; make a new loop"):
        loop.bind(carry[:3], data)
    with pytest.raises(ValueError, match=r"bind: carry: expected uint32\[2\] .* as array 8, got"):
        loop.bind((*carry[:2], carry[3], carry[2]), data)
    assert_same_bits(hosts(loop), before)


@pytest.mark.parametrize("library", ["numpy", "jax"])
def test_an_unbound_loop_holds_no_data(library) -> None:
    step, carry = training(0)
    carry, data = on(library, carry), on(library, samples(0))
    loop = make_loop(step, carry, data, ROWS, extents=wholes(data, known=True))
    for shuffled in (True, False):
        loop.run(ORDER if shuffled else None, 0, STEPS)
    held = [weakref.ref(x) for x in data]
    loop.unbind()
    del data
    gc.collect()
    assert [ref() for ref in held] == [None, None]
    assert loop.nbytes() > 0


def test_a_loop_that_nobody_holds_is_gone_at_once() -> None:
    step, carry = training(0)
    loop = make_loop(step, carry, samples(0), ROWS)
    loop.run(ORDER, 0, STEPS)
    held = weakref.ref(loop)
    gc.disable()
    try:
        del loop
        assert held() is None
    finally:
        gc.enable()


def test_threads_that_are_allowed_now(monkeypatch) -> None:
    step, carry = training(0)
    loop: Any = make_loop(step, carry, samples(0), ROWS)
    plans = dict(loop._plans)
    monkeypatch.setattr("portnn.compile._numpy._loop.threads_allowed", lambda: loop._allowed + 1)
    loop.bind(carry, samples(1))
    assert loop._plans.keys() == plans.keys()
    assert loop._plans != plans


def test_what_is_handed_on_unchanged_costs_nothing() -> None:
    step, carry = training(0)
    loop = make_loop(step, carry, samples(0), ROWS)
    assert "uint32[2]" not in loop.explain()
    loop.run(ORDER, 0, STEPS)
    assert_same_bits(loop.carry()[2], carry[2])


# The cache.


def lend(loops: KeptLoops, key: Any, made: list[Any], n: int = N) -> Any:
    step, carry = training(0)
    data = tuple([x[:n] for x in samples(0)])

    def make() -> Any:
        made.append(make_loop(step, carry, data, ROWS))
        return made[-1]

    return loops.lend(key, make, carry, data)


def test_a_loop_comes_again_by_its_key() -> None:
    loops, made = KeptLoops(), []
    for key in ("a", "a", "b", "a", None, None):
        with lend(loops, key, made):
            pass
    assert len(made) == 4
    assert len(loops) == 2
    loops.forget()
    assert len(loops) == 0


def test_a_loop_in_use_is_not_lent_again() -> None:
    loops, made = KeptLoops(), []
    with lend(loops, "a", made) as outer:
        with lend(loops, "a", made) as inner:
            assert inner is not outer
        others = []

        def borrow() -> None:
            with lend(loops, "a", made) as other:
                others.append(other)

        threads = [threading.Thread(target=borrow) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(other is not outer for other in others)


def test_after_an_error_a_loop_is_dropped() -> None:
    loops, made = KeptLoops(), []
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), lend(loops, "a", made):
            raise error
    assert len(loops) == 0


def test_the_oldest_go_by_number_and_by_bytes(monkeypatch) -> None:
    loops, made = KeptLoops(most=3), []
    for key in "abcad":
        with lend(loops, key, made):
            pass
    assert [idle.key for idle in loops._idle] == ["c", "a", "d"]
    size = made[0].nbytes()
    assert loops.nbytes() == 3 * size
    monkeypatch.setattr(type(made[0]), "room", 2 * size)
    with lend(loops, "e", made):
        pass
    assert [idle.key for idle in loops._idle] == ["d", "e"]
    monkeypatch.setattr(type(made[0]), "room", size - 1)
    with lend(loops, "f", made):  # for which there can be no room: the others stay
        pass
    assert [idle.key for idle in loops._idle] == ["d", "e"]


def test_where_memory_ends_the_idle_go_first() -> None:
    loops, made = KeptLoops(), []
    with lend(loops, "a", made):
        pass
    tries = []

    def make() -> Any:
        tries.append(len(loops))
        if len(tries) == 1:
            raise MemoryError
        return made[0]

    with loops.lend("b", make, *training(0)[1:], samples(0)):
        pass
    assert tries == [1, 0]
    with pytest.raises(MemoryError), lend(loops, "c", made):
        raise MemoryError
    loops.forget()
    with pytest.raises(MemoryError), loops.lend("d", partial(_raise, MemoryError), (), ()):
        pass


def _raise(error: type[Exception]) -> Any:
    raise error


def test_threads_train_side_by_side() -> None:
    step, carry = training(0)
    wanted = {seed: epochs(make_loop(step, carry, samples(seed), ROWS)) for seed in range(4)}
    found: list[tuple[int, Any]] = []

    def train(seed: int) -> None:
        for _ in range(5):
            with kept_loop("net", step, carry, samples(seed), ROWS) as loop:
                found.append((seed, epochs(loop)))

    threads = [threading.Thread(target=train, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 20
    for seed, (losses_of_epochs, after) in found:
        np.testing.assert_array_equal(losses_of_epochs, wanted[seed][0])
        assert_same_bits(after, wanted[seed][1])
    assert 1 <= len(kept._loops) <= 4


FORKING = """
import os
from portnn.compile import _kept as kept, kept_loop
from tests.compile.test_kept import *
step, carry = training(0)
def trained():
    with kept_loop("net", step, carry, samples(0), ROWS) as loop:
        return epochs(loop)[0]
wanted = trained()
assert len(kept._loops) == 1
kept._loops._lock.acquire()  # as a thread of the parent may
child = os.fork()
if child == 0:
    os._exit(len(kept._loops) or 2 * (not np.array_equal(trained(), wanted)) or len(kept._loops) - 1)
kept._loops._lock.release()
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert len(kept._loops) == 1
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_process_begins_without_loops() -> None:
    subprocess.run([sys.executable, "-c", FORKING], check=True, timeout=60)


@pytest.mark.parametrize(
    "other",
    [
        {"batch_size": 8}, {"shuffled": False}, {"threads": 1}, {"n": 64}, {"dtype": "float64"},
        {"labels": "int32"}, {"weights": True}, {"key": "other"}, {"extents": True}, {"strides": True},
    ],
    ids=lambda other: next(iter(other)),
)  # fmt: skip
def test_each_part_of_the_key_counts(other: dict[str, Any]) -> None:
    lent = []
    for given in ({}, other, {}):
        step, carry = training(0)
        n = given.get("n", N)
        x, y = (a[:n] for a in samples(0))
        x, y = x.astype(given.get("dtype", "float32")), y.astype(given.get("labels", "int64"))
        x = np.asfortranarray(x) if "strides" in given else x
        data = (x, y, np.ones(n, "float32")) if "weights" in given else (x, y)

        def any_step(carry: Any, x: Any, y: Any, *weights: Any, step: Any = step) -> Any:
            return step(carry, ops.astype(x, "float32"), y)

        options = {name: given[name] for name in ("shuffled", "threads") if name in given}
        options["extents"] = wholes(data, known="extents" in given)
        key, batch_size = given.get("key", "net"), given.get("batch_size", ROWS)
        with kept_loop(key, any_step, carry, data, batch_size, **options) as loop:
            lent.append(loop)
    assert lent[0] is lent[2] is not lent[1]


# Keys.

scale = 1.0


def _penalty() -> Callable[..., Any]:
    return lambda params: scale * ops.sum(params)


class _Scaled(nn.Layer):
    factor = 2.0

    def forward(self, params: Any, state: Any, x: Any, *, training: bool, key: Any) -> Any:
        return ops.multiply(x, self.factor), state


def _network() -> Any:
    return nn.Sequential([pn.Linear(4, 8), pn.relu, nn.Dropout(0.5), nn.BatchNorm(8), pn.Linear(8, 3)])


EQUAL: dict[str, Callable[[], Any]] = {
    "layers": _network,
    "loss": lambda: partial(losses.softmax_cross_entropy, label_smoothing=0.1),
    "sgd": lambda: optim.sgd(0.1, momentum=0.9),
    "schedule": lambda: optim.adam(optim.schedules.cosine(0.1, 100)),
    "chain": lambda: optim.chain(optim.clip_by_global_norm(1.0), optim.ema(optim.adam(0.1), 0.9)),
    "own function": _penalty,
    "own layer": _Scaled,
    "array": lambda: partial(ops.add, np.arange(3.0)),
    "NaN": lambda: float("nan"),
    "containers": lambda: {"a": [1, (2.0, None)], "b": {3, "x"}},
}

DIFFERENT: list[tuple[Any, Any]] = [
    (pn.Linear(4, 8), pn.Linear(4, 8, bias=False)),
    (optim.sgd(0.1), optim.sgd(0.2)),
    (optim.sgd(0.1), optim.sgd(0.1, momentum=0.9)),
    (optim.adam(optim.schedules.cosine(0.1, 100)), optim.adam(optim.schedules.cosine(0.1, 50))),
    (losses.huber, losses.squared_error),
    (partial(losses.huber, delta=1.0), partial(losses.huber, delta=1)),
    (0.0, -0.0), (1, True), ("1", 1), ((1,), [1]), (np.zeros(2), np.zeros(2, "float32")),
    (lambda x: x + 1, lambda x: x + 2),
]  # fmt: skip


@pytest.mark.parametrize("name", EQUAL)
def test_equal_things_have_equal_keys(name: str) -> None:
    first, second = (fingerprint(EQUAL[name]()) for _ in range(2))
    assert first == second is not None
    assert hash(first) == hash(second)


@pytest.mark.parametrize("pair", DIFFERENT, ids=range(len(DIFFERENT)))
def test_different_things_have_different_keys(pair: tuple[Any, Any]) -> None:
    first, second = map(fingerprint, pair)
    assert first != second


def test_a_global_that_changes_is_part_of_the_key(monkeypatch) -> None:
    before = fingerprint(_penalty())
    monkeypatch.setattr(f"{__name__}.scale", 2.0)
    assert fingerprint(_penalty()) != before
    monkeypatch.setattr(f"{__name__}.scale", 1.0)
    assert fingerprint(_penalty()) == before


def test_what_a_layer_of_ones_own_says_is_part_of_the_key(monkeypatch) -> None:
    before = fingerprint(nn.Sequential([_Scaled()]))
    monkeypatch.setattr(_Scaled, "factor", 3.0)
    assert fingerprint(nn.Sequential([_Scaled()])) != before


def test_what_cannot_be_looked_into_has_no_key() -> None:
    large, iterator = np.zeros(10_000), iter(())
    many = [[i] for i in range(6000)]
    for thing in (lambda x: x + large, partial(max, iterator), np.asarray([None]), many):
        assert fingerprint(thing) is None


class _Rate(float):
    pass


class _Hidden:
    __slots__ = ("__value",)

    def __init__(self, value: Any) -> None:
        self.__value = value


class _Named(dict):  # type: ignore[type-arg]
    name = ""


def test_what_objects_hold_without_showing_it() -> None:
    assert fingerprint(_Rate(0.1)) is None
    assert fingerprint(random.Random(0)) is None
    assert fingerprint(np.random.default_rng(0)) is None
    assert fingerprint(_Hidden(1)) == fingerprint(_Hidden(1)) != fingerprint(_Hidden(2))
    first, second = _Named(a=1), _Named(a=1)
    assert fingerprint(first) == fingerprint(second)
    second.name = "b"
    assert fingerprint(first) != fingerprint(second)
    numbers = [1]
    before = fingerprint(numbers.__getitem__, max)
    numbers[0] = 2
    assert fingerprint(numbers.__getitem__, max) != before is not None


def test_things_that_refer_to_themselves() -> None:
    loop: list[Any] = [1]
    loop.append(loop)

    def recursive(n: int) -> int:
        return n and recursive(n - 1)

    assert fingerprint(loop, recursive) == fingerprint(loop, recursive)
