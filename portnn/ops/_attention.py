"""Attention: means of values, weighted by how well their keys fit a query; and positions as angles."""

from __future__ import annotations

from math import log, sqrt

from portnn._typing import Array
from portnn.ops._arithmetic import add, multiply, subtract
from portnn.ops._broadcasting import astype, match, reshape, where
from portnn.ops._broadcasting import sum as sum_
from portnn.ops._comparison import equal, greater_equal
from portnn.ops._exponential import exp
from portnn.ops._half import in_float32
from portnn.ops._helpers import indices_at, plain
from portnn.ops._joining import concat
from portnn.ops._linear_algebra import matmul, matrix_transpose
from portnn.ops._logical import isfinite, logical_and, logical_not, logical_or
from portnn.ops._manipulation import cut
from portnn.ops._options import check_flag, check_number, check_positive
from portnn.ops._searching import all as all_
from portnn.ops._searching import any as any_
from portnn.ops._softmax import softmax
from portnn.ops._trigonometric import cos, sin
from portnn.tracing import at_home, check_floating, is_kind, primitive

__all__ = ["attention_weights", "rotary", "scaled_dot_product_attention"]


# Masked elements may hold anything, NaN included, and do not affect values or gradients. A weight of zero is
# not enough for that: zero times NaN is NaN. Masks have two axes at least, see `_mask_of`.
def _without_unused(x: Array, mask: tuple[Array, ...]) -> Array:
    """Return keys or values, with zeros in those that no query may attend to."""
    return where(any_(mask[0], axis=-2)[..., None], x, 0.0) if mask else x


def _finite(x: Array) -> Array:
    return where(isfinite(x), x, 0.0)


def _harmless(x: Array, mask: tuple[Array, ...]) -> Array:
    """Return keys or values for gradients, where non-finite ones have shown in the forward values."""
    if not mask:
        return x
    x = _without_unused(x, mask)
    return x if mask[0].shape[-2] == 1 else _finite(x)


def _allowed(x: Array, mask: tuple[Array, ...]) -> Array:
    return where(mask[0], x, 0.0) if mask else x


def _used(g: Array, y: Array, mask: tuple[Array, ...]) -> tuple[Array, ...]:
    """Return the mask without queries whose non-finite result is unused: their gradient is zero."""
    if not mask:
        return ()
    finite, zero = all_(isfinite(y), axis=-1, keepdims=True), all_(equal(g, 0.0), axis=-1, keepdims=True)
    return (logical_and(mask[0], logical_or(finite, logical_not(zero))),)


@primitive
def _scores(q: Array, k: Array, /, *mask: Array, scale: float) -> Array:
    """scale q kᵀ, and -inf where attention is not allowed."""
    scores = matmul(q * scale, matrix_transpose(_without_unused(k, mask)))
    return where(mask[0], scores, -float("inf")) if mask else scores


def _scores_rule(g: Array, y: Array, q: Array, k: Array, /, *mask: Array, scale: float) -> list[Array | None]:
    """scale g k by q, scale gᵀ q by k."""
    ds = _allowed(g, mask) * scale
    by_q = matmul(ds, _harmless(k, mask))
    by_k = matmul(matrix_transpose(ds), _finite(q) if mask else q)
    return [match(by_q, q), match(by_k, k), *[None] * len(mask)]


_scores.vjp_joint(_scores_rule)


def _weights(q: Array, k: Array, *mask: Array, scale: float) -> Array:
    """softmax(scale q kᵀ) over the keys that may be attended; a row without any is zeros."""
    scores = _scores(q, k, *mask, scale=scale)
    return softmax(scores) if scores.shape[-1] else scores


@primitive
def _mixed(p: Array, v: Array, /, *mask: Array) -> Array:
    """p v. Where the mask differs between queries, non-finite values are added to the queries that may attend
    to them: exact for one such value per column; with several, the value added may be another one of them.
    """
    v = _without_unused(v, mask)
    if not mask or mask[0].shape[-2] == 1:
        return matmul(p, v)
    finite = isfinite(v)
    special = sum_(where(finite, 0.0, v), axis=-2, keepdims=True)
    odd = any_(logical_not(finite), axis=-1)[..., None, :]
    attended = any_(logical_and(mask[0], odd), axis=-1, keepdims=True)
    return add(matmul(p, where(finite, v, 0.0)), where(attended, special, 0.0))


def _mixed_rule(g: Array, y: Array, p: Array, v: Array, /, *mask: Array) -> list[Array | None]:
    """g vᵀ by p, pᵀ g by v."""
    used = _used(g, y, mask)
    by_p = _allowed(matmul(g, matrix_transpose(_harmless(v, mask))), used)
    by_v = matmul(matrix_transpose(_allowed(p, used)), g)
    return [match(by_p, p), match(by_v, v), *[None] * len(mask)]


_mixed.vjp_joint(_mixed_rule)


@primitive
def _attention(q: Array, k: Array, v: Array, /, *mask: Array, scale: float) -> Array:
    return _mixed(_weights(q, k, *mask, scale=scale), v, *mask)


@_attention.saves
def _attention_and_weights(
    q: Array, k: Array, v: Array, /, *mask: Array, scale: float
) -> tuple[Array, Array]:
    p = _weights(q, k, *mask, scale=scale)
    return _mixed(p, v, *mask), p


# Vaswani et al., Attention is all you need (2017), equation 1: y = p v with p = softmax(scale q kᵀ). The rule
# of softmax needs the sum of p dp over the keys; that is the sum of g y over the features (Dao et al.,
# FlashAttention, 2022, section B.2), which is shorter.
def _attention_rule(
    g: Array, y: Array, q: Array, k: Array, v: Array, *mask: Array, scale: float, saved: Array | None = None
) -> list[Array | None]:
    """ds = scale p (g vᵀ - sum(g y)): by q it is ds k, by k dsᵀ q, by v pᵀ g."""
    p = _weights(q, k, *mask, scale=scale) if saved is None else saved
    by_p = matmul(g, matrix_transpose(_harmless(v, mask)))
    ds = multiply(p, subtract(by_p, sum_(multiply(g, y), axis=-1, keepdims=True)))
    used = _used(g, y, mask)
    by_q, by_k, *_ = _scores_rule(ds, y, q, k, *used, scale=scale)
    by_v = matmul(matrix_transpose(_allowed(p, used)), g)
    return [by_q, by_k, match(by_v, v), *[None] * len(mask)]


_attention.vjp_joint(_attention_rule)


def attend(weights: Array, v: Array, /, mask: Array | None = None, *, causal: bool = False) -> Array:
    """Return the means of values, weighted by `attention_weights` with these masks, perhaps with dropout."""
    return _mixed(weights, v, *_mask_of(weights, v, mask, causal))


def _mask_of(q: Array, k: Array, mask: Array | None, causal: bool) -> tuple[Array, ...]:
    """The mask and the causal one as one; nothing if there is neither."""
    if mask is not None and len(mask.shape) < 2:
        mask = reshape(mask, (1, -1))
    if not causal:
        return () if mask is None else (mask,)
    rows, columns = indices_at(q, q.shape[-2]), indices_at(q, k.shape[-2])
    past = greater_equal(rows[:, None], columns[None, :])
    return (past if mask is None else logical_and(mask, past),)


def _check(name: str, q: Array, k: Array, mask: Array | None, causal: bool) -> None:
    check_flag(name, "causal", causal)
    for array in (q, k):
        check_floating(name, array)
    if len(q.shape) < 2 or len(k.shape) < 2 or q.shape[-1] != k.shape[-1]:
        raise ValueError(
            f"{name}: expected queries (..., m, features) and keys (..., n, features), "
            f"got {tuple(q.shape)} and {tuple(k.shape)}"
        )
    if mask is not None and not is_kind(mask, "bool"):
        raise TypeError(f"{name}: mask must be boolean, True where attention is allowed, got {mask.dtype}")


def _scale_of(name: str, q: Array, scale: float | None) -> float:
    return 1.0 / sqrt(q.shape[-1]) if scale is None else check_number(name, "scale", scale)


@at_home
@in_float32
def attention_weights(
    q: Array, k: Array, /, mask: Array | None = None, *, causal: bool = False, scale: float | None = None
) -> Array:
    """How much attention each query pays to each key, ``softmax(scale q kᵀ)``.

    Args:
        q: queries, floating-point array of shape (..., m, features).
        k: keys, of shape (..., n, features).
        mask: boolean array that broadcasts to (..., m, n), True where attention is allowed.
        causal: whether query i may only attend keys 0 to i.
        scale: the factor of the products; by default one over the root of the number of features.

    Returns:
        Weights of shape (..., m, n): rows of sum 1, or zeros for a query that may attend nothing.

    Raises:
        TypeError: if `q` or `k` is not floating-point, `mask` or `causal` not boolean, or `scale` no number.
        ValueError: if the shapes do not fit together, or `scale` is not finite.

    Example:
        >>> import numpy as np
        >>> attention_weights(np.zeros((2, 3)), np.zeros((2, 3)), causal=True).tolist()
        [[1.0, 0.0], [0.5, 0.5]]
    """
    name = "attention_weights"
    _check(name, q, k, mask, causal)
    return _weights(q, k, *_mask_of(q, k, mask, causal), scale=_scale_of(name, q, scale))


@at_home
@in_float32
def scaled_dot_product_attention(
    q: Array,
    k: Array,
    v: Array,
    /,
    mask: Array | None = None,
    *,
    causal: bool = False,
    scale: float | None = None,
) -> Array:
    """Attention: for each query the mean of the values, weighted by `attention_weights`.

    Vaswani et al., Attention is all you need (2017), equation 1.

    Args:
        q: queries, floating-point array of shape (..., m, features).
        k: keys, of shape (..., n, features).
        v: values, of shape (..., n, width).
        mask: boolean array that broadcasts to (..., m, n), True where attention is allowed.
        causal: whether query i may only attend keys 0 to i.
        scale: the factor of the products; by default one over the root of the number of features.

    Returns:
        An array of shape (..., m, width); zeros, with a gradient of zeros, for a query that may attend
        nothing.

    Raises:
        TypeError: if an array is not floating-point, `mask` or `causal` not boolean, or `scale` no number.
        ValueError: if the shapes do not fit together, or `scale` is not finite.

    Example:
        >>> import numpy as np
        >>> q, v = np.zeros((2, 1)), np.asarray([[1.0], [3.0]])
        >>> scaled_dot_product_attention(q, q, v).tolist()
        [[2.0], [2.0]]
        >>> scaled_dot_product_attention(q, q, v, np.asarray([[True, False], [False, False]])).tolist()
        [[1.0], [0.0]]
    """
    name = "scaled_dot_product_attention"
    _check(name, q, k, mask, causal)
    check_floating(name, v)
    if len(v.shape) < 2 or v.shape[-2] != k.shape[-2]:
        raise ValueError(
            f"{name}: expected a value for each of {k.shape[-2]} keys, (..., {k.shape[-2]}, width), "
            f"got {tuple(v.shape)}"
        )
    return _attention(q, k, v, *_mask_of(q, k, mask, causal), scale=_scale_of(name, q, scale))


@primitive
def _rotate(x: Array, c: Array, s: Array, /) -> Array:
    half = x.shape[-1] // 2
    last = len(x.shape) - 1
    a, b = cut(x, axis=last, start=0, stop=half), cut(x, axis=last, start=half, stop=2 * half)
    turned = [subtract(multiply(a, c), multiply(b, s)), add(multiply(b, c), multiply(a, s))]
    return concat(turned, axis=last)


# A rotation; its transpose turns back. The angles are made of integers and have no derivative.
_rotate.vjp(lambda g, y, x, c, s: match(_rotate(g, c, -s), x), None, None)


@at_home
def rotary(x: Array, positions: Array, /, *, base: float = 10000.0) -> Array:
    """Positions as rotations: products of rotated queries and keys depend on their distance alone.

    Su et al., RoFormer: enhanced transformer with rotary position embedding (2021), equation 34. With
    features in two halves, feature i and feature i + features / 2 are turned together, by the angle
    ``position * base ** (-2 i / features)``; their paper pairs neighbours, which is the same but for
    the order of the features.

    Args:
        x: floating-point array of shape (..., n, features), `features` even.
        positions: integers or floating-point numbers of shape (n,), or one that broadcasts to (..., n).
        base: the larger, the slower the last features turn.

    Returns:
        An array of the shape of `x`.

    Raises:
        TypeError: if `x` is not floating-point, or `base` no number.
        ValueError: if the number of features is odd, or `base` not positive.

    Example:
        >>> import numpy as np
        >>> rotary(np.asarray([[1.0, 0.0], [1.0, 0.0]]), np.asarray([0, 1])).round(4).tolist()
        [[1.0, 0.0], [0.5403, 0.8415]]
    """
    check_floating("rotary", x)
    if not x.shape or x.shape[-1] % 2:
        raise ValueError(f"rotary: expected an even number of features, got shape {tuple(x.shape)}")
    base = check_positive("rotary", "base", base)
    here = plain(x)
    steps = astype(indices_at(here, x.shape[-1] // 2), here.dtype)
    speeds = exp(steps * (-2.0 * log(base) / max(x.shape[-1], 1)))
    angles = multiply(astype(plain(positions), here.dtype)[..., None], speeds)
    return _rotate(x, cos(angles), sin(angles))
