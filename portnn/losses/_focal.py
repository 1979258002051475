"""The factor that the focal losses share."""

from __future__ import annotations

from portnn import ops
from portnn._typing import Array
from portnn.tracing import namespace, primitive

__all__ = ["check_gamma", "modulated"]


def check_gamma(name: str, gamma: float) -> None:
    """`gamma` is at least 0."""
    if not gamma >= 0.0:
        raise ValueError(f"{name}: gamma must be at least 0, got {gamma}")


def modulated(ce: Array, gamma: float) -> Array:
    """``(1 - p)^gamma * ce`` where ``p = exp(-ce)``."""
    return ce if gamma == 0.0 else _modulated(ce, gamma=gamma)


@primitive
def _modulated(ce: Array, /, *, gamma: float) -> Array:
    return _missed(ce) ** gamma * ce


def _missed(ce: Array) -> Array:
    """``1 - p`` of a plain array; not below 0 where rounding makes a loss just below 0."""
    xp = namespace(ce)
    return xp.maximum(-xp.expm1(-ce), 0.0)


def _modulated_rule(g: Array, y: Array, ce: Array, gamma: float) -> Array:
    """With q = 1 - p: q^gamma (1 + gamma p ce / q). The quotient tends to 1 as the loss tends to 0."""
    q = ops.maximum(ops.negative(ops.expm1(ops.negative(ce))), 0.0)
    positive = ops.greater(q, 0.0)
    ratio = ops.where(positive, ops.divide(ce, ops.where(positive, q, 1.0)), 1.0)
    inner = ops.multiply(ops.exp(ops.negative(ce)), ratio) * gamma + 1.0
    return ops.multiply(g, ops.multiply(ops.pow(q, gamma), inner))


_modulated.vjp(_modulated_rule)
