"""Training on NumPy as a loop over a plan: the parameters stay in one place, and no step allocates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from math import isfinite
from typing import Any, final

import numpy as np

from portnn import tree
from portnn._typing import Array, Tree
from portnn.compile._binding import Binding
from portnn.compile._errors import PlanError
from portnn.compile._numpy._narrow import narrowed
from portnn.compile._numpy._packs import Pack, pack_calls
from portnn.compile._numpy._plan import NumpyPlan
from portnn.compile._numpy._ranges import Range
from portnn.compile._numpy._tall import tall_products
from portnn.compile._numpy._team import Team
from portnn.compile._numpy._unfolded import NAME as UNFOLDED
from portnn.compile._threads import blas_threads, products_in, threads_allowed, threads_for
from portnn.ops._indexing import gather
from portnn.program import Program, record, simplify
from portnn.tracing import Extent, Value

__all__ = ["NumpyLoop"]


@final
class NumpyLoop:
    """A step that is carried out many times on rows of NumPy arrays; `portnn.compile.Loop` has the methods.

    Args:
        step: ``step(carry, *batch) -> (carry, loss)``.
        carry: what the first step is given; a tuple whose first member holds the parameters.
        data: arrays with the samples along their first axis; they do not change while the loop is used.
        batch_size: samples a step; None for all.
        extents: as for `portnn.compile.make_loop`.
        shuffled: whether `run` will be given an order.
        threads: threads for a step; by default what its products are worth.
    """

    place, room = "cpu", 64 * 2**20

    def __init__(
        self,
        step: Callable[..., Any],
        carry: Tree,
        data: Sequence[Array],
        batch_size: int | None,
        *,
        extents: Sequence[Extent] = (),
        shuffled: bool,
        threads: int | None = None,
    ) -> None:
        self._step = step
        self._bound = Binding(carry, data, extents)
        self._n: int = data[0].shape[0]
        self._batch_size = min(self._n, batch_size or self._n)
        self._like = tree.structure(carry)
        self._seed = len(tree.leaves(carry[0]))
        self._home = _Home([np.array(leaf, order="C") for leaf in tree.leaves(carry)])
        self._ends = [_ends(x) for x in data]  # of all samples so far
        self._ranges: list[Range | None] | None = None  # what plans know of them
        self._strides = [x.strides for x in data]
        self._plans: dict[tuple[int, bool], NumpyPlan] = {}
        self._wanted = self._threads = threads
        self._allowed = threads_allowed()
        self._blas = 1
        self._shuffled = shuffled
        self._said = ""
        self._plan(self._batch_size, shuffled)  # what cannot be planned shows here and not in the first step

    def bind(self, carry: Tree, data: Sequence[Array], extents: Sequence[Extent] = ()) -> None:
        """Begin anew; `Loop.bind` says how."""
        leaves = self._bound.leaves(carry)
        self._bound.replace(data, extents)
        ends, strides, allowed = [_ends(x) for x in data], [x.strides for x in data], threads_allowed()
        self._ends = [_union(old, new) for old, new in zip(self._ends, ends, strict=True)]
        known = self._ranges is None or all(map(_within, ends, self._ranges))
        if not known or strides != self._strides or (self._wanted is None and allowed != self._allowed):
            self._plans, self._ranges, self._threads, self._said = {}, None, self._wanted, ""
        self._strides, self._allowed = strides, allowed
        for home, leaf in zip(self._home.leaves, leaves, strict=True):
            np.copyto(home, leaf)
        self._plan(self._batch_size, self._shuffled)

    def unbind(self) -> None:
        """Let go of the samples; `Loop.unbind` says how."""
        self._bound.release()

    def nbytes(self) -> int:
        """The values, the memory of the plans, and about what their calls take."""
        values = sum([block.nbytes for block in self._home.blocks()])
        return values + sum([plan.nbytes() for plan in self._plans.values()])

    def limits(self) -> AbstractContextManager[None]:
        """The threads that the products are worth; one where the plan shares them among its own."""
        return blas_threads(self._blas)

    def run(self, order: Any, first: int, count: int, done: Callable[[int], object] | None = None) -> Any:
        """Carry out steps; `Loop.run` says how."""
        size, n, data = self._batch_size, self._n, self._bound.data
        losses: list[float] = []
        plan, rows = self._plan(size, order is not None), size
        for start in range(first * size, (first + count) * size, size):
            stop = min(start + size, n)
            if stop - start != rows:
                rows = stop - start
                plan = self._plan(rows, order is not None)
            if order is not None:
                (loss,) = plan.run(*data, order[start:stop])
            elif size == n:
                (loss,) = plan.run(*data)
            else:
                (loss,) = plan.run(*[x[start:stop] for x in data])
            losses.append(float(loss))
            if not isfinite(losses[-1]):
                break
        if done is not None:
            done(len(losses))
        return np.asarray(losses)

    def carry(self) -> Tree:
        """Copies of the present values."""
        return tree.unflatten(self._like, [leaf.copy() for leaf in self._home.leaves])

    def write(self, carry: Tree) -> None:
        """Take over other values."""
        for home, leaf in zip(self._home.leaves, self._bound.leaves(carry), strict=True):
            np.copyto(home, leaf)

    def save(self) -> Any:
        """Copies of the memory that the present values lie in."""
        return [block.copy() for block in self._home.blocks()]

    def restore(self, saved: Any) -> None:
        """Copy them back."""
        for block, kept in zip(self._home.blocks(), saved, strict=True):
            np.copyto(block, kept)

    def explain(self) -> str:
        """The plans so far."""
        if self._said:
            return self._said
        parts = [
            f"NumPy plan of a step on {rows} samples{', gathered' if gathered else ''}: {plan.explain()}"
            for (rows, gathered), plan in self._plans.items()
        ]
        self._said = "\n".join(parts)
        return self._said

    def _plan(self, rows: int, gathered: bool) -> NumpyPlan:
        plan = self._plans.get((rows, gathered))
        if plan is None:
            plan = self._plans[rows, gathered] = self._planned(rows, gathered)
            self._said = ""
        return plan

    def _planned(self, rows: int, gathered: bool) -> NumpyPlan:
        """Write the step down for a number of samples, and lay out its memory."""
        carry = tree.unflatten(self._like, list(self._home.leaves))

        def whole(carry: Tree, data: Sequence[Array]) -> Any:
            with self._bound.declared(data):
                return self._step(carry, *data)

        def chosen(carry: Tree, data: Sequence[Array], places: Array) -> Any:
            return whole(carry, [gather(x, places, axis=0) for x in data])

        data = self._bound.data
        function: Callable[..., Any] = chosen if gathered else whole
        if gathered:
            args: tuple[Any, ...] = (carry, data, np.arange(rows))
        else:
            args = (carry, data if rows == self._n else tuple([x[:rows] for x in data]))
        with blas_threads(1):  # which takes the least memory
            program, _ = record(function, args, units=False)
            return self._laid_out(program, gathered)

    def _laid_out(self, program: Program, gathered: bool) -> NumpyPlan:
        n = len(self._home.leaves)
        if self._ranges is None:
            self._ranges = [self._range(i) for i in range(len(self._ends))]
        known = dict(zip(program.inputs[n:], self._ranges, strict=False))
        ranges: dict[Value, Range] = {value: within for value, within in known.items() if within}
        trusted = {program.inputs[-1]} if gathered else set[Value]()
        program = narrowed(simplify(program), ranges)
        owned, rest = program.inputs[:n], program.inputs[n:]
        after, loss = self._carried(program, owned)
        calls, packs = pack_calls(program.calls, owned[: self._seed], owned)
        if not self._home.fits(owned, packs):
            calls, packs = list(program.calls), []
        arrays, carried = self._home.bind(owned, after, packs)
        whole = all(v.shape == x.shape for v, x in zip(rest, self._bound.data, strict=False)) and not trusted
        given = dict(zip(rest, self._bound.data, strict=True)) if whole else {}
        if self._threads is None:
            self._threads = threads_for(products_in(calls), self._allowed)
        team = Team(self._threads)
        forms = tall_products(calls, given, team)
        self._blas = 1 if forms else self._threads
        plan = NumpyPlan(
            calls, rest, [loss], owned=arrays, carried=carried, packs=packs, trusted=trusted, ranges=ranges,
            forms=forms, team=team, kept=True,
        )  # fmt: skip
        if any(call.name == UNFOLDED for call in plan.calls):
            self._blas = 1  # the team shares these products out already
        return plan

    def _range(self, place: int) -> Range | None:
        """Between which numbers an array of the data lies as far as plans may know.

        Where it has passed a check, any other array may come that passes it: that is the range, unless the
        check has an exception, such as a label to ignore, that the array made use of.
        """
        ends = self._ends[place]
        if ends is None:
            return None
        passed = [
            (low, high - 1) for low, high, _ in self._bound.passed(place) if low <= ends[0] and ends[1] < high
        ]
        return (max([a for a, _ in passed]), min([b for _, b in passed])) if passed else ends

    def _carried(self, program: Program, owned: Sequence[Value]) -> tuple[list[Value], Value]:
        """The values that a step hands on, and its loss; they must be like those that it was given."""
        if type(program.result) is not tuple or len(program.result) != 2:
            raise PlanError("a step must return (carry, loss)")
        carry, loss = program.result
        leaves = tree.leaves(carry)
        if tree.structure(carry) != self._like or type(loss) is not Value:
            raise PlanError("a step must hand on a tree like the one that it was given")
        for before, leaf in zip(owned, leaves, strict=True):
            if type(leaf) is not Value or (leaf.shape, leaf.dtype) != (before.shape, before.dtype):
                raise PlanError("a step must hand on arrays of the shapes and dtypes that it was given")
        return leaves, loss


def _union(a: Range | None, b: Range | None) -> Range | None:
    """The range that holds two others."""
    return None if a is None or b is None else (min(a[0], b[0]), max(a[1], b[1]))


def _within(inner: Range | None, outer: Range | None) -> bool:
    """Whether one range lies in another; every range lies in an unknown one."""
    return outer is None or (inner is not None and outer[0] <= inner[0] and inner[1] <= outer[1])


def _ends(x: Array) -> Range | None:
    """The smallest and the largest of integers that take little time to look at, such as labels."""
    if x.dtype.kind not in "iu" or x.ndim != 1 or not x.size:
        return None
    return int(x.min()), int(x.max())


@final
class _Home:
    """Where the values that a loop carries lie, the same for all its plans."""

    def __init__(self, leaves: list[Any]) -> None:
        self.leaves = leaves
        self._flats: list[tuple[tuple[int, ...], Any]] | None = None

    def blocks(self) -> list[Any]:
        """The arrays that hold all values, each once."""
        flats = self._flats or []
        inside = {i for members, _ in flats for i in members}
        return [*(flat for _, flat in flats), *(x for i, x in enumerate(self.leaves) if i not in inside)]

    def fits(self, owned: Sequence[Value], packs: Sequence[Pack]) -> bool:
        """Whether packs agree with how the values lie; the first to ask decides."""
        groups = self._groups(owned, packs)
        if self._flats is None:
            self._flats = []
            for members, pack in groups:
                flat = np.empty(pack.flat.shape, dtype=self.leaves[members[0]].dtype)
                for i, view in zip(members, pack.views(flat), strict=True):
                    np.copyto(view, self.leaves[i])
                    self.leaves[i] = view
                self._flats.append((members, flat))
        known = {members for members, _ in self._flats}
        return all(members in known for members, _ in groups)

    def _groups(self, owned: Sequence[Value], packs: Sequence[Pack]) -> list[tuple[tuple[int, ...], Pack]]:
        positions = {value: i for i, value in enumerate(owned)}
        inputs = [pack for pack in packs if pack.members[0] in positions]
        return [(tuple([positions[m] for m in pack.members]), pack) for pack in inputs]

    def bind(
        self, owned: Sequence[Value], after: Sequence[Value], packs: Sequence[Pack]
    ) -> tuple[dict[Value, Any], dict[Value, Value]]:
        """The array of each owned value, and what takes its place; packs count as one value each."""
        arrays = dict(zip(owned, self.leaves, strict=True))
        carried = dict(zip(owned, after, strict=True))
        flats = dict(self._flats or [])
        made = {pack.members: pack for pack in packs}
        for members, pack in self._groups(owned, packs):
            for value in pack.members:
                del arrays[value]
            arrays[pack.flat] = flats[members]
            following = made.get(tuple([carried[value] for value in pack.members]))
            if following is not None:
                for value in pack.members:
                    del carried[value]
                carried[pack.flat] = following.flat
        return arrays, carried
