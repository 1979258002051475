"""Functions that move elements: manipulation, joining, indexing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from portnn import ops
from tests.table.engine import CONSTANT_KIND, VALUES, Row, fixed, integers, namespace, normal, to_complex


def row(
    name: str, function: Callable[..., Any], args: tuple[Any, ...], oracle: Callable[..., Any], **more: Any
) -> Row:
    """A row of `ops`."""
    return Row(f"ops.{name}", function, args, oracle, **more)


X = normal(2, 3)
TWO = fixed([2, 0, 2, 1], "int64")

MANIPULATION = [
    row("reshape", lambda x: ops.reshape(x, (3, -1)), (X,), lambda x: x.ravel().reshape(3, 2)),
    row("reshape", lambda x: ops.reshape(x, (2, 0)), (normal(0, 3),), lambda x: np.zeros((2, 0)), case="empty"),
    row("reshape", lambda x: ops.reshape(x, (1, 1)), (normal(),), lambda x: np.asarray([[x]]), case="0-d"),
    row("broadcast_to", lambda x: ops.broadcast_to(x, (2, 2, 3)), (normal(2, 1),), lambda x: np.ones((2, 2, 3)) * x),
    row("broadcast_to", lambda x: ops.broadcast_to(x, (0, 3)), (normal(1, 3),), lambda x: np.zeros((0, 3)), case="empty"),
    row("broadcast_arrays", lambda x, y: list(ops.broadcast_arrays(x, y)), (normal(2, 1), normal(3)),
        lambda x, y: [x + 0.0 * y, 0.0 * x + y]),
    row("expand_dims", lambda x: ops.expand_dims(x, axis=1), (X,), lambda x: x.reshape(2, 1, 3)),
    row("expand_dims", lambda x: ops.expand_dims(x, axis=(-1, 0)), (X,), lambda x: x.reshape(1, 2, 3, 1), case="two"),
    row("squeeze", lambda x: ops.squeeze(x, axis=(0, 2)), (normal(1, 3, 1),), lambda x: x.ravel()),
    row("squeeze", lambda x: ops.squeeze(x, -1), (normal(3, 1),), lambda x: x.ravel(), case="negative"),
    row("permute_dims", lambda x: ops.permute_dims(x, (2, 0, 1)), (normal(2, 3, 2),),
        lambda x: np.einsum("abc->cab", x)),
    row("moveaxis", lambda x: ops.moveaxis(x, 0, -1), (normal(2, 3, 2),), lambda x: np.einsum("abc->bca", x)),
    row("moveaxis", lambda x: ops.moveaxis(x, (0, 1), (1, 0)), (X,), lambda x: x.T, case="several"),
    row("matrix_transpose", ops.matrix_transpose, (normal(2, 2, 3),), lambda x: np.einsum("abc->acb", x)),
    row("flip", ops.flip, (X,), lambda x: x[::-1, ::-1]),
    row("flip", lambda x: ops.flip(x, axis=-1), (X,), lambda x: x[:, ::-1], case="axis"),
    row("roll", lambda x: ops.roll(x, 2), (X,), lambda x: np.concatenate([x.ravel()[-2:], x.ravel()[:-2]]).reshape(2, 3)),
    row("roll", lambda x: ops.roll(x, (1, -1), axis=(0, 1)), (X,),
        lambda x: np.concatenate([x[::-1][:, 1:], x[::-1][:, :1]], 1), case="axes"),
    row("tril", ops.tril, (normal(3, 3),), lambda x: x * np.asarray([[1, 0, 0], [1, 1, 0], [1, 1, 1]])),
    row("triu", lambda x: ops.triu(x, k=1), (normal(3, 3),), lambda x: x * np.asarray([[0, 1, 1], [0, 0, 1], [0, 0, 0]])),
    row("tile", lambda x: ops.tile(x, (2, 2)), (X,), lambda x: np.concatenate([np.concatenate([x, x], 1)] * 2, 0)),
    row("tile", lambda x: ops.tile(x, (2,)), (X,), lambda x: np.concatenate([x, x], 1), case="short"),
    row("repeat", lambda x: ops.repeat(x, 2, axis=1), (X,), lambda x: np.stack([x, x], -1).reshape(2, 6)),
    row("repeat", lambda x: ops.repeat(x, 2), (X,), lambda x: np.stack([x, x], -1).ravel(), case="flat"),
    row("astype", lambda x: ops.astype(x, x.dtype), (X,), lambda x: x),
    row("astype", lambda x: ops.astype(x, namespace(x).int32), (fixed([1.7, -1.7]),), lambda x: np.asarray([1, -1]),
        kind=CONSTANT_KIND, case="integers"),
    row("astype", to_complex, (X,), lambda x: x + 0j, kind=VALUES, case="complex"),
]  # fmt: skip

JOINING = [
    row("concat", lambda x, y: ops.concat([x, y], axis=1), (X, normal(2, 2)), lambda x, y: np.hstack([x, y])),
    row("concat", lambda x, y: ops.concat([x, y], axis=None), (X, normal(2)),
        lambda x, y: np.asarray([*x.ravel(), *y]), case="flat"),
    row("concat", lambda x, y: ops.concat([x, y, x]), (X, normal(0, 3)), lambda x, y: np.vstack([x, x]),
        case="empty and repeated"),
    row("stack", lambda x, y: ops.stack([x, y], axis=1), (X, normal(2, 3)),
        lambda x, y: np.asarray([[a, b] for a, b in zip(x, y, strict=True)])),
    row("unstack", lambda x: tuple(ops.unstack(x, axis=1)), (X,), lambda x: (x[:, 0], x[:, 1], x[:, 2])),
    row("meshgrid", lambda x, y: list(ops.meshgrid(x, y)), (normal(2), normal(3)),
        lambda x, y: [x + 0.0 * y[:, None], 0.0 * x + y[:, None]]),
    row("meshgrid", lambda x, y: list(ops.meshgrid(x, y, indexing="ij")), (normal(2), normal(3)),
        lambda x, y: [x[:, None] + 0.0 * y, 0.0 * x[:, None] + y], case="ij"),
]  # fmt: skip

INDEXING = [
    row("take", lambda x, i: ops.take(x, i, axis=1), (X, TWO), lambda x, i: x[:, i]),
    row("take", lambda x, i: ops.take(x, i, axis=0), (normal(3, 2, 2), fixed([[2, 0], [2, 2]], "int64")),
        lambda x, i: np.stack([np.stack([x[k] for k in line]) for line in i]), case="index matrix"),
    row("take", lambda x, i: ops.take(x, i), (normal(3), fixed([], "int64")), lambda x, i: np.zeros(0), case="empty"),
    row("take", lambda x, i: ops.take(x, i, axis=0), (X, fixed([-1, 0, -2], "int64")), lambda x, i: x[[1, 0, 0]],
        case="negative"),
    row("take_along_axis", lambda x, i: ops.take_along_axis(x, i, axis=1), (X, integers(0, 3, 2, 4)),
        lambda x, i: np.asarray([[x[r, k] for k in line] for r, line in enumerate(i)])),
    row("take_along_axis", lambda x, i: ops.take_along_axis(x, i, axis=0), (X, integers(0, 2, 2, 3)),
        lambda x, i: np.asarray([[x[k, c] for c, k in enumerate(line)] for line in i]), case="axis 0"),
]  # fmt: skip


def index(case: str, entry: Any, *shape: int, not_on: tuple[str, ...] = ()) -> Row:
    """A row of basic indexing; NumPy's own on a nested list of places is the oracle."""

    def oracle(x: np.ndarray) -> np.ndarray:
        places = np.arange(x.size).reshape(x.shape)[entry]
        return np.asarray([x.ravel()[p] for p in np.ravel(places)]).reshape(np.shape(places))

    def function(x: Any) -> Any:
        return ops.add(x, 0.0)[entry]

    return row("getitem", function, (normal(*shape),), oracle, case=case, not_on=not_on)


NO_STEP_BACK = ("torch",)  # torch has no negative steps
GETITEM = [
    index("integer", (1, ...), 2, 3),
    index("negative integers", (-1, -2), 2, 3),
    index("slice", (slice(None), slice(0, 2)), 2, 3),
    index("reversed", (slice(None), slice(None, None, -1)), 2, 3, not_on=NO_STEP_BACK),
    index("step", slice(None, None, 2), 5),
    index("step back", slice(4, 0, -2), 5, not_on=NO_STEP_BACK),
    index("new axis", (None, slice(None), None), 3),
    index("ellipsis", (..., 0), 2, 2, 2),
    index("empty slice", slice(2, 2), 4),
    index("all", ..., 2, 3),
]
ROWS = [*MANIPULATION, *JOINING, *INDEXING, *GETITEM]
