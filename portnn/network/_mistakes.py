"""Common mistakes with a network, and their error texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from warnings import warn

from portnn import ops
from portnn._typing import Array

__all__ = ["check_save_path", "floating_labels", "to_predict_numbers", "warn_of_weights"]

_NUMBERS = "to predict numbers give the network loss=portnn.losses.squared_error"
# By the file extension of another format, what writes it.
_FORMATS = {
    ".onnx": "portnn.export_onnx(net, {path!r}) writes ONNX",
    **dict.fromkeys((".pt", ".pth", ".bin"), "portnn.nn.to_torch gives its parameters to a PyTorch module"),
    **dict.fromkeys((".h5", ".hdf5", ".keras"), "portnn.nn.to_keras gives its weights to a Keras model"),
    **dict.fromkeys((".npz", ".npy"), "portnn.serialize.save_npz({path!r}, net.params) writes arrays alone"),
    **dict.fromkeys((".pkl", ".pickle", ".joblib"), "pickle.dump(net, file) pickles it"),
    **dict.fromkeys((".json", ".yaml", ".yml"), "portnn.nn.describe(net.layer) has the layers as plain data"),
}


def check_save_path(path: Any) -> None:
    """Check that the name of a network file does not have the extension of another format.

    Raises:
        ValueError: if it has; the message says what writes that format.

    Example:
        >>> check_save_path("m.safetensors"), check_save_path("m")
        (None, None)
    """
    file = Path(path)
    other = _FORMATS.get(file.suffix.lower())
    if other is not None:
        name = f"...{file.name[-40:]}" if len(file.name) > 40 else file.name
        stem = f"...{file.stem[-40:]}" if len(file.stem) > 40 else file.stem
        raise ValueError(
            f"save: writes a safetensors file, got the name {name!r}; "
            f"write net.save({stem + '.safetensors'!r}). {other.format(path=name)}"
        )


def floating_labels(y: Array, classes: int) -> TypeError:
    """Return the error for floating-point targets (n,) under a loss for classes.

    Args:
        y: real floating-point targets.
        classes: the number of classes of the network.
    """
    whole = ops.logical_and(ops.equal(y, ops.floor(y)), ops.logical_and(y >= 0.0, y < float(classes)))
    labels = "for classes pass y.astype('int64'), " if classes > 1 and bool(ops.all(whole)) else ""
    return TypeError(f"y: expected integer labels or one-hot rows, got dtype {y.dtype}; {labels}{_NUMBERS}")


def to_predict_numbers(label: int, classes: int) -> str:
    """Return a hint for a label that is not a class; far beyond the classes, it may be a value.

    Args:
        label: the label.
        classes: the number of classes of the network.
    """
    return f"; {_NUMBERS}" if classes == 1 or label >= 2 * classes or label < -1 else ""


def warn_of_weights(name: str, batch_size: int | None, samples: int) -> None:
    """Warn if weights have no effect.

    The loss of a batch is the weighted mean over its samples; for one sample, its weight cancels.

    Args:
        name: "class_weight" or "sample_weight".
        batch_size: samples per step; None for all.
        samples: the number of samples.
    """
    if min(batch_size or samples, samples) == 1:
        warn(
            f"fit: {name} has no effect with one sample a batch, since the loss of a batch is the mean over "
            "its samples by their weights; pass a larger batch_size, such as 32",
            stacklevel=5,  # the caller of `fit`, through its two decorators
        )
