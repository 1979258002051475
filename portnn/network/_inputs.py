"""Data at the door of a `Network`: brought to its backend, and looked at before anything changes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from operator import index
from typing import Any, SupportsIndex

from portnn import ops
from portnn._typing import Array, ArrayLike, DType
from portnn.backend import Backend
from portnn.losses import Task, task_of
from portnn.optim import Optimizer
from portnn.tracing import is_kind

__all__ = [
    "adapted",
    "bring_inputs",
    "bring_targets",
    "bring_weights",
    "check_callbacks",
    "check_columns",
    "check_detached",
    "check_fit",
    "check_pair",
    "option",
    "without_ignored",
]


def check_fit(
    epochs: SupportsIndex,
    batch_size: SupportsIndex | None,
    optimizer: Any,
    shuffle: Any,
    progress: Any,
    compile: Any,
    threads: Any,
    accumulate: Any = 1,
) -> tuple[int, int | None]:
    """The options of a training, before any work is done; the numbers as integers of Python."""
    for name, value in (("shuffle", shuffle), ("compile", compile)):
        if not isinstance(value, bool):
            raise TypeError(f"fit: {name} must be True or False, got {type(value).__name__}")
    told = callable(getattr(progress, "step", None)) and callable(getattr(progress, "epoch", None))
    if not (progress is None or isinstance(progress, bool) or told):
        raise TypeError(
            f"fit: progress must be True, False, None or an object with the methods step and epoch, "
            f"got {type(progress).__name__}"
        )
    optional = {"batch_size": batch_size, "threads": threads}
    counts = (("epochs", epochs), ("accumulate", accumulate))
    for name, value in (*counts, *((n, 1 if v is None else v) for n, v in optional.items())):
        if isinstance(value, bool) or not hasattr(value, "__index__"):
            raise TypeError(f"fit: {name} must be an integer, got {type(value).__name__}")
        if index(value) < 1:
            raise ValueError(f"fit: {name} must be at least 1, got {value}")
    if optimizer is not None and not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"fit: optimizer must come from portnn.optim, like optim.sgd(0.1), got {type(optimizer).__name__}"
        )
    return index(epochs), None if batch_size is None else index(batch_size)


def check_callbacks(callbacks: Any) -> list[Any]:
    """The callbacks as a list.

    Raises:
        TypeError: if they are no list of functions.
    """
    told = list(callbacks) if isinstance(callbacks, Iterable) else []
    odd = [c for c in told if not callable(c)] if isinstance(callbacks, Iterable) else [callbacks]
    if odd:
        raise TypeError(
            f"fit: callbacks must be a list of functions of an Epoch, got {type(odd[0]).__name__}; write [f]"
        )
    for c in told:
        if isinstance(c, type):
            raise TypeError(f"fit: got the class {c.__name__} as a callback; write {c.__name__}(...)")
    return told


def check_columns(callbacks: Iterable[Any], columns: Collection[str]) -> None:
    """Let callbacks look for what they watch.

    Raises:
        ValueError: if it will not be there.
    """
    for callback in callbacks:
        if hasattr(callback, "check_columns"):
            callback.check_columns(columns)


def adapted(optimizer: Optimizer, callbacks: Iterable[Any]) -> Optimizer:
    """The optimiser as the callbacks need it.

    Raises:
        TypeError: if a callback makes something else of it.
    """
    for callback in callbacks:
        if hasattr(callback, "adapt"):
            optimizer = callback.adapt(optimizer)
            if not isinstance(optimizer, Optimizer):
                name, kind = type(callback).__name__, type(optimizer).__name__
                raise TypeError(f"fit: {name}.adapt must return an optimiser, got {kind}")
    return optimizer


def check_pair(pair: Any) -> tuple[ArrayLike, ArrayLike, ArrayLike | None]:
    """Validation data as inputs, targets, and weights or None.

    Raises:
        TypeError: if they are no tuple of two or three.
    """
    if not isinstance(pair, tuple | list) or len(pair) not in (2, 3):
        what = f"{len(pair)} values" if isinstance(pair, tuple | list) else type(pair).__name__
        raise TypeError(f"fit: validation_data must be a pair (x, y) or (x, y, sample_weight), got {what}")
    return pair[0], pair[1], pair[2] if len(pair) == 3 else None


def _bring(name: str, value: ArrayLike, backend: Backend) -> Array:
    """An array of the backend, with at least one sample."""
    try:
        x = backend.asarray(value)
    except (TypeError, ValueError) as error:
        labels = "; number the classes 0, 1, ..." if name == "y" and isinstance(error, TypeError) else ""
        raise type(error)(f"{name}: {str(error).removeprefix('x ')[:220]}{labels}") from None
    if not x.shape:
        raise ValueError(f"{name}: expected an array with a batch axis, got a single number; write x[None]")
    if 0 in x.shape:
        raise ValueError(
            f"{name}: expected at least one sample, got an empty array of shape {tuple(x.shape)}"
        )
    return x


def _check_finite(name: str, x: Array) -> None:
    """No NaN and no infinity; the message names the first sample that has one."""
    # Both ends are finite only if all in between are: NaN is larger and smaller than everything.
    if bool(ops.isfinite(ops.max(x))) and bool(ops.isfinite(ops.min(x))):
        return
    rows = ops.all(ops.reshape(ops.isfinite(x), (x.shape[0], -1)), axis=1)
    first = int(ops.argmin(ops.astype(rows, "int32")))
    raise ValueError(f"{name}: sample {first} has NaN or infinite values; remove or replace them first")


def _fit(x: Array, dtype: DType, name: str) -> Array:
    """Finite numbers in another floating-point dtype; what it cannot hold would become infinite."""
    if x.dtype == dtype:
        return x
    limit = float(ops.finfo(dtype).max)
    if is_kind(x, "real floating") and float(ops.max(ops.abs(x))) > limit:
        raise ValueError(
            f"{name}: has values beyond {limit:.1e}, too large for the network's dtype; scale them first"
        )
    return ops.astype(x, dtype)


def bring_inputs(value: ArrayLike, backend: Backend, dtype: str) -> Array:
    """Inputs on the backend: floating point in the network's dtype, integers as they are.

    Raises:
        TypeError: if they are not real numbers.
        ValueError: if there are none, or some are not finite.
    """
    x = _bring("x", value, backend)
    if is_kind(x, "real floating"):
        _check_finite("x", x)
        return _fit(x, backend.dtype(dtype), "x")
    if not is_kind(x, "integral"):
        raise TypeError(f"x: expected real numbers, got dtype {x.dtype}; convert with astype")
    return x


def bring_targets(
    value: ArrayLike, n: int, predictions: Array, loss: Callable[..., Array], backend: Backend
) -> Array:
    """Targets on the backend, checked against what the network predicts for one sample.

    Args:
        value: the targets.
        n: the number of samples.
        predictions: the network's raw predictions for the first sample.
        loss: the loss, which decides what targets may be.
        backend: the backend to bring them to.

    Raises:
        TypeError: if their dtype does not suit the loss.
        ValueError: if their number, shape or values do not.
    """
    y = _bring("y", value, backend)
    if y.shape[0] != n:
        raise ValueError(f"y: expected as many targets as samples in x, {n}, got {y.shape[0]}")
    if is_kind(y, "complex floating"):
        raise TypeError(f"y: expected real numbers, got dtype {y.dtype}; split real and imaginary part")
    if is_kind(y, "real floating"):
        _check_finite("y", y)
    task = task_of(loss)
    if task is Task.CLASSES and len(y.shape) == 1:
        y = _check_labels(y, predictions.shape[-1], option(loss, "ignore_index"))
    else:
        y = _fit(y, predictions.dtype, "y")
        if tuple(predictions.shape) == (1, 1) and len(y.shape) == 1:
            y = ops.expand_dims(y, axis=1)
        if task is not Task.VALUES:
            _check_probabilities(y, task)
    loss(predictions, y[:1, ...])  # shapes are the loss's own to judge
    return y


def _check_probabilities(y: Array, task: Task) -> None:
    """Targets between 0 and 1, and rows of classes that sum to 1."""
    inside = ops.logical_and(ops.greater_equal(y, 0.0), ops.less_equal(y, 1.0))
    if not bool(ops.all(inside)):
        raise ValueError(
            f"y: expected targets between 0 and 1 for a loss for {task.value}, got values outside; "
            "to predict numbers give the network loss=portnn.losses.squared_error"
        )
    if task is Task.CLASSES and len(y.shape) > 1:
        off = ops.abs(ops.subtract(ops.sum(y, axis=-1), 1.0))
        if bool(ops.any(ops.greater(off, 1e-3))):
            raise ValueError(
                "y: expected one-hot or soft rows that sum to 1; for several labels use sigmoid_cross_entropy"
            )


def _check_labels(y: Array, classes: int, ignored: int | None) -> Array:
    """Integer labels that are classes, with a sign and room to be compared with any class."""
    if not is_kind(y, "integral"):
        raise TypeError(
            f"y: expected integer labels or one-hot rows, got dtype {y.dtype}; convert with astype"
        )
    y = ops.astype(y, ops.argmax(y[:1, ...]).dtype)  # as positions are counted; unsigned beyond it: negative
    odd = ops.logical_or(ops.less(y, 0), ops.greater_equal(y, classes))
    if ignored is not None:
        odd = ops.logical_and(odd, ops.not_equal(y, ignored))
    if bool(ops.any(odd)):
        first = int(ops.argmax(ops.astype(odd, "int32")))
        label = f"y: sample {first} has the label {int(y[first])}, but the network has"
        if classes == 1:
            raise ValueError(
                f"{label} one class; for yes or no give it loss=portnn.losses.sigmoid_cross_entropy, "
                "for more classes widen the last layer"
            )
        raise ValueError(
            f"{label} {classes} classes, 0 to {classes - 1}; widen the last layer or renumber the labels"
        )
    return y


def option(loss: Any, name: str) -> Any:
    """An option that was bound to a loss by functools.partial."""
    while hasattr(loss, "keywords"):
        if name in loss.keywords:
            return loss.keywords[name]
        loss = loss.func
    return None


def bring_weights(value: ArrayLike | None, n: int, backend: Backend, dtype: str) -> Array | None:
    """Sample weights on the backend.

    Raises:
        ValueError: if they are not `n` numbers, finite, not negative and not all zero.
    """
    if value is None:
        return None
    w = _bring("sample_weight", value, backend)
    if tuple(w.shape) != (n,):
        raise ValueError(
            f"sample_weight: expected shape ({n},), a weight for each sample, got {tuple(w.shape)}"
        )
    w = ops.astype(w, backend.dtype(dtype))
    _check_finite("sample_weight", w)
    if bool(ops.any(ops.less(w, 0.0))) or not bool(ops.any(ops.greater(w, 0.0))):
        raise ValueError("sample_weight: expected weights that are not negative, and at least one above zero")
    return w


def without_ignored(weight: Array | None, y: Array, loss: Callable[..., Array], dtype: str) -> Array | None:
    """Sample weights that are zero where the loss ignores the label, so that no figure counts such samples.

    Raises:
        ValueError: if no sample is left.
    """
    ignored = option(loss, "ignore_index")
    if ignored is None or len(y.shape) != 1:
        return weight
    kept = ops.astype(ops.not_equal(y, ignored), dtype)
    weight = kept if weight is None else ops.multiply(weight, kept)
    if not bool(ops.any(ops.greater(weight, 0.0))):
        raise ValueError(
            f"y: no sample counts, every label is {ignored}, the loss's ignore_index, or has weight 0"
        )
    return weight


def check_detached(**arrays: Any) -> None:
    """Data record nothing: a training would carry their record from step to step."""
    for name, value in arrays.items():
        if getattr(value, "requires_grad", False):
            raise ValueError(f"{name}: a tensor that requires grad; pass {name}.detach()")
