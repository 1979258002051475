"""Factorisations of matrices, and what follows from them.

They are values, and differentiating them raises DifferentiationError, but for `svdvals`, which has a first
derivative.
"""

from __future__ import annotations

from typing import Any, Literal

from portnn._typing import Array, ArrayLike
from portnn.ops._arithmetic import multiply
from portnn.ops._broadcasting import reshape
from portnn.ops._linear_algebra import matmul
from portnn.ops._options import check_flag
from portnn.tracing import constant, namespace, primitive

__all__ = ["eigh", "eigvalsh", "matrix_rank", "pinv", "qr", "svd", "svdvals"]


@primitive
def eigh(x: Array, /) -> Any:
    """Eigenvalues and eigenvectors of symmetric (or Hermitian) matrices, as values.

    Args:
        x: floating-point array of shape (..., m, m).

    Returns:
        A named tuple: eigenvalues of shape (..., m) in rising order, and eigenvectors of shape (..., m, m),
        one a column.

    Example:
        >>> import numpy as np
        >>> eigh(np.asarray([[2.0, 0.0], [0.0, 1.0]])).eigenvalues.tolist()
        [1.0, 2.0]
    """
    return namespace(x).linalg.eigh(x)


@primitive
def eigvalsh(x: Array, /) -> Array:
    """Eigenvalues of symmetric (or Hermitian) matrices in rising order, as values.

    Args:
        x: floating-point array of shape (..., m, m).

    Returns:
        The eigenvalues, of shape (..., m).

    Example:
        >>> import numpy as np
        >>> eigvalsh(np.asarray([[2.0, 0.0], [0.0, 1.0]])).tolist()
        [1.0, 2.0]
    """
    return namespace(x).linalg.eigvalsh(x)


@primitive
def qr(x: Array, /, *, mode: Literal["reduced", "complete"] = "reduced") -> Any:
    """Orthogonal (or unitary) and upper triangular factor of matrices, as values.

    Args:
        x: floating-point array of shape (..., m, n).
        mode: "reduced" for factors of min(m, n) columns and rows, "complete" for a square `Q`.

    Returns:
        A named tuple ``(Q, R)`` with ``Q @ R = x``.

    Example:
        >>> import numpy as np
        >>> np.abs(qr(np.asarray([[3.0], [4.0]])).R).round(12).tolist()
        [[5.0]]
    """
    return namespace(x).linalg.qr(x, mode=mode)


@primitive
def svd(x: Array, /, *, full_matrices: bool = True) -> Any:
    """Singular value decomposition of matrices, as values.

    Args:
        x: floating-point array of shape (..., m, n).
        full_matrices: whether `U` and `Vh` are square, or have min(m, n) columns and rows.

    Returns:
        A named tuple ``(U, S, Vh)``: ``U @ diag(S) @ Vh = x``, with `S` of shape (..., min(m, n)) falling.

    Example:
        >>> import numpy as np
        >>> [round(s, 12) for s in svd(np.asarray([[0.0, 2.0], [3.0, 0.0]])).S.tolist()]
        [3.0, 2.0]
    """
    check_flag("svd", "full_matrices", full_matrices)
    return namespace(x).linalg.svd(x, full_matrices=full_matrices)


def _svdvals_rule(g: Array, y: Array, x: Array) -> Array:
    """``U @ diag(g) @ Vh``: to first order a singular value changes by ``u^T dx v``."""
    u, _, vh = svd(x, full_matrices=False)
    return matmul(multiply(u, reshape(g, (*g.shape[:-1], 1, g.shape[-1]))), vh)


@primitive
def svdvals(x: Array, /) -> Array:
    """Singular values of matrices, falling; with a first derivative, where they are distinct.

    Args:
        x: floating-point array of shape (..., m, n).

    Returns:
        The singular values, of shape (..., min(m, n)).

    Example:
        >>> import numpy as np
        >>> [round(s, 12) for s in svdvals(np.asarray([[0.0, 2.0], [3.0, 0.0]])).tolist()]
        [3.0, 2.0]
    """
    return namespace(x).linalg.svdvals(x)


svdvals.vjp(_svdvals_rule)


@primitive
def _pinv(x: Array, rtol: ArrayLike | None, /) -> Array:
    return namespace(x).linalg.pinv(x, rtol=rtol)


def pinv(x: Array, /, *, rtol: ArrayLike | None = None) -> Array:
    """The Moore-Penrose inverse of matrices, as values.

    Args:
        x: floating-point array of shape (..., m, n).
        rtol: singular values up to this fraction of the largest count as zero, a number or an array of
            shape (...); None for ``max(m, n)`` times the machine epsilon.

    Returns:
        The pseudo-inverses, of shape (..., n, m).

    Example:
        >>> import numpy as np
        >>> pinv(np.asarray([[2.0], [0.0]])).tolist()
        [[0.5, 0.0]]
    """
    return _pinv(x, rtol)


@constant
def _matrix_rank(x: Array, rtol: ArrayLike | None, /) -> Array:
    if 0 in x.shape[-2:]:  # libraries need the largest singular value, which an empty matrix lacks
        return namespace(x).count_nonzero(x, axis=(-2, -1))
    return namespace(x).linalg.matrix_rank(x, rtol=rtol)


def matrix_rank(x: Array, /, *, rtol: ArrayLike | None = None) -> Array:
    """The number of singular values of each matrix that are not zero.

    Args:
        x: floating-point array of shape (..., m, n).
        rtol: as for `pinv`.

    Returns:
        The ranks, integers of shape (...); 0 for matrices without elements.

    Example:
        >>> import numpy as np
        >>> int(matrix_rank(np.asarray([[1.0, 2.0], [2.0, 4.0]])))
        1
    """
    return _matrix_rank(x, rtol)
