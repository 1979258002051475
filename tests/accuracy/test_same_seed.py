"""One seed, one start and one order of batches, bit for bit, wherever the network lives."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

import portnn as pn
from portnn.losses import Loss, Task, softmax_cross_entropy
from tests.accuracy.recipes import digits
from tests.backends import BackendUnderTest

LAYERS = [pn.Linear(784, 10), pn.relu, pn.Linear(10, 10)]


def fingerprint(backend: Any, t: Any) -> str:
    """SHA-256 of names, dtypes, shapes and bytes of a tree of arrays."""
    digest = hashlib.sha256()
    for path, leaf in pn.tree.items(t):
        host = np.ascontiguousarray(backend.to_numpy(leaf))
        digest.update(repr((path, host.dtype.str, host.shape)).encode() + host.tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_initial_parameters(backend: BackendUnderTest, dtype: str):
    if dtype == "float64" and not backend.has_float64:
        pytest.skip(f"{backend.name} has no float64")
    numpy = pn.get_backend("numpy")
    prints = {
        fingerprint(place, pn.Network(LAYERS, backend=place, seed=seed, dtype=dtype).params)
        for seed in (5, 5, 6)
        for place in (numpy, backend.backend)
    }
    assert len(prints) == 2  # one for each seed


def batches_met(place: Any, seed: int) -> list[list[int]]:
    """The targets of every batch of two epochs, as the loss was given them."""
    met: list[list[int]] = []

    def spy(logits: Any, labels: Any) -> Any:
        if logits.shape[0] > 1:  # the data's check at the door looks at a single sample
            met.append(place.to_numpy(labels).tolist())
        return softmax_cross_entropy(logits, labels)

    net = pn.Network(LAYERS, loss=Loss(spy, task=Task.CLASSES), backend=place, seed=seed)
    net.fit(*digits("train", 300), epochs=2, batch_size=64, progress=False, compile=False)
    return met


def test_order_of_batches(backend: BackendUnderTest):
    here, there = batches_met(pn.get_backend("numpy"), 3), batches_met(backend.backend, 3)
    assert [len(batch) for batch in there] == [64, 64, 64, 64, 44] * 2
    first, second = ([label for batch in half for label in batch] for half in (there[:5], there[5:]))
    assert first != second
    hashes = [hashlib.sha256(repr(met).encode()).hexdigest() for met in (here, there)]
    assert hashes[0] == hashes[1]
    assert batches_met(backend.backend, 4) != there
