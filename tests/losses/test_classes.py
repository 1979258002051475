"""Losses for classes: by formula in NumPy, by PyTorch, and at the edges."""

from functools import partial

import numpy as np
import pytest

from portnn import losses, ops
from portnn.autodiff import grad, vjp
from portnn.testing import check_gradients
from tests.helpers import assert_close
from tests.losses.classes import CLASS_WEIGHTS, HOT, LABELS, LOGITS, SAMPLE_WEIGHT, SOFT, log_softmax, moved

RNG = np.random.default_rng(8)


def cross_entropy(x, targets, smoothing=0.0, class_weights=None, ignore=None, sample_weight=None):
    """Losses, and what each counts for in the mean, sample by sample."""
    n_classes = x.shape[1]
    w = np.ones(n_classes) if class_weights is None else class_weights
    found, share = [], []
    for i, row in enumerate(log_softmax(x)):
        t = np.eye(n_classes)[targets[i]] if targets.ndim == 1 and targets[i] >= 0 else targets[i]
        s = 1.0 if sample_weight is None else sample_weight[i]
        if targets.ndim == 1 and targets[i] == ignore:
            found.append(0.0)
            share.append(0.0)
            continue
        t = (1 - smoothing) * t + smoothing / n_classes
        found.append(-s * sum(w[c] * t[c] * row[c] for c in range(n_classes)))
        share.append(s * (w[targets[i]] if targets.ndim == 1 else 1.0))
    return np.asarray(found), np.asarray(share)


OPTIONS = {
    "plain": {},
    "smoothing": {"label_smoothing": 0.1},
    "weights": {"class_weights": CLASS_WEIGHTS},
    "both": {"label_smoothing": 0.3, "class_weights": CLASS_WEIGHTS},
    "samples": {"sample_weight": SAMPLE_WEIGHT},
    "all": {"label_smoothing": 0.3, "class_weights": CLASS_WEIGHTS, "sample_weight": SAMPLE_WEIGHT},
}
LABEL_OPTIONS = {
    "ignore": {"ignore_index": 1},
    "ignore all": {"ignore_index": 1, **OPTIONS["all"]},
    "ignore outside": {"ignore_index": -100, **OPTIONS["weights"]},
}


def cases():
    for kind, targets in {"labels": LABELS, "soft": SOFT, "hot": HOT}.items():
        for name, options in {**OPTIONS, **(LABEL_OPTIONS if kind == "labels" else {})}.items():
            yield pytest.param(targets, options, id=f"{kind}-{name}")


CASES = list(cases())
# PyTorch's cross_entropy has no sample weights.
TORCH_CASES = [case for case in CASES if "sample_weight" not in case.values[1]]


@pytest.mark.parametrize(("targets", "options"), CASES)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_softmax_cross_entropy(targets, options, reduction, backend):
    names = {"label_smoothing": "smoothing", "ignore_index": "ignore"}
    each, share = cross_entropy(LOGITS, targets, **{names.get(k, k): v for k, v in options.items()})
    expected = {"mean": each.sum() / share.sum(), "sum": each.sum(), "none": each}[reduction]
    for dtype, rtol in {"float64": 1e-12, "float32": 3e-6}.items():
        if dtype == "float64" and not backend.has_float64:
            continue
        t = backend.asarray(targets if targets.ndim == 1 else targets.astype(dtype))
        found = losses.softmax_cross_entropy(
            backend.asarray(LOGITS, dtype=dtype), t, reduction=reduction, **moved(options, backend, dtype)
        )
        assert_close(found, np.asarray(expected, dtype=dtype), rtol=rtol, backend=backend)


@pytest.mark.parametrize(("targets", "options"), CASES)
def test_softmax_cross_entropy_gradient(targets, options, backend):
    if not backend.has_float64:
        pytest.skip("differences need float64")
    t, options = backend.asarray(targets), moved(options, backend, "float64")
    check_gradients(lambda x: losses.softmax_cross_entropy(x, t, **options), (backend.asarray(LOGITS),))


def test_softmax_cross_entropy_differentiates_by_soft_targets_and_weights():
    def loss(t, w, s):
        return losses.softmax_cross_entropy(LOGITS, t, class_weights=w, sample_weight=s, label_smoothing=0.1)

    check_gradients(loss, (SOFT, CLASS_WEIGHTS, SAMPLE_WEIGHT))


@pytest.mark.parametrize(("targets", "options"), TORCH_CASES)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_softmax_cross_entropy_as_torch(targets, options, reduction):
    torch = pytest.importorskip("torch", reason="PyTorch is optional; tests(torch) has it")
    names = {"class_weights": "weight"}
    theirs = {
        names.get(k, k): torch.asarray(v) if isinstance(v, np.ndarray) else v for k, v in options.items()
    }
    x = torch.asarray(LOGITS, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(x, torch.asarray(targets), reduction=reduction, **theirs)
    expected.sum().backward()
    found, pullback = vjp(
        lambda x: losses.softmax_cross_entropy(x, targets, reduction=reduction, **options), LOGITS
    )
    np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-13)
    (g,) = pullback(np.ones_like(found))
    np.testing.assert_allclose(g, x.grad.numpy(), rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "int64"])
def test_label_dtypes(dtype):
    expected = losses.softmax_cross_entropy(LOGITS, HOT)
    found = losses.softmax_cross_entropy(LOGITS, LABELS.astype(dtype))
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    weighted = partial(losses.softmax_cross_entropy, LOGITS, class_weights=CLASS_WEIGHTS, reduction="none")
    np.testing.assert_allclose(weighted(LABELS.astype(dtype)), weighted(HOT), rtol=1e-14)


@pytest.mark.parametrize("dtype", ["bool", "int64", "float32"])
def test_one_hot_of_any_dtype(dtype):
    found = losses.softmax_cross_entropy(LOGITS, HOT.astype(dtype))
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, losses.softmax_cross_entropy(LOGITS, LABELS), rtol=1e-14)


def test_more_axes():
    x = RNG.normal(size=(2, 3, 4))
    labels = LABELS.reshape(2, 3)
    flat = losses.softmax_cross_entropy(x.reshape(6, 4), LABELS, reduction="none")
    found = losses.softmax_cross_entropy(x, labels, reduction="none")
    np.testing.assert_allclose(found, flat.reshape(2, 3), rtol=1e-14)
    for weight in (np.asarray([1.0, 3.0]), SAMPLE_WEIGHT.reshape(2, 3)):
        full = np.broadcast_to(weight.reshape(weight.shape + (1,) * (2 - weight.ndim)), (2, 3))
        expected = np.sum(full * found) / np.sum(full)
        weighted = losses.softmax_cross_entropy(x, labels, sample_weight=weight)
        np.testing.assert_allclose(weighted, expected, rtol=1e-14)
    one = losses.softmax_cross_entropy(x[0, 0], labels[0, 0])
    np.testing.assert_allclose(one, found[0, 0], rtol=1e-14)


@pytest.mark.parametrize("options", [{}, {"class_weights": CLASS_WEIGHTS, "label_smoothing": 0.1}])
def test_nothing_counts(options):
    def loss(x):
        return losses.softmax_cross_entropy(x, np.zeros(6, dtype=np.int64), ignore_index=0, **options)

    assert float(loss(LOGITS)) == 0.0
    assert not np.any(grad(loss)(LOGITS))
    weights = np.zeros(6)
    assert float(losses.softmax_cross_entropy(LOGITS, LABELS, sample_weight=weights)) == 0.0
    assert not np.any(grad(lambda x: losses.softmax_cross_entropy(x, LABELS, sample_weight=weights))(LOGITS))


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}])
def test_ignored_samples_may_hold_anything(options):
    x = LOGITS.copy()
    x[2:4] = np.nan
    labels = np.where(LABELS == 1, -1, LABELS)
    found = losses.softmax_cross_entropy(x, labels, ignore_index=-1, **options)
    kept = labels >= 0
    expected = losses.softmax_cross_entropy(LOGITS[kept], labels[kept], **options)
    np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extreme_logits(soft, dtype):
    x = np.asarray([[1e4, -1e4], [1e4, -1e4], [1e4, 1e4]], dtype=dtype)
    labels = np.asarray([0, 1, 0])
    t = np.eye(2, dtype=dtype)[labels] if soft else labels
    f = partial(losses.softmax_cross_entropy, reduction="none")
    y, pullback = vjp(lambda x: f(x, t), x)
    np.testing.assert_allclose(y, [0.0, 2e4, np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(
        pullback(np.ones(3, dtype=dtype))[0], [[0, 0], [1, -1], [-0.5, 0.5]], atol=1e-7
    )


def test_masked_classes():
    x = np.asarray([[0.0, -np.inf, 0.0]])
    found, pullback = vjp(lambda x: losses.softmax_cross_entropy(x, np.asarray([0])), x)
    assert float(found) == pytest.approx(np.log(2))
    assert pullback(np.asarray(1.0))[0].tolist() == [[-0.5, 0.0, 0.5]]


def test_whole_numbers_as_sample_weights_repeat_samples():
    repeats = np.asarray([1, 0, 2, 1, 3, 1])
    expected = losses.softmax_cross_entropy(np.repeat(LOGITS, repeats, axis=0), np.repeat(LABELS, repeats))
    found = losses.softmax_cross_entropy(LOGITS, LABELS, sample_weight=repeats)
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_the_plain_call_is_one_step(monkeypatch):
    calls = []
    for name in ops.__all__:
        f = getattr(ops, name)
        if callable(f):
            monkeypatch.setattr(ops, name, lambda *a, _f=f, _n=name, **o: calls.append(_n) or _f(*a, **o))
    losses.softmax_cross_entropy(LOGITS, LABELS)
    assert calls == ["softmax_cross_entropy"]
