"""Products with the windows of images, some images at a time.

A convolution lays the windows of all images out as the rows of matrices, and multiplies these. They are
as many times larger than the images as a window has places: writing them to memory and reading them again
takes longer than the products. In a plan the two go together, for as many images at a time as a cache
holds: their windows are copied in one go, through a view whose strides make them overlap, and are
multiplied at once.

Eager execution makes the same products one by one (NumPy's product of stacks), so the bits are the same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import Any, TypeAlias, final

import numpy as np
from numpy.lib.stride_tricks import as_strided

from portnn._typing import Array
from portnn.compile._numpy._team import Team, ranges
from portnn.tracing import Call, Value

__all__ = ["NAME", "UnfoldedProduct", "with_unfolded_products"]

NAME = "unfolded product"
"""What such a call is called in a plan."""

_NEAR = 262_144  # bytes of windows at a time: they stay in the second-level cache, the result beside them

Step: TypeAlias = tuple[int, int, int]
"""Of an axis of a view: its length, the axis of the array it goes along, and by how many elements."""


@final
@dataclass(frozen=True)
class View:
    """An array as copies of the elements of another one, in the order of overlapping windows.

    Attributes:
        base: the other one, (n, h, w, c).
        start: where the first element lies.
        axes: for each of the first three axes a step, and for the last one several that make it up.
    """

    base: Value
    start: tuple[int, ...]
    axes: tuple[tuple[Step, ...], ...]

    def cut(self, axis: int, start: int, length: int, step: int) -> View:
        """Some elements of one of the first three axes."""
        ((_, along, by),) = self.axes[axis]
        moved = tuple([s + start * by if a == along else s for a, s in enumerate(self.start)])
        axes = (*self.axes[:axis], ((length, along, by * step),), *self.axes[axis + 1 :])
        return View(self.base, moved, axes)

    def steps(self) -> tuple[Step, ...]:
        """All axes, those of the last one apart."""
        return tuple([step for axis in self.axes for step in axis])


Part: TypeAlias = tuple[slice, slice, slice]
"""Some images, some rows of windows in them, and the matrices that these are."""


@final
class UnfoldedProduct:
    """A stack of products of which one factor has windows of images as its rows.

    Args:
        view: how the windows lie in the images.
        stack: the shape of the factor: (matrices, rows, columns).
        first: whether it is the first factor.
        team: the threads that share the matrices.
    """

    def __init__(self, view: View, stack: tuple[int, int, int], first: bool, team: Team) -> None:
        self._start, self._steps = view.start, view.steps()
        self._shape = tuple([length for length, _, _ in self._steps])
        self._stack, self._first, self._team = stack, first, team
        n, down, across = self._shape[:3]
        line = np.dtype(view.base.dtype).itemsize * prod(self._shape[3:]) * across
        self._block = _block(n, down, n // stack[0], down * n // stack[0], _NEAR // line)

    def __call__(self, x: Array, other: Array, out: Array | None = None) -> Array:
        """The products of the windows of `x` and the other factor, written into `out` if it is given."""
        if out is None:
            count, rows, columns = self._stack
            shape = (rows, other.shape[1]) if self._first else (other.shape[1], columns)
            out = np.empty((count, *shape), dtype=x.dtype)
        corner = x[tuple([slice(s, None) for s in self._start])]
        strides = [x.strides[along] * by for _, along, by in self._steps]
        windows = as_strided(corner, self._shape, strides, writeable=False)
        parts = self._parts()
        shares = ranges(len(parts), self._team.size)
        self._team.together([partial(self._do, windows, other, out, parts[a:b]) for a, b in shares])()
        return out

    def _parts(self) -> list[Part]:
        n, down, across = self._shape[:3]
        images, rows = self._block
        parts = []
        for i in range(0, n, images):
            for r in range(0, down, rows):
                last, bottom = min(i + images, n), min(r + rows, down)
                start = (i * down + r) * across // self._stack[1]
                stop = ((last - 1) * down + bottom) * across // self._stack[1]
                parts.append((slice(i, last), slice(r, bottom), slice(start, stop)))
        return parts

    def _do(self, windows: Array, other: Array, out: Array, parts: Sequence[Part]) -> None:
        (images, rows), rest = self._block, self._shape[2:]
        near = np.empty(images * rows * prod(rest), dtype=windows.dtype)
        for some, lines, matrices in parts:
            piece = windows[some, lines]
            copy = near[: piece.size].reshape(piece.shape)
            np.copyto(copy, piece)
            factor = copy.reshape(-1, *self._stack[1:])
            if self._first:
                np.matmul(factor, other, out[matrices])
            else:
                np.matmul(other[matrices], factor, out[matrices])


def _block(n: int, down: int, images: int, rows: int, most: int) -> tuple[int, int]:
    """How many images are worked on together, and how many rows of windows in each.

    Args:
        n: the number of images.
        down: the number of rows of windows in one.
        images: how many whole images a matrix is made of; 0 if it is a part of one.
        rows: how many rows of windows that part is.
        most: how many rows of windows the cache holds.
    """
    if images:
        return min(n, images * max(1, most // (down * images))), down
    if most >= down:
        return min(n, most // down), down
    return 1, rows * max(1, most // rows)


def with_unfolded_products(calls: Sequence[Call], needed: Collection[Value], team: Team) -> list[Call]:
    """Calls in which products with windows do without the matrix of all windows.

    Args:
        calls: the calls of a program.
        needed: values that are wanted after them.
        team: the threads that shall work on the products.
    """
    makers = {value: call for call in calls for value in call.outputs()}
    found: dict[Value, tuple[View, int]] = {}
    for call in calls:
        for place in (0, 1):
            view = _windows(call, place, makers)
            if view is not None:
                found[call.result] = view, place
    replaced = [_replaced(call, *found[call.result], team) if _is_in(call, found) else call for call in calls]
    factors = [call.args[found[call.result][1]] for call in calls if _is_in(call, found)]
    spare = [call for factor in factors for call in _laying_out(factor, makers)]
    return _without_unused(replaced, spare, needed)


def _is_in(call: Call, found: Mapping[Value, Any]) -> bool:
    return type(call.result) is Value and call.result in found


def _windows(call: Call, place: int, makers: Mapping[Value, Call]) -> View | None:
    """How the windows lie that are a factor of a stack of products; None if there are none."""
    if call.name != "matmul" or len(call.args) != 2 or any(type(x) is not Value for x in call.args):
        return None
    factor, other = call.args[place], call.args[1 - place]
    if len(call.result.shape) != 3 or len(factor.shape) != 3 or factor.dtype != other.dtype:
        return None
    if len(other.shape) != (2 if place == 0 else 3) or 0 in factor.shape:
        return None
    value = factor
    while value in makers and makers[value].name == "reshape" and type(makers[value].args[0]) is Value:
        value = makers[value].args[0]
    view = _view(value, makers)
    if view is None or value.shape[-1] != factor.shape[-1] or view.base is value:
        return None
    return view if len(view.axes[3]) > 1 and _fits(value.shape, factor.shape) else None


def _fits(shape: Sequence[int], stack: Sequence[int]) -> bool:
    """Whether each of several matrices is made of whole images or of whole rows of one."""
    _, down, across, _ = shape
    images = down * across
    whole = stack[1] % images == 0 if stack[1] > images else images % stack[1] == 0 == stack[1] % across
    return whole and stack[0] > 1


def _view(value: Value, makers: Mapping[Value, Call]) -> View | None:
    """A value of four axes as a view: itself, or pieces of a view one beside the other."""
    if len(value.shape) != 4 or type(value) is not Value:
        return None
    call = makers.get(value)
    if call is not None and call.name == "concat" and call.options.get("axis") == 3 and len(call.args) == 1:
        pieces = [_piece(part, makers) for part in call.args[0]]
        found = _beside(pieces, makers)
        if found is not None:
            return found
    whole = tuple([((n, axis, 1),) for axis, n in enumerate(value.shape)])
    return View(value, (0, 0, 0, 0), whole)


Piece: TypeAlias = tuple[Value, int, range]
"""Elements of one axis of a value."""


def _piece(part: Any, makers: Mapping[Value, Call]) -> Piece | None:
    call = makers.get(part) if type(part) is Value else None
    if call is None or call.name != "getitem" or type(call.args[0]) is not Value:
        return None
    index, source = call.args[1], call.args[0]
    entries = list(index) if isinstance(index, tuple) else [index]
    while entries and (entries[-1] is Ellipsis or entries[-1] == slice(None)):
        if entries.pop() is Ellipsis:
            break
    if not all(isinstance(e, slice) for e in entries) or len(entries) not in (2, 3):
        return None
    if any(e != slice(None) for e in entries[:-1]):
        return None
    axis = len(entries) - 1
    return source, axis, range(source.shape[axis])[entries[-1]]


def _beside(pieces: Sequence[Piece | None], makers: Mapping[Value, Call]) -> View | None:
    """Pieces of one value that are equally far apart, as one view."""
    known = [piece for piece in pieces if piece is not None]
    if len(known) < max(2, len(pieces)):
        return None
    source, axis, first = known[0]
    apart = known[1][2].start - first.start
    for i, (value, other, places) in enumerate(known):
        if value is not source or other != axis or places != _moved(first, i * apart):
            return None
    under = _view(source, makers)
    if under is None or first.step < 1 or apart < 1:
        return None
    ((_, along, by),) = under.axes[axis]
    view = under.cut(axis, first.start, len(first), first.step)
    return replace(view, axes=(*view.axes[:3], ((len(known), along, by * apart), *under.axes[3])))


def _moved(places: range, by: int) -> range:
    return range(places.start + by, places.stop + by, places.step)


def _replaced(call: Call, view: View, place: int, team: Team) -> Call:
    product = UnfoldedProduct(view, call.args[place].shape, place == 0, team)
    return Call(NAME, product, (view.base, call.args[1 - place]), {}, call.result)


def _laying_out(value: Value, makers: Mapping[Value, Call]) -> list[Call]:
    """The calls by which windows were laid out."""
    call = makers.get(value)
    if call is None or call.name not in ("concat", "getitem", "reshape"):
        return []
    return [call, *[c for x in call.inputs() for c in _laying_out(x, makers)]]


def _without_unused(calls: Sequence[Call], spare: Sequence[Call], needed: Collection[Value]) -> list[Call]:
    """Calls without those among `spare` of which nothing is needed any more."""
    marked, wanted, kept = set(map(id, spare)), set(needed), []
    for call in reversed(calls):
        if id(call) not in marked or any(value in wanted for value in call.outputs()):
            kept.append(call)
            wanted.update(call.inputs())
    return kept[::-1]
