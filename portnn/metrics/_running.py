"""Metrics accumulated over batches, in float64 on the host."""

from __future__ import annotations

from typing import Any, final

from portnn import ops
from portnn._typing import Array
from portnn.backend import get_backend

__all__ = ["RunningAccuracy", "RunningR2", "on_host"]


def on_host(x: Array) -> Array:
    """Return an array of any library as NumPy float64, which some devices lack."""
    return get_backend("numpy").asarray(x, dtype="float64")


@final
class RunningAccuracy:
    """The weighted fraction of correct samples; integer weights are summed exactly."""

    def __init__(self) -> None:
        self._right = self._all = 0.0

    def add(self, right: Array, weight: Array | None) -> None:
        """Add a batch.

        Args:
            right: booleans (n,).
            weight: weights (n,), or None.
        """
        if weight is None:
            self._right += int(ops.count_nonzero(right))
            self._all += right.shape[0]
            return
        each = on_host(weight)
        self._right += float(ops.sum(ops.where(get_backend("numpy").to_numpy(right), each, 0.0)))
        self._all += float(ops.sum(each))

    def value(self) -> float:
        """Return the accuracy."""
        return self._right / self._all


@final
class RunningR2:
    """The coefficient of determination R² of each output, and their mean.

    Sums are of values minus one of them, so that those of a constant are exactly equal and a large mean
    loses no digits.
    """

    def __init__(self) -> None:
        self._count = 0
        self._origin: Array | None = None
        self._sums: list[Any] = [0.0] * 4  # of the weights, the values, their squares, and the squared errors

    def add(self, y_true: Array, y_pred: Array, weight: Array | None) -> None:
        """Add a batch.

        Args:
            y_true: true values, (n,) or (n, outputs).
            y_pred: predictions of the same shape.
            weight: weights (n,), or None.

        Raises:
            ValueError: if there are more axes.
        """
        if len(y_pred.shape) > 2:
            raise ValueError(
                f"score: R² is for values of shape (n,) or (n, outputs), got {tuple(y_pred.shape)}; "
                "compare predictions by evaluate, or with portnn.metrics"
            )
        n = y_true.shape[0]
        self._count += n
        true, pred = (ops.reshape(on_host(a), (n, -1)) for a in (y_true, y_pred))
        each = ops.ones_like(true[:, :1]) if weight is None else on_host(weight)[:, None]
        if self._origin is None and bool(ops.any(ops.greater(each, 0.0))):
            heaviest = int(ops.argmax(each))
            self._origin = true[heaviest : heaviest + 1, :]
        if self._origin is None:
            return
        moved, error = ops.subtract(true, self._origin), ops.subtract(true, pred)
        terms = (each, each * moved, each * ops.square(moved), each * ops.square(error))
        self._sums = [known + ops.sum(term, axis=0) for known, term in zip(self._sums, terms, strict=True)]

    def value(self) -> float:
        """Return the fraction of explained variance; for a constant, 1 or 0.

        Raises:
            ValueError: if there was only one sample.
        """
        if self._count < 2:
            raise ValueError("score: R² needs at least 2 samples, got 1: the variance of one value is zero")
        weight, values, squares, lost = self._sums
        spread = squares - ops.square(values) / weight
        constant = ops.equal(squares, 0.0)
        share = ops.divide(lost, ops.where(constant, 1.0, spread))
        nothing = ops.astype(ops.greater(lost, 0.0), "float64")
        return float(ops.mean(ops.subtract(1.0, ops.where(constant, nothing, share))))
