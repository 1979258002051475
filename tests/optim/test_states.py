"""States, trees and transforms: what they hold, that nothing changes in place, that odd trees work."""

from __future__ import annotations

import copy

import array_api_compat
import numpy as np
import pytest

import portnn.optim
from portnn import optim, tree
from portnn.tracing import Trace, TracedArray
from tests.optim.cases import CASES, RECIPES

each_case = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
each_recipe = pytest.mark.parametrize("case", RECIPES, ids=[case.name for case in RECIPES])


def test_public_names_are_there_and_documented():
    for name in portnn.optim.__all__:
        assert getattr(portnn.optim, name).__doc__
    for name in set(optim.schedules.__all__) - {"Schedule"}:
        assert "Example:" in getattr(optim.schedules, name).__doc__


@each_case
def test_state_lies_where_the_parameters_lie(case, backend):
    params = {"w": backend.asarray([[1.0, 2.0]], "float32"), "b": backend.asarray(0.5, "float32")}
    state = case.optimizer.init(params)
    updates, later = case.optimizer.update(params, state, params)
    assert tree.structure(later) == tree.structure(state)
    for leaf in [*tree.leaves(state), *tree.leaves(later), *tree.leaves(updates)]:
        assert array_api_compat.array_namespace(leaf).__name__ == backend.xp.__name__
        assert array_api_compat.device(leaf) == backend.device
        assert leaf.dtype in (backend.xp.float32, backend.xp.int32)
    for before, after in zip(tree.leaves(state), tree.leaves(later), strict=True):
        assert before.dtype == after.dtype
        assert tuple(before.shape) == tuple(after.shape)


@each_case
def test_steps_are_counted_in_0d_int32_arrays(case):
    params = np.ones(2)
    state = case.optimizer.init(params)
    for t in range(3):
        counters = [leaf for path, leaf in tree.items(state) if path.endswith("step")]
        assert all(
            type(c) is np.ndarray and c.dtype == np.int32 and c.shape == () and c == t for c in counters
        )
        _, state = case.optimizer.update(params, state, params)


@each_case
def test_nothing_is_changed_in_place(case):
    params = {"w": np.asarray([1.0, -2.0]), "b": np.asarray(3.0)}
    grads = {"w": np.asarray([0.5, 0.25]), "b": np.asarray(-1.0)}
    _, state = case.optimizer.update(grads, case.optimizer.init(params), params)
    before = copy.deepcopy((grads, state, params))
    first = case.optimizer.update(grads, state, params)
    again = case.optimizer.update(grads, state, params)
    for a, b in zip(tree.leaves(before), tree.leaves((grads, state, params)), strict=True):
        assert np.array_equal(a, b)
    for a, b in zip(tree.leaves(first), tree.leaves(again), strict=True):
        assert np.array_equal(a, b)


@each_case
@pytest.mark.parametrize("empty", [{}, [], {"a": (), "b": None}], ids=["dict", "list", "nested"])
def test_trees_without_leaves(case, empty):
    updates, state = case.optimizer.update(empty, case.optimizer.init(empty), empty)
    assert updates == empty
    updates, _ = case.optimizer.update(empty, state, empty)
    assert optim.apply_updates(empty, updates) == empty


@each_recipe
def test_leaves_without_elements_and_none(case):
    params = ({"w": np.zeros((0, 3))}, None, {}, [np.ones(2)])
    optimizer = optim.chain(optim.clip_by_global_norm(1.0), case.optimizer)
    updates, _ = optimizer.update(params, optimizer.init(params), params)
    after = optim.apply_updates(params, updates)
    assert after[0]["w"].shape == (0, 3)
    assert after[1] is None
    assert np.all(after[3][0] < 1.0)


@each_case
def test_leaves_of_two_dtypes_keep_them(case):
    params = {"wide": np.ones(2), "narrow": np.ones(2, dtype="float32")}
    rate = optim.chain(
        optim.clip_by_global_norm(0.5), case.optimizer, optim.scale_by_learning_rate(lambda t: 0.5)
    )
    state = rate.init(params)
    for _ in range(3):
        updates, state = rate.update(params, state, params)
        assert updates["wide"].dtype == np.float64
        assert updates["narrow"].dtype == np.float32
        np.testing.assert_allclose(updates["wide"], updates["narrow"], rtol=1e-5)


def test_half_precision_counts_steps_in_float32():
    params = np.ones(1, dtype="float16")
    transform = optim.scale_by_learning_rate(optim.schedules.polynomial(1.0, 140_000))
    updates, _ = transform.update(params, {"step": np.asarray(70_000, dtype="int32")}, params)
    assert updates.dtype == np.float16
    assert float(updates[0]) == -0.5


class _Counting(Trace):
    """Writes down the names of the primitives that are called."""

    __slots__ = ("names",)

    def __init__(self):
        super().__init__()
        self.names = []

    def record(self, primitive, args, inner, options, out):
        self.names.append(primitive.name)
        return TracedArray(out, self, None)


def test_plain_sgd_calls_one_function_a_leaf_and_one_to_apply():
    counting, optimizer = _Counting(), optim.sgd(0.1)
    params = {k: TracedArray(np.ones(2), counting, None) for k in "abc"}
    updates, _ = optimizer.update(params, optimizer.init(params), params)
    assert counting.names == ["multiply"] * 3
    optim.apply_updates(params, updates)
    assert counting.names == ["multiply"] * 3 + ["add"] * 3


def test_plain_sgd_has_no_state():
    assert optim.sgd(0.1).init({"w": np.ones(2)}) == ()


def test_a_schedule_is_asked_for_each_step_from_zero():
    seen = []

    def schedule(step):
        seen.append((int(step), step.dtype.name, step.shape))
        return 0.5 / (step + 1.0)

    optimizer, params = optim.sgd(schedule), np.ones(1, dtype="float32")
    state, moves = optimizer.init(params), []
    for _ in range(3):
        updates, state = optimizer.update(params, state, params)
        moves.append(float(updates[0]))
    assert seen == [(t, "float32", ()) for t in range(3)]
    np.testing.assert_allclose(moves, [-0.5, -0.25, -0.5 / 3], rtol=1e-6)


@pytest.mark.parametrize(
    "make", [lambda r: optim.sgd(r, momentum=0.5), optim.adam, optim.adamw, optim.lion, optim.adagrad]
)
def test_a_constant_schedule_is_a_number(make):
    params, grads = np.asarray([1.0, 2.0]), np.asarray([0.3, -0.1])
    by_number, by_schedule = make(0.01), make(optim.schedules.constant(0.01))
    states = by_number.init(params), by_schedule.init(params)
    for _ in range(3):
        first, a = by_number.update(grads, states[0], params)
        second, b = by_schedule.update(grads, states[1], params)
        states = a, b
        np.testing.assert_allclose(first, second, rtol=1e-15)


def test_adagrad_decays_a_schedule_too():
    optimizer = optim.adagrad(lambda step: 0.5, lr_decay=1.0)
    params = np.ones(1)
    state = optimizer.init(params)
    _, state = optimizer.update(params, state, params)
    updates, _ = optimizer.update(params, state, params)
    np.testing.assert_allclose(updates, -0.25 / np.sqrt(2.0), rtol=1e-9)


def test_chain_hands_on_updates_and_keeps_states_apart():
    optimizer = optim.chain(optim.clip_by_value(1.0), optim.trace(0.5), optim.scale(-2.0))
    params = np.asarray([0.0, 0.0])
    updates, state = optimizer.update(np.asarray([5.0, 0.5]), optimizer.init(params), params)
    assert updates.tolist() == [-2.0, -1.0]
    assert state[0] == ()
    assert state[1]["sum"].tolist() == [1.0, 0.5]


def test_an_empty_chain_passes_gradients_on():
    params = np.ones(2)
    updates, state = optim.chain().update(params, optim.chain().init(params), params)
    assert updates is params
    assert state == ()


def test_clip_by_value(backend):
    grads = backend.asarray([-3.0, 0.5, np.inf], "float32")
    clipped, _ = optim.clip_by_value(2.0).update(grads, (), grads)
    assert backend.to_numpy(clipped).tolist() == [-2.0, 0.5, 2.0]


def test_clip_by_global_norm(backend):
    grads = {"a": backend.asarray([3.0, 0.0], "float32"), "b": backend.asarray(4.0, "float32")}
    clipped, _ = optim.clip_by_global_norm(1.0).update(grads, (), grads)
    np.testing.assert_allclose(backend.to_numpy(clipped["a"]), [0.6, 0.0], rtol=1e-6)
    np.testing.assert_allclose(backend.to_numpy(clipped["b"]), 0.8, rtol=1e-6)
    untouched, _ = optim.clip_by_global_norm(5.0).update(grads, (), grads)
    assert backend.to_numpy(untouched["a"]).tolist() == [3.0, 0.0]
    assert float(backend.to_numpy(optim.global_norm(grads))) == pytest.approx(5.0, rel=1e-6)


def test_optimizers_are_named_after_the_calls_that_made_them():
    schedule = optim.schedules.cosine(0.1, 10)
    names = {
        "adam()": optim.adam(),
        "sgd(0.1, momentum=0.9)": optim.sgd(0.1, momentum=0.9),
        "ema(chain(clip_by_global_norm(1.0), adamw(cosine)), 0.9)": optim.ema(
            optim.chain(optim.clip_by_global_norm(1.0), optim.adamw(schedule)), 0.9
        ),
        "adjustable(Optimizer)": optim.adjustable(optim.Optimizer(lambda p: (), lambda g, s, p: (g, s))),
    }
    for name, optimizer in names.items():
        assert optimizer.name == name
        assert copy.deepcopy(optimizer).name == name
    makers = [getattr(optim, name) for name in optim.__all__]
    makers = [f for f in makers if getattr(f, "__annotations__", {}).get("return") == "Optimizer"]
    assert len(makers) > 20
    assert all(hasattr(f, "__wrapped__") for f in makers), "each is named"
    assert len(optim.chain(*[optim.sgd(0.1)] * 99).name) == 200


WRAPPED = {
    "ema": lambda: optim.ema(optim.adam(0.01), 0.9),
    "accumulate": lambda: optim.accumulate(optim.adam(0.01), 2),
    "loss scale": lambda: optim.dynamic_loss_scale(optim.adam(0.01)),
    "adjustable": lambda: optim.adjustable(optim.adam(0.01)),
    **{case.name: (lambda case=case: case.optimizer) for case in CASES},
}


@pytest.mark.parametrize("name", WRAPPED)
def test_states_have_memory_of_their_own(name):
    """Whoever writes to parameters or gradients later, as NumPy's users do, does not change a state."""
    params, grads = {"w": np.asarray([1.0, -2.0])}, {"w": np.asarray([0.5, 0.25])}
    optimizer = WRAPPED[name]()
    state = optimizer.init(params)
    updates, later = optimizer.update(grads, state, params)
    for given in (params["w"], grads["w"]):
        for leaf in [*tree.leaves(state), *tree.leaves(later)]:
            assert not np.shares_memory(given, leaf)
    assert not np.shares_memory(updates["w"], params["w"])
