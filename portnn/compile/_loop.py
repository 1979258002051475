"""Loops: a step of training that is carried out many times on rows of a data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeAlias

import array_api_compat

from portnn import tree
from portnn._typing import Array, Namespace, Tree
from portnn.compile._errors import PlanError
from portnn.compile._numpy import NumpyLoop
from portnn.compile._passthrough import JaxLoop
from portnn.compile._precision import Precision, check_precision
from portnn.tracing import Extent, namespace

__all__ = ["Loop", "Step", "has_loops", "make_loop"]

Step: TypeAlias = Callable[..., tuple[Tree, Array]]
"""``step(carry, *batch) -> (carry, loss)``: a pure function; the carry keeps structure, shapes, dtypes."""


class Loop(Protocol):
    """A compiled step that runs many times, in memory of its own.

    Attributes:
        place: where that memory is: "cpu", or a device.
        room: how many bytes the loops that are kept there between trainings may hold.
    """

    place: str
    room: int

    def bind(self, carry: Tree, data: Sequence[Array], extents: Sequence[Extent] = ()) -> None:
        """Begin anew with other values and other samples, without planning again.

        What plans know of the old samples is found out about the new ones, or planned anew: between which
        numbers their integers lie, their strides, the threads that are allowed.

        Args:
            carry: a tree like the one that the loop was made with.
            data: arrays of the same shapes, dtypes and device as those that it was made with.
            extents: as for `make_loop`.

        Raises:
            ValueError: if they are not alike.
            OutOfRangeError: if an id or label is out of range.
        """

    def unbind(self) -> None:
        """Let go of the samples, until `bind`; only memory of the loop's own stays."""

    def nbytes(self) -> int:
        """About how many bytes a loop without samples holds."""

    def limits(self) -> AbstractContextManager[None]:
        """A context in which BLAS on the host has the number of threads that steps are made for."""

    def run(self, order: Any, first: int, count: int, done: Callable[[int], object] | None = None) -> Any:
        """Carry out steps of an epoch.

        Args:
            order: the order of the samples, NumPy integers (n,), or None for the order in which they stand.
            first: the first step, counted from 0 within the epoch.
            count: how many steps.
            done: called with the number of newly finished steps: often on a GPU, elsewhere at the end.

        Returns:
            Their losses, a NumPy array. On the host it ends after the first loss that is not finite, as
            does the training; a GPU carries out all steps before anyone can look.
        """

    def carry(self) -> Tree:
        """What the last step handed on, as arrays of its own."""

    def write(self, carry: Tree) -> None:
        """Go on from other values.

        Args:
            carry: a tree like the one that the loop was made with.
        """

    def save(self) -> Any:
        """The present values, for `restore`; cheap, since they stay where the loop is."""

    def restore(self, saved: Any) -> None:
        """Go back to values that were saved."""

    def explain(self) -> str:
        """What a step does, for people to read."""


def has_loops(xp: Namespace) -> bool:
    """Whether there are plans of whole trainings for a library.

    Args:
        xp: its namespace.
    """
    known = (
        array_api_compat.is_numpy_namespace,
        array_api_compat.is_cupy_namespace,
        array_api_compat.is_jax_namespace,
    )
    return any(is_library(xp) for is_library in known)


def make_loop(
    step: Step,
    carry: Tree,
    data: Sequence[Array],
    batch_size: int | None,
    *,
    extents: Sequence[Extent] = (),
    shuffled: bool = True,
    threads: int | None = None,
    precision: Precision = "float32",
) -> Loop:
    """A loop for the library of the data.

    Args:
        step: one step of training. It is written down once for each size of batch, so it must be pure.
        carry: what the first step is given; a tuple whose first member holds the parameters.
        data: arrays of one library, with the samples along their first axis. They are not copied, and
            must not change while the loop is used. If the carry is CuPy's, they may be NumPy's: what does not
            fit on the device is streamed to it.
        batch_size: samples a step; None for all. The last step of an epoch takes what is left.
        extents: of the first arrays of `data`, as whole arrays. While the step is traced, its batches
            are declared parts of them: their range checks are made once, on the whole arrays, and
            `portnn.tracing.extent_of` finds them.
        shuffled: whether `Loop.run` will be given an order.
        threads: threads that a step has on NumPy; by default what its products are worth.
        precision: of products of float32 matrices on CuPy; elsewhere it can only be "float32".

    Returns:
        The loop.

    Raises:
        ValueError: if the library has not got the precision.
        PlanError: if there is no loop for this library, or this step cannot be one.
        ControlFlowError: if Python asks for the value of an array in the step.
    """
    arrays = tree.leaves(carry) or data  # data to be streamed are not where the steps are
    xp = namespace(*arrays)
    check_precision(precision, xp, array_api_compat.device(arrays[0]))
    if array_api_compat.is_numpy_namespace(xp):
        return NumpyLoop(step, carry, data, batch_size, extents=extents, shuffled=shuffled, threads=threads)
    if array_api_compat.is_cupy_namespace(xp):
        from portnn.compile._cupy import CupyLoop  # only where CuPy is

        return CupyLoop(step, carry, data, batch_size, extents=extents, precision=precision)
    if array_api_compat.is_jax_namespace(xp):
        return JaxLoop(step, carry, data, batch_size, extents=extents)
    raise PlanError(f"there are no plans of whole trainings for {xp.__name__}")
