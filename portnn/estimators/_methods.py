"""Optimisers with scikit-learn's formulas, and its penalty."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from math import inf, nextafter
from typing import Any, final

from portnn import ops, optim, tree
from portnn._typing import Array, Tree
from portnn.optim import Optimizer

__all__ = ["L2", "adam", "resumed", "sgd"]


def sgd(learning_rate: float, momentum: float, *, nesterov: bool) -> Optimizer:
    """Gradient descent whose velocity holds steps and not gradients: ``v = m v - rate g``.

    So a rate that changes on the way does not change the steps that were taken before. The step is ``v``, or
    ``m v - rate g`` with Nesterov's momentum.
    """
    plain = optim.adjustable(optim.sgd(learning_rate))
    if momentum == 0.0:
        return plain
    kept = min(momentum, nextafter(1.0, 0.0))  # scikit-learn takes 1 as well; `trace` wants less
    return optim.chain(plain, optim.trace(kept, nesterov=nesterov))


def adam(learning_rate: float, betas: tuple[float, float], eps: float) -> Optimizer:
    """Adam with epsilon added before the bias is corrected."""
    method = optim.scale_by_adam(betas, eps=eps, eps_first=True)
    return optim.chain(method, optim.scale_by_learning_rate(learning_rate))


def resumed(optimizer: Optimizer, moments: Tree) -> Optimizer:
    """An optimiser that begins with a state."""
    return Optimizer(lambda params: moments, optimizer.advance)


@final
@dataclass(frozen=True)
class L2:
    """Half the sum of squares of all weights, but not of biases, over the samples of a batch.

    Attributes:
        alpha: the factor.
    """

    alpha: float

    def __call__(self, params: Tree, samples: Any) -> Array:
        """The penalty; `samples` is how many the batch has, or the sum of their weights."""
        flat = [ops.reshape(p, (-1,)) for p in tree.leaves(params) if len(p.shape) > 1]
        total = sum_of([ops.vecdot(w, w) for w in flat]) * (0.5 * self.alpha)
        if not hasattr(samples, "shape"):
            return total / samples
        return ops.divide(total, ops.where(ops.greater(samples, 0.0), samples, inf))


def sum_of(numbers: list[Array]) -> Any:
    """The sum of some numbers, zero of none."""
    return reduce(ops.add, numbers) if numbers else 0.0
