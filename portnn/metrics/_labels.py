"""Class labels and indicator matrices, checked and brought to one integer dtype."""

from __future__ import annotations

from portnn import ops
from portnn._typing import Array
from portnn.metrics._checks import check_same_shape, default_integer, holds
from portnn.tracing import in_range, is_kind


def check_label_dtype(y: Array, name: str) -> None:
    """See that labels are integers or booleans."""
    if not ops.isdtype(y.dtype, ("integral", "bool")):
        raise TypeError(
            f"{name} must hold integer labels, got dtype {y.dtype}: for scores pass argmax({name}, axis=-1), "
            "for labels stored as floats astype an integer dtype"
        )


def as_labels(y_true: Array, y_pred: Array) -> tuple[Array, Array]:
    """Two label arrays of one shape, (n,) or (n, labels), in the default integer dtype."""
    check_label_dtype(y_true, "y_true")
    check_label_dtype(y_pred, "y_pred")
    check_same_shape(y_true, y_pred)
    if len(y_true.shape) > 2:
        raise ValueError(f"labels must have shape (n,) or (n, labels), got {tuple(y_true.shape)}")
    if len(y_true.shape) == 2:
        check_indicators(y_true, "y_true")
        check_indicators(y_pred, "y_pred")
    return to_integer(y_true, "y_true"), to_integer(y_pred, "y_pred")


def check_indicators(y: Array, name: str) -> None:
    """See that a matrix of several labels per sample holds zeros and ones only."""
    if ops.isdtype(y.dtype, "bool"):
        return
    if holds(ops.any(ops.logical_and(ops.not_equal(y, 0), ops.not_equal(y, 1)))):
        raise ValueError(
            f"{name} of shape {tuple(y.shape)} is read as one 0/1 column per label, but holds other values; "
            "for one class per sample pass integer labels of shape (n,)"
        )


def to_integer(y: Array, name: str) -> Array:
    """Labels in the default integer dtype: small ones such as uint8 overflow when counted with."""
    dtype = default_integer(y)
    if is_kind(y, "unsigned integer"):  # which can be too large for it
        y = in_range(y, what=name, high=ops.iinfo(dtype).max)
    return ops.astype(y, dtype, copy=False)


def count_classes(y_true: Array, y_pred: Array, n_classes: int | None) -> tuple[Array, Array, int]:
    """Return the checked labels and the number of classes: as given, or the largest label plus one."""
    found = _largest(y_true, y_pred) if n_classes is None else None
    n = found + 1 if found is not None else check_count(n_classes, "n_classes")
    return in_range(y_true, what="y_true", high=n), in_range(y_pred, what="y_pred", high=n), n


def check_count(n: object, name: str) -> int:
    """See that an option is a whole number of at least one."""
    if isinstance(n, bool) or not isinstance(n, int):
        raise TypeError(f"{name} must be an integer, got {type(n).__name__}")
    if n < 1:
        raise ValueError(f"{name} must be 1 or more, got {n}")
    return n


def _largest(y_true: Array, y_pred: Array) -> int:
    """The largest label, or 0 when all are negative (which is refused later, by name)."""
    try:
        return max(int(ops.max(y_true)), int(ops.max(y_pred)), 0)
    except TypeError as error:  # JAX's ConcretizationTypeError is one
        raise ValueError(
            "n_classes must be given where labels are not known yet, as inside jax.jit: pass n_classes=10"
        ) from error
