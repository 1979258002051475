"""The linear algebra extension of the standard; docstrings say which functions have no derivative.

Matrices are the last two axes; axes in front of them are batches.
"""

from portnn.ops._linear_algebra import matmul, matrix_transpose, tensordot, vecdot
from portnn.ops.linalg._diagonals import diagonal, trace
from portnn.ops.linalg._factors import eigh, eigvalsh, matrix_rank, pinv, qr, svd, svdvals
from portnn.ops.linalg._norms import matrix_norm, vector_norm
from portnn.ops.linalg._products import cross, matrix_power, outer
from portnn.ops.linalg._solving import SlogdetResult, cholesky, det, inv, slogdet, solve

__all__ = [
    "SlogdetResult", "cholesky", "cross", "det", "diagonal", "eigh", "eigvalsh", "inv", "matmul",
    "matrix_norm", "matrix_power", "matrix_rank", "matrix_transpose", "outer", "pinv", "qr", "slogdet",
    "solve", "svd", "svdvals", "tensordot", "trace", "vecdot", "vector_norm",
]  # fmt: skip
