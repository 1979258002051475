"""Training on a GPU: many steps a launch, data on the device, no waiting until the losses are read."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import Any, final

import numpy as np

from portnn import tree
from portnn._typing import Array, Tree
from portnn.compile._binding import Binding
from portnn.compile._bounds import found_in_steps
from portnn.compile._cupy._driver import Driver
from portnn.compile._cupy._graph import Captured, CaptureError, capture
from portnn.compile._cupy._moves import Moves, layout_of, packed_layout
from portnn.compile._cupy._plan import warn
from portnn.compile._cupy._staging import Staging, fits, steps_in_slot
from portnn.compile._cupy._step import Source, StepPlan
from portnn.compile._precision import Precision
from portnn.tracing import Extent

__all__ = ["CupyLoop"]

_STEPS = 20  # a launch: enough that launching costs nothing beside running, few enough to be captured at once
_NODE = 2048  # bytes that a launch takes in a graph, about
_SHARE = 64  # the loops that are kept between trainings may hold one of so many parts of a device's memory
_AHEAD = 2  # unfinished launches: enough that the device never waits for the host


@final
class CupyLoop:
    """The steps of a training on a GPU.

    Args:
        step: ``step(carry, *batch) -> (carry, loss)``, with a 0-d loss.
        carry: tree of arrays on the device: what a step changes.
        data: arrays with the samples first: on the device, or in host memory, from where they are moved to
            the device as a whole if they fit and in chunks otherwise.
        batch_size: samples a step, None for all; a last smaller batch has a plan of its own.
        extents: as for `portnn.compile.make_loop`.
        precision: of matrix products of float32: "float32", or "tf32" or "bfloat16" with sums in float32.
        driver: the device; None for the one on which the first array of `carry` lies.
    """

    def __init__(
        self,
        step: Callable[..., tuple[Tree, Array]],
        carry: Tree,
        data: Sequence[Array],
        batch_size: int | None,
        *,
        extents: Sequence[Extent] = (),
        precision: Precision = "float32",
        driver: Driver | None = None,
    ) -> None:
        leaves, self._structure = tree.flatten(carry)
        self._bound = Binding(carry, data, extents)
        self._driver = driver = _driver_of(leaves[0]) if driver is None else driver
        self.place, total = driver.memory()
        self.room = total // _SHARE
        self._size = int(data[0].shape[0])
        self._batch = min(batch_size or self._size, self._size)
        self._obstacle = ""
        self._graphs: dict[tuple[int, int, int], Captured[None]] = {}
        with driver.working():
            self._buffers = [_own(driver, leaf) for leaf in leaves]
            self._moves = Moves(driver)
            self._staging = self._stage(data)
            sources = [data] if self._staging is None else self._staging.slots
            self._total = -(-self._size // self._batch)
            self._position, self._zero = _zero(driver), _zero(driver)
            rows = self._size if self._staging is None else self._staging.rows
            self._sources = [_source(driver, arrays, rows) for arrays in sources]
            self._plans = self._make_plans(self._declaring(step), precision)
        self._check(self._buffers, data)
        reasons = [o for plan in self._plans.values() for o in plan.obstacles]
        if reasons:
            self._give_up("; ".join(dict.fromkeys(reasons)))

    def _stage(self, data: Sequence[Array]) -> Staging | None:
        if not self._driver.is_host(data[0]) or fits(self._driver, data):
            return None
        steps = steps_in_slot(self._driver, data, self._batch, _STEPS)
        return Staging(self._driver, data, steps * self._batch)

    def _make_plans(
        self, step: Callable[..., tuple[Tree, Array]], precision: Precision
    ) -> dict[int, StepPlan]:
        rest = self._size % self._batch
        carry = tree.unflatten(self._structure, self._buffers)
        plans: dict[int, StepPlan] = {}
        layouts = [layout_of(buffer) for buffer in self._buffers]
        also = self._moves.kernels(layouts, [packed_layout(layout) for layout in layouts])
        for rows in (self._batch, *([rest] if rest else [])):
            losses = plans[self._batch].losses if plans else None
            size = (rows, self._batch)
            plans[rows] = StepPlan(
                self._driver, step, carry, self._sources[0], size, self._total, precision, losses, also
            )
        return plans

    def _declaring(self, step: Callable[..., tuple[Tree, Array]]) -> Callable[..., tuple[Tree, Array]]:
        """The step, which is told that its batches are parts of what is bound at present."""

        @wraps(step)
        def declaring(carry: Tree, *batch: Array) -> tuple[Tree, Array]:
            with self._bound.declared(batch):
                return step(carry, *batch)

        return declaring

    def _check(self, leaves: Sequence[Array], data: Sequence[Array]) -> None:
        """Check integers that steps take to be in range: once, since the samples do not change."""
        for check in self._plans[self._batch].checks:
            check([*leaves, *data])

    def bind(self, carry: Tree, data: Sequence[Array], extents: Sequence[Extent] = ()) -> None:
        """Begin anew; `Loop.bind` says how. Graphs stay: they look up where the samples are."""
        leaves = self._bound.leaves(carry)
        self._bound.replace(data, extents)
        self._check(leaves, data)
        with self._driver.working():
            if self._staging is not None:
                self._staging.replace(data)
            else:
                self._fill(data)
            self.restore(leaves)
        if self._obstacle:
            warn("training step", self._obstacle)

    def _fill(self, data: Sequence[Array]) -> None:
        """Bring other samples to the device, and tell the steps where they are."""
        driver, source = self._driver, self._sources[0]
        if driver.is_host(data[0]) and not fits(driver, data):
            raise MemoryError("bind: the data do not fit on the device at present; make a new loop")
        units = zip(*[plan.units for plan in self._plans.values()], strict=True)
        source.data = tuple(
            [
                _aligned(driver, driver.contiguous(driver.asarray(x)), max(u))
                for x, u in zip(data, units, strict=True)
            ]
        )
        driver.put(source.addresses, _addresses(driver, source.data))

    def unbind(self) -> None:
        """Let go of the samples; the graphs stay, and what they need."""
        self._bound.release()
        if self._staging is not None:
            self._staging.replace(())
        else:
            self._sources[0].data = ()

    def nbytes(self) -> int:
        """The buffers, the slots for streamed samples, and what graphs use."""
        chunks = {id(c): c.size for graph in self._graphs.values() for c in graph.chunks}
        launches = sum([len(self._plans[rows].steps) * n for _, rows, n in self._graphs])
        orders = sum([source.order.nbytes for source in self._sources])
        plans = sum([plan.nbytes() for plan in self._plans.values()])
        slots = 0 if self._staging is None else self._staging.nbytes()
        values = sum([x.nbytes for x in self._buffers])
        return values + orders + plans + slots + sum(chunks.values()) + _NODE * launches

    def run(
        self, order: Any | None, first: int, count: int, done: Callable[[int], object] | None = None
    ) -> Any:
        """Steps of an epoch.

        Args:
            order: a permutation of the samples in host memory (int64), or None for the order as it is.
            first: the number of the first step in the epoch, from 0.
            count: how many.
            done: called with the number of newly finished steps, about every 20 steps.

        Returns:
            NumPy array of the losses, of shape (count,). All steps are run, whatever the losses are.

        Raises:
            OutOfRangeError: an id, label, length or position that the steps compute is out of range.
        """
        if not 0 <= first <= first + count <= self._total:
            raise ValueError(
                f"run: steps {first} to {first + count} are asked for, but an epoch has {self._total}; "
                "count from 0 in each epoch"
            )
        driver = self._driver
        pace = _Pace(driver, done)
        with driver.working():
            driver.put(self._position, np.asarray([first], "int64"))
            for source, full, rest in self._segments(order, first, count):
                self._run_some(source, self._batch, full, pace)
                self._run_some(source, rest, int(rest > 0), pace)
            losses = driver.to_host(self._plans[self._batch].losses)[first : first + count]
            failed = [plan.failed() for plan in self._plans.values()]  # every plan checks and resets its flag
            if any(failed):
                raise found_in_steps(count)
        pace.finish()
        return losses

    def _segments(self, order: Any | None, first: int, count: int) -> Iterator[tuple[int, int, int]]:
        """Where the next samples lie, how many full batches they are, and how many are left over."""
        begin, end = first * self._batch, min((first + count) * self._batch, self._size)
        if self._staging is None:
            source = self._sources[0]
            self._driver.put(
                source.order, np.arange(self._size) if order is None else np.asarray(order, "int64")
            )
            self._driver.put(source.cursor, np.asarray([first], "int64"))
            yield 0, *divmod(end - begin, self._batch)
            return
        for slot, rows in self._staging.chunks(order, begin, end):
            self._driver.copy(self._sources[slot].cursor, self._zero)
            yield slot, *divmod(rows, self._batch)

    def _run_some(self, source: int, rows: int, steps: int, pace: _Pace) -> None:
        while steps:
            together = _STEPS if steps >= _STEPS else 1
            graph = self._graph(source, rows, together)
            if graph is None:
                self._step(source, rows)
                together = 1
            else:
                graph.launch()
            steps -= together
            pace.launched(together)

    def _step(self, source: int, rows: int) -> None:
        self._plans[rows].run(self._sources[source], self._buffers, self._position)

    def _graph(self, source: int, rows: int, together: int) -> Captured[None] | None:
        """The graph of some steps, captured when it is first needed; None if there is to be none."""
        key = (source, rows, together)
        if self._obstacle or key in self._graphs:
            return self._graphs.get(key)

        def work() -> None:
            for _ in range(together):
                self._step(source, rows)

        # Warming up runs steps, which must not count.
        plan, cursor = self._plans[rows], self._sources[source].cursor
        changed = [*self._buffers, self._position, cursor, plan.losses, *plan.notes]
        before = [_own(self._driver, x) for x in changed]
        try:
            self._graphs[key] = capture(self._driver, work, (self._plans, self._sources, changed))
        except CaptureError as error:
            self._give_up(str(error))
        finally:  # also after errors that leave the loop, whose carry may still be asked for
            for target, value in zip(changed, before, strict=True):
                self._driver.copy(target, value)
        return self._graphs.get(key)

    def _give_up(self, why: str) -> None:
        self._obstacle = why
        self._graphs.clear()
        warn("training step", why)

    def carry(self) -> Tree:
        """A copy of what the steps have made of the carry."""
        with self._driver.working(), self._driver.handing_out():
            return tree.unflatten(self._structure, self._moves.clones(self._buffers))

    def write(self, carry: Tree) -> None:
        """Go on from other values.

        Args:
            carry: a tree like the one that the loop was made with.
        """
        self.restore(self._bound.leaves(carry))

    def save(self) -> list[Array]:
        """A snapshot for `restore`."""
        return tree.leaves(self.carry())

    def restore(self, saved: list[Array]) -> None:
        """Go back to a snapshot; it stays good."""
        with self._driver.working():
            for buffer, value in zip(self._buffers, saved, strict=True):
                self._driver.copy(buffer, value)

    def limits(self) -> AbstractContextManager[None]:
        """No limits: the host multiplies nothing."""
        return nullcontext()

    def explain(self) -> str:
        """The steps of each plan, where the data are, and whether graphs are launched."""
        where = "on the device" if self._staging is None else "in host memory, streamed in chunks"
        how = (
            f"call by call: {self._obstacle}"
            if self._obstacle
            else f"as CUDA graphs of {_STEPS} steps and of 1"
        )
        plans = "\n".join([f"batches of {rows}:\n{plan.explain()}" for rows, plan in self._plans.items()])
        return f"{plans}\nthe data are {where}\nruns {how}"


@final
class _Pace:
    """Reports steps as the device finishes them, and keeps the host from running far ahead.

    Args:
        driver: the device.
        done: called with the number of newly finished steps; None for no reports.
    """

    def __init__(self, driver: Driver, done: Callable[[int], object] | None) -> None:
        self._driver = driver
        self._done = done
        self._marks: deque[tuple[Any, int]] = deque()
        self._since = 0  # steps launched since the last mark

    def launched(self, steps: int) -> None:
        """Record that steps were put on the stream; wait for earlier ones if there are many."""
        self._since += steps
        if self._done is None or self._since < _STEPS:
            return
        event = self._driver.event()
        self._driver.mark(event, copying=False)
        self._marks.append((event, self._since))
        self._since = 0
        if len(self._marks) > _AHEAD:
            event, steps = self._marks.popleft()
            self._driver.wait_on_host(event)
            self._done(steps)

    def finish(self) -> None:
        """Report all other steps: the host has waited for them."""
        left = self._since + sum([steps for _, steps in self._marks])
        if self._done is not None and left:
            self._done(left)


def _zero(driver: Driver) -> Array:
    return driver.asarray(np.zeros(1, "int64"))


def _source(driver: Driver, arrays: Sequence[Array], rows: int) -> Source:
    data = tuple([driver.contiguous(driver.asarray(x)) for x in arrays])
    addresses = driver.asarray(_addresses(driver, data))
    return Source(data, addresses, driver.asarray(np.arange(rows, dtype="int64")), _zero(driver))


def _addresses(driver: Driver, data: Sequence[Array]) -> Any:
    return np.asarray([driver.address(x) for x in data], "uint64")


def _aligned(driver: Driver, x: Array, unit: int) -> Array:
    """The array, or a copy if steps that move so many bytes at once could not read it."""
    return x if driver.address(x) % unit == 0 else driver.clone(x)


def _own(driver: Driver, leaf: Array) -> Array:
    made = driver.empty(tuple(leaf.shape), str(leaf.dtype))
    driver.copy(made, leaf)
    return made


def _driver_of(x: Array) -> Driver:
    from portnn.compile._cupy._device import driver_for

    return driver_for(int(x.device.id))
