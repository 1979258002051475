"""A batch worked through in parts: the gradient of the whole in the memory of a part."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from portnn import ops, tree
from portnn._typing import Array, Tree
from portnn.ops._weights import relative

__all__ = ["in_parts"]


def in_parts(differentiate: Callable[..., Any], parts: int, fold: Callable[[Any, int], Any]) -> Any:
    """A function like `differentiate` that goes through a batch part by part.

    The loss of a batch is the mean over its samples by their weights, so it is the mean of the parts' losses
    by the sums of their weights, and so is its gradient.

    Args:
        differentiate: ``(params, state, batch, key) -> ((loss, (predictions, state)), grads)``.
        parts: how many parts, of sizes that differ by one at most; a batch of fewer samples has fewer.
        fold: makes the key of a part from that of the batch and the part's number.

    Returns:
        A function of the same arguments and results; the state goes from part to part.
    """

    def whole(params: Tree, state: Tree, batch: Any, key: Any, *rest: Any) -> Any:
        value = grads = None
        predicted = []
        for i, (part, share) in enumerate(_split(batch, parts)):
            own = None if key is None else fold(key, i)
            (loss, (predictions, state)), gradient = differentiate(params, state, part, own, *rest)
            loss, gradient = tree.map(lambda a, s=share: ops.multiply(a, _like(s, a)), (loss, gradient))
            value = loss if value is None else ops.add(value, loss)
            grads = gradient if grads is None else tree.map(ops.add, grads, gradient)
            predicted.append(predictions)
        return (value, (ops.concat(predicted, axis=0), state)), grads

    return whole


def _split(batch: Any, parts: int) -> Iterator[tuple[Any, Any]]:
    """The parts of a batch, and the share of each in its mean."""
    n = batch.size
    count = min(parts, n)
    scaled = None if batch.weight is None else relative(batch.weight, batch.weight.dtype)
    total = None if scaled is None else ops.sum(scaled)
    for i in range(count):
        start, stop = i * n // count, (i + 1) * n // count
        weight = None if batch.weight is None else batch.weight[start:stop]
        share = (stop - start) / n if scaled is None else _ratio(ops.sum(scaled[start:stop]), total)
        x, y = batch.x[start:stop, ...], batch.y[start:stop, ...]
        part = replace(batch, x=x, y=y, weight=weight, size=stop - start)
        yield part, share


def _ratio(weight: Array, total: Array) -> Array:
    """The share of a part; none of a batch whose weights are all zero, the loss of which is zero."""
    return ops.divide(weight, ops.where(ops.greater(total, 0.0), total, ops.ones_like(total)))


def _like(share: Any, a: Array) -> Any:
    """A share in the dtype of what it multiplies."""
    return share if isinstance(share, float) or share.dtype == a.dtype else ops.astype(share, a.dtype)
