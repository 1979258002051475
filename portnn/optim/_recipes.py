"""Gradient descent and the methods of sums and means of squares, with torch.optim's defaults."""

from __future__ import annotations

from portnn._typing import Array
from portnn.ops._options import check_flag
from portnn.optim._adaptive import scale_by_adadelta, scale_by_adagrad, scale_by_rms
from portnn.optim._checks import Schedule, check_rate, not_negative
from portnn.optim._optimizer import Optimizer, recipe
from portnn.optim._transforms import assemble, trace

__all__ = ["adadelta", "adagrad", "rmsprop", "sgd"]


@recipe
def sgd(
    learning_rate: float | Schedule,
    *,
    momentum: float = 0.0,
    dampening: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> Optimizer:
    """Stochastic gradient descent, with momentum if wanted.

    Robbins and Monro 1951, A stochastic approximation method; Polyak 1964, Some methods of speeding up the
    convergence of iteration methods; Sutskever et al. 2013 for Nesterov's variant (`trace` has the formulas).

    Args:
        learning_rate: a number > 0, or a schedule (`portnn.optim.schedules`).
        momentum: what remains of the running sum of gradients at each step, in [0, 1).
        dampening: the part of each gradient after the first that does not enter the sum, in [0, 1).
        nesterov: whether to look one step ahead; needs momentum > 0 and dampening 0.
        weight_decay: L2 penalty: this multiple of the parameters is added to the gradients.

    Returns:
        The optimiser.

    Raises:
        ValueError: if a number is out of its range.
        TypeError: if an argument is not a number.

    Example:
        >>> import numpy as np
        >>> optimizer = sgd(0.1)
        >>> params = np.asarray([1.0])
        >>> updates, state = optimizer.update(np.asarray([5.0]), optimizer.init(params), params)
        >>> updates.tolist()
        [-0.5]
    """
    check_flag("sgd", "nesterov", nesterov)
    method = trace(momentum, dampening=dampening, nesterov=nesterov)
    return assemble(learning_rate, *([method] if momentum else []), penalty=weight_decay)


@recipe
def rmsprop(
    learning_rate: float | Schedule = 1e-2,
    *,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    centered: bool = False,
) -> Optimizer:
    """RMSprop: gradients over the root of the running mean of their squares.

    Hinton 2012, Neural networks for machine learning, lecture 6e; centred after Graves 2013. Formulas:
    `scale_by_rms`.

    Args:
        learning_rate: a number > 0, or a schedule.
        alpha: what remains of the running mean at each step, in [0, 1).
        eps: added to the root, > 0.
        weight_decay: L2 penalty, >= 0.
        momentum: what remains of the running sum of updates at each step, in [0, 1).
        centered: whether to divide by the standard deviation instead.

    Returns:
        The optimiser.

    Example:
        >>> import numpy as np
        >>> optimizer, params = rmsprop(0.1, alpha=0.75), np.asarray([1.0])
        >>> updates, state = optimizer.update(np.asarray([5.0]), optimizer.init(params), params)
        >>> round(float(updates[0]), 4)
        -0.2
    """
    check_flag("rmsprop", "centered", centered)
    method = scale_by_rms(alpha, eps=eps, centered=centered)
    return assemble(learning_rate, method, *([trace(momentum)] if momentum else []), penalty=weight_decay)


@recipe
def adagrad(
    learning_rate: float | Schedule = 1e-2,
    *,
    lr_decay: float = 0.0,
    weight_decay: float = 0.0,
    initial_accumulator_value: float = 0.0,
    eps: float = 1e-10,
) -> Optimizer:
    """Adagrad: gradients over the root of the sum of all their squares so far.

    Duchi, Hazan and Singer 2011. Formula: `scale_by_adagrad`.

    Args:
        learning_rate: a number > 0, or a schedule.
        lr_decay: the learning rate is divided by ``1 + step * lr_decay``, >= 0.
        weight_decay: L2 penalty, >= 0.
        initial_accumulator_value: the sum before the first step, >= 0.
        eps: added to the root, > 0.

    Returns:
        The optimiser.

    Example:
        >>> import numpy as np
        >>> optimizer, params = adagrad(0.1), np.asarray([1.0])
        >>> updates, state = optimizer.update(np.asarray([5.0]), optimizer.init(params), params)
        >>> round(float(updates[0]), 4)
        -0.1
    """
    rate, decay = check_rate(learning_rate), not_negative("lr_decay", lr_decay)

    def decayed(step: Array | int) -> Array | float:
        return (rate(step) if callable(rate) else rate) / (step * decay + 1.0)

    method = scale_by_adagrad(initial_accumulator_value=initial_accumulator_value, eps=eps)
    return assemble(decayed if decay else rate, method, penalty=weight_decay)


@recipe
def adadelta(
    learning_rate: float | Schedule = 1.0, *, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0.0
) -> Optimizer:
    """Adadelta: steps in the units of the parameters, without a learning rate to tune.

    Zeiler 2012, ADADELTA: an adaptive learning rate method. Formula: `scale_by_adadelta`.

    Args:
        learning_rate: a number > 0, or a schedule.
        rho: what remains of the running means at each step, in [0, 1).
        eps: added to both means of squares, > 0.
        weight_decay: L2 penalty, >= 0.

    Returns:
        The optimiser.

    Example:
        >>> import numpy as np
        >>> optimizer, params = adadelta(rho=0.75, eps=1e-4), np.asarray([1.0])
        >>> updates, state = optimizer.update(np.asarray([5.0]), optimizer.init(params), params)
        >>> round(float(updates[0]), 4)
        -0.02
    """
    return assemble(learning_rate, scale_by_adadelta(rho, eps=eps), penalty=weight_decay)
