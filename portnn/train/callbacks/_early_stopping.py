"""Early stopping."""

from __future__ import annotations

from types import TracebackType
from typing import Any, final

from portnn.ops._options import check_flag, check_whole
from portnn.train._callback import Callback, Epoch
from portnn.train._state import NetState
from portnn.train.callbacks._monitor import Mode, Monitor, loaded

__all__ = ["EarlyStopping"]


@final
class EarlyStopping(Callback):
    """Stop when a quantity has not improved for some epochs, and restore the best parameters.

    However the training ends (by this or another callback, by Ctrl-C, or at its last epoch), the network gets
    the parameters and the running state of the best epoch (Prechelt 1998, Early stopping, but when?,
    section 1). The optimizer's state stays that of the last epoch.

    Args:
        monitor: the quantity, a column of the history.
        patience: the number of consecutive epochs without improvement after which to stop, at least 1.
        min_delta: the smallest change that counts as an improvement, >= 0.
        mode: "min" or "max", which is better; "auto" minimizes losses and errors, and maximizes others.
        restore_best: whether to restore the best parameters.

    Attributes:
        best_epoch: the number of the best epoch of the last training, from 1; 0 before any.
        stopped_epoch: the epoch after which the callback stopped the last training; 0 if it did not.

    Raises:
        TypeError: if an argument is of the wrong type.
        ValueError: if a number is out of range; in training, if the quantity does not exist.

    Example:
        >>> import numpy as np
        >>> from portnn.network import Network
        >>> from portnn.nn import Linear
        >>> from portnn.train.callbacks import EarlyStopping
        >>> x, y = np.eye(4, dtype=np.float32), np.asarray([0, 1, 0, 1])
        >>> net, stop = Network([Linear(4, 2)]), EarlyStopping("loss", patience=2, min_delta=10.0)
        >>> history = net.fit(x, y, epochs=100, callbacks=[stop])
        >>> len(history["loss"]), stop.best_epoch, stop.stopped_epoch
        (3, 1, 3)
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        *,
        patience: int = 5,
        min_delta: float = 0.0,
        mode: Mode = "auto",
        restore_best: bool = True,
    ) -> None:
        self._monitor = Monitor("EarlyStopping", monitor, mode, min_delta)
        self.monitored = monitor
        self._patience = check_whole("EarlyStopping", "patience", patience, 1)
        self._restore = check_flag("EarlyStopping", "restore_best", restore_best)
        self.best_epoch = 0
        self.stopped_epoch = 0
        self._best: tuple[Any, Any] | None = None  # parameters and running state

    def on_train_begin(self, state: NetState) -> None:
        """Reset."""
        self._monitor.reset()
        self.best_epoch = self.stopped_epoch = 0
        self._best = None

    def state_dict(self) -> dict[str, Any]:
        """Return the counters, and the best parameters and running state."""
        best = {} if self._best is None else dict(zip(("params", "state"), self._best, strict=True))
        numbers = {"best_epoch": self.best_epoch, "stopped_epoch": self.stopped_epoch}
        return {**numbers, "best": self._monitor.state_dict(), **best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""
        self._monitor.load_state_dict(state["best"])
        self.best_epoch = loaded(state["best_epoch"], int)
        self.stopped_epoch = loaded(state["stopped_epoch"], int)
        if self._restore and "params" in state:
            self._best = state["params"], state["state"]

    def on_epoch_end(self, epoch: Epoch) -> bool:
        """Compare the epoch with the best one; return whether to stop."""
        if self._monitor.better(epoch):
            self.best_epoch = epoch.number
            if self._restore:
                self._best = epoch.model.params, epoch.model.state
            return False
        if epoch.number - self.best_epoch >= self._patience:
            self.stopped_epoch = epoch.number
            return True
        return False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._best is not None and (kind is None or issubclass(kind, KeyboardInterrupt)):
            self.model.restore(*self._best)
        self._best = None
