"""Linear algebra, Fourier transforms, and the fused functions of networks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from portnn import ops
from tests.table.engine import CONSTANT_KIND, VALUES, Maker, Row, apart, between, fixed, integers, normal


def row(
    name: str, function: Callable[..., Any], args: tuple[Any, ...], oracle: Callable[..., Any], **more: Any
) -> Row:
    """A row of `ops`."""
    return Row(f"ops.{name}", function, args, oracle, **more)


def _shapes(
    name: str, function: Callable[..., Any], oracle: Callable[..., Any], pairs: dict[str, Any]
) -> list[Row]:
    return [
        row(name, function, (normal(*a), normal(*b)), oracle, case=case) for case, (a, b) in pairs.items()
    ]


def slow_matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The product of matrices as a sum over broadcast products."""
    wide_a = a[None, :] if a.ndim == 1 else a
    wide_b = b[:, None] if b.ndim == 1 else b
    out = np.sum(wide_a[..., :, :, None] * wide_b[..., None, :, :], axis=-2)
    if a.ndim == 1:
        out = out[..., 0, :]
    return out[..., 0] if b.ndim == 1 else out


MATMUL = {
    "matrices": ((2, 3), (3, 2)),
    "vectors": ((3,), (3,)),
    "matrix vector": ((2, 3), (3,)),
    "vector matrix": ((3,), (3, 2)),
    "stacks": ((2, 2, 3), (2, 3, 2)),
    "broadcast stacks": ((2, 1, 2, 3), (2, 3, 1)),
    "stack matrix": ((2, 2, 3), (3, 2)),
    "matrix stack": ((2, 3), (2, 3, 2)),
    "vector stack": ((3,), (2, 3, 2)),
    "stack vector": ((2, 2, 3), (3,)),
    "empty": ((0, 3), (3, 2)),
    "empty inside": ((2, 0), (0, 2)),
}
VECDOT = {"vectors": ((3,), (3,)), "stacks": ((2, 3), (2, 3)), "broadcast": ((2, 1, 3), (2, 3))}


def _tensordot(axes: Any, formula: str, a: tuple[int, ...], b: tuple[int, ...], case: str) -> Row:
    return row("tensordot", lambda x, y: ops.tensordot(x, y, axes=axes), (normal(*a), normal(*b)),
               lambda x, y: np.einsum(formula, x, y), case=case)  # fmt: skip


PRODUCTS = [
    *_shapes("matmul", ops.matmul, slow_matmul, MATMUL),
    *_shapes("vecdot", ops.vecdot, lambda a, b: np.sum(a * b, axis=-1), VECDOT),
    row("vecdot", lambda a, b: ops.vecdot(a, b, axis=-2), (normal(3, 2), normal(3, 2)), lambda a, b: np.sum(a * b, 0),
        case="axis"),
    _tensordot(1, "ab,bc->ac", (2, 3), (3, 2), "one axis"),
    _tensordot(2, "abc,bcd->ad", (2, 2, 3), (2, 3, 2), "two axes"),
    _tensordot(0, "ab,c->abc", (2, 2), (3,), "no axis"),
    _tensordot(((0, 2), (1, 0)), "abc,cad->bd", (2, 2, 3), (3, 2, 2), "pairs"),
]  # fmt: skip


def plain_linear(x: np.ndarray, w: np.ndarray, b: np.ndarray | None = None) -> np.ndarray:
    """Σ x w + b by einsum."""
    return np.einsum("...i,io->...o", x, w) + (0.0 if b is None else b)


LINEAR = [
    row("linear", ops.linear, (normal(4, 3), normal(3, 2), normal(2)), plain_linear),
    row("linear", ops.linear, (normal(4, 3), normal(3, 2), None), plain_linear, case="no bias"),
    row("linear", ops.linear, (normal(4, 3), normal(3, 2)), plain_linear, case="two arguments"),
    row("linear", ops.linear, (normal(3), normal(3, 2), normal(2)), plain_linear, case="vector"),
    row("linear", ops.linear, (normal(2, 2, 3), normal(3, 2), normal(2)), plain_linear, case="stack"),
    row("linear", ops.linear, (normal(0, 3), normal(3, 2), normal(2)), plain_linear, case="empty"),
]


def one_hot(labels: np.ndarray, n: int) -> np.ndarray:
    """1 at the label."""
    return np.asarray([[float(k == label) for k in range(n)] for label in labels.ravel()]).reshape(
        *labels.shape, n
    )


def plain_cross_entropy(x: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """-Σ t log softmax(x)."""
    targets = targets if targets.dtype.kind == "f" else one_hot(targets, x.shape[-1])
    return -np.sum(targets * (x - np.log(np.sum(np.exp(x), -1, keepdims=True))), -1)


def plain_sigmoid_cross_entropy(x: np.ndarray, t: np.ndarray) -> np.ndarray:
    """-t log s - (1 - t) log(1 - s)."""
    s = 1.0 / (1.0 + np.exp(-x))
    return -t * np.log(s) - (1.0 - t) * np.log(1.0 - s)


CROSS_ENTROPY = [
    row("softmax_cross_entropy", ops.softmax_cross_entropy, (normal(3, 4), integers(0, 4, 3)), plain_cross_entropy,
        case="labels"),
    row("softmax_cross_entropy", ops.softmax_cross_entropy, (normal(2, 2, 3), integers(0, 3, 2, 2)),
        plain_cross_entropy, case="labels of pixels"),
    row("softmax_cross_entropy", ops.softmax_cross_entropy, (normal(4), integers(0, 4)), plain_cross_entropy,
        case="one sample"),
    row("softmax_cross_entropy", ops.softmax_cross_entropy, (normal(0, 4), integers(0, 4, 0)), plain_cross_entropy,
        case="empty"),
    row("softmax_cross_entropy", ops.softmax_cross_entropy, (normal(3, 4), between(0.1, 0.9, 3, 4)),
        plain_cross_entropy, case="soft targets"),
    row("softmax_cross_entropy", partial(ops.softmax_cross_entropy, mean=True), (normal(2, 3, 4), integers(0, 4, 2, 3)),
        lambda x, t: np.mean(plain_cross_entropy(x, t)), case="mean over labels"),
    row("softmax_cross_entropy", partial(ops.softmax_cross_entropy, mean=True), (normal(3, 4), between(0.1, 0.9, 3, 4)),
        lambda x, t: np.mean(plain_cross_entropy(x, t)), case="mean over soft targets"),
    row("sigmoid_cross_entropy", ops.sigmoid_cross_entropy, (normal(2, 3), between(0.1, 0.9, 2, 3)),
        plain_sigmoid_cross_entropy, elementwise=True, numbers=False),
]  # fmt: skip


def well(*shape: int) -> Maker:
    """Square matrices far from singular."""
    return lambda rng: 2.0 * np.eye(shape[-1]) * np.ones(shape) + 0.4 * rng.normal(size=shape)


def _plus_transposed(x: Any) -> Any:
    return ops.add(x, ops.matrix_transpose(x))


def _columns_scaled(vectors: Any, values: Any) -> Any:
    return ops.multiply(vectors, ops.expand_dims(values, axis=-2))


def eigen_product(x: Any) -> Any:
    """V diag(w) Vᵀ, which does not depend on the signs of the eigenvectors."""
    w, v = ops.linalg.eigh(_plus_transposed(x))
    return ops.matmul(_columns_scaled(v, w), ops.matrix_transpose(v))


def singular_product(x: Any) -> Any:
    """U diag(s) Vᵀ."""
    u, s, vt = ops.linalg.svd(x, full_matrices=False)
    return ops.matmul(_columns_scaled(u, s), vt)


def orthogonal_product(x: Any) -> Any:
    """Q R."""
    q, r = ops.linalg.qr(x)
    return ops.matmul(q, r)


def by_matrix(f: Callable[[np.ndarray], Any]) -> Callable[[np.ndarray], np.ndarray]:
    """A function of one matrix as a function of a stack of them."""
    return lambda x: np.asarray([f(m) for m in x.reshape(-1, *x.shape[-2:])]).reshape(*x.shape[:-2], *np.shape(f(
        x.reshape(-1, *x.shape[-2:])[0])))  # fmt: skip


def cofactor_det(m: np.ndarray) -> float:
    """The determinant by expansion along the first row."""
    if len(m) == 1:
        return float(m[0, 0])
    minors = [np.delete(m[1:], k, axis=1) for k in range(len(m))]
    return sum((-1) ** k * float(m[0, k]) * cofactor_det(minor) for k, minor in enumerate(minors))


def adjugate_inverse(m: np.ndarray) -> np.ndarray:
    """The inverse by cofactors."""

    def minor(i: int, j: int) -> np.ndarray:
        return np.delete(np.delete(m, i, axis=0), j, axis=1)

    n = len(m)
    return np.asarray(
        [[(-1) ** (i + j) * cofactor_det(minor(j, i)) for j in range(n)] for i in range(n)]
    ) / cofactor_det(m)


def textbook_cholesky(s: np.ndarray) -> np.ndarray:
    """Lower factor, column by column."""
    low = np.zeros_like(s)
    for j in range(len(s)):
        low[j, j] = np.sqrt(s[j, j] - np.sum(low[j, :j] ** 2))
        for i in range(j + 1, len(s)):
            low[i, j] = (s[i, j] - np.sum(low[i, :j] * low[j, :j])) / low[j, j]
    return low


def linalg(
    name: str, function: Callable[..., Any], args: tuple[Any, ...], oracle: Callable[..., Any], **more: Any
) -> Row:
    """A row of `ops.linalg`."""
    return Row(
        f"ops.linalg.{name}",
        function,
        args,
        oracle,
        **{"rtol": 1e-11, "rtol32": 2e-5, "grad32": 2e-5, **more},
    )


def singular_values(x: np.ndarray) -> np.ndarray:
    """Roots of the eigenvalues of x xᵀ, the largest first."""
    return np.sqrt(np.sort(np.linalg.eigvalsh(x @ np.swapaxes(x, -1, -2)), -1)[..., ::-1])


DECOMPOSITIONS = [
    linalg("inv", ops.linalg.inv, (well(3, 3),), adjugate_inverse),
    linalg("inv", ops.linalg.inv, (well(2, 2, 2),), by_matrix(adjugate_inverse), case="stack"),
    linalg("solve", ops.linalg.solve, (well(3, 3), normal(3)), lambda a, b: adjugate_inverse(a) @ b, case="vector"),
    linalg("solve", ops.linalg.solve, (well(3, 3), normal(3, 2)), lambda a, b: adjugate_inverse(a) @ b, case="matrix"),
    linalg("solve", ops.linalg.solve, (well(2, 2, 2), normal(2, 2, 1)),
        lambda a, b: by_matrix(adjugate_inverse)(a) @ b, case="stack"),
    linalg("det", ops.linalg.det, (well(3, 3),), lambda m: np.asarray(cofactor_det(m))),
    linalg("det", ops.linalg.det, (well(2, 2, 2),), by_matrix(cofactor_det), case="stack"),
    linalg("slogdet", lambda x: tuple(ops.linalg.slogdet(x)), (well(3, 3),),
        lambda m: (np.asarray(np.sign(cofactor_det(m))), np.asarray(np.log(abs(cofactor_det(m)))))),
    linalg("cholesky", lambda x: ops.linalg.cholesky(_plus_transposed(x)), (well(3, 3),),
        lambda x: textbook_cholesky(x + x.T)),
    linalg("cholesky", lambda x: ops.linalg.cholesky(_plus_transposed(x), upper=True), (well(2, 2, 2),),
        lambda x: np.swapaxes(by_matrix(textbook_cholesky)(x + np.swapaxes(x, 1, 2)), 1, 2), case="upper, stack"),
    linalg("eigh", eigen_product, (normal(3, 3),), lambda x: x + x.T, kind=VALUES),
    linalg("eigvalsh", lambda x: ops.sum(ops.linalg.eigvalsh(_plus_transposed(x))), (normal(3, 3),),
        lambda x: np.asarray(2.0 * np.trace(x)), kind=VALUES),
    linalg("qr", orthogonal_product, (normal(3, 2),), lambda x: x, kind=VALUES),
    linalg("svd", singular_product, (normal(3, 2),), lambda x: x, kind=VALUES),
    linalg("svdvals", ops.linalg.svdvals, (normal(2, 3),), singular_values, order=1),
    linalg("pinv", ops.linalg.pinv, (normal(3, 2),), lambda x: adjugate_inverse(x.T @ x) @ x.T, kind=VALUES),
    linalg("matrix_rank", ops.linalg.matrix_rank, (fixed([[1.0, 2.0], [2.0, 4.0]]),), lambda x: np.asarray(1),
        kind=CONSTANT_KIND),
    linalg("matrix_rank", ops.linalg.matrix_rank, (normal(2, 0, 3),), lambda x: np.zeros(2, dtype=np.int64),
        kind=CONSTANT_KIND, case="empty"),
]  # fmt: skip


def _norm_row(p: float, case: str, **more: Any) -> Row:
    return linalg("vector_norm", lambda x: ops.linalg.vector_norm(x, axis=-1, ord=p), (apart(2, 3, gap=0.5),),
                  lambda x: np.sum(np.abs(x) ** p, -1) ** (1 / p), case=case, **more)  # fmt: skip


NORMS = [
    linalg("vector_norm", ops.linalg.vector_norm, (normal(2, 3),), lambda x: np.sqrt(np.sum(x * x))),
    linalg("vector_norm", lambda x: ops.linalg.vector_norm(x, axis=(0, 2), keepdims=True), (normal(2, 3, 2),),
        lambda x: np.sqrt(np.sum(x * x, (0, 2), keepdims=True)), case="axes kept"),
    linalg("vector_norm", ops.linalg.vector_norm, (apart(),), np.abs, case="0-d"),
    _norm_row(1.0, "order 1"), _norm_row(3.0, "order 3"), _norm_row(2.5, "order 2.5"), _norm_row(-1.0, "order -1"),
    linalg("vector_norm", lambda x: ops.linalg.vector_norm(x, ord=float("inf")), (fixed([0.5, -2.0, 1.4, 0.1]),),
        lambda x: np.max(np.abs(x)), case="order inf"),
    linalg("vector_norm", lambda x: ops.linalg.vector_norm(x, axis=0, ord=float("-inf")), (apart(3, 2),),
        lambda x: np.min(np.abs(x), 0), case="order -inf"),
    linalg("vector_norm", lambda x: ops.linalg.vector_norm(x, ord=0), (fixed([1.0, -2.0, 3.0]),),
        lambda x: np.asarray(3.0), case="order 0"),
    linalg("matrix_norm", ops.linalg.matrix_norm, (normal(2, 2, 3),), lambda x: np.sqrt(np.sum(x * x, (1, 2)))),
    linalg("matrix_norm", lambda x: ops.linalg.matrix_norm(x, ord=1, keepdims=True), (apart(3, 2),),
        lambda x: np.max(np.sum(np.abs(x), 0)).reshape(1, 1), case="order 1 kept"),
    linalg("matrix_norm", lambda x: ops.linalg.matrix_norm(x, ord=float("-inf")), (apart(3, 2),),
        lambda x: np.min(np.sum(np.abs(x), 1)), case="order -inf"),
    linalg("matrix_norm", lambda x: ops.linalg.matrix_norm(x, ord="nuc"), (normal(2, 3),),
        lambda x: np.sum(singular_values(x)), case="nuclear", order=1),
    linalg("matrix_norm", lambda x: ops.linalg.matrix_norm(x, ord=2), (normal(2, 3),),
        lambda x: np.max(singular_values(x)), case="order 2", order=1),
    linalg("matrix_norm", lambda x: ops.linalg.matrix_norm(x, ord=-2), (normal(2, 3),),
        lambda x: np.min(singular_values(x)), case="order -2", order=1),
]  # fmt: skip

VECTORS = [
    linalg("outer", ops.linalg.outer, (normal(3), normal(2)), lambda a, b: np.einsum("a,b->ab", a, b)),
    linalg("cross", ops.linalg.cross, (normal(2, 3), normal(2, 3)), lambda a, b: np.stack([
        a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1], a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2],
        a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]], 1)),
    linalg("matrix_power", lambda x: ops.linalg.matrix_power(x, 3), (well(2, 2),), lambda x: x @ x @ x),
    linalg("matrix_power", lambda x: ops.linalg.matrix_power(x, -2), (well(2, 2),),
        lambda x: adjugate_inverse(x @ x), case="negative"),
    linalg("matrix_power", lambda x: ops.linalg.matrix_power(x, 0), (well(2, 2),), lambda x: np.eye(2), case="zero",
        kind=CONSTANT_KIND),
    linalg("diagonal", ops.linalg.diagonal, (normal(2, 3, 2),), lambda x: np.stack([x[:, 0, 0], x[:, 1, 1]], 1)),
    linalg("diagonal", lambda x: ops.linalg.diagonal(x, offset=1), (normal(2, 3),),
        lambda x: np.asarray([x[0, 1], x[1, 2]]), case="above"),
    linalg("diagonal", lambda x: ops.linalg.diagonal(x, offset=-1), (normal(3, 3),),
        lambda x: np.asarray([x[1, 0], x[2, 1]]), case="below"),
    linalg("trace", ops.linalg.trace, (normal(2, 3, 3),), lambda x: x[:, 0, 0] + x[:, 1, 1] + x[:, 2, 2]),
    linalg("trace", lambda x: ops.linalg.trace(x, offset=1), (normal(2, 3),), lambda x: x[0, 1] + x[1, 2], case="above"),
]  # fmt: skip
ROWS = [*PRODUCTS, *LINEAR, *CROSS_ENTROPY, *DECOMPOSITIONS, *NORMS, *VECTORS]
