"""Plans of large arrays: tall products in pieces, chains in blocks, shared by threads, in the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from portnn import losses, nn, ops, optim
from portnn.autodiff import value_and_grad
from portnn.compile import make_loop
from portnn.compile._numpy._tall import _panels, by_panels, by_rows
from portnn.compile._numpy._team import Team, ranges
from portnn.compile._threads import blas_threads
from portnn.optim import apply_updates
from portnn.random import stream
from tests.compile.test_jit_table import assert_same_bits

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize(
    ("rows", "inner", "columns"), [(1000, 784, 10), (333, 50, 3), (700, 900, 64), (5, 7, 1)]
)
def test_pieces_cover_a_product(size: int, rows: int, inner: int, columns: int) -> None:
    """Whole numbers small enough that every order of summation gives the same bits."""
    x = RNG.integers(-8, 9, (rows, inner)).astype(np.float32)
    w = RNG.integers(-8, 9, (inner, columns)).astype(np.float32)
    out = np.full((rows, columns), np.nan, dtype=np.float32)
    team = Team(size)
    by_rows(team, _panels(inner, 448, 16))(x, w, out)
    np.testing.assert_array_equal(out, x @ w)
    g = RNG.integers(-8, 9, (rows, columns)).astype(np.float32)
    turned = np.full((inner, columns), np.nan, dtype=np.float32)
    by_panels(team, _panels(rows, 96, 16))(x.T, g, turned)
    np.testing.assert_array_equal(turned, x.T @ g)


@pytest.mark.parametrize(
    ("n", "width", "unit"), [(784, 448, 16), (60_000, 448, 16), (1, 8, 4), (95, 32, 8), (64, 64, 1)]
)
def test_panels_follow_each_other(n: int, width: int, unit: int) -> None:
    panels = _panels(n, width, unit)
    assert panels[0][0] == 0
    assert panels[-1][1] == n
    assert all(a < b for a, b in panels)
    assert [b for _, b in panels[:-1]] == [a for a, _ in panels[1:]]
    assert max(b - a for a, b in panels) <= max(width, unit)


def test_panels_as_measured() -> None:
    """OpenBLAS 0.3.31 halves what is left at the end, to whole units."""
    assert _panels(784, 448, 16) == [(0, 400), (400, 784)]


def test_ranges_cover_all() -> None:
    for n in (1, 5, 16, 100, 1000):
        for parts in (1, 2, 3, 7):
            found = ranges(n, parts, 16)
            assert [i for a, b in found for i in range(a, b)] == list(range(n))
            assert len(found) <= parts


def training(widths: list[int], rows: int) -> tuple[Any, Any, Any]:
    layer = nn.MLP(widths)
    params = layer.init(stream(0))
    optimizer = optim.adam(0.01)

    def step(carry: Any, x: Any, y: Any) -> Any:
        params, moments = carry
        loss, grads = value_and_grad(lambda p: losses.softmax_cross_entropy(layer.apply(p, x), y))(params)
        updates, moments = optimizer.update(grads, moments, params)
        return (apply_updates(params, updates), moments), loss

    data = RNG.random((rows, widths[0]), dtype=np.float32), RNG.integers(0, widths[-1], rows)
    return step, (params, optimizer.init(params)), data


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(("widths", "rows"), [([100, 10, 10], 20_011), ([30, 5], 16_384)])
def test_a_full_batch_is_the_same_with_any_number_of_threads(
    threads: int, widths: list[int], rows: int
) -> None:
    step, carry, data = training(widths, rows)
    with blas_threads(1):
        loop = make_loop(step, carry, data, None, shuffled=False, threads=threads)
        eager = carry
        with loop.limits():
            for _ in range(3):
                loss = loop.run(None, 0, 1)
                eager, expected = step(eager, *data)
                assert loss[0] == float(expected)
        assert_same_bits(loop.carry(), eager)


SPECIAL = np.asarray([-0.0, 0.0, np.nan, -np.nan, np.inf, -np.inf, 1e-45, -1.5], dtype=np.float32)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("width", [1, 37, 512])
def test_bounds_and_choices_in_blocks_keep_every_bit(threads: int, width: int) -> None:
    """Beside a number, `maximum` is carried out with a row of it; `where` on bits."""
    rows = 2**19 // width
    x = np.resize(SPECIAL, (rows, width))

    def step(carry: Any, x: Any) -> Any:
        twice = ops.multiply(x, 2.0)
        y = ops.minimum(ops.maximum(twice, 0.0), 1.0)
        return (y, ops.where(ops.greater(twice, carry[0]), twice, 0.0)), ops.sum(carry[0])

    carry = np.zeros_like(x), np.zeros_like(x)
    loop = make_loop(step, carry, (x,), None, shuffled=False, threads=threads)
    assert "where block by block" in loop.explain()
    with loop.limits():
        loop.run(None, 0, 1)
    assert_same_bits(loop.carry(), step(carry, x)[0])


def test_warnings_of_other_threads_are_those_of_the_caller() -> None:
    """numpy.errstate belongs to a context; a thread has none of its own."""
    large = np.full(10, 3e38, dtype=np.float32)
    parts = [lambda: None, lambda: np.multiply(large, large, np.empty_like(large)) is None]
    run = Team(2).together(parts)
    with np.errstate(over="ignore"):
        run()
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        run()


def test_an_error_in_another_thread_reaches_the_caller_after_all_have_ended() -> None:
    done = []

    def fails() -> None:
        raise ValueError("in a thread")

    with pytest.raises(ValueError, match="in a thread"):
        Team(2).together([lambda: done.append(1), fails])()
    assert done == [1]
