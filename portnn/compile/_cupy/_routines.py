"""Calls with kernels of their own: joining and stacking arrays, sorting, taking along an axis, range checks.

CuPy implements these in ways that a CUDA graph cannot hold: it sends addresses or positions from the host,
or waits for the device. The results are identical, including their bits and the order of equal elements.
"""

from __future__ import annotations

from itertools import accumulate
from math import prod
from typing import TypeAlias

import numpy as np

from portnn.compile._cupy._elementwise import C_TYPES, castable
from portnn.compile._cupy._kernels import (
    Index,
    KernelSource,
    broadcast_strides,
    element_strides,
    kernel_of_loops,
    load,
    stored,
)
from portnn.compile._cupy._steps import WRONG, Launch, Routine
from portnn.tracing import Call, Value

__all__ = ["routine_for"]

Ints: TypeAlias = tuple[int, ...]
_MOST_PARTS = 255  # per kernel: with the result, its parameters stay below 4 KiB
_RUN = 32  # elements that are sorted by counting, before runs are merged


def routine_for(call: Call) -> Routine | None:
    """Return the kernels for a call, or None if it has none."""
    if type(call.result) is not Value or any(str(v.dtype) not in C_TYPES for v in _values(call)):
        return None
    if call.name in ("concat", "stack"):
        return _join(call)
    if call.name in ("argsort", "sort"):
        return _sort(call)
    if call.name == "take_along_axis":
        return _take_along_axis(call)
    if call.name == "in_range":
        return _in_range(call)
    return None


def _values(call: Call) -> list[Value]:
    return [*call.inputs(), *call.outputs()]


def _axis(call: Call, position: int, default: int | None) -> int | None:
    """Return the axis argument of a call, as a non-negative number or None."""
    axis = call.args[position] if len(call.args) > position else call.options.get("axis", default)
    return axis if axis is None or axis >= 0 else axis + len(call.result.shape)


def _join(call: Call) -> Routine | None:
    """Join arrays: each part is copied to its place in the result, by its own blocks of threads."""
    parts, result = call.args[0], call.result
    if not all(type(x) is Value and castable(x, str(result.dtype)) for x in parts):
        return None
    axis = _axis(call, 1, 0)
    steps, places = _places(call.name, axis, parts, result)
    filled = [item for item in zip(parts, steps, places, strict=True) if item[0].size]
    launches = []
    for first in range(0, len(filled), _MOST_PARTS):
        group = filled[first : first + _MOST_PARTS]
        launches.append(Launch(_join_kernel(group, result), (*[part for part, _, _ in group], result)))
    return Routine(call, tuple(launches))


def _places(name: str, axis: int | None, parts: list[Value], result: Value) -> tuple[list[Ints], list[int]]:
    """Return for each part its strides in the result, and the position of its first element there."""
    own = element_strides(result)
    if axis is None:  # each part is flattened in C order
        starts = [0, *accumulate([part.size for part in parts])][:-1]
        rows = [tuple([prod(p.shape[d + 1 :]) for d in range(len(p.shape))]) for p in parts]
        return [tuple([s * own[0] for s in steps]) for steps in rows], [n * own[0] for n in starts]
    if name == "stack":
        return [own[:axis] + own[axis + 1 :]] * len(parts), [n * own[axis] for n in range(len(parts))]
    starts = [0, *accumulate([part.shape[axis] for part in parts])][:-1]
    return [own] * len(parts), [n * own[axis] for n in starts]


def _join_kernel(parts: list[tuple[Value, Ints, int]], result: Value) -> KernelSource:
    dtype = str(result.dtype)
    parameters, loops = [], []
    for n, (part, steps, start) in enumerate(parts):
        index = Index(part.shape, [steps, element_strides(part)])
        target, source = index.terms
        parameters.append(f"const {C_TYPES[str(part.dtype)]}* part{n}")
        lines = [
            *index.lines,
            _copy(f"part{n}[{source}]", str(part.dtype), f"out[{start}LL + {target}]", dtype),
        ]
        loops.append((part.size, lines))
    return kernel_of_loops([*parameters, f"{C_TYPES[dtype]}* out"], loops)


def _copy(source: str, dtype: str, target: str, wanted: str) -> str:
    """Return a statement that copies an element; without a change of dtype it keeps the bits."""
    if dtype == wanted:
        return f"{target} = {source};"
    return f"{load(dtype, 'x', source)} {target} = {stored(f'({C_TYPES[wanted]})x', wanted)};"


def _take_along_axis(call: Call) -> Routine | None:
    """Take elements by indices along an axis; indices out of range wrap around, as in CuPy."""
    x, indices = call.args[:2]
    result = call.result
    if type(x) is not Value or type(indices) is not Value or len(call.args) > 3:
        return None
    axis = _axis(call, 2, -1)
    assert axis is not None, "the standard's axis is a number"
    steps, length = list(broadcast_strides(x, result.shape)), x.shape[axis]
    along, steps[axis] = element_strides(x)[axis], 0
    index = Index(
        result.shape, [element_strides(result), tuple(steps), broadcast_strides(indices, result.shape)]
    )
    target, base, place = index.terms
    lines = [
        *index.lines,
        f"long long k = indices[{place}] % {length}LL;",
        f"out[{target}] = x[{base} + (k < 0 ? k + {length}LL : k) * {along}LL];",
    ]
    kind, counted = C_TYPES[str(x.dtype)], C_TYPES[str(indices.dtype)]
    parameters = [f"const {kind}* x", f"const {counted}* indices", f"{kind}* out"]
    source = kernel_of_loops(parameters, [(result.size, lines)])
    return Routine(call, (Launch(source, (x, indices, result)),) if result.size else ())


def _in_range(call: Call) -> Routine:
    """Check a range: record whether a number is outside, and replace it by one inside for its readers.

    A kernel cannot raise, so whoever runs the plan reads the flag `WRONG` afterwards.
    """
    x, result, options = call.args[0], call.result, call.options
    limits = np.iinfo(str(x.dtype))
    low, high = max(options["low"], int(limits.min)), min(options["high"], int(limits.max) + 1)
    exempt = options["exempt"]
    wide = "unsigned long long" if limits.min == 0 else "long long"

    def number(value: int) -> str:  # C has no literal for the smallest number
        return f"(-{-value - 1}LL - 1)" if value < 0 else f"{value}{'ULL' if limits.min == 0 else 'LL'}"

    tests = [f"k < {number(low)}" if low > limits.min else "", f"k > {number(high - 1)}"]
    bad = " || ".join([test for test in tests if test]) if low < high else "true"
    if exempt is not None and limits.min <= exempt <= limits.max:
        bad = f"({bad}) && k != {number(exempt)}"
    index = Index(result.shape, [element_strides(result), element_strides(x)])
    target, source = index.terms
    lines = [
        *index.lines,
        f"{wide} k = x[{source}];",
        f"bool bad = {bad};",
        "if (bad) *wrong = 1;",
        f"out[{target}] = bad ? {number(low)} : k;",
    ]
    kind = C_TYPES[str(x.dtype)]
    kernel = kernel_of_loops([f"const {kind}* x", "int* wrong", f"{kind}* out"], [(x.size, lines)])
    return Routine(call, (Launch(kernel, (x, WRONG, result)),) if x.size else ())


def _sort(call: Call) -> Routine | None:
    """Sort short runs by counting what comes before each element, then merge pairs of runs.

    The place of an element in two merged runs is its place in its own run plus the number of elements before
    it in the other, which a binary search finds. So every pass is one launch, and the sort is stable.
    """
    x, result = call.args[0], call.result
    if type(x) is not Value or not x.shape or len(call.args) != 1:
        return None
    axis = _axis(call, 1, -1)
    assert axis is not None, "the standard's axis is a number"
    size = x.shape[axis]
    if not result.size or size >= 2**31:
        return None if result.size else Routine(call, ())
    widths = [0, _RUN]  # of the sorted runs before each pass; there are none before the first
    while widths[-1] < size:
        widths.append(widths[-1] * 2)
    passes = widths[:-1]
    launches = []
    for n, width in enumerate(passes):
        last = n == len(passes) - 1
        source = _sort_kernel(call, axis, width, last=last)
        before = [(n - 1) % 2] if width else []
        launches.append(Launch(source, (x, *before, result if last else n % 2)))
    return Routine(call, tuple(launches), (x.size,) * min(2, len(passes) - 1))


def _sort_kernel(call: Call, axis: int, width: int, *, last: bool) -> KernelSource:
    """Return the kernel of a pass, which reads the array and the order so far, and writes the new order.

    The order holds positions along the axis; the first pass reads no order. The last pass writes the
    call's result instead.
    """
    x, result = call.args[0], call.result
    size = x.shape[axis]
    steps = [element_strides(v) for v in (result, x)]
    index = Index(_without(x.shape, axis), [_without(s, axis) for s in steps], "row")
    descending = bool(call.options.get("descending", False))
    kind = C_TYPES[str(x.dtype)]
    parameters = [f"const {kind}* x", *(["const int* before"] if width else [])]
    if last:
        place = f"({size - 1}LL - place)" if descending and call.name == "sort" else "place"
        made = f"x[from + chosen * {steps[1][axis]}LL]" if call.name == "sort" else "chosen"
        parameters.append(f"{kind if call.name == 'sort' else 'long long'}* out")
        end = f"out[{index.terms[0]} + {place} * {steps[0][axis]}LL] = {made};"
    else:
        parameters.append("int* after")
        end = f"after[row * {size}LL + place] = (int)chosen;"
    lines = [
        f"long long row = i / {size}LL, p = i % {size}LL;",
        *index.lines,
        f"long long from = {index.terms[1]};",
        *_ranked(x, axis, width, backwards=descending and call.name == "argsort"),
        end,
    ]
    return kernel_of_loops(parameters, [(x.size, lines)])


def _ranked(x: Value, axis: int, width: int, *, backwards: bool) -> list[str]:
    """Return statements that compute the position `chosen` of an element and its `place` in the new order."""
    size, dtype = x.shape[axis], str(x.dtype)

    def loaded(name: str, position: str) -> str:
        return load(dtype, name, f"x[from + {position} * {element_strides(x)[axis]}LL]")

    def before(a: str, b: str) -> str:  # NaN comes last, or first in descending order
        a, b = (b, a) if backwards else (a, b)
        return f"({a} < {b} || ({b} != {b} && {a} == {a}))" if "float" in dtype else f"({a} < {b})"

    if not width:
        return [
            f"long long chosen = p, place = p / {_RUN} * {_RUN}, q = place, stop = place + {_RUN};",
            loaded("key", "p"),
            f"for (stop = stop < {size}LL ? stop : {size}LL; q < stop; ++q) {{",
            f"    {loaded('other', 'q')}",
            f"    place += q < p ? !{before('key', 'other')} : {before('other', 'key')};",
            "}",
        ]
    return [
        f"long long chosen = before[row * {size}LL + p], low = p / {2 * width}LL * {2 * width}LL;",
        f"long long middle = low + {width}LL < {size}LL ? low + {width}LL : {size}LL;",
        f"long long stop = low + {2 * width}LL < {size}LL ? low + {2 * width}LL : {size}LL;",
        "bool left = p < middle;",
        "long long high = left ? stop : middle;",
        "low = left ? middle : low;",
        loaded("key", "chosen"),
        "while (low < high) {",
        "    long long half = (low + high) / 2;",
        f"    {loaded('other', f'before[row * {size}LL + half]')}",
        f"    bool further = left ? {before('other', 'key')} : !{before('key', 'other')};",
        "    if (further) low = half + 1; else high = half;",
        "}",
        "long long place = p + low - middle;",
    ]


def _without(items: Ints, axis: int) -> Ints:
    return items[:axis] + items[axis + 1 :]
