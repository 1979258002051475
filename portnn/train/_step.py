"""A training step as a pure function: batch, gradient, update."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias, final

from portnn import ops, tree
from portnn._typing import Array, Tree
from portnn.autodiff import value_and_grad
from portnn.backend import Backend, get_backend
from portnn.losses._loss import loss_of
from portnn.nn import Key, Layer
from portnn.nn._naming import name_layer
from portnn.ops._indexing import gather
from portnn.ops._weights import relative
from portnn.optim import Optimizer, apply_updates, loss_scale
from portnn.random import fold_in, stream
from portnn.random import key as make_key
from portnn.tracing import Extent, is_array, is_kind, parts_of
from portnn.train._state import Snapshot

__all__ = ["Batch", "Dataset", "Gradient", "Step", "make_gradient", "make_step", "noise_key", "order_of"]

_TOO_FEW = "BatchNorm: training needs at least two elements a channel"
_ORDER, _NOISE = 1, 2  # purposes of the random streams of a seed; 0 draws the initial parameters


@final
@dataclass(frozen=True)
class Batch:
    """The samples of one step: inputs, targets, weights or None, and their number."""

    x: Array
    y: Array
    weight: Array | None
    size: int
    extents: tuple[Extent, ...] = ()


@final
@dataclass(frozen=True)
class Dataset:
    """Samples on a backend, and their order in each epoch.

    Attributes:
        x: inputs (n, ...).
        y: targets (n, ...).
        weight: sample weights (n,), or None.
        backend: where steps are computed. Arrays too large for it stay in host memory, and each batch is
            moved.
        extents: the whole arrays of inputs and targets, so that ids and labels are checked once instead of in
            each step; empty if unknown.
        flat: whether targets were (n,) for a network with one output.
    """

    x: Array
    y: Array
    weight: Array | None
    backend: Backend
    extents: tuple[Extent, ...] = ()
    flat: bool = False

    @property
    def size(self) -> int:
        """The number of samples."""
        n: int = self.x.shape[0]
        return n

    @property
    def home(self) -> Backend:
        """The backend of the arrays."""
        return self.backend if self.backend.owns(self.x) else get_backend("numpy")

    @property
    def arrays(self) -> tuple[Array, ...]:
        """Inputs, targets, and weights, if any."""
        return (self.x, self.y) if self.weight is None else (self.x, self.y, self.weight)

    def rows(self, start: int, stop: int) -> Dataset:
        """Return the samples from `start` to `stop`."""
        weight = None if self.weight is None else self.weight[start:stop]
        return replace(self, x=self.x[start:stop, ...], y=self.y[start:stop, ...], weight=weight)

    def batches(self, size: int | None, order: Array | None, first: int = 0) -> Iterator[Batch]:
        """Yield batches of `size` samples (None for all), in the order of the indices, from batch `first`."""
        n = self.size
        size = n if size is None else size
        for start in range(first * size, n, size):
            stop = min(start + size, n)
            weight = None if self.weight is None else self._part(self.weight, order, start, stop)
            x, y = self._part(self.x, order, start, stop), self._part(self.y, order, start, stop)
            yield Batch(x, y, weight, stop - start, self.extents)

    def _part(self, a: Array, order: Array | None, start: int, stop: int) -> Array:
        """Return the samples from `start` to `stop` of an order, on the backend; None for unshuffled."""
        part = a[start:stop, ...] if order is None else gather(a, order[start:stop], axis=0)
        return self.backend.asarray(part)

    def order(self, seed: int, epoch: int) -> Any:
        """Return the order of an epoch, a NumPy array that depends only on the seed and the epoch."""
        return order_of(self.size, seed, epoch)


def order_of(n: int, seed: int, epoch: int) -> Any:
    """Return the order of `n` samples in an epoch, as a NumPy array."""
    return stream(seed, _ORDER, epoch).permutation(n)


def noise_key(seed: int, like: Array, number: int | None = None) -> Key:
    """Return the noise key of a training, or of a numbered step, as `fold_in` derives it from the former."""
    return make_key(seed, _NOISE, like=like) if number is None else make_key(seed, _NOISE, number, like=like)


class Gradient(NamedTuple):
    """The results of a batch before the update.

    Attributes:
        loss: the loss of the batch, with the penalty.
        predictions: the raw predictions of its samples.
        state: the running state of the layers after it.
        grads: the gradient of the loss with respect to the parameters, times the loss scale, if any.
    """

    loss: Array
    predictions: Array
    state: Tree
    grads: Tree


GradientFunction: TypeAlias = Callable[[Snapshot, Batch, Key | None], Gradient]
Step: TypeAlias = Callable[[Snapshot, Batch, Key | None], tuple[Snapshot, Array, Array]]


def make_step(gradient: GradientFunction, optimizer: Optimizer) -> Step:
    """Return a training step as a function: a gradient, then the update.

    Between the two, the gradient of the whole batch is available in one place.

    Args:
        gradient: made by `make_gradient`.
        optimizer: the optimizer.

    Returns:
        A function of a snapshot, a batch and the key of the step (None unless the layer needs one) that
        returns the next snapshot, the loss and the predictions.
    """

    def step(now: Snapshot, batch: Batch, key: Key | None) -> tuple[Snapshot, Array, Array]:
        found = gradient(now, batch, key)
        updates, opt_state = optimizer.update(found.grads, now.opt_state, now.params)
        after = Snapshot(apply_updates(now.params, updates), found.state, opt_state)
        return after, found.loss, found.predictions

    return step


def make_gradient(
    layer: Layer,
    loss: Callable[..., Array],
    *,
    parts: int = 1,
    scaled: bool = False,
    penalty: Callable[[Tree, Any], Array] | None = None,
) -> GradientFunction:
    """Return a function that computes the gradient of a batch.

    Args:
        layer: the layers.
        loss: a function of predictions and targets, and of ``sample_weight`` if batches have weights.
        parts: the number of parts of a batch whose gradients are accumulated.
        scaled: whether the optimizer expects gradients of the loss times its `portnn.optim.loss_scale`.
        penalty: a function of the parameters and of the batch's weight (its number of samples without
            weights) that is added to the loss.
    """

    def objective(
        params: Tree, state: Tree, batch: Batch, key: Key | None, *scale: Array
    ) -> tuple[Array, tuple[Array, Tree]]:
        options = {} if batch.weight is None else {"sample_weight": batch.weight}
        with parts_of(*zip((batch.x, batch.y), batch.extents, strict=False)):
            try:
                predictions, state = layer.forward(params, state, batch.x, training=True, key=key)
            except (TypeError, ValueError) as error:
                name_layer(layer, error)
                _name_accumulate(error, parts, batch.size)
                raise
            value = loss(predictions, batch.y, **options)
        return ops.multiply(value, *scale) if scale else value, (predictions, state)

    differentiate = value_and_grad(objective, has_aux=True)
    if parts > 1:
        differentiate = accumulated(differentiate, parts, loss_of(loss)[1].get("class_weights"))

    def gradient(now: Snapshot, batch: Batch, key: Key | None) -> Gradient:
        scale = (loss_scale(now.opt_state),) if scaled else ()
        (value, (predictions, state)), grads = differentiate(now.params, now.state, batch, key, *scale)
        if penalty is not None:
            value, grads = _penalized(penalty, now.params, batch, value, grads, *scale)
        if scale:
            value = ops.divide(value, *scale)  # exact: a power of two
        return Gradient(value, predictions, state, grads)

    return gradient


def _penalized(
    penalty: Callable[[Tree, Any], Array],
    params: Tree,
    batch: Batch,
    value: Array,
    grads: Tree,
    *scale: Array,
) -> tuple[Array, Tree]:
    """Add the penalty and its gradient to a loss and its gradient."""
    samples = batch.size if batch.weight is None else ops.sum(batch.weight)

    def objective(params: Tree) -> Array:
        return ops.multiply(penalty(params, samples), *scale) if scale else penalty(params, samples)

    more, slope = value_and_grad(objective)(params)
    return ops.add(value, more), tree.map(ops.add, grads, slope)


def accumulated(
    differentiate: Callable[..., Any], parts: int, class_weights: Array | None = None
) -> Callable[..., Any]:
    """Return a function like `differentiate` that accumulates over the parts of a batch.

    The loss of a batch is the weighted mean over its samples. So it, and its gradient, is the sum of the
    parts' means times their weights, divided by the total weight. Sums are pairwise, level by level:
    ((0 + 1) + (2 + 3)) + ... Every part starts with the same state of the layers; floating-point state is
    averaged by the parts' shares of the samples, and counters are those of the first part.

    Args:
        differentiate: ``(params, state, batch, key, ...) -> ((loss, (predictions, state)), grads)``.
        parts: the number of parts; part i of n samples has the rows from i·n//parts to (i+1)·n//parts, and is
            skipped if empty. Its key is ``fold_in(key, i)``.
        class_weights: those of the loss, for samples with integer labels.
    """

    def whole(params: Tree, state: Tree, batch: Batch, key: Key | None, *rest: Any) -> Any:
        total, weights = _part_weights(batch, class_weights)
        sums, predicted = _PairwiseSum(), []
        for i in range(parts):
            start, stop = i * batch.size // parts, (i + 1) * batch.size // parts
            if start == stop:
                sums.add(None)
                continue
            own = None if key is None else fold_in(key, i)
            part = _rows_of(batch, start, stop)
            (loss, (predictions, after)), grads = differentiate(params, state, part, own, *rest)
            share = _floating(after, (stop - start) / batch.size)
            sums.add((_times((loss, grads), weights(start, stop)), share, after))
            predicted.append(predictions)
        summed, averages, first = sums.total()
        loss, grads = tree.map(lambda a: ops.divide(a, _like(total, a)), summed)
        new = tree.map(lambda a, mean: mean if _is_floating(a) else a, first, averages)
        return (loss, (ops.concat(predicted, axis=0), new)), grads

    return whole


def _part_weights(batch: Batch, class_weights: Array | None) -> tuple[Any, Callable[[int, int], Any]]:
    """Return the weight of a batch, never zero, and a function for that of its rows from start to stop."""
    weight = batch.weight
    if class_weights is not None and is_kind(batch.y, "integral"):
        labels = ops.clip(batch.y, 0, class_weights.shape[0] - 1)  # ignored ones weigh 0
        each = gather(class_weights, labels, axis=0)
        weight = each if weight is None else ops.multiply(weight, ops.astype(each, weight.dtype))
    if weight is None:
        return float(batch.size), lambda start, stop: float(stop - start)
    scaled = relative(weight, weight.dtype)
    total = ops.sum(scaled)
    return (
        ops.where(ops.greater(total, 0.0), total, ops.ones_like(total)),
        lambda start, stop: ops.sum(scaled[start:stop]),
    )


def _rows_of(batch: Batch, start: int, stop: int) -> Batch:
    weight = None if batch.weight is None else batch.weight[start:stop]
    x, y = batch.x[start:stop, ...], batch.y[start:stop, ...]
    return replace(batch, x=x, y=y, weight=weight, size=stop - start)


def _times(arrays: Tree, weight: Any) -> Tree:
    return tree.map(lambda a: ops.multiply(a, _like(weight, a)), arrays)


def _like(weight: Any, a: Array) -> Any:
    """Return a weight in the dtype of what it multiplies or divides."""
    return weight if isinstance(weight, float) or weight.dtype == a.dtype else ops.astype(weight, a.dtype)


def _is_floating(a: Any) -> bool:
    return is_array(a) and is_kind(a, "real floating")


def _floating(state: Tree, share: float) -> Tree:
    """Return the floating-point state times a share; other state unchanged."""
    return tree.map(lambda a: ops.multiply(a, share) if _is_floating(a) else a, state)


class _PairwiseSum:
    """The pairwise sum of trees, level by level; None adds nothing.

    A summand is ``(sums, averages, first)``: the first two are added (only floating-point arrays); the first
    `first` is kept. At most one partial sum per level is held.
    """

    def __init__(self) -> None:
        self._held: list[tuple[int, Any]] = []  # levels decrease from front to back

    def add(self, summand: Any) -> None:
        """Add the next summand."""
        level = 0
        while self._held and self._held[-1][0] == level:
            summand = self._pair(self._held.pop()[1], summand)
            level += 1
        self._held.append((level, summand))

    def total(self) -> Any:
        """Return the sum."""
        _, found = self._held.pop()
        while self._held:
            found = self._pair(self._held.pop()[1], found)
        return found

    @staticmethod
    def _pair(left: Any, right: Any) -> Any:
        if left is None or right is None:
            return right if left is None else left
        sums = tree.map(ops.add, left[0], right[0])
        averages = tree.map(lambda a, b: ops.add(a, b) if _is_floating(a) else a, left[1], right[1])
        return sums, averages, left[2]


def _name_accumulate(error: Exception, parts: int, size: int) -> None:
    """Rewrite an error raised in a part of a batch if the part was too small.

    Args:
        error: the error, changed in place.
        parts: the number of parts of a batch.
        size: the number of samples in this part.

    Example:
        >>> from portnn.nn import BatchNorm, outline
        >>> norm, x = BatchNorm(1), outline(BatchNorm(1))[0]["weight"][None]
        >>> try:
        ...     norm.apply(outline(norm)[0], x, training=True)
        ... except ValueError as error:
        ...     _name_accumulate(error, 8, 1)
        ...     print(str(error)[:81])
        fit: accumulate=8 makes parts of 1 sample, too few for BatchNorm, which needs two
    """
    message = str(error)
    if parts > 1 and message.startswith(_TOO_FEW):
        samples = f"{size} sample{'s' if size > 1 else ''}"
        _, words, place = message.partition("; in layer ")
        text = (
            f"fit: accumulate={parts} makes parts of {samples}, too few for BatchNorm, which needs two "
            "elements a channel; pass a smaller accumulate or a larger batch_size (the last batch counts, "
            f"too), or use LayerNorm{words}{place}"
        )
        error.args = (text,)
