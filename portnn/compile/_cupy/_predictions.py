"""Predictions on a GPU: plans for several input shapes, which all read the same parameters."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Any, final

from portnn import tree
from portnn._typing import Array, Tree
from portnn.compile._cupy._single import CupyPlan, is_packed, packed
from portnn.program import record, simplify

__all__ = ["CupyPredictions"]


@final
class CupyPredictions:
    """``f(bound, x)``, with a plan for each shape of `x`.

    Plans do not copy the bound arrays: graphs read them in place, so in-place changes take effect. If other
    bound arrays are passed, the graphs are dropped, since they read the old ones; the plans are kept.

    Args:
        f: a pure function of a tree of arrays and an array, which returns an array.
        shapes: the largest number of plans to keep.
    """

    def __init__(self, f: Callable[[Tree, Array], Array], shapes: int) -> None:
        self._f = f
        self._shapes = shapes
        self._plans: OrderedDict[Any, CupyPlan | None] = OrderedDict()
        self._ids: list[int] = []

    def __call__(self, bound: Tree, x: Array) -> Array:
        """Return the function's value, with a plan for the shape of `x`.

        Args:
            bound: the tree, with the structure, shapes, dtypes and strides of earlier calls; call `clear`
                before others.
            x: the array.
        """
        leaves = tree.leaves(bound)
        ids = [*map(id, leaves)]
        if ids != self._ids:
            self.release()
            self._ids = ids
        x = packed(x)
        key = x.shape, x.strides, str(x.dtype), x.device.id
        if key in self._plans:
            self._plans.move_to_end(key)
        else:
            self._plans[key] = self._planned(bound, x)
            if len(self._plans) > self._shapes:
                self._plans.popitem(last=False)
        plan = self._plans[key]
        found: Array = self._f(bound, x) if plan is None else plan(*leaves, x)
        return found

    def _planned(self, bound: Tree, x: Array) -> CupyPlan | None:
        """Trace the function; return None if it cannot be traced or if bound arrays have gaps."""
        leaves = tree.leaves(bound)
        if not all(is_packed(leaf) for leaf in leaves):
            return None
        try:
            program = simplify(record(self._f, (bound, x))[0])
        except (TypeError, AttributeError):
            return None
        program = replace(program, name="predict")
        return CupyPlan(program, device=int(x.device.id), bound=len(leaves))

    def release(self) -> None:
        """Drop the graphs, and with them the bound arrays."""
        self._ids = []
        for plan in self._plans.values():
            if plan is not None:
                plan.release()

    def clear(self) -> None:
        """Drop the plans too, before bound arrays of other shapes, dtypes or strides."""
        self._ids = []
        self._plans.clear()
