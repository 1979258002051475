"""Losses, against their textbook formulas."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from portnn import losses
from tests.table.engine import Maker, Row, apart, between, fixed, integers, normal

N, C = 4, 3
LOGITS = normal(N, C)
LABELS = integers(0, C, N)
WEIGHTS = between(0.5, 2.0, N)
BITS = integers(0, 2, N, C)
VALUES = normal(N, C)


def probabilities(rng: np.random.Generator) -> np.ndarray:
    """Rows of sum 1."""
    p = rng.uniform(0.2, 1.0, size=(N, C))
    return np.asarray(p / np.sum(p, -1, keepdims=True))


def log_softmax(x: np.ndarray) -> np.ndarray:
    """log of exp(x) over its sum."""
    return x - np.log(np.sum(np.exp(x), -1, keepdims=True))


def hot(labels: np.ndarray) -> np.ndarray:
    """1 at the label."""
    return np.eye(C)[labels] if labels.dtype.kind == "i" else labels


def sigmoid(x: np.ndarray) -> np.ndarray:
    """The logistic function."""
    return 1.0 / (1.0 + np.exp(-x))


def cross_entropy(x: np.ndarray, t: np.ndarray, smoothing: float = 0.0) -> np.ndarray:
    """-Σ ((1 - e) t + e / C) log p."""
    return -np.sum((hot(t) * (1.0 - smoothing) + smoothing / C) * log_softmax(x), -1)


def weighted_mean(each: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Σ w l / Σ w over samples, where each sample's losses count alike."""
    per_sample = each.reshape(len(w), -1).mean(-1)
    return np.asarray(np.sum(w * per_sample) / np.sum(w))


def rows(
    name: str,
    each: Callable[..., np.ndarray],
    args: tuple[Maker, ...],
    case: str = "",
    options: Any = None,
    **more: Any,
) -> list[Row]:
    """Rows of a loss: the mean, the losses themselves, and the mean with weights of samples."""
    f = partial(getattr(losses, name), **(options or {}))
    label = f"{case}, " if case else ""
    return [
        Row(f"losses.{name}", f, args, lambda *a: np.asarray(np.mean(each(*a))), case=case, **more),
        Row(f"losses.{name}", partial(f, reduction="none"), args, each, case=f"{label}each", **more),
        Row(f"losses.{name}", lambda *a: f(*a[:-1], sample_weight=a[-1]), (*args, WEIGHTS),
            lambda *a: weighted_mean(each(*a[:-1]), a[-1]), case=f"{label}weighted", **more),
    ]  # fmt: skip


CLASS_WEIGHTS = np.asarray([0.5, 2.0, 1.25])


def _class_weighted(x: np.ndarray, t: np.ndarray, w: np.ndarray) -> np.ndarray:
    return np.asarray(np.sum(w[t] * cross_entropy(x, t)) / np.sum(w[t]))


def focal(x: np.ndarray, t: np.ndarray) -> np.ndarray:
    """(1 - p)^2 (-log p) of the true class."""
    p = np.sum(hot(t) * np.exp(log_softmax(x)), -1)
    return -((1.0 - p) ** 2) * np.log(p)


def multiclass_hinge(x: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Σ_{c≠t} max(0, 1 - x_t + x_c) / C."""
    own = np.sum(hot(t) * x, -1, keepdims=True)
    return np.sum((1.0 - hot(t)) * np.maximum(0.0, 1.0 - own + x), -1) / C


CLASSES = [
    *rows("softmax_cross_entropy", cross_entropy, (LOGITS, LABELS)),
    *rows("softmax_cross_entropy", cross_entropy, (LOGITS, probabilities), "soft"),
    *rows("softmax_cross_entropy", partial(cross_entropy, smoothing=0.1), (LOGITS, LABELS), "smoothed",
          {"label_smoothing": 0.1}),
    Row("losses.softmax_cross_entropy", lambda x, t, w: losses.softmax_cross_entropy(x, t, class_weights=w),
        (LOGITS, LABELS, between(0.5, 2.0, C)), _class_weighted, case="class weights"),
    Row("losses.softmax_cross_entropy", lambda x, t: losses.softmax_cross_entropy(x, t, ignore_index=-1),
        (LOGITS, fixed([0, -1, 2, -1], "int64")), lambda x, t: np.asarray(np.mean(cross_entropy(x, t)[[0, 2]])),
        case="ignored"),
    Row("losses.softmax_cross_entropy", lambda x, t: losses.softmax_cross_entropy(x, t, reduction="sum"),
        (LOGITS, LABELS), lambda x, t: np.asarray(np.sum(cross_entropy(x, t))), case="sum"),
    *rows("focal", focal, (LOGITS, LABELS)),
    Row("losses.focal", lambda x, t, a: losses.focal(x, t, alpha=a, gamma=1.5), (LOGITS, LABELS, between(0.5, 2.0, C)),
        lambda x, t, a: np.asarray(np.mean(a[t] * focal(x, t) / np.sqrt(1.0 - np.exp(-cross_entropy(x, t))))),
        case="alpha"),
    *rows("multiclass_hinge", multiclass_hinge, (apart(N, C, gap=0.37), LABELS)),
    *rows("kl_divergence", lambda x, t: np.sum(t * (np.log(t) - log_softmax(x)), -1), (LOGITS, probabilities)),
]  # fmt: skip


def binary(x: np.ndarray, t: np.ndarray) -> np.ndarray:
    """-t log s - (1 - t) log(1 - s)."""
    return -t * np.log(sigmoid(x)) - (1.0 - t) * np.log(1.0 - sigmoid(x))


def binary_focal(x: np.ndarray, t: np.ndarray) -> np.ndarray:
    """(1 - p)^2 (-log p) of the true answer."""
    p = np.where(t == 1, sigmoid(x), 1.0 - sigmoid(x))
    return -((1.0 - p) ** 2) * np.log(p)


BINARY = [
    *rows("sigmoid_cross_entropy", binary, (LOGITS, BITS)),
    *rows("sigmoid_cross_entropy", binary, (LOGITS, between(0.1, 0.9, N, C)), "soft"),
    *rows("sigmoid_cross_entropy", lambda x, t: binary(x, 0.9 * t + 0.05), (LOGITS, BITS), "smoothed",
          {"label_smoothing": 0.1}),
    Row("losses.sigmoid_cross_entropy", lambda x, t, w: losses.sigmoid_cross_entropy(x, t, positive_weights=w),
        (LOGITS, BITS, between(0.5, 2.0, C)), lambda x, t, w: np.asarray(np.mean(np.where(t == 1, w, 1.0) * binary(x, t))),
        case="positive weights"),
    *rows("sigmoid_focal", binary_focal, (LOGITS, BITS)),
    Row("losses.sigmoid_focal", partial(losses.sigmoid_focal, alpha=0.25, gamma=2.0), (LOGITS, BITS),
        lambda x, t: np.asarray(np.mean(np.where(t == 1, 0.25, 0.75) * binary_focal(x, t))), case="alpha"),
    *rows("hinge", lambda x, t: np.maximum(0.0, 1.0 - (2.0 * t - 1.0) * x), (apart(N, C, gap=0.43), BITS)),
]  # fmt: skip

# Differences that stay away from the corners at 0 and at ±1.
FAR = fixed([[0.3, -0.6, 1.7], [-2.2, 0.5, 1.4], [-0.4, 2.6, -1.5], [0.7, -0.2, 3.1]])
ZERO_OR_ONE = integers(0, 1, N, C)


def huber(p: np.ndarray, t: np.ndarray, delta: float = 1.0) -> np.ndarray:
    """d² / 2, from delta on a line."""
    d = np.abs(p - t)
    return np.where(d < delta, d * d / 2.0, delta * (d - delta / 2.0))


def cosine(p: np.ndarray, t: np.ndarray) -> np.ndarray:
    """1 - p·t / |p| |t|."""
    return 1.0 - np.sum(p * t, -1) / np.sqrt(np.sum(p * p, -1) * np.sum(t * t, -1))


REAL = [
    *rows("squared_error", lambda p, t: (p - t) ** 2, (VALUES, normal(N, C))),
    *rows("absolute_error", lambda p, t: np.abs(p - t), (FAR, ZERO_OR_ONE)),
    *rows("huber", huber, (FAR, ZERO_OR_ONE)),
    *rows("huber", partial(huber, delta=2.0), (FAR, ZERO_OR_ONE), "delta", {"delta": 2.0}),
    *rows("log_cosh", lambda p, t: np.log(np.cosh(p - t)), (VALUES, normal(N, C))),
    *rows("cosine_distance", cosine, (VALUES, normal(N, C))),
    *rows("poisson_nll", lambda x, t: np.exp(x) - t * x, (VALUES, integers(0, 5, N, C))),
    *rows("poisson_nll", lambda x, t: x - t * np.log(x + 1e-8), (between(0.5, 3.0, N, C), integers(0, 5, N, C)),
          "rates", {"log_input": False}),
    *rows("gaussian_nll", lambda m, t, v: (v + (m - t) ** 2 / np.exp(v)) / 2.0, (VALUES, normal(N, C), normal(N, C))),
    *rows("gaussian_nll", lambda p, t: (p[:, C:] + (p[:, :C] - t) ** 2 / np.exp(p[:, C:])) / 2.0,
          (normal(N, 2 * C), normal(N, C)), "both predicted"),
]  # fmt: skip

ROWS = [*CLASSES, *BINARY, *REAL]
