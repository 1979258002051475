"""Host streams: what parameters are drawn from, and the orders of batches.

A stream is named by a seed and a path of integers, so what is drawn for one purpose does not depend on what
was drawn for another, and the third epoch's order can be had without the first two. The numbers are drawn on
the host and then moved, which makes them bit-identical everywhere.
"""

from __future__ import annotations

from operator import index

import numpy as np

from portnn.tracing import ControlFlowError

__all__ = ["stream"]


def stream(seed: int, *path: int) -> np.random.Generator:
    """The random stream named by a seed and a path.

    Args:
        seed: a non-negative integer.
        *path: non-negative integers that tell apart the streams of one seed, such as a purpose and an epoch.

    Returns:
        A NumPy generator (PCG64 seeded through `numpy.random.SeedSequence`). Equal names give equal
        numbers; different names give independent ones.

    Raises:
        TypeError: if a number is not an integer.
        ValueError: if a number is negative.

    Example:
        >>> bool((stream(0, 1).permutation(5) == stream(0, 1).permutation(5)).all())
        True
    """
    try:
        entropy, *key = [index(n) for n in (seed, *path)]
    except ControlFlowError:  # a number that is not known yet
        raise
    except TypeError:
        kinds = ", ".join(type(n).__name__ for n in (seed, *path))
        raise TypeError(
            f"stream: expected integers for seed and path, got {kinds}; pass for instance seed=0"
        ) from None
    if min(entropy, *key, 0) < 0:
        raise ValueError(f"stream: expected non-negative integers for seed and path, got {(seed, *path)}")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy, spawn_key=key)))
