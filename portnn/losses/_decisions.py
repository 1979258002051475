"""Decisions from raw predictions by task, and counts of correct ones."""

from __future__ import annotations

from portnn import ops
from portnn._typing import Array
from portnn.losses._loss import Task

__all__ = ["count_right", "decide", "right"]


def decide(predictions: Array, task: Task) -> Array:
    """Return decisions: the class with the largest prediction, or whether each label's logit is positive."""
    if task is Task.CLASSES:
        return ops.argmax(predictions, axis=-1)
    return ops.greater(predictions, 0.0)


def right(predictions: Array, y: Array, task: Task) -> Array:
    """Return which samples have all labels correct."""
    decisions = decide(predictions, task)
    if task is Task.LABELS:
        y = ops.greater(y, 0.5)
    elif len(y.shape) > len(decisions.shape):
        y = ops.argmax(y, axis=-1)
    found = ops.equal(decisions, y)
    while len(found.shape) > 1:
        found = ops.all(found, axis=-1)
    return found


def count_right(predictions: Array, y: Array, weight: Array | None, task: Task) -> Array:
    """Count correct samples by weight; return a 0-d array, to avoid synchronizing a GPU."""
    found = right(predictions, y, task)
    return ops.count_nonzero(found) if weight is None else ops.sum(ops.where(found, weight, 0.0))
