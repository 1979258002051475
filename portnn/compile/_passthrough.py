"""Libraries that have a compiler of their own: the function is handed to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, final

import numpy as np

from portnn import ops, tree
from portnn._typing import Array, Tree
from portnn.compile._binding import Binding
from portnn.compile._bounds import found_in_steps
from portnn.ops._indexing import gather
from portnn.tracing import Extent, OutOfRangeError, collecting, is_array

__all__ = ["JaxLoop", "JaxPlan"]


class _Flat:
    """A function of trees as a function of the arrays in them.

    Args:
        f: the function, ``f(*args[0], **args[1])``.
        args: arguments of the signature in question.
    """

    def __init__(self, f: Callable[..., Tree], args: Tree) -> None:
        self._f = f
        self._like = tree.map(lambda leaf: _PLACE if is_array(leaf) else leaf, args)
        self._result: Tree = None
        self.looks = False  # whether the last array tells that an integer is out of range

    def __call__(self, *arrays: Array) -> list[Array]:
        rest = iter(arrays)
        args, options = tree.map(lambda leaf: next(rest) if leaf is _PLACE else leaf, self._like)
        with collecting() as notes:
            result = self._f(*args, **options)
        self.looks = bool(notes)
        found = [leaf for leaf in tree.leaves(result) if is_array(leaf)]
        self._result = tree.map(lambda leaf: _PLACE if is_array(leaf) else leaf, result)
        return [*found, ops.any(ops.stack(notes))] if notes else found

    def rebuild(self, arrays: Sequence[Array]) -> Tree:
        """The result with its arrays in their places."""
        rest = iter(arrays)
        return tree.map(lambda leaf: next(rest) if leaf is _PLACE else leaf, self._result)


_PLACE = object()
_EXECUTABLE = 2**20  # bytes


@final
class JaxPlan:
    """A function compiled by ``jax.jit``.

    Args:
        f: the function, ``f(*args[0], **args[1])``.
        args: arguments of the signature.
    """

    def __init__(self, f: Callable[..., Tree], args: Tree) -> None:
        import jax

        self._f, self._flat = f, _Flat(f, args)
        self._compiled = jax.jit(self._flat)

    def __call__(self, arrays: Sequence[Array], args: Tree) -> Tree:
        found = self._compiled(*arrays)
        if self._flat.looks and bool(found.pop()):
            self._f(*args[0], **args[1])  # which checks values, and names the wrong one
            raise OutOfRangeError(
                "jit: an id, label, length or position is out of range; call the function itself"
            )
        return self._flat.rebuild(found)

    def explain(self) -> str:
        """Who compiles."""
        return "compiled by jax.jit"


@final
class JaxLoop:
    """A step that is compiled by ``jax.jit``; `portnn.compile.Loop` has the methods.

    Args:
        step: ``step(carry, *batch) -> (carry, loss)``.
        carry: what the first step is given.
        data: arrays with the samples along their first axis.
        batch_size: samples a step; None for all.
        extents: as for `portnn.compile.make_loop`.
    """

    place, room = "jax", 16 * _EXECUTABLE

    def __init__(
        self,
        step: Callable[..., Any],
        carry: Tree,
        data: Sequence[Array],
        batch_size: int | None,
        *,
        extents: Sequence[Extent] = (),
    ) -> None:
        import jax

        # JAX sorts the keys of dicts, so it is given lists.
        self._carry, self._like = tree.flatten(carry)
        self._bound = Binding(carry, data, extents, sealed=True)
        self._n: int = data[0].shape[0]
        self._size = min(self._n, batch_size or self._n)

        def whole(carry: list[Array], data: Sequence[Array]) -> Any:
            with collecting() as notes, self._bound.declared(data):
                after, loss = step(tree.unflatten(self._like, carry), *data)
            return tree.leaves(after), loss, [ops.any(ops.stack(notes))] if notes else []

        def gathered(carry: list[Array], data: Sequence[Array], rows: Array) -> Any:
            return whole(carry, [gather(x, rows, axis=0) for x in data])

        self._whole, self._gathered = jax.jit(whole), jax.jit(gathered)
        batch = [jax.ShapeDtypeStruct((self._size, *x.shape[1:]), x.dtype) for x in data]
        jax.eval_shape(whole, self._carry, batch)  # what cannot be compiled shows here

    def run(self, order: Any, first: int, count: int, done: Callable[[int], object] | None = None) -> Any:
        """Carry out steps; `Loop.run` says how."""
        losses, noted = [], []
        for start in range(first * self._size, (first + count) * self._size, self._size):
            stop = min(start + self._size, self._n)
            if order is None:
                batch = tuple([x[start:stop] for x in self._bound.data])
                self._carry, loss, wrong = self._whole(self._carry, batch)
            else:
                self._carry, loss, wrong = self._gathered(self._carry, self._bound.data, order[start:stop])
            losses.append(loss)
            noted += wrong
        if any(map(bool, noted)):
            raise found_in_steps(len(losses))
        found = np.asarray([float(loss) for loss in losses])
        if done is not None:
            done(count)
        return found

    def bind(self, carry: Tree, data: Sequence[Array], extents: Sequence[Extent] = ()) -> None:
        """Begin anew; `Loop.bind` says how."""
        leaves = self._bound.leaves(carry)
        self._bound.replace(data, extents)
        self._carry = leaves

    def unbind(self) -> None:
        """Let go of all arrays: compiled functions hold none."""
        self._bound.release()
        self._carry = []

    def nbytes(self) -> int:
        """What XLA's programs take is not to be found out; they are of this order."""
        return _EXECUTABLE

    def carry(self) -> Tree:
        """The present values; JAX's arrays never change."""
        return tree.unflatten(self._like, self._carry)

    def write(self, carry: Tree) -> None:
        """Take over other values."""
        self._carry = self._bound.leaves(carry)

    def save(self) -> Any:
        """The present values."""
        return self._carry

    def restore(self, saved: Any) -> None:
        """Take them back."""
        self._carry = saved

    def limits(self) -> AbstractContextManager[None]:
        """No limits: XLA has threads of its own."""
        return nullcontext()

    def explain(self) -> str:
        """Who compiles."""
        return "compiled by jax.jit"
