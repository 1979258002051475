"""Callbacks: the hooks of a training and their arguments."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from inspect import CO_VARARGS
from types import FunctionType, TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self, final

from portnn.train._state import NetState

if TYPE_CHECKING:
    from portnn.network import Network

__all__ = ["Callback", "CheckpointEvent", "Epoch", "as_callbacks", "may_add_logs", "overrides"]


@final
@dataclass(frozen=True)
class CheckpointEvent:
    """A point of a training at which a checkpoint can be written.

    Attributes:
        epoch: the number of completed epochs of this training.
        total: the number of epochs to train.
        step: the number of completed steps of the current epoch; 0 after an epoch.
        steps: the number of steps per epoch.
        number: the number of steps that the network has been trained for in total.
        ended: whether a callback stopped the training.
        loss: the loss of the last step; None after an epoch.
        save: writes a checkpoint to a file.
    """

    epoch: int
    total: int
    step: int
    steps: int
    number: int
    ended: bool
    loss: float | None
    save: Callable[[str | os.PathLike[str]], None]


@final
@dataclass(frozen=True)
class Epoch:
    """The end of an epoch.

    Attributes:
        number: the number of the epoch in this training, from 1.
        total: the number of epochs to train.
        logs: the metrics of this epoch, such as ``{"loss": 0.3, "accuracy": 0.9, "val_loss": 0.4}``. A
            callback may add numbers: later callbacks and the history see them.
        model: the network, with its current parameters.
        checkpoint: the event from which `Checkpoint` writes; only callbacks with ``runs_last`` get one.
    """

    number: int
    total: int
    logs: dict[str, float]
    model: Network
    checkpoint: CheckpointEvent | None = None


class Callback:
    """The base class of callbacks: override the hooks that you need; the others do nothing.

    A training calls ``__enter__``, `on_train_begin`, `load_state_dict` (only if it is resumed), then for each
    epoch `on_epoch_begin`, `on_step`, `on_epoch_end`, then `on_train_end` and ``__exit__``. After an error
    or Ctrl-C, only ``__exit__`` is called. Callbacks are called in the order of the list. Training
    continues from parameters and state that a callback sets on ``self.model`` in `on_epoch_end`; setting
    them in an earlier hook raises a ValueError. A new loss, layer or seed takes effect in the next training.

    A method whose name begins with ``on_`` but is not a hook raises a TypeError when the class is defined.

    Attributes:
        model: the network while it trains; None otherwise.
        resumed: whether the training continues from a checkpoint.
        every_steps: `on_step` is called after each multiple of this number of steps; None disables it.
        monitored: the log that the callback monitors, if any; `fit` checks first that it will exist.
        scales_learning_rate: whether the callback changes the learning rate; `fit` then wraps the optimizer
            in `portnn.optim.adjustable`.
        runs_last: whether `on_step` and `on_epoch_end` are called after those of all other callbacks, and
            `on_epoch_end` after the history has recorded the epoch. Set it in callbacks that write
            checkpoints, so that these have the state of the others.

    Example:
        >>> import numpy as np
        >>> import portnn as pn
        >>> class Norm(pn.train.Callback):
        ...     def on_epoch_end(self, epoch):
        ...         weight = self.model.params[0]["weight"]
        ...         epoch.logs["norm"] = float(np.linalg.norm(weight))
        >>> x, y = np.eye(4, dtype=np.float32), np.asarray([0, 1, 0, 1])
        >>> history = pn.Network([pn.Linear(4, 2)]).fit(x, y, epochs=3, callbacks=[Norm()], progress=False)
        >>> len(history["norm"])
        3
    """

    model: Network = None  # type: ignore[assignment]  # between trainings
    resumed: bool = False
    every_steps: int | None = 1
    monitored: str | None = None
    scales_learning_rate: ClassVar[bool] = False
    runs_last: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in vars(cls):
            _check_hook(cls, name)

    def on_train_begin(self, state: NetState) -> None:
        """Run at the start of a training; reset the state of an earlier one.

        Args:
            state: the network at the start, or from the checkpoint.
        """

    def on_epoch_begin(self, epoch: int) -> None:
        """Run before an epoch.

        Args:
            epoch: its number, from 1.
        """

    def on_step(self, step: CheckpointEvent) -> None:
        """Run after every `every_steps` steps. Compiled steps pause here only if this is overridden.

        Args:
            step: the progress of the training; its ``save`` writes a checkpoint. ``self.model`` is still the
                network after the last epoch.
        """

    def on_epoch_end(self, epoch: Epoch) -> object:
        """Run after an epoch.

        Args:
            epoch: its number, its logs and the network.

        Returns:
            True to stop the training after this epoch.
        """
        return None

    def on_train_end(self, history: Mapping[str, list[float]]) -> None:
        """Run after a training that ended without an error.

        Args:
            history: the metrics of all epochs.
        """

    def state_dict(self) -> dict[str, Any]:
        """Return the callback's state for a checkpoint.

        Returns:
            Plain data (numbers, text, lists), which is copied. The keys "params" and "state" may hold trees
            of arrays like those of the network.
        """
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state that `state_dict` returned.

        Args:
            state: the same plain data and arrays.

        Raises:
            ValueError: if the state is invalid.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Clean up; called last, even after an error."""


HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_") or name.endswith("state_dict"))


def _check_hook(cls: type, name: str) -> None:
    """Raise a TypeError for a method that looks like a hook but is not one, or has wrong arguments."""
    if name.startswith("on_") and name not in HOOKS and callable(vars(cls)[name]):
        near = get_close_matches(name, HOOKS, 1) or [", ".join(h for h in HOOKS if h.startswith("on_"))]
        raise TypeError(f"{cls.__name__}.{name} is not a hook of Callback and is never called; use {near[0]}")
    if name in HOOKS and isinstance(vars(cls)[name], FunctionType):
        _check_arguments(cls, name, vars(cls)[name])


def _check_arguments(cls: type, name: str, method: FunctionType) -> None:
    """Raise a TypeError for a hook that cannot be called with its argument, or has a parameter `logs`."""
    wanted = getattr(Callback, name).__code__
    names = method.__code__.co_varnames[: method.__code__.co_argcount]
    needed = len(names) - len(method.__defaults__ or ())
    takes = len(names) if not method.__code__.co_flags & CO_VARARGS else wanted.co_argcount
    if (
        needed > wanted.co_argcount
        or takes < wanted.co_argcount
        or (name == "on_epoch_end" and "logs" in names)
    ):
        arguments = ", ".join(wanted.co_varnames[: wanted.co_argcount])
        hint = "; the logs are epoch.logs" if name == "on_epoch_end" else ""
        got = ", ".join(names)
        raise TypeError(
            f"{cls.__name__:.60}.{name}: expected the arguments ({arguments}), got ({got:.80}){hint}"
        )


@final
class _FunctionCallback(Callback):
    """A callback that calls a plain function of an `Epoch`."""

    def __init__(self, function: Callable[[Epoch], object]) -> None:
        self._function = function

    def on_epoch_end(self, epoch: Epoch) -> object:
        return self._function(epoch)


def overrides(callback: Callback, name: str) -> bool:
    """Return whether a callback overrides a hook."""
    return getattr(type(callback), name) is not getattr(Callback, name)


def may_add_logs(callback: Callback) -> bool:
    """Return whether a callback is user-defined, and so may add logs."""
    own = type(callback).__module__.startswith("portnn.train.")
    return isinstance(callback, _FunctionCallback) or not own


def as_callbacks(given: Any) -> list[Callback]:
    """Convert a list of callbacks and functions of an `Epoch` to callbacks.

    Raises:
        TypeError: if it is not a list of them.
    """
    if not isinstance(given, Iterable) or isinstance(given, str | Mapping):
        raise TypeError(
            "fit: callbacks must be a list of callbacks or functions of an Epoch, "
            f"got {type(given).__name__}; write [callback]"
        )
    return [_as_callback(item) for item in given]


def _as_callback(item: Any) -> Callback:
    if isinstance(item, Callback):
        return item
    if isinstance(item, type):
        raise TypeError(f"fit: got the class {item.__name__} as a callback; write {item.__name__}(...)")
    if odd := [name for name in (*HOOKS, "__enter__") if hasattr(item, name)]:
        raise TypeError(
            f"fit: the callback {type(item).__name__} has {odd[0]} but is not a portnn.train.Callback; "
            "make it a subclass"
        )
    if not callable(item):
        raise TypeError(
            f"fit: callbacks must be a list of callbacks or functions of an Epoch, got {type(item).__name__} "
            "in it"
        )
    return _FunctionCallback(item)
