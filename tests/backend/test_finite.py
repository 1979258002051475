"""Whether numbers are finite: one number that is not is found wherever it is, and large ones are no error."""

from __future__ import annotations

import numpy as np
import pytest

from portnn.backend._finite import all_finite, cast_finite

LAYOUTS = {
    "rows": lambda x: x,
    "columns": np.asfortranarray,
    "steps": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "reversed": lambda x: x[::-1],
    "one": lambda x: x[:1, :1],
}


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_number_that_is_not_finite(layout: str, dtype: str) -> None:
    rng = np.random.default_rng(0)
    for bad in (np.nan, np.inf, -np.inf):
        x = rng.normal(size=(37, 21)).astype(dtype)
        laid_out = LAYOUTS[layout](x)
        assert all_finite(laid_out)
        place = tuple(rng.integers(0, n) for n in laid_out.shape)
        laid_out[place] = bad
        assert not all_finite(laid_out)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_numbers_are_finite(dtype: str, sign: int) -> None:
    x = np.full((5, 3), sign * np.finfo(dtype).max, dtype)
    assert all_finite(x)
    x[2, 1] = np.inf
    x[3, 1] = -np.inf  # whose sum is NaN
    assert not all_finite(x)


def test_numbers_of_a_whole_shape() -> None:
    assert all_finite(np.zeros((0, 3)))
    assert all_finite(np.asarray(1.0))
    assert not all_finite(np.asarray(np.nan))


def test_on_every_library(backend) -> None:
    for values, wanted in (([1.0, 2.0], True), ([1.0, np.nan], False), ([-np.inf, 2.0], False)):
        assert all_finite(backend.asarray(np.asarray(values, "float32"))) is wanted


def test_a_cast() -> None:
    x = np.asarray([[1.0, 3e38], [-2.0, 1e-60]])
    np.testing.assert_array_equal(cast_finite(x, np.dtype("float32")), x.astype("float32"))
    for bad in (1e39, np.nan, -np.inf):
        assert cast_finite(np.asarray([1.0, bad]), np.dtype("float32")) is None
    same = np.ones(3, "float32")
    assert cast_finite(same, np.dtype("float32")) is same
