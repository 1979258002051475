"""Optimisers: pure functions from gradients to updates, with a state that is a tree of arrays.

A recipe (`sgd`, `adam`, ...) is a chain of small transforms, and one's own chain is as good:

    >>> import numpy as np
    >>> from portnn import optim
    >>> optimizer = optim.chain(optim.clip_by_global_norm(1.0), optim.adam(1e-3))
    >>> params = {"w": np.asarray([1.0, 2.0])}
    >>> state = optimizer.init(params)
    >>> updates, state = optimizer.update({"w": np.asarray([3.0, 4.0])}, state, params)
    >>> [round(x, 4) for x in optim.apply_updates(params, updates)["w"].tolist()]
    [0.999, 1.999]

What goes around a recipe: `ema` averages the parameters, `accumulate` takes a step on several gradients,
`adjustable` makes the learning rate part of the state, `dynamic_loss_scale` is for half precision.

Nothing is changed in place, no value is read but by `clip_by_global_norm`, and all parameters lie on one
device.
"""

from typing import TYPE_CHECKING

from portnn._suggest import missing
from portnn.optim import schedules
from portnn.optim._accumulate import accumulate
from portnn.optim._adam import scale_by_adam, scale_by_adamax, scale_by_lion
from portnn.optim._adam_recipes import adam, adamax, adamw, lion, nadam, radam
from portnn.optim._adaptive import scale_by_adadelta, scale_by_adagrad, scale_by_rms
from portnn.optim._adjustable import adjustable, scale_learning_rate
from portnn.optim._clip import NonFiniteGradientError, clip_by_global_norm, clip_by_value, global_norm
from portnn.optim._corrected import scale_by_nadam, scale_by_radam
from portnn.optim._ema import ema, ema_params
from portnn.optim._loss_scale import dynamic_loss_scale, loss_scale
from portnn.optim._optimizer import Optimizer, apply_updates, chain
from portnn.optim._recipes import adadelta, adagrad, rmsprop, sgd
from portnn.optim._transforms import add_decayed_weights, scale, scale_by_learning_rate, trace

__all__ = [
    "NonFiniteGradientError", "Optimizer", "accumulate", "adadelta", "adagrad", "adam", "adamax", "adamw",
    "add_decayed_weights", "adjustable", "apply_updates", "chain", "clip_by_global_norm", "clip_by_value",
    "dynamic_loss_scale", "ema", "ema_params", "global_norm", "lion", "loss_scale", "nadam", "radam",
    "rmsprop", "scale", "scale_by_adadelta", "scale_by_adagrad", "scale_by_adam", "scale_by_adamax",
    "scale_by_learning_rate", "scale_by_lion", "scale_by_nadam", "scale_by_radam", "scale_by_rms",
    "scale_learning_rate", "schedules", "sgd", "trace",
]  # fmt: skip

if not TYPE_CHECKING:

    def __getattr__(name: str) -> None:
        raise missing(__name__, name, __all__)
