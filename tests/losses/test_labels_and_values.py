"""Losses for labels and for values: by formula in NumPy, by PyTorch, and at the edges."""

from functools import partial
from math import cosh, exp, log, log1p, sqrt

import numpy as np
import pytest

from portnn import losses
from portnn.autodiff import grad, vjp
from portnn.testing import check_gradients
from tests.helpers import assert_close
from tests.losses.elements import COUNTS, WEIGHT, V, X, Y

HARD = np.asarray([[1, 0, 1], [0, 0, 1], [1, 1, 1], [0, 1, 0], [1, 0, 0]])
POSITIVE = np.asarray([0.5, 2.0, 1.0])


def softplus(x):
    return max(x, 0.0) + log1p(exp(-abs(x)))


def bce(x, t, w=1.0):
    return w * t * softplus(-x) + (1 - t) * softplus(x)


def focal(x, t, gamma, alpha=None):
    p = 1 / (1 + exp(-x)) if t else 1 / (1 + exp(x))
    factor = 1.0 if alpha is None else alpha if t else 1 - alpha
    return -factor * (1 - p) ** gamma * log(p)


def huber(x, y, delta=1.0):
    d = abs(x - y)
    return d * d / 2 if d <= delta else delta * (d - delta / 2)


# Loss, targets, formula for one element. None of the data lies within 0.02 of a kink.
ELEMENTWISE = {
    "sigmoid_cross_entropy": (losses.sigmoid_cross_entropy, HARD, bce),
    "sigmoid_cross_entropy soft": (losses.sigmoid_cross_entropy, 1 / (1 + np.exp(Y)), bce),
    "sigmoid_cross_entropy smoothing": (
        partial(losses.sigmoid_cross_entropy, label_smoothing=0.2), HARD, lambda x, t: bce(x, 0.8 * t + 0.1),
    ),
    "sigmoid_focal": (losses.sigmoid_focal, HARD, lambda x, t: focal(x, t, 2.0)),
    "sigmoid_focal 0.5": (
        partial(losses.sigmoid_focal, gamma=0.5, alpha=0.25), HARD, lambda x, t: focal(x, t, 0.5, 0.25),
    ),
    "sigmoid_focal 0": (partial(losses.sigmoid_focal, gamma=0.0), HARD, bce),
    "hinge": (losses.hinge, HARD, lambda x, t: max(0.0, 1 - x if t else 1 + x)),
    "squared_error": (losses.squared_error, Y, lambda x, y: (x - y) ** 2),
    "absolute_error": (losses.absolute_error, Y, lambda x, y: abs(x - y)),
    "huber": (losses.huber, Y, huber),
    "huber 2": (partial(losses.huber, delta=2.0), Y, partial(huber, delta=2.0)),
    "log_cosh": (losses.log_cosh, Y, lambda x, y: log(cosh(x - y))),
    "poisson_nll": (losses.poisson_nll, COUNTS, lambda x, k: exp(x) - k * x),
}  # fmt: skip
ROWS = [pytest.param(*row, id=name) for name, row in ELEMENTWISE.items()]


def each(formula, x=X, t=Y):
    return np.asarray(
        [[formula(float(a), float(b)) for a, b in zip(*rows, strict=True)] for rows in zip(x, t, strict=True)]
    )


@pytest.mark.parametrize(("loss", "targets", "formula"), ROWS)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_values(loss, targets, formula, reduction, backend):
    losses_ = each(formula, X, targets)
    expected = {"mean": losses_.mean(), "sum": losses_.sum(), "none": losses_}[reduction]
    for dtype, rtol in {"float64": 1e-12, "float32": 1e-5}.items():
        if dtype == "float64" and not backend.has_float64:
            continue
        found = loss(backend.asarray(X, dtype), backend.asarray(targets, dtype), reduction=reduction)
        assert_close(found, np.asarray(expected, dtype=dtype), rtol=rtol, backend=backend)


@pytest.mark.parametrize(("loss", "targets", "formula"), ROWS)
def test_gradients(loss, targets, formula, backend):
    if not backend.has_float64:
        pytest.skip("differences need float64")
    t = backend.asarray(targets)
    check_gradients(lambda x: loss(x, t), (backend.asarray(X),), step=2e-3)


@pytest.mark.parametrize(("loss", "targets", "formula"), ROWS)
@pytest.mark.parametrize("dtype", ["int64", "bool", "float32", "uint8"])
def test_the_predictions_decide_the_dtype(loss, targets, formula, dtype):
    if targets.dtype.kind == "f" and dtype != "float32":
        targets = np.abs(targets) > 1
    t = targets.astype(dtype)
    for wanted in ("float32", "float64"):
        found = loss(X.astype(wanted), t, reduction="none")
        assert found.dtype == wanted
        exact = loss(X.astype(wanted), t.astype(wanted), reduction="none")
        np.testing.assert_array_equal(found, exact)


@pytest.mark.parametrize(("loss", "targets", "formula"), ROWS)
def test_sample_weights(loss, targets, formula):
    expected = each(formula, X, targets)
    weighted = loss(X, targets, sample_weight=WEIGHT, reduction="none")
    np.testing.assert_allclose(weighted, expected * WEIGHT[:, None], rtol=1e-12)
    total = loss(X, targets, sample_weight=WEIGHT, reduction="sum")
    np.testing.assert_allclose(total, np.sum(expected * WEIGHT[:, None]), rtol=1e-12)
    mean = loss(X, targets, sample_weight=WEIGHT)
    np.testing.assert_allclose(mean, np.average(expected.mean(axis=1), weights=WEIGHT), rtol=1e-12)
    full = np.abs(Y)
    mean = loss(X, targets, sample_weight=full)
    np.testing.assert_allclose(mean, np.average(expected, weights=full), rtol=1e-12)
    nothing = partial(loss, sample_weight=np.zeros(5))
    assert float(nothing(X, targets)) == 0.0
    assert not np.any(grad(lambda x: nothing(x, targets))(X))


@pytest.mark.parametrize("weights", [POSITIVE, np.asarray(3.0), HARD + 0.5])
def test_positive_weights(weights, backend):
    full = np.broadcast_to(weights, X.shape)
    expected = np.asarray(
        [bce(x, t, w) for x, t, w in zip(X.flat, HARD.flat, full.flat, strict=True)]
    ).reshape(5, 3)
    dtype = "float64" if backend.has_float64 else "float32"
    w, t = backend.asarray(weights, dtype), backend.asarray(HARD)
    found = losses.sigmoid_cross_entropy(backend.asarray(X, dtype), t, positive_weights=w, reduction="none")
    assert_close(found, expected.astype(dtype), rtol=1e-12 if dtype == "float64" else 1e-5, backend=backend)
    if dtype == "float64":
        check_gradients(
            lambda x: losses.sigmoid_cross_entropy(x, t, positive_weights=w), (backend.asarray(X),)
        )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("options", [{}, {"positive_weights": 2.0}])
def test_extreme_logits(dtype, options):
    options = {k: np.asarray(v, dtype=dtype) for k, v in options.items()}
    x = np.asarray([1e4, -1e4, 1e4, -1e4], dtype=dtype)
    t = np.asarray([1, 0, 0, 1])
    y, pullback = vjp(lambda x: losses.sigmoid_cross_entropy(x, t, reduction="none", **options), x)
    w = 2.0 if options else 1.0
    assert y.tolist() == [0.0, 0.0, 1e4, w * 1e4]
    assert pullback(np.ones(4, dtype=dtype))[0].tolist() == [0.0, 0.0, 1.0, -w]


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_focal_of_certain_elements(gamma):
    x = np.asarray([1e4, -1e4, 1e4, -1e4], dtype=np.float32)
    t = np.asarray([1, 0, 0, 1])
    y, pullback = vjp(lambda x: losses.sigmoid_focal(x, t, gamma=gamma, reduction="none"), x)
    assert y.tolist() == [0.0, 0.0, 1e4, 1e4]
    assert pullback(np.ones(4, dtype=np.float32))[0].tolist() == [0.0, 0.0, 1.0, -1.0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_log_cosh_of_large_and_small_errors(dtype):
    d = np.asarray([1e4, -1e4, 1e-3, 0.0, 1.0, np.nextafter(1, 0), np.inf], dtype=dtype)
    y, pullback = vjp(lambda x: losses.log_cosh(x, np.zeros_like(d), reduction="none"), d)
    expected = [1e4 - log(2), 1e4 - log(2), 4.9999991666669e-7, 0.0, log(cosh(1)), log(cosh(1)), np.inf]
    np.testing.assert_allclose(y, expected, rtol=4 * np.finfo(dtype).eps if dtype == "float32" else 1e-12)
    (g,) = pullback(np.ones_like(d))
    np.testing.assert_allclose(g, np.tanh(d), rtol=1e-6)


@pytest.mark.parametrize("delta", [0.5, 1.0, 3.0])
def test_huber_at_delta(delta):
    d = np.asarray([delta, -delta, 0.0, 2 * delta, 1e30])
    y, pullback = vjp(lambda x: losses.huber(x, np.zeros(5), delta=delta, reduction="none"), d)
    half = delta**2 / 2
    np.testing.assert_allclose(y, [half, half, 0.0, 3 * half, delta * 1e30], rtol=1e-15)
    np.testing.assert_allclose(pullback(np.ones(5))[0], [delta, -delta, 0.0, delta, delta], rtol=1e-15)
    # At zero error the second derivative is that of the parabola.
    second = grad(lambda x: grad(lambda x: losses.huber(x, np.asarray(0.0), delta=delta))(x))(np.asarray(0.0))
    assert float(second) == 1.0


def test_errors_of_zero():
    zero = np.zeros(3)
    for loss in (losses.absolute_error, losses.squared_error, losses.huber, losses.log_cosh):
        y, pullback = vjp(lambda x, loss=loss: loss(x, zero), zero)
        assert (float(y), pullback(np.asarray(1.0))[0].tolist()) == (0.0, [0.0, 0.0, 0.0])


TORCH = {
    "sigmoid_cross_entropy": ("binary_cross_entropy_with_logits", {}),
    "sigmoid_cross_entropy soft": ("binary_cross_entropy_with_logits", {}),
    "squared_error": ("mse_loss", {}),
    "absolute_error": ("l1_loss", {}),
    "huber": ("huber_loss", {}),
    "huber 2": ("huber_loss", {"delta": 2.0}),
    "poisson_nll": ("poisson_nll_loss", {}),
}


@pytest.mark.parametrize("name", TORCH)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_same_as_torch(name, reduction):
    torch = pytest.importorskip("torch", reason="PyTorch is optional; tests(torch) has it")
    loss, targets, _ = ELEMENTWISE[name]
    targets = targets.astype(np.float64)
    f, options = getattr(torch.nn.functional, TORCH[name][0]), TORCH[name][1]
    x = torch.asarray(X, requires_grad=True)
    expected = f(x, torch.asarray(targets), reduction=reduction, **options)
    expected.sum().backward()
    y, pullback = vjp(lambda x: loss(x, targets, reduction=reduction), X)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-13)
    np.testing.assert_allclose(pullback(np.ones_like(y))[0], x.grad.numpy(), rtol=1e-11)


def test_more_as_torch():
    torch = pytest.importorskip("torch", reason="PyTorch is optional; tests(torch) has it")
    f = torch.nn.functional
    x, y, v, hard = (torch.asarray(a) for a in (X, Y, V, HARD.astype(float)))
    pairs = [
        (
            losses.sigmoid_cross_entropy(X, HARD, positive_weights=POSITIVE),
            f.binary_cross_entropy_with_logits(x, hard, pos_weight=torch.asarray(POSITIVE)),
        ),
        (losses.gaussian_nll(X, Y, V), f.gaussian_nll_loss(x, y, torch.exp(v))),
        (losses.cosine_distance(X, Y), torch.mean(1 - f.cosine_similarity(x, y))),
        (losses.poisson_nll(np.exp(X), COUNTS, log_input=False),
         f.poisson_nll_loss(torch.exp(x), torch.asarray(COUNTS), log_input=False)),
    ]  # fmt: skip
    for found, expected in pairs:
        np.testing.assert_allclose(found, expected.item(), rtol=1e-12)


def test_hinge_targets_are_zero_and_one():
    assert losses.hinge(np.asarray([2.0, -2.0]), np.asarray([1, 0]), reduction="none").tolist() == [0.0, 0.0]
    assert losses.hinge(np.asarray([2.0, -2.0]), np.asarray([0, 1]), reduction="none").tolist() == [3.0, 3.0]


def test_root_of_the_mean_of_squares_differentiates():
    # A loss of one's own on top of ours.
    value = np.sqrt(np.mean((X - Y) ** 2))
    found = grad(lambda x: losses.squared_error(x, Y) ** 0.5)(X)
    np.testing.assert_allclose(found, (X - Y) / (X.size * value), rtol=1e-12)
    assert sqrt(losses.squared_error(X, Y)) == pytest.approx(value)
