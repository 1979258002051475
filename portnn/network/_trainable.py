"""Training a model: what `Network` adds to `Model` first."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from math import isnan
from operator import index
from typing import Any, Self

from portnn import optim
from portnn._typing import Array, ArrayLike, Tree
from portnn.compile import Precision, check_precision
from portnn.losses import Task, link_of
from portnn.network._fitted import going_on
from portnn.network._measures import check_predictions, score_of
from portnn.network._model import Model, activated
from portnn.network._options import adapted, check_callbacks, check_columns, check_fit, check_pair
from portnn.network._recorder import Recorder
from portnn.network._samples import check_split, split_off, weigh_classes
from portnn.network._training import Training
from portnn.optim import Optimizer
from portnn.tracing import Extent, parts_of
from portnn.train import Callback, Dataset, History, Plan, Snapshot

__all__ = ["Trainable"]

_LOOK = 32  # steps between looks at the loss where looking makes an accelerator wait


class Trainable(Model):
    """A model that learns from data; the base of `Network`."""

    @activated
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
                `portnn.Rescale`. They are moved to the backend once, integers in their own dtype. On CuPy,
                NumPy arrays that would take more than half of the GPU's free memory are streamed instead.
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
            precision: of products of float32 matrices on CuPy while a plan trains: "float32" does not round;
                "tf32" and "bfloat16" round the factors, which tensor cores multiply faster. They need a GPU
                of compute capability 8.0 (Ampere) or higher, and raise elsewhere.
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
        check_precision(precision, self.backend.xp, self.backend.device)
        split = check_split(validation_split, validation_data)
        told = check_callbacks(callbacks)
        data, held_out = self._gathered(x, y, sample_weight, validation_data, split)
        if class_weight is not None:
            classes = self._first(Extent(data.x)).shape[-1]
            data = weigh_classes(data, class_weight, classes, self.loss, self.dtype)
        columns = self._columns(held_out is not None)
        check_columns(told, columns)
        optimizer = adapted(optim.adam(0.001) if optimizer is None else optimizer, told)
        self._release()
        start = Snapshot(self.params, self.state, optimizer.init(self.params))
        self._sample_shape = tuple(data.x.shape[1:])
        plan = Plan(epochs, batch_size, shuffle, self.seed, self.epochs, self.steps)
        recorder = Recorder(self, data, plan, index(accumulate), told, columns, optimizer)
        manner = (penalty, progress, compile, threads, precision)
        training = Training(self, recorder, optimizer, held_out, *manner)
        return training.run(start, resume)

    @activated
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
        optimizer, start = going_on(self, optimizer)
        plan = Plan(1, None, False, self.seed, self.epochs, self.steps)
        recorder = Recorder(self, data, plan, 1, (), (), optimizer)
        Training(self, recorder, optimizer).step_once(start)
        return self

    def _gathered(
        self, x: Any, y: Any, sample_weight: Any, validation_data: Any, split: float
    ) -> tuple[Dataset, Dataset | None]:
        """What to learn from, and what to hold out, checked before the first step."""
        data = self._dataset(x, y, sample_weight, streamed=True)
        if validation_data is None:
            return split_off(data, split) if split else (data, None)
        pair = check_pair(validation_data)
        try:
            return data, self._dataset(*pair, streamed=True)
        except (TypeError, ValueError) as error:
            raise type(error)(f"validation_data: {str(error)[:270]}") from None

    def _columns(self, validated: bool) -> list[str]:
        """The names of the values of an epoch."""
        names = ["loss"] if self.task is Task.VALUES else ["loss", "accuracy"]
        return names + [f"val_{name}" for name in names] if validated else names

    def _evaluate(self, data: Dataset, name: str) -> dict[str, float]:
        """Return the loss and, for classes and labels, the accuracy; `name` is the calling method."""
        predictions = self._forward(data.x)
        check_predictions(name, predictions, self.task, self.dtype, raw=True)
        y, weight = self._targets(data)
        options = {} if weight is None else {"sample_weight": weight}
        with parts_of(*zip((data.x, y), data.extents, strict=False)):  # the labels were checked before
            logs = {"loss": float(self.loss(predictions, y, **options))}
        if isnan(logs["loss"]):  # infinite predictions, which are allowed, can cause this
            raise ValueError(
                f"{name}: the loss is NaN, although no prediction is; look for infinite values with "
                "activations(), and scale inputs to about 1 or train with a smaller learning rate"
            )
        if self.task is not Task.VALUES:
            shown = link_of(self.loss)(predictions)
            logs["accuracy"] = score_of(predictions, shown, y, self.task, weight)
        return logs
