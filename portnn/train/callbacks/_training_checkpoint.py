"""Checkpoints from which a training resumes with identical bits."""

from __future__ import annotations

import os
from contextlib import ExitStack
from math import gcd
from pathlib import Path
from types import TracebackType
from typing import final

from portnn.ops._options import check_whole
from portnn.serialize import checkpoint_path, checkpoints, held, remove_old, remove_unfinished
from portnn.train._callback import Callback, CheckpointEvent, Epoch
from portnn.train._state import NetState
from portnn.train.callbacks._monitor import check_folder

__all__ = ["Checkpoint"]


@final
class Checkpoint(Callback):
    """Save checkpoints of a training; ``fit(..., resume=folder)`` continues from the newest.

    A checkpoint has the parameters, the running state, the optimizer's state (with the step of its schedule),
    the history, the states of other callbacks, and the seed, epoch and step that all random numbers are
    derived from. On the same backend, a resumed training ends with bit-identical weights, even if resumed
    within an epoch. Each file is complete before an older one is deleted.
    A checkpoint is also written after the last epoch, and when Ctrl-C ends the training.

    If a checkpoint cannot be written, the training ends with the error: the network keeps its parameters,
    and earlier checkpoints are unchanged.

    Args:
        folder: the folder of the files, one per training; created if missing.
        every_steps: write after each multiple of this number of steps; None for none within epochs.
        every_epochs: write after each multiple of this number of epochs; None for only the last.
        keep: the number of files to keep, at least 1; None keeps all.
        interrupt_every: within an epoch, Ctrl-C writes the last multiple of this number of steps, or of
            `every_steps`. Each costs a copy of the parameters.

    Attributes:
        saved: the files written by the last training, in order; older ones may have been deleted.

    Raises:
        TypeError: if an argument is of the wrong type.
        ValueError: if a number is not positive; in training, if the description of the network is too long
            for a file.
        FileNotFoundError: at the start of the training, if the parent folder does not exist.
        FileExistsError: at the start of the training, if the folder has checkpoints of another training, or
            another training is writing to it.
        OSError: in training, if a checkpoint cannot be written.

    Example:
        >>> import tempfile, numpy as np
        >>> from portnn.network import Network
        >>> from portnn.nn import Linear
        >>> from portnn.train.callbacks import Checkpoint
        >>> x, y = np.eye(4, dtype=np.float32), np.asarray([0, 1, 0, 1])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Network([Linear(4, 2)]).fit(x, y, epochs=2, callbacks=[Checkpoint(folder)])
        ...     later = Network([Linear(4, 2)])
        ...     history = later.fit(x, y, epochs=5, callbacks=[Checkpoint(folder)], resume=folder)
        >>> later.epochs, len(history["loss"])
        (5, 5)
    """

    runs_last = True

    def __init__(
        self,
        folder: str | os.PathLike[str],
        every_steps: int | None = None,
        every_epochs: int | None = 1,
        keep: int | None = 2,
        *,
        interrupt_every: int | None = None,
    ) -> None:
        counts = {
            "every_steps": every_steps,
            "every_epochs": every_epochs,
            "keep": keep,
            "interrupt_every": interrupt_every,
        }
        for name, value in counts.items():
            counts[name] = None if value is None else check_whole("Checkpoint", name, value, 1)
        self._folder = Path(folder)
        self._every_steps, self._every_epochs = counts["every_steps"], counts["every_epochs"]
        self._keep = counts["keep"]
        self.every_steps = gcd(*[n for n in (self._every_steps, counts["interrupt_every"]) if n]) or None
        self._unwritten: CheckpointEvent | None = None
        self._held = ExitStack()
        self.saved: list[Path] = []

    def on_train_begin(self, state: NetState) -> None:
        """Create the folder; check that it has no other training."""
        check_folder("Checkpoint", str(self._folder))
        self._folder.mkdir(exist_ok=True)
        if not self.resumed and (files := checkpoints(self._folder)):
            raise FileExistsError(
                f"Checkpoint: {str(self._folder)[-80:]!r} has {len(files)} checkpoints of another training; "
                "continue from them with fit(resume=...), or pass another folder"
            )
        self._held.enter_context(held(self._folder))
        remove_unfinished(self._folder)
        self.saved, self._unwritten = [], None

    def on_step(self, step: CheckpointEvent) -> None:
        """Write a checkpoint if due, or keep the event for Ctrl-C."""
        done = step.epoch * step.steps + step.step
        self._unwritten = step
        if self._every_steps is not None and not done % self._every_steps and step.step < step.steps:
            self._write(step)

    def on_epoch_end(self, epoch: Epoch) -> None:
        """Write a checkpoint if due."""
        event = epoch.checkpoint
        assert event is not None, "the callback runs last"
        due = event.ended or event.epoch == event.total
        due |= self._every_epochs is not None and not event.epoch % self._every_epochs
        due |= self._every_steps is not None and not (event.epoch * event.steps) % self._every_steps
        self._unwritten = event
        if due:
            self._write(event)

    def _write(self, event: CheckpointEvent) -> None:
        path = checkpoint_path(self._folder, event.number)
        event.save(path)
        self._unwritten = None
        self.saved.append(path)
        if self._keep is not None:
            remove_old(self._folder, path, self._keep)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        unwritten, self._unwritten = self._unwritten, None
        with self._held:
            if unwritten is not None and kind is not None and issubclass(kind, KeyboardInterrupt):
                self._write(unwritten)
