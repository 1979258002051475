"""Products with a very tall matrix, such as a whole data set, in pieces that stay in the cache.

OpenBLAS copies the factors of a large product into a layout of its own. For a product with few columns that
takes longer than the product. Small products it carries out as they lie, and a large one is a sum of small
ones: it works through the inner axis in panels, sums up each panel element after element, and adds the
panels one after the other. So the same sums can be had from small products, bit for bit, if the panels are
the same. On 60,000 x 784 float32 numbers and ten columns, with OpenBLAS 0.3.31 on one core:

- ``x @ w``, some 240 rows at a time: 22 ms instead of 36; with two threads 14, where OpenBLAS takes 29.
- ``x.T @ g``, a panel at a time, which is first copied to where the cache holds it: 28 ms instead of 42; with
  two threads 14, where OpenBLAS takes 22.

How wide the panels are is the library's own affair: it is found out by trying, and these forms serve only
where whole results have the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TypeAlias

import numpy as np

from portnn._typing import Array
from portnn.compile._numpy._team import Team, ranges
from portnn.tracing import Call, Value

__all__ = ["Form", "by_panels", "by_rows", "tall_products"]

Form: TypeAlias = Callable[[Array, Array, Array], None]
"""Writes the product of two matrices into a third."""

_TALL = 16_384  # rows
_NARROW = 64  # columns up to which the other factor is much smaller
_SMALL = 1e6  # multiplications up to which OpenBLAS takes a product as it lies
_UNIT = 16  # rows or columns: what its kernels work on at a time
_WIDTHS = (448, 384, 320, 512, 256, 352, 240, 640, 768, 192, 128)
_UNITS = (16, 8, 4, 1)
_TRIED = 4 * 1024 + 300  # rows that a guess is tried on, before it is tried on all


def _panels(n: int, width: int, unit: int) -> list[tuple[int, int]]:
    """How an inner axis is split: panels of a width, the last two alike and whole units (`level3.c`)."""
    ends, start = [], 0
    while start < n:
        rest = n - start
        half = -(-rest // 2 // unit) * unit if unit > 1 else -(-rest // 2)
        size = width if rest >= 2 * width else half if rest > width else rest
        ends.append((start, start + size))
        start += size
    return ends


def by_rows(team: Team, panels: Sequence[tuple[int, int]]) -> Form:
    """``out = x @ w``, some rows and a panel of columns at a time."""
    widest = max(b - a for a, b in panels)

    def part(x: Array, w: Array, out: Array, start: int, stop: int) -> None:
        step = _fitting(widest * w.shape[1])
        factors = [(slice(a, b), w[a:b]) for a, b in panels]
        (first, w0), rest = factors[0], factors[1:]
        more = np.empty((step, w.shape[1]), dtype=out.dtype)
        for i in range(start, stop, step):
            rows, place = x[i : min(i + step, stop)], out[i : min(i + step, stop)]
            np.matmul(rows[:, first], w0, place)
            for columns, factor in rest:
                np.add(place, np.matmul(rows[:, columns], factor, more[: len(rows)]), place)

    def product(x: Array, w: Array, out: Array) -> None:
        pieces = ranges(x.shape[0], team.size, _UNIT)
        team.together([partial(part, x, w, out, a, b) for a, b in pieces])()

    return product


def by_panels(team: Team, panels: Sequence[tuple[int, int]]) -> Form:
    """``out = xt @ g`` for a transpose `xt`, a panel of its rows at a time."""
    longest = max(b - a for a, b in panels)

    def product(xt: Array, g: Array, out: Array) -> None:
        x = xt.T
        sums = np.empty((len(panels), g.shape[1], x.shape[1]), dtype=out.dtype)

        step = _fitting(longest * g.shape[1])

        def part(mine: Sequence[int]) -> None:
            near = np.empty((longest, x.shape[1]), dtype=x.dtype)
            for k in mine:
                a, b = panels[k]
                np.copyto(near[: b - a], x[a:b])
                for i in range(0, x.shape[1], step):
                    columns = slice(i, i + step)
                    np.matmul(g[a:b].T, near[: b - a, columns], sums[k][:, columns])

        shares = [range(first, len(panels), team.size) for first in range(team.size)]
        team.together([partial(part, mine) for mine in shares])()
        np.copyto(out, np.add.reduce(sums, axis=0).T)  # over the first axis NumPy adds one after the other

    return product


def _fitting(multiplications: int) -> int:
    """How many rows or columns a small product may have, by what each costs."""
    return max(_UNIT, int(_SMALL // multiplications) // _UNIT * _UNIT)


def tall_products(calls: Sequence[Call], given: Mapping[Value, Array], team: Team) -> dict[Value, Form]:
    """The results of products that another form surely serves as well, and the form.

    Args:
        calls: the calls of a program.
        given: arrays that some of its inputs will be.
        team: the threads that shall work on them.
    """
    tall = {value: x for value, x in given.items() if _is_tall(x)}
    transposes = {
        c.result: tall[c.args[0]] for c in calls if c.name == "matrix_transpose" and c.args[0] in tall
    }
    found: dict[Value, Form | None] = {}
    for call in calls:
        if call.name != "matmul" or any(type(x) is not Value for x in call.args):
            continue
        x, other = call.args
        if len(other.shape) != 2 or other.shape[1] > _NARROW or other.dtype != call.result.dtype:
            continue
        if x in tall:
            found[call.result] = _found(by_rows, tall[x], other, team)
        elif x in transposes:
            found[call.result] = _found(by_panels, transposes[x].T, other, team)
    return {value: form for value, form in found.items() if form is not None}


def _is_tall(x: Array) -> bool:
    return x.ndim == 2 and x.dtype.kind == "f" and x.flags.c_contiguous and x.shape[0] >= _TALL


def _found(
    make: Callable[[Team, Sequence[tuple[int, int]]], Form], x: Array, factor: Value, team: Team
) -> Form | None:
    """The form that gives the bits of the product itself: on some rows, then on all."""
    other = np.random.default_rng(0).normal(size=factor.shape).astype(factor.dtype)
    rows = slice(0, _TRIED)
    some = (x[rows], other) if make is by_rows else (x[:, rows], other[rows])
    expected = np.matmul(*some)
    for width, unit in _guesses(x.shape[1]):
        panels = _panels(some[0].shape[1], width, unit)
        if _same(make(team, panels), some, expected):
            form = make(team, _panels(x.shape[1], width, unit))
            return form if _same(form, (x, other), np.matmul(x, other)) else None
    return None


def _guesses(n: int) -> Iterator[tuple[int, int]]:
    """Widths and units that split an inner axis of a length differently."""
    seen = set()
    for width in _WIDTHS:
        for unit in _UNITS:
            panels = tuple(_panels(n, width, unit))
            if panels not in seen:
                seen.add(panels)
                yield width, unit


def _same(form: Form, factors: tuple[Array, Array], expected: Array) -> bool:
    found = np.empty_like(expected)
    form(*factors, found)
    return found.tobytes() == expected.tobytes()
