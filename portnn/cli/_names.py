"""The words that stand for layers, losses and optimisers on the command line, and what they stand for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import ceil
from typing import Any

from click import UsageError

from portnn._typing import Array

__all__ = [
    "ACTIVATIONS", "BACKENDS", "LOSSES", "OPTIMIZERS", "SCHEDULES", "TASKS", "activation_of", "hidden_of",
    "lengths_of", "loss_of", "optimizer_of",
]  # fmt: skip

ACTIVATIONS = (
    "celu", "elu", "gelu", "hard_sigmoid", "hard_swish", "hard_tanh", "identity", "leaky_relu", "log_sigmoid",
    "mish", "relu", "selu", "sigmoid", "silu", "softplus", "softsign", "tanh",
)  # fmt: skip
BACKENDS = (
    "cpu",
    "gpu",
    "auto",
    "torch",
    "torch:cuda",
    "jax",
    "array_api_strict",
)  # others are tried as well
OPTIMIZERS = (
    "adadelta", "adagrad", "adam", "adamax", "adamw", "lion", "nadam", "radam", "rmsprop", "sgd",
)  # fmt: skip
SCHEDULES = ("constant", "cosine", "exponential", "linear", "one_cycle", "step")
TASKS = ("classification", "multilabel", "regression")
LOSSES = {
    "softmax_cross_entropy": "classification", "focal": "classification",
    "multiclass_hinge": "classification",
    "sigmoid_cross_entropy": "multilabel", "sigmoid_focal": "multilabel", "hinge": "multilabel",
    "squared_error": "regression", "absolute_error": "regression", "huber": "regression",
    "log_cosh": "regression", "poisson_nll": "regression",
}  # fmt: skip

_MANY_DIGITS = 13  # of a length
_SGD_RATE = 0.1  # the only recipe without a learning rate of its own


def activation_of(name: str) -> Callable[..., Array]:
    """The activation of this name."""
    from portnn import nn

    found: Callable[..., Array] = getattr(nn, name)
    return found


def loss_of(name: str) -> Any:
    """The loss of this name."""
    from portnn import losses

    return getattr(losses, name)


def hidden_of(text: str) -> list[int]:
    """Widths such as "128,64"; none for "none".

    Raises:
        UsageError: if they are no positive whole numbers.
    """
    if text.strip().lower() == "none":
        return []
    lengths = lengths_of(text)
    if lengths is None:
        raise UsageError(f"--layers: expected widths such as 128,64, or none, got {text[:40]!r}.")
    return lengths


def lengths_of(text: str) -> list[int] | None:
    """Return positive integers separated by commas; None for any other text."""
    parts = [part.strip() for part in text.split(",")]
    # int() also reads digits of other scripts, and raises for thousands of digits.
    if not all(part.isascii() and part.isdigit() and len(part) < _MANY_DIGITS for part in parts):
        return None
    lengths = [int(part) for part in parts]
    return lengths if min(lengths) > 0 else None


def optimizer_of(
    name: str,
    steps: int,
    *,
    rate: float | None,
    schedule: str,
    warmup: int,
    clip_norm: float | None = None,
    **extra: float,
) -> Any:
    """An optimiser.

    Args:
        name: the recipe.
        steps: of the whole training, which schedules are stretched over.
        rate: the learning rate; None for the recipe's own.
        schedule: how it changes.
        warmup: the number of steps that it rises in at first.
        clip_norm: the bound on the norm of all gradients together; None for none.
        **extra: momentum, weight_decay.

    Raises:
        UsageError: if the recipe has no such option.
    """
    from inspect import signature

    from portnn import optim

    recipe = getattr(optim, name)
    known = signature(recipe).parameters
    if odd := sorted(extra.keys() - known.keys()):
        raise UsageError(f"--optimizer {name} has no --{odd[0].replace('_', '-')}.")
    default = known["learning_rate"].default
    rate = (_SGD_RATE if name == "sgd" else default) if rate is None else rate
    plain = schedule == "constant" and not warmup
    made = recipe(rate if plain else _schedule(schedule, rate, steps, warmup), **extra)
    return made if clip_norm is None else optim.chain(optim.clip_by_global_norm(clip_norm), made)


def _schedule(name: str, rate: float, steps: int, warmup: int) -> Any:
    """A schedule over so many steps; falling ones end at 0, or at a hundredth."""
    from portnn.optim import schedules

    left = max(steps - warmup, 1)
    makers: dict[str, Callable[[], Any]] = {
        "constant": partial(schedules.constant, rate),
        "cosine": partial(schedules.cosine, rate, left),
        "exponential": partial(schedules.exponential, rate, 0.01 ** (1 / left)),
        "linear": partial(schedules.polynomial, rate, left),
        "one_cycle": partial(schedules.one_cycle, rate, left),
        "step": partial(schedules.step, rate, ceil(left / 3)),
    }
    made = makers[name]()
    return schedules.warmup(made, warmup) if warmup else made
