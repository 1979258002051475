"""What of the data is learned from and how much each sample counts: a part held out, weights of classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import isfinite
from numbers import Real
from typing import Any

from portnn import ops
from portnn._typing import Array
from portnn.backend import get_backend
from portnn.losses import Task, task_of
from portnn.network._inputs import option, place_weights, usual
from portnn.ops._indexing import gather
from portnn.train import Dataset

__all__ = ["check_split", "split_off", "weigh_classes"]


def check_split(validation_split: Any, validation_data: Any) -> float:
    """The share of the data to hold out.

    Raises:
        TypeError: if it is no number.
        ValueError: if it is no share, or there are validation data besides.
    """
    if isinstance(validation_split, bool) or not isinstance(validation_split, Real):
        kind = type(validation_split).__name__
        raise TypeError(f"fit: validation_split must be a number such as 0.1, got {kind}")
    share = float(validation_split)
    if not 0.0 <= share < 1.0:
        raise ValueError(f"fit: validation_split must be from 0 to below 1, got {share}")
    if share and validation_data is not None:
        raise ValueError("fit: got validation_data and validation_split; give one of them")
    return share


def split_off(data: Dataset, share: float) -> tuple[Dataset, Dataset]:
    """The first samples to learn from, and the last ones to hold out.

    Raises:
        ValueError: if either would be empty.
    """
    held = int(data.size * share)
    if not 0 < held < data.size:
        raise ValueError(
            f"fit: validation_split={share} of {data.size} samples leaves none to "
            f"{'validate' if not held else 'learn from'}; give validation_data"
        )
    return _rows(data, 0, data.size - held), _rows(data, data.size - held, data.size)


def _rows(data: Dataset, start: int, stop: int) -> Dataset:
    weight = None if data.weight is None else data.weight[start:stop]
    return replace(data, x=data.x[start:stop, ...], y=data.y[start:stop, ...], weight=weight)


def weigh_classes(
    data: Dataset, class_weight: Any, classes: int, loss: Callable[..., Array], dtype: str
) -> Dataset:
    """The same data, with each sample's weight multiplied by that of its class.

    Args:
        data: the samples.
        class_weight: "balanced", or a mapping from classes to weights.
        classes: how many the network tells apart.
        loss: the loss, which decides the task.
        dtype: the network's.

    Raises:
        TypeError: if the weights are of the wrong type.
        ValueError: if the task is not one of classes, or a class or weight is impossible.
    """
    labels, classes = _labels(data.y, classes, loss)
    if isinstance(class_weight, Mapping):
        weights = _checked(class_weight, classes)
    elif class_weight == "balanced":
        weights = _balanced(labels, classes, option(loss, "ignore_index"), data)
    else:
        raise TypeError(
            f"fit: class_weight must be a dict such as {{0: 1.0, 1: 5.0}} or 'balanced', "
            f"got {class_weight!r:.40}"
        )
    host = get_backend("numpy")  # in float64, which some devices lack
    table = usual(host.asarray([weights.get(c, 1.0) for c in range(classes)], dtype="float64"))
    # An ignored label need not be a class.
    places = ops.clip(host.asarray(data.backend.to_numpy(labels)), 0, classes - 1)
    weight = gather(table, places, axis=0)
    if data.weight is not None:
        own = host.asarray(data.backend.to_numpy(data.weight), dtype="float64")
        weight = ops.multiply(weight, own)
    if not bool(ops.any(ops.greater(weight, 0.0))):
        raise ValueError("fit: class_weight leaves no sample with a weight above zero")
    return replace(data, weight=place_weights(weight, data.home, dtype))


def _labels(y: Array, classes: int, loss: Callable[..., Array]) -> tuple[Array, int]:
    """The class of each sample, and how many there are."""
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


def _balanced(labels: Array, classes: int, ignored: int | None, data: Dataset) -> dict[int, float]:
    """The same weight for each class as a whole: samples over those of the class, shared by the classes."""
    counts = Counter(data.backend.to_numpy(labels).tolist())
    counts.pop(ignored, None)
    return {c: counts.total() / (len(counts) * n) for c, n in counts.items()}
