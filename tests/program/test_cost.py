"""Operations and bytes, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from portnn import nn, ops
from portnn.autodiff import grad
from portnn.program import trace


def array(*shape: int, dtype: str = "float32") -> np.ndarray:
    return np.ones(shape, dtype=dtype)


def cost(f, *args):
    program = trace(f)(*args)
    return program.flops, program.bytes


def test_linear_layer():
    x, w, b = array(64, 784), array(784, 10), array(10)
    products = 4 * (64 * 784 + 784 * 10 + 64 * 10)
    sums = 4 * (64 * 10 + 10 + 64 * 10)
    assert cost(ops.linear, x, w, b) == (2 * 64 * 784 * 10 + 64 * 10, products + sums)


def test_gradient_of_a_linear_layer():
    def f(w, b, x):
        return ops.sum(ops.linear(x, w, b))

    program = trace(lambda w, b, x: grad(f)(w, b, x))(array(784, 10), array(10), array(64, 784))
    # Nothing but x^T times a constant is left: the sum of the constant over the batch is b's affair.
    assert [call.name for call in program.calls] == ["matrix_transpose", "matmul"]
    assert program.flops == 2 * 784 * 64 * 10


def test_softmax_in_small_steps():
    n, c = 8, 5

    def f(x):
        e = ops.exp(x - ops.max(x, axis=1, keepdims=True))
        return e / ops.sum(e, axis=1, keepdims=True)

    # Elements read and written: two reductions, one exp, two functions of a matrix and a column.
    elements = 2 * (n * c + n) + 2 * n * c + 2 * (2 * n * c + n)
    assert cost(f, array(n, c)) == (5 * n * c, 4 * elements)


def own(name, **options):
    """The library's own function, which no primitive stands before."""
    return lambda *args: getattr(args[0].__array_namespace__(), name)(*args, **options)


CASES = {
    "elementwise": (ops.exp, (array(3, 4),), 12, 96),
    "broadcast": (ops.add, (array(3, 1), array(4)), 12, 4 * (3 + 4 + 12)),
    "comparison writes bytes": (ops.greater, (array(3), 0.0), 3, 12 + 3),
    "same array twice": (ops.multiply, (), 4, 32),
    "reduction": (ops.sum, (array(3, 4),), 12, 48 + 4),
    "float64": (ops.max, (array(5, dtype="float64"),), 5, 40 + 8),
    "view": (lambda x: ops.permute_dims(x, (1, 0)), (array(3, 4),), 0, 0),
    "extension": (lambda x: x.__array_namespace__().linalg.matrix_transpose(x), (array(3, 4),), 0, 0),
    "slice": (lambda x: x[1:], (array(3, 4),), 0, 0),
    "copy": (lambda x: ops.concat((x, x)), (array(3),), 0, 12 + 24),
    "take": (lambda x, i: ops.take(x, i, axis=0), (array(100, 2), np.asarray([1, 5])), 0, 16 + 16 + 16),
    "rows by an array": (lambda x, i: x[i], (array(100, 2), np.asarray([1, 5])), 0, 16 + 16 + 16),
    "matrix by vector": (ops.matmul, (array(3, 4), array(4)), 24, 4 * (12 + 4 + 3)),
    "vector by matrix": (ops.matmul, (array(4), array(4, 3)), 24, 4 * (4 + 12 + 3)),
    "stack of products": (ops.matmul, (array(2, 3, 4), array(2, 4, 5)), 2 * 120, 4 * (24 + 40 + 30)),
    "tensordot": (own("tensordot", axes=2), (array(2, 3, 4), array(3, 4, 5)), 240, 4 * 94),
    "vecdot": (ops.vecdot, (array(5, 3), array(3)), 30, 4 * (15 + 3 + 5)),
    "norm": (lambda x: ops.linalg.vector_norm(x), (array(6),), 12, 24 + 4),
    "inverse": (ops.linalg.inv, (np.eye(4),), 2 * 4**3, 256),
    "cholesky": (ops.linalg.cholesky, (np.eye(3),), 9, 144),
    "solve": (ops.linalg.solve, (np.eye(3), array(3, dtype="float64")), 18 + 18, 72 + 24 + 24),
    "fft": (ops.fft.fft, (array(8, dtype="complex128"),), 5 * 8 * 3, 256),
    "sort": (ops.sort, (array(2, 8),), 2 * 8 * 3, 128),
    "relu": (nn.relu, (array(7),), 7, 56),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_by_hand(case):
    f, args, flops, moved = CASES[case]
    if case == "same array twice":
        f, args = (lambda x: ops.multiply(x, x)), (array(4),)
    assert cost(f, *args) == (flops, moved)


def test_repeated_rows_are_read_once():
    program = trace(lambda x: ops.exp(ops.broadcast_to(x, (100, 4))))(array(4))
    assert program.flops == 400
    assert program.bytes == 16 + 1600


def test_integers_and_totals_add_up():
    program = trace(lambda x: ops.sum(ops.exp(x)))(array(10))
    assert (program.flops, program.bytes) == (20, 80 + 44)
    assert type(program.flops) is int
    assert type(program.bytes) is int
