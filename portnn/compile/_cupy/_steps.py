"""The steps of a plan: what is carried out on the device, in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, TypeGuard, final

from portnn.compile._cupy._gemm import GemmArguments
from portnn.compile._cupy._kernels import Group, KernelSource
from portnn.tracing import Call, Value

__all__ = [
    "WRONG",
    "Kernel",
    "Launch",
    "LeftToCuPy",
    "Product",
    "Routine",
    "Step",
    "View",
    "looks",
    "made_by",
    "read_by",
]

WRONG = -1
"""An operand of a launch: one int32 of the plan, which a range check sets to 1."""


@final
@dataclass(frozen=True, eq=False)
class View:
    """A call that only looks at memory in another way: nothing runs on the device."""

    call: Call


@final
@dataclass(frozen=True, eq=False)
class Kernel:
    """A generated kernel.

    Attributes:
        groups: what it carries out, each group in blocks of its own.
        source: its text.
    """

    groups: tuple[Group, ...]
    source: KernelSource


@final
@dataclass(frozen=True, eq=False)
class Product:
    """A matrix product by cuBLAS.

    Attributes:
        call: the product.
        arguments: what cuBLAS is told.
    """

    call: Call
    arguments: GemmArguments


@final
@dataclass(frozen=True, eq=False)
class LeftToCuPy:
    """A call carried out as it was made.

    Attributes:
        call: the call.
        why: why no kernel was written for it.
        obstacle: why a graph cannot hold it; None if it can.
    """

    call: Call
    why: str
    obstacle: str | None


@final
@dataclass(frozen=True, eq=False)
class Launch:
    """A kernel launch of a routine.

    Attributes:
        source: the kernel.
        operands: values of the program, indices of the routine's scratch arrays, and `WRONG`.
    """

    source: KernelSource
    operands: tuple[Value | int, ...]


@final
@dataclass(frozen=True, eq=False)
class Routine:
    """A call with its own kernels.

    Attributes:
        call: the call.
        launches: in order; none if the result has no elements.
        scratch: the sizes of the int32 arrays that hold intermediate results.
    """

    call: Call
    launches: tuple[Launch, ...]
    scratch: tuple[int, ...] = ()


Step: TypeAlias = View | Kernel | Product | Routine | LeftToCuPy


def read_by(step: Step) -> list[Value]:
    """The values that a step reads."""
    if isinstance(step, Kernel):
        return [v for group in step.groups for v in group.inputs]
    return [*step.call.inputs()]


def made_by(step: Step) -> list[Value]:
    """The values that a step makes."""
    if isinstance(step, Kernel):
        return [v for group in step.groups for v in group.outputs]
    return [*step.call.outputs()]


def looks(step: Step) -> TypeGuard[Routine]:
    """Return whether a step is a range check."""
    return isinstance(step, Routine) and any(WRONG in launch.operands for launch in step.launches)
