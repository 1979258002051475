"""What metrics say about arguments they cannot take: which, what came, how to mend it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import array_api_strict as strict
import numpy as np
import pytest

from portnn import metrics

I = np.asarray([0, 1, 2])  # noqa: E741  # integers
F = np.asarray([0.5, 1.5, 2.5])
P = np.asarray([[0.5, 0.25, 0.25]] * 3)
M = np.asarray([[0, 1], [1, 1], [0, 0]])
NAN = np.asarray([0.0, np.nan, 1.0])

ROWS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (
        lambda: metrics.accuracy([0, 1], I),
        TypeError,
        "y_true must be an array, got list; make one",
    ),
    (lambda: metrics.accuracy(I, 3), TypeError, "y_pred must be an array, got int"),
    (lambda: metrics.accuracy(I, strict.asarray([0, 1, 2])), TypeError, "arrays of different libraries"),
    (lambda: metrics.accuracy(np.asarray(1), I), ValueError, "y_true must have a sample on each row"),
    (lambda: metrics.accuracy(I, I[:2]), ValueError, "y_true has 3, y_pred has 2"),
    (lambda: metrics.accuracy(I[:0], I[:0]), ValueError, r"y_true is empty \(shape \(0,\)\)"),
    (
        lambda: metrics.accuracy(I, F),
        TypeError,
        r"y_pred must hold integer labels, .* float64.*argmax",
    ),
    (lambda: metrics.accuracy(I, M), ValueError, r"shape \(3,\), y_pred \(3, 2\).*argmax"),
    (lambda: metrics.accuracy(M + 1, M), ValueError, r"y_true of shape \(3, 2\) is read as one 0/1 column"),
    (lambda: metrics.accuracy(M, 2 * M), ValueError, "y_pred of shape .* holds other values"),
    (lambda: metrics.accuracy(M[None], M[None]), ValueError, r"must have shape \(n,\) or \(n, labels\)"),
    (lambda: metrics.accuracy(I, I, sample_weight=P), ValueError, r"sample_weight must have shape \(3,\)"),
    (lambda: metrics.accuracy(I, I, sample_weight=I > 0), TypeError, "sample_weight must hold real numbers"),
    (lambda: metrics.accuracy(I, I, sample_weight=I - 1), ValueError, "sample_weight holds negative"),
    (
        lambda: metrics.accuracy(I, I, sample_weight=I * 0),
        ValueError,
        "sample_weight is zero for every",
    ),
    (lambda: metrics.accuracy(I, I, sample_weight=NAN), ValueError, "sample_weight holds NaN or infinity"),
    (lambda: metrics.confusion_matrix(I, -I), ValueError, "y_pred holds negative labels"),
    (lambda: metrics.confusion_matrix(-I - 1, -I - 1), ValueError, "y_true holds negative labels"),
    (
        lambda: metrics.confusion_matrix(I, I, n_classes=2),
        ValueError,
        "y_true holds labels above 1, the last",
    ),
    (lambda: metrics.confusion_matrix(I, I, n_classes=0), ValueError, "n_classes must be 1 or more, got 0"),
    (
        lambda: metrics.confusion_matrix(I, I, n_classes=3.0),
        TypeError,
        "n_classes must be an integer",
    ),
    (lambda: metrics.confusion_matrix(M, M), ValueError, "takes one label per sample.*argmax"),
    (lambda: metrics.f1(I, I, average="mean"), ValueError, "average must be one of 'binary', .* got 'mean'"),
    (lambda: metrics.f1(I, I, average="samples"), ValueError, "needs several labels per sample"),
    (lambda: metrics.f1(M, M, average="binary"), ValueError, "average='binary' needs one label per sample"),
    (lambda: metrics.f1(I, I, average="binary"), ValueError, "y_true holds labels above 1"),
    (lambda: metrics.recall(M, M, n_classes=3), ValueError, "n_classes is 3, but y_true has 2 columns"),
    (lambda: metrics.top_k_accuracy(I, F), ValueError, r"y_score must have shape \(n, classes\), got \(3,\)"),
    (lambda: metrics.top_k_accuracy(I, M), TypeError, "y_score must be floating-point, got dtype int64"),
    (lambda: metrics.top_k_accuracy(M, P), ValueError, r"y_true must have shape \(n,\).*argmax"),
    (lambda: metrics.top_k_accuracy(I + 1, P), ValueError, "y_true holds labels above 2"),
    (lambda: metrics.top_k_accuracy(I, P * np.nan), ValueError, "y_score holds NaN"),
    (
        lambda: metrics.top_k_accuracy(I, P, k=4),
        ValueError,
        "k must be between 1 and .* classes, 3",
    ),
    (lambda: metrics.top_k_accuracy(I, P, k=0), ValueError, "k must be 1 or more, got 0"),
    (lambda: metrics.log_loss(I, P * 2), ValueError, r"each row of probabilities must sum to 1.*softmax"),
    (lambda: metrics.log_loss(I, P - 0.5), ValueError, r"probabilities must lie between 0 and 1.*softmax"),
    (lambda: metrics.log_loss(I > 0, F), ValueError, "probabilities must lie between 0 and 1"),
    (lambda: metrics.log_loss(F, P), TypeError, "y_true must hold integer labels"),
    (lambda: metrics.log_loss(I, None), TypeError, "probabilities must be an array, got NoneType"),
    (lambda: metrics.log_loss(I > 0, I), TypeError, "probabilities must be floating-point"),
    (lambda: metrics.r2(F, NAN), ValueError, "y_pred holds NaN or infinity"),
    (lambda: metrics.r2(F[:1], F[:1]), ValueError, "r2 needs at least 2 samples"),
    (lambda: metrics.r2(F, F[:, None]), ValueError, r"y_true has shape \(3,\), y_pred \(3, 1\)"),
    (lambda: metrics.r2(F, I > 0), TypeError, "y_pred must hold real numbers, got dtype bool"),
    (lambda: metrics.r2(P[None], P[None]), ValueError, r"y_true must have shape \(n,\) or \(n, outputs\)"),
    (lambda: metrics.r2(F, F, multioutput="sum"), ValueError, "multioutput must be 'uniform_average' or"),
]


@pytest.mark.parametrize(("call", "error", "text"), ROWS, ids=[row[2][:40] for row in ROWS])
def test_the_error_says_what_to_do(call: Callable[[], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text) as caught:
        call()
    assert type(caught.value) is error
    assert len(str(caught.value)) < 300
