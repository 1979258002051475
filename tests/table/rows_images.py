"""Convolution, pooling and enlarging of signals and images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from portnn import nn, ops
from portnn.autodiff import vjp
from tests.table.engine import Maker, Row, apart, normal

Pairs = tuple[tuple[int, int], ...]


def windows(x: np.ndarray, k: Any, s: Any, pads: Pairs, d: Any, fill: float = 0.0) -> np.ndarray:
    """The contents of windows (n, c, *windows, *kernel), gathered one by one."""
    x = np.pad(x, ((0, 0), (0, 0), *pads), constant_values=fill)
    places = [
        [[i * step + a * apart for a in range(n)] for i in range((size - apart * (n - 1) - 1) // step + 1)]
        for size, n, step, apart in zip(x.shape[2:], k, s, d, strict=True)
    ]
    if len(k) == 1:
        return x[:, :, np.asarray(places[0])]
    down, across = (np.asarray(p) for p in places)
    return x[:, :, down[:, None, :, None], across[None, :, None, :]]


def conv(
    x: Any,
    w: Any,
    b: Any = 0.0,
    s: Any = (1, 1),
    pads: Pairs = ((0, 0),) * 2,
    d: Any = (1, 1),
    groups: int = 1,
) -> Any:
    """Σ w x over windows, group by group."""
    axes = x.ndim - 2
    found = windows(x, w.shape[2:], s[:axes], pads[:axes], d[:axes])
    parts = zip(np.split(found, groups, 1), np.split(w, groups), strict=True)
    formula = ("ncxa,oca->nox", "ncxyab,ocab->noxy")[axes - 1]
    y = np.concatenate([np.einsum(formula, part, kernel) for part, kernel in parts], 1)
    return y + np.reshape(b, (-1, *[1] * axes))


def transposed(x: Any, w: Any, b: Any, s: int, pad: int, extra: int, d: int) -> Any:
    """Kernels put into an empty image one by one; one group."""
    sizes = [(n - 1) * s + d * (k - 1) + 1 for n, k in zip(x.shape[2:], w.shape[2:], strict=True)]
    y = np.zeros((x.shape[0], w.shape[1], *[n + extra for n in sizes]))
    for place in np.ndindex(*x.shape[2:]):
        for tap in np.ndindex(*w.shape[2:]):
            at = tuple(p * s + t * d for p, t in zip(place, tap, strict=True))
            y[(slice(None), slice(None), *at)] += x[(..., *place)] @ w[(..., *tap)]
    inner = tuple([slice(pad, n - pad) for n in y.shape[2:]])
    return y[(slice(None), slice(None), *inner)] + np.reshape(b, (-1, *[1] * len(sizes)))


def pool(
    reduce: Callable[..., Any], k: Any, s: Any, pads: Pairs, d: Any = (1, 1), fill: float = 0.0
) -> Callable[[Any], Any]:
    """A reduction of each window."""
    return lambda x: reduce(windows(x, k, s, pads, d[: len(k)], fill), axis=tuple(range(-len(k), 0)))


def lines(n: int, scale: int, ends: bool) -> np.ndarray:
    """The matrix of np.interp."""
    places = np.linspace(0, n - 1, n * scale) if ends else (np.arange(n * scale) + 0.5) / scale - 0.5
    return np.asarray([np.interp(places, np.arange(n), row) for row in np.eye(n)])


def row(name: str, function: Any, args: tuple[Any, ...], oracle: Any, case: str = "", **more: Any) -> Row:
    """A row of `ops`."""
    return Row(f"ops.{name}", function, args, oracle, case=case, **more)


def gradient_of_squares(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Half the gradient of the sum of squares, so that a rule of a rule is differentiated as well."""

    def gradient(x: Any) -> Any:
        y, pullback = vjp(function, x)
        return pullback(y)[0]

    return gradient


IMAGE, SIGNAL = normal(2, 2, 4, 3), normal(2, 2, 5)
HALF: Pairs = ((1, 1), (1, 1))
CONVOLUTIONS = [
    row("conv1d", lambda x, w: ops.conv1d(x, w, stride=2, padding=1, dilation=2), (SIGNAL, normal(3, 2, 2)),
        lambda x, w: conv(x, w, s=(2,), pads=((1, 1),), d=(2,))),
    row("conv2d", ops.conv2d, (IMAGE, normal(3, 2, 2, 2), normal(3)), conv),
    row("conv2d", lambda x, w: ops.conv2d(x, w, stride=2, padding="same"), (normal(1, 5, 3, 4), normal(2, 5, 2, 3)),
        lambda x, w: conv(x, w, s=(2, 2), pads=((0, 1), (0, 1))), "many channels, same"),
    row("conv2d", lambda x, w: ops.conv2d(x, w, padding=((1, 0), (0, 2)), dilation=2, groups=2),
        (IMAGE, normal(4, 1, 2, 2)), lambda x, w: conv(x, w, pads=((1, 0), (0, 2)), d=(2, 2), groups=2), "groups"),
    row("conv2d", lambda x, w: ops.conv2d(x, w, stride=2, dilation=2, padding=1), (IMAGE, normal(2, 2, 2, 1)),
        lambda x, w: conv(x, w, s=(2, 2), pads=HALF, d=(2, 2)), "stride and dilation"),
    row("conv2d", ops.conv2d, (normal(0, 2, 3, 3), normal(1, 2, 2, 2)), conv, "empty batch"),
    row("conv_transpose1d", lambda x, w, b: ops.conv_transpose1d(x, w, b, stride=2, padding=1, output_padding=1),
        (normal(2, 2, 3), normal(2, 3, 3), normal(3)), lambda x, w, b: transposed(x, w, b, 2, 1, 1, 1)),
    row("conv_transpose2d", lambda x, w, b: ops.conv_transpose2d(x, w, b, stride=2),
        (normal(2, 2, 2, 2), normal(2, 1, 3, 2), normal(1)), lambda x, w, b: transposed(x, w, b, 2, 0, 0, 1)),
]  # fmt: skip

POOLS = [
    row("max_pool1d", lambda x: ops.max_pool1d(x, 3, stride=2, padding=1), (apart(2, 2, 5),),
        pool(np.max, (3,), (2,), ((1, 1),), (1,), -np.inf)),
    row("max_pool2d", lambda x: ops.max_pool2d(x, 2), (apart(1, 2, 4, 5),), pool(np.max, (2, 2), (2, 2), ((0, 0),) * 2)),
    row("max_pool2d", lambda x: ops.max_pool2d(x, (2, 3), stride=1, dilation=(2, 1)), (apart(1, 2, 3, 4),),
        pool(np.max, (2, 3), (1, 1), ((0, 0),) * 2, (2, 1)), "overlapping"),
    row("max_pool2d", gradient_of_squares(lambda x: ops.max_pool2d(x, 2)), (apart(1, 1, 2, 4),),
        lambda x: np.where(x == np.kron(pool(np.max, (2, 2), (2, 2), ((0, 0),) * 2)(x), np.ones((2, 2))), x, 0.0), "its gradient"),
    row("global_max_pool", gradient_of_squares(ops.global_max_pool), (apart(1, 2, 3),),
        lambda x: np.where(x == np.max(x, axis=2, keepdims=True), x, 0.0), "its gradient"),
    row("avg_pool1d", lambda x: ops.avg_pool1d(x, 3, stride=2, padding=1), (SIGNAL,), pool(np.mean, (3,), (2,), ((1, 1),))),
    row("avg_pool2d", lambda x: ops.avg_pool2d(x, 2, padding=1, count_include_pad=False), (IMAGE,),
        lambda x: pool(np.nansum, (2, 2), (2, 2), HALF)(x) / pool(np.sum, (2, 2), (2, 2), HALF)(np.ones_like(x))),
    row("global_avg_pool", ops.global_avg_pool, (IMAGE,), lambda x: np.mean(x, axis=(2, 3))),
    row("global_max_pool", ops.global_max_pool, (apart(2, 2, 2, 3),), lambda x: np.max(x, axis=(2, 3))),
]  # fmt: skip

SIZES = [
    row("pad", lambda x: ops.pad(x, [(0, 1), (2, 0)]), (normal(2, 2),), lambda x: np.pad(x, ((0, 1), (2, 0)))),
    row("upsample", lambda x: ops.upsample(x, (2, 3)), (normal(1, 2, 2, 2),), lambda x: np.kron(x, np.ones((2, 3)))),
    row("upsample", lambda x: ops.upsample(x, (2, 3), mode="bilinear"), (normal(1, 2, 3, 2),),
        lambda x: lines(3, 2, False).T @ x @ lines(2, 3, False), "bilinear"),
    row("upsample", lambda x: ops.upsample(x, 2, mode="linear", align_corners=True), (normal(1, 2, 3),),
        lambda x: x @ lines(3, 2, True), "corners"),
]  # fmt: skip


def layer(of: Any, x: Maker, oracle: Callable[..., Any], **params: Maker) -> Row:
    """A row of a layer: its output as a function of parameters and input."""

    def draw(rng: np.random.Generator) -> Any:
        return {name: make(rng) for name, make in params.items()}

    return Row(f"nn.{type(of).__name__}", lambda p, x: of.apply(p, x), (draw, x), oracle)


def plain(function: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    """An oracle that has no parameters."""
    return lambda p, x: function(x)


LAYERS = [
    layer(nn.Conv1d(2, 2, 2, stride=2), SIGNAL, lambda p, x: conv(x, p["weight"], p["bias"], s=(2,)),
          weight=normal(2, 2, 2), bias=normal(2)),
    layer(nn.Conv2d(2, 2, 3, padding="same", bias=False), IMAGE, lambda p, x: conv(x, p["weight"], pads=HALF),
          weight=normal(2, 2, 3, 3)),
    layer(nn.ConvTranspose1d(2, 1, 2), normal(1, 2, 3), lambda p, x: transposed(x, p["weight"], p["bias"], 1, 0, 0, 1),
          weight=normal(2, 1, 2), bias=normal(1)),
    layer(nn.ConvTranspose2d(2, 1, 2, dilation=2, bias=False), normal(1, 2, 2, 2),
          lambda p, x: transposed(x, p["weight"], 0.0, 1, 0, 0, 2), weight=normal(2, 1, 2, 2)),
    layer(nn.MaxPool1d(2), apart(1, 2, 4), plain(pool(np.max, (2,), (2,), ((0, 0),)))),
    layer(nn.MaxPool2d(2, dilation=2, stride=1), apart(1, 1, 3, 4), plain(pool(np.max, (2, 2), (1, 1), ((0, 0),) * 2, (2, 2)))),
    layer(nn.AvgPool1d(2), SIGNAL, plain(pool(np.mean, (2,), (2,), ((0, 0),)))),
    layer(nn.AvgPool2d((1, 2), stride=1), IMAGE, plain(pool(np.mean, (1, 2), (1, 1), ((0, 0),) * 2))),
    layer(nn.GlobalAvgPool1d(), SIGNAL, plain(lambda x: np.mean(x, axis=2))),
    layer(nn.GlobalAvgPool2d(), IMAGE, plain(lambda x: np.mean(x, axis=(2, 3)))),
    layer(nn.GlobalMaxPool1d(), apart(1, 2, 3), plain(lambda x: np.max(x, axis=2))),
    layer(nn.GlobalMaxPool2d(), apart(1, 2, 2, 2), plain(lambda x: np.max(x, axis=(2, 3)))),
    layer(nn.ZeroPad1d(1), SIGNAL, plain(lambda x: np.pad(x, ((0, 0), (0, 0), (1, 1))))),
    layer(nn.ZeroPad2d(((1, 0), (0, 2))), IMAGE, plain(lambda x: np.pad(x, ((0, 0), (0, 0), (1, 0), (0, 2))))),
    layer(nn.Upsample(2), SIGNAL, plain(lambda x: np.repeat(x, 2, axis=2))),
    layer(nn.Reshape((1, -1)), IMAGE, plain(lambda x: x.reshape(2, 1, 24))),
]  # fmt: skip

ROWS = [*CONVOLUTIONS, *POOLS, *SIZES, *LAYERS]
