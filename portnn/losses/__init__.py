"""Losses: functions of a network's raw predictions and the targets, batch first, that return one number.

The loss decides the task: each is a `Loss`, which knows whether it is for classes, labels or values, and by
which function predictions are shown as probabilities, rates or values (`task_of`, `link_of`). Losses for
classes and labels take logits, not probabilities. Bind options with `functools.partial`:
``partial(losses.softmax_cross_entropy, label_smoothing=0.1)``.

All take ``sample_weight`` and ``reduction``. The weighted mean divides by the sum of the weights, so their
scale does not matter; it is 0 if that sum is 0. Shapes, dtypes and labels are checked, other values are not:
`Network` checks them where data come in.
"""

from typing import TYPE_CHECKING

from portnn._suggest import missing
from portnn.losses._classes import focal, kl_divergence, multiclass_hinge, softmax_cross_entropy
from portnn.losses._labels import hinge, sigmoid_cross_entropy, sigmoid_focal
from portnn.losses._likelihoods import gaussian_nll, poisson_nll
from portnn.losses._loss import Loss, Task, link_of, task_of
from portnn.losses._reduce import Reduction
from portnn.losses._values import absolute_error, cosine_distance, huber, log_cosh, squared_error

__all__ = [
    "Loss", "Reduction", "Task", "absolute_error", "cosine_distance", "focal", "gaussian_nll", "hinge",
    "huber", "kl_divergence", "link_of", "log_cosh", "multiclass_hinge", "poisson_nll",
    "sigmoid_cross_entropy", "sigmoid_focal", "softmax_cross_entropy", "squared_error", "task_of",
]  # fmt: skip

if not TYPE_CHECKING:

    def __getattr__(name: str) -> None:
        raise missing(__name__, name, __all__)
