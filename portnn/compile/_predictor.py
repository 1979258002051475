"""Inference: a function of parameters that stay and inputs that come, one small batch after the other."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Any, final

import array_api_compat
import numpy as np

from portnn import tree
from portnn._typing import Array, Tree
from portnn.compile._jit import Jitted
from portnn.compile._numpy import NumpyPlan
from portnn.compile._signature import Signature, signature
from portnn.program import record, simplify
from portnn.tracing import Value

if TYPE_CHECKING:
    from portnn.compile._cupy import CupyPredictions

__all__ = ["Predictor"]

_SHAPES = 16  # plans that are kept
_LARGEST = 64 * 2**20  # bytes of intermediate results that a plan may keep for the next call
_TOGETHER = 2 * _LARGEST  # and all plans together: those of full batches and of a last one


@final
class Predictor:
    """``f(bound, x)``, planned for the shapes of `x` that come again.

    The first call with a shape carries the function out as it stands; the second writes it down. Whoever
    asks once pays nothing for a plan, whoever asks all the time has one.

    Args:
        f: a pure function of a tree of arrays and an array, which returns an array.
    """

    def __init__(self, f: Callable[[Tree, Array], Array]) -> None:
        self._f = f
        # Never warns of retracing: the caller of `predict` decides about batch sizes.
        self._jitted = Jitted(f, _SHAPES, torch_compile=False, precision="float32", patience=None)
        self._on_gpu: CupyPredictions | None = None
        self._plans: OrderedDict[Any, NumpyPlan | None] = OrderedDict()
        self._hopeless: set[Any] = set()
        self._ids: list[int] = []
        self._held: list[Array] = []
        self._mark: Signature = ()
        self._lock = Lock()

    def __call__(self, bound: Tree, x: Array) -> Array:
        """The function's value.

        Args:
            bound: the tree; plans stay good while its structure, shapes and dtypes do.
            x: the array.
        """
        if type(x) is not np.ndarray:
            with self._lock:
                again = self._again(bound, (type(x), x.shape, x.dtype))
                if again and array_api_compat.is_cupy_array(x):
                    return self._planned_on_gpu()(bound, x)
            return self._jitted(bound, x) if again else self._f(bound, x)
        key = (x.shape, x.strides, x.dtype)
        with self._lock:
            if self._again(bound, key):
                plan = self._plans[key] or self._planned(bound, x, key)
                if plan is not None:
                    (y,) = plan.run(*self._held, x)
                    return y
        return self._f(bound, x)

    def ready(self, bound: Tree, x: Any) -> Array | None:
        """The value for finite NumPy numbers that there is a plan for; None for all others.

        Nothing is done but to look at them: what is wrong with others is for the caller to say.

        Args:
            bound: as for a call.
            x: anything.
        """
        if type(x) is not np.ndarray:
            return None
        plan = self._plans.get((x.shape, x.strides, x.dtype))
        if plan is None:
            return None
        leaves = tree.leaves(bound)
        if [*map(id, leaves)] != self._ids or not _finite(x):
            return None
        with self._lock:
            (y,) = plan.run(*leaves, x)
        return y

    def _again(self, bound: Tree, key: Any) -> bool:
        """Whether this was asked before with such bound arrays."""
        leaves = tree.leaves(bound)
        ids = [*map(id, leaves)]
        if ids != self._ids:
            mark, _ = signature(bound)
            if mark != self._mark:
                self._plans.clear()
                self._hopeless.clear()
                if self._on_gpu is not None:
                    self._on_gpu.clear()
                self._mark = mark
            self._ids, self._held = ids, leaves
        if key in self._plans:
            self._plans.move_to_end(key)
            return True
        self._plans[key] = None
        if len(self._plans) > _SHAPES:
            self._plans.popitem(last=False)
        return False

    def release(self) -> None:
        """Drop graphs and bound arrays before they are replaced; plans are kept."""
        with self._lock:
            self._ids, self._held = [], []
            if self._on_gpu is not None:
                self._on_gpu.release()

    def _planned_on_gpu(self) -> CupyPredictions:
        """Return the plans for CuPy arrays."""
        if self._on_gpu is None:
            from portnn.compile._cupy import CupyPredictions  # only with CuPy

            self._on_gpu = CupyPredictions(self._f, _SHAPES)
        return self._on_gpu

    def _planned(self, bound: Tree, x: Array, key: Any) -> NumpyPlan | None:
        """Write the function down; None if it cannot be, or if a plan would keep too much memory."""
        if key in self._hopeless:
            return None
        self._hopeless.add(key)  # until there is a plan
        try:
            program = simplify(record(self._f, (bound, x))[0])
        except (TypeError, AttributeError):  # what only plain arrays can do is carried out as it stands
            return None
        result = program.result
        if type(result) is not Value or result in program.inputs:
            return None
        plan = NumpyPlan(program.calls, program.inputs, [result])
        if plan.memory.size > _LARGEST or plan.holds(result):
            return None
        self._hopeless.discard(key)
        self._plans[key] = plan
        self._make_room()
        return plan

    def _make_room(self) -> None:
        """Drop the plans that were used longest ago, until the others may keep their memory."""
        sizes = {key: plan.memory.size for key, plan in self._plans.items() if plan is not None}
        kept = sum(sizes.values())
        for key, size in sizes.items():
            if kept <= _TOGETHER:
                return
            kept -= size
            del self._plans[key]


def _finite(x: Array) -> bool:
    """Whether all numbers are finite."""
    return x.dtype.kind in "iub" or bool(np.logical_and.reduce(np.isfinite(x), axis=None))
