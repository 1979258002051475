"""The trainer: one loop of epochs for eager and compiled steps, with validation, callbacks and resume."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import replace
from functools import partial
from math import nan
from numbers import Real
from typing import TYPE_CHECKING, Any, final

from portnn import ops, optim
from portnn._progress import Progress
from portnn.compile import fingerprint
from portnn.ops._indexing import gather
from portnn.train._callback import Callback, CheckpointEvent, Epoch, may_add_logs, overrides
from portnn.train._runners import (
    DivergenceError,
    EagerRunner,
    Measure,
    StepRunner,
    Work,
    all_finite,
    make_runner,
)
from portnn.train._state import ARRAYS, EpochProgress, FitConfig, NetState, Position, Snapshot
from portnn.train._step import Dataset, make_gradient, make_step

if TYPE_CHECKING:
    from portnn.network import Network
    from portnn.train._checkpoint import Resumed, Training

__all__ = ["History", "Trainer"]


@final
class History(Mapping[str, list[float]]):
    """The metrics of a training: for each name, the values after each epoch.

    Args:
        **columns: the initial metrics.

    Attributes:
        plan: a description of how steps were run: the calls of the plan, or why there was none.

    Example:
        >>> history = History()
        >>> history.record({"loss": 2.3, "accuracy": 0.1})
        >>> history.record({"loss": 1.1, "accuracy": 0.6})
        >>> history["loss"], len(history["accuracy"])
        ([2.3, 1.1], 2)
    """

    def __init__(self, **columns: list[float]) -> None:
        self._columns = {name: list(values) for name, values in columns.items()}
        self.plan = ""

    def record(self, logs: Mapping[str, float]) -> None:
        """Append the metrics of an epoch at once, so that an interruption leaves all columns equally long.

        Missing values are NaN.
        """
        epochs, before = max(map(len, self._columns.values()), default=0), self._columns
        self._columns = {
            name: [*before.get(name, [nan] * epochs), float(logs.get(name, nan))]
            for name in {**before, **logs}
        }

    def __getitem__(self, name: str) -> list[float]:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __repr__(self) -> str:
        last = {name: round(values[-1], 4) for name, values in self._columns.items() if values}
        return f"History({max(map(len, self._columns.values()), default=0)} epochs, last: {last})"


@final
class Trainer:
    """Train a network: take a `NetState` and return one.

    After each epoch, `model` gets the state, which callbacks may change.

    Args:
        model: the network to train.
        data: the training data.
        config: the options.
        callbacks: the callbacks.
        validate: returns the metrics on the validation data, or raises a ValueError if a prediction is not
            finite; None without validation data.
        measure: counts the correct predictions of a batch; None without accuracy.

    Attributes:
        history: the metrics of all epochs, including those before a training was resumed.
        columns: the names of the metrics of every epoch.
    """

    def __init__(
        self,
        model: Network,
        data: Dataset,
        config: FitConfig,
        callbacks: Sequence[Callback] = (),
        validate: Callable[[], dict[str, float]] | None = None,
        measure: Measure | None = None,
    ) -> None:
        self.model, self.data, self.config, self.callbacks = model, data, config, callbacks
        self._validate, self._measure = validate, measure
        self.steps = config.steps(data.size)
        columns = ["loss"] if measure is None else ["loss", "accuracy"]
        self.columns = columns if validate is None else [*columns, *(f"val_{name}" for name in columns)]
        self._stateful = [c for c in callbacks if overrides(c, "state_dict")]
        self._pausing = sorted([c for c in callbacks if overrides(c, "on_step")], key=lambda c: c.runs_last)
        self.history = History()
        self._seed = model.net_state.seed  # of the order of batches, for the whole training
        _check_monitored(callbacks, self.columns)

    def fit(self, state: NetState, resume: str | os.PathLike[str] | None = None) -> NetState:
        """Train.

        Args:
            state: the initial state.
            resume: a checkpoint, or a folder of them, to continue from.

        Returns:
            The state after the training.

        Raises:
            FileNotFoundError: if there is no checkpoint to resume from.
            CheckpointError: if a checkpoint is damaged, or of another training.
            DivergenceError: if the training diverges; the model keeps the last good parameters.
        """
        params = state.shown
        start = Snapshot(params, state.state, self.config.optimizer.init(params))
        found = None
        if resume is not None:
            from portnn.train._checkpoint import read_training  # not every training is resumed

            found = read_training(self._training(), state, resume, start)
        position = Position(state.epochs, state.steps) if found is None else found.position
        with ExitStack() as stack:
            for callback in self.callbacks:
                before = callback.model  # None, except in a nested training
                callback.model, callback.resumed = self.model, found is not None
                stack.callback(setattr, callback, "model", before)
                stack.enter_context(callback)
            self._begin(state, found)
            if found is None or not found.over:
                self._train(stack, start if found is None else found.snapshot, position)
            for callback in self.callbacks:
                callback.on_train_end(self.history)
        return self.model.net_state

    def step_once(self, state: NetState, start: Snapshot) -> NetState:
        """Take one step on all data, which is not an epoch.

        Args:
            state: the network.
            start: the arrays before the step.

        Raises:
            DivergenceError: if the loss is not finite; the model is then unchanged.
        """
        with Progress(1, False) as bar:
            runner = EagerRunner(self._work(state, start), start, bar, "one step")
            runner.run(None, state.steps, EpochProgress(), 1)
        new = state.with_arrays(runner.now, self.config.optimizer, steps=state.steps + 1)
        self.model.net_state = new
        return new

    def _training(self) -> Training:
        """Return the properties of the training for checkpoints."""
        from portnn.train._checkpoint import Training  # not every training has checkpoints

        adding = any(map(may_add_logs, self.callbacks))
        return Training(self.config, self.data.size, self.columns, self._stateful, adding)

    def _begin(self, state: NetState, found: Resumed | None) -> None:
        """Notify the callbacks, and set the model to the initial state of the training."""
        if found is not None:
            counts = {"seed": found.seed, "epochs": found.trained[0], "steps": found.trained[1]}
            state = state.with_arrays(found.snapshot, self.config.optimizer, **counts)
        for callback in self.callbacks:
            held = self.model.net_state
            callback.on_train_begin(state)
            self._check_unset(held, callback, "on_train_begin")
        before, self.model.net_state, self._seed = self.model.net_state, state, state.seed
        if found is not None:
            self.history = History(**found.columns)
            try:
                found.load_callbacks(self._stateful)
            except Exception:  # raised again: the network is then unchanged
                self.model.net_state = before
                raise

    def _work(self, state: NetState, start: Snapshot) -> Work:
        """Return the work of the runner, for the initial state of the training."""
        config = self.config
        scaled = optim.loss_scale(start.opt_state) is not None
        options: dict[str, Any] = {"parts": config.accumulate, "scaled": scaled, "penalty": config.penalty}
        step = make_step(make_gradient(state.layer, state.loss, **options), config.optimizer)
        shuffled = config.shuffle and (config.batch_size or self.data.size) < self.data.size
        seed = state.seed if state.layer.draws else None
        parts = (state.layer, state.loss, config.optimizer, config.penalty, self._measure, config.accumulate)
        key = partial(fingerprint, *parts)
        return Work(step, self.data, config.batch_size, shuffled, seed, self._measure, key)

    def _train(self, stack: ExitStack, start: Snapshot, position: Position) -> None:
        """Make the runner, and run the remaining epochs."""
        config, state = self.config, self.model.net_state
        bar = stack.enter_context(Progress(self.steps * config.epochs, config.progress, epochs=config.epochs))
        work = self._work(state, start)
        number = position.first_step + position.done * self.steps + position.progress.step
        bar.step(number - position.first_step)
        with bar.busy("compiling the step"):
            runner = make_runner(work, start, (number, position.progress), bar, stack, config)
        self._epochs(runner, work, position, bar)
        self.history.plan = runner.explain()

    def _epochs(self, runner: StepRunner, work: Work, position: Position, bar: Progress) -> None:
        """Run epochs: steps, validation, callbacks."""
        config, data = self.config, self.data
        weight = None if data.weight is None else data.backend.to_numpy(data.weight)
        for number in range(position.done + 1, config.epochs + 1):
            for callback in self.callbacks:
                held = self.model.net_state
                callback.on_epoch_begin(number)
                self._check_unset(held, callback, "on_epoch_begin")
            epoch = position.first_epoch + number - 1
            order = data.order(self._seed, epoch) if work.shuffled else None
            try:
                progress = self._steps(runner, order, position)
            except DivergenceError:
                # A loss can be finite while parameters are not; those of the last epoch are then kept.
                good = runner.guard.good
                if good is not None and all_finite(good.params):
                    self.model.net_state = self.model.net_state.with_arrays(good, config.optimizer)
                raise
            shares = _shares(data.size, weight, config.batch_size, order)
            self._publish(runner.now)
            position = replace(position, done=number, progress=EpochProgress())
            ended = self._end_epoch(number, _logs(progress, shares), position, bar)
            if ended or number == config.epochs:
                break
            runner.write(self.model.net_state.arrays, position.first_step + number * self.steps)

    def _publish(self, now: Snapshot) -> None:
        """Set the model to the arrays after an epoch."""
        state = self.model.net_state
        counts = {"epochs": state.epochs + 1, "steps": state.steps + self.steps}
        self.model.net_state = state.with_arrays(now, self.config.optimizer, **counts)

    def _steps(self, runner: StepRunner, order: Any, position: Position) -> EpochProgress:
        """Run the remaining steps of an epoch, pausing for callbacks."""
        progress, earlier = position.progress, position.done * self.steps
        first = progress.step
        every = {c.every_steps for c in self._pausing if c.every_steps}
        for stop in _stops(progress.step, self.steps, earlier, every):
            progress = runner.run(order, position.first_step + earlier, progress, stop)
            due = [c for c in self._pausing if c.every_steps and not (earlier + stop) % c.every_steps]
            for callback in due if stop > first else ():
                held = self.model.net_state
                # The state of an earlier callback includes this step.
                callback.on_step(self._event(runner.now, replace(position, progress=progress), ended=False))
                self._check_unset(held, callback, "on_step")
        return progress

    def _end_epoch(self, number: int, logs: dict[str, float], position: Position, bar: Progress) -> bool:
        """Validate, call the callbacks, record the epoch; return whether a callback stops the training."""
        if self._validate is not None:
            logs |= self._validated(number)
        epoch = Epoch(number, self.config.epochs, logs, self.model)
        early = [c for c in self.callbacks if not c.runs_last]
        answers = []
        for callback in early:
            answers.append(callback.on_epoch_end(epoch))
            _check_logs(logs)
        ended = True in answers
        self._renew()
        self.history.record(logs)
        bar.epoch(number, self.config.epochs, logs)
        for callback in self.callbacks:
            if callback.runs_last:
                event = self._event(self.model.net_state.arrays, position, ended=ended)
                ended |= callback.on_epoch_end(replace(epoch, checkpoint=event)) is True
        return ended

    def _check_unset(self, held: NetState, callback: Callback, hook: str) -> None:
        """Check that a callback set no arrays in a hook where they have no effect.

        Raises:
            ValueError: if it did.
        """
        now = self.model.net_state
        if now.params is not held.params or now.state is not held.state:
            raise ValueError(
                f"fit: {type(callback).__name__:.60}.{hook} set parameters or state of the network, which "
                "does not count there; set them in on_epoch_end"
            )

    def _renew(self) -> None:
        """Reset the optimizer's state if a callback removed it, or trained with another optimizer."""
        state, optimizer = self.model.net_state, self.config.optimizer
        if state.opt_state is None or not (state.optimizer is None or state.optimizer is optimizer):
            now = Snapshot(state.params, state.state, optimizer.init(state.params))
            self.model.net_state = state.with_arrays(now, optimizer)

    def _validated(self, number: int) -> dict[str, float]:
        """Return the metrics on the validation data after an epoch."""
        assert self._validate is not None, "called only with validation data"
        try:
            found = self._validate()
        except ValueError as error:
            reason, _, _ = str(error).partition(";")
            raise DivergenceError(
                f"after epoch {number}, {reason}; try a smaller learning rate, or inputs scaled to about 1"
            ) from error
        return {f"val_{name}": value for name, value in found.items()}

    def _event(self, now: Snapshot, position: Position, *, ended: bool) -> CheckpointEvent:
        """Return a checkpoint event; later steps do not change what it writes."""
        progress, state = position.progress, replace(self.model.net_state, seed=self._seed)
        kept = [(type(c).__name__, _copied(c.state_dict())) for c in self._stateful]
        history = dict(self.history)

        def save(path: str | os.PathLike[str]) -> None:
            from portnn.train._checkpoint import write_training  # not every training has checkpoints

            write_training(path, self._training(), state, now, position, history, kept, ended)

        number = position.first_step + position.done * self.steps + progress.step
        loss = progress.losses[-1] if progress.losses else None
        where = (position.done, self.config.epochs, progress.step, self.steps, number)
        return CheckpointEvent(*where, ended, loss, save)


def _check_monitored(callbacks: Sequence[Callback], columns: Sequence[str]) -> None:
    """Check that monitored logs will exist, unless an earlier callback may add them.

    Raises:
        ValueError: if a log will not exist.
    """
    for callback in callbacks:
        name = callback.monitored
        if name is not None and name not in columns:
            hint = "; pass fit validation_data" if name.startswith("val_") else ""
            raise ValueError(
                f"{type(callback).__name__}: there is no log {name!r:.60} to watch, only "
                f"{', '.join(columns)}{hint}"
            )
        if may_add_logs(callback):
            return


def _copied(state: Any) -> Any:
    """Return a copy of a callback's state; arrays are not copied."""
    if not isinstance(state, dict):  # `write_training` raises
        return state
    return {name: value if name in ARRAYS else deepcopy(value) for name, value in state.items()}


def _check_logs(logs: Mapping[str, Any]) -> None:
    """Check the logs that callbacks added.

    Raises:
        TypeError: if a value is not a number, or a name is not text.
    """
    for name, value in logs.items():
        if not isinstance(name, str):
            raise TypeError(f"fit: the name of a log must be text, got {name!r:.60}; write str(...)")
        if not isinstance(value, Real):
            raise TypeError(
                f"fit: the log {name!r:.60} must be a number, got {type(value).__name__}; write float(...)"
            )


def _logs(progress: EpochProgress, shares: list[float]) -> dict[str, float]:
    """Return the metrics of an epoch: weighted means over its samples."""
    total = sum(shares)
    logs = {"loss": sum(v * n for v, n in zip(progress.losses, shares, strict=True)) / total}
    if progress.right is not None:
        logs["accuracy"] = progress.right / total
    return logs


def _shares(count: int, weight: Any, batch_size: int | None, order: Any) -> list[float]:
    """Return the weight of each batch in the mean of an epoch: the sum of its sample weights.

    The weights are NumPy arrays: on an accelerator, each sum would be a kernel launch and a synchronization.
    """
    size = batch_size or count
    if weight is None:
        return [float(min(size, count - start)) for start in range(0, count, size)]
    weight = weight if order is None else gather(weight, order, axis=0)
    return [float(ops.sum(weight[i : min(i + size, count)])) for i in range(0, count, size)]


def _stops(first: int, steps: int, before: int, every: Iterable[int]) -> list[int]:
    """Return the steps after which an epoch pauses, and its last.

    Args:
        first: the number of completed steps.
        steps: the number of steps.
        before: the number of steps before the epoch.
        every: pause after each step whose number is a multiple of one of these.

    Example:
        >>> _stops(0, 10, 100, [4])
        [4, 8, 10]
    """
    if not every:
        return [steps]
    marked = [i for i in range(first + 1, steps) if any((before + i) % k == 0 for k in every)]
    return [*marked, steps]
