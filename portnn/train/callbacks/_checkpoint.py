"""Save the network during training."""

from __future__ import annotations

import os
from typing import Any, final

from portnn.ops._options import check_flag, check_whole
from portnn.train._callback import Callback, Epoch
from portnn.train._state import NetState
from portnn.train.callbacks._monitor import Mode, Monitor, check_folder, loaded

__all__ = ["ModelCheckpoint"]

_REMEMBERED = 1000  # files: they are in the header of each checkpoint, whose size is bounded


@final
class ModelCheckpoint(Callback):
    """Save the network after epochs, atomically, by `Network.save`.

    Args:
        path: the file, or a pattern with the number and metrics of the epoch, such as
            ``"digits-{epoch:03d}-{val_loss:.3f}.safetensors"``. Without a pattern the file is replaced.
        monitor: the quantity to monitor, a column of the history.
        save_best_only: whether to save only epochs that are better than all before.
        mode: "min" or "max", which is better; "auto" minimizes losses and errors, and maximizes others.
        every: check every this many epochs.

    Attributes:
        saved: the files written by the last training, in order; at most the last thousand from before it was
            resumed.

    Raises:
        TypeError: if an argument is of the wrong type.
        ValueError: if a number is out of range; in training, if the pattern or `monitor` names a quantity
            that does not exist.
        FileNotFoundError: at the start of the training, if the folder does not exist.
        OSError: in training, if a file cannot be written.

    Example:
        >>> import tempfile, numpy as np
        >>> from portnn.network import Network
        >>> from portnn.nn import Linear
        >>> from portnn.train.callbacks import ModelCheckpoint
        >>> x, y = np.eye(4, dtype=np.float32), np.asarray([0, 1, 0, 1])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save = ModelCheckpoint(folder + "/{epoch}.safetensors")
        ...     _ = Network([Linear(4, 2)]).fit(x, y, epochs=2, callbacks=[save])
        ...     later = Network.load(save.saved[-1])
        >>> later.epochs
        2
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        monitor: str = "val_loss",
        save_best_only: bool = False,
        mode: Mode = "auto",
        every: int = 1,
    ) -> None:
        self._path = os.fspath(path)
        self._monitor = Monitor("ModelCheckpoint", monitor, mode, 0.0)
        self._best_only = check_flag("ModelCheckpoint", "save_best_only", save_best_only)
        self.monitored = monitor if self._best_only else None
        self._every = check_whole("ModelCheckpoint", "every", every, 1)
        self.saved: list[str] = []

    def on_train_begin(self, state: NetState) -> None:
        """Check the folder, and reset."""
        check_folder("ModelCheckpoint", self._path)
        self._monitor.reset()
        self.saved = []

    def state_dict(self) -> dict[str, Any]:
        """Return the best value and the file names."""
        return {"best": self._monitor.state_dict(), "saved": self.saved[-_REMEMBERED:]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""
        self._monitor.load_state_dict(state["best"])
        self.saved = [loaded(path, str) for path in state["saved"]]

    def on_epoch_end(self, epoch: Epoch) -> None:
        """Save the network if due."""
        if epoch.number % self._every or (self._best_only and not self._monitor.better(epoch)):
            return
        path = self._path_of(epoch)
        epoch.model.save(path)
        if path not in self.saved:
            self.saved.append(path)

    def _path_of(self, epoch: Epoch) -> str:
        """Return the path, formatted with the metrics of an epoch."""
        try:
            return self._path.format(epoch=epoch.number, **epoch.logs)
        except (KeyError, IndexError, ValueError) as error:
            known = ", ".join(["epoch", *epoch.logs])
            raise ValueError(
                f"ModelCheckpoint: {self._path[-80:]!r} is no pattern of {known}: {error!r:.60}"
            ) from None
