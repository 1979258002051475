"""The size of blocks, and which products run in pieces."""

from __future__ import annotations

import numpy as np
import pytest

from portnn import ops
from portnn.compile import jit
from portnn.compile._numpy import _tall
from portnn.compile._numpy._tall import _fitting, _guesses, _panels, tall_products
from portnn.compile._numpy._team import Team, ranges
from portnn.compile._numpy._unfolded import _block, _fits
from portnn.program import record, simplify

BLOCKS = [
    # images, rows of windows in one; whole images or rows of which a matrix is made; rows that fit: the block
    ((12, 10, 1, 10, 10), (1, 10)),
    ((12, 10, 1, 10, 19), (1, 10)),
    ((12, 10, 1, 10, 20), (2, 10)),
    ((12, 10, 1, 10, 10_000), (12, 10)),
    ((12, 10, 3, 30, 59), (3, 10)),
    ((12, 10, 3, 30, 60), (6, 10)),
    ((12, 10, 3, 30, 1), (3, 10)),
    ((12, 10, 0, 5, 10), (1, 10)),
    ((12, 10, 0, 5, 25), (2, 10)),
    ((12, 10, 0, 5, 10_000), (12, 10)),
    ((12, 10, 0, 5, 9), (1, 5)),
    ((12, 10, 0, 2, 9), (1, 8)),
    ((12, 10, 0, 5, 1), (1, 5)),
]


@pytest.mark.parametrize(("given", "wanted"), BLOCKS)
def test_blocks_of_images(given, wanted):
    assert _block(*given) == wanted


@pytest.mark.parametrize(
    ("shape", "stack", "fit"),
    [
        ((4, 8, 9, 5), (4, 72, 5), True),  # an image each
        ((4, 8, 9, 5), (2, 144, 5), True),
        ((4, 8, 9, 5), (1, 288, 5), False),  # one product is none of a stack
        ((4, 8, 9, 5), (32, 9, 5), True),  # a row each
        ((4, 8, 9, 5), (16, 18, 5), True),
        ((4, 8, 9, 5), (8, 36, 5), True),
        ((4, 8, 9, 5), (96, 3, 5), False),  # parts of rows
        ((3, 8, 9, 5), (2, 108, 5), False),  # an image and a half
        ((4, 6, 9, 5), (6, 36, 5), False),  # rows of two images
    ],
)
def test_stacks_of_whole_images_or_rows(shape, stack, fit):
    assert _fits(shape, stack) is fit


def test_small_products_are_as_large_as_they_may_be():
    assert [_fitting(n) for n in (1, 62_500, 62_501, 31_250, 20_000, 10**7)] == [10**6, 16, 16, 32, 48, 16]
    assert _fitting(999) == 992


def test_no_split_is_tried_twice():
    for n in (1, 100, 448, 784, 1000):
        splits = [tuple(_panels(n, *guess)) for guess in _guesses(n)]
        assert len(set(splits)) == len(splits)
        every = {tuple(_panels(n, width, unit)) for width in _tall._WIDTHS for unit in _tall._UNITS}
        assert set(splits) == every
        for split in splits:
            assert [a for a, _ in split] == [0, *(b for _, b in split[:-1])]
            assert split[-1][1] == n


@pytest.mark.parametrize(
    ("n", "members", "unit"), [(10, 3, 1), (100, 3, 16), (5, 8, 1), (32, 2, 16), (33, 2, 16), (1, 1, 4)]
)
def test_shares_of_threads(n, members, unit):
    """Together all, each but the last in whole units, none without work, and about alike."""
    found = ranges(n, members, unit)
    assert [a for a, _ in found] == [0, *(b for _, b in found[:-1])]
    assert found[-1][1] == n
    assert len(found) <= members
    sizes = [b - a for a, b in found]
    assert min(sizes) > 0
    assert all(size % unit == 0 for size in sizes[:-1])
    assert max(sizes) <= -(-n // members // unit) * unit


def chosen(monkeypatch, function, *arrays):
    """Whether a product with a tall array has another form, where all forms give the same bits."""
    monkeypatch.setattr(_tall, "_same", lambda form, factors, expected: True)
    program = simplify(record(function, arrays)[0])
    given = dict(zip(program.inputs, arrays, strict=True))
    return len(tall_products(program.calls, given, Team(1)))


def test_which_products_are_tall(monkeypatch):
    x = np.ones((16_384, 3), dtype=np.float32)
    w, g = np.ones((3, 64), dtype=np.float32), np.ones((16_384, 64), dtype=np.float32)

    def forward(x, w):
        return x @ w

    def back(x, g):
        return ops.matrix_transpose(x) @ g

    assert chosen(monkeypatch, forward, x, w) == 1
    assert chosen(monkeypatch, back, x, g) == 1
    assert chosen(monkeypatch, lambda x, w, g: (x @ w, ops.matrix_transpose(x) @ g), x, w, g) == 2
    assert chosen(monkeypatch, forward, x[1:], w) == 0  # not so tall
    assert chosen(monkeypatch, forward, x, np.ones((3, 65), dtype=np.float32)) == 0  # not so narrow
    assert chosen(monkeypatch, forward, np.asfortranarray(x), w) == 0
    assert chosen(monkeypatch, forward, x.astype(np.float64), w) == 0  # two dtypes
    assert chosen(monkeypatch, forward, x.astype(np.int64), w.astype(np.int64)) == 0
    assert chosen(monkeypatch, forward, x, np.ones(3, dtype=np.float32)) == 0
    assert chosen(monkeypatch, lambda x, w: (x + 0.5) @ w, x, w) == 0  # known only when it runs


def windows(x, wide, w, axes=(0, 2, 3, 1)):
    rows = ops.permute_dims(x, axes)
    parts = [rows[:, :, j : j + wide, :] for j in range(rows.shape[2] - wide + 1)]
    return ops.matmul(ops.reshape(ops.concat(parts, axis=3), (x.shape[0], -1, w.shape[0])), w)


X = np.ones((4, 6, 8, 9), dtype=np.float32)
W = np.ones((12, 5), dtype=np.float32)
UNFOLDED = {
    "windows": (lambda x, w: windows(x, 8, w), X, W, True),
    "of one image": (lambda x, w: windows(x, 8, w), X[:1], W, False),
    "of two dtypes": (lambda x, w: windows(x, 8, w), X, W.astype(np.float64), False),
    "none": (lambda x, w: windows(x, 9, w), X, W[:6], False),
    "along the other axis": (
        lambda x, w: ops.matmul(
            ops.reshape(ops.concat([x[:, j : j + 5] for j in (0, 1)], axis=3), (4, 40, 18)), w
        ), X, np.ones((18, 5), dtype=np.float32), True,
    ),
    "of the images": (
        lambda x, w: ops.matmul(
            ops.reshape(ops.concat([x[j : j + 3] for j in (0, 1)], axis=3), (3, 48, 18)), w
        ), X, np.ones((18, 5), dtype=np.float32), False,
    ),
    "every other": (
        lambda x, w: ops.matmul(
            ops.reshape(ops.concat([x[:, :, j : j + 7 : 2] for j in (0, 1)], axis=3), (4, 24, 18)), w
        ), X, np.ones((18, 5), dtype=np.float32), True,
    ),
    "backwards": (
        lambda x, w: ops.matmul(
            ops.reshape(ops.concat([x[:, :, j : j + 7][:, :, ::-1] for j in (0, 1)], axis=3), (4, 42, 18)), w
        ), X, np.ones((18, 5), dtype=np.float32), False,
    ),
    "unequally far": (
        lambda x, w: ops.matmul(
            ops.reshape(ops.concat([x[:, :, j : j + 5] for j in (0, 1, 3)], axis=3), (4, 30, 27)), w
        ), X, np.ones((27, 5), dtype=np.float32), False,
    ),
    "of unequal arrays": (
        lambda x, w: ops.matmul(
            ops.reshape(ops.concat([x[:, :, 0:5], (x + 1.0)[:, :, 1:6]], axis=3), (4, 30, 18)), w
        ), X, np.ones((18, 5), dtype=np.float32), False,
    ),
    "side by side in another axis": (
        lambda x, w: ops.matmul(
            ops.reshape(ops.concat([x[:, :, j : j + 5] for j in (0, 1)], axis=2), (4, 60, 9)), w
        ), X, np.ones((9, 5), dtype=np.float32), False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNFOLDED)
def test_which_products_are_of_windows(name):
    function, x, w, wanted = UNFOLDED[name]
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=x.shape).astype(x.dtype), rng.normal(size=w.shape).astype(w.dtype)
    planned = jit(function)
    assert ("unfolded product" in planned.explain(x, w)) is wanted
    for _ in range(2):
        assert planned(x, w).tobytes() == np.asarray(function(x, w)).tobytes()
