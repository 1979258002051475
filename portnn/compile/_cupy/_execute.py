"""Carrying out the steps of a plan, one after the other, on a stream: at once or into a graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, final

import numpy as np

from portnn import tree
from portnn._typing import Array, Tree
from portnn.compile._cupy._driver import Driver
from portnn.compile._cupy._gemm import Operand
from portnn.compile._cupy._kernels import KernelSource, element_strides
from portnn.compile._cupy._plan import GpuPlan
from portnn.compile._cupy._small import bfloat16_kernel
from portnn.compile._cupy._steps import WRONG, Kernel, Product, Routine, Step, View, looks
from portnn.tracing import Call, Value, map_nested, values_in

__all__ = ["Execution"]


@final
class Execution:
    """A plan with its kernels compiled and its constants on the device.

    Args:
        plan: what to carry out.
        driver: the device.
        also: other kernels that the caller needs, to be compiled together with the plan's.

    Attributes:
        wrong: an array of one int32, 1 after a range check has failed; None if the plan has no range checks.
    """

    def __init__(self, plan: GpuPlan, driver: Driver, also: Sequence[KernelSource] = ()) -> None:
        self._plan = plan
        self._driver = driver
        self._kernels = driver.compile([*_sources(plan), *also])
        everything = (
            *[call.inputs() for call in plan.program.calls],
            values_in(tree.leaves(plan.program.result)),
        )
        self._constants: dict[int, Array] = {
            id(v): driver.asarray(v.constant)
            for values in everything
            for v in values
            if v.constant is not None
        }
        self.wrong = driver.asarray(np.zeros(1, "int32")) if any(map(looks, plan.steps)) else None
        self._narrowed: dict[int, Array] = {}
        self._last_product = {
            id(v): n for n, s in enumerate(plan.steps) if isinstance(s, Product) for v in self._sources(s)
        }

    def failed(self) -> bool:
        """Wait for the device, and return whether a range check has failed since the last call."""
        if self.wrong is None or not self._driver.to_host(self.wrong)[0]:
            return False
        self._driver.put(self.wrong, np.zeros(1, "int32"))
        return True

    def run(self, inputs: Sequence[Array], *, strictly: bool = False) -> Tree:
        """Carry out all steps.

        Args:
            inputs: arrays for the program's inputs, laid out as they were when it was written. Those that the
                plan writes in place are changed.
            strictly: raise at once if a value is out of range, instead of recording it.

        Returns:
            The program's result.
        """
        arrays = dict(self._constants)
        for value, array in zip(self._plan.program.inputs, inputs, strict=True):
            arrays[id(value)] = array
        given = {id(v): arrays[id(v)] for v in self._plan.program.inputs}
        self._narrowed.clear()  # a run that failed, such as a capture, leaves what it had cast so far
        for n, step in enumerate(self._plan.steps):
            if strictly and looks(step):
                self._call(step.call, arrays)
            else:
                self._carry_out(step, n, arrays, given)
            for value in self._plan.releases[n]:
                del arrays[id(value)]
        return map_nested(lambda x: arrays[id(x)] if type(x) is Value else x, self._plan.program.result)

    def _carry_out(self, step: Step, n: int, arrays: dict[int, Array], given: dict[int, Array]) -> None:
        if isinstance(step, Kernel):
            self._launch(step, arrays, given)
        elif isinstance(step, Product):
            self._multiply(step, n, arrays)
        elif isinstance(step, Routine):
            self._run_routine(step, arrays)
        elif isinstance(step, View):
            args, options = _filled(step.call.args, arrays), _filled(step.call.options, arrays)
            arrays[id(step.call.result)] = self._driver.view(step.call.function, args, options)
        else:
            self._call(step.call, arrays)

    def _launch(self, step: Kernel, arrays: dict[int, Array], given: dict[int, Array]) -> None:
        operands = []
        for group in step.groups:
            operands += [_laid_out(arrays[id(value)], value) for value in group.inputs]
            for value in group.outputs:
                place = self._plan.in_place.get(id(value))
                made = self.new(value) if place is None else given[id(place)]
                arrays[id(value)] = _laid_out(made, value)
                operands.append(made)
        self._driver.launch(self._kernels[step.source.name], step.source.blocks, operands)

    def _run_routine(self, step: Routine, arrays: dict[int, Array]) -> None:
        scratch = [self._driver.empty((size,), "int32") for size in step.scratch]
        result = step.call.result
        arrays[id(result)] = _laid_out(self.new(result), result)
        for launch in step.launches:
            operands = [
                self.wrong
                if x == WRONG
                else scratch[x]
                if isinstance(x, int)
                else _laid_out(arrays[id(x)], x)
                for x in launch.operands
            ]
            self._driver.launch(self._kernels[launch.source.name], launch.source.blocks, operands)

    def new(self, value: Value) -> Array:
        """Allocate memory for a value, with its axes in the order in memory that the trace recorded.

        Strides may be negative: the result of a descending sort is a reversed view.
        """
        steps = element_strides(value)
        order = sorted(range(len(steps)), key=lambda d: (-abs(steps[d]), d))
        made = self._driver.empty(tuple([value.shape[d] for d in order]), str(value.dtype))
        if order:
            made = made.transpose([order.index(d) for d in range(len(order))])
        if any(step < 0 for step in steps):
            made = made[tuple([slice(None, None, -1 if step < 0 else 1) for step in steps])]
        return made

    def _call(self, call: Call, arrays: dict[int, Array]) -> None:
        result = self._driver.call(call.function, _filled(call.args, arrays), _filled(call.options, arrays))
        made: list[Array] = []
        map_nested(lambda x: made.append(x) if hasattr(x, "shape") else None, result)
        for value, array in zip(call.outputs(), made, strict=True):
            arrays[id(value)] = array

    def _multiply(self, step: Product, n: int, arrays: dict[int, Array]) -> None:
        g, dtype = step.arguments, str(step.call.result.dtype)
        narrow = self._plan.precision == "bfloat16" and dtype == "float32"
        factors = []
        for value, operand, shape in zip(
            step.call.args, (g.first, g.second), ((g.rows, g.inner), (g.inner, g.columns)), strict=True
        ):
            array = arrays[id(value)]
            if operand.copy:
                array = self._laid_anew(array, operand, g.batch, shape)
            factors.append(self._narrow(array, value, operand) if narrow else array)
        result = self._driver.empty(g.shape, dtype)
        self._driver.product(
            g, "bfloat16" if narrow else self._plan.precision, factors[0], factors[1], result
        )
        arrays[id(step.call.result)] = result
        for value in self._sources(step):
            if self._last_product[id(value)] == n:
                self._narrowed.pop(id(value), None)

    def _laid_anew(
        self, array: Array, operand: Operand, batch: tuple[int, ...], shape: tuple[int, ...]
    ) -> Array:
        array = array.reshape(shape) if len(array.shape) == 1 else array
        if operand.copy == "columns":
            return self._driver.contiguous(array.T)
        if batch and operand.stride:
            array = self._driver.broadcast(array, (*batch, *shape))
        return self._driver.contiguous(array)

    def _narrow(self, array: Array, value: Value, operand: Operand) -> Array:
        """A factor in bfloat16, in the order in which it lies; once for all products that read it."""
        source = _source(value, self._plan)
        found = None if operand.copy else self._narrowed.get(id(source))
        if found is None:
            found = self._driver.empty((array.size,), "uint16")
            kernel = bfloat16_kernel(array.size)
            function = self._driver.compile([kernel])[kernel.name]
            self._driver.launch(function, kernel.blocks, [array, found])
            if not operand.copy:
                self._narrowed[id(source)] = found
        return found

    def _sources(self, step: Product) -> list[Value]:
        return [_source(value, self._plan) for value in step.call.args]


def _sources(plan: GpuPlan) -> list[KernelSource]:
    """Return the kernels of all steps."""
    found = []
    for step in plan.steps:
        if isinstance(step, Kernel):
            found.append(step.source)
        elif isinstance(step, Routine):
            found += [launch.source for launch in step.launches]
    return found


def _source(value: Value, plan: GpuPlan) -> Value:
    """The value of which this one is the transposed one, or the value itself."""
    for step in plan.steps:
        if isinstance(step, View) and step.call.result is value and step.call.name == "matrix_transpose":
            return _source(step.call.args[0], plan)
    return value


def _filled(nested: Any, arrays: dict[int, Array]) -> Any:
    return map_nested(lambda x: arrays[id(x)] if type(x) is Value else x, nested)


def _laid_out(array: Array, value: Value) -> Array:
    """The array, which must lie as the kernel was written for."""
    size = np.dtype(str(value.dtype)).itemsize
    wanted = [s * size for n, s in zip(value.shape, element_strides(value), strict=True) if n != 1]
    steps = [s for n, s in zip(array.shape, array.strides, strict=True) if n != 1]
    if tuple(array.shape) != value.shape or (array.size and steps != wanted):
        raise ValueError(
            f"a plan was made for {value!r} with strides {value.strides} and was given an array of shape "
            f"{tuple(array.shape)} with strides {array.strides}; lay it out as in the first call"
        )
    return array
