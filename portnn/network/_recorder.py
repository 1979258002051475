"""A training as it goes: where it stands, and who wants to know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from portnn.train import Dataset, History, Moment, Part, Plan, Snapshot, count_steps

__all__ = ["Recorder"]


class Recorder:
    """Knows what a training is and how it went, and tells callbacks that keep moments of it.

    Args:
        model: what is trained.
        data: what it learns from.
        plan: how.
        accumulate: in how many parts a batch is worked through.
        callbacks: what watches over it.

    Attributes:
        history: what was; a training that goes on from another begins with that one's.
        rememberers: the callbacks of which a checkpoint has to know something.
    """

    def __init__(
        self, model: Any, data: Dataset, plan: Plan, accumulate: int, callbacks: Sequence[Any]
    ) -> None:
        self.model = model
        self.data = data
        self.accumulate = accumulate
        self._callbacks = callbacks
        self._keepers = [c for c in callbacks if hasattr(c, "keep")]
        self.rememberers = [c for c in callbacks if hasattr(c, "remember")]
        every = [getattr(c, "every_steps", None) for c in self._keepers]
        self.plan = replace(plan, every=tuple(k for k in every if k is not None))
        self.history = History()

    @property
    def steps(self) -> int:
        """How many steps an epoch has."""
        return count_steps(self.data.size, self.plan.batch_size, 1)

    def begin(self, resumed: bool) -> None:
        """Tell callbacks whether the training goes on from another."""
        for callback in self._callbacks:
            if hasattr(callback, "begin"):
                callback.begin(resumed)

    def pause(self, now: Snapshot, epoch: int, part: Part, *, ended: bool = False) -> None:
        """Tell the callbacks that keep moments of one."""
        if not self._keepers:
            return
        from portnn.network._resume import content_of, write_training  # not every training has checkpoints

        plan, steps = self.plan, self.steps
        number = plan.first_step + epoch * steps + part.step
        save = partial(write_training, self.data.backend, *content_of(self, now, epoch, part, ended))
        moment = Moment(epoch, plan.epochs, part.step, steps, number, ended, save)
        for callback in self._keepers:
            callback.keep(moment)
