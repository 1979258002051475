"""Moments of a training that Ctrl-C can go back to."""

from __future__ import annotations

from typing import final

from portnn.train import Epoch, Moment

__all__ = ["Keeper"]

_EVERY = 100  # steps that may have to be done again; a moment costs a copy of the parameters


@final
class Keeper:
    """Asks for moments within epochs: `Checkpoint` writes the last one down when Ctrl-C ends the training.

    Args:
        steps: how many steps an epoch has.
    """

    def __init__(self, steps: int) -> None:
        self.every_steps = min(_EVERY, steps)

    def keep(self, moment: Moment) -> None:
        """Nothing: the moment is for `Checkpoint`, which is given each."""

    def __call__(self, epoch: Epoch) -> None:
        pass
