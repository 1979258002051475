"""`Network`: layers, a loss, a backend and parameters."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar, final

from portnn import losses, optim, tree
from portnn._suggest import with_known_options
from portnn._typing import Array, ArrayLike, Tree
from portnn.backend import Backend, get_backend
from portnn.compile import Precision, check_precision
from portnn.losses import Task, task_of
from portnn.losses._decisions import count_right
from portnn.losses._loss import warn_of_probabilities
from portnn.network._inputs import (
    bring_inputs,
    bring_targets,
    bring_weights,
    check_count,
    check_detached,
    check_fit,
    check_optimizer,
    check_pair,
    check_seed,
    check_split,
    input_shape_of,
    split_off,
    weigh_classes,
    without_ignored,
)
from portnn.network._mistakes import warn_of_weights
from portnn.network._predict import Predictions
from portnn.nn import Layer, Sequential
from portnn.nn._fitting import check_shapes, output_activation
from portnn.nn._matching import expected_of, matched, matched_like, matched_state
from portnn.nn._text import one_line
from portnn.optim import Optimizer
from portnn.random import stream
from portnn.tracing import Extent
from portnn.train import Callback, Dataset, Epoch, FitConfig, History, NetState, Snapshot, Trainer
from portnn.train._callback import as_callbacks

if TYPE_CHECKING:
    from portnn.program._layers import Survey

__all__ = ["Network"]

P = ParamSpec("P")
N = TypeVar("N", bound="Network")
T = TypeVar("T")

_COLUMNS = 100  # of a line of text


def activated(method: Callable[Concatenate[N, P], T]) -> Callable[Concatenate[N, P], T]:
    """Run a method on the network's device; out-of-memory errors then name a remedy."""

    @wraps(method)
    def there(self: N, /, *args: P.args, **options: P.kwargs) -> T:
        with self.backend.activate():
            return method(self, *args, **options)

    return there


@final
class Network:
    """A neural network: layers, a loss that sets its task, and parameters on a backend.

    Inputs may be arrays of any library; results are in the library of the inputs: NumPy in, NumPy out, on
    every backend.

    Args:
        layers: a layer, or a list of layers and activation functions.
        loss: a loss of `portnn.losses`, a `functools.partial` of one that binds options, or a
            `portnn.losses.Loss` of your own. It sets the task: classes, labels, or values.
        backend: "cpu" (NumPy), "gpu" (CuPy), "auto", the name of another library, or a `Backend`.
        seed: the seed of the initial parameters and the order of batches, which are the same on every
            backend; at least 0 and less than 2¹²⁸.
        dtype: "float32" or "float64", the dtype of parameters and of floating-point input.

    Attributes:
        layer: the layers, as one layer.
        loss: the loss.
        backend: the backend.
        seed: the seed.
        dtype: the dtype.
        params: the parameters, a tree of arrays on the backend.
        state: the running state of the layers, likewise.
        epochs: the number of epochs trained so far.
        steps: the number of steps trained so far.
        notes: your own plain data, saved with the network, such as the names of the classes.
        net_state: all of these as one `portnn.train.NetState`.

    Raises:
        TypeError: if an argument is of the wrong type.
        ValueError: if a layer's hyperparameters, `seed` or `dtype` are wrong.
        BackendUnavailableError: if the backend is unavailable; the message says what is missing.

    Example:
        >>> import numpy as np
        >>> from portnn import optim
        >>> from portnn.nn import Linear, tanh
        >>> x = np.asarray([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32)
        >>> y = np.asarray([0, 1, 1, 0])
        >>> net = Network([Linear(2, 8), tanh, Linear(8, 2)], backend="cpu", seed=0)
        >>> history = net.fit(x, y, epochs=100, batch_size=None, optimizer=optim.adam(0.05), progress=False)
        >>> net.predict(x).tolist(), net.score(x, y)
        ([0, 1, 1, 0], 1.0)
    """

    net_state: NetState
    _expected: tuple[Layer | None, Tree]  # shapes and dtypes of a layer's arrays

    @with_known_options
    def __init__(
        self,
        layers: Layer | Sequence[Any],
        *,
        loss: Callable[..., Array] = losses.softmax_cross_entropy,
        backend: str | Backend = "cpu",
        seed: int = 0,
        dtype: str = "float32",
    ) -> None:
        rng, backend = stream(seed, 0), get_backend(backend)
        if dtype not in ("float32", "float64"):
            raise ValueError(f"Network: dtype must be 'float32' or 'float64', got {dtype!r}")
        task_of(loss)
        layer: Layer = layers if isinstance(layers, Layer) else Sequential(layers)
        made = layer.init(rng, dtype), layer.init_state(dtype)
        check_shapes(layer, *made)
        warn_of_probabilities(loss, output_activation(layer))
        params, state = tree.map(backend.asarray, made)
        seed, shape = check_seed(int(seed)), input_shape_of(layer)
        self._hold(NetState(layer, loss, backend, dtype, seed, params, state, sample_shape=shape))
        self._expected = layer, expected_of((params, state))

    @classmethod
    def from_state(cls, state: NetState) -> Self:
        """Return a network with a state.

        Args:
            state: the state, for example `net_state` of another network.

        Example:
            >>> from portnn.nn import Linear
            >>> net = Network([Linear(2, 1)])
            >>> same = Network.from_state(net.net_state)
            >>> same.params is net.params
            True
        """
        network = cls.__new__(cls)
        network._hold(state)
        return network

    def _hold(self, state: NetState) -> None:
        self.net_state = state
        self._expected = None, None
        self._predictions = Predictions()

    def __getstate__(self) -> dict[str, Any]:
        # An optimizer is made of functions; CuPy unpickles arrays on the current GPU.
        state = self.net_state
        return {"net_state": state.moved(state.backend.to_numpy, optimizer=None)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        net_state = state["net_state"]
        self._hold(net_state.moved(net_state.backend.asarray))

    def __copy__(self) -> Self:
        return type(self).from_state(self.net_state)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        with self.backend.activate():
            copied = memo[id(self)] = type(self).from_state(deepcopy(self.net_state, memo))
        return copied

    def _template(self) -> tuple[Tree, Tree]:
        """Return the shapes and dtypes of the layers' parameters and state."""
        if self._expected[0] is not self.layer:
            made = self.layer.init(stream(self.seed, 0), self.dtype), self.layer.init_state(self.dtype)
            self._expected = self.layer, expected_of(tree.map(self.backend.asarray, made))
        params, state = self._expected[1]
        return params, state

    @property
    def layer(self) -> Layer:
        """The layers, as one layer."""
        return self.net_state.layer

    @layer.setter
    def layer(self, layer: Layer) -> None:
        self.net_state = replace(self.net_state, layer=layer, sample_shape=input_shape_of(layer))

    @property
    def loss(self) -> Callable[..., Array]:
        """The loss; it sets the task."""
        return self.net_state.loss

    @loss.setter
    def loss(self, loss: Callable[..., Array]) -> None:
        task_of(loss)
        self.net_state = replace(self.net_state, loss=loss)

    @property
    def dtype(self) -> str:
        """The dtype of the parameters and of floating-point input."""
        return self.net_state.dtype

    @property
    def notes(self) -> dict[str, Any]:
        """Your own plain data, saved with the network."""
        return self.net_state.notes

    @notes.setter
    def notes(self, notes: dict[str, Any]) -> None:
        self.net_state = replace(self.net_state, notes=notes)

    @property
    def backend(self) -> Backend:
        """The backend of the network; `to` moves it."""
        return self.net_state.backend

    @property
    def params(self) -> Tree:
        """The parameters, a tree of arrays on the backend.

        They may be set, for example by a callback, and are checked as by `load_params`. The optimizer's state
        is kept.
        """
        return self.net_state.shown

    @params.setter
    @activated
    def params(self, params: Tree) -> None:
        found = matched("params", params, self._template()[0], self.backend)
        if found is not self.params:  # which may be averages
            self.net_state = replace(self.net_state, params=found, averaged=False)

    @property
    def state(self) -> Tree:
        """The running state of the layers, a tree of arrays on the backend; it may be set like `params`."""
        return self.net_state.state

    @state.setter
    @activated
    def state(self, state: Tree) -> None:
        found = matched_state("state", state, self._template()[1], self.backend)
        self.net_state = replace(self.net_state, state=found)

    @property
    def seed(self) -> int:
        """The seed of all random numbers."""
        return self.net_state.seed

    @seed.setter
    def seed(self, seed: int) -> None:
        stream(seed, 0)  # raises for an invalid seed
        self.net_state = replace(self.net_state, seed=check_seed(int(seed)))

    @property
    def epochs(self) -> int:
        """The number of epochs trained so far."""
        return self.net_state.epochs

    @epochs.setter
    def epochs(self, epochs: int) -> None:
        self.net_state = replace(self.net_state, epochs=check_count("epochs", epochs))

    @property
    def steps(self) -> int:
        """The number of steps trained so far."""
        return self.net_state.steps

    @steps.setter
    def steps(self, steps: int) -> None:
        self.net_state = replace(self.net_state, steps=check_count("steps", steps))

    @property
    def task(self) -> Task:
        """What the network predicts: classes, labels or values; set by its loss."""
        return task_of(self.loss)

    @property
    def sample_shape(self) -> tuple[int, ...] | None:
        """The shape of one sample: that of the last training data, or of the first layer; else None."""
        return self.net_state.sample_shape

    @property
    def optimizer_state(self) -> Tree:
        """The optimizer's state after the last epoch or step; None before any.

        A callback may set it, for example to the result of `portnn.optim.scale_learning_rate`. Arrays of
        other libraries are moved to the backend.

        Raises:
            TypeError: if an array has another kind of dtype.
            ValueError: if it is set before any training, or the structure or a shape differs.
        """
        return self.net_state.opt_state

    @optimizer_state.setter
    @activated
    def optimizer_state(self, state: Tree) -> None:
        before = self.net_state.opt_state
        if before is None:
            raise ValueError("optimizer_state: there is none before the first epoch; set it in a callback")
        found = matched_like("optimizer_state", state, before, self.backend)
        self.net_state = replace(self.net_state, opt_state=found)

    def load_params(
        self, params: Tree, state: Tree | None = None, *, epochs: int | None = None, steps: int | None = None
    ) -> None:
        """Replace the parameters, for example with those of a network trained elsewhere.

        The arrays are checked against the layers, cast to the network's dtype and copied to its backend. The
        optimizer's state is reset. After an error the network is unchanged.

        Args:
            params: a tree like `params`, or a flat mapping such as ``{"0.weight": array}``. The arrays are
                floating-point arrays of any library and precision, or nested lists.
            state: the running state, likewise; its counters are integers, at least 0. None keeps the current
                state.
            epochs: the number of epochs they were trained for, from 0 to below 2³²; None keeps the counter.
            steps: the number of steps, likewise.

        Raises:
            TypeError: if an array has another kind of dtype, `params` is not a tree, or a counter is
                not an integer.
            ValueError: if a name is missing or unknown, a shape differs, or a number is not finite or too
                large for the dtype, or a counter is out of range; the message names the first one.

        Example:
            >>> from portnn.nn import Linear
            >>> net = Network([Linear(2, 1)])
            >>> net.load_params({"0.weight": [[1.0], [2.0]], "0.bias": [0.5]})
            >>> net.params[0]["weight"].tolist(), str(net.params[0]["weight"].dtype)
            ([[1.0], [2.0]], 'float32')
        """
        counts = {"epochs": epochs, "steps": steps}
        new = {k: check_count(f"load_params: {k}", n) for k, n in counts.items() if n is not None}
        self._load("load_params", params, state, copy=True, opt_state=None, optimizer=None, **new)

    def restore(self, params: Tree, state: Tree) -> None:
        """Restore the parameters and the running state that a callback saved, in one assignment.

        They are checked as by `load_params`. The counters and the optimizer's state are kept.

        Args:
            params: an earlier value of `params`.
            state: an earlier value of `state`.

        Raises:
            TypeError: as for `load_params`.
            ValueError: as for `load_params`.
        """
        averaged = {} if params is not self.params else {"averaged": self.net_state.averaged}
        self._load("restore", params, state, copy=False, **averaged)

    @activated
    def _load(self, who: str, params: Tree, state: Tree | None, /, *, copy: bool, **changes: Any) -> None:
        """Replace the parameters and the other given fields in one assignment."""
        wanted, wanted_state = self._template()
        new = {"averaged": False, **changes}
        new["params"] = matched(who, params, wanted, self.backend, copy=copy)
        if state is not None:
            new["state"] = matched_state(f"{who}: state", state, wanted_state, self.backend, copy=copy)
        self.net_state = replace(self.net_state, **new)

    def to(self, backend: str | Backend) -> Self:
        """Move the network to another backend.

        Args:
            backend: a name or a `Backend`.

        Returns:
            The network itself.

        Raises:
            BackendUnavailableError: if the backend is unavailable; the network is then unchanged.
            ValueError: if it lacks the network's dtype; likewise.
        """
        there = get_backend(backend)
        self.net_state = self.net_state.moved(there.asarray, backend=there)
        return self

    def summary(self, input_shape: tuple[int, ...] | None = None, *, depth: int | None = None) -> str:
        """Return a table of the layers: output shapes, numbers of parameters, and costs.

        Members of a container are indented below it and included in its own line. Arithmetic operations,
        memory traffic and peak memory of results are those of one sample, as for `portnn.Program.flops`.

        Args:
            input_shape: the shape of one sample; by default that of the last training data, or of the first
                layer. If unknown, the table has neither shapes nor costs.
            depth: the number of levels of containers to show: 1 for the outermost layers, None for all.

        Returns:
            Several lines of text.

        Raises:
            TypeError: if an argument is of the wrong type.
            ValueError: if the shape does not fit or has more than 33 million numbers, or `depth` is below 1.

        Example:
            >>> from portnn.nn import Linear, relu
            >>> print(Network([Linear(784, 10), relu, Linear(10, 10)]).summary())
            layer             output  parameters   flops
            --------------------------------------------
            Linear(784, 10)   (10,)        7,850  15,690
            Activation(relu)  (10,)            0      10
            Linear(10, 10)    (10,)          110     210
            --------------------------------------------
            7,960 parameters (31.8 kB), float32, on numpy
            a sample: 15,910 flops, 35.3 kB read and written, 80 B of memory
        """
        from portnn.network._inspect import as_text, check_table  # not needed to train

        check_table(input_shape, depth)
        shape = self.sample_shape if input_shape is None else tuple(input_shape)
        return as_text(self.survey(shape), self.backend, self.dtype, depth)

    @activated
    def survey(self, shape: tuple[int, ...] | None) -> Survey:
        """Return the contents of `summary` as data.

        Args:
            shape: the shape of one sample; None leaves outputs and costs unknown.

        Returns:
            An object with ``rows``, one for each layer with its ``path``, ``name``, ``output``,
            ``parameters`` and ``flops``; and the number of ``parameters`` and the ``program`` of the network.

        Raises:
            ValueError: if the shape does not fit.
        """
        from portnn.program._layers import survey  # not needed to train

        return survey(self.layer, self.params, self.state, self.backend, self.dtype, shape)

    def _repr_html_(self) -> str:
        """Return the table of `summary` for notebooks."""
        from portnn.network._inspect import as_html

        loss = getattr(self.loss, "func", self.loss)
        trained = f"{self.epochs:,} epochs" if self.epochs else "not trained"
        title = f"{type(self).__name__}, {getattr(loss, '__name__', type(loss).__name__)}, {trained}"
        return as_html(self.survey(self.sample_shape), self.backend, self.dtype, title)

    @activated
    @with_known_options
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
        callbacks: Iterable[Callback | Callable[[Epoch], object]] = (),
        progress: Any = None,
        compile: bool = True,
        threads: int | None = None,
        precision: Precision = "float32",
        penalty: Callable[[Tree, Any], Array] | None = None,
        resume: str | os.PathLike[str] | None = None,
    ) -> History:
        """Train the network, continuing from its current parameters.

        Args:
            x: inputs (n, ...): floating point, or integers such as pixels for a network that starts with
                `portnn.Rescale`. They are moved to the backend once, integers in their own dtype. On CuPy,
                NumPy arrays that would take more than half of the GPU's free memory are streamed instead.
            y: integer labels (n,) or rows of probabilities (n, classes); 0 or 1 for each label (n, labels);
                or values of the shape of the output, depending on the loss.
            epochs: the number of passes through the data.
            batch_size: samples per step; None for all.
            optimizer: one of `portnn.optim`; by default ``adam(0.001)``. Its state is reset.
            shuffle: whether to shuffle the samples in each epoch, by the network's seed.
            sample_weight: weights (n,) of the samples in the loss, which is their weighted mean, and in the
                accuracy.
            class_weight: factors for the weights of the samples of each class, ``{0: 1.0, 1: 5.0}``; 1 for a
                class that is not listed. "balanced" gives each class the same total weight.
            validation_data: ``(x, y)`` or ``(x, y, sample_weight)`` to evaluate after each epoch, as
                "val_loss" and "val_accuracy".
            validation_split: instead, the fraction of samples to hold out: the last, so shuffle sorted data.
            accumulate: the number of parts of a batch whose gradients are accumulated, for batches that do
                not fit into memory. For losses that are a mean over samples, the result equals that of the
                whole batch up to rounding. Layers with batch statistics see one part at a time.
            callbacks: `portnn.train.Callback` objects or functions of a `portnn.Epoch`, called after each
                epoch; True stops the training. See `portnn.train.callbacks`.
            progress: None or True for a line per epoch on standard error and, on a terminal or in a notebook,
                a bar (tqdm or rich; in notebooks IPython); False for nothing. Or an object with the methods
                ``step(count)`` and ``epoch(number, total, logs)``.
            compile: whether to trace one step and replay it: identical bits, less overhead on NumPy and CuPy.
                Side effects in a step, such as a print in a loss, then happen once. If a step cannot be
                traced, as with an ``if`` on a value, a `PlanWarning` says why and steps run eagerly.
            threads: BLAS threads of NumPy's products in a plan. By default one if they are small, which is
                faster, and otherwise as many as are allowed.
            precision: of float32 matrix products on CuPy in a plan: "float32" does not round; "tf32" and
                "bfloat16" round the factors, which tensor cores multiply faster. They need a GPU of
                compute capability 8.0 (Ampere) or higher, and raise elsewhere.
            penalty: a function of the parameters and the number of samples in a batch (the sum of their
                weights, if any) that returns a number to add to the loss of each batch, such as
                ``lambda params, n: 1e-4 * ops.sum(ops.square(params[0]["weight"]))``.
            resume: a checkpoint of `portnn.train.callbacks.Checkpoint`, or a folder of them, to continue
                from: a resumed run ends with bit-identical weights. Pass everything else as before;
                `epochs` includes the earlier ones. The seed is that of the checkpoint.

        Returns:
            The history: "loss", "accuracy" (classes and labels), and those of the validation data, with an
            entry for each epoch. Its attribute ``plan`` describes how steps were run.

        Raises:
            TypeError: if data or options are of the wrong type.
            ValueError: if shapes, labels or numbers are wrong; the network is then unchanged.
            FileNotFoundError: if there is no checkpoint to resume from.
            CheckpointError: if a checkpoint is damaged, or of another training.
            DivergenceError: if the loss is not finite; the network keeps the last good parameters.
        """
        optimizer = optim.adam(0.001) if optimizer is None else optimizer
        manner = (penalty, compile, threads, precision, progress)
        config = check_fit(FitConfig(epochs, batch_size, shuffle, accumulate, optimizer, *manner))
        check_precision(precision, self.backend.xp, self.backend.device)
        split = check_split(validation_split, validation_data)
        told = as_callbacks(callbacks) if callbacks != () else []
        data, held_out = self._gathered(x, y, sample_weight, validation_data, split)
        if class_weight is not None:
            classes = self._predictions.first(self.net_state, Extent(data.x)).shape[-1]
            data = weigh_classes(data, class_weight, classes, self.loss, self.dtype)
        for name, weights in (("sample_weight", sample_weight), ("class_weight", class_weight)):
            if weights is not None:
                warn_of_weights(name, config.batch_size, data.size)
        if any(callback.scales_learning_rate for callback in told):
            config = replace(config, optimizer=optim.adjustable(optimizer))
        validate = None if held_out is None else partial(self._validate, held_out)
        trainer = Trainer(self, data, config, told, validate, self._measure())
        self._predictions.release()
        trainer.fit(self._shaped(data), resume)
        return trainer.history

    @activated
    @with_known_options
    def partial_fit(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        optimizer: Optimizer | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Take one training step on one batch, continuing with the optimizer's state.

        Args:
            x: inputs, as for `fit`.
            y: targets, as for `fit`.
            optimizer: one of `portnn.optim`; by default the last one, or ``adam(0.001)``. Another one starts
                with a new state. A pickled network keeps the state, but not the optimizer: pass it again.
            sample_weight: weights of the samples.

        Returns:
            The network itself.

        Raises:
            TypeError: as for `fit`.
            ValueError: as for `fit`.
            DivergenceError: if the loss is not finite; the network is then unchanged.
        """
        if optimizer is not None:
            check_optimizer(optimizer)
        data = self._dataset(x, y, sample_weight)
        optimizer, start = self._continued(optimizer)
        config = FitConfig(1, None, False, 1, optimizer, compile=False)
        Trainer(self, data, config, measure=self._measure()).step_once(self._shaped(data), start)
        return self

    def _continued(self, optimizer: Optimizer | None) -> tuple[Optimizer, Snapshot]:
        """Return the optimizer of a single step, and the arrays before the step.

        Raises:
            ValueError: if the network was pickled, and no optimizer is passed.
        """
        now = self.net_state
        known = now.optimizer
        if now.opt_state is not None and known is None:
            if optimizer is None:
                raise ValueError(
                    "partial_fit: a network that was pickled has no optimizer; pass optimizer=..."
                )
            if tree.structure(optimizer.init(now.params)) == tree.structure(now.opt_state):
                return optimizer, now.arrays
        if known is not None and (optimizer is None or optimizer == known):
            return known, now.arrays
        optimizer = optim.adam(0.001) if optimizer is None else optimizer
        return optimizer, Snapshot(now.shown, now.state, optimizer.init(now.shown))

    def _shaped(self, data: Dataset) -> NetState:
        """Return the state with the shapes of the training data."""
        return replace(self.net_state, sample_shape=tuple(data.x.shape[1:]), flat_targets=data.flat)

    def _validate(self, held_out: Dataset) -> dict[str, float]:
        """Return the loss and the accuracy on validation data."""
        return self._predictions.evaluate(self.net_state, held_out, who="validation_data")

    def _measure(self) -> Callable[..., Array] | None:
        """Return a function that counts the correct predictions of a batch; None for values."""
        return None if self.task is Task.VALUES else partial(count_right, task=self.task)

    def _gathered(
        self, x: Any, y: Any, sample_weight: Any, validation_data: Any, split: float
    ) -> tuple[Dataset, Dataset | None]:
        """Return the training data and the validation data, checked before the first step."""
        data = self._dataset(x, y, sample_weight, streamed=True)
        if validation_data is None:
            return split_off(data, split) if split else (data, None)
        pair = check_pair(validation_data)
        try:
            return data, self._dataset(*pair, streamed=True)
        except (TypeError, ValueError) as error:
            raise type(error)(f"validation_data: {str(error)[:270]}") from None

    @activated
    @with_known_options
    def evaluate(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        batch_size: int | None = None,
    ) -> dict[str, float]:
        """Return the loss on data, and the accuracy for classes and labels.

        The loss is the weighted mean over batches, so a loss of your own should be a mean over samples.

        Args:
            x: inputs, as for `fit`.
            y: targets, as for `fit`.
            sample_weight: weights of the samples.
            batch_size: samples per batch, as for `predict`.

        Returns:
            ``{"loss": ..., "accuracy": ...}``; for values only the loss.

        Raises:
            TypeError: as for `fit`.
            ValueError: as for `fit`, and if a prediction is NaN.
        """
        data = self._dataset(x, y, sample_weight, streamed=True)
        return self._predictions.evaluate(self.net_state, data, batch_size)

    @activated
    def score(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        batch_size: int | None = None,
    ) -> float:
        """Return the accuracy, or R² for values.

        Args:
            x: inputs, as for `fit`.
            y: targets, as for `fit`.
            sample_weight: weights of the samples.
            batch_size: samples per batch, as for `predict`.

        Returns:
            The fraction of samples with all labels correct; for values the coefficient of determination.

        Raises:
            TypeError: as for `fit`.
            ValueError: as for `fit`, and if a prediction is NaN.
        """
        data = self._dataset(x, y, sample_weight, streamed=True)
        return self._predictions.score(self.net_state, data, batch_size)

    def predict(self, x: ArrayLike | Iterator[ArrayLike], *, batch_size: int | None = None) -> Any:
        """Return the class of each sample, yes or no for each label, or values.

        Args:
            x: inputs, as for `fit`. Or an iterator of such inputs (an object with ``__next__``, such as a
                generator), for which an iterator of predictions is returned.
            batch_size: samples per batch. None chooses: intermediate results take at most 64 MB on the host,
                and a fraction of the free memory on a device.

        Returns:
            Integers (n,), booleans (n, labels), or values of the shape of the output, in the library of `x`
            (NumPy for lists). With one output, labels and values are (n,) if the targets of the last
            training were.

        Raises:
            TypeError: if `x` is not made of real numbers.
            ValueError: if its shape does not fit, it is empty, it has NaN or an id that does not exist, or a
                prediction is NaN or an infinite value.

        Example:
            >>> import numpy as np
            >>> from portnn.nn import Linear
            >>> net = Network([Linear(4, 3)])
            >>> [y.shape for y in net.predict(np.ones((n, 4), dtype=np.float32) for n in (5, 2))]
            [(5,), (2,)]
        """
        return self._predictions.predict(self.net_state, x, batch_size)

    def predict_proba(self, x: ArrayLike | Iterator[ArrayLike], *, batch_size: int | None = None) -> Any:
        """Return probabilities: of each class, or of yes for each label.

        Args:
            x: inputs, or an iterator of them, as for `predict`.
            batch_size: as for `predict`.

        Returns:
            Probabilities of the shape of the output, in the library of `x` (NumPy for lists); an iterator of
            them for an iterator.

        Raises:
            TypeError: if `x` is not made of real numbers, or the network predicts values.
            ValueError: if the shape of `x` does not fit, it is empty, it has NaN or an id that does not
                exist, or a prediction is NaN, as where a layer overflows.
        """
        return self._predictions.predict(self.net_state, x, batch_size, proba=True)

    def activations(self, x: ArrayLike, *, batch_size: int | None = None) -> dict[str, Any]:
        """Return the output of each layer: hidden units, feature maps, and finally the raw predictions.

        Args:
            x: inputs, as for `fit`.
            batch_size: samples per batch, as for `predict`.

        Returns:
            The outputs (n, ...) by path and name of the layer, in the library of `x` (NumPy for lists), in
            the order of the calls. Containers are represented by their members.

        Raises:
            TypeError: if `x` is not made of real numbers.
            ValueError: if its shape does not fit, it is empty, or it has NaN.

        Example:
            >>> from portnn.nn import Linear, relu
            >>> net = Network([Linear(4, 8), [relu, Linear(8, 3)]])
            >>> {name: y.shape for name, y in net.activations([[1.0, 0.0, 0.0, 0.0]]).items()}
            {'0 Linear(4, 8)': (1, 8), '1.0 Activation(relu)': (1, 8), '1.1 Linear(8, 3)': (1, 3)}
        """
        return self._predictions.activations(self.net_state, x, batch_size)

    @activated
    def gradients(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        batch_size: int | None = None,
    ) -> Tree:
        """Return the gradient of the loss on data, as in one training step on all samples.

        Args:
            x: inputs, as for `fit`.
            y: targets, as for `fit`.
            sample_weight: weights of the samples.
            batch_size: samples per batch. None chooses; layers with a running state, and those that draw
                random numbers, then see all samples at once.

        Returns:
            A tree of NumPy arrays with the structure of `params`. The network is unchanged.

        Raises:
            TypeError: as for `fit`.
            ValueError: as for `fit`.

        Example:
            >>> from portnn.nn import Linear
            >>> net = Network([Linear(4, 3)])
            >>> net.gradients([[1.0, 0.0, 0.0, 0.0]], [2])[0]["weight"].shape
            (4, 3)
        """
        data = self._dataset(x, y, sample_weight)
        return self._predictions.gradients(self.net_state, data, batch_size)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to a safetensors file: its configuration as plain data, and its arrays.

        The file has no code, and a SHA-256 of every byte. It is written atomically: under another name,
        flushed and renamed. A file of 100 MB takes about 0.2 s to write and 0.1 s to read, on a processor
        with SHA instructions and without waiting for a slow disk.

        Args:
            path: the file, such as ``digits.safetensors``, in an existing folder.

        Raises:
            TypeError: if a layer or activation is not portnn's own, since a file must not name code.
            ValueError: if `load` would reject the file: if a parameter is not finite, or its name, shape or
                dtype does not match the layers. Changing `params` in place can cause this.
            FileNotFoundError: if the folder does not exist.
            IsADirectoryError: if `path` is a folder.
        """
        from portnn.network._files import write_network  # files are not needed to train

        write_network(self.net_state, path)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        backend: str | Backend = "cpu",
        loss: Callable[..., Array] | None = None,
    ) -> Self:
        """Read a network that `save` wrote, on any backend; every byte of the file is checked.

        Names, shapes and dtypes are checked before memory is allocated, so reading needs the memory of the
        file. Files of format 1, of early versions, have no digests: they load with a warning.

        Args:
            path: the file.
            backend: the backend of the network; it may differ from that of the saved one.
            loss: the loss, for a network that was saved with a loss of your own.

        Returns:
            The network, with equal predictions.

        Raises:
            FileNotFoundError: if there is no such file.
            CheckpointError: if the file is damaged or not portnn's.
        """
        from portnn.network._files import read_network

        return cls.from_state(read_network(path, backend, loss))

    @activated
    def _dataset(
        self, x: ArrayLike, y: ArrayLike, weight: ArrayLike | None = None, *, streamed: bool = False
    ) -> Dataset:
        """Return samples on the backend, fully checked.

        With `streamed`, NumPy inputs that do not fit on the device stay in host memory.
        """
        check_detached(x=x, y=y, sample_weight=weight)
        inputs = bring_inputs(x, self.backend, self.dtype, streamed=streamed)
        ids = Extent(inputs)
        home = self.backend if self.backend.owns(inputs) else get_backend("numpy")
        first = home.asarray(self._predictions.first(self.net_state, ids))
        targets, labels, flat = bring_targets(y, inputs.shape[0], first, self.loss, home, self.dtype)
        weights = bring_weights(weight, inputs.shape[0], home, self.dtype)
        counted = without_ignored(weights, targets, self.loss, self.dtype)
        return Dataset(inputs, targets, counted, self.backend, (ids, labels), flat)

    def __repr__(self) -> str:
        options = f"loss={_loss_text(self.loss)}, backend={self.backend.name!r}, dtype={self.dtype!r}"
        layers = one_line(self.layer, _COLUMNS - len("Network(),"))
        space = " " if len(layers) + len(options) < _COLUMNS - len("Network(, )") else "\n    "
        return f"Network({layers},{space}{options})"


def _loss_text(loss: Any) -> str:
    """Return a loss as code, without long options."""
    if isinstance(loss, partial):
        options = [f"{name}={value!r:.20}".partition("\n")[0] for name, value in loss.keywords.items()]
        return f"partial({', '.join([_loss_text(loss.func), *options])})"[:60]
    return str(getattr(loss, "__name__", type(loss).__name__))[:40]
