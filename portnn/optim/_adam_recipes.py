"""Adam and its relatives, with torch.optim's defaults."""

from __future__ import annotations

from portnn.ops._options import check_flag
from portnn.optim._adam import scale_by_adam, scale_by_adamax, scale_by_lion
from portnn.optim._checks import Schedule
from portnn.optim._corrected import scale_by_nadam, scale_by_radam
from portnn.optim._optimizer import Optimizer, recipe
from portnn.optim._transforms import assemble

__all__ = ["adam", "adamax", "adamw", "lion", "nadam", "radam"]


@recipe
def adam(
    learning_rate: float | Schedule = 1e-3,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    amsgrad: bool = False,
) -> Optimizer:
    """Adam: the running mean of the gradients over the root of that of their squares.

    Kingma and Ba 2015; AMSGrad after Reddi, Kale and Kumar 2018. Formulas: `scale_by_adam`. Gradients so
    large that their squares overflow (1e20 in float32) are scaled down leaf by leaf, which Adam does not
    see.

    Args:
        learning_rate: a number > 0, or a schedule.
        betas: what remains of the two running means at each step, each in [0, 1).
        eps: added to the root, > 0.
        weight_decay: L2 penalty, >= 0; `adamw` has the decoupled kind.
        amsgrad: whether to divide by the largest second moment so far.

    Returns:
        The optimiser.

    Example:
        >>> import numpy as np
        >>> optimizer, params = adam(0.1), np.asarray([1.0])
        >>> updates, state = optimizer.update(np.asarray([5.0]), optimizer.init(params), params)
        >>> round(float(updates[0]), 4)
        -0.1
    """
    check_flag("adam", "amsgrad", amsgrad)
    return assemble(learning_rate, scale_by_adam(betas, eps=eps, amsgrad=amsgrad), penalty=weight_decay)


@recipe
def adamw(
    learning_rate: float | Schedule = 1e-3,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 1e-2,
    amsgrad: bool = False,
) -> Optimizer:
    """Adam with decoupled weight decay: parameters shrink by ``learning_rate * weight_decay`` at each step.

    Loshchilov and Hutter 2019, Decoupled weight decay regularization, algorithm 2.

    Args:
        learning_rate: a number > 0, or a schedule, which scales the decay as well.
        betas: what remains of the two running means at each step, each in [0, 1).
        eps: added to the root, > 0.
        weight_decay: the rate of decay, >= 0.
        amsgrad: whether to divide by the largest second moment so far.

    Returns:
        The optimiser.

    Example:
        >>> import numpy as np
        >>> optimizer, params = adamw(0.1, weight_decay=0.5), np.asarray([1.0])
        >>> updates, state = optimizer.update(np.asarray([5.0]), optimizer.init(params), params)
        >>> round(float(updates[0]), 4)
        -0.15
    """
    check_flag("adamw", "amsgrad", amsgrad)
    return assemble(learning_rate, scale_by_adam(betas, eps=eps, amsgrad=amsgrad), decay=weight_decay)


@recipe
def nadam(
    learning_rate: float | Schedule = 2e-3,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum_decay: float = 4e-3,
) -> Optimizer:
    """Adam with Nesterov momentum.

    Dozat 2016, Incorporating Nesterov momentum into Adam. Formula: `scale_by_nadam`.

    Args:
        learning_rate: a number > 0, or a schedule.
        betas: what remains of the two running means at each step, each in [0, 1).
        eps: added to the root, > 0.
        weight_decay: L2 penalty, >= 0.
        momentum_decay: how quickly the momentum grows to ``betas[0]``, >= 0.

    Returns:
        The optimiser.

    Example:
        >>> import numpy as np
        >>> optimizer, params = nadam(0.1), np.asarray([1.0])
        >>> updates, state = optimizer.update(np.asarray([5.0]), optimizer.init(params), params)
        >>> round(float(updates[0]), 4)
        -0.1056
    """
    method = scale_by_nadam(betas, eps=eps, momentum_decay=momentum_decay)
    return assemble(learning_rate, method, penalty=weight_decay)


@recipe
def radam(
    learning_rate: float | Schedule = 1e-3,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> Optimizer:
    """Adam with a rectified second moment: plain momentum while too few gradients have been seen.

    Liu et al. 2020, On the variance of the adaptive learning rate and beyond. Formula: `scale_by_radam`.

    Args:
        learning_rate: a number > 0, or a schedule.
        betas: what remains of the two running means at each step, each in [0, 1).
        eps: added to the root, > 0.
        weight_decay: L2 penalty, >= 0.

    Returns:
        The optimiser.

    Example:
        >>> import numpy as np
        >>> optimizer, params = radam(0.1), np.asarray([1.0])
        >>> updates, state = optimizer.update(np.asarray([5.0]), optimizer.init(params), params)
        >>> round(float(updates[0]), 4)
        -0.5
    """
    return assemble(learning_rate, scale_by_radam(betas, eps=eps), penalty=weight_decay)


@recipe
def adamax(
    learning_rate: float | Schedule = 2e-3,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> Optimizer:
    """Adam by the largest gradient instead of the root mean square.

    Kingma and Ba 2015, algorithm 2. Formula: `scale_by_adamax`.

    Args:
        learning_rate: a number > 0, or a schedule.
        betas: what remains of the running mean and of the largest gradient at each step, each in [0, 1).
        eps: added to the size of the gradient, > 0.
        weight_decay: L2 penalty, >= 0.

    Returns:
        The optimiser.

    Example:
        >>> import numpy as np
        >>> optimizer, params = adamax(0.1), np.asarray([1.0])
        >>> updates, state = optimizer.update(np.asarray([5.0]), optimizer.init(params), params)
        >>> round(float(updates[0]), 4)
        -0.1
    """
    return assemble(learning_rate, scale_by_adamax(betas, eps=eps), penalty=weight_decay)


@recipe
def lion(
    learning_rate: float | Schedule = 1e-4,
    *,
    betas: tuple[float, float] = (0.9, 0.99),
    weight_decay: float = 0.0,
) -> Optimizer:
    """Lion: every element moves by the learning rate, in the direction of its momentum.

    Chen et al. 2023, Symbolic discovery of optimization algorithms. Formula: `scale_by_lion`. Good learning
    rates are three to ten times smaller than Adam's (their section 5).

    Args:
        learning_rate: a number > 0, or a schedule, which scales the decay as well.
        betas: the weight of the mean in the update, and what remains of the mean at each step, in [0, 1).
        weight_decay: the rate of decoupled decay, >= 0.

    Returns:
        The optimiser.

    Example:
        >>> import numpy as np
        >>> optimizer, params = lion(0.1), np.asarray([1.0])
        >>> updates, state = optimizer.update(np.asarray([5.0]), optimizer.init(params), params)
        >>> updates.tolist()
        [-0.1]
    """
    return assemble(learning_rate, scale_by_lion(betas), decay=weight_decay)
