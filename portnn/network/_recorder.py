"""A training as it goes: where it stands, and who wants to know."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from portnn import tree
from portnn._typing import Tree
from portnn.backend import Backend, get_backend
from portnn.optim import Optimizer
from portnn.train import Dataset, History, Moment, Part, Plan, Snapshot, count_steps

__all__ = ["FORMAT", "KIND", "Recorder", "described", "host", "settings_of"]

FORMAT = 1  # the version of what stands in the header of a checkpoint
KIND = "training"


class Recorder:
    """Knows what a training is and how it went, and tells callbacks that keep moments of it.

    Args:
        model: what is trained.
        data: what it learns from.
        plan: how.
        accumulate: in how many parts a batch is worked through.
        callbacks: what watches over it.
        columns: the names of the values of an epoch.
        optimizer: the optimizer, as the callbacks need it.

    Attributes:
        history: what was; a training that goes on from another begins with that one's.
        rememberers: the callbacks of which a checkpoint has to know something.
    """

    def __init__(
        self,
        model: Any,
        data: Dataset,
        plan: Plan,
        accumulate: int,
        callbacks: Sequence[Any],
        columns: Sequence[str],
        optimizer: Optimizer,
    ) -> None:
        self.model = model
        self.data = data
        self.accumulate = accumulate
        self.callbacks = callbacks
        self.columns = columns
        self.optimizer = optimizer
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
        for callback in self.callbacks:
            if hasattr(callback, "begin"):
                callback.begin(resumed)

    def pause(self, now: Snapshot, epoch: int, part: Part, *, ended: bool = False) -> None:
        """Tell the callbacks that keep moments of one."""
        if not self._keepers:
            return
        plan, steps = self.plan, self.steps
        number = plan.first_step + epoch * steps + part.step
        save = partial(_write, self.data.backend, *_content_of(self, now, epoch, part, ended))
        moment = Moment(epoch, plan.epochs, part.step, steps, number, ended, save)
        for callback in self._keepers:
            callback.keep(moment)


def _content_of(
    recorder: Recorder, now: Snapshot, epoch: int, part: Part, ended: bool
) -> tuple[Tree, dict[str, Any]]:
    """The arrays and the description of a moment, which later steps do not change."""
    plan = recorder.plan
    remembered = [c.remember() for c in recorder.rememberers]
    told = [
        {"is": type(c).__name__, **data}
        for c, (data, _) in zip(recorder.rememberers, remembered, strict=True)
    ]
    at_home = host().asarray
    columns = [at_home(values, dtype="float64") for values in recorder.history.values()]
    tensors = {
        "params": now.params,
        "state": now.state,
        "moments": now.moments,
        "history": columns,
        "losses": at_home([*part.losses], dtype="float64"),
        "callbacks": [a for _, a in remembered],
    }
    description = {
        "kind": KIND,
        "format": FORMAT,
        "layers": described(recorder.model.layer),
        "optimizer": recorder.optimizer.name,
        "seed": plan.seed,
        "epochs": plan.first_epoch,
        "steps": plan.first_step,
        "done": epoch,
        "step": part.step,
        "right": part.right,
        "ended": ended,
        "columns": [*recorder.history],
        "callbacks": told,
        **settings_of(recorder),
    }
    return tensors, description


def _write(
    backend: Backend, tensors: Tree, description: dict[str, Any], path: str | os.PathLike[str]
) -> None:
    """Write what `_content_of` made."""
    from portnn.serialize import save_tensors  # not every training has checkpoints

    save_tensors(path, tree.map(backend.to_numpy, tensors), description)


def settings_of(recorder: Recorder) -> dict[str, Any]:
    """What must be the same for a training to go on."""
    from portnn.network._files import describe_loss  # not every training has checkpoints

    plan = recorder.plan
    return {
        "samples": recorder.data.size,
        "batch_size": plan.batch_size,
        "shuffle": plan.shuffle,
        "accumulate": recorder.accumulate,
        "loss": describe_loss(recorder.model.loss),
    }


def host() -> Backend:
    """NumPy, whatever the training is on."""
    return get_backend("numpy")


def described(layer: Any) -> Any:
    """The layers as plain data; None for a network with parts of one's own, which is not compared."""
    from portnn.nn import describe  # knows all layers, which are not imported for a training

    try:
        return describe(layer)
    except TypeError:
        return None
