"""What a plan is known by, and how many are kept."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from portnn import ops
from portnn.compile import RetraceWarning, jit
from portnn.compile._signature import described, differences

X = np.arange(6, dtype=np.float32).reshape(2, 3)


class Counted:
    """A function that counts how often Python carries it out."""

    def __init__(self, f: Any) -> None:
        self.f = f
        self.calls = 0

    def __call__(self, *args: Any, **options: Any) -> Any:
        self.calls += 1
        return self.f(*args, **options)


def test_a_function_is_written_down_once_for_each_signature() -> None:
    f = Counted(lambda x: x * 2.0 + 1.0)
    planned = jit(f)
    for _ in range(3):
        np.testing.assert_array_equal(planned(X), X * 2.0 + 1.0)
    assert f.calls == 1
    for other in (X[:1], X.astype(np.float64), np.asfortranarray(X), X[:, ::2]):
        np.testing.assert_array_equal(planned(other), other * 2.0 + 1.0)
        np.testing.assert_array_equal(planned(other), other * 2.0 + 1.0)
    assert (f.calls, planned.plans) == (5, 5)


def test_numbers_without_axes_share_a_plan_with_numpys_scalars() -> None:
    planned = jit(lambda n: ops.broadcast_to(n + 1, ()))
    n = np.asarray(0, dtype=np.int32)
    for _ in range(4):
        n = planned(n)
    assert (int(n), planned.plans) == (4, 1)


@dataclass(frozen=True)
class Config:
    power: int


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((X, 2), (X, 3)),
        ((X, 1.0), (X, 1)),
        ((X, 0.0), (X, -0.0)),
        ((X, True), (X, 1)),
        ((X, Config(2)), (X, Config(3))),
        ((X, "a"), (X, "b")),
        ((X, None), (X, ())),
        (({"a": X, "b": X * 2.0},), ({"b": X, "a": X * 2.0},)),
        (([X],), ((X,),)),
    ],
    ids=lambda args: type(args[-1]).__name__,
)
def test_constants_and_structure_are_part_of_the_signature(first: Any, second: Any) -> None:
    f = Counted(lambda *args: [leaf for leaf in args if isinstance(leaf, int)] or ops.sum(_first(args)))
    planned = jit(f)
    for args in (first, second, first, second):
        assert repr(planned(*args)) == repr(f.f(*args))
    assert f.calls == 2


def _first(args: Any) -> Any:
    tree = args[0]
    return tree["a"] if isinstance(tree, dict) else tree[0] if isinstance(tree, list | tuple) else tree


def test_keywords_are_arguments() -> None:
    planned = jit(lambda x, *, scale, power=1: x**power * scale)
    assert planned(np.asarray(3.0), scale=np.asarray(2.0), power=2) == 18.0
    assert planned(np.asarray(2.0), scale=np.asarray(5.0), power=2) == 20.0
    assert planned(np.asarray(2.0), scale=np.asarray(5.0)) == 10.0


def test_the_cache_is_bounded() -> None:
    f = Counted(lambda x: x + 1.0)
    planned = jit(f, cache_size=2)
    sizes = (1, 2, 1, 3, 1, 2)  # 1 stays: it was used last when 3 came, so 2 had to go
    for n in sizes:
        planned(np.zeros(n))
    assert (planned.plans, f.calls) == (2, 4)
    planned.clear()
    assert planned.plans == 0


def test_an_argument_that_keeps_changing_is_named() -> None:
    planned = jit(lambda params, rate: params["w"] * rate)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")  # every one is recorded and looked at below
        for i in range(12):
            planned({"w": X}, i / 10)
    assert [w.category for w in found] == [RetraceWarning]
    text = str(found[0].message)
    assert re.search(r"written down 8 times; last, rate: 0\.6, then 0\.7\..*without axes", text)
    assert len(text) < 300
    assert found[0].filename == __file__


def test_functions_of_arrays_without_axes_are_written_down_once() -> None:
    planned = jit(lambda x, rate: x * rate)
    for i in range(20):  # a warning would be an error
        np.testing.assert_array_equal(planned(X, np.asarray(i, dtype=np.float32)), X * np.float32(i))


def test_arguments_in_words() -> None:
    """With strides only where an array is not row by row; axes of length one lie in any order."""
    x = np.zeros((3, 4), dtype=np.float32)
    cases = {
        "float32[3, 4]": x,
        "float32[4, 3] with strides (4, 16)": x.T,
        "float32[3, 2]": x[:, ::2],
        "float32[1, 4]": x[:1],
        "float32[4, 1]": x[:1].T,
        "float32[3, 1]": x[:, :1].copy(),
        "float32[4]": x[0],
        "float32[]": x[0, 0],
        "int64[2]": np.zeros(2, dtype=np.int64),
        "'word'": "word",
        "2.5": 2.5,
    }
    for words, leaf in cases.items():
        assert described(lambda p: p, (({"a": leaf},), {})) == {"p.a": words}
    found = described(lambda p, q: p, ((1, [x], 2), {"flag": True}))
    assert found == {"p": "1", "q.0": "float32[3, 4]", "2": "2", "flag": "True"}
    assert described(min, ((1,), {})) == {"0": "1"}
    same = {"x": "1", "y": "2"}
    assert differences(same, same) == []
    assert differences(same, {"x": "1", "z": "3"}) == ["y: 2, then nothing", "z: nothing, then 3"]
