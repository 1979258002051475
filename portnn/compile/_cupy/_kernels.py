"""CUDA source from fusion groups: one loop over the elements of a group, one kernel for groups side by side.

The text of a loop's body is plain C. Only the prelude knows CUDA, so the same text can be compiled for the
host, where tests run it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import final

import numpy as np

from portnn.compile._cupy._elementwise import C_TYPES, Member
from portnn.tracing import Value

__all__ = [
    "PRELUDE", "THREADS", "Group", "Index", "KernelError", "KernelSource", "blocks_for", "broadcast_strides",
    "element_strides", "joined", "kernel_error", "kernel_of_loops", "load", "named_kernel", "stored",
    "write_kernel",
]  # fmt: skip

THREADS = 256
_MOST_BLOCKS = 1024  # of a group; its threads go on with the next elements where that is not enough

PRELUDE = r"""
typedef unsigned short half_bits;
struct __align__(16) sixteen { unsigned long long low, high; };
#define KERNEL extern "C" __global__ void
#define EACH(i, n, first, blocks) \
    for (long long i = (blockIdx.x - (first)) * (long long)blockDim.x + threadIdx.x; \
         i < (n); i += (blocks) * (long long)blockDim.x)
#define IN_BLOCKS(first, blocks) if (blockIdx.x - (first) < (blocks))
__device__ __forceinline__ float from_half(half_bits h) {
    float x; asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(h)); return x; }
__device__ __forceinline__ half_bits to_half(float x) {
    half_bits h; asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(x)); return h; }
__device__ __forceinline__ float round_half(float x) { return from_half(to_half(x)); }
__device__ __forceinline__ unsigned short to_bfloat16(float x) {
    unsigned short h; asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(h) : "f"(x)); return h; }
__device__ __forceinline__ float infinityf() { return __int_as_float(0x7f800000); }
__device__ __forceinline__ float not_a_numberf() { return __int_as_float(0x7fffffff); }
__device__ __forceinline__ double infinity() { return __longlong_as_double(0x7ff0000000000000LL); }
__device__ __forceinline__ double not_a_number() { return (double)not_a_numberf(); }
"""


@final
@dataclass(frozen=True, eq=False)
class Group:
    """Elementwise calls that one loop carries out.

    Attributes:
        shape: the loop's.
        members: the calls, in an order in which they can be carried out.
        inputs: the values that it reads from memory.
        outputs: the values that it writes, all of the loop's shape.
    """

    shape: tuple[int, ...]
    members: tuple[Member, ...]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]

    @property
    def size(self) -> int:
        """The number of elements."""
        return prod(self.shape)


@final
@dataclass(frozen=True)
class KernelSource:
    """A kernel in source form, which is the same for equal groups.

    Attributes:
        name: of the function.
        text: its definition, without the prelude.
        blocks: how many blocks of `THREADS` threads it wants.
    """

    name: str
    text: str
    blocks: int


@final
class KernelError(RuntimeError):
    """CUDA's compiler refused a kernel."""


def joined(sources: Sequence[KernelSource]) -> str:
    """Return the source of one module with several kernels."""
    return PRELUDE + "".join([s.text for s in sources])


_ERROR = re.compile(r"(\((?P<line>\d+)\)\s*:\s*|:(?P<other>\d+):\d+:\s*)?[\w ]*\berror\b", re.IGNORECASE)


def kernel_error(log: str, sources: Sequence[KernelSource]) -> KernelError:
    """Return the error for a compiler's log about ``joined(sources)``.

    Args:
        log: the whole log; NVRTC's format is ``path(line): error: text``.
        sources: the kernels of the module.
    """
    lines = [line.strip() for line in log.splitlines() if line.strip()] or ["nothing"]
    found = next(((m, line) for line in lines if (m := _ERROR.search(line))), None)
    said = lines[0] if found is None else found[1][found[0].start() :].lstrip("(:0123456789) ")
    number = found and (found[0]["line"] or found[0]["other"])
    name = _kernel_at(int(number), sources) if number else ""
    name = name or next((s.name for s in sources if s.name in log), "") or sources[0].name
    return KernelError(
        f"CUDA's compiler refused the kernel {name} (one of {len(sources)}): {said[:120]}. "
        "Check that the driver supports CuPy's CUDA version: python -m portnn info, nvidia-smi"
    )


def _kernel_at(number: int, sources: Sequence[KernelSource]) -> str:
    """Return the name of the kernel on a line of the joined source, counted from 1; "" for the prelude."""
    last = PRELUDE.count("\n")
    for source in sources:
        first, last = last, last + source.text.count("\n")
        if first < number <= last:
            return source.name
    return ""


def blocks_for(size: int) -> int:
    """The blocks for a loop over `size` elements."""
    return max(1, min(-(-size // THREADS), _MOST_BLOCKS))


def write_kernel(groups: Sequence[Group]) -> KernelSource:
    """The kernel that carries out groups which do not depend on each other, each in blocks of its own.

    Its parameters are the addresses of the inputs and then the outputs of each group, in order.
    """
    parameters = []
    for g, group in enumerate(groups):
        parameters += [f"const {C_TYPES[str(v.dtype)]}* g{g}_in{i}" for i, v in enumerate(group.inputs)]
        parameters += [f"{C_TYPES[str(v.dtype)]}* g{g}_out{i}" for i, v in enumerate(group.outputs)]
    return kernel_of_loops(
        parameters, [(group.size, _turn(group, f"g{g}_")) for g, group in enumerate(groups)]
    )


def kernel_of_loops(parameters: Sequence[str], loops: Sequence[tuple[int, Sequence[str]]]) -> KernelSource:
    """Return a kernel that runs loops side by side, each in its own blocks.

    Args:
        parameters: their declarations.
        loops: for each loop the number of iterations and the statements of one, with `i` as its number.
    """
    bodies, first = [], 0
    for turns, lines in loops:
        blocks = blocks_for(turns)
        loop = f"EACH(i, {turns}LL, {first}, {blocks}) {{\n    " + "\n    ".join(lines) + "\n}"
        bodies.append(loop if len(loops) == 1 else f"IN_BLOCKS({first}, {blocks}) {{\n{loop}\n}}")
        first += blocks
    return named_kernel(parameters, "\n".join(bodies), first)


def named_kernel(parameters: Sequence[str], body: str, blocks: int) -> KernelSource:
    """Return a kernel that is named by the hash of its source.

    Args:
        parameters: their declarations.
        body: statements.
        blocks: the number of blocks to launch.
    """
    head = ", ".join(parameters)
    name = "portnn_" + hashlib.sha256(f"{head}{body}".encode()).hexdigest()[:16]
    return KernelSource(name, f"KERNEL {name}({head}) {{\n{body}\n}}\n", blocks)


def _turn(group: Group, prefix: str) -> list[str]:
    """Return the statements for one element of a group."""
    values = (*group.outputs, *group.inputs)
    index = Index(group.shape, [broadcast_strides(v, group.shape) for v in values])
    places = {id(v): term for v, term in zip(values, index.terms, strict=True)}
    names = {id(v): f"in{i}" for i, v in enumerate(group.inputs)}
    lines = list(index.lines)
    for i, value in enumerate(group.inputs):
        lines.append(load(str(value.dtype), f"in{i}", f"{prefix}in{i}[{places[id(value)]}]"))
    for i, member in enumerate(group.members):
        lines.append(f"{_local(member.dtype)} v{i} = {_expression(member, names)};")
        names[id(member.call.result)] = f"v{i}"
    for i, value in enumerate(group.outputs):
        made = stored(names[id(value)], str(value.dtype))
        lines.append(f"{prefix}out{i}[{places[id(value)]}] = {made};")
    return lines


def _local(dtype: str) -> str:
    """The type in which a value is kept while it is worked with; a half is a float of half's precision."""
    return "float" if dtype == "float16" else C_TYPES[dtype]


def load(dtype: str, name: str, source: str) -> str:
    """Return the declaration of a local variable that is read from memory; a half becomes a float."""
    loaded = f"from_half({source})" if dtype == "float16" else source
    return f"{_local(dtype)} {name} = {loaded};"


def stored(text: str, dtype: str) -> str:
    """Return the expression that is stored to memory for a value; a float becomes a half."""
    return f"to_half({text})" if dtype == "float16" else text


def _expression(member: Member, names: dict[int, str]) -> str:
    operands = [
        _cast(names[id(x)], str(x.dtype), dtype) if type(x) is Value else _literal(x, dtype)
        for x, dtype in zip(member.operands, member.compute, strict=True)
    ]
    text = member.template.format(*operands)
    return f"round_half({text})" if member.dtype == "float16" else f"({_local(member.dtype)}){text}"


def _cast(name: str, source: str, target: str) -> str:
    if source == target:
        return name
    return f"round_half((float){name})" if target == "float16" else f"(({C_TYPES[target]}){name})"


def _literal(x: float, dtype: str) -> str:
    """A Python number as a constant of a dtype, rounded as NumPy rounds it."""
    if dtype == "bool":
        return "true" if x else "false"
    if "int" in dtype:
        # The lowest number has no literal of its own in C.
        text = f"{x}ULL" if dtype == "uint64" else f"({x + 1}LL - 1)" if x < 0 else f"{x}LL"
        return f"(({C_TYPES[dtype]}){text})"
    suffix = "" if dtype == "float64" else "f"
    value = float(np.asarray(x, dtype=dtype))
    if value != value:
        return f"not_a_number{suffix}()"
    if value in (float("inf"), float("-inf")):
        return f"({'-' if value < 0 else ''}infinity{suffix}())"
    return f"({value.hex()}{suffix})"


@final
class Index:
    """The element index in each of several arrays for an iteration of a loop over their shape.

    Axes are sorted by the memory order of the first array, and neighbors that are contiguous in every array
    are merged: arrays with the same layout share a single index.

    Args:
        shape: of the loop.
        strides: the strides of each array along the loop's axes, in elements.
        turn: the variable that counts the iterations.

    Attributes:
        lines: declarations that the terms need.
        terms: for each array the index into its memory, in elements.
    """

    def __init__(self, shape: tuple[int, ...], strides: Sequence[tuple[int, ...]], turn: str = "i") -> None:
        order = sorted(range(len(shape)), key=lambda d: (-strides[0][d], d)) if strides else []
        axes = [(shape[d], tuple([s[d] for s in strides])) for d in order if shape[d] != 1]
        merged: list[tuple[int, tuple[int, ...]]] = []
        for length, steps in axes:
            if merged and all(a == b * length for a, b in zip(merged[-1][1], steps, strict=True)):
                merged[-1] = (merged[-1][0] * length, steps)
            else:
                merged.append((length, steps))
        self.lines: list[str] = []
        names = self._coordinates([length for length, _ in merged], turn)
        self.terms = [
            _sum([_times(name, steps[n]) for name, (_, steps) in zip(names, merged, strict=True)])
            for n in range(len(strides))
        ]

    def _coordinates(self, lengths: list[int], turn: str) -> list[str]:
        if len(lengths) <= 1:
            return [turn] * len(lengths)
        kind = "unsigned int" if prod(lengths) < 2**31 else "long long"
        self.lines.append(f"{kind} rest = ({kind}){turn};")
        names = [f"c{d}" for d in range(len(lengths))]
        for d in range(len(lengths) - 1, 0, -1):
            self.lines.append(f"long long c{d} = rest % {lengths[d]}; rest /= {lengths[d]};")
        self.lines.append("long long c0 = rest;")
        return names


def broadcast_strides(value: Value, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a value's strides along a loop's axes, in elements; zero where it is broadcast."""
    own = element_strides(value)
    lead = len(shape) - len(own)
    return (0,) * lead + tuple([0 if n == 1 else s for n, s in zip(value.shape, own, strict=True)])


def element_strides(value: Value) -> tuple[int, ...]:
    """The strides of a value in elements; those of C order where the library does not say."""
    if value.strides is None:
        return tuple([prod(value.shape[d + 1 :]) for d in range(len(value.shape))])
    size = np.dtype(str(value.dtype)).itemsize
    return tuple([s // size for s in value.strides])


def _times(name: str, step: int) -> str:
    return "" if step == 0 else name if step == 1 else f"{name} * {step}LL"


def _sum(terms: list[str]) -> str:
    return " + ".join([t for t in terms if t]) or "0"
