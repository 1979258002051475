"""The options of a network and of its `fit`, looked at before any work is done."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from operator import index
from typing import Any, SupportsIndex

from portnn._typing import ArrayLike
from portnn.optim import Optimizer

__all__ = [
    "SEEDS", "adapted", "check_callbacks", "check_columns", "check_fit", "check_pair", "check_seed",
]  # fmt: skip

SEEDS = 2**128  # how many there are: as many as the entropy of `numpy.random.SeedSequence` has bits for


def check_seed(seed: int) -> int:
    """The seed of a network, which a file can hold."""
    if seed >= SEEDS:
        raise ValueError(f"Network: seed must be less than 2^128, got one of {seed.bit_length()} bits")
    return seed


def check_fit(
    epochs: SupportsIndex,
    batch_size: SupportsIndex | None,
    optimizer: Any,
    shuffle: Any,
    progress: Any,
    compile: Any,
    threads: Any,
    accumulate: Any = 1,
) -> tuple[int, int | None]:
    """The options of a training, before any work is done; the numbers as integers of Python."""
    for name, value in (("shuffle", shuffle), ("compile", compile)):
        if not isinstance(value, bool):
            raise TypeError(f"fit: {name} must be True or False, got {type(value).__name__}")
    told = callable(getattr(progress, "step", None)) and callable(getattr(progress, "epoch", None))
    if not (progress is None or isinstance(progress, bool) or told):
        raise TypeError(
            f"fit: progress must be True, False, None or an object with the methods step and epoch, "
            f"got {type(progress).__name__}"
        )
    optional = {"batch_size": batch_size, "threads": threads}
    counts = (("epochs", epochs), ("accumulate", accumulate))
    for name, value in (*counts, *((n, 1 if v is None else v) for n, v in optional.items())):
        if isinstance(value, bool) or not hasattr(value, "__index__"):
            raise TypeError(f"fit: {name} must be an integer, got {type(value).__name__}")
        if index(value) < 1:
            raise ValueError(f"fit: {name} must be at least 1, got {value}")
    if optimizer is not None and not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"fit: optimizer must come from portnn.optim, like optim.sgd(0.1), got {type(optimizer).__name__}"
        )
    return index(epochs), None if batch_size is None else index(batch_size)


def check_callbacks(callbacks: Any) -> list[Any]:
    """The callbacks as a list.

    Raises:
        TypeError: if they are no list of functions.
    """
    told = list(callbacks) if isinstance(callbacks, Iterable) else []
    odd = [c for c in told if not callable(c)] if isinstance(callbacks, Iterable) else [callbacks]
    if odd:
        raise TypeError(
            f"fit: callbacks must be a list of functions of an Epoch, got {type(odd[0]).__name__}; write [f]"
        )
    for c in told:
        if isinstance(c, type):
            raise TypeError(f"fit: got the class {c.__name__} as a callback; write {c.__name__}(...)")
    return told


def check_columns(callbacks: Iterable[Any], columns: Collection[str]) -> None:
    """Let callbacks look for what they watch.

    Raises:
        ValueError: if it will not be there.
    """
    for callback in callbacks:
        if hasattr(callback, "check_columns"):
            callback.check_columns(columns)


def adapted(optimizer: Optimizer, callbacks: Iterable[Any]) -> Optimizer:
    """The optimiser as the callbacks need it.

    Raises:
        TypeError: if a callback makes something else of it.
    """
    for callback in callbacks:
        if hasattr(callback, "adapt"):
            optimizer = callback.adapt(optimizer)
            if not isinstance(optimizer, Optimizer):
                name, kind = type(callback).__name__, type(optimizer).__name__
                raise TypeError(f"fit: {name}.adapt must return an optimiser, got {kind}")
    return optimizer


def check_pair(pair: Any) -> tuple[ArrayLike, ArrayLike, ArrayLike | None]:
    """Validation data as inputs, targets, and weights or None.

    Raises:
        TypeError: if they are no tuple of two or three.
    """
    if not isinstance(pair, tuple | list) or len(pair) not in (2, 3):
        what = f"{len(pair)} values" if isinstance(pair, tuple | list) else type(pair).__name__
        raise TypeError(f"fit: validation_data must be a pair (x, y) or (x, y, sample_weight), got {what}")
    return pair[0], pair[1], pair[2] if len(pair) == 3 else None
