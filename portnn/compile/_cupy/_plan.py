"""From a program to the steps that a GPU carries out, and what there is to say about them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import final

from portnn import tree
from portnn.compile._cupy._contractions import contractions_expanded
from portnn.compile._cupy._fusion import fuse
from portnn.compile._cupy._gemm import gemm_arguments
from portnn.compile._cupy._kernels import Group, element_strides, write_kernel
from portnn.compile._cupy._left import captured_as_it_is, is_product, is_view
from portnn.compile._cupy._routines import routine_for
from portnn.compile._cupy._steps import (
    Kernel,
    LeftToCuPy,
    Product,
    Routine,
    Step,
    View,
    made_by,
    read_by,
)
from portnn.compile._errors import PlanWarning
from portnn.compile._precision import Precision
from portnn.program import Program
from portnn.tracing import Call, Value, values_in

__all__ = ["GpuPlan", "make_plan", "warn"]

_ONE_DTYPE = ("float16", "float32", "float64")


def warn(what: str, why: str) -> None:
    """Say that `what` runs call by call, and why."""
    warnings.warn(f"{what[:60]} runs without a CUDA graph, slower: {why[:200]}", PlanWarning, stacklevel=3)


@final
@dataclass(frozen=True, eq=False)
class GpuPlan:
    """A program as steps for a GPU.

    Attributes:
        program: what is carried out.
        steps: in order.
        releases: for each step the values whose memory nothing needs after it.
        in_place: by the id of a result, the input into whose memory it is written where it arises.
        borrowed: the ids of results that share the memory of an input.
        precision: of matrix products.
    """

    program: Program
    steps: tuple[Step, ...]
    releases: tuple[tuple[Value, ...], ...]
    in_place: Mapping[int, Value]
    borrowed: frozenset[int]
    precision: Precision

    @property
    def obstacles(self) -> list[str]:
        """Why a CUDA graph cannot hold the steps; empty if it can."""
        left = [s for s in self.steps if isinstance(s, LeftToCuPy) and s.obstacle is not None]
        return list(dict.fromkeys([f"{s.call.name}: {s.obstacle}" for s in left]))

    def explain(self) -> str:
        """A line for each step, and what stands in the way of a CUDA graph."""
        lines = [f"{self.program.name}: {len(self.program.calls)} calls in {len(self.steps)} steps"]
        for kind, word in (
            (Kernel, "kernels"),
            (Product, "products"),
            (Routine, "calls with own kernels"),
            (LeftToCuPy, "calls of CuPy"),
            (View, "views"),
        ):
            lines[0] += f", {sum(isinstance(s, kind) for s in self.steps)} {word}"
        lines += [f"{n:4d}  {_line(step)}" for n, step in enumerate(self.steps)]
        results = len(values_in(tree.leaves(self.program.result)))
        lines.append(f"written in place: {len(self.in_place)} of {results} results")
        lines += [f"cannot be captured: {obstacle}" for obstacle in self.obstacles]
        return "\n".join(lines)


def make_plan(
    program: Program, carried: Mapping[int, Value] | None = None, precision: Precision = "float32"
) -> GpuPlan:
    """Plan a program.

    Args:
        program: written with NumPy or CuPy arrays.
        carried: by the id of a result, the input that takes its place in the next run.
        precision: of matrix products of float32.
    """
    program = replace(program, calls=tuple(contractions_expanded(program.calls)))
    steps: list[Step] = []
    for stage in fuse(program):
        if isinstance(stage, list):
            steps.append(Kernel(tuple(stage), write_kernel(stage)))
        else:
            steps.append(_step(stage, precision))
    in_place = _in_place(steps, program, carried or {})
    roots, given = _roots(steps), {id(v) for v in program.inputs}
    results = values_in(tree.leaves(program.result))
    borrowed = frozenset([id(v) for v in results if id(roots.get(id(v), v)) in given])
    return GpuPlan(program, tuple(steps), _releases(steps, program), in_place, borrowed, precision)


def _step(call: Call, precision: Precision) -> Step:
    if is_view(call):
        return View(call)
    if is_product(call):
        return _product(call, precision)
    routine = routine_for(call)
    if routine is not None:
        return routine
    obstacle = captured_as_it_is(call)
    return LeftToCuPy(call, "no elementwise function that kernels are written for", obstacle)


def _product(call: Call, precision: Precision) -> Step:
    a, b = call.args
    dtypes = {str(a.dtype), str(b.dtype), str(call.result.dtype)}
    if dtypes & {"int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "bool"}:
        mixed = None if len(dtypes) == 1 else "a product of integers with other numbers"
        return LeftToCuPy(call, "a product of integers, for which CuPy has kernels", mixed)
    batched = max(len(a.shape), len(b.shape)) > 2
    if len(dtypes) != 1 or not dtypes <= set(_ONE_DTYPE) or (batched and dtypes == {"float16"}):
        what = f"a product of {', '.join(sorted(dtypes))}"
        return LeftToCuPy(call, what, "CuPy refuses cuBLAS while a graph is captured")
    arguments = gemm_arguments(
        a.shape, element_strides(a), b.shape, element_strides(b), gaps=precision == "tf32"
    )
    if arguments is None:
        return LeftToCuPy(call, "a product that CuPy makes without cuBLAS", None)
    return Product(call, arguments)


def _in_place(steps: list[Step], program: Program, carried: Mapping[int, Value]) -> dict[int, Value]:
    """The results that a kernel may write over the input whose place they take.

    Nothing after the kernel may look at the old memory, through a view or otherwise, and the kernel itself
    only element by element, at the place where it writes.
    """
    roots = _roots(steps)
    last: dict[int, int] = {}
    for n, step in enumerate(steps):
        for value in read_by(step):
            last[id(roots.get(id(value), value))] = n
    for value in values_in(tree.leaves(program.result)):
        last[id(roots.get(id(value), value))] = len(steps)
    found = {}
    for n, step in enumerate(steps):
        for group in step.groups if isinstance(step, Kernel) else ():
            for result in group.outputs:
                old = carried.get(id(result))
                if (
                    old is not None
                    and last.get(id(old), -1) <= n
                    and _element_by_element(step, group, old, result, roots)
                ):
                    found[id(result)] = old
    return found


def _roots(steps: list[Step]) -> dict[int, Value]:
    """By the id of a view the value whose memory it shares."""
    roots: dict[int, Value] = {}
    for step in steps:
        if isinstance(step, View | LeftToCuPy):  # CuPy's functions too may hand back what they were given
            # Several results, as those of broadcast_arrays, are each made of the argument at its place.
            given, made = step.call.inputs(), step.call.outputs()
            sources = given if len(given) == len(made) else given[:1] * len(made)
            for value, source in zip(made, sources, strict=False):
                roots[id(value)] = roots.get(id(source), source)
    return roots


def _element_by_element(
    step: Step, group: Group, old: Value, result: Value, roots: Mapping[int, Value]
) -> bool:
    """Whether all of a kernel's reading of the old memory is by the group, in the result's own layout."""
    if (
        old.shape != result.shape
        or old.dtype != result.dtype
        or element_strides(old) != element_strides(result)
    ):
        return False
    assert isinstance(step, Kernel)
    if any(id(o) != id(result) and roots.get(id(o), o) is old for g in step.groups for o in g.outputs):
        return False
    for other in step.groups:
        for value in other.inputs:
            if roots.get(id(value), value) is old and (value is not old or other is not group):
                return False
    return True


def _releases(steps: list[Step], program: Program) -> tuple[tuple[Value, ...], ...]:
    """A value's memory is free after its last reader, unless it is given, constant or a result."""
    kept = {id(v) for v in (*program.inputs, *values_in(tree.leaves(program.result)))}
    seen: set[int] = set()
    releases: list[tuple[Value, ...]] = []
    for step in reversed(steps):
        over = []
        for value in (*read_by(step), *made_by(step)):
            if id(value) not in seen and id(value) not in kept and value.constant is None:
                over.append(value)
            seen.add(id(value))
        releases.append(tuple(over))
    return tuple(releases[::-1])


def _line(step: Step) -> str:
    if isinstance(step, Kernel):
        parts = [
            f"{list(g.shape)}: {_names(g)} ({len(g.inputs)} in, {len(g.outputs)} out)" for g in step.groups
        ]
        return f"kernel   {step.source.name[7:15]} " + " | ".join(parts)
    if isinstance(step, Product):
        g = step.arguments
        letters = "NT"[g.second.transpose] + "NT"[g.first.transpose]
        copied = " and ".join([w for w, o in (("first", g.first), ("second", g.second)) if o.copy])
        batch = f", {g.count} of them" if g.batch else ""
        note = f", the {copied} factor copied" if copied else ""
        return f"product  {g.rows}x{g.inner} by {g.inner}x{g.columns} ({letters}{batch}{note})"
    if isinstance(step, View):
        return f"view     {step.call.name} {_shapes(step.call)}"
    if isinstance(step, Routine):
        count = len(step.launches)
        return f"kernels  {step.call.name} {_shapes(step.call)} ({count} launch{'' if count == 1 else 'es'})"
    return f"CuPy     {step.call.name} {_shapes(step.call)}: {step.why}"


def _names(group: Group) -> str:
    return " ".join([m.call.name for m in group.members])


def _shapes(call: Call) -> str:
    return (
        " ".join([f"{list(v.shape)}" for v in call.inputs()])
        + " -> "
        + " ".join([f"{list(v.shape)}" for v in call.outputs()])
    )
