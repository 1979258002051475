"""The last moment of a training, for when somebody presses Ctrl-C."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self, final

from portnn.serialize import checkpoint_path
from portnn.train import Epoch, Moment

__all__ = ["Keeper"]

_EVERY = 100  # steps that may have to be done again; a moment costs a copy of the parameters


@final
class Keeper:
    """Keeps the newest moment in memory, and writes it down if Ctrl-C ends the training.

    Args:
        folder: where the checkpoints of the training are.
        steps: how many steps an epoch has.
    """

    def __init__(self, folder: Path, steps: int) -> None:
        self._folder = folder
        self.every_steps = min(_EVERY, steps)
        self._last: Moment | None = None

    def keep(self, moment: Moment) -> None:
        """Remember a moment."""
        self._last = moment

    def __call__(self, epoch: Epoch) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        last, self._last = self._last, None
        if last is not None and kind is not None and issubclass(kind, KeyboardInterrupt):
            last.save(checkpoint_path(self._folder, last.number))
