"""NumPy scalars beside arrays of any library: eager, traced and planned code accept them and agree."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import portnn as pn
from portnn import losses, ops
from tests.backends import Matrix

NUMBERS = [
    np.float64(0.5),
    np.float32(0.5),
    np.float16(0.5),
    np.int64(2),
    np.int32(2),
    np.uint8(2),
    np.bool_(True),
]
USES = {
    "x * s": lambda x, s: x * s,
    "s * x": lambda x, s: s * x,
    "s - x": lambda x, s: s - x if not isinstance(s, np.bool_) else x,
    "x ** s": lambda x, s: x**s,
    "multiply": lambda x, s: ops.multiply(x, s),
    "multiply, left": lambda x, s: ops.multiply(s, x),
    "maximum": lambda x, s: ops.maximum(x, s),
    "where": lambda x, s: ops.where(x > 1.0, x, s),
    "clip": lambda x, s: ops.clip(x, s, None),
    "less": lambda x, s: x < s,
    "full_like": lambda x, s: ops.full_like(x, s),
    "full": lambda x, s: ops.full((3,), s, dtype="float32", like=x),
    "a sum": lambda x, s: ops.mean(ops.square(x)) * s,
}
X = np.asarray([0.5, 1.5, 2.5], "float32")


def differentiated(f):
    def values(x):
        seen = []
        pn.grad(lambda x: seen.append(f(x)) or ops.sum(x))(x)
        return getattr(seen[0], "plain", seen[0])  # ops.full makes a plain array

    return values


def planned(f):
    g = pn.jit(f)

    def values(x):
        g(x)
        return g(x)

    return values


WAYS = {"eager": lambda f: f, "grad": differentiated, "jit": planned}


OPERATORS = {"x * s", "s * x", "s - x", "x ** s", "less", "a sum"}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("use", USES)
def test_values_and_dtypes(use, way, backend):
    if backend.member.is_strict and use in OPERATORS and way != "grad":
        pytest.skip("array-api-strict's own operators refuse numbers of NumPy")
    x = backend.asarray(X)
    for number in NUMBERS:
        if backend.member.is_strict and not isinstance(number, np.floating):
            continue  # strict mixes no kinds
        wanted = USES[use](X, number)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pn.PlanWarning)
            found = WAYS[way](lambda x, s=number: USES[use](x, s))(x)
        np.testing.assert_allclose(backend.to_numpy(found), wanted, rtol=1e-6)
        if backend.member in (Matrix.NUMPY, Matrix.NUMPY_READONLY, Matrix.CUPY):
            assert backend.to_numpy(found).dtype == wanted.dtype
            assert backend.to_numpy(found).tobytes() == wanted.tobytes() or backend.member is Matrix.CUPY


@pytest.mark.parametrize("use", USES)
def test_the_three_ways_agree(use, backend):
    if backend.member.is_strict:
        pytest.skip("array-api-strict's own operators refuse numbers of NumPy")
    x = backend.asarray(X)
    for number in NUMBERS:
        results = [backend.to_numpy(way(lambda x, s=number: USES[use](x, s))(x)) for way in WAYS.values()]
        assert len({(r.dtype, r.tobytes()) for r in results}) == 1


@pytest.mark.parametrize(
    "number", [np.sqrt(0.5), np.float32(0.5), np.int64(2)], ids=["float64", "float32", "int64"]
)
@pytest.mark.parametrize("write", ["operator", "function"])
def test_in_a_loss_of_ones_own(number, write, backend):
    if backend.member.is_strict and (write == "operator" or not isinstance(number, np.floating)):
        pytest.skip("array-api-strict's own operators refuse numbers of NumPy, and it mixes no kinds")
    scale = (lambda a: a * number) if write == "operator" else (lambda a: ops.multiply(a, number))
    own = losses.Loss(lambda p, t: scale(ops.mean(ops.square(p - t))), task=losses.Task.VALUES)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 4)).astype("float32"), rng.normal(size=(8, 2)).astype("float32")
    histories = []
    for compiled in (True, False):
        net = pn.Network([pn.Linear(4, 2)], loss=own, backend=backend.backend, seed=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pn.PlanWarning)
            histories.append(net.fit(x, y, epochs=2, progress=False, compile=compiled)["loss"])
        assert str(net.params[0]["weight"].dtype).endswith("float32")
    wanted = pn.Network([pn.Linear(4, 2)], loss=own, backend="cpu", seed=0).fit(
        x, y, epochs=2, progress=False
    )["loss"]
    np.testing.assert_allclose(histories, [wanted, wanted], rtol=1e-5)


def test_two_libraries_are_still_refused(backend):
    if backend.member in (Matrix.NUMPY, Matrix.NUMPY_READONLY):
        pytest.skip("NumPy is one of the two")
    with pytest.raises(TypeError, match="arrays of different libraries"):
        ops.where(np.float64(1.0) > 0.5, backend.asarray(X), X)
