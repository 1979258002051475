"""Corners that were wrong once."""

from __future__ import annotations

import numpy as np
import pytest

import portnn as pn
from portnn import losses, ops


def test_cross_entropy_of_many_classes_in_half_precision():
    x = np.zeros((128, 1000), dtype=np.float16)
    labels = np.zeros(128, dtype=np.int64)
    value, slope = pn.value_and_grad(losses.softmax_cross_entropy)(x, labels)
    assert float(value) == pytest.approx(np.log(1000.0), rel=1e-3)
    assert float(slope[0, 1]) == pytest.approx(1.0 / (128 * 1000), rel=0.02)


def test_the_mean_of_no_samples_is_an_error():
    with pytest.raises(ValueError, match="no samples"):
        ops.softmax_cross_entropy(np.zeros((0, 3)), np.zeros(0, dtype=np.int64), mean=True)


def test_the_gradient_of_a_maximum_of_nan_is_nan_without_a_warning():
    assert np.isnan(pn.grad(ops.max)(np.asarray([1.0, np.nan]))).all()


def test_a_list_of_other_things_is_no_index():
    for index in ([0.5, 1.0], ["a"], [None]):
        with pytest.raises(TypeError, match=r"x\[\[...\]\]: expected integers or booleans"):
            pn.grad(lambda x, index=index: ops.sum(x[index]))(np.ones(3))
