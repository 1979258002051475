"""Ctrl-C anywhere: what a network then has is all of one moment."""

from __future__ import annotations

import sys
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest

import portnn
from portnn import Network, optim, tree
from portnn.nn import BatchNorm, Linear
from portnn.train import History
from portnn.train.callbacks import Checkpoint, EarlyStopping

X = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
Y = np.arange(6) % 2
HERE = Path(portnn.__file__).parent
ASSIGNING = {str(HERE / name) for name in (
    "network/_network.py", "train/_trainer.py", "train/_checkpoint.py", "train/_state.py",
    "train/callbacks/_early_stopping.py",
)}  # fmt: skip


def network():
    return Network([Linear(3, 4), BatchNorm(4), Linear(4, 2)], seed=1)


def adam():
    return optim.ema(optim.adam(0.1), 0.5)


def fingerprint(net):
    """The parameters with the state, and the optimizer's state with the counters."""

    def bits(*parts):
        return tuple(np.asarray(a).tobytes() for a in tree.leaves(parts))

    return bits(net.params, net.state), (bits(net.optimizer_state), net.epochs, net.steps, net.seed)


def traced(action, tell):
    """Run an action; `tell` is given each line of the code that assigns before it is run."""

    def look(frame, event, argument):
        if frame.f_code.co_filename not in ASSIGNING:
            return None
        if event == "line":
            tell((frame.f_code.co_filename, frame.f_lineno))
        return look

    before = sys.gettrace()
    sys.settrace(look)
    try:
        action()
    finally:
        sys.settrace(before)


def interrupted(action, number):
    """Run an action, with Ctrl-C before a line; whether it came that far."""
    left = number

    def tell(line):
        nonlocal left
        left -= 1
        if left == 0:
            raise KeyboardInterrupt

    try:
        traced(action, tell)
    except KeyboardInterrupt:
        return True
    return False


def chosen(action, few):
    """Where to interrupt: each line, the first two times and the last that it is run, or the last alone."""
    times = {}
    lines = []
    traced(action, lines.append)
    for number, line in enumerate(lines, 1):
        times.setdefault(line, []).append(number)
    return sorted({number for found in times.values() for number in (*found[: 0 if few else 2], found[-1])})


def everywhere(prepare, act, allowed, *, few=False):
    """Interrupt an action at one line after the other: the network is always in one of the states allowed."""
    prepared = prepare()
    seen = set()
    rehearsed = deepcopy(prepared)
    for number in chosen(lambda: act(rehearsed), few):
        net = deepcopy(prepared)
        interrupted(lambda net=net: act(net), number)
        assert fingerprint(net) in allowed, f"line event {number}"
        seen.add(fingerprint(net))
    act(prepared)
    return seen | {fingerprint(prepared)}


@pytest.mark.parametrize("compile", [False, True])
def test_fit(compile):
    epochs = 3
    options = {"optimizer": adam(), "compile": compile, "progress": False}

    def after(count):
        net = network()
        if count:
            net.fit(X, Y, epochs=count, **options)
        return fingerprint(net)

    moments = [after(count) for count in range(epochs + 1)]
    best = [(moments[1][0], later[1]) for later in moments[1:]]  # by mode="max" of the loss, the first epoch

    def act(net):
        stop = EarlyStopping("loss", mode="max", patience=9)
        net.fit(X, Y, epochs=epochs, callbacks=[stop], **options)

    seen = everywhere(network, act, {*moments, *best}, few=compile)
    assert {moments[0], best[-1]} <= seen, "there was Ctrl-C before the epochs and after them"
    assert compile or {*best} <= seen


def test_partial_fit():
    def prepare():
        return network().partial_fit(X, Y, optimizer=adam())

    net = prepare()
    before = fingerprint(net)
    net.partial_fit(X, Y)
    assert everywhere(prepare, lambda net: net.partial_fit(X, Y), {before, fingerprint(net)}) == {
        before, fingerprint(net)}  # fmt: skip


def test_a_step_that_diverges_leaves_nothing():
    def prepare():
        return network().partial_fit(X, Y, optimizer=adam())

    def act(net):
        with np.errstate(all="ignore"), pytest.raises(ArithmeticError):
            net.partial_fit(np.full_like(X, 1e38), Y)

    before = fingerprint(prepare())
    assert everywhere(prepare, act, {before}) == {before}


LOADS = {
    "load_params": lambda net, other: net.load_params(other.params, other.state),
    "flat": lambda net, other: net.load_params(
        *({name: a.tolist() for name, a in tree.items(t)} for t in (other.params, other.state))),
    "counters": lambda net, other: net.load_params(other.params, other.state, epochs=7, steps=8),
    "restore": lambda net, other: net.restore(other.params, other.state),
    "optimizer_state": lambda net, other: setattr(
        net, "optimizer_state", tree.map(lambda a: a * 2, net.optimizer_state)),
    "to": lambda net, other: net.to("cpu"),
}  # fmt: skip


@pytest.mark.parametrize("load", LOADS.values(), ids=LOADS)
def test_loading(load):
    other = Network([Linear(3, 4), BatchNorm(4), Linear(4, 2)], seed=2)
    other.fit(X, Y, epochs=2)

    def prepare():
        net = network()
        net.fit(X, Y, epochs=1, optimizer=adam())
        return net

    net = prepare()
    before = fingerprint(net)
    load(net, other)
    both = {before, fingerprint(net)}
    assert everywhere(prepare, lambda net: load(net, other), both) == both


def test_resuming_a_training(tmp_path):
    options = {"optimizer": adam(), "compile": False, "progress": False, "batch_size": 3}
    stop = {"callbacks": [EarlyStopping("loss", mode="max", patience=9)]}

    def until(count):
        net = network()
        keep = EarlyStopping("loss", mode="max", patience=9, restore_best=False)
        net.fit(X, Y, epochs=count, callbacks=[keep], **options)
        return fingerprint(net)

    network().fit(X, Y, epochs=2, callbacks=[*stop["callbacks"], Checkpoint(tmp_path)], **options)
    moments = [until(count) for count in (1, 2, 3)]
    best = [(moments[0][0], later[1]) for later in moments]

    def prepare():
        return Network([Linear(3, 4), BatchNorm(4), Linear(4, 2)], seed=5)

    def act(net):
        net.fit(X, Y, epochs=3, resume=tmp_path, **stop, **options)

    fresh = fingerprint(prepare())
    seen = everywhere(prepare, act, {fresh, *moments, *best})
    assert {fresh, best[1], best[2]} <= seen


def test_a_history_is_never_uneven():
    number, stopped = 0, True
    while stopped:
        number += 1
        history = History(loss=[3.0], accuracy=[0.1])
        stopped = interrupted(
            lambda h=history: h.record({"loss": 2.0, "accuracy": 0.2, "val_loss": 4.0}), number
        )
        lengths = {name: len(values) for name, values in history.items()}
        assert lengths in ({"loss": 1, "accuracy": 1}, {"loss": 2, "accuracy": 2, "val_loss": 2})
    assert number > 1
