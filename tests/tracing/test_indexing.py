"""Indices of every kind on traced arrays: values and two derivatives, beside what NumPy itself picks."""

from __future__ import annotations

import numpy as np
import pytest

import portnn as pn
from portnn import ops

X = np.random.default_rng(0).normal(size=(3, 4, 5))
COLUMN = np.asarray([[0], [2]])
ROWS = np.asarray([2, 0, 2])
MASK = np.asarray([True, False, True])

REFUSALS = (IndexError, TypeError, ValueError, NotImplementedError, RuntimeError)
INDICES = {
    "a tuple inside": np.s_[:, (0,)],
    "a list": np.s_[[2, 0]],
    "a list, twice the same": np.s_[[1, 1, 1]],
    "a list behind a slice": np.s_[:, [0, 3, 0]],
    "a nested list": np.s_[:, [[0, 1], [3, 3]]],
    "a range": np.s_[:, range(1, 3)],
    "an empty list": np.s_[:, []],
    "negative": np.s_[:, (-1, 0), ...],
    "at the end": np.s_[..., (0, -2)],
    "a list and an integer": np.s_[[0, 2], 1],
    "an integer and a list": np.s_[1, :, [0, 4]],
    "side by side": np.s_[:, [0, 1], [2, 2]],
    "apart": np.s_[[0, 1], :, [2, 2]],
    "apart by None": np.s_[[0, 1], None, [2, 2]],
    "apart by an ellipsis of nothing": np.s_[:, [0, 1], ..., [2, 2]],
    "broadcast": (COLUMN, slice(None), ROWS),
    "broadcast, side by side": (slice(None), COLUMN, ROWS),
    "with a step": np.s_[::-2, [0, 1], 1::2],
    "with new axes": np.s_[None, :, [0, 1], None],
    "three": np.s_[[0, 1], [1, 2], [3, 3]],
    "an array": (ROWS,),
    "an array and a slice": (slice(1, None), ROWS),
    "an array without axes": (slice(None), np.asarray(1)),
    "an integer of NumPy": (slice(None), np.int64(-1)),
    "slices with integers of NumPy": (slice(np.int64(1), None),),
    "a mask": (MASK,),
    "a mask of two axes": (X[..., 0] > 0.0,),
    "a mask of all": (X > 0.0,),
    "a mask behind a slice": (slice(None), slice(None), np.asarray([True, False, True, True, False])),
    "a mask and an integer": (MASK, 1),
    "a list of booleans": ([True, False, True],),
    "a mask of nothing": (np.asarray([False, False, False]),),
    "integers": np.s_[1, -1, 0],
    "an ellipsis": np.s_[..., 1],
    "slices": np.s_[::2, 1:-1, ::-1],
}


def is_unheard_of(index, x, exact):
    """Whether the library refuses the index for its plain arrays; those of JAX want arrays for lists."""
    plain = tuple(exact.asarray(e) if isinstance(e, list | tuple | range) and len(e) else e for e in index)
    try:
        x[plain]
    except REFUSALS:
        return True
    return False


@pytest.fixture
def exact(backend):
    if not backend.has_float64:
        pytest.skip("the device has no float64")
    return backend


@pytest.mark.parametrize("name", INDICES)
def test_an_index_and_its_derivatives(name, exact):
    index = INDICES[name] if isinstance(INDICES[name], tuple) else (INDICES[name],)
    here = tuple(exact.asarray(e) if isinstance(e, np.ndarray) else e for e in index)
    x = exact.asarray(X)
    if exact.member != "numpy" and is_unheard_of(here, x, exact):
        with pytest.raises(REFUSALS):
            pn.grad(lambda x: ops.sum(x[here]))(x)
        return
    picked = tuple([*e] if isinstance(e, tuple | range) else e for e in index)
    places = np.arange(X.size).reshape(X.shape)[
        tuple(np.zeros(0, int) if isinstance(e, list) and not e else e for e in picked)
    ]
    if exact.member == "torch" and name in ("an integer and a list", "apart by an ellipsis of nothing"):
        places = np.moveaxis(places, 0, -1)  # in PyTorch nothing is between the two, and no axis moves
    weights = np.random.default_rng(1).normal(size=places.shape)

    def f(x):
        y = x[here]
        assert exact.to_numpy(y.plain).tolist() == X.ravel()[places].tolist()
        return ops.sum(ops.multiply(y * y * y, exact.asarray(weights)))

    def scattered(values):
        out = np.zeros(X.size)
        np.add.at(out, places.ravel(), values.ravel())
        return out.reshape(X.shape)

    chosen = X.ravel()[places]
    np.testing.assert_allclose(
        exact.to_numpy(pn.grad(f)(x)), scattered(3.0 * chosen**2 * weights), atol=1e-12
    )
    twice = pn.grad(lambda x: ops.sum(pn.grad(f)(x) * x))(x)
    first = pn.grad(f)(x)
    expected = scattered(6.0 * chosen * weights) * X + exact.to_numpy(first)
    np.testing.assert_allclose(exact.to_numpy(twice), expected, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in INDICES if "mask" not in name])
def test_a_program_picks_the_same(name):
    index = INDICES[name]
    f = pn.grad(lambda x: ops.sum(x[index] ** 3))
    for again in (pn.trace(f)(X).eval, pn.jit(f)):
        for x in (X, X + 1.0):
            assert again(x).tobytes() == f(x).tobytes()


def test_random_indices_pick_what_numpy_picks():
    rng = np.random.default_rng(7)
    for _ in range(150):
        shape = tuple(rng.integers(1, 5, size=rng.integers(1, 5)).tolist())
        index = [_entry(rng, n) for n in shape[: rng.integers(1, len(shape) + 1)]]
        for extra in rng.choice(np.asarray([None, Ellipsis], dtype=object), size=rng.integers(0, 2)):
            index.insert(int(rng.integers(0, len(index) + 1)), extra)
        x = rng.normal(size=shape)
        try:
            places = np.arange(x.size).reshape(shape)[tuple(index)]
        except IndexError:
            continue  # an ellipsis or None has moved an entry to a shorter axis
        expected = np.zeros(x.size)
        np.add.at(expected, places.ravel(), 2.0 * x.ravel()[places.ravel()])
        found = pn.grad(lambda x, index=tuple(index): ops.sum(ops.square(x[index])))(x)
        np.testing.assert_allclose(found, expected.reshape(shape), atol=1e-13, err_msg=f"{shape} {index}")


def _entry(rng, n):
    positions = rng.integers(-n, n, size=rng.choice([1, 3])).tolist()
    return [positions[0], slice(None, None, -1), slice(0, n, 2), positions[:1], positions][rng.integers(0, 5)]


FLAGS = [
    True, False, (True, 0), (slice(None), True), (0, True, [1, 0]), ([0], False), (..., True), (True, None),
    (True, [0, 1], slice(None, None, 2)), (np.asarray(True),), (np.asarray(False), 1),
]  # fmt: skip


@pytest.mark.parametrize("library", ["numpy", "torch", "jax.numpy"])
@pytest.mark.parametrize("index", FLAGS, ids=str)
def test_a_single_boolean_in_an_index(index, library):
    """Value, first and second derivative, against the places that NumPy picks."""
    xp = pytest.importorskip(library, reason="an optional library")
    x = np.arange(1.0, 7.0, dtype="float32").reshape(2, 3)
    places = np.arange(6).reshape(2, 3)[index].reshape(-1)
    times = np.bincount(places, minlength=6).reshape(2, 3)
    theirs = index
    if isinstance(index, tuple):
        theirs = tuple(xp.asarray(e) if isinstance(e, np.ndarray) else e for e in index)

    def f(x):
        y = x[theirs]
        return ops.sum(y * y * y)

    given = xp.asarray(x)
    np.testing.assert_array_equal(np.asarray(pn.vjp(lambda x: x[theirs], given)[0]), x[index])
    np.testing.assert_allclose(np.asarray(pn.grad(f)(given)), 3.0 * x**2 * times)
    second = pn.grad(lambda x: ops.sum(pn.grad(f)(x)))(given)
    np.testing.assert_allclose(np.asarray(second), 6.0 * x * times)
    if library == "numpy":
        np.testing.assert_allclose(pn.jit(pn.grad(f))(given), 3.0 * x**2 * times)


def test_what_is_no_index_is_refused_as_by_the_library():
    for index in (1.0, "a", (0, 0, 0, 0), 9, (slice(0.5, 2),)):
        with pytest.raises((IndexError, TypeError)):
            pn.grad(lambda x, index=index: ops.sum(x[index]))(X)
