"""Copies of many arrays in one launch: inputs to a plan's own memory, and results to its caller's."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TypeAlias, final

import numpy as np

from portnn._typing import Array
from portnn.compile._cupy._driver import Driver
from portnn.compile._cupy._kernels import Index, KernelSource, element_strides, kernel_of_loops
from portnn.compile._cupy._small import UNITS
from portnn.tracing import Value

__all__ = ["Layout", "Moves", "layout_of", "packed_layout"]

Layout: TypeAlias = tuple[int, tuple[int, ...], tuple[int, ...]]
"""Bytes of an element, the shape, and the strides in bytes."""
_MOST = 100  # copies per launch: their two addresses each have to fit in the 4 KiB of a kernel's parameters


def layout_of(x: Array | Value) -> Layout:
    """Return the layout of an array or a value."""
    size = np.dtype(str(x.dtype)).itemsize
    strides = tuple([s * size for s in element_strides(x)]) if isinstance(x, Value) else tuple(x.strides)
    return size, tuple(x.shape), strides


def packed_layout(layout: Layout) -> Layout:
    """Return the layout without gaps that has the same axes in the same order in memory."""
    size, shape, strides = layout
    steps, step = [0] * len(shape), size
    for d in sorted(range(len(shape)), key=lambda d: (abs(strides[d]), -d)):
        steps[d], step = step, step * shape[d]
    return size, shape, tuple(steps)


@final
class Moves:
    """Copies between arrays, with a kernel for each set of layouts.

    Args:
        driver: the device.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._sources: dict[tuple[tuple[Layout, ...], tuple[Layout, ...]], list[KernelSource]] = {}

    def kernels(self, sources: Sequence[Layout], targets: Sequence[Layout]) -> list[KernelSource]:
        """Return the kernels that copy between such arrays: one for up to 100, none for a single array."""
        key = tuple(sources), tuple(targets)
        if key not in self._sources:
            pairs = [pair for pair in zip(*key, strict=True) if prod(pair[0][1])]
            pairs = [] if len(sources) == 1 else pairs
            self._sources[key] = [_kernel(pairs[n : n + _MOST]) for n in range(0, len(pairs), _MOST)]
        return self._sources[key]

    def copy(self, sources: Sequence[Array], targets: Sequence[Array]) -> None:
        """Copy each array into another one of its shape and dtype, on the current stream."""
        if len(sources) == 1:
            self._driver.copy(targets[0], sources[0])
            return
        kernels = self.kernels([layout_of(x) for x in sources], [layout_of(x) for x in targets])
        functions = self._driver.compile(kernels)
        pairs = [pair for pair in zip(sources, targets, strict=True) if prod(pair[0].shape)]
        for n, kernel in enumerate(kernels):
            operands = [x for pair in pairs[n * _MOST : (n + 1) * _MOST] for x in pair]
            self._driver.launch(functions[kernel.name], kernel.blocks, operands)

    def clones(self, arrays: Sequence[Array]) -> list[Array]:
        """Return a copy of each array, without gaps and with its axes in the same order in memory."""
        made = [self._like(x) for x in arrays]
        self.copy(arrays, made)
        return made

    def _like(self, x: Array) -> Array:
        _, shape, steps = packed_layout(layout_of(x))
        order = sorted(range(len(shape)), key=lambda d: (-steps[d], d))
        made = self._driver.empty(tuple([shape[d] for d in order]), str(x.dtype))
        turned = order != list(range(len(order)))
        return made.transpose([order.index(d) for d in range(len(order))]) if turned else made


def _kernel(pairs: Sequence[tuple[Layout, Layout]]) -> KernelSource:
    """Return a kernel whose parameters are, for each pair, the address to read and the address to write."""
    parameters, loops = [], []
    for n, ((size, shape, strides), (_, _, steps)) in enumerate(pairs):
        index = Index(shape, [tuple([s // size for s in axes]) for axes in (steps, strides)])
        target, source = index.terms
        parameters += [f"const {UNITS[size]}* from{n}", f"{UNITS[size]}* to{n}"]
        loops.append((prod(shape), [*index.lines, f"to{n}[{target}] = from{n}[{source}];"]))
    return kernel_of_loops(parameters, loops)
