"""Ways through the code that few calls take: odd operands, lists, dtypes and trees."""

from __future__ import annotations

import numpy as np
import pytest

import portnn as pn
from portnn import Network, losses, nn, ops, optim
from portnn.train import DivergenceError

X = np.asarray([[1.0, -2.0], [0.5, 3.0]])


def traced(f):
    """What `f` does with an array that a gradient is taken by."""
    pn.grad(lambda x: (f(x), ops.sum(x))[1])(X)


@pytest.mark.parametrize("sign", ["+=", "-=", "*=", "/=", "**=", "@=", "//=", "%="])
def test_an_operator_that_changes_a_name_refuses_what_is_no_number(sign):
    def f(x):
        names = {"x": x}
        exec(f"x {sign} object()", names)

    with pytest.raises(TypeError, match="unsupported operand"):
        traced(f)


@pytest.mark.parametrize(
    ("sign", "wanted"), [("+=", X + 2.0), ("-=", X - 2.0), ("*=", X * 2.0), ("/=", X / 2.0)]
)
def test_an_operator_that_changes_a_name_makes_a_new_array(sign, wanted):
    def f(x):
        names = {"x": x}
        exec(f"x {sign} 2.0", names)
        np.testing.assert_array_equal(names["x"].plain, wanted)

    traced(f)
    with pytest.raises(TypeError, match="shape"):
        traced(lambda x: exec("x += y", {"x": x[0], "y": x}))


def test_lists_that_are_no_positions():
    for index in ([[0, 1], [1]], ["a"], [None], [0.5]):
        with pytest.raises((TypeError, IndexError)):
            traced(lambda x, index=index: x[index])
    found = []
    traced(lambda x: found.extend([x[[]].shape, x[[1, 0]].plain, x[[True, False]].plain, x[range(1)].plain]))
    assert found[0] == (0, 2)
    for a, b in zip(found[1:], (X[[1, 0]], X[[True, False]], X[[0]]), strict=True):
        np.testing.assert_array_equal(a, b)


def test_dtypes_that_the_library_does_not_have():
    for odd in ("float99", "", "int7", object()):
        with pytest.raises((TypeError, ValueError), match="dtype"):
            ops.astype(X, odd)
    assert ops.astype(X, X.dtype, copy=False) is X
    assert ops.astype(X, X.dtype) is not X


def test_private_names_of_a_namespace_are_not_looked_for():
    xp = pn.differentiable(np)
    for name in ("_private", "__wrapped__"):
        with pytest.raises(AttributeError):
            getattr(xp.linalg, name)
    assert xp.linalg.cond(np.eye(2)) == 1.0  # NumPy's own


def test_arguments_of_a_plan_that_cannot_be_compared():
    planned = pn.jit(lambda x, option: x)
    for odd, name in (([{1, 2}], "set"), ({"a": bytearray(2)}, "bytearray")):
        with pytest.raises(TypeError, match=rf"jit: argument .* is of type {name}"):
            planned(X, odd)


def test_gradients_of_another_tree_are_refused():
    params = {"a": X, "b": [X, X]}
    optimizer = optim.sgd(0.1)
    state = optimizer.init(params)
    for odd in (
        {"a": X},
        {"a": X, "c": [X, X]},
        {"a": X, "b": [X]},
        {"a": X, "b": (X, X)},
        {"a": X, "b": [X, None]},
        {"a": X, "b": [X, X[0]]},
        {"a": X, "b": [X, X.astype(np.float32)]},
        [X, X, X],
    ):
        with pytest.raises((ValueError, TypeError)):
            optimizer.update(odd, state, params)
    optimizer.update(params, state, params)


@pytest.mark.parametrize("make", [lambda: optim.clip_by_global_norm(1.0), lambda: optim.clip_by_value(1.0)])
def test_clips_of_nothing(make):
    transform = make()
    for empty in ({}, [], None, {"a": None}):
        updates, _ = transform.update(empty, transform.init(empty), empty)
        assert updates == empty


@pytest.mark.parametrize("compile", [False, True])
def test_a_gradient_that_is_not_finite_ends_a_training_at_the_last_good_parameters(compile):
    """The loss is finite: the root of 0 is 0, and its slope is not."""
    net = Network(
        [nn.Linear(2, 1, bias_init=nn.init.Constant(0.0))], loss=losses.Loss(root, task=losses.Task.VALUES)
    )
    x = np.asarray([[0.0, 0.0]] + [[1.0, 1.0]] * 3, dtype=np.float32)
    y = np.zeros((4, 1), dtype=np.float32)
    optimizer = optim.chain(optim.clip_by_global_norm(1.0), optim.sgd(0.1))
    options = {"epochs": 1, "batch_size": 1, "shuffle": False, "progress": False, "compile": compile}
    with np.errstate(all="ignore"), pytest.raises(DivergenceError, match="step"):
        net.fit(x, y, optimizer=optimizer, **options)
    assert all(np.all(np.isfinite(p)) for p in net.params[0].values())


def root(y_pred, y_true, **options):
    distance = ops.square(ops.subtract(y_pred, y_true))
    return ops.mean(ops.sqrt(distance))


def test_names_of_layers_are_listed():
    assert set(nn.__all__) <= set(dir(nn))


def test_lengths_below_minus_one_are_none():
    """NumPy takes each negative length for -1."""
    for shape in ((-2,), (2, -3), (-1, -2)):
        with pytest.raises(ValueError, match="lengths of at least -1"):
            ops.reshape(X, shape)
        with pytest.raises(ValueError, match="lengths of at least -1"):
            traced(lambda x, shape=shape: ops.reshape(x, shape))
    assert ops.reshape(X, (2, -1)).shape == (2, 2)


def test_a_copy_is_one_and_none_where_it_must_not_be():
    assert np.shares_memory(ops.reshape(X, (4,)), X)
    assert np.shares_memory(ops.reshape(X, (4,), copy=False), X)
    assert not np.shares_memory(ops.reshape(X, (4,), copy=True), X)
    with pytest.raises(ValueError, match="copy"):
        ops.reshape(X.T, (4,), copy=False)
    assert not np.shares_memory(ops.asarray(X, like=X, copy=True), X)
    assert ops.asarray(X, like=X, copy=False) is X
    assert np.shares_memory(ops.asarray(X, like=X), X)
