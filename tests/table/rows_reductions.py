"""Functions along axes: sums and statistics, cumulative ones, sorting and searching."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from portnn import ops
from tests.table.engine import CONSTANT_KIND, VALUES, Row, apart, fixed, integers, normal


def row(
    name: str, function: Callable[..., Any], args: tuple[Any, ...], oracle: Callable[..., Any], **more: Any
) -> Row:
    """A row of `ops`."""
    return Row(f"ops.{name}", function, args, oracle, **more)


def reductions(
    name: str, make: Callable[..., Any], oracle: Callable[..., Any], *, empty: bool, **more: Any
) -> list[Row]:
    """Rows of a reduction: all axes, one, several, kept, of a 0-d array, of an empty one."""
    f = getattr(ops, name)
    rows = [
        row(name, f, (make(2, 3),), oracle, **more),
        row(name, lambda x: f(x, axis=0), (make(2, 3),), lambda x: oracle(x, axis=0), case="axis 0", **more),
        row(name, lambda x: f(x, axis=-1, keepdims=True), (make(2, 3),), lambda x: oracle(x, axis=-1, keepdims=True),
            case="kept", **more),
        row(name, lambda x: f(x, axis=(0, 2)), (make(2, 3, 2),), lambda x: oracle(x, axis=(0, 2)), case="two axes",
            **more),
        row(name, f, (make(),), oracle, case="0-d", **more),
    ]  # fmt: skip
    if empty:
        rows += [
            row(name, f, (make(0, 3),), oracle, case="empty", **more),
            row(
                name,
                lambda x: f(x, axis=0),
                (make(0, 3),),
                lambda x: oracle(x, axis=0),
                case="empty axis",
                **more,
            ),
        ]
    return rows


def textbook_var(x: np.ndarray, axis: Any = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    """The sum of squared deviations over n - correction."""
    deviations = x - np.mean(x, axis=axis, keepdims=True)
    total = np.sum(deviations * deviations, axis=axis, keepdims=keepdims)
    return total / (x.size / np.size(np.sum(x, axis=axis)) - correction)


SUMS = [
    *reductions("sum", normal, np.sum, empty=True),
    *reductions("prod", normal, np.prod, empty=True),
    *reductions("mean", normal, np.mean, empty=False),
    *reductions("max", apart, np.max, empty=False),
    *reductions("min", apart, np.min, empty=False),
    *reductions("var", normal, textbook_var, empty=False),
    *reductions("std", normal, lambda *a, **k: np.sqrt(textbook_var(*a, **k)), empty=False)[:4],
    row("var", lambda x: ops.var(x, axis=1, correction=1.0), (normal(2, 3),),
        lambda x: textbook_var(x, axis=1, correction=1.0), case="corrected"),
    row("std", lambda x: ops.std(x, axis=1, correction=1.0), (normal(2, 3),),
        lambda x: np.sqrt(textbook_var(x, axis=1, correction=1.0)), case="corrected"),
    row("sum", lambda x: ops.sum(x, axis=0), (integers(-3, 9, 4, 2),), lambda x: x[0] + x[1] + x[2] + x[3],
        kind=CONSTANT_KIND, case="integers"),
    row("prod", lambda x: ops.prod(x, axis=1), (fixed([[2.0, 0.0, 3.0], [1.5, 2.0, -1.0]]),),
        lambda x: x[:, 0] * x[:, 1] * x[:, 2], case="zero"),
    row("prod", ops.prod, (fixed([0.0, 0.0, 3.0, 2.0]),), np.prod, case="two zeros"),
]  # fmt: skip


def running(f: Callable[[Any, Any], Any], x: np.ndarray, axis: int = 0) -> np.ndarray:
    """A running sum or product by a loop."""
    columns = np.moveaxis(x, axis, 0)
    out = [columns[0]]
    for column in columns[1:]:
        out.append(f(out[-1], column))
    return np.moveaxis(np.stack(out), 0, axis)


def with_first(x: np.ndarray, value: float, axis: int) -> np.ndarray:
    """A number put before the first along an axis."""
    return np.concatenate([np.full_like(np.take(x, [0], axis=axis), value), x], axis=axis)


CUMULATIVE = [
    row("cumulative_sum", ops.cumulative_sum, (normal(5),), lambda x: running(np.add, x)),
    row("cumulative_sum", lambda x: ops.cumulative_sum(x, axis=1, include_initial=True), (normal(2, 3),),
        lambda x: with_first(running(np.add, x, 1), 0.0, 1), case="with initial"),
    row("cumulative_sum", lambda x: ops.cumulative_sum(x, axis=0), (normal(3, 2),), lambda x: running(np.add, x),
        case="axis 0"),
    row("cumulative_prod", ops.cumulative_prod, (normal(5),), lambda x: running(np.multiply, x)),
    row("cumulative_prod", lambda x: ops.cumulative_prod(x, axis=1, include_initial=True), (normal(2, 3),),
        lambda x: with_first(running(np.multiply, x, 1), 1.0, 1), case="with initial"),
    row("cumulative_prod", ops.cumulative_prod, (fixed([2.0, 0.0, 3.0, -1.5]),), lambda x: running(np.multiply, x),
        case="zero"),
    row("cumulative_prod", ops.cumulative_prod, (fixed([2.0, 0.0, 3.0, 0.0, 0.5]),), lambda x: running(np.multiply, x),
        case="two zeros"),
    row("diff", ops.diff, (normal(5),), lambda x: x[1:] - x[:-1]),
    row("diff", lambda x: ops.diff(x, axis=0, n=2), (normal(4, 2),), lambda x: x[2:] - 2.0 * x[1:-1] + x[:-2],
        case="second"),
    row("diff", lambda x, a, b: ops.diff(x, prepend=a, append=b), (normal(2, 3), normal(2, 1), normal(2, 2)),
        lambda x, a, b: np.concatenate([a, x, b], 1)[:, 1:] - np.concatenate([a, x, b], 1)[:, :-1],
        case="with ends"),
]  # fmt: skip


def by_sorted(x: np.ndarray, *, index: bool, descending: bool = False) -> np.ndarray:
    """Sorted by Python along the last axis: the values, or their places (the first of equal ones first)."""
    sign = -1.0 if descending else 1.0
    orders = [sorted(range(len(line)), key=lambda i, line=line: sign * line[i]) for line in np.atleast_2d(x)]
    chosen = np.asarray(orders) if index else np.take_along_axis(np.atleast_2d(x), np.asarray(orders), 1)
    return chosen.reshape(x.shape)


SORTING = [
    row("sort", ops.sort, (apart(2, 4),), lambda x: by_sorted(x, index=False)),
    row("sort", lambda x: ops.sort(x, axis=0, descending=True), (apart(4, 2),),
        lambda x: by_sorted(x.T, index=False, descending=True).T, case="descending"),
    row("argsort", ops.argsort, (apart(2, 4),), lambda x: by_sorted(x, index=True), kind=CONSTANT_KIND),
    row("argsort", lambda x: ops.argsort(x, descending=True), (fixed([2.0, 1.0, 2.0, 1.0, 3.0]),),
        lambda x: by_sorted(x, index=True, descending=True), kind=CONSTANT_KIND, case="ties"),
    row("argmax", lambda x: ops.argmax(x, axis=1), (apart(2, 4),),
        lambda x: np.asarray([max(range(4), key=line.__getitem__) for line in x.tolist()]), kind=CONSTANT_KIND),
    row("argmin", lambda x: ops.argmin(x, axis=1, keepdims=True), (apart(2, 4),),
        lambda x: np.asarray([[min(range(4), key=line.__getitem__)] for line in x.tolist()]), kind=CONSTANT_KIND),
    row("argmax", ops.argmax, (apart(2, 4),), lambda x: np.asarray(x.ravel().tolist().index(x.max())),
        kind=CONSTANT_KIND, case="flat"),
    row("count_nonzero", lambda x: ops.count_nonzero(x, axis=0), (fixed([[0.0, 1.0], [2.0, 0.0], [0.0, 4.0]]),),
        lambda x: np.asarray([1, 2]), kind=CONSTANT_KIND),
    row("searchsorted", ops.searchsorted, (fixed([0.0, 1.0, 2.0]), fixed([-1.0, 1.0, 1.5, 5.0])),
        lambda a, v: np.asarray([0, 1, 2, 3]), kind=CONSTANT_KIND),
    row("searchsorted", lambda a, v: ops.searchsorted(a, v, side="right"),
        (fixed([0.0, 1.0, 2.0]), fixed([-1.0, 1.0, 1.5, 5.0])), lambda a, v: np.asarray([0, 2, 2, 3]),
        kind=CONSTANT_KIND, case="right"),
    row("all", lambda x: ops.all(x, axis=1), (fixed([[0.0, 1.0], [2.0, 3.0]]),), lambda x: np.asarray([False, True]),
        kind=CONSTANT_KIND),
    row("any", lambda x: ops.any(x, axis=1), (fixed([[0.0, 0.0], [2.0, 0.0]]),), lambda x: np.asarray([False, True]),
        kind=CONSTANT_KIND),
]  # fmt: skip

REPEATED = fixed([3.0, 1.0, 3.0, 2.0, 1.0])
# Their lengths depend on values: skipped where a library has switched that off.
DEPENDENT: dict[str, Any] = {"kind": CONSTANT_KIND, "needs_data_dependent_shapes": True}
SETS = {**DEPENDENT, "kind": VALUES}
DATA_DEPENDENT = [
    row("nonzero", ops.nonzero, (fixed([0.0, 2.0, 0.0, 1.0]),), lambda x: (np.asarray([1, 3]),), **DEPENDENT),
    row("unique_values", lambda x: ops.sort(ops.unique_values(x)), (REPEATED,), lambda x: np.asarray([1.0, 2.0, 3.0]),
        **SETS),
    row("unique_counts", lambda x: tuple(ops.unique_counts(x)), (REPEATED,),
        lambda x: (np.asarray([1.0, 2.0, 3.0]), np.asarray([2, 1, 2])), **SETS),
    row("unique_inverse", lambda x: tuple(ops.unique_inverse(x)), (REPEATED,),
        lambda x: (np.asarray([1.0, 2.0, 3.0]), np.asarray([2, 0, 2, 1, 0])), **SETS),
    row("unique_all", lambda x: tuple(ops.unique_all(x)), (REPEATED,),
        lambda x: (np.asarray([1.0, 2.0, 3.0]), np.asarray([1, 3, 0]), np.asarray([2, 0, 2, 1, 0]),
                   np.asarray([2, 1, 2])), not_on=("torch",), **SETS),
]  # fmt: skip

FUSED_REDUCTIONS = [
    row("logsumexp", ops.logsumexp, (normal(2, 3),), lambda x: np.log(np.sum(np.exp(x)))),
    row("logsumexp", lambda x: ops.logsumexp(x, axis=-1), (normal(2, 3),), lambda x: np.log(np.sum(np.exp(x), 1)),
        case="axis"),
    row("logsumexp", lambda x: ops.logsumexp(x, axis=(0, 2), keepdims=True), (normal(2, 3, 2),),
        lambda x: np.log(np.sum(np.exp(x), (0, 2), keepdims=True)), case="kept"),
    row("logsumexp", ops.logsumexp, (normal(),), lambda x: x, case="0-d"),
    row("softmax", ops.softmax, (normal(2, 3),), lambda x: np.exp(x) / np.sum(np.exp(x), -1, keepdims=True)),
    row("softmax", lambda x: ops.softmax(x, axis=0), (normal(2, 3),), lambda x: np.exp(x) / np.sum(np.exp(x), 0),
        case="axis 0"),
    row("softmax", ops.softmax, (normal(0, 3),), lambda x: x, case="empty"),
    row("softmax", ops.softmax, (normal(),), np.ones_like, case="scalar"),
    row("log_softmax", lambda x: ops.log_softmax(x, axis=0), (normal(),), np.zeros_like, case="scalar"),
    row("log_softmax", ops.log_softmax, (normal(2, 3),), lambda x: x - np.log(np.sum(np.exp(x), -1, keepdims=True))),
    row("log_softmax", lambda x: ops.log_softmax(x, axis=0), (normal(2, 3),),
        lambda x: x - np.log(np.sum(np.exp(x), 0)), case="axis 0"),
]  # fmt: skip

ROWS = [*SUMS, *CUMULATIVE, *SORTING, *DATA_DEPENDENT, *FUSED_REDUCTIONS]
