"""Draws: the same bits on every backend, in plans and under jax.jit, and distributed as they say."""

from __future__ import annotations

import hashlib
from math import erf, sqrt

import numpy as np
import pytest

from portnn import autodiff, ops, random
from portnn.compile import jit
from portnn.random import (
    bernoulli,
    bits,
    categorical,
    key,
    normal,
    permutation,
    randint,
    truncated_normal,
    uniform,
)
from tests.backends import Matrix

DRAWS = {
    "bits": (lambda k: bits(k, (3, 7)), "4058ed1c702ee844"),
    "no bits": (lambda k: bits(k, (0, 2)), "e3b0c44298fc1c14"),
    "one": (lambda k: uniform(k, ()), "5894fdca76c196ac"),
    "uniform": (lambda k: uniform(k, (5, 11)), "e81d6898b89801ea"),
    "interval": (lambda k: uniform(k, 101, low=-3.0, high=2.5), "0ea1655404196d18"),
    "half": (lambda k: bernoulli(k, 0.5, 1000), "6290aa21c0dc2ef0"),
    "eight bits": (lambda k: bernoulli(k, 3 / 256, (20, 33)), "471cd9acedab9bd7"),
    "a tenth": (lambda k: bernoulli(k, 0.1, 300), "679e90d367ebaea4"),
    "never": (lambda k: bernoulli(k, 0.0, 9), "834a709ba2534ebe"),
    "always": (lambda k: bernoulli(k, 1.0, 9), "df070c0849900928"),
    "randint": (lambda k: randint(k, 50, -4, 1000), "08ff6e582bd5fcee"),
    "wide randint": (lambda k: randint(k, 50, -(2**31), 2**31 - 1), "5a04ba8c57579b2e"),
    "permutation": (lambda k: permutation(k, 1000), "88a13547899712ab"),
    "empty permutation": (lambda k: permutation(k, 0), "e3b0c44298fc1c14"),
}
DOUBLE = {
    "uniform": (lambda k: uniform(k, (5, 11), dtype="float64"), "9b3238170bf24fe9"),
    "interval": (lambda k: uniform(k, 101, low=-3.0, high=2.5, dtype="float64"), "6c2f368db8f15dab"),
}
ROUNDED = {
    "normal": lambda k, dtype: normal(k, (400, 7), dtype=dtype),
    "truncated_normal": lambda k, dtype: truncated_normal(k, 2001, dtype=dtype),
    "one tail": lambda k, dtype: truncated_normal(k, 2001, lower=3.0, upper=float("inf"), dtype=dtype),
}
ULPS = {"normal": 4, "truncated_normal": 8, "one tail": 8}


def digest(x):
    """Of the values alone: integers and booleans as int64, whatever a library's own are."""
    x = x if x.dtype.kind == "f" else x.astype(np.int64)
    return hashlib.sha256(np.ascontiguousarray(x).tobytes()).hexdigest()[:16]


@pytest.mark.parametrize(("draw", "expected"), DRAWS.values(), ids=DRAWS.keys())
def test_bits_are_these_on_every_backend(backend, draw, expected):
    assert digest(backend.to_numpy(draw(key(3, 1, like=backend.backend)))) == expected


@pytest.mark.parametrize(("draw", "expected"), DOUBLE.values(), ids=DOUBLE.keys())
def test_so_they_are_in_float64(backend, draw, expected):
    if not backend.has_float64:
        with pytest.raises(ValueError, match="float64 is not to be had here"):
            draw(key(3, 1, like=backend.backend))
        return
    assert digest(backend.to_numpy(draw(key(3, 1, like=backend.backend)))) == expected


@pytest.mark.parametrize("narrow", [False, True], ids=["64 bits", "32 bits"])
def test_so_they_are_under_jax_jit(backend, narrow):
    if backend.member is not Matrix.JAX:
        pytest.skip("JAX compiles")
    import jax

    with jax.enable_x64(not narrow):
        found = jax.jit(lambda k: [draw(k) for draw, _ in DRAWS.values()])(key(3, 1, like=backend.backend))
    expected = [digest for _, digest in DRAWS.values()]
    assert [digest(np.asarray(x)) for x in found] == expected


def test_so_they_are_in_a_plan():
    every = jit(lambda k: [draw(random.fold_in(k, 1)) for draw, _ in DRAWS.values()])
    for seed in (2, 3, 3):
        found = every(key(seed))
    assert [digest(x) for x in found] == [expected for _, expected in DRAWS.values()]
    assert every.plans == 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_many_numbers_are_made_in_chunks(dtype):
    def draw(k):
        many = 300_001
        masks = [bernoulli(k, 0.1, many), bernoulli(k, 0.5, 32 * many)]
        return [bits(k, many), uniform(k, many, dtype=dtype), normal(k, many, dtype=dtype), *masks]

    made_at_once = jit(draw)(key(1))  # as plans do
    assert [digest(x) for x in draw(key(1))] == [digest(x) for x in made_at_once]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ROUNDED)
def test_normals_differ_by_last_places(backend, name, dtype):
    if dtype == "float64" and not backend.has_float64:
        pytest.skip("no float64 here")
    expected = ROUNDED[name](key(5), dtype)
    found = backend.to_numpy(ROUNDED[name](key(5, like=backend.backend), dtype))
    assert found.dtype == expected.dtype
    assert (abs(found - expected) <= ULPS[name] * np.spacing(abs(expected))).all()


def check_distribution(x, cdf):
    """Kolmogorov's test: the greatest distance from a distribution function, at a level of 1e-4."""
    x = np.sort(np.asarray(x, dtype=np.float64).reshape(-1))
    steps = np.arange(x.size + 1) / x.size
    found = np.asarray([cdf(v) for v in x])
    assert max(abs(found - steps[1:]).max(), abs(found - steps[:-1]).max()) < 2.23 / sqrt(x.size)


def phi(x):
    return (1.0 + erf(x / sqrt(2.0))) / 2.0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_distributions(dtype):
    k = key(11)
    check_distribution(uniform(k, 20_000, low=2.0, high=5.0, dtype=dtype), lambda x: (x - 2.0) / 3.0)
    check_distribution(normal(k, 20_000, dtype=dtype), phi)
    for low, high in ((-2.0, 2.0), (-1.0, float("inf")), (2.5, 3.0), (-4.0, -3.9)):
        x = truncated_normal(k, 20_000, lower=low, upper=high, dtype=dtype)
        assert (x >= low).all()
        assert (x <= high).all()
        a, b = phi(low), phi(high)
        check_distribution(x, lambda x, a=a, b=b: (phi(x) - a) / (b - a))


def test_numbers_drawn_from_one_key_are_not_alike():
    x = normal(key(0), (4, 10_000))
    assert abs(np.corrcoef(x) - np.eye(4)).max() < 0.04
    many = np.stack([uniform(key(0, i), 1000) for i in range(8)] + [uniform(key(i), 1000) for i in range(8)])
    assert abs(np.corrcoef(many[:-1]) - np.eye(15)).max() < 0.13


@pytest.mark.parametrize("p", [0.5, 0.25, 3 / 256, 0.1, 0.9, 1.0 - 2.0**-16])
def test_shares_of_masks(p):
    mask = bernoulli(key(1), p, (100, 1000))
    assert abs(mask.mean() - p) < 5.0 * sqrt(p * (1.0 - p) / mask.size) + 1e-9
    assert abs(mask[1:] & mask[:-1]).mean() == pytest.approx(p * p, abs=0.006)  # neighbours are independent


def test_masks_of_probabilities(backend):
    p = backend.asarray([[0.0, 0.2, 1.0]], "float32")
    mask = backend.to_numpy(bernoulli(key(1, like=backend.backend), p, (5000, 3)))
    assert digest(mask) == "e88658a3aa86b7c9"
    assert mask.mean(axis=0) == pytest.approx([0.0, 0.2, 1.0], abs=0.02)
    assert backend.to_numpy(bernoulli(key(1, like=backend.backend), p)).shape == (1, 3)


def test_integers_reach_their_ends():
    x = randint(key(0), 6000, -1, 2)
    assert x.dtype == np.int64
    assert np.bincount(x + 1).tolist() == pytest.approx([2000] * 3, rel=0.1)
    assert randint(key(0), 3, 7, 8).tolist() == [7, 7, 7]


def test_permutations(backend):
    k = key(2, like=backend.backend)
    places = backend.to_numpy(permutation(k, 77))
    assert sorted(places.tolist()) == list(range(77))
    rows = backend.asarray(np.arange(154).reshape(77, 2))
    assert (backend.to_numpy(permutation(k, rows)) == 2 * places[:, None] + [0, 1]).all()


def test_every_permutation_comes_up():
    found = {tuple(permutation(key(i), 4).tolist()) for i in range(400)}
    assert len(found) == 24


def test_gradients_pass_a_permutation():
    k, w = key(2), np.arange(5.0)
    gradient = autodiff.grad(lambda x: ops.sum(permutation(k, x) * w))(np.zeros(5))
    assert gradient[permutation(k, 5)].tolist() == w.tolist()


def test_ends_are_left_out():
    x = uniform(key(0), 10_000, low=1e6, high=1e6 + 0.25)
    assert set(x.tolist()) == {1e6, 1e6 + 0.0625, 1e6 + 0.125, 1e6 + 0.1875}


def test_choices(backend):
    logits = np.log(np.asarray([[0.1, 0.2, 0.7], [0.5, 0.5, 1e-30]])).astype(np.float32)
    logits[0, 1] = -np.inf
    found = categorical(key(0, like=backend.backend), backend.asarray(logits), shape=(3000, 2))
    shares = [np.bincount(column, minlength=3) / 3000 for column in backend.to_numpy(found).T]
    assert shares[0] == pytest.approx([1 / 8, 0.0, 7 / 8], abs=0.03)
    assert shares[1] == pytest.approx([0.5, 0.5, 0.0], abs=0.03)
    assert shares[0][1] == 0.0
    turned = categorical(key(0, like=backend.backend), backend.asarray(logits.T), axis=0)
    same = categorical(key(0, like=backend.backend), backend.asarray(logits))
    assert backend.to_numpy(turned).tolist() == backend.to_numpy(same).tolist()


REFUSED = {
    "shape": (lambda k: bits(k, 1.5), TypeError, "bits: shape must be an integer or a tuple of integers"),
    "negative": (lambda k: normal(k, (2, -1)), ValueError, r"shape must not be negative, got \(2, -1\)"),
    "too many": (lambda k: bits(k, (2**20, 2**20)), ValueError, "a key has 2.34 words"),
    "dtype": (lambda k: uniform(k, 3, dtype="int32"), ValueError, "'float32' or 'float64', got 'int32'"),
    "empty interval": (lambda k: uniform(k, 3, low=1.0), ValueError, "below the second, got 1.0 and 1.0"),
    "infinite": (lambda k: uniform(k, 3, high=float("inf")), ValueError, "expected finite numbers"),
    "array": (lambda k: uniform(k, 3, low=np.zeros(3)), TypeError, "ends must be numbers"),
    "no probability": (lambda k: bernoulli(k, 1.5, 3), ValueError, "between 0 and 1, got 1.5"),
    "no integers": (lambda k: randint(k, 3, 0, 1.5), TypeError, "must be integers, got int and float"),
    "no range": (lambda k: randint(k, 3, 5, 5), ValueError, "by at most 2.32, got 5 and 5"),
    "large range": (lambda k: randint(k, 3, 0, 2**33), ValueError, "by at most 2.32"),
    "no axes": (lambda k: permutation(k, np.asarray(3.0)), TypeError, "an array with axes"),
    "a float": (lambda k: permutation(k, 3.5), TypeError, "expected an integer or an array, got float"),
    "far": (lambda k: truncated_normal(k, 3, lower=7.0), ValueError, "lower must be below upper and 6"),
    "axis": (lambda k: categorical(k, np.zeros(3), axis=1), ValueError, r"axis 1, got .* shape \(3,\)"),
    "choices": (lambda k: categorical(k, np.zeros((3, 0))), ValueError, "expected choices along axis -1"),
    "broadcast": (lambda k: categorical(k, np.zeros((3, 2)), shape=4), ValueError, "cannot be broadcast"),
    "logits": (lambda k: categorical(k, np.arange(3)), TypeError, "expected a real floating-point"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "text"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(call, kind, text):
    with pytest.raises(kind, match=text) as caught:
        call(key(0))
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [(-3e38, 3e38, "float32"), (0.0, 1e39, "float32"), (-1.7e308, 1.7e308, "float64")],
)
def test_uniform_numbers_too_far_apart_are_refused(low, high, dtype):
    """Their distance is infinite; all numbers would be the highest."""
    with pytest.raises(ValueError, match=f"too far out or apart for {dtype}"):
        uniform(key(0), 3, low=low, high=high, dtype=dtype)


@pytest.mark.parametrize(
    ("low", "high"), [(2**63 - 2, 2**63 + 2), (2**70, 2**70 + 2), (-(2**63) - 1, -(2**63))]
)
def test_integers_that_64_bits_do_not_hold_are_refused(low, high):
    with pytest.raises(ValueError, match="randint: integers of 64 bits go from"):
        randint(key(0), 3, low, high)
    assert randint(key(0), 9, 2**63 - 2, 2**63).min() >= 2**63 - 2


@pytest.mark.parametrize("p", ["a", None, [0.5]])
def test_probabilities_are_numbers(p):
    with pytest.raises(TypeError, match="bernoulli: p must be a number or an array, got"):
        bernoulli(key(0), p, 3)
