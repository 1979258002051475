"""What a callback is told after each epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, final

__all__ = ["Callback", "Epoch"]


@final
@dataclass(frozen=True)
class Epoch:
    """The state of a training after an epoch.

    Attributes:
        number: which epoch this was, counted from 1 within this training.
        total: how many there are to be.
        logs: the values of this epoch, such as ``{"loss": 0.3, "accuracy": 0.9, "val_loss": 0.4}``.
        model: what is being trained, with its parameters as they are now.
    """

    number: int
    total: int
    logs: Mapping[str, float]
    model: Any


Callback: TypeAlias = Callable[[Epoch], object]
"""A function of an `Epoch`, called after each; training stops early if it returns True.

What it sets on the model counts: training goes on from there. An object with a ``__call__`` may have three
things besides. If it is a context manager, it is entered before the first epoch and left after the last, also
when an error ends the training. If it has a method ``adapt``, that is given the optimiser before the
training and returns the one to use, such as ``optim.adjustable(optimizer)``. If it has a method
``check_columns``, that is given the names that the values of an epoch will have, before the first; it may
raise.

What a checkpoint of the training shall know of it besides, it gives by a method ``remember``: a pair of plain
data and of arrays, which are ``{}`` or trees like those of the model, ``{"params": ..., "state": ...}``. Its
method ``recall`` is given the data, the arrays and the model when a training goes on. A method ``keep`` is
given a `portnn.train.Moment` after all callbacks were called, and after each multiple of its attribute
``every_steps``; a method ``begin`` is told first whether the training goes on from another.
"""
