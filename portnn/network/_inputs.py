"""Check the data and options of a `Network`, and move data to its backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from numbers import Real
from typing import Any

from portnn import ops, optim
from portnn._typing import Array, ArrayLike, DType
from portnn.backend import Backend, get_backend
from portnn.backend._finite import all_finite, cast_finite
from portnn.compile import probe
from portnn.losses import Task, task_of
from portnn.losses._class_weights import weights_by_class
from portnn.losses._loss import loss_of
from portnn.network._mistakes import floating_labels, to_predict_numbers
from portnn.nn import Layer, Linear
from portnn.ops._helpers import held
from portnn.ops._options import check_flag, check_whole, whole_text
from portnn.optim import Optimizer
from portnn.tracing import Extent, first_outside, is_kind, parts_of
from portnn.train import Dataset, FitConfig
from portnn.train._state import COUNTS, SEEDS

__all__ = [
    "bring_inputs", "bring_targets", "bring_weights", "check_count", "check_detached", "check_fit",
    "check_optimizer", "check_pair", "check_seed", "check_split", "input_shape_of", "split_off",
    "weigh_classes", "without_ignored",
]  # fmt: skip


_USUAL = 2.0**20  # above it, or below its inverse, weights are rescaled to a maximum of 1


def _bring(name: str, value: ArrayLike, backend: Backend) -> Array:
    """Return an array on the backend, with at least one sample."""
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


def _cast(name: str, x: Array, dtype: DType) -> Array:
    """Return finite numbers in the network's dtype; they are read once, unless one is invalid."""
    cast = cast_finite(x, dtype)
    if cast is None:
        _check_finite(name, x)
        cast = _fit(x, dtype, name)  # raises if a number is too large
    return cast


def _check_finite(name: str, x: Array) -> None:
    """Check that no number is NaN or infinite; the message names the first such sample."""
    if all_finite(x):
        return
    rows = ops.all(ops.reshape(ops.isfinite(x), (x.shape[0], -1)), axis=1)
    first = int(ops.argmin(ops.astype(rows, "int32")))
    raise ValueError(f"{name}: sample {first} has NaN or infinite values; remove or replace them first")


def _fit(x: Array, dtype: DType, name: str) -> Array:
    """Cast finite numbers to another floating-point dtype; raise if one would become infinite."""
    if x.dtype == dtype:
        return x
    limit = float(ops.finfo(dtype).max)
    if is_kind(x, "real floating") and not -limit <= float(ops.min(x)) <= float(ops.max(x)) <= limit:
        raise ValueError(
            f"{name}: has values beyond {limit:.1e}, too large for the network's dtype; scale them first"
        )
    return ops.astype(x, dtype)


def _door(value: Any, backend: Backend, dtype: str, *, streamed: bool = False) -> Backend:
    """Return the backend on which values are checked and cast.

    It is NumPy for NumPy arrays that the cast makes smaller, so that the device never holds both, and for
    those that are streamed because they do not fit on the device.
    """
    host = get_backend("numpy")
    if backend is host or not host.owns(value):
        return backend
    cast = value.dtype.kind == "f" and 8 * value.dtype.itemsize > ops.finfo(host.dtype(dtype)).bits
    return host if cast or (streamed and not _fits(value, backend)) else backend


def _fits(x: Any, backend: Backend) -> bool:
    """Return whether a NumPy array fits on the device."""
    return backend.has_room(x.size * x.dtype.itemsize)


def bring_inputs(value: ArrayLike, backend: Backend, dtype: str, *, streamed: bool = False) -> Array:
    """Return inputs on the backend: floating point in the network's dtype, integers unchanged.

    Args:
        value: the inputs.
        backend: the network's.
        dtype: the network's.
        streamed: whether NumPy arrays that do not fit on the device stay in host memory.

    Raises:
        TypeError: if they are not real numbers.
        ValueError: if they are empty or not finite.
    """
    door = _door(value, backend, dtype, streamed=streamed)
    x = _bring("x", value, door)
    if is_kind(x, "real floating"):
        x = _cast("x", x, door.dtype(dtype))
    elif not is_kind(x, "integral"):
        raise TypeError(f"x: expected real numbers, got dtype {x.dtype}; convert with astype")
    return x if door is backend or (streamed and not _fits(x, backend)) else backend.asarray(x)


def bring_targets(
    value: ArrayLike, n: int, predictions: Array, loss: Callable[..., Array], backend: Backend, dtype: str
) -> tuple[Array, Extent, bool]:
    """Return targets on the backend, checked against the prediction for one sample.

    Args:
        value: the targets.
        n: the number of samples.
        predictions: the network's raw predictions for the first sample.
        loss: the loss, which determines the valid targets.
        backend: the backend, which is that of the predictions.
        dtype: the network's.

    Returns:
        The targets; the whole array, for checks of its parts; and whether the targets were (n,) for a network
        with one output, in which case they are now (n, 1).

    Raises:
        TypeError: if their dtype does not suit the loss.
        ValueError: if their number, shape or values do not.
    """
    door = _door(value, backend, dtype)
    y = _bring("y", value, door)
    if y.shape[0] != n:
        raise ValueError(f"y: expected as many targets as samples in x, {n}, got {y.shape[0]}")
    if is_kind(y, "complex floating"):
        raise TypeError(f"y: expected real numbers, got dtype {y.dtype}; split real and imaginary part")
    if is_kind(y, "real floating"):
        _check_finite("y", y)
        y = y if door is backend else backend.asarray(_fit(y, door.dtype(dtype), "y"))
    task, flat = task_of(loss), False
    if task is Task.CLASSES and len(y.shape) == 1:
        y = _check_labels(y, predictions.shape[-1], loss_of(loss)[1].get("ignore_index"))
    else:
        if task is Task.CLASSES:
            _check_axes(y, tuple(predictions.shape))
        y = _fit(y, predictions.dtype, "y")
        if flat := tuple(predictions.shape) == (1, 1) and len(y.shape) == 1:
            y = ops.expand_dims(y, axis=1)
        if task is not Task.VALUES:
            _check_probabilities(y, task)
    first, labels = y[:1, ...], Extent(y)
    with parts_of((first, labels)):
        probe(loss, predictions, first)  # checks the shapes
    return y, labels, flat


def _check_axes(y: Array, predictions: tuple[int, ...]) -> None:
    """Check that labels have no axis of length 1 in place of the network's class axis.

    Raises:
        ValueError: if they have.
    """
    shape, expected = tuple(y.shape), (y.shape[0], *predictions[1:-1])
    if shape == (*expected, 1) and predictions[-1] != 1:
        raise ValueError(
            f"y: expected labels of shape {expected} or one-hot rows {(*expected, predictions[-1])}, got "
            f"shape {shape}; write y[{':' if len(shape) == 2 else '...'}, 0]"
        )


def _check_probabilities(y: Array, task: Task) -> None:
    """Check that targets are between 0 and 1, and that rows of classes sum to 1."""
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
                "y: expected one-hot or soft rows that sum to 1; for several labels use "
                "sigmoid_cross_entropy, to predict numbers loss=portnn.losses.squared_error"
            )


def _check_labels(y: Array, classes: int, ignored: int | None) -> Array:
    """Return integer labels, checked, in a signed dtype that holds every class."""
    if not is_kind(y, "integral"):
        raise (
            floating_labels(y, classes)
            if is_kind(y, "real floating")
            else TypeError(
                f"y: expected integer labels or one-hot rows, got dtype {y.dtype}; "
                "convert with astype('int64')"
            )
        )
    odd = first_outside(y, 0, classes, ignored)
    if odd is not None:
        [first] = odd
        label = f"y: sample {first} has the label {int(y[first])}, but the network has"
        if classes == 1:
            raise ValueError(
                f"{label} one class; for yes or no give it loss=portnn.losses.sigmoid_cross_entropy, "
                "to predict numbers loss=portnn.losses.squared_error; for more classes widen the last layer"
            )
        raise ValueError(
            f"{label} {classes} classes, 0 to {classes - 1}; widen the last layer or renumber the labels"
            f"{to_predict_numbers(int(y[first]), classes)}"
        )
    return ops.astype(y, ops.argmax(y[:1, ...]).dtype)  # the dtype of indices


def bring_weights(value: ArrayLike | None, n: int, backend: Backend, dtype: str) -> Array | None:
    """Return sample weights on the backend.

    Raises:
        TypeError: if they are not real numbers.
        ValueError: if they are not `n` numbers, finite, not negative and not all zero.
    """
    if value is None:
        return None
    w = _bring("sample_weight", value, get_backend("numpy"))  # in float64, which some devices lack
    if tuple(w.shape) != (n,):
        raise ValueError(
            f"sample_weight: expected shape ({n},), a weight for each sample, got {tuple(w.shape)}"
        )
    if is_kind(w, "complex floating"):
        raise TypeError(f"sample_weight: expected real numbers, got dtype {w.dtype}")
    w = ops.astype(w, "float64")
    _check_finite("sample_weight", w)
    if bool(ops.any(ops.less(w, 0.0))) or not bool(ops.any(ops.greater(w, 0.0))):
        raise ValueError("sample_weight: expected weights that are not negative, and at least one above zero")
    return place_weights(w, backend, dtype)


def usual(w: Array) -> Array:
    """Return weights, rescaled to a maximum of 1 if it is far from 1."""
    largest = float(ops.max(w))
    return w if not largest or 1 / _USUAL <= largest <= _USUAL else ops.divide(w, largest)


def place_weights(w: Array, backend: Backend, dtype: str) -> Array:
    """Return weights (n,) in the network's dtype and on its backend; no positive weight becomes zero.

    Weights of ordinary size are unchanged, since penalties are balanced against their sum.

    Args:
        w: float64, on the host.
        backend: the backend of the result.
        dtype: the network's.
    """
    w = usual(w)
    least = float(ops.finfo(ops.asarray(0.0, dtype=dtype, like=w).dtype).smallest_normal)
    w = ops.where(ops.greater(w, 0.0), ops.maximum(w, least), 0.0)
    return backend.asarray(w, dtype=dtype)


def without_ignored(weight: Array | None, y: Array, loss: Callable[..., Array], dtype: str) -> Array | None:
    """Return sample weights that are zero where the loss ignores the label, so that no metric counts them.

    Raises:
        ValueError: if no sample is left.
    """
    ignored = loss_of(loss)[1].get("ignore_index")
    if len(y.shape) != 1 or ignored is None or held(y, ignored) is None:
        return weight
    kept = ops.astype(ops.not_equal(y, ignored), dtype)
    weight = kept if weight is None else ops.multiply(weight, kept)
    if not bool(ops.any(ops.greater(weight, 0.0))):
        raise ValueError(
            f"y: no sample counts, every label is {ignored}, the loss's ignore_index, or has weight 0"
        )
    return weight


def check_detached(**arrays: Any) -> None:
    """Check that data do not require gradients: training would carry their tape from step to step."""
    for name, value in arrays.items():
        if getattr(value, "requires_grad", False):
            raise ValueError(f"{name}: a tensor that requires grad; pass {name}.detach()")


def input_shape_of(layer: Layer) -> tuple[int, ...] | None:
    """Return the shape of one sample, if the first layer determines it."""
    if layer.members:
        return None if layer.further_inputs else input_shape_of(layer.members[0])
    return (layer.in_features,) if isinstance(layer, Linear) else None


def check_split(validation_split: Any, validation_data: Any) -> float:
    """Return the fraction of the data to hold out.

    Raises:
        TypeError: if it is not a number.
        ValueError: if it is out of range, or there are validation data too.
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
    """Split data into the first samples, to train on, and the last ones, to hold out.

    Raises:
        ValueError: if either would be empty.
    """
    held = int(data.size * share)
    if not 0 < held < data.size:
        raise ValueError(
            f"fit: validation_split={share} of {data.size} samples leaves none to "
            f"{'validate' if not held else 'learn from'}; pass validation_data"
        )
    return data.rows(0, data.size - held), data.rows(data.size - held, data.size)


def weigh_classes(
    data: Dataset, class_weight: Any, classes: int, loss: Callable[..., Array], dtype: str
) -> Dataset:
    """Return data with each sample weight multiplied by that of its class.

    Args:
        data: the samples.
        class_weight: "balanced", or a mapping from classes to weights.
        classes: the number of classes.
        loss: the loss, which sets the task.
        dtype: the network's.

    Raises:
        TypeError: if the weights are of the wrong type.
        ValueError: if the task is not classification, or a class or weight is invalid.
    """
    weight = usual(weights_by_class(data.backend.to_numpy(data.y), class_weight, classes, loss))
    if data.weight is not None:
        own = get_backend("numpy").asarray(data.backend.to_numpy(data.weight), dtype="float64")
        weight = ops.multiply(weight, own)
    if not bool(ops.any(ops.greater(weight, 0.0))):
        raise ValueError("fit: class_weight leaves no sample with a weight above zero")
    return replace(data, weight=place_weights(weight, data.home, dtype))


def check_count(name: str, value: Any) -> int:
    """Return a number of epochs or steps as a Python int.

    Raises:
        TypeError: if it is not an integer.
        ValueError: if it is negative, or 2^32 or more.
    """
    who, _, name = name.rpartition(": ")
    count = check_whole(who or "Network", name, value, 0)
    if count >= COUNTS:
        raise ValueError(f"{who or 'Network'}: {name} must be less than 2^32, got {whole_text(count)}")
    return count


def check_seed(seed: int) -> int:
    """Return a seed that a file can hold."""
    if seed >= SEEDS:
        raise ValueError(f"Network: seed must be less than 2^128, got one of {seed.bit_length()} bits")
    return seed


def check_fit(config: FitConfig) -> FitConfig:
    """Check the options of a training; return them with Python numbers."""
    for name in ("shuffle", "compile"):
        check_flag("fit", name, getattr(config, name))
    told, penalty = config.progress, config.penalty
    if not (told is None or isinstance(told, bool) or _is_told(told)):
        raise TypeError(
            "fit: progress must be True, False, None or an object with the methods step and epoch, "
            f"got {type(told).__name__}"
        )
    optional = [name for name in ("batch_size", "threads") if getattr(config, name) is not None]
    counts: dict[str, Any] = {
        name: check_whole("fit", name, getattr(config, name), 1)
        for name in ("epochs", "accumulate", *optional)
    }
    if penalty is not None and not callable(penalty):
        raise TypeError(
            "fit: penalty must be a function of the parameters and of how many samples a batch has, "
            f"got {type(penalty).__name__}"
        )
    check_optimizer(config.optimizer)
    return replace(config, **counts)


def _is_told(progress: Any) -> bool:
    """Return whether an object is a progress display."""
    return all(callable(getattr(progress, name, None)) for name in ("step", "epoch"))


def check_optimizer(optimizer: Any) -> None:
    """Raise a TypeError unless it is an optimizer."""
    if not isinstance(optimizer, Optimizer):
        name = getattr(optimizer, "__name__", "")
        call = f"; write optim.{name}(0.001)" if name in optim.__all__ else ""
        raise TypeError(
            "fit: optimizer must come from portnn.optim, like optim.sgd(0.1), "
            f"got {type(optimizer).__name__}{call}"
        )


def check_pair(pair: Any) -> tuple[ArrayLike, ArrayLike, ArrayLike | None]:
    """Return validation data as inputs, targets, and weights or None.

    Raises:
        TypeError: if they are not a tuple of two or three.
    """
    if not isinstance(pair, tuple | list) or len(pair) not in (2, 3):
        what = f"{len(pair)} values" if isinstance(pair, tuple | list) else type(pair).__name__
        raise TypeError(f"fit: validation_data must be a pair (x, y) or (x, y, sample_weight), got {what}")
    return pair[0], pair[1], pair[2] if len(pair) == 3 else None
