"""What optimisers refuse, and how they say it."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from portnn import optim
from portnn.backend import get_backend

NAN = float("nan")

HYPERPARAMETERS = {
    "rate 0": (lambda: optim.sgd(0.0), ValueError, "learning_rate must be finite and > 0, got 0.0; try 0.01"),
    "rate inf": (
        lambda: optim.adam(float("inf")),
        ValueError,
        "learning_rate must be finite and > 0, got inf",
    ),
    "rate nan": (lambda: optim.lion(NAN), ValueError, "learning_rate must be finite and > 0, got nan"),
    "rate array": (
        lambda: optim.adam(np.ones(2)),
        TypeError,
        "learning_rate must be a Python number, got ndarray",
    ),
    "rate bool": (lambda: optim.adam(True), TypeError, "learning_rate must be a Python number, got bool"),
    "momentum": (lambda: optim.sgd(0.1, momentum=1.0), ValueError, r"momentum must be in \[0, 1\), got 1.0"),
    "momentum <": (
        lambda: optim.rmsprop(momentum=-0.1),
        ValueError,
        r"momentum must be in \[0, 1\), got -0.1",
    ),
    "dampening": (
        lambda: optim.sgd(0.1, momentum=0.9, dampening=2.0),
        ValueError,
        r"dampening must be in \[0, 1\), got 2.0",
    ),
    "nesterov": (
        lambda: optim.sgd(0.1, nesterov=True),
        ValueError,
        "nesterov=True needs momentum > 0 and dampening = 0, got 0.0 and 0.0; set momentum=0.9",
    ),
    "nesterov dampened": (
        lambda: optim.sgd(0.1, momentum=0.9, dampening=0.1, nesterov=True),
        ValueError,
        "nesterov=True needs .* got 0.9 and 0.1",
    ),
    "decay": (
        lambda: optim.adamw(weight_decay=-1.0),
        ValueError,
        "weight_decay must be finite and >= 0, got -1.0",
    ),
    "decay nan": (
        lambda: optim.sgd(0.1, weight_decay=NAN),
        ValueError,
        "weight_decay must be finite and >= 0",
    ),
    "alpha": (lambda: optim.rmsprop(alpha=1.0), ValueError, r"alpha must be in \[0, 1\), got 1.0; try 0.99"),
    "rho": (lambda: optim.adadelta(rho=-0.5), ValueError, r"rho must be in \[0, 1\), got -0.5"),
    "betas 0": (lambda: optim.adam(betas=(1.0, 0.9)), ValueError, r"betas\[0\] must be in \[0, 1\), got 1.0"),
    "betas 1": (
        lambda: optim.nadam(betas=(0.9, 1.1)),
        ValueError,
        r"betas\[1\] must be in \[0, 1\), got 1.1",
    ),
    "betas nan": (
        lambda: optim.adamax(betas=(NAN, 0.9)),
        ValueError,
        r"betas\[0\] must be in \[0, 1\), got nan",
    ),
    "betas single": (lambda: optim.radam(betas=0.9), TypeError, "betas must be a pair of numbers, got float"),
    "betas three": (
        lambda: optim.lion(betas=(0.9, 0.9, 0.9)),
        TypeError,
        "betas must be a pair of numbers, got tuple",
    ),
    "eps": (lambda: optim.adam(eps=0.0), ValueError, "eps must be finite and > 0, got 0.0; try 1e-8"),
    "eps text": (lambda: optim.adagrad(eps="small"), TypeError, "eps must be a Python number, got str"),
    "lr_decay": (lambda: optim.adagrad(lr_decay=-1.0), ValueError, "lr_decay must be finite and >= 0"),
    "initial": (
        lambda: optim.adagrad(initial_accumulator_value=-1),
        ValueError,
        "initial_accumulator_value must be",
    ),
    "psi": (lambda: optim.nadam(momentum_decay=-1.0), ValueError, "momentum_decay must be finite and >= 0"),
    "limit": (
        lambda: optim.clip_by_value(-1.0),
        ValueError,
        "limit must be finite and > 0, got -1.0; try 1.0",
    ),
    "max_norm": (
        lambda: optim.clip_by_global_norm(NAN),
        ValueError,
        "max_norm must be finite and > 0, got nan",
    ),
    "scale": (lambda: optim.scale(NAN), ValueError, "factor must be finite, got nan"),
    "chain": (lambda: optim.chain(optim.adam), TypeError, "chain: argument 0 must be an Optimizer such as"),
    "norm of none": (
        lambda: optim.global_norm({}),
        ValueError,
        "global_norm: expected a tree with at least one",
    ),
}


@pytest.mark.parametrize(("call", "kind", "text"), HYPERPARAMETERS.values(), ids=list(HYPERPARAMETERS))
def test_hyperparameters_are_checked_when_given(call, kind, text):
    with pytest.raises(kind, match=text) as caught:
        call()
    assert len(str(caught.value)) < 300


def test_numbers_of_numpy_are_numbers():
    params = np.ones(1, dtype="float32")
    updates, _ = optim.sgd(np.float32(0.5)).update(params, (), params)
    assert updates.dtype == np.float32


def _strict(values):
    return get_backend("array_api_strict").asarray(np.asarray(values))


PARAMETERS = {
    "integers": (
        {"w": np.arange(3)},
        TypeError,
        r"params\[w\]: expected real floating-point .* got dtype int64",
    ),
    "booleans": ([np.ones(1), np.asarray(True)], TypeError, r"params\[1\]: expected .* got dtype bool"),
    "complex": (np.ones(2, dtype="complex64"), TypeError, "params: expected .* got dtype complex64"),
    "a number": ({"w": 1.0}, TypeError, r"params\[w\]: expected at least one array, got float"),
    "text": ({"w": "ones"}, TypeError, r"params\[w\]: expected an array of a library .* got str"),
    "two libraries": (
        {"a": np.ones(2), "b": _strict([1.0])},
        TypeError,
        r"params\[b\]: arrays of different libraries",
    ),
}


@pytest.mark.parametrize(("params", "kind", "text"), PARAMETERS.values(), ids=list(PARAMETERS))
@pytest.mark.parametrize("optimizer", [optim.sgd(0.1), optim.adam()], ids=["sgd", "adam"])
def test_parameters_that_cannot_be_trained(optimizer, params, kind, text):
    with pytest.raises(kind, match=text):
        optimizer.init(params)


GRADIENTS = {
    "another key": (
        {"w": np.ones(2), "c": np.ones(1)},
        ValueError,
        "trees differ at the root: expected a dict with",
    ),
    "a leaf less": ({"w": np.ones(2)}, ValueError, "trees differ at the root"),
    "a tree for a leaf": (
        {"w": [np.ones(2)], "b": np.ones(1)},
        ValueError,
        "trees differ at w: expected a leaf",
    ),
    "a list for the dict": (
        [np.ones(2), np.ones(1)],
        ValueError,
        "trees differ at the root: expected a dict",
    ),
    "none for a leaf": ({"w": None, "b": np.ones(1)}, ValueError, "trees differ at w: expected a leaf"),
    "another shape": (
        {"w": np.ones(3), "b": np.ones(1)},
        ValueError,
        r"\[w\]: expected .* shape \(2,\), got \(3,\)",
    ),
    "a shape that broadcasts": (
        {"w": np.ones(2), "b": np.asarray(1.0)},
        ValueError,
        r"\[b\]: .* \(1,\), got \(\)",
    ),
    "another dtype": (
        {"w": np.ones(2, dtype="float32"), "b": np.ones(1)},
        TypeError,
        r"\[w\]: .* float64, got float32",
    ),
    "another library": (
        {"w": _strict([1.0, 1.0]), "b": np.ones(1)},
        TypeError,
        "arrays of different libraries",
    ),
    "a number": ({"w": 1.0, "b": np.ones(1)}, TypeError, "expected .*array"),
}


@pytest.mark.parametrize(("grads", "kind", "text"), GRADIENTS.values(), ids=list(GRADIENTS))
def test_gradients_that_do_not_fit(grads, kind, text):
    params = {"w": np.ones(2), "b": np.ones(1)}
    optimizer = optim.adam()
    state = optimizer.init(params)
    before = copy.deepcopy(state)
    with pytest.raises(kind, match=text):
        optimizer.update(grads, state, params)
    with pytest.raises(kind, match=text):
        optim.apply_updates(params, grads)
    np.testing.assert_equal(state, before)


def test_the_key_order_of_gradients_does_not_matter_for_the_error():
    params = {"w": np.ones(2), "b": np.ones(1)}
    with pytest.raises(ValueError, match=r"grads\[b\]: expected its parameter's shape \(1,\), got \(3,\)"):
        optim.sgd(0.1).update({"b": np.ones(3), "w": np.ones(2)}, (), params)


def test_a_list_is_not_a_tuple():
    params = [np.ones(2), np.ones(1)]
    for grads in ((np.ones(2), np.ones(1)), [np.ones(2)]):
        with pytest.raises(ValueError, match="trees differ at the root: expected a list of 2"):
            optim.sgd(0.1).update(grads, (), params)
