"""What every use of a network rests on: layers, and their parameters on a backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar

from portnn import losses, ops, tree
from portnn._typing import Array, ArrayLike, Tree
from portnn.backend import Backend, convert_like, get_backend
from portnn.compile import Predictor, probe
from portnn.losses import Task, link_of, task_of
from portnn.network._fitted import Copied, Fitted, TrainState
from portnn.network._inputs import (
    bring_inputs,
    bring_targets,
    bring_weights,
    check_detached,
    input_shape_of,
    without_ignored,
)  # fmt: skip
from portnn.network._loading import check_count, expected_of, matched, matched_like, matched_state
from portnn.network._measures import check_predictions, decide
from portnn.network._options import check_seed
from portnn.nn import Layer, Sequential
from portnn.optim import Optimizer, ema_params
from portnn.random import stream
from portnn.tracing import Extent, is_kind, parts_of
from portnn.train import Dataset, Snapshot

if TYPE_CHECKING:
    from portnn.network._survey import Survey

__all__ = ["Model", "activated"]

P = ParamSpec("P")
M = TypeVar("M", bound="Model")
T = TypeVar("T")

_ROWS = 4096  # samples predicted at a time: enough to keep a device busy, few enough to fit


def activated(method: Callable[Concatenate[M, P], T]) -> Callable[Concatenate[M, P], T]:
    """Make a method compute on the network's device; out-of-memory errors then say what to do."""

    @wraps(method)
    def there(self: M, /, *args: P.args, **options: P.kwargs) -> T:
        with self.backend.activate():
            return method(self, *args, **options)

    return there


def _chunks(x: Array) -> Iterator[Array]:
    """Yield the rows in chunks."""
    n = x.shape[0]
    return (x[i : min(i + _ROWS, n), ...] for i in range(0, n, _ROWS)) if n > _ROWS else iter([x])


class Model(Copied):
    """Layers with parameters on a backend; the base of `Network`, which documents the arguments."""

    _expected: Tree  # shapes and dtypes of the parameters and the state; None if the layers are new

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
        self._set_up(layers, loss, dtype)
        made = self.layer.init(rng, dtype), self.layer.init_state(dtype)
        params, state = tree.map(backend.asarray, made)
        self._expected = expected_of((params, state))
        self._now = TrainState(backend, params, state, check_seed(int(seed)))

    def _set_up(self, layers: Layer | Sequence[Any], loss: Callable[..., Array], dtype: str) -> None:
        """Set everything that training does not change."""
        if dtype not in ("float32", "float64"):
            raise ValueError(f"Network: dtype must be 'float32' or 'float64', got {dtype!r}")
        task_of(loss)
        self.layer: Layer = layers if isinstance(layers, Layer) else Sequential(layers)
        self.loss = loss
        self.dtype = dtype
        self.notes: dict[str, Any] = {}
        self._sample_shape = input_shape_of(self.layer)
        self._predictors: dict[str, tuple[Layer, Any, Predictor]] = {}

    @classmethod
    def revive(cls, layer: Layer, loss: Any, now: TrainState, dtype: str) -> Self:
        """Make a model from checked parameters and counters.

        Raises:
            TypeError: if an argument is of the wrong type.
            ValueError: if `dtype` is wrong.
        """
        model = cls.__new__(cls)
        model._set_up(layer, loss, dtype)
        model._now, model._expected = now, expected_of((now.params, now.state))
        return model

    @property
    def layer(self) -> Layer:
        """The layers, as one layer."""
        return self._layer

    @layer.setter
    def layer(self, layer: Layer) -> None:
        self._layer = layer
        self._expected = None  # new layers have new parameters

    def _template(self) -> tuple[Tree, Tree]:
        """Return the shapes and dtypes of the parameters and the state that the layers make."""
        if self._expected is None:
            made = self.layer.init(stream(self.seed, 0), self.dtype), self.layer.init_state(self.dtype)
            self._expected = expected_of(tree.map(self.backend.asarray, made))
        params, state = self._expected
        return params, state

    @property
    def backend(self) -> Backend:
        """The backend of the network; `to` moves it."""
        return self._now.backend

    @property
    def params(self) -> Tree:
        """The parameters, a tree of arrays on the backend.

        They may be set, for example by a callback: names, shapes and numbers are checked as by `load_params`.
        The optimizer's state is kept.
        """
        return self._now.params

    @params.setter
    @activated
    def params(self, params: Tree) -> None:
        found = matched("params", params, self._template()[0], self.backend)
        self._now = self._now._replace(params=found)

    @property
    def state(self) -> Tree:
        """The running state of the layers, a tree of arrays on the backend; it may be set like `params`."""
        return self._now.state

    @state.setter
    @activated
    def state(self, state: Tree) -> None:
        found = matched_state("state", state, self._template()[1], self.backend)
        self._now = self._now._replace(state=found)

    @property
    def seed(self) -> int:
        """The seed of all random numbers."""
        return self._now.seed

    @seed.setter
    def seed(self, seed: int) -> None:
        stream(seed, 0)  # raises for an invalid seed
        self._now = self._now._replace(seed=check_seed(int(seed)))

    @property
    def epochs(self) -> int:
        """How many epochs the network has been trained for."""
        return self._now.epochs

    @epochs.setter
    def epochs(self, epochs: int) -> None:
        self._now = self._now._replace(epochs=check_count("epochs", epochs))

    @property
    def steps(self) -> int:
        """How many steps the network has been trained for."""
        return self._now.steps

    @steps.setter
    def steps(self, steps: int) -> None:
        self._now = self._now._replace(steps=check_count("steps", steps))

    def load_params(self, params: Tree, state: Tree | None = None) -> None:
        """Replace the parameters, for example with those of a network trained elsewhere.

        The arrays are compared with those that the layers make, cast to the network's dtype and copied to its
        backend. The counters of epochs and steps are kept; the optimizer's state is reset. After an error the
        network is unchanged.

        Args:
            params: a tree like `params`, or a flat mapping such as ``{"0.weight": array}``. The arrays are
                floating-point arrays of any library and precision, or nested lists.
            state: the running state, likewise; its counters are integers, at least 0. None keeps the
                present state.

        Raises:
            TypeError: if an array has another kind of dtype, or `params` is not a tree of arrays.
            ValueError: if a name is missing or unknown, a shape differs, or a number is not finite or too
                large for the dtype; the message names the first one.

        Example:
            >>> from portnn.nn import Linear
            >>> net = Model([Linear(2, 1)])
            >>> net.load_params({"0.weight": [[1.0], [2.0]], "0.bias": [0.5]})
            >>> net.params[0]["weight"].tolist(), str(net.params[0]["weight"].dtype)
            ([[1.0], [2.0]], 'float32')
        """
        self._load("load_params", params, state)

    def resume(self, params: Tree, state: Tree, epochs: int, steps: int) -> None:
        """Continue from parameters and counters that were saved.

        Args:
            params: as for `load_params`, with the same checks.
            state: likewise; None keeps the present state.
            epochs: how many epochs they were trained for, at least 0 and less than 2³².
            steps: how many steps, likewise.

        Raises:
            TypeError: as for `load_params`; if a counter is not an integer.
            ValueError: as for `load_params`; if a counter is out of its range.
        """
        counts = {
            "epochs": check_count("resume: epochs", epochs),
            "steps": check_count("resume: steps", steps),
        }
        self._load("resume", params, state, **counts)

    @activated
    def _load(self, who: str, params: Tree, state: Tree | None, /, **counts: Any) -> None:
        """Replace the parameters and the other given values at once; reset the optimizer's state."""
        wanted, wanted_state = self._template()
        new = {"params": matched(who, params, wanted, self.backend, copy=True)}
        if state is not None:
            new["state"] = matched_state(f"{who}: state", state, wanted_state, self.backend, copy=True)
        self._now = self._now._replace(fitted=None, **new, **counts)

    @activated
    def restore(self, params: Tree, state: Tree) -> None:
        """Restore parameters and a running state that a callback saved, both at once.

        They are checked as by `load_params`. The counters and the optimizer's state are kept.

        Args:
            params: an earlier value of `params`.
            state: an earlier value of `state`.

        Raises:
            TypeError: as for `load_params`.
            ValueError: as for `load_params`.
        """
        wanted, wanted_state = self._template()
        found = matched("restore", params, wanted, self.backend)
        found_state = matched_state("restore: state", state, wanted_state, self.backend)
        self._now = self._now._replace(params=found, state=found_state)

    @property
    def task(self) -> Task:
        """What the network tells: classes, labels or values; its loss decides."""
        return task_of(self.loss)

    @property
    def sample_shape(self) -> tuple[int, ...] | None:
        """The shape of one sample: of the data last trained on, or as the first layer says; or None."""
        return self._sample_shape

    def to(self, backend: str | Backend) -> Self:
        """Move the network to another backend.

        Args:
            backend: a name or a `Backend`.

        Returns:
            The network itself.

        Raises:
            BackendUnavailableError: if the backend cannot serve; the network is then where it was.
            ValueError: if it lacks the network's dtype; likewise.
        """
        there = get_backend(backend)
        self._now = self._now.moved(there.asarray)._replace(backend=there)
        return self

    def _adopt(self, snapshot: Snapshot, optimizer: Optimizer, **counts: Any) -> None:
        """Take over the result of training; if parameters are averaged, show the averages."""
        average = ema_params(snapshot.moments)
        self._now = self._now._replace(
            params=snapshot.params if average is None else average,
            state=snapshot.state,
            fitted=Fitted(optimizer, snapshot.moments, snapshot.params),
            **counts,
        )

    def _present(self, fitted: Fitted) -> Snapshot:
        """What a training goes on from: what the network shows, or what that is the average of."""
        shown = self.params is ema_params(fitted.moments)
        return Snapshot(fitted.params if shown else self.params, self.state, fitted.moments)

    @property
    def optimizer_state(self) -> Tree:
        """The state of the optimiser after the last epoch or step, None before any.

        A callback may set it, for instance by `portnn.optim.scale_learning_rate`.

        Raises:
            TypeError: if an array that is set has another kind of dtype.
            ValueError: if it is set before any training, to a tree of another structure, or to arrays of
                other shapes. Arrays of other libraries are moved to the backend.
        """
        return None if self._fitted is None else self._fitted.moments

    @optimizer_state.setter
    @activated
    def optimizer_state(self, state: Tree) -> None:
        if self._fitted is None:
            raise ValueError("optimizer_state: there is none before the first epoch; set it in a callback")
        before = self._fitted.moments
        state = matched_like("optimizer_state", state, before, self.backend)
        shown = self.params is ema_params(before)
        params = ema_params(state) if shown else self.params
        self._now = self._now._replace(params=params, fitted=self._fitted._replace(moments=state))

    def summary(self, input_shape: tuple[int, ...] | None = None, *, depth: int | None = None) -> str:
        """A table of the layers, the shapes of their outputs, their numbers of parameters and their cost.

        Members of a container are indented below it, and its own line counts them in. The arithmetic
        operations are those of one sample, counted as by `portnn.Program.flops`; so is the memory that is
        read and written, and the most that results take up at a time.

        Args:
            input_shape: the shape of one sample; by default that of the data last trained on, or what the
                first layer says; without any, the table has neither shapes nor costs.
            depth: how deep to look into containers: 1 shows the outermost layers alone, None all.

        Returns:
            Several lines of text.

        Raises:
            TypeError: if an argument is of the wrong type.
            ValueError: if the shape does not fit or is of more than 33 million numbers, or `depth` is less
                than 1.

        Example:
            >>> from portnn.nn import Linear, relu
            >>> print(Model([Linear(784, 10), relu, Linear(10, 10)]).summary())
            layer             output  parameters   flops
            --------------------------------------------
            Linear(784, 10)   (10,)        7,850  15,690
            Activation(relu)  (10,)            0      10
            Linear(10, 10)    (10,)          110     210
            --------------------------------------------
            7,960 parameters (31.8 kB), float32, on numpy
            a sample: 15,910 flops, 35.3 kB read and written, 80 B of memory
        """
        from portnn.network._summary import as_text, check_table  # not needed to train

        check_table(input_shape, depth)
        shape = self._sample_shape if input_shape is None else tuple(input_shape)
        return as_text(self.survey(shape), self.backend, self.dtype, depth)

    @activated
    def survey(self, shape: tuple[int, ...] | None) -> Survey:
        """What `summary` tells, as data.

        Args:
            shape: the shape of one sample; None leaves outputs and costs unknown.

        Returns:
            An object with ``rows``, one for each layer with its ``path``, ``name``, ``output``,
            ``parameters`` and ``flops``; with the number of ``parameters`` and the ``program`` of the
            whole.

        Raises:
            ValueError: if the shape does not fit.
        """
        from portnn.network._survey import survey  # not needed to train

        return survey(self.layer, self.params, self.state, self.backend, self.dtype, shape)

    def _repr_html_(self) -> str:
        """The table of `summary`, for notebooks."""
        from portnn.network._summary import as_html

        loss = getattr(self.loss, "func", self.loss)
        trained = f"{self.epochs:,} epochs" if self.epochs else "not trained"
        title = f"{type(self).__name__}, {getattr(loss, '__name__', type(loss).__name__)}, {trained}"
        return as_html(self.survey(self._sample_shape), self.backend, self.dtype, title)

    @activated
    def _dataset(
        self, x: ArrayLike, y: ArrayLike, weight: ArrayLike | None = None, *, streamed: bool = False
    ) -> Dataset:
        """Samples on the backend, checked in full before anything is changed.

        If they may be `streamed`, NumPy inputs that do not fit on the device stay in host memory.
        """
        check_detached(x=x, y=y, sample_weight=weight)
        inputs = bring_inputs(x, self.backend, self.dtype, streamed=streamed)
        ids = Extent(inputs)
        home = self.backend if self.backend.owns(inputs) else get_backend("numpy")
        first = home.asarray(self._first(ids))
        targets, labels = bring_targets(y, inputs.shape[0], first, self.loss, home, self.dtype)
        weights = bring_weights(weight, inputs.shape[0], home, self.dtype)
        counted = without_ignored(weights, targets, self.loss, self.dtype)
        return Dataset(inputs, targets, counted, self.backend, (ids, labels))

    def _first(self, inputs: Extent) -> Array:
        """Return the shape and dtype of raw predictions for a sample; ids are checked for all samples."""
        first = self.backend.asarray(inputs.whole[:1, ...])
        if is_kind(first, "real floating") and self.backend.on_host:
            return self._forward(first)
        self._check_sample(first)

        def raw(params: Tree, state: Tree, x: Array) -> Array:
            return self.layer.apply(params, x, state=state)[0]

        if is_kind(first, "real floating"):
            return probe(raw, self.params, self.state, first)
        with parts_of((first, inputs)):
            return raw(self.params, self.state, first)

    @activated
    def _forward(self, x: Array) -> Array:
        """Return raw predictions for inputs on the backend, or in host memory; the latter are streamed."""
        self._check_sample(x)
        n = x.shape[0]
        if n > _ROWS and is_kind(x, "integral"):
            self._first(Extent(x))
        bound, predictor = (self._now.params, self._now.state), self._predictor("raw")
        parts = [predictor(bound, self.backend.asarray(part)) for part in _chunks(x)]
        return parts[0] if len(parts) == 1 else ops.concat(parts, axis=0)

    def _targets(self, data: Dataset) -> tuple[Array, Array | None]:
        """Return the targets and the weights of all samples, on the backend."""
        weight = None if data.weight is None else self.backend.asarray(data.weight)
        return self.backend.asarray(data.y), weight

    def _check_sample(self, x: Array) -> None:
        """There is a batch axis before those of a sample."""
        sample = input_shape_of(self.layer)
        if sample is not None and len(x.shape) <= len(sample):
            shape = ", ".join(["n", *map(str, sample)])
            raise ValueError(
                f"x: expected shape ({shape}), got {len(x.shape)} axis; for one sample write x[None]"
            )

    def _show(self, kind: str, x: ArrayLike) -> Any:
        """What `x` is answered: "decided" or "linked" predictions, in the library of `x`."""
        predictor, now = self._predictor("raw" if kind == "decided" else kind), self._now
        found = predictor.ready((now.params, now.state), x)
        return self._computed(kind, x) if found is None else self._settled(kind, found)

    @activated
    def _computed(self, kind: str, x: ArrayLike) -> Any:
        """Return the predictions of `_show` for inputs of any kind."""
        predictor, now = self._predictor("raw" if kind == "decided" else kind), self._now
        inputs = bring_inputs(x, self.backend, self.dtype, streamed=True)
        self._check_sample(inputs)
        if not self.backend.owns(inputs):
            return self._streamed(kind, inputs)
        if inputs.shape[0] > _ROWS:
            found = self._forward(inputs)
            found = found if kind == "decided" else self._shown(kind, found)
        else:
            found = predictor((now.params, now.state), inputs)
        return self._answer(self._settled(kind, found), x)

    def _streamed(self, kind: str, inputs: Any) -> Any:
        """Return the predictions of `_show` for inputs in host memory, which are streamed in chunks."""
        if is_kind(inputs, "integral"):
            self._first(Extent(inputs))
        host, parts, before = get_backend("numpy"), [], 0
        for part in _chunks(inputs):
            found = self._forward(part)
            found = found if kind == "decided" else self._shown(kind, found)
            parts.append(host.asarray(self._settled(kind, found, before)))
            before += part.shape[0]
        return ops.concat(parts, axis=0)

    def _shown(self, kind: str, predictions: Array) -> Array:
        """Return raw predictions, or the result of the loss's inverse link."""
        link: Array = link_of(self.loss)(predictions) if kind == "linked" else predictions
        return link

    def _settled(self, kind: str, predictions: Array, before: int = 0) -> Array:
        """Check predictions, and return them, or the labels for raw ones.

        They belong to the samples after the first `before`.
        """
        name = "predict_proba" if kind == "linked" and self.task is not Task.VALUES else "predict"
        check_predictions(name, predictions, self.task, self.dtype, raw=kind == "decided", before=before)
        return decide(predictions, self.task) if kind == "decided" else predictions

    def _predictor(self, kind: str) -> Predictor:
        """The network as a function of its parameters and inputs, planned for the shapes that come again."""
        layer, loss = self._layer, self.loss
        found = self._predictors.get(kind)
        if found is None or found[0] is not layer or found[1] is not loss:
            shown = self._shown
            predictor = Predictor(lambda bound, x: shown(kind, layer.apply(bound[0], x, state=bound[1])[0]))
            found = self._predictors[kind] = layer, loss, predictor
        return found[2]

    def _release(self) -> None:
        """Release the memory that plans of predictions keep for later calls."""
        for _, _, predictor in self._predictors.values():
            predictor.release()

    def _answer(self, result: Array, question: ArrayLike) -> Any:
        """A result in the library of the question."""
        if hasattr(question, "shape") and hasattr(question, "dtype"):
            return convert_like(result, question)
        return self.backend.to_numpy(result)

    def __repr__(self) -> str:
        name = type(self).__name__
        return (
            f"{name}({self.layer!r}, loss={self.loss!r}, backend={self.backend.name!r}, dtype={self.dtype!r})"
        )
