"""Callbacks that assign to a network in training: arrays of any library work, others raise a clear error."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import portnn as pn
from portnn import optim, tree
from portnn.tracing import is_array

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(24, 4)).astype("float32"), RNG.integers(0, 3, 24)
NAMES = ["params", "state", "optimizer_state"]


def trained(backend, change=None, *, compiled=True, optimizer=None):
    layers = [pn.Linear(4, 8), pn.BatchNorm(8), pn.Linear(8, 3)]
    net = pn.Network(layers, backend=backend.backend, seed=0)
    callbacks = [] if change is None else [lambda epoch: change(epoch.model)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pn.PlanWarning)
        options = {"optimizer": optimizer or optim.adam(1e-2), "compile": compiled, "callbacks": callbacks}
        history = net.fit(X, Y, epochs=3, batch_size=8, progress=False, **options)
    return history["loss"], [backend.to_numpy(a).tobytes() for a in tree.leaves(net.params)]


def host(backend, nested, change=lambda a: a):
    return tree.map(lambda a: change(backend.to_numpy(a)) if is_array(a) else a, nested)


def wider(a):
    return a.astype("float64") if a.dtype.kind == "f" else a


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "eager"])
@pytest.mark.parametrize("change", [np.array, wider], ids=["arrays", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_arrays_of_numpy_are_brought_to_the_backend(name, change, compiled, backend):
    def assign(net):
        setattr(net, name, host(backend, getattr(net, name), change))
        for leaf in tree.leaves(getattr(net, name)):
            assert backend.backend.owns(leaf)

    assert trained(backend, assign, compiled=compiled) == trained(backend, compiled=compiled)


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "eager"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("change", "kind", "text"),
    [
        (lambda a: a[None, ...], ValueError, "expected shape"),
        (lambda a: np.full(a.shape, "x"), TypeError, "dtype|numbers|strings"),
        (lambda a: a.astype("complex64"), TypeError, "complex64|real"),
        (lambda a: a * np.float32("nan"), (ValueError, TypeError), "NaN|integer|float"),
        (lambda a: object(), TypeError, "object|number"),
    ],
    ids=["shape", "strings", "complex", "NaN", "objects"],
)  # fmt: skip
def test_what_does_not_fit_is_named(change, kind, text, name, compiled, backend):
    def assign(net):
        before = getattr(net, name)
        with pytest.raises(kind, match=text) as caught:
            setattr(net, name, host(backend, before, change))
        assert str(caught.value).startswith(f"{name}: ")
        assert len(str(caught.value)) < 300
        assert getattr(net, name) is before

    assert trained(backend, assign, compiled=compiled) == trained(backend, compiled=compiled)


def test_an_average_of_parameters_is_shown_as_it_was_assigned(backend):
    def assign(net):
        net.optimizer_state = host(backend, net.optimizer_state)
        assert net.params is optim.ema_params(net.optimizer_state)

    averaged = optim.ema(optim.sgd(0.1), 0.9)
    assert trained(backend, assign, optimizer=averaged) == trained(backend, optimizer=averaged)
