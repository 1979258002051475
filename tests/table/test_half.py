"""What sums or squares in a half precision gives float64's values and gradients, rounded."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from portnn import losses, metrics, nn, ops, tree
from portnn.autodiff import vjp
from portnn.compile import jit

STEP = {"float16": 2.0**-10, "bfloat16": 2.0**-7}  # of numbers next to one


def _numpy(dtype):
    return lambda x: np.asarray(x, dtype=dtype), lambda x: np.asarray(x, dtype="float64")


def _torch(dtype):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    return (
        lambda x: torch.asarray(np.asarray(x)).to(getattr(torch, dtype)),
        lambda x: x.to(torch.float64).numpy(),
    )


def _jax(dtype):
    jax = pytest.importorskip("jax", reason="jax is not installed")
    return lambda x: jax.numpy.asarray(x, dtype=dtype), lambda x: np.asarray(x).astype("float64")


@pytest.fixture(params=[(_numpy, "float16"), *[(f, dtype) for f in (_torch, _jax) for dtype in STEP]],
                ids=lambda p: f"{p[0].__name__[1:]}-{p[1]}")  # fmt: skip
def half(request):
    """What makes arrays of a half precision, what makes float64 of them, and the precision."""
    library, dtype = request.param
    return *library(dtype), dtype


ISSUE = [300.0, -400.0, 500.0, 20.0]
TINY = [1e-4, -2e-4, 3e-4, 5e-5]
SPREAD = [[300.0, -40.0, 5.0, 20.0], [0.1, 3e-4, -2.0, 1.0]]
ROW = np.random.default_rng(0).normal(size=(3, 4))
LABELS = np.asarray([2, 0, 3])
MANY = np.ones((3000, 2))
LONG = np.random.default_rng(1).uniform(0.5, 1.5, size=(700, 2))


def _attention(q, k, v):
    return ops.scaled_dot_product_attention(q, k, v, scale=1.0)


def _labelled(x):
    return ops.softmax_cross_entropy(x, ops.asarray(LABELS, dtype="int32", like=getattr(x, "plain", x)))


def _running(x):
    layer = nn.BatchNorm(2)
    like = getattr(x, "plain", x)
    zeros, ones = ops.zeros((2,), dtype=x.dtype, like=like), ops.ones((2,), dtype=x.dtype, like=like)
    params = {"weight": ones, "bias": zeros}
    state = {"mean": zeros, "var": ones, "count": ops.zeros((), dtype="int32", like=like)}
    y, after = layer.forward(params, state, x, training=True, key=None)
    assert after["var"].dtype == x.dtype
    return y, after["mean"], after["var"]


FUNCTIONS = {
    **{f"{f.__name__} of {label}": (f, x) for label, x in (("large", ISSUE), ("tiny", TINY))
       for f in (ops.linalg.vector_norm, ops.std, ops.mean, ops.sum, ops.logsumexp)},
    "var": (ops.var, [100.0, -200.0, 120.0, 5.0]),
    "var of tiny": (lambda x: ops.sqrt(ops.var(x)), [1e-2, 2e-2, 3e-2, 1e-2]),
    "var of a large mean": (ops.var, [1000.0, 1001.0, 1002.0]),
    "norm 3": (partial(ops.linalg.vector_norm, ord=3), ISSUE),
    "norm by rows": (partial(ops.linalg.vector_norm, axis=-1), SPREAD),
    "matrix norm": (ops.linalg.matrix_norm, SPREAD),
    "matrix norm inf": (partial(ops.linalg.matrix_norm, ord=np.inf), SPREAD),
    "sum of many": (partial(ops.sum, axis=0), MANY),
    "mean of many": (partial(ops.mean, axis=0), MANY * 60.0),
    "running sum of many": (partial(ops.cumulative_sum, axis=0), MANY),
    "running product": (partial(ops.cumulative_prod, axis=0), LONG[:60]),
    "product": (partial(ops.prod, axis=0), [[200.0, 2.0], [200.0, 3.0], [1e-3, 5.0]]),
    "vecdot": (lambda x: ops.vecdot(x, ops.flip(x, axis=0)), [[300.0, 300.0], [300.0, -299.0]]),
    "trace": (ops.linalg.trace, np.diag([6e4, 6e4, -6e4])),
    "softmax": (ops.softmax, SPREAD),
    "log_softmax": (ops.log_softmax, SPREAD),
    "softmax of many": (lambda x: ops.softmax(x)[:2], np.linspace(-1.0, 1.0, 3000)),
    "layer_norm": (ops.layer_norm, SPREAD),
    "layer_norm of tiny": (lambda x: ops.layer_norm(x, eps=1e-8)[2:], TINY),
    "rms_norm": (ops.rms_norm, SPREAD),
    "rms_norm of tiny": (partial(ops.rms_norm, eps=1e-9), TINY),
    "group_norm": (partial(ops.group_norm, groups=2), SPREAD),
    "batch_norm": (lambda x: ops.batch_norm(x)[0], np.asarray(SPREAD).T),
    "running variance": (_running, [[600.0, 2.0], [-500.0, 3.0], [10.0, 5.0]]),
    "avg_pool1d": (lambda x: ops.avg_pool1d(x, 4), [[[6e4, 5e4, 4e4, -6e4]]]),
    "global_avg_pool": (ops.global_avg_pool, [[[6e4, 5e4, 4e4, 6e4]]]),
    "cross-entropy": (_labelled, ROW * 20.0),
    "attention": (lambda x: _attention(x, x * 0.5, x), [[300.0, 299.0], [-300.0, 200.0], [1.0, 2.0]]),
    "attention weights": (lambda x: ops.attention_weights(x, ops.flip(x, axis=0), scale=1e-4),
                          [[300.0, 299.0], [-300.0, 200.0]]),
    "cosine distance": (lambda x: losses.cosine_distance(x, ops.flip(x, axis=0)), SPREAD),
}  # fmt: skip

LOSSES = ["squared_error", "absolute_error", "huber", "log_cosh", "poisson_nll", "cosine_distance", "hinge",
          "sigmoid_cross_entropy", "sigmoid_focal"]  # fmt: skip


def compare(found, expected, back, dtype, steps=2.0):
    """The exact result, rounded; what overflows there does here."""
    import ml_dtypes

    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
    for a, e in zip(tree.leaves(found), tree.leaves(expected), strict=True):
        assert str(a.dtype).endswith(dtype)
        rounded = np.asarray(e).astype(kind).astype("float64")
        largest = np.max(np.abs(rounded), initial=0.0)
        np.testing.assert_allclose(
            back(a), rounded, rtol=steps * STEP[dtype], atol=1e-7 + 0.1 * STEP[dtype] * largest
        )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_and_gradients(name, half):
    make, back, dtype = half
    function, x = FUNCTIONS[name]
    given = make(np.asarray(x))
    exact, pull = vjp(function, back(given))
    found, pullback = vjp(function, given)
    compare(function(given), exact, back, dtype)
    compare(found, exact, back, dtype)
    seeds = tree.map(lambda y: np.ones_like(y), exact)
    compare(pullback(tree.map(make, seeds)), pull(seeds), back, dtype)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_losses(name, reduction, half):
    make, back, dtype = half
    loss = partial(getattr(losses, name), reduction=reduction)
    p, t = make(np.asarray([[3.0, 200.0, -1.0], [0.5, -2.0, 1e-3]])), np.asarray([[1, 0, 1], [0, 1, 1]])
    if name == "poisson_nll":
        p = p * 0.04
    wide, narrow = (lambda a: loss(a, np.asarray(t, "float64"))), (lambda a: loss(a, make(t)))
    exact, pull = vjp(wide, back(p))
    found, pullback = vjp(narrow, p)
    compare(found, exact, back, dtype)
    compare(pullback(make(np.asarray(1.0))), pull(np.asarray(1.0)), back, dtype)


@pytest.mark.parametrize(
    "name", ["mean_squared_error", "root_mean_squared_error", "mean_absolute_error", "r2"]
)
@pytest.mark.parametrize("weighted", [False, True])
def test_metrics_of_values(name, weighted, half):
    make, back, dtype = half
    y, p = make(np.asarray([300.0, -200.0, 1.0, 2.0])), make(np.asarray([100.0, -400.0, 1.5, 2.0]))
    weight = make(np.asarray([0.25, 0.5, 300.0, 3e4])) if weighted else None
    options = {"sample_weight": weight} if weighted else {}
    exact = {"sample_weight": back(weight)} if weighted else {}
    metric = getattr(metrics, name)
    compare(metric(y, p, **options), metric(back(y), back(p), **exact), back, dtype)


def test_average_precision_of_many(half):
    make, back, _ = half
    rng = np.random.default_rng(0)
    y, scores = rng.integers(0, 2, size=6000), make(rng.uniform(size=6000))
    like = ops.asarray(y, dtype="int32", like=scores)
    exact = metrics.average_precision(y, back(scores))
    assert back(metrics.average_precision(like, scores)) == pytest.approx(float(exact), rel=5e-3)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_plan_gives_the_same_bits(name):
    function, x = FUNCTIONS[name]
    x = np.asarray(x, dtype="float16")

    def both(x):
        value, pullback = vjp(function, x)
        return value, pullback(tree.map(ops.ones_like, value))

    planned = jit(both)
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(2):
            for a, b in zip(tree.leaves(planned(x)), tree.leaves(both(x)), strict=True):
                assert a.dtype == b.dtype == np.float16
                np.testing.assert_array_equal(a, b)


def test_wider_arguments_decide_the_dtype():
    x, weight = np.asarray(SPREAD, dtype="float16"), np.ones(4, dtype="float32")
    assert ops.layer_norm(x, weight).dtype == np.float32
    assert ops.layer_norm(x, weight.astype("float16")).dtype == np.float16
    assert losses.squared_error(x, x.astype("float32") + 1.0).dtype == np.float16
    assert ops.sum(x, dtype="float16").dtype == np.float16
    assert ops.sum(MANY.astype("float32"), axis=0, dtype="float16").tolist() == [3000.0, 3000.0]


def test_probabilities_of_a_softmax_in_float16_are_a_distribution():
    p = ops.softmax(np.random.default_rng(0).normal(size=(200, 30)).astype("float16"))
    assert metrics.log_loss(np.zeros(200, dtype=np.int64), p) > 1.0
