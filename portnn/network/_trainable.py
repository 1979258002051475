"""Training a model: what `Network` adds to `Model` first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any, Self
from warnings import warn

from portnn import optim
from portnn._typing import ArrayLike, Tree
from portnn.compile import Loop, PlanWarning, Precision, check_precision, has_loops
from portnn.losses import Task, link_of
from portnn.network._inputs import check_callbacks, check_fit, check_pair
from portnn.network._measures import count_right, score_of
from portnn.network._model import Model
from portnn.optim import Optimizer
from portnn.train import (
    Callback,
    Dataset,
    DivergenceError,
    Epoch,
    Guard,
    History,
    Plan,
    Progress,
    Snapshot,
    count_steps,
    make_step,
    plan_training,
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
        validation_data: tuple[ArrayLike, ArrayLike] | None = None,
        callbacks: Iterable[Callback] = (),
        progress: bool | None = None,
        compile: bool = True,
        threads: int | None = None,
        precision: Precision = "float32",
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
            sample_weight: weights (n,) of the samples in the loss.
            validation_data: ``(x, y)`` to evaluate after each epoch, as "val_loss" and "val_accuracy".
            callbacks: functions of a `portnn.Epoch`, called after each; True stops the training.
            progress: True for a bar (tqdm), False for none, None for a bar if someone is looking.
            compile: whether the step is written down once and then carried out as a plan, which gives the
                same bits sooner on NumPy and CuPy. What runs in a step, such as a print in a loss, then
                runs once. Where that cannot be, as with an ``if`` on a value, a `PlanWarning` says why and
                each step is carried out as it stands; so it is with False, for debugging.
            threads: threads of NumPy's products while a plan trains. By default one if they are small,
                which is faster, and otherwise as many as are allowed.
            precision: of products of float32 matrices on CuPy while a plan trains: "float32" means that;
                "tf32" and "bfloat16" round the factors, which tensor cores multiply faster.

        Returns:
            The history: "loss", "accuracy" (classes and labels), and those of the validation data, an
            entry for each epoch.

        Raises:
            TypeError: if data or options are of the wrong type.
            ValueError: if shapes, labels or numbers are wrong; the network is then as it was.
            DivergenceError: if the loss stops being finite; the network keeps the last good parameters.
        """
        epochs, batch_size = check_fit(epochs, batch_size, optimizer, shuffle, progress, compile, threads)
        check_precision(precision, self.backend.xp)
        told = check_callbacks(callbacks)
        data = self._dataset(x, y, sample_weight)
        held_out = None if validation_data is None else self._held_out(validation_data)
        optimizer = optim.adam(0.001) if optimizer is None else optimizer
        moments = optimizer.init(self.params)
        self._sample_shape = tuple(data.x.shape[1:])
        plan = Plan(epochs, batch_size, shuffle, self.seed, self.epochs, self.steps)
        history = History()
        with ExitStack() as stack:
            stack.enter_context(self.backend.activate())
            bar = stack.enter_context(Progress(count_steps(data.size, batch_size, epochs), progress))
            loop = self._loop(data, plan, optimizer, moments, threads, precision) if compile else None
            if loop is not None:
                stack.enter_context(loop.limits())
            for number, logs in enumerate(self._train(data, plan, optimizer, moments, bar, loop), 1):
                if held_out is not None:
                    logs |= {f"val_{name}": value for name, value in self._evaluate(held_out).items()}
                history.record(logs)
                bar.epoch(number, epochs, logs)
                epoch = Epoch(number, epochs, logs, self)
                if True in [callback(epoch) for callback in told]:
                    break
        return history

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
                with a new state.
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
        before = fitted = self._fitted
        if fitted is None or (optimizer is not None and optimizer is not fitted[0]):
            optimizer = optim.adam(0.001) if optimizer is None else optimizer
            fitted = (optimizer, optimizer.init(self.params))
        optimizer, moments = fitted
        plan = Plan(1, None, False, self.seed, self.epochs, self.steps)
        with self.backend.activate(), Progress(1, False) as bar:
            try:
                for _ in self._train(data, plan, optimizer, moments, bar, None):
                    self.epochs -= 1  # a step on one batch is no epoch
            except DivergenceError:
                self._fitted = before
                raise
        return self

    def _held_out(self, pair: Any) -> Dataset:
        """The validation data, checked before the first step."""
        x, y = check_pair(pair)
        try:
            return self._dataset(x, y)
        except (TypeError, ValueError) as error:
            raise type(error)(f"validation_data: {str(error)[:270]}") from None

    def _train(
        self, data: Dataset, plan: Plan, optimizer: Optimizer, moments: Tree, bar: Progress, loop: Loop | None
    ) -> Iterator[dict[str, float]]:
        """Train, and after each epoch take over the parameters and yield its values."""
        guard = Guard(1 if self.backend.on_host else _LOOK)
        measure = self._measure()
        start = Snapshot(self.params, self.state, moments)
        if loop is None:
            step = make_step(self.layer, self.loss, optimizer, self.seed)
            epochs = run_epochs(step, start, data, plan, guard, measure=measure, progress=bar)
        else:
            counted = measure is not None
            epochs = run_planned_epochs(loop, start, data, plan, guard, counted=counted, progress=bar)
        try:
            for now, logs in epochs:
                self._adopt(now, optimizer)
                self.epochs += 1
                self.steps += count_steps(data.size, plan.batch_size, 1)
                yield logs
        except DivergenceError:
            if guard.good is not None:
                self._adopt(guard.good, optimizer)
            raise

    def _measure(self) -> Any:
        """What counts the right predictions of a batch; None where that has no meaning."""
        return None if self.task is Task.VALUES else partial(count_right, task=self.task)

    def _loop(
        self,
        data: Dataset,
        plan: Plan,
        optimizer: Optimizer,
        moments: Tree,
        threads: int | None,
        precision: Precision,
    ) -> Loop | None:
        """The training as a plan; None without plans for its library, or with a warning."""
        if not has_loops(self.backend.xp):
            return None
        step = make_step(self.layer, self.loss, optimizer, self.seed)
        start = Snapshot(self.params, self.state, moments)
        try:
            return plan_training(step, start, data, plan, self._measure(), threads, precision)
        except (
            TypeError,
            AttributeError,
        ) as error:  # what cannot be written down; if it is a mistake, it shows
            warn(
                f"fit: no plan, so training is slower, with the same numbers: {str(error)[:220]}",
                PlanWarning,
                stacklevel=3,
            )
            return None

    def _adopt(self, now: Snapshot, optimizer: Optimizer) -> None:
        """Take over what training made."""
        self.params, self.state = now.params, now.state
        self._fitted = (optimizer, now.moments)

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
