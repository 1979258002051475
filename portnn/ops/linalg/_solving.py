"""Linear equations, inverses, determinants, and the Cholesky factor."""

from __future__ import annotations

from typing import NamedTuple

import array_api_compat

from portnn._typing import Array
from portnn.ops._arithmetic import add, multiply, negative, subtract
from portnn.ops._broadcasting import match, reshape
from portnn.ops._broadcasting import sum as sum_
from portnn.ops._linear_algebra import matmul, matrix_transpose
from portnn.ops._options import check_flag
from portnn.tracing import TracedArray, constant, namespace, primitive

__all__ = ["SlogdetResult", "cholesky", "det", "inv", "slogdet", "solve"]


def _inv_rule(g: Array, y: Array, x: Array) -> Array:
    """``-y^T g y^T``, from ``d(x^-1) = -x^-1 dx x^-1``."""
    t = matrix_transpose(y)
    return negative(matmul(matmul(t, g), t))


@primitive
def inv(x: Array, /) -> Array:
    """The inverses of square matrices.

    Args:
        x: floating-point array of shape (..., m, m), every matrix invertible.

    Returns:
        The inverses, of the shape of `x`.

    Example:
        >>> import numpy as np
        >>> inv(np.asarray([[2.0, 0.0], [0.0, 4.0]])).tolist()
        [[0.5, 0.0], [0.0, 0.25]]
    """
    return namespace(x).linalg.inv(x)


inv.vjp(_inv_rule)


def _solve_rule(g: Array, y: Array, x1: Array, x2: Array) -> list[Array]:
    """By x2: ``x1^-T g``. By x1: ``-(x1^-T g) y^T``, summed over the columns of y."""
    if len(x2.shape) == 1:
        g, y = reshape(g, (*g.shape, 1)), reshape(y, (*y.shape, 1))
    z = solve(matrix_transpose(x1), g)
    by_x1 = match(negative(matmul(z, matrix_transpose(y))), x1)
    return [by_x1, match(reshape(z, tuple(z.shape[:-1])) if len(x2.shape) == 1 else z, x2)]


@primitive
def solve(x1: Array, x2: Array, /) -> Array:
    """The solution ``y`` of the linear equations ``x1 @ y = x2``.

    Args:
        x1: floating-point array of shape (..., m, m), every matrix invertible.
        x2: floating-point array of shape (..., m, k) whose front axes broadcast with those of `x1`, or (m,).

    Returns:
        The solutions, of shape (..., m, k), or (..., m) where `x2` has one axis.

    Example:
        >>> import numpy as np
        >>> solve(np.asarray([[2.0, 0.0], [0.0, 4.0]]), np.asarray([1.0, 2.0])).tolist()
        [0.5, 0.5]
    """
    return namespace(x1, x2).linalg.solve(x1, x2)


solve.vjp_joint(_solve_rule)


def _over_matrix(g: Array) -> Array:
    """A gradient by one number per matrix, ready to multiply the matrices."""
    return reshape(g, (*g.shape, 1, 1))


@primitive
def _cofactor(x: Array, /) -> Array:
    """``det(x) x^-T`` from the singular values, so that singular matrices have it too.

    With ``x = U S Vh`` it is ``det(U Vh) U S' Vh``, where S' holds the products of all other singular values.
    """
    xp = namespace(x)
    u, s, vh = xp.linalg.svd(x, full_matrices=False)
    n = s.shape[-1]
    itself = xp.eye(n, dtype=s.dtype, device=array_api_compat.device(s)) != 0
    others = xp.where(itself, xp.ones_like(s)[..., None, :], s[..., None, :])
    scale = xp.prod(others, axis=-1) * xp.round(xp.linalg.det(xp.matmul(u, vh)))[..., None]
    return xp.matmul(u * scale[..., None, :], vh)


def _cofactor_rule(g: Array, y: Array, x: Array) -> Array:
    """``(g . y) x^-T - x^-T g^T y`` with the dot product over the matrix."""
    t = matrix_transpose(inv(x))
    dot = sum_(multiply(g, y), axis=(-2, -1), keepdims=True)
    return subtract(multiply(dot, t), matmul(matmul(t, matrix_transpose(g)), y))


_cofactor.vjp(_cofactor_rule)


@primitive
def det(x: Array, /) -> Array:
    """The determinants of square matrices; the gradient is the matrix of cofactors.

    The gradient is right for singular matrices too. Second and higher derivatives need invertible ones.

    Args:
        x: floating-point array of shape (..., m, m).

    Returns:
        The determinants, of shape (...).

    Example:
        >>> import numpy as np
        >>> round(float(det(np.asarray([[2.0, 0.0], [0.0, 4.0]]))), 12)
        8.0
    """
    return namespace(x).linalg.det(x)


det.vjp(lambda g, y, x: multiply(_over_matrix(g), _cofactor(x)))


class SlogdetResult(NamedTuple):
    """The sign of a determinant, and the logarithm of its absolute value."""

    sign: Array
    logabsdet: Array


@constant
def _slogdet(x: Array, /) -> SlogdetResult:
    return SlogdetResult(*namespace(x).linalg.slogdet(x))


@primitive
def _logabsdet(x: Array, /) -> Array:
    return namespace(x).linalg.slogdet(x)[1]


_logabsdet.vjp(lambda g, y, x: multiply(_over_matrix(g), matrix_transpose(inv(x))))


def slogdet(x: Array, /) -> SlogdetResult:
    """The sign and the logarithm of the absolute value of determinants, without overflow.

    The sign is a constant. The gradient of the logarithm is the transposed inverse.

    Args:
        x: floating-point array of shape (..., m, m), every matrix invertible if it is differentiated.

    Returns:
        A named tuple ``(sign, logabsdet)``, both of shape (...); 0 and -inf for a singular matrix.

    Example:
        >>> import numpy as np
        >>> [round(float(v), 4) for v in slogdet(np.asarray([[0.0, 2.0], [4.0, 0.0]]))]
        [-1.0, 2.0794]
    """
    sign, logabsdet = _slogdet(x)
    return SlogdetResult(sign, _logabsdet(x) if type(x) is TracedArray else logabsdet)


@primitive
def _halved_lower(x: Array, /) -> Array:
    """The lower triangle with the diagonal halved: a projection that is its own transpose."""
    xp = namespace(x)
    return 0.5 * (xp.tril(x) + xp.tril(x, k=-1))


_halved_lower.vjp(lambda g, y, x: _halved_lower(g))


def _cholesky_rule(g: Array, y: Array, x: Array, upper: bool) -> Array:
    """``1/2 L^-T (P + P^T) L^-1`` with P the lower triangle of ``L^T g``, its diagonal halved.

    I. Murray, Differentiation of the Cholesky decomposition, arXiv:1602.07527, section 4.
    """
    lower, g = (matrix_transpose(y), matrix_transpose(g)) if upper else (y, g)
    turned = matrix_transpose(lower)
    p = _halved_lower(matmul(turned, g))
    left = solve(turned, multiply(add(p, matrix_transpose(p)), 0.5))
    return solve(turned, matrix_transpose(left))


@primitive
def _cholesky(x: Array, /, *, upper: bool) -> Array:
    return namespace(x).linalg.cholesky(x, upper=upper)


_cholesky.vjp(_cholesky_rule)


def cholesky(x: Array, /, *, upper: bool = False) -> Array:
    """The triangular factor ``L`` of symmetric positive definite matrices, ``L @ L^T = x``.

    The gradient is symmetric: it takes for granted that `x` stays symmetric as it varies.

    Args:
        x: floating-point array of shape (..., m, m), symmetric (or Hermitian) and positive definite.
        upper: whether to return the upper triangular ``L^T`` instead.

    Returns:
        The factors, of the shape of `x`.

    Example:
        >>> import numpy as np
        >>> cholesky(np.asarray([[4.0, 2.0], [2.0, 5.0]])).tolist()
        [[2.0, 0.0], [1.0, 2.0]]
    """
    check_flag("cholesky", "upper", upper)
    return _cholesky(x, upper=upper)
