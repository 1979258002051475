"""Traps: places where the naive formula overflows, divides by zero or loses everything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import e, exp, inf, log, log1p, nan, sqrt, tanh
from typing import Any

import numpy as np

from portnn import losses, nn, ops
from portnn.autodiff import grad
from tests.table.rows_nn import dropping

BIG = 1e4


def _plain(x: Any) -> Any:
    return getattr(x, "plain", x)


@dataclass(frozen=True)
class Trap:
    """A function at a trap: what it is there, and its gradient with the cotangent 1."""

    name: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    value: Any
    gradient: tuple[Any, ...]
    rtol: float = 1e-6

    def __str__(self) -> str:
        return self.name


def trap(name: str, function: Callable[..., Any], args: Any, value: Any, gradient: Any, **more: Any) -> Trap:
    """A trap; a list stands for the one argument, a tuple for several."""
    several = isinstance(args, tuple)
    return Trap(
        name, function, args if several else (args,), value, gradient if several else (gradient,), **more
    )


def softmax_gradient(x: Any) -> Any:
    """The first softmax probability, so that the gradient does not cancel."""
    return ops.softmax(x)[..., 0]


def _loss(labels: list[int]) -> Callable[[Any], Any]:
    return lambda x: ops.softmax_cross_entropy(
        x, ops.asarray(labels, dtype="int64", like=getattr(x, "plain", x))
    )


def safe_log(x: Any) -> Any:
    """log x where x is positive, 0 elsewhere, by the two `where` that ops.where recommends."""
    positive = ops.greater(x, 0.0)
    return ops.where(positive, ops.log(ops.where(positive, x, 1.0)), 0.0)


MASKED = [[-inf, -inf, -inf], [0.0, 0.0, -inf]]
HALVES = [[0.5, 0.5], [0.5, 0.5]]
SIGMOID_2 = 1.0 / (1.0 + exp(-2.0))

FUSED = [
    trap("logsumexp of large", ops.logsumexp, [BIG, BIG], BIG + log(2.0), [0.5, 0.5]),
    trap("logsumexp of very negative", ops.logsumexp, [-BIG, -BIG], -BIG + log(2.0), [0.5, 0.5]),
    trap("logsumexp of nothing", ops.logsumexp, [-inf, -inf], -inf, [0.0, 0.0]),
    trap("logsumexp with inf", ops.logsumexp, [inf, 0.0], inf, [1.0, 0.0]),
    trap("softmax of a masked row", ops.softmax, MASKED, [[0.0, 0.0, 0.0], [0.5, 0.5, 0.0]], [[0.0] * 3] * 2),
    trap("softmax of a masked row, one entry", softmax_gradient, MASKED, [0.0, 0.5], [[0.0] * 3, [0.25, -0.25, 0.0]]),
    trap("softmax of one huge entry", softmax_gradient, [[BIG, 0.0]], [1.0], [[0.0, 0.0]]),
    trap("log_softmax of one huge entry", ops.log_softmax, [BIG, 0.0], [0.0, -BIG], [-1.0, 1.0]),
    trap("log_softmax with -inf", lambda x: ops.log_softmax(x)[..., :2], [[0.0, 0.0, -inf]], [[-log(2.0)] * 2],
         [[0.0, 0.0, 0.0]]),
    trap("log_softmax of a masked row", ops.log_softmax, [-inf, -inf], [-inf, -inf], None),
    trap("cross-entropy at ±1e4, right", _loss([0]), [[BIG, -BIG]], [0.0], [[0.0, 0.0]]),
    trap("cross-entropy at ±1e4, wrong", _loss([1]), [[BIG, -BIG]], [2.0 * BIG], [[1.0, -1.0]]),
    trap("soft cross-entropy with a masked class", ops.softmax_cross_entropy, ([[0.0, -inf]], [[1.0, 0.0]]), [0.0],
         ([[0.0, 0.0]], None)),
    trap("sigmoid cross-entropy at ±1e4", ops.sigmoid_cross_entropy, ([BIG, -BIG, BIG, -BIG], [1.0, 0.0, 0.0, 1.0]),
         [0.0, 0.0, BIG, BIG], ([0.0, 0.0, 1.0, -1.0], [-BIG, BIG, -BIG, BIG])),
    trap("loss of a sigmoid at ±1e4", lambda x, t: losses.sigmoid_cross_entropy(x, t, reduction="none"),
         ([BIG, -BIG], [0.0, 1.0]), [BIG, BIG], ([1.0, -1.0], [-BIG, BIG])),
    trap("sigmoid at ±1000", ops.sigmoid, [-1000.0, 1000.0], [0.0, 1.0], [0.0, 0.0]),
    trap("logaddexp of nothing", ops.logaddexp, ([-inf], [-inf]), [-inf], ([0.5], [0.5])),
    trap("logaddexp of large", ops.logaddexp, ([1e4], [0.0]), [1e4], ([1.0], [0.0])),
]  # fmt: skip


def attend(*mask: list[bool]) -> Callable[..., Any]:
    """Attention under a mask."""
    return lambda q, k, v: ops.scaled_dot_product_attention(
        q, k, v, ops.asarray(mask, dtype="bool", like=_plain(q))
    )


ATTENTION = [
    trap("attention of nothing", attend([False, False], [False, True]), ([[1.0], [1.0]], [[2.0], [BIG]], [[3.0], [5.0]]),
         [[0.0], [5.0]], ([[0.0], [0.0]], [[0.0], [0.0]], [[0.0], [1.0]])),
    trap("attention at ±1e4", attend([True, True]), ([[BIG]], [[BIG], [-BIG]], [[3.0], [5.0]]),
         [[3.0]], ([[0.0]], [[0.0], [0.0]], [[1.0], [0.0]])),
    trap("GRU at ±1e4", lambda x, h: ops.gru_step(x, h, ops.zeros((1, 3), dtype=x.dtype, like=_plain(x))),
         ([[BIG, BIG, BIG], [-BIG, -BIG, -BIG]], [[0.5], [0.5]]), [[0.5], [-1.0]],
         ([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]], [[1.0], [0.0]])),
    trap("LSTM at ±1e4", lambda x, h, c: ops.lstm_step(x, h, c, ops.zeros((1, 4), dtype=x.dtype, like=_plain(x)))[1],
         ([[BIG, BIG, BIG, BIG]], [[0.5]], [[-1.0]]), [[0.0]], ([[0.0, 0.0, 0.0, 0.0]], [[0.0]], [[1.0]])),
]  # fmt: skip

ACTIVATIONS = [
    trap("log_sigmoid(-200)", nn.log_sigmoid, [-200.0, 200.0, -BIG], [-200.0, -exp(-200.0), -BIG], [1.0, exp(-200.0), 1.0]),
    trap("softplus(1000)", nn.softplus, [1000.0, -1000.0], [1000.0, 0.0], [1.0, 0.0]),
    trap("gelu(-inf)", nn.gelu, [-inf, inf, -BIG], [0.0, inf, 0.0], [0.0, 1.0, 0.0]),
    trap("tanh-gelu at 1e20", lambda x: nn.gelu(x, approximate=True), [1e20, -1e20, -inf], [1e20, 0.0, 0.0], [1.0, 0.0, 0.0]),
    trap("silu at infinity", nn.silu, [-inf, -1e20, 1e20], [0.0, 0.0, 1e20], [0.0, 0.0, 1.0]),
    trap("mish at infinity", nn.mish, [-inf, -1e20, 1e20], [0.0, 0.0, 1e20], [0.0, 0.0, 1.0]),
    trap("hard_swish at infinity", nn.hard_swish, [-inf, 1e20], [0.0, 1e20], [0.0, 1.0]),
    trap("elu at ±1000", nn.elu, [-1000.0, 1000.0], [-1.0, 1000.0], [0.0, 1.0]),
    trap("selu at ±1000", nn.selu, [1000.0], [1050.7009873554805], [1.0507009873554805]),
    trap("celu at ±1000", lambda x: nn.celu(x, alpha=0.01), [-1000.0, 1000.0], [-0.01, 1000.0], [0.0, 1.0]),
    trap("dropout of all", dropping(nn.Dropout(1.0)), [inf, 1.0], [0.0, 0.0], None),
    trap("dropout of nearly all", dropping(nn.Dropout(1.0 - 2.0**-20)), [3.0, 1.0], [0.0, 0.0], [0.0, 0.0]),
    trap("tanh at ±1000", nn.tanh, [-1000.0, 1000.0], [-1.0, 1.0], [0.0, 0.0]),
    trap("softsign at 1e20", nn.softsign, [-1e20, 1e20], [-1.0, 1.0], [0.0, 0.0]),
    trap("relu at 0", nn.relu, [0.0], [0.0], [0.0]),
]  # fmt: skip


def second(f: Callable[..., Any]) -> Callable[..., Any]:
    """The gradient of a function times 1, 2, ...: its own gradient is the product of that with the Hessian."""

    def function(x: Any) -> Any:
        return grad(lambda x: ops.sum(f(x)))(x)

    return lambda x: ops.multiply(function(x), ops.asarray([1.0, 2.0, 3.0], dtype=x.dtype, like=_plain(x)))


ORIGIN, TWICE = [0.0, 0.0, 0.0], [2.0, 4.0, 6.0]
SQUARES = [
    trap("Hessian of a squared norm at 0", second(lambda x: ops.square(ops.linalg.vector_norm(x))), ORIGIN, ORIGIN, TWICE),
    trap("Hessian of a norm to the second", second(lambda x: ops.linalg.vector_norm(x) ** 2), ORIGIN, ORIGIN, TWICE),
    trap("Hessian of a squared matrix norm", second(lambda x: ops.square(ops.linalg.matrix_norm(x[None, :]))),
         ORIGIN, ORIGIN, TWICE),
    trap("Hessian of squared norms by rows", second(lambda x: ops.square(ops.linalg.vector_norm(x[:, None], axis=1))),
         ORIGIN, ORIGIN, TWICE),
    trap("Hessian of a squared hypotenuse", second(lambda x: ops.square(ops.hypot(x, 0.0))), ORIGIN, ORIGIN, TWICE),
    trap("Hessian of a squared magnitude", second(lambda x: ops.abs(x) ** 2.0), ORIGIN, ORIGIN, TWICE),
    trap("Hessian of a squared norm elsewhere", second(lambda x: ops.square(ops.linalg.vector_norm(x))),
         [1.0, -2.0, 3.0], [2.0, -8.0, 18.0], TWICE),
]  # fmt: skip

EMPTY = [
    trap("softmax of nothing", ops.softmax, [[], []], [[], []], [[], []]),
    trap("log_softmax of nothing", lambda x: ops.log_softmax(x, axis=0), [[], []], [[], []], [[], []]),
    trap("logsumexp along an empty axis", lambda x: ops.logsumexp(x, axis=1), [[], []], [-inf, -inf], [[], []]),
    trap("logsumexp of no element", ops.logsumexp, [], -inf, []),
    trap("attention of no key", lambda q, k: ops.attention_weights(q, k), (np.ones((2, 3)), np.ones((0, 3))),
         np.ones((2, 0)), (np.zeros((2, 3)), np.ones((0, 3)))),
]  # fmt: skip

NAN = [
    trap("maximum of NaN", ops.maximum, ([nan, 1.0, 3.0], [1.0, nan, 2.0]), [nan, nan, 3.0],
         ([nan, nan, 1.0], [nan, nan, 0.0])),
    trap("minimum of NaN", ops.minimum, ([nan, 1.0, 3.0], [1.0, nan, 2.0]), [nan, nan, 2.0],
         ([nan, nan, 0.0], [nan, nan, 1.0])),
    trap("maximum of NaN and a number", lambda x: ops.maximum(x, 0.0), [nan, -1.0], [nan, 0.0], [nan, 0.0]),
    trap("clip of NaN", lambda x: ops.clip(x, 0.0, 1.0), [nan, 0.5], [nan, 0.5], [nan, 1.0]),
    trap("clip to NaN", ops.clip, ([0.5, 0.5], [nan, 0.0], [1.0, nan]), [nan, nan], ([nan] * 2, [nan] * 2, [nan] * 2)),
    trap("atan2 of NaN", ops.atan2, ([nan, inf], [inf, nan]), [nan, nan], ([nan, nan], [nan, nan])),
    trap("max of NaN", ops.max, [1.0, nan, 3.0], nan, [nan, nan, nan]),
    trap("min of NaN", lambda x: ops.min(x, axis=1), [[1.0, nan], [2.0, 3.0]], [nan, 2.0], [[nan, nan], [1.0, 0.0]]),
    trap("sort with NaN", ops.sort, [nan, 1.0], [1.0, nan], [1.0, 1.0]),
    trap("norm of NaN", ops.linalg.vector_norm, [nan, 1.0], nan, [nan, nan]),
    trap("largest of NaN", lambda x: ops.linalg.vector_norm(x, ord=inf), [nan, 1.0], nan, [nan, nan]),
    trap("count of NaN", lambda x: ops.linalg.vector_norm(x, ord=0), [nan, inf, 0.0], 2.0, [0.0, 0.0, 0.0]),
    trap("relu of NaN", nn.relu, [nan, -1.0, 2.0], [nan, 0.0, 2.0], [1.0, 0.0, 1.0]),
    trap("hard_tanh of NaN", nn.hard_tanh, [nan, -2.0, 0.5], [nan, -1.0, 0.5], [nan, 0.0, 1.0]),
    trap("hard_sigmoid of NaN", nn.hard_sigmoid, [nan, -4.0], [nan, 0.0], [nan, 0.0]),
    trap("hard_swish of NaN", nn.hard_swish, [nan, -4.0, 4.0], [nan, 0.0, 4.0], [nan, 0.0, 1.0]),
    trap("recurrent relu of NaN", lambda x, h: ops.rnn_step(x, h, ops.zeros((1, 1), dtype=x.dtype, like=_plain(x)),
         activation="relu"), ([[nan], [-1.0]], [[1.0], [1.0]]), [[nan], [0.0]], ([[1.0], [0.0]], None)),
    trap("hinge of NaN", lambda x: losses.hinge(x, ops.ones_like(_plain(x)), reduction="none"), [nan, 3.0], [nan, 0.0],
         [nan, 0.0]),
    trap("max pooling of NaN", lambda x: ops.max_pool1d(x, 2), [[[1.0, nan, 3.0, 2.0]]], [[[nan, 3.0]]],
         [[[0.0, 1.0, 1.0, 0.0]]]),
    trap("ignored NaN", lambda x: losses.softmax_cross_entropy(
        x, ops.asarray([-1, 0], dtype="int32", like=_plain(x)), ignore_index=-1), [[nan, 0.0], [0.0, 0.0]], log(2.0),
         [[0.0, 0.0], [-0.5, 0.5]]),
]  # fmt: skip

REDUCTIONS = [
    trap("variance of a shifted ramp", ops.var, [1e6, 1e6 + 1.0, 1e6 + 2.0], 2.0 / 3.0, [-2.0 / 3.0, 0.0, 2.0 / 3.0]),
    trap("standard deviation of equal values", ops.std, [3.0, 3.0, 3.0], 0.0, [0.0, 0.0, 0.0]),
    trap("norm of zero", ops.linalg.vector_norm, [0.0, 0.0], 0.0, [0.0, 0.0]),
    trap("norm of order 0.5 at 0", lambda x: ops.linalg.vector_norm(x, ord=0.5), [0.0, 0.0], 0.0, [0.0, 0.0]),
    trap("norm of large", ops.linalg.vector_norm, [3e18, 4e18], 5e18, [0.6, 0.8]),
    trap("matrix norm of zero", ops.linalg.matrix_norm, [[0.0, 0.0]], 0.0, [[0.0, 0.0]]),
    trap("prod with a zero", ops.prod, [2.0, 0.0, 3.0], 0.0, [0.0, 6.0, 0.0]),
    trap("prod with two zeros", ops.prod, [2.0, 0.0, 0.0], 0.0, [0.0, 0.0, 0.0]),
    trap("cumulative prod with a zero", ops.cumulative_prod, [2.0, 0.0, 3.0], [2.0, 0.0, 0.0], [1.0, 8.0, 0.0]),
    trap("max with ties", ops.max, [1.0, 3.0, 3.0], 3.0, [0.0, 0.5, 0.5]),
    trap("min with ties", lambda x: ops.min(x, axis=1), [[1.0, 1.0], [2.0, 3.0]], [1.0, 2.0], [[0.5, 0.5], [1.0, 0.0]]),
    trap("maximum at a tie", ops.maximum, ([1.0], [1.0]), [1.0], ([0.5], [0.5])),
    trap("sort with ties", lambda x: ops.multiply(ops.sort(x), ops.asarray([1.0, 2.0, 3.0], dtype=x.dtype, like=_plain(x))),
         [2.0, 1.0, 1.0], [1.0, 2.0, 6.0], [3.0, 1.0, 2.0]),
    trap("mean of many", lambda x: ops.mean(ops.broadcast_to(x, (100_000,))), 0.1, 0.1, 1.0, rtol=2e-6),
    trap("cosine distance of zero", losses.cosine_distance, ([[0.0, 0.0]], [[1.0, 0.0]]), 1.0, ([[0.0, 0.0]], None)),
]  # fmt: skip

ELEMENTWISE = [
    trap("log behind where at 0", safe_log, [0.0, 1.0, e], [0.0, 0.0, 1.0], [0.0, 1.0, 1.0 / e]),
    trap("0 ** 2", lambda x: ops.pow(x, 2.0), [0.0], [0.0], [0.0]),
    trap("0 ** 1", lambda x: ops.pow(x, 1.0), [0.0], [0.0], [1.0]),
    trap("0 ** 0", lambda x: ops.pow(x, 0.0), [0.0, 2.0], [1.0, 1.0], [0.0, 0.0]),
    trap("0 ** arrays", ops.pow, ([0.0, 0.0, 0.0], [0.0, 1.0, 2.0]), [1.0, 0.0, 0.0], ([0.0, 1.0, 0.0], [0.0, 0.0, 0.0])),
    trap("number 0 ** array", lambda x: ops.pow(0.0, x), [2.0], [0.0], [0.0]),
    trap("negative ** 2", ops.pow, ([-2.0], [2.0]), [4.0], ([-4.0], [nan])),
    trap("atan2(0, 0)", ops.atan2, ([0.0], [0.0]), [0.0], ([0.0], [0.0])),
    trap("atan2 of tiny", ops.atan2, ([1e-20], [1e-20]), [np.pi / 4.0], ([5e19], [-5e19])),
    trap("hypot(0, 0)", ops.hypot, ([0.0], [0.0]), [0.0], ([0.0], [0.0])),
    trap("hypot of large", ops.hypot, ([3e30], [4e30]), [5e30], ([0.6], [0.8])),
    trap("abs at 0", ops.abs, [0.0], [0.0], [0.0]),
    trap("copysign at 0", lambda x: ops.copysign(x, 1.0), [0.0], [0.0], [0.0]),
    trap("pow(0, 0) and pow(0, 2) by the exponent", ops.pow, ([0.0, 0.0], [0.0, 2.0]), [1.0, 0.0],
         ([0.0, 0.0], [0.0, 0.0])),
    trap("infinity ** 0", lambda x: ops.pow(x, 0), [inf, -inf, nan], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]),
    trap("clip with one bound", lambda x, low: ops.clip(x, low), ([0.0, 3.0], [1.0, 1.0]), [1.0, 3.0],
         ([0.0, 1.0], [1.0, 0.0])),
    trap("nextafter", lambda x: ops.multiply(ops.nextafter(x, 9.0), 2.0), [1.0, 9.0], [2.0, 18.0], [2.0, 2.0]),
    trap("diff of nothing", lambda x, first: ops.diff(x, n=0, prepend=first), ([1.0, 4.0], [9.0]), [1.0, 4.0],
         ([1.0, 1.0], [0.0])),
    trap("diff as often as there are elements", lambda x: ops.diff(x, n=3), [1.0, 4.0], [], [0.0, 0.0]),
    trap("diff once less", lambda x: ops.diff(x, n=1, append=x), [1.0, 4.0], [3.0, -3.0, 3.0], [-1.0, 1.0]),
    trap("clip at its bounds", lambda x: ops.clip(x, -1.0, 1.0), [-1.0, 1.0, -2.0, 2.0], [-1.0, 1.0, -1.0, 1.0],
         [1.0, 1.0, 0.0, 0.0]),
    trap("expm1 of tiny", ops.expm1, [1e-10], [1e-10 + 5e-21], [1.0 + 1e-10]),
    trap("log1p of tiny", ops.log1p, [1e-10], [1e-10 - 5e-21], [1.0 - 1e-10]),
    trap("erf at infinity", ops.erf, [-inf, inf, 20.0], [-1.0, 1.0, 1.0], [0.0, 0.0, 0.0]),
    trap("tanh at ±50", ops.tanh, [50.0, -50.0], [1.0, -1.0], [0.0, 0.0]),
    trap("log_cosh of large", lambda x, t: losses.log_cosh(x, t, reduction="none"), ([1e4, 1e-4], [0.0, 0.0]),
         [1e4 - log(2.0), 5e-9 - 1e-16 / 12.0], ([1.0, tanh(1e-4)], [-1.0, -tanh(1e-4)])),
    trap("huber of huge", lambda x, t: losses.huber(x, t, reduction="none"), ([1e20], [0.0]), [1e20], ([1.0], [-1.0])),
    trap("sqrt inside a norm", lambda x: ops.sqrt(ops.add(ops.square(x), 1e-12)), [0.0], [1e-6], [0.0]),
    trap("log1p chain", lambda x: ops.log1p(ops.exp(ops.negative(ops.abs(x)))), [-200.0, 2.0],
         [exp(-200.0), log1p(exp(-2.0))], [exp(-200.0), SIGMOID_2 - 1.0]),
    trap("root of a sum of squares", lambda x: ops.sqrt(ops.sum(ops.square(x))), [3.0, 4.0], sqrt(25.0), [0.6, 0.8]),
]  # fmt: skip

FAR = [1e4, 1e4 + 1.0, 1e4 + 3.0]  # its mean, 4/3 more, is rounded by a thousandth of the deviation
FAR_SLOPE = [6.0 / 14.0**1.5, -9.0 / 14.0**1.5, 3.0 / 14.0**1.5]
NORMS = [
    trap("batch norm far from zero", lambda x: ops.batch_norm(x, eps=1e-30)[0][2, 0], [[a] for a in FAR], 5.0 / sqrt(14.0),
         [[c] for c in FAR_SLOPE], rtol=3e-6),
    trap("batch norm of signals far from zero", lambda x: ops.batch_norm(x, eps=1e-30)[0][0, 0, 2], [[FAR]], 5.0 / sqrt(14.0),
         [[FAR_SLOPE]], rtol=3e-6),
    trap("layer norm far from zero", lambda x: ops.layer_norm(x, eps=1e-30)[..., 2], FAR, 5.0 / sqrt(14.0), FAR_SLOPE, rtol=3e-6),
    trap("batch norm of equal values", lambda x: ops.batch_norm(x)[0], [[1e4 + 1.0]] * 3, [[0.0]] * 3, [[0.0]] * 3),
    trap("layer norm of equal values", ops.layer_norm, [1e4 + 1.0] * 3, [0.0] * 3, [0.0] * 3),
    trap("RMS norm of zeros", lambda x: ops.rms_norm(x, eps=1e-4), [0.0, 0.0], [0.0, 0.0], [100.0, 100.0]),
    trap("batch norm of one large mean", lambda x: nn.BatchNorm(1).apply(
        {"weight": ops.ones_like(x), "bias": ops.zeros_like(x)}, ops.reshape(x, (1, 1)),
        state={"mean": ops.subtract(x, 1.0), "var": ops.ones_like(x)})[0], [1e6], [[1.0 / sqrt(1.00001)]], None),
]  # fmt: skip
POOLS = [
    trap("max pooling with ties", lambda x: ops.max_pool2d(x, 2), [[[[1.0, 3.0], [3.0, 3.0]]]], [[[[3.0]]]],
         [[[[0.0, 1.0], [0.0, 0.0]]]]),
    trap("max pooling of negative numbers at the edge", lambda x: ops.max_pool1d(x, 2, padding=1), [[[-5.0, -7.0]]],
         [[[-5.0, -7.0]]], [[[1.0, 1.0]]]),
    trap("global max pooling with ties", ops.global_max_pool, [[[2.0, 2.0, 1.0]]], [[2.0]], [[[1.0, 0.0, 0.0]]]),
    trap("max pooling with infinity", lambda x: ops.max_pool1d(x, 2), [[[inf, 1.0, -inf, -inf]]], [[[inf, -inf]]],
         [[[1.0, 0.0, 1.0, 0.0]]]),
    trap("mean of what is inside", lambda x: ops.avg_pool1d(x, 2, padding=1, count_include_pad=False), [[[4.0, 8.0]]],
         [[[4.0, 8.0]]], [[[1.0, 1.0]]]),
    trap("repeating infinity", lambda x: ops.upsample(x, 2), [[[inf, 0.0]]], [[[inf, inf, 0.0, 0.0]]],
         [[[2.0, 2.0]]]),
]  # fmt: skip

TRAPS = [*SQUARES, *EMPTY, *NAN, *POOLS, *NORMS, *FUSED, *ATTENTION, *ACTIVATIONS, *REDUCTIONS, *ELEMENTWISE]
