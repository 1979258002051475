"""Products with windows in a plan: never a matrix of all windows, and the bits of eager execution."""

from __future__ import annotations

import re

import numpy as np
import pytest

from portnn import ops, tree
from portnn.autodiff import value_and_grad
from portnn.compile import jit, make_loop
from portnn.compile._numpy import _unfolded
from portnn.compile._numpy._team import Team

SHAPES = {
    "images": ((6, 5, 14, 14), (8, 5, 5, 5), {}),
    "rows of an image": ((2, 16, 30, 30), (32, 16, 3, 3), {"padding": 1}),
    "stride": ((4, 6, 15, 13), (7, 6, 3, 4), {"stride": 2, "padding": "same"}),
    "dilation": ((4, 6, 15, 13), (7, 6, 3, 3), {"dilation": 2}),
    "one row": ((4, 6, 9, 12), (7, 6, 1, 3), {}),
    "one column": ((4, 6, 9, 12), (7, 6, 3, 1), {"stride": (1, 2)}),
    "large": ((3, 40, 9, 9), (50, 40, 5, 5), {}),
}


def arrays(*shapes):
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape).astype(np.float32) for shape in shapes]


def bits(results):
    return [np.asarray(x).tobytes() for x in results]


@pytest.mark.parametrize("near", [1_000, 30_000, 262_144])
@pytest.mark.parametrize(("x", "w", "options"), SHAPES.values(), ids=SHAPES)
def test_bits_of_eager_execution(monkeypatch, x, w, options, near):
    monkeypatch.setattr(_unfolded, "_NEAR", near)
    x, w = arrays(x, w)

    def function(x, w):
        return ops.sum(ops.square(ops.conv2d(x, w, **options)))

    gradient = value_and_grad(function, argnums=(0, 1))
    value, (dx, dw) = gradient(x, w)
    planned, (by_x, by_w) = jit(gradient)(x, w)
    assert bits([planned, by_x, by_w]) == bits([value, dx, dw])


def test_no_matrix_of_all_windows():
    x, w = arrays((8, 16, 20, 20), (16, 16, 5, 5))
    planned = jit(lambda x, w: ops.conv2d(x, w))
    text = planned.explain(x, w)
    assert "unfolded product" in text
    memory = int(re.search(r"([\d,]+) bytes", text)[1].replace(",", ""))
    assert memory < x.nbytes + 2 * w.nbytes + 2 * planned(x, w).nbytes < 8 * 16 * 16 * 25 * 16 * 4


def test_what_is_wanted_besides_stays():
    x, w = arrays((4, 6, 8, 9), (5, 6, 2, 2))

    def function(x, w):
        parts = [ops.permute_dims(x, (0, 2, 3, 1))[:, :, j : j + 8, :] for j in (0, 1)]
        wide = ops.concat(parts, axis=3)
        return wide, ops.matmul(ops.reshape(wide, (4, 64, 12)), ops.reshape(w, (12, 10)))

    assert bits(jit(function)(x, w)) == bits(function(x, w))
    assert "unfolded product" in jit(function).explain(x, w)


@pytest.mark.parametrize("pieces", [(0, 1, 3), (1, 0), (2, 2)])
def test_pieces_that_are_no_windows(pieces):
    x, w = arrays((4, 8, 8, 6), (6 * len(pieces), 5))

    def function(x, w):
        wide = ops.concat([x[:, :, j : j + 5, :] for j in pieces], axis=3)
        return ops.matmul(ops.reshape(wide, (4, 40, -1)), w)

    planned = jit(function)
    assert bits([planned(x, w)]) == bits([function(x, w)])
    assert "unfolded product" not in planned.explain(x, w)


def test_pieces_of_the_last_axis():
    x, w = arrays((4, 8, 8, 6), (8, 5))

    def function(x, w):
        wide = ops.concat([x[:, ..., j : j + 4] for j in (0, 1)], axis=3)
        return ops.matmul(ops.reshape(wide, (4, 64, -1)), w)

    assert bits([jit(function)(x, w)]) == bits([function(x, w)])


@pytest.mark.parametrize("threads", [1, 2])
def test_a_loop_takes_the_steps_of_eager_execution(threads):
    x, *start = arrays((8, 1, 20, 20), (16, 1, 3, 3), (16,), (16, 16, 3, 3), (16,))
    params = tuple(start[:2]), tuple(start[2:])  # weight and bias of the first lie end to end in the plan

    def step(carry, x):
        value, grads = value_and_grad(lambda p, x: ops.mean(ops.square(_two(p, x))))(carry, x)
        return tree.map(lambda p, g: ops.subtract(p, g * 1e-4), carry, grads), value

    loop = make_loop(step, params, (x,), 4, shuffled=False, threads=threads)
    with loop.limits():
        losses = loop.run(None, 0, 2)
    now, expected = params, []
    for i in (0, 4):
        now, value = step(now, x[i : i + 4])
        expected.append(value)
    assert "unfolded product" in loop.explain()
    assert bits(tree.leaves(loop.carry())) == bits(tree.leaves(now))
    assert losses.tolist() == [float(value) for value in expected]


def _two(p, x):
    return ops.conv2d(ops.conv2d(x, *p[0]), *p[1])


def test_threads_share_the_matrices():
    x, w = arrays((5, 9, 9, 8), (2 * 8, 3))
    views = [x[:, :, j : j + 8, :] for j in (0, 1)]
    rows = np.concatenate(views, axis=3).reshape(5, 72, 16)
    steps = (((5, 0, 1),), ((9, 1, 1),), ((8, 2, 1),), ((2, 2, 1), (8, 3, 1)))
    base = type("Base", (), {"dtype": x.dtype})()
    for size in (1, 2):
        out = np.empty((5, 72, 3), dtype=x.dtype)
        view = _unfolded.View(base, (0, 0, 0, 0), steps)
        _unfolded.UnfoldedProduct(view, rows.shape, True, Team(size))(x, w, out)
        assert out.tobytes() == np.matmul(rows, w).tobytes()
