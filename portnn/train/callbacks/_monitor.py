"""Track the best value of a log; shared checks of callbacks."""

from __future__ import annotations

from math import inf, isfinite
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar, get_args

from portnn.train._callback import Epoch

__all__ = ["Mode", "Monitor", "check_folder", "loaded"]

Mode: TypeAlias = Literal["auto", "min", "max"]
"""Which is better; "auto" minimizes losses and errors, and maximizes others."""

_LESS = ("loss", "error", "mse", "mae", "rmse")


class Monitor:
    """The best value of a quantity so far.

    Args:
        who: the callback, for messages.
        name: the quantity.
        mode: which is better.
        min_delta: the smallest change that counts as an improvement, >= 0.
    """

    def __init__(self, who: str, name: str, mode: Mode, min_delta: float) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{who}: monitor must be the name of a column, got {type(name).__name__}")
        if mode not in get_args(Mode):
            raise ValueError(f"{who}: mode must be 'auto', 'min' or 'max', got {mode!r:.40}")
        if isinstance(min_delta, bool) or not isinstance(min_delta, int | float):
            raise TypeError(f"{who}: min_delta must be a number, got {type(min_delta).__name__}")
        if not 0.0 <= min_delta < inf:
            raise ValueError(f"{who}: min_delta must be finite and >= 0, got {min_delta}")
        self._who = who
        self._name = name
        self._less = mode == "min" or (mode == "auto" and name.endswith(_LESS))
        self._min_delta = float(min_delta)
        self.reset()

    def reset(self) -> None:
        """Reset the best value."""
        self.best = inf if self._less else -inf

    def state_dict(self) -> float | None:
        """Return the best value as plain data; None before any."""
        return self.best if isfinite(self.best) else None

    def load_state_dict(self, best: Any) -> None:
        """Restore the state that `state_dict` returned."""
        self.reset()
        if best is not None:
            self.best = loaded(best, float)

    def better(self, epoch: Epoch) -> bool:
        """Return whether the value of an epoch beats the best, and record it if so.

        Raises:
            ValueError: if the epoch has no such log.
        """
        if self._name not in epoch.logs:
            known = ", ".join(map(str, epoch.logs))
            hint = "; pass fit validation_data" if self._name.startswith("val_") else ""
            raise ValueError(
                f"{self._who}: there is no log {self._name!r:.60} to watch, only {known:.80}{hint}"
            )
        value = float(epoch.logs[self._name])
        margin = -self._min_delta if self._less else self._min_delta
        beats = value < self.best + margin if self._less else value > self.best + margin
        if isfinite(value) and beats:
            self.best = value
            return True
        return False


K = TypeVar("K", int, float, str)


def loaded(value: Any, kind: type[K]) -> K:
    """Return a value of a callback's state in a checkpoint, checked.

    Raises:
        ValueError: if it is invalid.
    """
    wrong = isinstance(value, bool) or not isinstance(value, (int, float) if kind is float else kind)
    if wrong or (kind is int and value < 0):
        raise ValueError(f"expected a number or text of a callback's state, got {value!r:.40}")
    return kind(value)


def check_folder(who: str, path: str) -> None:
    """Check before the training that a folder exists."""
    folder = Path(path).parent
    if "{" not in str(folder) and not folder.is_dir():
        raise FileNotFoundError(f"{who}: there is no folder {str(folder)[-120:]!r}; make it first")
