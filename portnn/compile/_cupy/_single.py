"""Plans of single functions: copy inputs to a fixed place, launch a graph, copy results out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any, final

from portnn import tree
from portnn._typing import Array, Tree
from portnn.backend._cupy import activate
from portnn.compile._bounds import inputs_checked
from portnn.compile._cupy._driver import Driver
from portnn.compile._cupy._execute import Execution
from portnn.compile._cupy._graph import Captured, CaptureError, capture
from portnn.compile._cupy._kernels import KernelSource, element_strides
from portnn.compile._cupy._moves import Moves, layout_of, packed_layout
from portnn.compile._cupy._plan import make_plan, warn
from portnn.compile._precision import Precision
from portnn.program import Program, record, simplify
from portnn.tracing import is_array, values_in

__all__ = ["CupyPlan", "is_packed", "packed", "plan_function"]

_RUNS = 3  # with the same bound arrays before a graph is captured, which takes as long as a few runs


@final
class CupyPlan:
    """A program on a GPU, launched as one CUDA graph.

    Args:
        program: traced with CuPy arrays that are `packed`.
        precision: of matrix products of float32.
        device: the number of the GPU.
        driver: what drives it; None for CuPy.
        bound: how many of the first inputs are usually the same arrays in every call. They are not copied: a
            graph reads them in place, and is captured again for other arrays.
    """

    def __init__(
        self,
        program: Program,
        *,
        precision: Precision = "float32",
        device: int = 0,
        driver: Driver | None = None,
        bound: int = 0,
    ) -> None:
        if driver is None:
            from portnn.compile._cupy._device import driver_for

            driver = driver_for(device)
        self._driver = driver
        self._names, self._values = program.names, program.inputs
        for name, value in zip(self._names, self._values, strict=True):
            if value.strides is not None and not _without_gaps(value.shape, element_strides(value)):
                raise ValueError(
                    f"{name} has gaps between its elements, but a plan keeps inputs without gaps: "
                    "trace the program with packed arrays"
                )
        program, self._checks = inputs_checked(program)
        self._plan = make_plan(program, precision=precision)
        with driver.working():  # so that constants are ready before a call from another stream
            self._moves = Moves(driver)
            self._count = bound
            self._execution = Execution(self._plan, driver, self._copies())
        self._bound: list[Array] = []
        self._runs = 0
        self._inputs: list[Array] | None = None
        self._captured: Captured[Tree] | None = None
        self._obstacle = "; ".join(self._plan.obstacles)
        if self._obstacle:
            warn(program.name, self._obstacle)

    def __call__(self, *arrays: Array) -> Tree:
        """The program's result for other inputs.

        Args:
            *arrays: one for each input of the program, of its shape and dtype.
        """
        for name, value, array in zip(self._names, self._values, arrays, strict=True):
            if tuple(array.shape) != value.shape or str(array.dtype) != str(value.dtype):
                raise ValueError(
                    f"a plan was made for {name} of shape {value.shape} and dtype {value.dtype}, got "
                    f"{tuple(array.shape)} and {array.dtype}; make a plan for that"
                )
        driver = self._driver
        with driver.working():
            for check in self._checks:
                check(arrays)
            inputs = self._placed(arrays)
            if not self._obstacle and self._captured is None and self._runs >= (_RUNS if self._count else 0):
                self._capture(inputs)
            self._runs += 1
            if self._captured is None:
                result = self._execution.run(inputs)
            else:
                self._captured.launch()
                result = self._captured.result
            if self._execution.failed():
                self._execution.run(inputs, strictly=True)  # raises, and names the wrong value
            with driver.handing_out():
                return self._copied(result)

    def _placed(self, arrays: Sequence[Array]) -> list[Array]:
        """Return the bound arrays, and the plan's own copies of the others."""
        bound, given = list(arrays[: self._count]), arrays[self._count :]
        if any(a is not b for a, b in zip_longest(bound, self._bound)):
            self.release()
            self._bound = bound
        if self._inputs is None:
            self._inputs = [self._execution.new(value) for value in self._values[self._count :]]
        self._moves.copy(given, self._inputs)
        return [*bound, *self._inputs]

    def release(self) -> None:
        """Drop the graph and all arrays; the next calls create new ones."""
        self._bound, self._inputs, self._captured, self._runs = [], None, None, 0

    def _copies(self) -> list[KernelSource]:
        """Return the kernels that copy inputs and results with the layouts that the trace recorded."""
        given = [layout_of(value) for value in self._values[self._count :]]
        made = [layout_of(value) for value in values_in(tree.leaves(self._plan.program.result))]
        inwards = self._moves.kernels(given, [packed_layout(layout) for layout in given])
        return [*inwards, *self._moves.kernels(made, [packed_layout(layout) for layout in made])]

    def _copied(self, result: Tree) -> Tree:
        """Copy the arrays of a result for the caller; other leaves are unchanged."""
        leaves, structure = tree.flatten(result)
        copies = iter(self._moves.clones([leaf for leaf in leaves if is_array(leaf)]))
        return tree.unflatten(structure, [next(copies) if is_array(leaf) else leaf for leaf in leaves])

    def _capture(self, inputs: list[Array]) -> None:
        try:
            self._captured = capture(
                self._driver, lambda: self._execution.run(inputs), (self._execution, inputs)
            )
        except CaptureError as error:
            self._obstacle = str(error)
            warn(self._plan.program.name, self._obstacle)

    def explain(self) -> str:
        """The steps, and whether they run as a graph."""
        how = f"call by call: {self._obstacle}" if self._obstacle else "as one CUDA graph"
        return f"{self._plan.explain()}\nruns {how}"


@final
class _FunctionPlan:
    """A plan as `jit` calls it."""

    def __init__(self, plan: CupyPlan) -> None:
        self._plan = plan
        self.explain = plan.explain

    def __call__(self, arrays: Sequence[Array], args: Tree) -> Tree:
        return self._plan(*arrays)


def plan_function(
    f: Callable[..., Tree], args: tuple[tuple[Any, ...], dict[str, Any]], precision: Precision = "float32"
) -> tuple[_FunctionPlan, Tree]:
    """The plan of a function of CuPy arrays, and the result of its first call, in which it is written down.

    Args:
        f: the function.
        args: its positional and keyword arguments.
        precision: of products of float32 matrices.
    """
    place = next(leaf.device for leaf in tree.leaves(args) if is_array(leaf))
    with activate(place):
        args = tree.map(lambda leaf: packed(leaf) if is_array(leaf) else leaf, args)
        program, result = record(lambda p, o: f(*p, **o), args)
        program = replace(simplify(program), name=getattr(f, "__name__", "function"))
        return _FunctionPlan(CupyPlan(program, precision=precision, device=int(place.id))), result


def packed(x: Array) -> Array:
    """Return the array, or a copy in C order if there are gaps between its elements.

    A plan keeps inputs in its own memory, without gaps, and its kernels are compiled for these strides.
    """
    return x if is_packed(x) else x.copy(order="C")


def is_packed(x: Array) -> bool:
    """Return whether there are no gaps between the elements of an array."""
    return _without_gaps(tuple(x.shape), tuple([s // x.itemsize for s in x.strides]))


def _without_gaps(shape: tuple[int, ...], steps: tuple[int, ...]) -> bool:
    """Return whether strides, in elements, leave no gap in some order of axes; empty arrays have none."""
    expected = 1
    for step, n in sorted([(s, n) for s, n in zip(steps, shape, strict=True) if n != 1]):
        if step != expected:
            return 0 in shape
        expected *= n
    return True
