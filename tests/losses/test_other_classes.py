"""Losses of classes besides the cross-entropy: focal, hinge, divergence; and what all of them do."""

from functools import partial

import numpy as np
import pytest

from portnn import losses
from portnn.autodiff import vjp
from portnn.testing import check_gradients
from tests.helpers import assert_close
from tests.losses.classes import CLASS_WEIGHTS, HOT, LABELS, LOGITS, SAMPLE_WEIGHT, SOFT, log_softmax, moved

RNG = np.random.default_rng(8)

SMALL_LABELS = {
    "smoothed": partial(losses.softmax_cross_entropy, label_smoothing=0.1),
    "negative ignore_index": partial(losses.softmax_cross_entropy, ignore_index=-100),
    "focal": losses.focal,
    "hinge": losses.multiclass_hinge,
}


@pytest.mark.parametrize("loss", SMALL_LABELS.values(), ids=SMALL_LABELS.keys())
@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_small_labels_of_many_classes_do_not_wrap(loss, dtype, backend):
    logits, labels = RNG.normal(size=(3, 300)), np.asarray([5, 100, 156])
    labels = np.minimum(labels, np.iinfo(dtype).max)  # 156 is -100 in a byte
    known = backend.asarray(logits, "float32")
    found = loss(known, backend.asarray(labels, dtype), reduction="none")
    expected = loss(logits.astype(np.float32), labels, reduction="none")
    np.testing.assert_allclose(backend.to_numpy(found), expected, rtol=1e-5, atol=1e-6)


CLASS_LOSSES = {
    "softmax_cross_entropy": losses.softmax_cross_entropy,
    "weighted": partial(losses.softmax_cross_entropy, class_weights=CLASS_WEIGHTS),
    "smoothed": partial(losses.softmax_cross_entropy, label_smoothing=0.1),
    "ignoring": partial(losses.softmax_cross_entropy, ignore_index=9),
    "focal": losses.focal,
    "focal alpha": partial(losses.focal, alpha=CLASS_WEIGHTS),
    "multiclass_hinge": losses.multiclass_hinge,
}


def focal(x, labels, gamma, alpha=None):
    logp = log_softmax(x)[np.arange(len(x)), labels]
    return -((1 - np.exp(logp)) ** gamma) * logp * (1.0 if alpha is None else alpha[labels])


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 3.5])
@pytest.mark.parametrize("alpha", [None, CLASS_WEIGHTS])
def test_focal(gamma, alpha, backend):
    expected = focal(LOGITS, LABELS, gamma, alpha)
    labels, hot = backend.asarray(LABELS), backend.asarray(HOT.astype(np.float32))
    x = backend.asarray(LOGITS.astype(np.float32))
    options = (
        {"gamma": gamma} if alpha is None else {"gamma": gamma, "alpha": backend.asarray(alpha, "float32")}
    )
    for t in (labels, hot):
        found = losses.focal(x, t, reduction="none", **options)
        assert_close(found, expected.astype(np.float32), rtol=2e-5, backend=backend)
    mean = losses.focal(x, labels, **options)
    assert_close(mean, np.asarray(expected.mean(), dtype=np.float32), rtol=1e-5, backend=backend)
    if backend.has_float64:
        options = moved({"gamma": gamma, "alpha": alpha}, backend, "float64")
        check_gradients(lambda x: losses.focal(x, labels, **options), (backend.asarray(LOGITS),))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_focal_of_certain_samples(gamma):
    x = np.asarray([[1e4, -1e4], [-1e4, 1e4]])
    y, pullback = vjp(lambda x: losses.focal(x, np.asarray([0, 0]), gamma=gamma, reduction="none"), x)
    assert y.tolist() == [0.0, 2e4]
    assert pullback(np.ones(2))[0].tolist() == [[0.0, 0.0], [-1.0, 1.0]]


@pytest.mark.parametrize("margin", [1.0, 0.3])
def test_multiclass_hinge(margin, backend):
    each = [
        sum(max(0.0, margin - row[y] + row[c]) for c in range(4) if c != y) / 4
        for row, y in zip(LOGITS, LABELS, strict=True)
    ]
    labels = backend.asarray(LABELS)
    found = losses.multiclass_hinge(
        backend.asarray(LOGITS.astype(np.float32)), labels, margin=margin, reduction="none"
    )
    assert_close(found, np.asarray(each, dtype=np.float32), rtol=1e-5, atol=1e-6, backend=backend)
    if backend.has_float64:
        x = backend.asarray(LOGITS)
        check_gradients(lambda x: losses.multiclass_hinge(x, labels, margin=margin), (x,), step=1e-3)


def test_multiclass_hinge_as_torch():
    torch = pytest.importorskip("torch", reason="PyTorch is optional; tests(torch) has it")
    x = torch.asarray(LOGITS, requires_grad=True)
    expected = torch.nn.functional.multi_margin_loss(x, torch.asarray(LABELS), margin=0.7)
    expected.backward()
    y, pullback = vjp(lambda x: losses.multiclass_hinge(x, LABELS, margin=0.7), LOGITS)
    np.testing.assert_allclose(y, expected.item(), rtol=1e-14)
    np.testing.assert_allclose(pullback(np.asarray(1.0))[0], x.grad.numpy(), atol=1e-15)


def test_kl_divergence(backend):
    t = np.asarray([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]])
    x = LOGITS[:2, :3]
    logp = log_softmax(x)
    rows = [
        sum(p * (np.log(p) - q) for p, q in zip(a, b, strict=True) if p) for a, b in zip(t, logp, strict=True)
    ]
    found = losses.kl_divergence(
        backend.asarray(x, "float32"), backend.asarray(t, "float32"), reduction="none"
    )
    assert_close(found, np.asarray(rows, dtype=np.float32), rtol=1e-5, backend=backend)
    if backend.has_float64:
        wide = backend.asarray(t)
        check_gradients(lambda x: losses.kl_divergence(x, wide), (backend.asarray(x),))
        check_gradients(
            lambda t: losses.kl_divergence(backend.asarray(LOGITS), t), (backend.asarray(SOFT),), step=1e-3
        )


def test_kl_divergence_at_its_minimum():
    x = np.log(SOFT)
    y, pullback = vjp(lambda x: losses.kl_divergence(x, SOFT), x)
    assert abs(float(y)) < 1e-15
    assert np.max(np.abs(pullback(np.asarray(1.0))[0])) < 1e-15


def test_kl_divergence_of_zero_targets_is_finite_in_both_gradients():
    t = np.asarray([[1.0, 0.0]])
    y, pullback = vjp(losses.kl_divergence, np.asarray([[0.0, -1e4]]), t)
    dx, dt = pullback(np.asarray(1.0))
    assert float(y) == 0.0
    assert dx.tolist() == [[0.0, 0.0]]
    assert np.all(np.isfinite(dt))


def test_kl_divergence_as_torch():
    torch = pytest.importorskip("torch", reason="PyTorch is optional; tests(torch) has it")
    logp = torch.log_softmax(torch.asarray(LOGITS), dim=-1)
    expected = torch.nn.functional.kl_div(logp, torch.asarray(SOFT), reduction="batchmean")
    np.testing.assert_allclose(losses.kl_divergence(LOGITS, SOFT), expected.item(), rtol=1e-13)


@pytest.mark.parametrize("loss", list(CLASS_LOSSES.values()), ids=list(CLASS_LOSSES))
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_sample_weights(loss, reduction):
    each = loss(LOGITS, LABELS, reduction="none")
    ones = loss(LOGITS, LABELS, reduction=reduction, sample_weight=np.ones(6))
    np.testing.assert_allclose(ones, loss(LOGITS, LABELS, reduction=reduction), rtol=1e-14)
    found = loss(LOGITS, LABELS, reduction=reduction, sample_weight=SAMPLE_WEIGHT)
    if reduction == "mean":
        share = CLASS_WEIGHTS[LABELS] if "class_weights" in getattr(loss, "keywords", {}) else 1.0
        expected = np.sum(each * SAMPLE_WEIGHT) / np.sum(share * SAMPLE_WEIGHT)
    else:
        expected = np.sum(each * SAMPLE_WEIGHT) if reduction == "sum" else each * SAMPLE_WEIGHT
    np.testing.assert_allclose(found, expected, rtol=1e-14)
