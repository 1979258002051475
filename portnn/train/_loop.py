"""The training loop: batches, steps, epochs. It knows layers, losses and optimisers, but no `Network`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, final

from portnn import ops, tree
from portnn._typing import Array, Tree
from portnn.autodiff import value_and_grad
from portnn.backend import Backend, get_backend
from portnn.nn import Key, Layer
from portnn.ops._indexing import gather
from portnn.optim import Optimizer, apply_updates, loss_scale
from portnn.random import fold_in, stream
from portnn.random import key as make_key
from portnn.tracing import Extent, is_array, parts_of
from portnn.train._parts import in_parts

__all__ = ["Batch", "Dataset", "Snapshot", "make_step", "order_of"]

_ORDER, _NOISE = 1, 2  # purposes of the random streams of a seed; 0 draws the initial parameters


@final
@dataclass(frozen=True)
class Snapshot:
    """All that a step changes.

    Attributes:
        params: the parameters.
        state: the running state of the layers.
        moments: the state of the optimiser.
    """

    params: Tree
    state: Tree
    moments: Tree


@final
@dataclass(frozen=True)
class Batch:
    """The samples of one step."""

    x: Array
    y: Array
    weight: Array | None
    size: int
    extents: tuple[Extent, ...] = ()


@final
@dataclass(frozen=True)
class Dataset:
    """Samples on a backend, and the order in which an epoch goes through them.

    Attributes:
        x: inputs (n, ...).
        y: targets (n, ...).
        weight: sample weights (n,), or None.
        backend: where steps are computed. The arrays are there, or in host memory if they are too large;
            then each batch is moved.
        extents: the whole arrays of inputs and targets, so that ids and labels are checked once and not in
            each step; empty if unknown.
    """

    x: Array
    y: Array
    weight: Array | None
    backend: Backend
    extents: tuple[Extent, ...] = ()

    @property
    def size(self) -> int:
        """The number of samples."""
        n: int = self.x.shape[0]
        return n

    @property
    def home(self) -> Backend:
        """The backend of the arrays."""
        return self.backend if self.backend.owns(self.x) else get_backend("numpy")

    def batches(self, size: int | None, order: Array | None, first: int = 0) -> Iterator[Batch]:
        """The samples, `size` at a time (None for all at once), in the order given by indices; the first
        batches may be left out.
        """
        n = self.size
        size = n if size is None else size
        for start in range(first * size, n, size):
            stop = min(start + size, n)
            weight = None if self.weight is None else self._part(self.weight, order, start, stop)
            x, y = self._part(self.x, order, start, stop), self._part(self.y, order, start, stop)
            yield Batch(x, y, weight, stop - start, self.extents)

    def _part(self, a: Array, order: Array | None, start: int, stop: int) -> Array:
        """Return the samples from `start` to `stop` on the backend, in the given order or unshuffled."""
        part = a[start:stop, ...] if order is None else gather(a, order[start:stop], axis=0)
        return self.backend.asarray(part)

    def order(self, seed: int, epoch: int) -> Any:
        """The order of an epoch as a NumPy array: the same for one seed on every backend."""
        return order_of(self.size, seed, epoch)


def order_of(n: int, seed: int, epoch: int) -> Any:
    """The order in which an epoch goes through `n` samples, as a NumPy array."""
    return stream(seed, _ORDER, epoch).permutation(n)


def make_step(
    layer: Layer,
    loss: Callable[..., Array],
    optimizer: Optimizer,
    seed: int,
    *,
    parts: int = 1,
    scaled: bool = False,
    penalty: Callable[[Tree, Any], Array] | None = None,
) -> Callable[[Snapshot, Batch, int], tuple[Snapshot, Array, Array]]:
    """One step of training as a function: forward, backward, update.

    Args:
        layer: the network's description.
        loss: a function of predictions and targets, and of ``sample_weight`` if batches have weights.
        optimizer: what turns gradients into updates.
        seed: the seed of the noise that layers use in training.
        parts: in how many parts a batch is worked through.
        scaled: whether the optimiser expects gradients of the loss times its `portnn.optim.loss_scale`.
        penalty: a function of the parameters and of how many samples the batch counts for, which is added to
            the loss.

    Returns:
        A function of a snapshot, a batch and the number of the step (an integer, or an integer array without
        axes; not looked at unless the layer draws), which returns the next snapshot, the loss and the
        predictions.

    Raises:
        TypeError: if the penalty is no function.
    """
    if penalty is not None and not callable(penalty):
        raise TypeError(
            "fit: penalty must be a function of the parameters and of how many samples a batch has, "
            f"got {type(penalty).__name__}"
        )

    def objective(
        params: Tree, state: Tree, batch: Batch, key: Key | None, *scale: Array
    ) -> tuple[Array, tuple[Array, Tree]]:
        options = {} if batch.weight is None else {"sample_weight": batch.weight}
        with parts_of(*zip((batch.x, batch.y), batch.extents, strict=False)):
            predictions, state = layer.forward(params, state, batch.x, training=True, key=key)
            value = loss(predictions, batch.y, **options)
        return ops.multiply(value, *scale) if scale else value, (predictions, state)

    differentiate = value_and_grad(objective, has_aux=True)
    if parts > 1:
        differentiate = in_parts(differentiate, parts, fold_in)

    def step(now: Snapshot, batch: Batch, number: Any) -> tuple[Snapshot, Array, Array]:
        key = _noise_key(seed, number, batch.x) if layer.draws else None
        scale = (loss_scale(now.moments),) if scaled else ()
        (value, (predictions, state)), grads = differentiate(now.params, now.state, batch, key, *scale)
        if penalty is not None:
            value, grads = _penalised(penalty, now.params, batch, value, grads, *scale)
        if scale:
            value = ops.divide(value, *scale)  # by a power of two: exactly what it was
        updates, moments = optimizer.update(grads, now.moments, now.params)
        return Snapshot(apply_updates(now.params, updates), state, moments), value, predictions

    return step


def _penalised(
    penalty: Callable[[Tree, Any], Array],
    params: Tree,
    batch: Batch,
    value: Array,
    grads: Tree,
    *scale: Array,
) -> tuple[Array, Tree]:
    """A loss and its gradient with those of the penalty added."""
    samples = batch.size if batch.weight is None else ops.sum(batch.weight)

    def objective(params: Tree) -> Array:
        return ops.multiply(penalty(params, samples), *scale) if scale else penalty(params, samples)

    more, slope = value_and_grad(objective)(params)
    return ops.add(value, more), tree.map(ops.add, grads, slope)


def _noise_key(seed: int, number: Any, like: Array) -> Key:
    """The key of a step, from its number as the host or the device knows it: the same."""
    if is_array(number):
        return fold_in(make_key(seed, _NOISE, like=like), number)
    return make_key(seed, _NOISE, number, like=like)
