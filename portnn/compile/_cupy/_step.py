"""One step of a training as work on a stream: gather a batch, run the plan, put results where they belong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import final

import array_api_compat
import numpy as np

from portnn import tree
from portnn._typing import Array, Tree
from portnn.compile._bounds import Check, inputs_checked
from portnn.compile._cupy._driver import Driver
from portnn.compile._cupy._execute import Execution
from portnn.compile._cupy._kernels import KernelSource
from portnn.compile._cupy._plan import make_plan
from portnn.compile._cupy._small import gather_kernel, keep_kernel
from portnn.compile._cupy._tracing import LayoutOnly
from portnn.compile._precision import Precision
from portnn.program import Program, record, simplify
from portnn.tracing import Value

__all__ = ["Source", "StepPlan"]


@final
class Source:
    """Samples on the device.

    Args:
        data: arrays with the samples first; a loop may put others in their places.
        addresses: uint64, where `data` are: steps and graphs find them there.
        order: int64, which sample comes at which place.
        cursor: one int64, the number of the next batch.
    """

    def __init__(self, data: tuple[Array, ...], addresses: Array, order: Array, cursor: Array) -> None:
        self.data = data
        self.addresses = addresses
        self.order = order
        self.cursor = cursor


@final
class StepPlan:
    """The plan for batches of one size.

    Args:
        driver: the device.
        step: ``step(carry, *batch) -> (carry, loss)``.
        carry: the buffers that hold what a step changes.
        source: samples to write the program with.
        rows: of a batch, and how many the cursor counts at a time.
        total: the number of losses of an epoch.
        precision: of matrix products.
        losses: where the losses go; None for a new array.
        also: other kernels that the loop needs, compiled together with the plan's.

    Attributes:
        steps: of the plan.
        obstacles: why a graph cannot hold the step.
        checks: those of the inputs: the buffers and the samples.
        failed: waits for the device and returns whether a check within a step has failed since the last call.
        notes: the arrays that these checks write to, if there are any.
        units: for each array of the data, what its address has to be a multiple of.
    """

    def __init__(
        self,
        driver: Driver,
        step: Callable[..., tuple[Tree, Array]],
        carry: Tree,
        source: Source,
        rows: tuple[int, int],
        total: int,
        precision: Precision,
        losses: Array | None = None,
        also: Sequence[KernelSource] = (),
    ) -> None:
        self._driver = driver
        self._batch = [driver.empty((rows[0], *x.shape[1:]), str(x.dtype)) for x in source.data]
        widths = [prod(x.shape[1:]) * np.dtype(str(x.dtype)).itemsize for x in source.data]
        self.units = units = [
            _unit(w, driver.address(x), driver.address(b))
            for w, x, b in zip(widths, source.data, self._batch, strict=True)
        ]
        self._gather = gather_kernel(widths, units, *rows, source.order.shape[0])
        program, self.checks = self._traced(step, carry, source)
        buffers = tree.leaves(carry)
        results, loss = _checked(program, len(buffers))
        self._plan = make_plan(
            program, {id(r): i for r, i in zip(results, program.inputs, strict=False)}, precision
        )
        self._results = results
        self._keep = keep_kernel(str(loss.dtype), total)
        self._execution = Execution(self._plan, driver, [self._gather, self._keep, *also])
        self.failed = self._execution.failed
        self.notes = [] if self._execution.wrong is None else [self._execution.wrong]
        self.losses = driver.empty((total,), str(loss.dtype)) if losses is None else losses
        self.steps = self._plan.steps
        self.obstacles = self._plan.obstacles
        self.explain = self._plan.explain

    def _traced(
        self, step: Callable[..., tuple[Tree, Array]], carry: Tree, source: Source
    ) -> tuple[Program, list[Check]]:
        """Trace a step with the first samples; return its program and the checks of its inputs."""
        for batch, samples in zip(self._batch, source.data, strict=True):
            self._driver.copy(batch, samples[: batch.shape[0]])
        given = (carry, *self._batch)
        on_gpu = array_api_compat.is_cupy_array(self._batch[0])
        program, _ = record(step, given, LayoutOnly(tree.leaves(given)) if on_gpu else None, units=False)
        return inputs_checked(simplify(program))

    def run(self, source: Source, buffers: list[Array], position: Array) -> None:
        """Put one step on the stream.

        Args:
            source: where the samples come from; its cursor moves on by one.
            buffers: what a step changes.
            position: one int64, where the loss goes; moves on by one.
        """
        self._fetch(source)
        made, loss = self._execution.run([*buffers, *self._batch])
        self._settle(buffers, tree.leaves(made))
        self._launch_keep(loss, source, position)

    def _fetch(self, source: Source) -> None:
        function = self._driver.compile([self._gather])[self._gather.name]
        operands = [source.order, source.cursor, source.addresses, *self._batch]
        self._driver.launch(function, self._gather.blocks, operands, source.data)

    def nbytes(self) -> int:
        """The bytes of its batch and of its losses."""
        return sum([x.nbytes for x in (*self._batch, self.losses)])

    def _launch_keep(self, loss: Array, source: Source, position: Array) -> None:
        function = self._driver.compile([self._keep])[self._keep.name]
        self._driver.launch(function, self._keep.blocks, [loss, self.losses, position, source.cursor])

    def _settle(self, buffers: list[Array], made: list[Array]) -> None:
        """Results not written in place go to their buffers; those in another buffer are saved first."""
        moved = []
        for buffer, array, value in zip(buffers, made, self._results, strict=True):
            if array is not buffer:
                moved.append(
                    (buffer, self._driver.clone(array) if id(value) in self._plan.borrowed else array)
                )
        for buffer, array in moved:
            self._driver.copy(buffer, array)


def _unit(row: int, *addresses: int) -> int:
    """The most bytes that may be moved at once."""
    return next(n for n in (16, 8, 4, 2, 1) if all(x % n == 0 for x in (row, *addresses)))


def _checked(program: Program, count: int) -> tuple[list[Value], Value]:
    """The values of the new carry and the loss, which must fit what they replace."""
    carry, loss = program.result
    results = tree.leaves(carry)
    if len(results) != count or type(loss) is not Value or loss.shape or "float" not in str(loss.dtype):
        raise ValueError(
            f"a step must return a carry of {count} arrays and a floating-point loss of shape (); "
            f"got {len(results)} arrays and {loss!r}"
        )
    for name, old, new in zip(program.names, program.inputs, results, strict=False):
        if old.shape != new.shape or old.dtype != new.dtype:
            raise ValueError(f"a step must keep shapes and dtypes; {name[2:]} was {old!r} and became {new!r}")
    return results, loss
