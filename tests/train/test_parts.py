"""Batches in parts: sums in pairs, one state for all parts, keys by the part's number."""

from __future__ import annotations

import numpy as np
import pytest

import portnn as pn
from portnn import ops, tree
from portnn.random import fold_in
from portnn.random import key as make_key
from portnn.train import Batch, Snapshot, make_gradient
from portnn.train._step import _PairwiseSum, accumulated, noise_key

RNG = np.random.default_rng(0)
X = RNG.normal(size=(37, 4)).astype(np.float32)
Y = np.arange(37) % 3
WEIGHT = RNG.uniform(0.0, 2.0, size=37).astype(np.float32)


def sum_of(count, left_out=()):
    sums = _PairwiseSum()
    for i in range(count):
        values = np.asarray([float(i == j) * (j + 1) for j in range(count)])
        sums.add(None if i in left_out else (values, values, i))
    return sums.total()


@pytest.mark.parametrize("values", [[1e8, 1.0, -1e8, 1.0], [1e8, 1.0, -1e8, 1.0, 1.0, 0.5, 3.0]])
def test_sums_are_in_pairs_level_by_level(values):
    found = _PairwiseSum()
    parts = [np.float32(v) for v in values]
    for i, v in enumerate(parts):
        found.add((np.asarray(v), np.asarray(v), i))
    level = parts
    while len(level) > 1:
        pairs = [a + b for a, b in zip(level[::2], level[1::2], strict=False)]
        level = [*pairs, *level[len(pairs) * 2 :]]
    summed, averaged, first = found.total()
    assert float(summed) == float(averaged) == float(level[0])
    assert first == 0
    assert float(level[0]) != float(np.add.accumulate(parts)[-1]), "left to right gives another number"


@pytest.mark.parametrize("count", range(1, 18))
def test_every_part_counts_once(count):
    for left_out in ((), (0,), tuple(range(1, count)), (count - 1,)):
        kept = [i for i in range(count) if i not in left_out]
        if kept:
            summed, _, first = sum_of(count, left_out)
            assert summed.tolist() == [float(i + 1) if i in kept else 0.0 for i in range(count)]
            assert first == kept[0]


def gradient_of(parts, weight, n=37, layers=None, key=None):
    layer = pn.nn.Sequential(layers or [pn.Linear(4, 5), pn.nn.BatchNorm(5), pn.tanh, pn.Linear(5, 3)])
    params, state = layer.init(np.random.default_rng(1)), layer.init_state("float32")
    batch = Batch(X[:n], Y[:n], None if weight is None else weight[:n], n)
    gradient = make_gradient(layer, pn.losses.softmax_cross_entropy, parts=parts)
    return layer, params, state, gradient(Snapshot(params, state, ()), batch, key)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
@pytest.mark.parametrize(("parts", "n"), [(2, 37), (4, 37), (7, 37), (8, 5), (64, 37)])
def test_parts_give_the_gradient_of_the_whole(parts, n, weight):
    layers = [pn.Linear(4, 5), pn.tanh, pn.Linear(5, 3)]
    whole, found = (gradient_of(p, weight, n, layers)[-1] for p in (1, parts))
    np.testing.assert_allclose(found.loss, whole.loss, rtol=1e-5)
    np.testing.assert_allclose(found.predictions, whole.predictions, rtol=1e-5)
    for a, b in zip(tree.leaves(found.grads), tree.leaves(whole.grads), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_the_state_of_all_parts_begins_as_one_and_is_averaged():
    layer, params, state, found = gradient_of(4, None)
    mean, counters = 0.0, []
    for i in range(4):
        start, stop = i * 37 // 4, (i + 1) * 37 // 4
        _, after = layer.forward(params, state, X[start:stop], training=True, key=None)
        mean = mean + after[1]["mean"] * ((stop - start) / 37)
        counters.append([int(a) for a in tree.leaves(after) if a.dtype.kind in "iu"])
    np.testing.assert_allclose(found.state[1]["mean"], mean, rtol=1e-5)
    assert [int(a) for a in tree.leaves(found.state) if a.dtype.kind in "iu"] == counters[0]


def test_the_key_of_a_part_is_that_of_its_number():
    seen = []

    def differentiate(params, state, batch, key):
        seen.append(key.tolist())
        return (np.float32(0.0), (batch.x, state)), params

    key = noise_key(3, X, 5)
    accumulated(differentiate, 8)({"w": np.zeros(2)}, (), Batch(X[:5], Y[:5], None, 5), key)
    kept = [i for i in range(8) if i * 5 // 8 != (i + 1) * 5 // 8]
    assert seen == [fold_in(key, i).tolist() for i in kept]
    assert make_key(3, 2, 5).tolist() == key.tolist()


def test_a_batch_without_weight_has_no_gradient():
    _, _, state, found = gradient_of(4, np.zeros(37, np.float32))
    assert float(found.loss) == 0.0
    assert all(not ops.any(g != 0.0) for g in tree.leaves(found.grads))
    assert all(np.isfinite(a).all() for a in tree.leaves((found.state, state)))
