"""The guard and the history, each alone."""

from __future__ import annotations

import numpy as np
import pytest

from portnn.train import DivergenceError, FitConfig, History
from portnn.train._runners import Guard

NAN = np.asarray(np.nan)
ONE = np.asarray(1.0)


def test_each_loss_is_looked_at_when_nothing_waits():
    guard = Guard(1)
    guard.watch(1, ONE, "a")
    guard.watch(2, ONE, "b")
    assert guard.good == "b"
    with pytest.raises(DivergenceError, match="the loss is nan at step 3"):
        guard.watch(3, NAN, "c")
    assert guard.good == "b"


def test_losses_are_looked_at_together_where_looking_waits():
    guard = Guard(3)
    guard.watch(1, ONE, "a")
    guard.watch(2, NAN, "b")  # not seen yet
    assert guard.good is None
    with pytest.raises(DivergenceError, match="at step 2;"):
        guard.watch(3, NAN, "c")
    assert guard.good == "a"


def test_a_snapshot_with_a_bad_loss_is_never_good():
    guard = Guard(2)
    for step, name in ((1, "a"), (2, "b")):
        guard.watch(step, ONE, name)
    assert guard.good == "a"
    guard.watch(3, np.asarray(np.inf), "c")
    with pytest.raises(DivergenceError, match="the loss is inf at step 3"):
        guard.look()
    assert guard.good == "a"


def test_the_end_of_an_epoch_looks_at_what_is_left():
    guard = Guard(100)
    guard.look()
    guard.watch(1, ONE, "a")
    guard.look()
    assert guard.good == "a"


def test_history_is_a_mapping_of_lists():
    history = History(loss=[3.0])
    history.record({"loss": np.float32(2.0), "accuracy": 1})
    assert str(dict(history)) == "{'loss': [3.0, 2.0], 'accuracy': [nan, 1.0]}"
    assert type(history["loss"][1]) is float
    assert repr(history) == "History(2 epochs, last: {'loss': 2.0, 'accuracy': 1.0})"
    assert repr(History()) == "History(0 epochs, last: {})"
    assert len(history) == 2
    with pytest.raises(KeyError):
        history["val_loss"]


@pytest.mark.parametrize(
    ("n", "size", "steps"), [(10, 3, 4), (9, 3, 3), (1, 64, 1), (10, None, 1), (10, 10, 1)]
)
def test_steps_of_an_epoch(n, size, steps):
    assert FitConfig(5, size, True, 1, None).steps(n) == steps
