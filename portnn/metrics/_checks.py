"""What every metric asks of its arguments before it computes anything."""

from __future__ import annotations

import array_api_compat

from portnn import ops
from portnn._typing import Array, DType
from portnn.ops._half import in_float32
from portnn.ops._weights import relative
from portnn.tracing import TracedArray, namespace


def check_arrays(sample_weight: Array | None, **arrays: Array) -> None:
    """See that the arguments are arrays of one library with as many samples each, at least one."""
    given = arrays if sample_weight is None else {**arrays, "sample_weight": sample_weight}
    for name, x in given.items():
        if not (hasattr(x, "shape") and hasattr(x, "dtype")):
            raise TypeError(f"{name} must be an array, got {type(x).__name__}; make one with xp.asarray")
        if len(x.shape) == 0:
            raise ValueError(f"{name} must have a sample on each row, got a 0-d array")
        if x.shape[0] == 0:
            raise ValueError(f"{name} is empty (shape {tuple(x.shape)}); a metric needs at least one sample")
    namespace(*[_plain(x) for x in given.values()])  # a TypeError names two libraries
    lengths = {name: x.shape[0] for name, x in given.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} has {n}" for name, n in lengths.items())
        raise ValueError(f"the arrays must have one sample on each row and equally many: {told}")


def check_same_shape(y_true: Array, y_pred: Array) -> None:
    """See that targets and predictions have one shape; nothing is broadcast."""
    if tuple(y_true.shape) != tuple(y_pred.shape):
        raise ValueError(
            f"y_true has shape {tuple(y_true.shape)}, y_pred {tuple(y_pred.shape)}; they must be equal: "
            "reshape one, or turn scores into labels with argmax(scores, axis=-1)"
        )


def check_weights(sample_weight: Array | None, n: int) -> None:
    """See that there is a weight for each sample: finite, not negative, not all zero."""
    if sample_weight is None:
        return
    if tuple(sample_weight.shape) != (n,):
        raise ValueError(f"sample_weight must have shape ({n},), got {tuple(sample_weight.shape)}")
    if not ops.isdtype(sample_weight.dtype, ("real floating", "integral")):
        raise TypeError(f"sample_weight must hold real numbers, got dtype {sample_weight.dtype}")
    check_finite(sample_weight, "sample_weight")
    if holds(ops.any(ops.less(sample_weight, 0))):
        raise ValueError("sample_weight holds negative weights; a weight must be zero or more")
    if holds(ops.all(ops.equal(sample_weight, 0))):
        raise ValueError("sample_weight is zero for every sample; at least one has to count")


def check_finite(x: Array, name: str) -> None:
    """See that a floating-point array holds neither NaN nor infinity."""
    if ops.isdtype(x.dtype, "real floating") and holds(ops.logical_not(ops.all(ops.isfinite(x)))):
        raise ValueError(
            f"{name} holds NaN or infinity; look for the step that made it, or leave those samples out"
        )


def holds(condition: Array) -> bool:
    """Whether a 0-d condition is true; False where values are not known yet, as inside ``jax.jit``."""
    try:
        return bool(condition)
    except TypeError:  # JAX's TracerBoolConversionError is one
        return False


def float_dtype(*arrays: Array | None) -> DType:
    """The dtype that a metric computes in: of the floating-point arguments, else the device's default."""
    given = [x for x in arrays if x is not None]
    floating = [x.dtype for x in given if ops.isdtype(x.dtype, "real floating")]
    if floating:
        return ops.result_type(*floating) if len(floating) > 1 else floating[0]
    return _default(given[0], "real floating")


def default_integer(x: Array) -> DType:
    """The default integer dtype of the array's device."""
    return _default(x, "integral")


def _default(x: Array, kind: str) -> DType:
    plain = _plain(x)
    info = namespace(plain).__array_namespace_info__()
    return info.default_dtypes(device=array_api_compat.device(plain))[kind]


def _plain(x: Array) -> Array:
    return x.plain if isinstance(x, TracedArray) else x


@in_float32
def mean(x: Array, sample_weight: Array | None) -> Array:
    """The mean of floating-point values over the first axis, weighted where weights are given."""
    if sample_weight is None:
        return ops.mean(x, axis=0)
    w = relative(sample_weight, x.dtype)
    column = ops.reshape(w, (-1,) + (1,) * (len(x.shape) - 1))
    return ops.divide(ops.sum(ops.multiply(x, column), axis=0), ops.sum(w))


def ratio(numerator: Array, denominator: Array) -> Array:
    """The quotient, and zero where the denominator is zero."""
    none = ops.equal(denominator, 0)
    quotient = ops.divide(numerator, ops.where(none, 1.0, denominator))
    return ops.where(none, 0.0, quotient)
