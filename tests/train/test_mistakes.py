"""Parts of a batch that are too small are named after what makes them so."""

from __future__ import annotations

import numpy as np
import pytest

from portnn.nn import BatchNorm, Linear, Sequential
from portnn.random import stream
from portnn.train._step import _name_accumulate as name_accumulate


def test_parts_that_are_too_small_name_accumulate():
    layer = Sequential([Linear(3, 4), BatchNorm(4)])
    with pytest.raises(ValueError, match="BatchNorm: training needs") as caught:
        layer.apply(layer.init(stream(0)), np.ones((1, 3), "float32"), training=True)
    name_accumulate(caught.value, 1, 1)
    assert str(caught.value).startswith("BatchNorm: training needs"), "there are no parts"
    name_accumulate(caught.value, 8, 1)
    assert str(caught.value) == (
        "fit: accumulate=8 makes parts of 1 sample, too few for BatchNorm, which needs two elements a "
        "channel; pass a smaller accumulate or a larger batch_size (the last batch counts, too), or use "
        "LayerNorm; in layer 1 BatchNorm(4)"
    )


def test_other_errors_stay():
    error = ValueError("BatchNorm: expected")
    name_accumulate(error, 8, 1)
    assert str(error) == "BatchNorm: expected"
