"""Sample weights from class weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from math import isfinite
from numbers import Real
from typing import Any

from portnn import ops
from portnn._typing import Array
from portnn.backend import get_backend
from portnn.losses._loss import Task, loss_of, task_of
from portnn.ops._indexing import gather

__all__ = ["weights_by_class"]


def weights_by_class(y: Array, class_weight: Any, classes: int, loss: Callable[..., Array]) -> Array:
    """Return the weight of each sample by its class, float64 (n,).

    Args:
        y: targets as for `Network.fit`, a NumPy array.
        class_weight: "balanced", or a mapping from classes to weights.
        classes: the number of classes of the network.
        loss: the loss, which sets the task.

    Raises:
        TypeError: if the weights are of the wrong type.
        ValueError: if the task is not classification, or a class or weight is invalid.
    """
    labels, classes = _labels(y, classes, loss)
    if isinstance(class_weight, Mapping):
        weights = _checked(class_weight, classes)
    elif class_weight == "balanced":
        weights = _balanced(labels, loss_of(loss)[1].get("ignore_index"))
    else:
        raise TypeError(
            f"fit: class_weight must be a dict such as {{0: 1.0, 1: 5.0}} or 'balanced', "
            f"got {class_weight!r:.40}"
        )
    host = get_backend("numpy")
    table = host.asarray([weights.get(c, 1.0) for c in range(classes)], dtype="float64")
    # An ignored label may not be a class.
    return gather(table, ops.clip(host.asarray(labels), 0, classes - 1), axis=0)


def _labels(y: Array, classes: int, loss: Callable[..., Array]) -> tuple[Array, int]:
    """Return the class of each sample, and the number of classes."""
    task = task_of(loss)
    if task is Task.CLASSES and len(y.shape) <= 2:
        return (y if len(y.shape) == 1 else ops.argmax(y, axis=-1)), classes
    if task is Task.LABELS and tuple(y.shape[1:]) == (1,):
        yes = ops.greater(ops.squeeze(y, axis=1), 0.5)
        return ops.astype(yes, ops.argmax(y[:1, ...]).dtype), 2
    raise ValueError(
        f"fit: class_weight needs one class for each sample, but the network is for {task.value}; "
        "use sample_weight"
    )


def _checked(class_weight: Mapping[Any, Any], classes: int) -> dict[int, float]:
    weights = {}
    for c, w in class_weight.items():
        if isinstance(c, bool) or not hasattr(c, "__index__") or not 0 <= c.__index__() < classes:
            raise ValueError(f"fit: class_weight has the class {c!r:.40}; classes are 0 to {classes - 1}")
        if isinstance(w, bool) or not isinstance(w, Real):
            raise TypeError(f"fit: class_weight[{c}] must be a number, got {type(w).__name__}")
        weight = weights[c.__index__()] = float(w)
        if not (isfinite(weight) and weight >= 0.0):
            raise ValueError(f"fit: class_weight[{c}] must be finite and >= 0, got {weight}")
    return weights


def _balanced(labels: Array, ignored: int | None) -> dict[int, float]:
    """Return weights that give each class the same total: samples / (classes * samples of the class)."""
    counts = Counter(labels.tolist())
    counts.pop(ignored, None)
    return {c: counts.total() / (len(counts) * n) for c, n in counts.items()}
