"""Training a model: what `Network` adds to `Model` first."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from operator import index
from typing import Any, Self

from portnn import optim
from portnn._typing import Array, ArrayLike, Tree
from portnn.compile import Loop, Precision, check_precision
from portnn.losses import Task, link_of
from portnn.network._fitted import Fitted, going_on
from portnn.network._measures import count_right, score_of
from portnn.network._model import Model
from portnn.network._options import adapted, check_callbacks, check_columns, check_fit, check_pair
from portnn.network._planning import loop_or_reason
from portnn.network._recorder import Recorder
from portnn.network._samples import check_split, split_off, weigh_classes
from portnn.optim import Optimizer
from portnn.train import (
    Callback,
    Dataset,
    DivergenceError,
    Epoch,
    Guard,
    History,
    Part,
    Plan,
    Progress,
    Snapshot,
    count_steps,
    make_step,
    run_epochs,
    run_planned_epochs,
)

__all__ = ["Trainable"]

_LOOK = 32  # steps between looks at the loss where looking makes an accelerator wait


class Trainable(Model):
    """A model that learns from data; the base of `Network`."""

    def fit(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        epochs: int = 10,
        batch_size: int | None = 64,
        optimizer: Optimizer | None = None,
        shuffle: bool = True,
        sample_weight: ArrayLike | None = None,
        class_weight: Mapping[int, float] | str | None = None,
        validation_data: tuple[ArrayLike, ...] | None = None,
        validation_split: float = 0.0,
        accumulate: int = 1,
        callbacks: Iterable[Callback] = (),
        progress: Any = None,
        compile: bool = True,
        threads: int | None = None,
        precision: Precision = "float32",
        penalty: Callable[[Tree, Any], Array] | None = None,
        resume: str | os.PathLike[str] | None = None,
    ) -> History:
        """Train, going on from the parameters that the network has.

        Args:
            x: inputs (n, ...): floating point, or integers such as pixels for a network that begins with
                `portnn.Rescale`. They are moved to the backend once, in their own dtype.
            y: integer labels (n,) or rows of probabilities (n, classes); 0 or 1 for each label (n, labels);
                or values of the shape of the output, as the loss demands.
            epochs: how often to go through the data.
            batch_size: samples a step; None for all of them.
            optimizer: one of `portnn.optim`; by default ``adam(0.001)``. Its state begins anew.
            shuffle: whether each epoch has an order of its own, drawn from the network's seed.
            sample_weight: weights (n,) of the samples in the loss, which is their weighted mean, and in the
                accuracy.
            class_weight: a weight for each class, ``{0: 1.0, 1: 5.0}``, by which those of its samples are
                multiplied; 1 for a class that is not named. "balanced" weighs each class alike as a whole.
            validation_data: ``(x, y)`` or ``(x, y, sample_weight)`` to evaluate after each epoch, as
                "val_loss" and "val_accuracy".
            validation_split: in place of them, the share of the samples to hold out: the last, so
                shuffle data that are sorted.
            accumulate: in how many parts to work through each batch, for batches that do not fit into
                memory as a whole. Up to rounding, the numbers are those of the whole batch for losses that
                are a mean over samples; layers with batch statistics see a part at a time, and those that
                draw random numbers draw others.
            callbacks: functions of a `portnn.Epoch`, called after each; True stops the training. See
                `portnn.train.callbacks`.
            progress: True for a bar (tqdm), False for none, None for a bar if someone is looking. Or an
                object of your own, whose ``step(count)`` is told of steps, first of all of those done before,
                and whose ``epoch(number, total, logs)`` of epochs.
            compile: whether the step is written down once and then carried out as a plan, which gives the
                same bits sooner on NumPy and CuPy. What runs in a step, such as a print in a loss, then
                runs once. Where that cannot be, as with an ``if`` on a value, a `PlanWarning` says why and
                each step is carried out as it stands; so it is with False, for debugging.
            threads: threads of NumPy's products while a plan trains. By default one if they are small,
                which is faster, and otherwise as many as are allowed.
            precision: of products of float32 matrices on CuPy while a plan trains: "float32" means that;
                "tf32" and "bfloat16" round the factors, which tensor cores multiply faster.
            penalty: what is added to the loss of each batch: a function of the parameters and of how many
                samples the batch has (the sum of their weights if they have some) that returns a number,
                such as ``lambda params, n: 1e-4 * ops.sum(ops.square(params[0]["weight"]))``.
            resume: a checkpoint of `portnn.train.callbacks.Checkpoint`, or the folder of them, to go on from
                with the bits of a training that was never stopped. Everything else is given again as it was;
                `epochs` counts those before too. The seed is that of the checkpoint.

        Returns:
            The history: "loss", "accuracy" (classes and labels), and those of the validation data, an
            entry for each epoch. Its attribute ``plan`` says what a step was carried out as.

        Raises:
            TypeError: if data or options are of the wrong type.
            ValueError: if shapes, labels or numbers are wrong; the network is then as it was.
            FileNotFoundError: if there is nothing to resume from.
            CheckpointError: if what is to be resumed is damaged, or was trained with something else.
            DivergenceError: if the loss stops being finite; the network keeps the last good parameters.
        """
        options = (epochs, batch_size, optimizer, shuffle, progress, compile, threads, accumulate)
        epochs, batch_size = check_fit(*options)
        check_precision(precision, self.backend.xp)
        split = check_split(validation_split, validation_data)
        told = check_callbacks(callbacks)
        data = self._dataset(x, y, sample_weight)
        held_out = None if validation_data is None else self._held_out(validation_data)
        if split:
            data, held_out = split_off(data, split)
        if class_weight is not None:
            classes = self._forward(data.x[:1, ...]).shape[-1]
            data = weigh_classes(data, class_weight, classes, self.loss, self.dtype)
        columns = self._columns(held_out is not None)
        check_columns(told, columns)
        optimizer = adapted(optim.adam(0.001) if optimizer is None else optimizer, told)
        moments = optimizer.init(self.params)
        self._sample_shape = tuple(data.x.shape[1:])
        plan = Plan(epochs, batch_size, shuffle, self.seed, self.epochs, self.steps)
        recorder = Recorder(self, data, plan, index(accumulate), told, columns)
        if resume is not None:
            from portnn.network._resume import go_on, read_training  # not every training goes on from another
        found = None if resume is None else read_training(recorder, resume, moments)
        recorder.begin(found is not None)
        with ExitStack() as stack:
            stack.enter_context(self.backend.activate())
            for callback in told:
                if hasattr(type(callback), "__enter__"):
                    stack.enter_context(callback)
            start = Snapshot(self.params, self.state, moments)
            if found is not None:
                go_on(recorder, found)
                start, self.seed = found.snapshot, found.plan.seed
                self._adopt(start, optimizer)
                self.epochs, self.steps = found.trained
            if found is None or not found.over:
                bar = stack.enter_context(Progress(count_steps(data.size, batch_size, epochs), progress))
                step = self._step(optimizer, moments, index(accumulate), penalty)
                loop: Loop | str = "eager: compile=False"
                if compile:
                    args = (step, start, data, recorder.plan, self._measure(), threads, precision)
                    loop = loop_or_reason(*args, numbered=self.layer.draws)
                if not isinstance(loop, str):
                    stack.enter_context(loop.limits())
                logs = self._train(step, start, data, recorder, optimizer, bar, loop)
                self._watch(logs, held_out, recorder, told, bar)
                recorder.history.plan = loop if isinstance(loop, str) else loop.explain()
        return recorder.history

    def _watch(
        self, epochs: Iterator[dict[str, float]], held_out: Dataset | None, recorder: Recorder,
        told: list[Callback], bar: Progress,
    ) -> None:  # fmt: skip
        """Go through the epochs, and tell everyone of each."""
        plan = recorder.plan
        bar.step(plan.done * recorder.steps + plan.part.step)
        for number, logs in enumerate(epochs, plan.done + 1):
            if held_out is not None:
                logs |= {f"val_{name}": value for name, value in self._evaluate(held_out).items()}
            recorder.history.record(logs)
            bar.epoch(number, plan.epochs, logs)
            epoch = Epoch(number, plan.epochs, logs, self)
            ended = True in [callback(epoch) for callback in told]
            assert self._fitted is not None, "an epoch was trained"
            recorder.pause(self._present(self._fitted), number, Part(), ended=ended)
            if ended:
                break

    def partial_fit(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        optimizer: Optimizer | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Take one step on one batch, going on with the optimiser's state.

        Args:
            x: inputs, as for `fit`.
            y: targets, as for `fit`.
            optimizer: one of `portnn.optim`; by default the last one, or ``adam(0.001)``. A new one begins
                with a new state. A network that was pickled has kept the state, and is given the optimiser
                again.
            sample_weight: weights of the samples.

        Returns:
            The network itself.

        Raises:
            TypeError: as for `fit`.
            ValueError: as for `fit`.
            DivergenceError: if the loss is not finite; the network is then as it was.
        """
        check_fit(1, None, optimizer, False, False, False, None)
        data = self._dataset(x, y, sample_weight)
        before = self._fitted
        optimizer, start = going_on(self, optimizer)
        plan = Plan(1, None, False, self.seed, self.epochs, self.steps)
        step = self._step(optimizer, start.moments, 1)
        recorder = Recorder(self, data, plan, 1, (), ())
        with self.backend.activate(), Progress(1, False) as bar:
            try:
                for _ in self._train(step, start, data, recorder, optimizer, bar, ""):
                    self.epochs -= 1  # a step on one batch is no epoch
            except DivergenceError:
                self._fitted = before
                raise
        return self

    def _held_out(self, pair: Any) -> Dataset:
        """The validation data, checked before the first step."""
        x, y, weight = check_pair(pair)
        try:
            return self._dataset(x, y, weight)
        except (TypeError, ValueError) as error:
            raise type(error)(f"validation_data: {str(error)[:270]}") from None

    def _train(
        self, step: Any, start: Snapshot, data: Dataset, recorder: Recorder, optimizer: Optimizer,
        bar: Progress, loop: Loop | str,
    ) -> Iterator[dict[str, float]]:  # fmt: skip
        """Train, and after each epoch take over the parameters and yield its values."""
        guard = Guard(1 if self.backend.on_host else _LOOK)
        measure = self._measure()

        def resume(now: Snapshot) -> Snapshot:
            """What callbacks left behind: nobody else has touched it."""
            return now if self._fitted is None else self._present(self._fitted)

        told: dict[str, Any] = {"progress": bar, "resume": resume, "pause": recorder.pause}
        if isinstance(loop, str):
            epochs = run_epochs(step, start, data, recorder.plan, guard, measure=measure, **told)
        else:
            counted = measure is not None
            epochs = run_planned_epochs(loop, data, recorder.plan, guard, counted=counted, **told)
        try:
            for now, logs in epochs:
                self._adopt(now, optimizer)
                self.epochs += 1
                self.steps += recorder.steps
                yield logs
        except DivergenceError:
            if guard.good is not None:
                self._adopt(guard.good, optimizer)
            raise

    def _measure(self) -> Any:
        """What counts the right predictions of a batch; None where that has no meaning."""
        return None if self.task is Task.VALUES else partial(count_right, task=self.task)

    def _step(self, optimizer: Optimizer, moments: Tree, parts: int, penalty: Any = None) -> Any:
        """A step of training."""
        scaled = optim.loss_scale(moments) is not None
        options = {"parts": parts, "scaled": scaled, "penalty": penalty}
        return make_step(self.layer, self.loss, optimizer, self.seed, **options)

    def _adopt(self, now: Snapshot, optimizer: Optimizer) -> None:
        """Take over what training made; of parameters that are averaged, show the averages."""
        average = optim.ema_params(now.moments)
        self.params, self.state = now.params if average is None else average, now.state
        self._fitted = Fitted(optimizer, now.moments, now.params)

    def _columns(self, validated: bool) -> list[str]:
        """The names of the values of an epoch."""
        names = ["loss"] if self.task is Task.VALUES else ["loss", "accuracy"]
        return names + [f"val_{name}" for name in names] if validated else names

    def _evaluate(self, data: Dataset) -> dict[str, float]:
        """The loss and, for classes and labels, the accuracy."""
        predictions = self._forward(data.x)
        with self.backend.activate():
            options = {} if data.weight is None else {"sample_weight": data.weight}
            logs = {"loss": float(self.loss(predictions, data.y, **options))}
            if self.task is not Task.VALUES:
                shown = link_of(self.loss)(predictions)
                logs["accuracy"] = score_of(predictions, shown, data.y, self.task, data.weight)
        return logs
