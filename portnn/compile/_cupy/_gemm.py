"""The arguments of a matrix product for cuBLAS, from the layouts of its operands.

cuBLAS sees matrices column by column. A row-major matrix is to it the transposed one, so what is asked of it
is ``c^T = b^T a^T``, with the operands exchanged, and the result lies row by row. The choices (which operand
counts as transposed, which is copied first) are those of CuPy's own products (`tensordot_core` and `matmul`
in `cupy/_core/_routines_linalg.pyx`), since other arguments may lead cuBLAS to another algorithm, and so to
other bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Literal, TypeAlias, final

__all__ = ["GemmArguments", "Operand", "gemm_arguments"]

Ints: TypeAlias = tuple[int, ...]
Copy: TypeAlias = Literal["", "rows", "columns"]


@final
@dataclass(frozen=True)
class Operand:
    """One of the two factors, as cuBLAS is told of it.

    Attributes:
        transpose: whether cuBLAS is to transpose what it sees column by column.
        leading: elements from one of its columns to the next.
        stride: elements from one matrix to the next; 0 if all products share one.
        copy: how the factor is laid out anew before: not at all, row by row, or column by column.
    """

    transpose: bool
    leading: int
    stride: int
    copy: Copy


@final
@dataclass(frozen=True)
class GemmArguments:
    """A product of an (rows, inner) and an (inner, columns) matrix, or of many.

    Attributes:
        rows: of the first factor and the result.
        columns: of the second factor and the result.
        inner: the length that is summed over.
        first: the first factor, which cuBLAS is given as its B.
        second: the second, which cuBLAS is given as its A.
        batch: the shape of the batch, () for a single product.
        shape: of the result, which lies row by row.
    """

    rows: int
    columns: int
    inner: int
    first: Operand
    second: Operand
    batch: Ints
    shape: Ints

    @property
    def count(self) -> int:
        """The number of products."""
        return prod(self.batch)


def gemm_arguments(
    a_shape: Ints, a_strides: Ints, b_shape: Ints, b_strides: Ints, *, gaps: bool = False
) -> GemmArguments | None:
    """What to ask of cuBLAS for ``a @ b``.

    Args:
        a_shape: shape of the first factor, as `matmul` of the standard takes it.
        a_strides: its strides in elements.
        b_shape: shape of the second.
        b_strides: its strides.
        gaps: whether a factor whose rows or columns do not touch each other may be used where it lies, and
            matrices of a batch as well. CuPy copies both.

    Returns:
        The arguments; None where CuPy uses no cuBLAS: an empty factor or result, and products of one row and
        one column outside a batch.
    """
    a_matrix, a_steps = _matrix(a_shape, a_strides, first=True)
    b_matrix, b_steps = _matrix(b_shape, b_strides, first=False)
    (rows, inner), columns = a_matrix[-2:], b_matrix[-1]
    batch = _broadcast(a_matrix[:-2], b_matrix[:-2])
    shape = batch + (() if len(a_shape) == 1 else (rows,)) + (() if len(b_shape) == 1 else (columns,))
    if not rows * columns * inner * prod(batch) or (not batch and rows == columns == 1):
        return None
    if len(a_matrix) == len(b_matrix) == 2:
        first, second = _one(rows, inner, a_steps, gaps), _other(inner, columns, b_steps, gaps)
    else:
        first = _many(a_matrix, a_steps, batch, gaps)
        second = _many(b_matrix, b_steps, batch, gaps)
    return GemmArguments(rows, columns, inner, first, second, batch, shape)


def _matrix(shape: Ints, strides: Ints, *, first: bool) -> tuple[Ints, Ints]:
    """A vector as a matrix of one row (first factor) or of one column."""
    if len(shape) > 1:
        return shape, strides
    # As CuPy's reshape does, the new axis gets the step of a contiguous one.
    return ((1, *shape), (shape[0] * strides[0], *strides)) if first else ((*shape, 1), (*strides, 1))


def _broadcast(a: Ints, b: Ints) -> Ints:
    n = max(len(a), len(b))
    a, b = (1,) * (n - len(a)) + a, (1,) * (n - len(b)) + b
    return tuple([y if x == 1 else x for x, y in zip(a, b, strict=True)])


def _by_rows(rows: int, columns: int, steps: Ints, gaps: bool) -> bool:
    """Whether a matrix lies row by row: without gaps, unless they are allowed."""
    if columns != 1 and steps[1] != 1:
        return False
    return rows == 1 or steps[0] == columns or (gaps and steps[0] > columns)


def _one(rows: int, inner: int, steps: Ints, gaps: bool) -> Operand:
    """The first factor: as it is if it lies row by row, which CuPy looks for first."""
    if _by_rows(rows, inner, steps, gaps):
        return Operand(False, inner if rows == 1 else max(inner, steps[0]), 0, "")
    if _by_rows(inner, rows, steps[::-1], gaps):
        return Operand(True, max(rows, steps[1]), 0, "")
    return Operand(True, rows, 0, "columns")


def _other(inner: int, columns: int, steps: Ints, gaps: bool) -> Operand:
    """The second factor: transposed if it lies column by column, which CuPy looks for first."""
    if _by_rows(columns, inner, steps[::-1], gaps):
        return Operand(True, inner if columns == 1 else max(inner, steps[1]), 0, "")
    if _by_rows(inner, columns, steps, gaps):
        return Operand(False, max(columns, steps[0]), 0, "")
    return Operand(False, columns, 0, "rows")


def _many(shape: Ints, steps: Ints, batch: Ints, gaps: bool) -> Operand:
    """A factor of a batch: row by row, one matrix after the other, copied if it is not so."""
    rows, columns = shape[-2:]
    if prod(shape[:-2]) == 1 and prod(batch) > 1:
        stride: int | None = 0
    elif (1,) * (len(batch) + 2 - len(shape)) + shape[:-2] == batch:
        stride = _single_step(shape[:-2], steps[:-2], rows * columns)
    else:
        stride = None  # broadcast along some axes only: no single step leads through it
    touching = stride in (0, rows * columns)
    if stride is not None and (gaps or touching) and _by_rows(rows, columns, steps[-2:], gaps):
        return Operand(False, columns if rows == 1 else max(columns, steps[-2]), stride, "")
    if stride is not None and gaps and _by_rows(columns, rows, steps[:-3:-1], gaps):
        return Operand(True, rows if columns == 1 else max(rows, steps[-1]), stride, "")
    return Operand(False, columns, 0 if stride == 0 else rows * columns, "rows")


def _single_step(batch: Ints, steps: Ints, touching: int) -> int | None:
    """Elements from one matrix to the next through a batch of several axes; None if they vary."""
    axes = [(n, s) for n, s in zip(batch, steps, strict=True) if n != 1]
    if not axes:
        return touching
    for (_, outer), (length, inner) in pairwise(axes):
        if outer != length * inner:
            return None
    return axes[-1][1]
