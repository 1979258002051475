"""Programs and steps of trainings drawn at random: a plan does bit for bit what Python does."""

from __future__ import annotations

from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import pytest

from portnn import jit, ops, vjp
from portnn.compile import make_loop
from tests.compile.test_jit_table import assert_same_bits

MOST = 6  # of an axis of a small program
UNARY = [
    ops.abs, ops.exp, ops.tanh, ops.negative, ops.square, ops.sign, ops.floor, ops.sigmoid, ops.erf,
    ops.expm1,
    lambda x: ops.sqrt(ops.abs(x)), lambda x: x + 1.0, lambda x: 2 * x, lambda x: 1.0 - x, lambda x: x**2,
    lambda x: x / 3.0, lambda x: ops.clip(x, -0.5, 0.5), lambda x: ops.maximum(x, 0.0), lambda x: x * x,
    lambda x: ops.where(x > 0, x, 0.1 * x),
    lambda x: ops.astype(ops.astype(x, "float64") * 0.3, "float32"),
    lambda x: ops.astype(ops.astype(x, "int32"), "float32"), lambda x: ops.minimum(x, x + 0.5),
]  # fmt: skip
BINARY = [
    ops.add, ops.subtract, ops.multiply, ops.maximum, ops.minimum, ops.hypot, ops.atan2, ops.copysign,
    lambda x, y: ops.where(x < y, x, y), lambda x, y: x / (1.0 + ops.abs(y)), lambda x, y: x * y + x,
    lambda x, y: ops.astype(ops.logical_and(x > 0, y > 0), "float32"),
    lambda x, y: ops.where(y >= 0, x, -1.0),
]  # fmt: skip


def moved(x: Any, rng: Any) -> Any:
    """A view or a copy of some elements."""
    n = len(x.shape)
    axis = int(rng.integers(n)) if n else 0
    whole = (slice(None),) * axis
    if n == 0:
        return ops.reshape(x, (1, 1))
    return [
        lambda: ops.permute_dims(x, tuple(int(a) for a in rng.permutation(n))),
        lambda: ops.flip(x, axis=axis),
        lambda: x[(*whole, slice(1, None))] if x.shape[axis] > 1 else x,
        lambda: x[(*whole, slice(None, None, 2))],
        lambda: x[(*whole, -1)],
        lambda: ops.reshape(x, (-1,)),
        lambda: ops.expand_dims(x, axis=axis),
        lambda: ops.roll(x, 1, axis=axis),
        lambda: ops.concat([x, x], axis=axis) if x.shape[axis] <= MOST else x,
        lambda: ops.take(x, np.asarray([0, x.shape[axis] - 1, 0]), axis=axis),
        lambda: ops.stack([x, -x], axis=axis) if n < 3 else x,
        lambda: ops.sort(x, axis=axis),
        lambda: ops.pad(x, [(1, 0)] * n) if max(x.shape) <= MOST else x,
        lambda: ops.broadcast_to(x, (2, *x.shape)) if n < 3 else x,
    ][rng.integers(14)]()


def reduced(x: Any, rng: Any) -> Any:
    n = len(x.shape)
    axes = [None, *range(-n, n), *([(0, -1)] if n > 1 else [])]
    options = {"axis": axes[rng.integers(len(axes))], "keepdims": bool(rng.integers(2))}
    f = [ops.sum, ops.mean, ops.max, ops.min, ops.prod, ops.var, ops.logsumexp][rng.integers(7)]
    return f(x, **options)


def joined(x: Any, y: Any, rng: Any) -> Any:
    """Of two arrays one, if their shapes allow it."""
    if len(x.shape) > 1 and len(y.shape) > 1 and not rng.integers(3):
        if x.shape[-1] == y.shape[-1]:
            return ops.matmul(x[(0,) * (len(x.shape) - 2)], ops.matrix_transpose(y))
        if x.shape[-1] == y.shape[-2]:
            return ops.matmul(x, y[(0,) * (len(y.shape) - 2)])
    try:
        shape = np.broadcast_shapes(x.shape, y.shape)
    except ValueError:
        return x
    if np.prod(shape) > 4000 and np.prod(shape) > max(np.prod(x.shape), np.prod(y.shape)):
        return x
    return BINARY[rng.integers(len(BINARY))](x, y)


def program(seed: int, length: int) -> Any:
    """A function of three arrays that does `length` things and returns some of what they gave."""

    def f(*arrays: Any) -> Any:
        rng = np.random.default_rng(seed)
        values = list(arrays)
        for _ in range(length):
            x, y = (values[rng.integers(len(values))] for _ in range(2))
            kind = rng.integers(8)
            if kind < 3:
                values.append(UNARY[rng.integers(len(UNARY))](x))
            elif kind < 5:
                values.append(joined(x, y, rng))
            elif kind < 7:
                values.append(moved(x, rng))
            else:
                values.append(reduced(x, rng))
        return [values[i] for i in rng.integers(3, len(values), size=3)], values[-1]

    return f


def arrays(rng: Any, shapes: Any) -> list[Any]:
    return [rng.normal(size=shape).astype(np.float32) for shape in shapes]


SHAPES = [((3, 4), (4,), (4, 3)), ((2, 3, 4), (1, 4), ()), ((1, 5), (5, 1), (5, 5)), ((6,), (1,), (3, 6))]


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_programs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shapes = SHAPES[seed % len(SHAPES)]
    f = program(seed, 14)
    planned = jit(f)
    for _ in range(3):
        given = arrays(rng, shapes)
        before = [a.copy() for a in given]
        assert_same_bits(planned(*given), f(*given))
        assert_same_bits(given, before)


@pytest.mark.parametrize("seed", range(60, 90))
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_gradients_of_programs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shapes = SHAPES[seed % len(SHAPES)]
    f = program(seed, 8)

    def slopes(*given: Any) -> Any:
        y, back = vjp(lambda *a: ops.sum(ops.tanh(f(*a)[1])), *given)
        return y, back(ops.ones_like(y))

    planned = jit(slopes)
    for _ in range(3):
        given = arrays(rng, shapes)
        assert_same_bits(planned(*given), slopes(*given))


@pytest.mark.parametrize("seed", range(90, 98))
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_programs_of_large_arrays(seed: int) -> None:
    """Calls that run in blocks, or on several threads."""
    rng = np.random.default_rng(seed)
    f = program(seed, 10)
    planned = jit(f)
    shapes = [((700, 300), (300,), (700, 1)), ((300_000,), (1,), ())][seed % 2]
    for _ in range(2):
        given = arrays(rng, shapes)
        assert_same_bits(planned(*given), f(*given))


MIX = {n: np.random.default_rng(n).normal(size=(n, n)).astype(np.float32) / n for n in (3, 6)}
TREATMENTS = {
    "step": lambda p, g, other: p - 0.1 * g,
    "longer step": lambda p, g, other: p - 0.2 * g,
    "integer": lambda p, g, other: p - g * 1,
    "swapped": lambda p, g, other: -0.1 * g + p,
    "reversed": lambda p, g, other: 0.1 * g - p,
    "square": lambda p, g, other: p - g * g,
    "of itself": lambda p, g, other: p * p - g,
    "decay": lambda p, g, other: p * 0.9 - 0.1 * g,
    "frozen": lambda p, g, other: p,
    "replaced": lambda p, g, other: g,
    "shared": lambda p, g, other: p - other * g,
    "of the old": lambda p, g, other: p + (p - 0.1 * g),
    "normed": lambda p, g, other: p - g / (1.0 + ops.sqrt(ops.sum(g * g))),
    "mixed": lambda p, g, other: p @ MIX[p.shape[-1]],
    "mixed and moved": lambda p, g, other: p @ MIX[p.shape[-1]] - 0.1 * g,
    "taken": lambda p, g, other: ops.take(p, np.arange(p.shape[-1])[::-1] // 2, axis=-1),
    "joined": lambda p, g, other: ops.concat([p[..., 1:], p[..., :1]], axis=-1),
    "chosen, the other": lambda p, g, other: ops.where(p > g, g, p * 0.5),
    "running": lambda p, g, other: ops.cumulative_sum(p, axis=-1),
    "turned": lambda p, g, other: p[..., ::-1] - 0.1 * g,
    "by its largest": lambda p, g, other: p - ops.max(p, axis=-1, keepdims=True),
    "bounded": lambda p, g, other: ops.tanh(p),
    "chosen": lambda p, g, other: ops.where(p > g, p, 0.0),
    "twice": lambda p, g, other: (p - 0.1 * g) - 0.1 * g,
}
PAIRS = [*combinations_with_replacement(TREATMENTS, 2)]


@pytest.mark.parametrize("size", [(2, 3), (6,)], ids=["differ", "equal"])
@pytest.mark.parametrize("start", range(7))
def test_parameters_that_are_not_treated_alike(start: int, size: tuple[int, ...]) -> None:
    """Three parameters, treated in all pairs of ways: what is joined into one call does the same to each."""
    x = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
    for one, two in PAIRS[start::7]:
        ways = [TREATMENTS[name] for name in (one, two, one)]

        def step(carry: Any, x: Any, ways: Any = ways) -> Any:
            (params, rate), loss = carry, ops.sum(carry[0][0] * carry[0][1][:6]) + ops.sum(carry[0][2])
            slopes = [ops.reshape(ops.mean(x, axis=0) * i, p.shape) for i, p in enumerate(params, 1)]
            new = tuple(f(p, g, rate) for f, p, g in zip(ways, params, slopes, strict=True))
            return (new, rate * 0.5), loss

        shapes = [(6,), (6,), size]
        first = tuple(np.linspace(-1, 1 + i, 6, dtype=np.float32).reshape(s) for i, s in enumerate(shapes))
        eager: Any = (first, np.asarray(0.25, dtype=np.float32))
        loop = make_loop(step, eager, (x,), None, shuffled=False)
        for _ in range(3):
            eager, loss = step(eager, x)
            (found,) = loop.run(None, 0, 1)
            assert found == loss
        assert_same_bits(loop.carry(), eager)
