"""Kernels that no program asks for: gathering a batch, keeping a loss, casting to bfloat16."""

from __future__ import annotations

from collections.abc import Sequence

from portnn.compile._cupy._kernels import KernelSource, blocks_for, kernel_of_loops, named_kernel

__all__ = ["UNITS", "bfloat16_kernel", "gather_kernel", "keep_kernel"]

UNITS = {1: "unsigned char", 2: "unsigned short", 4: "unsigned int", 8: "unsigned long long", 16: "sixteen"}


def bfloat16_kernel(size: int) -> KernelSource:
    """Parameters: float32 numbers, and as many of two bytes, which become their nearest bfloat16."""
    blocks = blocks_for(size)
    body = f"EACH(i, {size}LL, 0, {blocks}) {{ out[i] = to_bfloat16(x[i]); }}"
    return named_kernel(["const float* x", "unsigned short* out"], body, blocks)


def gather_kernel(
    rows: Sequence[int], unit: Sequence[int], batch: int, step: int, places: int
) -> KernelSource:
    """The rows ``order[position * step + r]`` of several arrays, for r below `batch`.

    Parameters: order (int64), position (one int64), the addresses of the arrays (uint64), and for each array
    the memory of its batch. Addresses are read in each run, so that a graph may serve other arrays.

    Args:
        rows: bytes of a row of each array.
        unit: bytes that may be moved at once, a divisor of the row's and of both addresses.
        batch: how many rows.
        step: how many rows the position counts at a time.
        places: how many the order has; beyond it, where only warming up goes, the last row is taken.
    """
    parameters = ["const long long* order", "const long long* position"]
    parameters.append("const unsigned long long* addresses")
    loops = []
    for n, (size, width) in enumerate(zip(rows, unit, strict=True)):
        kind, units = UNITS[width], size // width
        parameters.append(f"{kind}* out{n}")
        lines = [
            f"const {kind}* data{n} = (const {kind}*)addresses[{n}];",
            f"long long row = i / {units}, column = i % {units}, place = position[0] * {step}LL + row;",
            f"place = place < {places}LL ? place : {places - 1}LL;",
            f"out{n}[i] = data{n}[order[place] * {units}LL + column];",
        ]
        loops.append((batch * units, lines))
    return kernel_of_loops(parameters, loops)


def keep_kernel(dtype: str, places: int) -> KernelSource:
    """Parameters: a loss, the list of losses, and two positions (one int64 each), one further afterwards.

    The loss is written at the first of them, if the list has so many places.
    """
    kind = {"float16": "unsigned short", "float32": "float", "float64": "double"}[dtype]
    body = (
        f"EACH(i, 1, 0, 1) {{ if (position[0] < {places}LL) losses[position[0]] = loss[0]; "
        "position[0] += 1; cursor[0] += 1; }"
    )
    parameters = [f"const {kind}* loss", f"{kind}* losses", "long long* position", "long long* cursor"]
    return named_kernel(parameters, body, 1)
