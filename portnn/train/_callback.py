"""Callbacks: what is called at the events of a training, and what it is given."""

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
        epoch: how many epochs of this training are done.
        total: how many epochs there are to be.
        step: how many steps of the present epoch are done; 0 after an epoch.
        steps: how many steps an epoch has.
        number: how many steps the network has been trained for in its life.
        ended: whether a callback stopped the training.
        loss: the loss of the last step; None after an epoch.
        save: writes everything that is needed to continue from here to a file.
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
        number: the number of the epoch, counted from 1 within this training.
        total: how many epochs there are to be.
        logs: the values of this epoch, such as ``{"loss": 0.3, "accuracy": 0.9, "val_loss": 0.4}``. A
            callback may add numbers: later callbacks and the history see them.
        model: the network, with its parameters as they are now.
        checkpoint: the event from which `Checkpoint` writes; only callbacks with ``runs_last`` are given one.
    """

    number: int
    total: int
    logs: dict[str, float]
    model: Network
    checkpoint: CheckpointEvent | None = None


class Callback:
    """The base class of callbacks: override the methods that you need; the others do nothing.

    A training calls them in this order: ``__enter__``, `on_train_begin`, `load_state_dict` (of a training
    that is resumed), then for each epoch `on_epoch_begin`, `on_step`, `on_epoch_end`, then `on_train_end` and
    ``__exit__``. Only ``__exit__`` is called after an error or Ctrl-C. Callbacks are called in the order of
    the list. Parameters and state that a callback sets on ``self.model`` in `on_epoch_end` count: training
    continues from there. To set them earlier in a training raises a ValueError. Another loss, layer or seed
    counts from the next training on.

    A method whose name begins with ``on_`` but is not a hook raises a TypeError when the class is defined.

    Attributes:
        model: the network while it trains; None otherwise.
        resumed: whether the training continues from a checkpoint.
        every_steps: `on_step` is called after each multiple of this number of steps; None turns it off.
        monitored: the log that the callback watches, if any; `fit` checks first that there will be one.
        scales_learning_rate: whether the callback changes the learning rate; the optimizer is then made
            `portnn.optim.adjustable`.
        runs_last: whether `on_step` and `on_epoch_end` are called after those of all other callbacks, and the
            latter after the history has the epoch. What writes checkpoints should, so that they have what
            the others remember.

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
        """Begin: forget an earlier training.

        Args:
            state: the network as the training begins, or as the checkpoint has it.
        """

    def on_epoch_begin(self, epoch: int) -> None:
        """An epoch begins.

        Args:
            epoch: its number, counted from 1.
        """

    def on_step(self, step: CheckpointEvent) -> None:
        """A step is done, or `every_steps` steps. Compiled steps pause here only if this is overridden.

        Args:
            step: where the training stands; its ``save`` writes a checkpoint. ``self.model`` still is the
                network after the last epoch.
        """

    def on_epoch_end(self, epoch: Epoch) -> object:
        """An epoch ended.

        Args:
            epoch: its number, its logs and the network.

        Returns:
            True to stop the training after this epoch.
        """
        return None

    def on_train_end(self, history: Mapping[str, list[float]]) -> None:
        """The training ended without an error.

        Args:
            history: the values of all epochs.
        """

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must know of the callback.

        Returns:
            Plain data (numbers, text, lists), which is copied. Under the keys "params" and "state" there may
            be trees of arrays like those of the network.
        """
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` returned.

        Args:
            state: the same plain data and arrays.

        Raises:
            ValueError: if it cannot be such a state.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Clean up; called last, also after an error."""


HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_") or name.endswith("state_dict"))


def _check_hook(cls: type, name: str) -> None:
    """Raise a TypeError for a method that looks like a hook but is never called, or not in that way."""
    if name.startswith("on_") and name not in HOOKS and callable(vars(cls)[name]):
        near = get_close_matches(name, HOOKS, 1) or [", ".join(h for h in HOOKS if h.startswith("on_"))]
        raise TypeError(f"{cls.__name__}.{name} is not a hook of Callback and is never called; use {near[0]}")
    if name in HOOKS and isinstance(vars(cls)[name], FunctionType):
        _check_arguments(cls, name, vars(cls)[name])


def _check_arguments(cls: type, name: str, method: FunctionType) -> None:
    """Raise a TypeError for a hook that cannot be called with its argument, or waits for logs beside it."""
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
    """A plain function of an `Epoch` as a callback."""

    def __init__(self, function: Callable[[Epoch], object]) -> None:
        self._function = function

    def on_epoch_end(self, epoch: Epoch) -> object:
        return self._function(epoch)


def overrides(callback: Callback, name: str) -> bool:
    """Return whether a callback has a method of its own under a hook's name."""
    return getattr(type(callback), name) is not getattr(Callback, name)


def may_add_logs(callback: Callback) -> bool:
    """Return whether a callback is not portnn's own, and so may write to the logs of an epoch."""
    own = type(callback).__module__.startswith("portnn.train.")
    return isinstance(callback, _FunctionCallback) or not own


def as_callbacks(given: Any) -> list[Callback]:
    """Return callbacks and functions of an `Epoch` as callbacks.

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
