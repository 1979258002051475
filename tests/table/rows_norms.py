"""Batch, layer, group, instance and RMS norm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from portnn import nn, ops
from tests.table.engine import Maker, Row, between, normal
from tests.table.rows_nn import layer, tree_of

EPS = 1e-5
FEW = 3
ALONG = {2: (FEW,), 3: (FEW, 1), 4: (FEW, 1, 1)}


def standard(x: np.ndarray, axes: tuple[int, ...], eps: float = EPS) -> np.ndarray:
    """(x - mean) / sqrt(variance + eps)."""
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


def along(a: Any, x: np.ndarray) -> Any:
    """Per channel."""
    return np.reshape(a, ALONG[x.ndim])


def batch_norm(x: np.ndarray, w: Any = 1.0, b: Any = 0.0) -> tuple[np.ndarray, ...]:
    """With the statistics."""
    axes = (0, *range(2, x.ndim))
    w, b = np.broadcast_to(w, FEW), np.broadcast_to(b, FEW)
    return standard(x, axes) * along(w, x) + along(b, x), x.mean(axes), x.var(axes)


def group_norm(groups: int) -> Callable[..., np.ndarray]:
    """Over rows of one sample and group."""

    def oracle(x: np.ndarray, w: Any = 1.0, b: Any = 0.0) -> np.ndarray:
        y = standard(x.reshape(len(x) * groups, -1), (1,)).reshape(x.shape)
        shape = (-1, *[1] * (x.ndim - 2))
        return y * np.reshape(w, shape) + np.reshape(b, shape)

    return oracle


def row(name: str, oracle: Callable[..., Any], *args: Any, case: str = "", **options: Any) -> Row:
    """A row of a function with options."""
    function = getattr(ops, name)
    return Row(f"ops.{name}", lambda *arrays: function(*arrays, **options), args, oracle, case=case)


C: Maker = normal(FEW)
FUNCTIONS = [
    row("batch_norm", batch_norm, normal(4, FEW), C, C),
    row("batch_norm", batch_norm, normal(2, FEW, 2), C, C, case="signals"),
    row("batch_norm", batch_norm, normal(2, FEW, 2, 2), case="images, not affine"),
    row("layer_norm", lambda x, w, b: standard(x, (-1,)) * w + b, normal(2, 2, 3), normal(3), normal(3)),
    row("layer_norm", lambda x: standard(x, (1, 2)), normal(2, 2, 3), case="two axes", shape=(2, 3)),
    row("rms_norm", lambda x, w: x / np.sqrt(np.mean(x * x, -1, keepdims=True) + 2.0**-52) * w, normal(2, 3), normal(3)),
    row("group_norm", group_norm(2), normal(2, 4, 2), normal(4), normal(4), groups=2),
]  # fmt: skip

AFFINE = tree_of(weight=normal(FEW), bias=normal(FEW))
STATE = tree_of(mean=normal(FEW), var=between(0.5, 2.0, FEW), count=lambda rng: np.asarray(3, np.int32))


def tracked(x: Any) -> Any:
    """What a step of training makes of the running statistics; no gradient flows there."""
    before = {"mean": ops.zeros_like(x[0, ...]), "var": ops.ones_like(x[0, ...]),
              "count": ops.zeros((), dtype="int32", like=getattr(x, "plain", x))}  # fmt: skip
    norms = [nn.BatchNorm(FEW, momentum=m, affine=False) for m in (0.25, None)]
    return [norm.apply({}, x, state=before, training=True)[1] for norm in norms]


def statistics(x: np.ndarray) -> Any:
    """A quarter of the new, and all of it."""
    mean, var, count = x.mean(0), x.var(0, ddof=1), np.asarray(1, np.int32)
    first = {"mean": mean / 4.0, "var": (3.0 + var) / 4.0, "count": count}
    return [first, {"mean": mean, "var": var, "count": count}]


def predicted(p: Any, s: Any, x: np.ndarray) -> np.ndarray:
    """With the running statistics."""
    z = (x - along(s["mean"], x)) / np.sqrt(along(s["var"], x) + EPS)
    return z * along(p["weight"], x) + along(p["bias"], x)


NORM = nn.BatchNorm(FEW)
LAYERS = [
    Row("nn.BatchNorm", lambda p, s, x: NORM.apply(p, x, state=s)[0], (AFFINE, STATE, normal(2, FEW, 2, 2)), predicted),
    Row("nn.BatchNorm", lambda p, x: NORM.apply(p, x, training=True), (AFFINE, normal(4, FEW)),
        lambda p, x: batch_norm(x, p["weight"], p["bias"])[0], case="training"),
    Row("nn.BatchNorm", tracked, (normal(4, FEW),), statistics, kind="constant", case="statistics"),
    layer("LayerNorm", nn.LayerNorm(FEW), AFFINE, normal(2, FEW), lambda p, x: standard(x, (-1,)) * p["weight"] + p["bias"]),
    layer("RMSNorm", nn.RMSNorm(FEW), tree_of(weight=normal(FEW)), normal(2, FEW),
          lambda p, x: x / np.sqrt(np.mean(x * x, -1, keepdims=True) + 2.0**-52) * p["weight"]),
    layer("GroupNorm", nn.GroupNorm(1, FEW), AFFINE, normal(2, FEW, 2), lambda p, x: group_norm(1)(x, p["weight"], p["bias"])),
    layer("InstanceNorm", nn.InstanceNorm(FEW), tree_of(), normal(2, FEW, 3), lambda p, x: group_norm(FEW)(x)),
]  # fmt: skip

ROWS = [*FUNCTIONS, *LAYERS]
