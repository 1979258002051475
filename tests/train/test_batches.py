"""Batches for loops of one's own: every sample once, `fit`'s order, few shapes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

import portnn as pn
from portnn.data import batches_by_length, pad
from portnn.random import stream
from portnn.train import batches


def test_the_order_is_the_one_of_fit(backend):
    x, y = backend.asarray(np.arange(10)), backend.asarray(np.arange(20.0).reshape(10, 2), "float32")
    for epoch in (0, 3):
        found = list(batches({"x": x, "more": [y]}, 4, seed=5, epoch=epoch))
        order = stream(5, 1, epoch).permutation(10)
        assert [len(backend.to_numpy(b["x"])) for b in found] == [4, 4, 2]
        np.testing.assert_array_equal(np.concatenate([backend.to_numpy(b["x"]) for b in found]), order)
        rows = np.concatenate([backend.to_numpy(b["more"][0]) for b in found])
        np.testing.assert_array_equal(rows, np.arange(20.0).reshape(10, 2)[order])


def test_as_they_stand_and_without_the_rest():
    found = list(batches((np.arange(10),), 4, shuffle=False, drop_last=True))
    assert [b[0].tolist() for b in found] == [[0, 1, 2, 3], [4, 5, 6, 7]]


@pytest.mark.parametrize(
    ("arrays", "size", "kind", "text"),
    [
        ((np.ones(3), np.ones(4)), 2, ValueError, "as many samples each"),
        ((np.asarray(1.0),), 2, ValueError, "as many samples each"),
        ((), 2, ValueError, "as many samples each"),
        ((np.ones(3),), 0, ValueError, "batch_size must be at least 1, got 0"),
        ((np.ones(3),), 2.0, TypeError, "batch_size must be an integer"),
    ],
)
def test_errors_of_batches(arrays, size, kind, text):
    with pytest.raises(kind, match=text):
        batches(arrays, size)


LENGTHS = np.random.default_rng(0).integers(1, 60, 100)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("remainder", ["fill", "keep"])
def test_every_sequence_comes_once(shuffle, remainder):
    seen = Counter()
    for rows, weight, length in batches_by_length(LENGTHS, 8, shuffle=shuffle, remainder=remainder):
        assert (LENGTHS[rows] <= length).all()
        assert (LENGTHS[rows] > {8: 0, 16: 8, 32: 16, 59: 32}[length]).all()
        assert len(rows) == len(weight) == 8 or remainder == "keep"
        seen.update(rows[weight > 0].tolist())
    assert seen == Counter(range(100))


def test_what_is_dropped_is_less_than_a_batch_a_boundary():
    full = list(batches_by_length(LENGTHS, 8, remainder="drop"))
    assert all(weight.all() and len(weight) == 8 for _, weight, _ in full)
    assert len(full) == sum(n // 8 for n in np.histogram(LENGTHS, [0, 9, 17, 33, 60])[0])


def test_epochs_differ_and_seeds_repeat():
    def rows(**options):
        return [batch.rows.tolist() for batch in batches_by_length(LENGTHS, 8, **options)]

    assert rows(seed=1, epoch=2) == rows(seed=1, epoch=2)
    assert rows(seed=1, epoch=2) != rows(seed=1, epoch=3)
    assert rows(seed=1, epoch=2) != rows(seed=2, epoch=2)
    lengths = [length for _, _, length in batches_by_length(LENGTHS, 8)]
    assert lengths != sorted(lengths)


@pytest.mark.parametrize("name", ["cpu", "jax"])
def test_a_function_is_planned_once_for_each_boundary(name):
    """And the weighted mean over sequences that were filled up and padded is that over all as they are."""
    if name == "jax":
        pytest.importorskip("jax", reason="jax is not installed")
    backend = pn.get_backend(name)
    texts = [np.random.default_rng(i).normal(size=(n, 2)).astype(np.float32) for i, n in enumerate(LENGTHS)]
    traced = []

    @pn.jit
    def total(x, mask, weight):
        traced.append(x.shape)
        each = pn.ops.sum(pn.ops.where(pn.ops.expand_dims(mask, axis=-1), x, 0.0), axis=(1, 2))
        return pn.ops.sum(pn.ops.multiply(each, weight))

    for epoch in range(3):
        sums = []
        for rows, weight, length in batches_by_length(LENGTHS, 8, epoch=epoch):
            x, mask = pad([texts[i] for i in rows], length, fill=7.0)
            sums.append(float(total(*map(backend.asarray, (x, mask, weight)))))
        assert sum(sums) == pytest.approx(sum(float(t.sum()) for t in texts), rel=1e-4)
    assert sorted(traced) == [(8, 8, 2), (8, 16, 2), (8, 32, 2), (8, 59, 2)]
    assert total.plans == 4


def test_padding():
    x, mask = pad([np.ones((2, 3), np.float32), np.zeros((0, 3), np.float32), np.ones((1, 3), np.float32)])
    assert (x.shape, x.dtype, mask.tolist()) == (
        (3, 2, 3), np.float32, [[True, True], [False, False], [True, False]]
    )  # fmt: skip
    np.testing.assert_array_equal(x, np.ones((3, 2, 3)) * mask[:, :, None])
    x, mask = pad([[1], []], fill=9)
    assert (x.tolist(), x.dtype, mask.tolist()) == ([[1], [9]], np.int64, [[True], [False]])


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: batches_by_length([1.5], 2), TypeError, "lengths must be integers"),
        (lambda: batches_by_length([], 2), ValueError, r"of shape \(n,\) and not negative"),
        (lambda: batches_by_length([-1], 2), ValueError, "not negative"),
        (lambda: batches_by_length([1], 0), ValueError, "batch_size must be at least 1"),
        (lambda: batches_by_length([1], 2.0), TypeError, "batch_size must be an integer"),
        (lambda: batches_by_length([9], 2, boundaries=[4, 8]), ValueError, "length 9, beyond the last"),
        (lambda: batches_by_length([1], 2, boundaries=[8, 4]), ValueError, "boundaries must rise"),
        (lambda: batches_by_length([1], 2, remainder="pad"), ValueError, "remainder must be"),
        (lambda: pad([[1, 2], [3]], 1), ValueError, "a sequence has length 2, more than 1"),
        (lambda: pad([]), ValueError, r"sequences of shape \(t, ...\)"),
        (lambda: pad([np.ones((2, 3)), np.ones((2, 4))]), ValueError, "alike but for t"),
        (lambda: pad([1, 2]), ValueError, "alike but for t"),
    ],
)  # fmt: skip
def test_errors_of_lengths(call, kind, text):
    with pytest.raises(kind, match=text):
        call()


@pytest.mark.parametrize(
    ("sequences", "fill", "expected", "dtype"),
    [
        ([[1, 2], [1]], 0.5, [[1.0, 2.0], [1.0, 0.5]], "float64"),
        ([[1, 2], [1]], -1, [[1, 2], [1, -1]], "int64"),
        ([[1, 2], [1]], 7.0, [[1, 2], [1, 7]], "int64"),
        ([[1, 2], [1]], np.float32(0.5), [[1.0, 2.0], [1.0, 0.5]], "float64"),
        ([[1, 2], [1]], -np.inf, [[1.0, 2.0], [1.0, -np.inf]], "float64"),
        ([np.asarray([1, 2], "uint8"), [1]], 0.5, [[1.0, 2.0], [1.0, 0.5]], "float64"),
        ([[True], [False, True]], 1, [[True, True], [False, True]], "bool"),
        ([[True], [False, True]], 2, [[1, 2], [0, 1]], "int64"),
        ([[1.0], [1.0, 2.0]], 1j, [[1.0, 1j], [1.0, 2.0]], "complex128"),
        ([np.ones(1, np.float32), np.ones(2, np.float32)], 0.5, [[1.0, 0.5], [1.0, 1.0]], "float32"),
    ],
)
def test_padding_holds_what_fills_it(sequences, fill, expected, dtype):
    x, _ = pad(sequences, fill=fill)
    assert (x.tolist(), str(x.dtype)) == (expected, dtype)


@pytest.mark.parametrize(
    ("sequence", "fill"),
    [
        (np.asarray([1], "uint8"), 256), (np.asarray([1], "uint8"), -1), (np.asarray([1], "int8"), 128),
        (np.asarray([1.0], "float16"), 1e6), (np.asarray([1.0], "float32"), 1e39), ([1], 2**70),
        ([1.0], 10**400),
        ([2**53 + 1], 0.5), ([-(2**53) - 1], np.nan),
    ],
)  # fmt: skip
def test_padding_that_no_dtype_holds_is_refused(sequence, fill):
    with pytest.raises(
        ValueError, match=r"pad: no dtype holds fill=.* beside sequences of .*; cast them with as"
    ):
        pad([sequence], 2, fill=fill)


def test_padding_is_of_numbers():
    with pytest.raises(TypeError, match="pad: fill must be a number, got str"):
        pad([[1]], fill="0")
    with pytest.raises(TypeError, match="pad: expected sequences of numbers, got dtype <U1"):
        pad([["a"]])
