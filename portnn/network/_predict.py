"""Predictions of a network and their metrics, in batches.

Intermediate results take less than 64 MB on the host and a fraction of the free memory on a device, for any
number of samples. The memory of one sample is read from its trace, once for each shape.

Losses are weighted means over samples, so those of batches combine to that of all data. The bits of
predictions do not depend on the batch size if the library's matrix products give each row the same bits for
any number of rows; otherwise decisions are equal except for ties within rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf, isnan, prod
from typing import Any, final

from array_api_compat import is_writeable_array

from portnn import ops, tree
from portnn._typing import Array, ArrayLike, Tree
from portnn.autodiff import value_and_grad
from portnn.backend import Backend, backend_of, convert_like, get_backend
from portnn.compile import Predictor, fingerprint, probe, sketch
from portnn.losses import Task, link_of, task_of
from portnn.losses._decisions import decide, right
from portnn.losses._loss import loss_of
from portnn.metrics._running import RunningAccuracy, RunningR2, on_host
from portnn.network._inputs import bring_inputs, input_shape_of
from portnn.nn import Layer
from portnn.ops._indexing import gather
from portnn.ops._options import check_whole
from portnn.program._input_memory import memory_of_last
from portnn.random import fold_in
from portnn.random import key as make_key
from portnn.tracing import Extent, is_kind, parts_of
from portnn.train import Batch, Dataset, NetState

__all__ = ["Predictions", "check_predictions"]

_HOST = 2**23  # bytes of live results of a batch on the host, which should fit in the caches,
_FEW = 16  # except that up to this many samples may take four times as much
_DEVICE = 2**30  # the same on a device, which needs larger batches to be busy
_SHARE, _LEAST = 4, 2**22  # a batch gets 1/_SHARE of a device's memory for data, but at least _LEAST bytes
_MOST = 4096  # samples of a batch: more are not faster
_CAUTIOUS = 32  # samples of a batch if the layers cannot be traced, as with an `if` on a value
_SMALL = 2**15  # bytes of floating-point inputs that are not worth a trace, since their results are small


@final
class Predictions:
    """Compute predictions and metrics in batches; cache plans and batch sizes.

    Thread-safe. A network has one for its lifetime; layers may change between calls.
    """

    def __init__(self) -> None:
        self._predictors: dict[str, tuple[Layer, Any, Any, Predictor]] = {}
        self._sizes: dict[Any, tuple[Any, int]] = {}

    def predict(
        self, net: NetState, x: ArrayLike, batch_size: int | None = None, *, proba: bool = False
    ) -> Any:
        """Return decisions or values, or probabilities with `proba`; see `portnn.Network.predict`."""
        if proba and task_of(net.loss) is Task.VALUES:
            raise TypeError(
                "predict_proba: the network's loss is for values, which have no probabilities; use predict"
            )
        if batch_size is None:  # a fast path for repeated small calls
            found = self._predictor(net, _kind(net, proba)).ready((net.shown, net.state), x)
            if found is not None:
                return _settled(net, found, proba)
        size = _checked_size("predict_proba" if proba else "predict", batch_size)
        if hasattr(x, "__next__"):
            return self._each(net, x, size, proba)
        return self._predicted(net, x, size, proba)

    def _each(self, net: NetState, batches: Any, batch_size: int | None, proba: bool) -> Iterator[Any]:
        """Yield the predictions for each batch of an iterator."""
        for i, x in enumerate(batches):
            try:
                found = self._predicted(net, x, batch_size, proba)
            except (TypeError, ValueError) as error:
                raise type(error)(f"batch {i}: {str(error)[:270]}") from None
            yield found

    def _predicted(self, net: NetState, x: ArrayLike, batch_size: int | None, proba: bool) -> Any:
        """Return the predictions for one array of inputs."""
        with net.backend.activate():
            samples = _samples(net, x)
            size = self._size(net, samples, batch_size)
            predictor, bound = self._predictor(net, _kind(net, proba)), (net.shown, net.state)
            answer = _Answer(samples.shape[0], x)
            for start, stop in _spans(samples.shape[0], size):
                found = predictor.ready(bound, samples[start:stop, ...])
                if found is None:
                    found = predictor(bound, _brought(net, samples, start, stop))
                answer.add(_settled(net, found, proba, start))
        return answer.whole()

    def activations(self, net: NetState, x: ArrayLike, batch_size: int | None = None) -> dict[str, Any]:
        """Return the output of each layer; see `portnn.Network.activations`."""
        from portnn.nn._watching import outputs_of  # not needed to train

        batch_size = _checked_size("activations", batch_size)
        with net.backend.activate():
            samples = _samples(net, x)
            n: int = samples.shape[0]
            size = self._size(net, samples, batch_size, kept=1)
            shown = net.layer, net.shown, net.state
            one = outputs_of(*shown, _brought(net, samples, 0, 1)) if size < n else {}
            answers: dict[str, _Answer] = {}
            for start, stop in _spans(n, size):
                part = _brought(net, samples, start, stop)
                for name, y in outputs_of(*shown, part).items():
                    # An output without a batch axis, such as an embedding of positions, is kept once.
                    each = size < n and (one[name].shape[0], y.shape[0]) == (1, part.shape[0])
                    if each or name not in answers:
                        answers.setdefault(name, _Answer(n if each else y.shape[0], x)).add(y)
        return {name: answer.whole() for name, answer in answers.items()}

    def gradients(self, net: NetState, data: Dataset, batch_size: int | None = None) -> Tree:
        """Return the gradient of the loss as NumPy arrays; see `portnn.Network.gradients`.

        Without a batch size, layers with a running state, such as batch normalization, and those that draw
        random numbers see all samples at once: for them, the result is not the mean over batches.
        """
        size = _checked_size("gradients", batch_size)
        if size is None:
            whole = net.layer.draws or tree.leaves(net.state)
            size = data.size if whole else self._size(net, data.x, None, kept=2)

        def objective(params: Tree, batch: Batch, key: Any) -> Array:
            applied = net.layer.apply(params, batch.x, state=net.state, training=True, key=key)
            predictions = applied[0]
            return _loss(net, predictions, batch)

        grads: Tree = None
        shares = _shares(net, data, size)
        for i, batch in enumerate(data.batches(size, None)):
            key = make_key(net.seed, like=batch.x) if net.layer.draws else None
            key = key if key is None or not i else fold_in(key, i)
            found = value_and_grad(objective)(net.shown, batch, key)[1]
            if len(shares) > 1:
                found = tree.map(lambda g, share=shares[i]: ops.multiply(g, share), found)
            grads = found if grads is None else tree.map(ops.add, grads, found)
        return tree.map(net.backend.to_numpy, grads)

    def evaluate(
        self, net: NetState, data: Dataset, batch_size: int | None = None, *, who: str = "evaluate"
    ) -> dict[str, float]:
        """Return the loss and, for classes and labels, the accuracy; see `portnn.Network.evaluate`.

        Args:
            net: the network.
            data: the samples.
            batch_size: samples per batch; None chooses.
            who: the method that was called, for errors.
        """
        size, task = self._sized(net, data, batch_size, who), task_of(net.loss)
        hits, value, shares = RunningAccuracy(), 0.0, iter(_shares(net, data, size))
        for batch, predictions in self._answered(net, data, size, who):
            share = next(shares)
            if share:
                value += share * _checked_loss(net, predictions, batch, data.extents, who)
            if task is not Task.VALUES:
                hits.add(right(predictions, batch.y, task), batch.weight)
        return {"loss": value} if task is Task.VALUES else {"loss": value, "accuracy": hits.value()}

    def score(self, net: NetState, data: Dataset, batch_size: int | None = None) -> float:
        """Return the accuracy, or R² for values; see `portnn.Network.score`."""
        size, task = self._sized(net, data, batch_size, "score"), task_of(net.loss)
        link, before = link_of(net.loss), 0
        accuracy, explained = RunningAccuracy(), RunningR2()
        for batch, predictions in self._answered(net, data, size, "score"):
            shown = link(predictions)
            check_predictions("score", shown, task, net.dtype, raw=False, before=before)
            if task is Task.VALUES:
                explained.add(batch.y, shown, batch.weight)
            else:
                accuracy.add(right(predictions, batch.y, task), batch.weight)
            before += batch.size
        return explained.value() if task is Task.VALUES else accuracy.value()

    def first(self, net: NetState, inputs: Extent) -> Array:
        """Return the shape and dtype of raw predictions for a sample; ids are checked for all samples."""
        with net.backend.activate():
            assert inputs.whole is not None, "the whole array is at hand"
            sample = net.backend.asarray(inputs.whole[:1, ...])
            _check_sample(net, sample)
            if is_kind(sample, "real floating"):
                return probe(_apply(net.layer), (net.shown, net.state), sample)
            with parts_of((sample, inputs)):
                return _apply(net.layer)((net.shown, net.state), sample)

    def release(self) -> None:
        """Release the memory that plans keep for later calls."""
        for *_, predictor in self._predictors.values():
            predictor.release()

    def _answered(self, net: NetState, data: Dataset, size: int, who: str) -> Iterator[tuple[Batch, Array]]:
        """Yield batches with their checked raw predictions."""
        predictor, bound, before = self._predictor(net, "raw"), (net.shown, net.state), 0
        for batch in data.batches(size, None):
            found = predictor(bound, batch.x)
            check_predictions(who, found, task_of(net.loss), net.dtype, raw=True, before=before)
            before += batch.size
            yield batch, found

    def _predictor(self, net: NetState, kind: str) -> Predictor:
        """Return the network as a function of its parameters and inputs, compiled for repeated shapes."""
        layer, loss = net.layer, net.loss
        found = self._predictors.get(kind)
        same = found is not None and found[0] is layer and found[1] is loss
        if found is not None and same and found[2] is not None and found[2][0]:
            return found[3]
        # A plan contains values that the user's functions read when traced, which may have changed.
        key = fingerprint(layer, link_of(loss))
        if found is None or not same or key is None or key != found[2]:
            raw, link = _apply(layer), link_of(loss)
            f = raw if kind == "raw" else lambda bound, x: link(raw(bound, x))
            found = self._predictors[kind] = layer, loss, key, Predictor(f)
        return found[3]

    def _sized(self, net: NetState, data: Dataset, batch_size: int | None, who: str) -> int:
        """Return the batch size for a data set."""
        _check_sample(net, data.x)
        return self._size(net, data.x, _checked_size(who, batch_size))

    def _size(self, net: NetState, x: Array, batch_size: int | None, *, kept: int = 0) -> int:
        """Return the batch size for inputs.

        Args:
            net: the network.
            x: inputs, of any library; integers are checked as a whole if there are several batches.
            batch_size: the caller's batch size; None chooses.
            kept: how many times all results are in memory; 0 for predictions, which free them.
        """
        n: int = x.shape[0]
        size = self._chosen(net, x, kept) if batch_size is None else batch_size
        if n > size and is_kind(x, "integral"):
            self.first(net, Extent(x))  # errors name the position of an invalid id among all samples
        return size

    def _chosen(self, net: NetState, x: Array, kept: int) -> int:
        """Return a power of two, so that few plans suffice; cached for each sample shape."""
        n: int = x.shape[0]
        few = n <= _MOST and not kept and is_kind(x, "real floating") and n * _bytes_of(x) <= _SMALL
        if n == 1 or few:
            return n
        key, about = (tuple(x.shape[1:]), str(x.dtype), kept), (net.layer, net.backend, net.dtype)
        known, size = self._sizes.get(key, ((), 0))
        if not size or known[0] is not net.layer or known != about:
            sample = _brought(net, x, 0, 1)
            program = sketch(_apply(net.layer), (net.shown, net.state), sample)
            size = _CAUTIOUS
            if program is not None:
                room, each = _room(net.backend), _bytes_of(sample) + memory_of_last(program, kept)
                fitting = max(room // each, min(_FEW, 4 * room // each))
                size = min(_MOST, 1 << max(0, fitting.bit_length() - 1))
            self._sizes[key] = about, size
        return size


def _checked_size(who: str, batch_size: int | None) -> int | None:
    """Check the batch size of a caller; return None if there is none."""
    return None if batch_size is None else check_whole(who, "batch_size", batch_size, 1)


def _room(backend: Backend) -> int:
    """Return the number of bytes that live results of a batch may take."""
    if backend.on_host:
        return _HOST
    room = backend.room
    return _DEVICE if room is None else max(_LEAST, min(_DEVICE, room // _SHARE))


def _bytes_of(x: Array) -> int:
    """Return the bytes of one sample of real numbers."""
    kind = ops.finfo if is_kind(x, "real floating") else ops.iinfo
    return prod(x.shape[1:]) * kind(x.dtype).bits // 8


def _apply(layer: Layer) -> Callable[[Tree, Array], Array]:
    """Return the raw predictions as a function of parameters with state, and inputs."""
    return lambda bound, x: layer.apply(bound[0], x, state=bound[1])[0]


def _kind(net: NetState, proba: bool) -> str:
    """Return whether predictions are made from the "raw" outputs, or "linked" ones are shown."""
    return "linked" if proba or task_of(net.loss) is Task.VALUES else "raw"


def _samples(net: NetState, x: ArrayLike) -> Array:
    """Return inputs to slice: an array of any library unchanged, everything else converted and checked."""
    if backend_of(x) is None or not x.shape or 0 in x.shape:
        x = bring_inputs(x, get_backend("numpy"), net.dtype)
    _check_sample(net, x)
    return x


def _check_sample(net: NetState, x: Array) -> None:
    """Check that there is a batch axis before the axes of a sample."""
    sample = input_shape_of(net.layer)
    if sample is not None and len(x.shape) <= len(sample):
        shape = ", ".join(["n", *map(str, sample)])
        raise ValueError(
            f"x: expected shape ({shape}), got {len(x.shape)} axis; for one sample write x[None]"
        )


def _spans(n: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield the start and stop of each batch."""
    return ((start, min(start + size, n)) for start in range(0, n, size))


def _brought(net: NetState, samples: Array, start: int, stop: int) -> Array:
    """Return a slice of the inputs on the backend, checked."""
    try:
        return bring_inputs(samples[start:stop, ...], net.backend, net.dtype)
    except ValueError:
        bring_inputs(samples, net.backend, net.dtype, streamed=True)  # names the sample among all
        raise


@final
class _Answer:
    """Concatenate the results of batches in the library of the inputs.

    They are written into one array if the library allows it; JAX concatenates them at the end.

    Args:
        n: the number of samples.
        question: the inputs of the call.
    """

    def __init__(self, n: int, question: ArrayLike) -> None:
        self._n, self._question = n, question
        self._done = 0
        self._all: Array | None = None
        self._parts: list[Array] = []

    def add(self, part: Array) -> None:
        """Add the results of the next samples."""
        part = convert_like(part, self._question)
        start, self._done = self._done, self._done + part.shape[0]
        if not start and self._done < self._n:
            home = backend_of(part)
            assert home is not None, "converted to a library"
            with home.activate():
                made = home.xp.empty((0,), dtype=part.dtype, device=home.device)
                if is_writeable_array(made):
                    shape = (self._n, *part.shape[1:])
                    self._all = home.xp.empty(shape, dtype=part.dtype, device=home.device)
        if self._all is None:
            self._parts.append(part)
        else:
            self._all[start : self._done, ...] = part

    def whole(self) -> Array:
        """Return the results of all samples."""
        if self._all is not None:
            return self._all
        return self._parts[0] if len(self._parts) == 1 else ops.concat(self._parts, axis=0)


def _settled(net: NetState, predictions: Array, proba: bool, before: int = 0) -> Array:
    """Check the predictions for samples from `before` on, and return the requested form of them."""
    task = task_of(net.loss)
    raw = not proba and task is not Task.VALUES
    name = "predict_proba" if proba else "predict"
    check_predictions(name, predictions, task, net.dtype, raw=raw, before=before)
    shown = decide(predictions, task) if raw else predictions
    if net.flat_targets and task is not Task.CLASSES and tuple(shown.shape[1:]) == (1,):
        return ops.squeeze(shown, axis=1)
    return shown


def check_predictions(name: str, y: Array, task: Task, dtype: str, *, raw: bool, before: int = 0) -> None:
    """Check that predictions are valid.

    No prediction may be NaN, and values must be finite. For classes, the largest raw prediction of each
    sample must be finite, since an infinite one gives no probabilities. Other raw predictions may be
    infinite: they give probabilities of 0 or 1.

    Args:
        name: the method that was called.
        y: predictions (n, ...).
        task: the task of the loss.
        dtype: the network's dtype.
        raw: whether they are the output of the last layer.
        before: the number of samples before these, for positions in errors.

    Raises:
        ValueError: if one is invalid; the message names the first such sample.
    """
    finite = ops.isfinite(y)
    if bool(ops.all(finite)):
        return
    if raw and task is Task.CLASSES:
        largest = ops.max(
            ops.where(finite, y, -inf), axis=-1, keepdims=True
        )  # XLA's maximum of NaN may be a number
        good = ops.logical_and(ops.less(y, inf), ops.isfinite(largest))
    else:
        good = finite if task is Task.VALUES else ops.logical_not(ops.isnan(y))
    rows = ops.all(ops.reshape(good, (good.shape[0], -1)), axis=1)
    if bool(ops.all(rows)):
        return
    first = before + int(ops.argmin(ops.astype(rows, "int32")))
    raise ValueError(
        f"{name}: the prediction for sample {first} is NaN or infinite; the parameters, or the inputs for "
        f"them, are too large for {dtype}; scale inputs to about 1, or train with a smaller learning rate"
    )


def _loss(net: NetState, predictions: Array, batch: Batch) -> Array:
    options = {} if batch.weight is None else {"sample_weight": batch.weight}
    return net.loss(predictions, batch.y, **options)


def _checked_loss(
    net: NetState, predictions: Array, batch: Batch, extents: tuple[Extent, ...], who: str
) -> float:
    """Return the loss of a batch with checked labels; it may be infinite but not NaN."""
    with parts_of(*zip((batch.x, batch.y), extents, strict=False)):
        value = float(_loss(net, predictions, batch))
    if isnan(value):  # possible with infinite predictions, which are valid
        raise ValueError(
            f"{who}: the loss is NaN, although no prediction is; look for infinite values with "
            "activations(), and scale inputs to about 1 or train with a smaller learning rate"
        )
    return value


def _shares(net: NetState, data: Dataset, size: int) -> list[float]:
    """Return the weights of the batches in the mean of the loss; 1 for a single batch."""
    if size >= data.size:
        return [1.0]
    counted = []
    for start, stop in _spans(data.size, size):
        rows = data.rows(start, stop)
        counted.append(_counted(net.loss, rows.y, rows.weight))
    total = sum(counted)
    return [count / total if total else 0.0 for count in counted]


def _counted(loss: Any, y: Array, weight: Array | None) -> float:
    """Return the weight of targets in the mean: by sample weights and class weights."""
    factors = loss_of(loss)[1].get("class_weights")
    if weight is None and factors is None:
        return float(y.shape[0])
    each = None if weight is None else on_host(weight)
    if factors is not None and is_kind(y, "integral"):
        labels = ops.clip(get_backend("numpy").to_numpy(y), 0, factors.shape[0] - 1)  # ignored ones weigh 0
        factor = gather(on_host(factors), labels, axis=0)
        each = factor if each is None else ops.multiply(each, factor)
    return float(y.shape[0]) if each is None else float(ops.sum(each))
