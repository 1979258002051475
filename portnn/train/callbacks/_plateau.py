"""Reduce the learning rate on a plateau."""

from __future__ import annotations

from typing import Any, final

from portnn.ops._options import check_whole
from portnn.optim import scale_learning_rate
from portnn.train._callback import Callback, Epoch
from portnn.train._state import NetState
from portnn.train.callbacks._monitor import Mode, Monitor, loaded

__all__ = ["ReduceLROnPlateau"]


@final
class ReduceLROnPlateau(Callback):
    """Multiply the learning rate by a factor when a quantity has not improved for some epochs.

    It makes the optimizer `portnn.optim.adjustable`, so the scale is an array in its state and a compiled
    step stays valid. A schedule is scaled as a whole.

    Args:
        monitor: the quantity, a column of the history.
        factor: the factor, between 0 and 1.
        patience: the number of consecutive epochs without improvement before a reduction, at least 1.
        min_delta: the smallest change that counts as an improvement, >= 0.
        mode: "min" or "max", which is better; "auto" minimizes losses and errors, and maximizes others.
        cooldown: the number of epochs after a reduction that do not count.
        min_scale: the lower bound of the product of all factors, >= 0.

    Attributes:
        scale: the product of the factors of the last training, 1.0 before any reduction.

    Raises:
        TypeError: if an argument is of the wrong type.
        ValueError: if a number is out of range; in training, if the quantity does not exist.

    Example:
        >>> import numpy as np
        >>> from portnn.network import Network
        >>> from portnn.nn import Linear
        >>> from portnn.train.callbacks import ReduceLROnPlateau
        >>> x, y = np.eye(4, dtype=np.float32), np.asarray([0, 1, 0, 1])
        >>> slow = ReduceLROnPlateau("loss", factor=0.5, patience=2, min_delta=10.0)
        >>> history = Network([Linear(4, 2)]).fit(x, y, epochs=5, callbacks=[slow])
        >>> slow.scale
        0.25
    """

    scales_learning_rate = True

    def __init__(
        self,
        monitor: str = "val_loss",
        *,
        factor: float = 0.1,
        patience: int = 10,
        min_delta: float = 1e-4,
        mode: Mode = "auto",
        cooldown: int = 0,
        min_scale: float = 0.0,
    ) -> None:
        for name, value in (("factor", factor), ("min_scale", min_scale)):
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TypeError(f"ReduceLROnPlateau: {name} must be a number, got {type(value).__name__}")
        if not 0.0 < factor < 1.0:
            raise ValueError(f"ReduceLROnPlateau: factor must be between 0 and 1, got {factor}; try 0.1")
        if not 0.0 <= min_scale <= 1.0:
            raise ValueError(f"ReduceLROnPlateau: min_scale must be from 0 to 1, got {min_scale}")
        self._monitor = Monitor("ReduceLROnPlateau", monitor, mode, min_delta)
        self.monitored = monitor
        self._factor, self._least = float(factor), float(min_scale)
        self._patience = check_whole("ReduceLROnPlateau", "patience", patience, 1)
        self._cooldown = check_whole("ReduceLROnPlateau", "cooldown", cooldown, 0)
        self.scale = 1.0
        self._waited = self._rest = 0

    def on_train_begin(self, state: NetState) -> None:
        """Reset."""
        self._monitor.reset()
        self.scale = 1.0
        self._waited = self._rest = 0

    def state_dict(self) -> dict[str, Any]:
        """Return the counters; the scale is in the optimizer's state too."""
        counts = {"scale": self.scale, "waited": self._waited, "rest": self._rest}
        return {**counts, "best": self._monitor.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""
        self._monitor.load_state_dict(state["best"])
        self.scale = loaded(state["scale"], float)
        self._waited, self._rest = loaded(state["waited"], int), loaded(state["rest"], int)

    def on_epoch_end(self, epoch: Epoch) -> None:
        """Count epochs without improvement, and reduce the learning rate after too many."""
        better = self._monitor.better(epoch)
        resting, self._rest = self._rest > 0, max(self._rest - 1, 0)
        self._waited = 0 if better or resting else self._waited + 1
        if self._waited >= self._patience:
            self._waited, self._rest = 0, self._cooldown
            self._reduce(epoch)

    def _reduce(self, epoch: Epoch) -> None:
        scale = max(self.scale * self._factor, self._least)
        if scale < self.scale:
            model = epoch.model
            model.optimizer_state = scale_learning_rate(model.optimizer_state, scale / self.scale)
            self.scale = scale
