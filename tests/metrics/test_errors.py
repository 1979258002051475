"""What metrics say about arguments they cannot take: which, what came, how to mend it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import array_api_strict as strict
import numpy as np
import pytest

from portnn import metrics
from portnn.tracing import OutOfRangeError

N = np.asarray([0, 1, 2])
F = np.asarray([0.5, 1.5, 2.5])
P = np.asarray([[0.5, 0.25, 0.25]] * 3)
M = np.asarray([[0, 1], [1, 1], [0, 0]])
NAN = np.asarray([0.0, np.nan, 1.0])

ROWS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (
        lambda: metrics.accuracy([0, 1], N),
        TypeError,
        "y_true must be an array, got list; make one",
    ),
    (lambda: metrics.accuracy(N, 3), TypeError, "y_pred must be an array, got int"),
    (lambda: metrics.accuracy(N, strict.asarray([0, 1, 2])), TypeError, "arrays of different libraries"),
    (lambda: metrics.accuracy(np.asarray(1), N), ValueError, "y_true must have a sample on each row"),
    (lambda: metrics.accuracy(N, N[:2]), ValueError, "y_true has 3, y_pred has 2"),
    (lambda: metrics.accuracy(N[:0], N[:0]), ValueError, r"y_true is empty \(shape \(0,\)\)"),
    (
        lambda: metrics.accuracy(N, F),
        TypeError,
        r"y_pred must hold integer labels, .* float64.*argmax",
    ),
    (lambda: metrics.accuracy(N, M), ValueError, r"shape \(3,\), y_pred \(3, 2\).*argmax"),
    (lambda: metrics.accuracy(M + 1, M), ValueError, r"y_true of shape \(3, 2\) is read as one 0/1 column"),
    (lambda: metrics.accuracy(M, 2 * M), ValueError, "y_pred of shape .* holds other values"),
    (lambda: metrics.accuracy(M[None], M[None]), ValueError, r"must have shape \(n,\) or \(n, labels\)"),
    (lambda: metrics.accuracy(N, N, sample_weight=P), ValueError, r"sample_weight must have shape \(3,\)"),
    (lambda: metrics.accuracy(N, N, sample_weight=N > 0), TypeError, "sample_weight must hold real numbers"),
    (lambda: metrics.accuracy(N, N, sample_weight=N - 1), ValueError, "sample_weight holds negative"),
    (
        lambda: metrics.accuracy(N, N, sample_weight=N * 0),
        ValueError,
        "sample_weight is zero for every",
    ),
    (lambda: metrics.accuracy(N, N, sample_weight=NAN), ValueError, "sample_weight holds NaN or infinity"),
    (lambda: metrics.confusion_matrix(N, -N), OutOfRangeError, "y_pred must be from 0 to"),
    (lambda: metrics.confusion_matrix(-N - 1, -N - 1), OutOfRangeError, "y_true must be from 0 to 0, got"),
    (
        lambda: metrics.confusion_matrix(N, N, n_classes=2),
        OutOfRangeError,
        "y_true must be from 0 to 1, got",
    ),
    (lambda: metrics.confusion_matrix(N, N, n_classes=0), ValueError, "n_classes must be 1 or more, got 0"),
    (
        lambda: metrics.confusion_matrix(N, N, n_classes=3.0),
        TypeError,
        "n_classes must be an integer",
    ),
    (lambda: metrics.confusion_matrix(M, M), ValueError, "takes one label per sample.*argmax"),
    (lambda: metrics.f1(N, N, average="mean"), ValueError, "average must be one of 'binary', .* got 'mean'"),
    (lambda: metrics.f1(N, N, average="samples"), ValueError, "needs several labels per sample"),
    (lambda: metrics.f1(M, M, average="binary"), ValueError, "average='binary' needs one label per sample"),
    (lambda: metrics.f1(N, N, average="binary"), OutOfRangeError, "y_true must be from 0 to 1"),
    (lambda: metrics.recall(M, M, n_classes=3), ValueError, "n_classes is 3, but y_true has 2 columns"),
    (lambda: metrics.top_k_accuracy(N, F), ValueError, r"y_score must have shape \(n, classes\), got \(3,\)"),
    (lambda: metrics.top_k_accuracy(N, M), TypeError, "y_score must be floating-point, got dtype int64"),
    (lambda: metrics.top_k_accuracy(M, P), ValueError, r"y_true must have shape \(n,\).*argmax"),
    (lambda: metrics.top_k_accuracy(N + 1, P), OutOfRangeError, "y_true must be from 0 to 2"),
    (lambda: metrics.top_k_accuracy(N, P * np.nan), ValueError, "y_score holds NaN"),
    (
        lambda: metrics.top_k_accuracy(N, P, k=4),
        ValueError,
        "k must be between 1 and .* classes, 3",
    ),
    (lambda: metrics.top_k_accuracy(N, P, k=0), ValueError, "k must be 1 or more, got 0"),
    (lambda: metrics.log_loss(N, P * 2), ValueError, r"each row of probabilities must sum to 1.*softmax"),
    (lambda: metrics.log_loss(N, P - 0.5), ValueError, r"probabilities must lie between 0 and 1.*softmax"),
    (lambda: metrics.log_loss(N > 0, F), ValueError, "probabilities must lie between 0 and 1"),
    (lambda: metrics.log_loss(F, P), TypeError, "y_true must hold integer labels"),
    (lambda: metrics.log_loss(N, None), TypeError, "probabilities must be an array, got NoneType"),
    (lambda: metrics.log_loss(N > 0, N), TypeError, "probabilities must be floating-point"),
    (lambda: metrics.r2(F, NAN), ValueError, "y_pred holds NaN or infinity"),
    (lambda: metrics.r2(F[:1], F[:1]), ValueError, "r2 needs at least 2 samples"),
    (lambda: metrics.r2(F, F[:, None]), ValueError, r"y_true has shape \(3,\), y_pred \(3, 1\)"),
    (lambda: metrics.r2(F, N > 0), TypeError, "y_pred must hold real numbers, got dtype bool"),
    (lambda: metrics.r2(P[None], P[None]), ValueError, r"y_true must have shape \(n,\) or \(n, outputs\)"),
    (lambda: metrics.r2(F, F, multioutput="sum"), ValueError, "multioutput must be 'uniform_average' or"),
]


@pytest.mark.parametrize(("call", "error", "text"), ROWS, ids=[row[2][:40] for row in ROWS])
def test_the_error_says_what_to_do(call: Callable[[], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text) as caught:
        call()
    assert type(caught.value) is error
    assert len(str(caught.value)) < 300
