"""A hundred steps of every recipe against its oracle and against torch.optim, on every backend."""

from __future__ import annotations

import numpy as np
import pytest

from portnn import tree
from portnn.backend import get_backend
from tests.optim.cases import CASES, STEPS, Case, expected, first_params, noise, trajectory

each_case = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


def largest_difference(found, wanted, to_numpy=np.asarray):
    pairs = zip(tree.leaves(found), tree.leaves(wanted), strict=True)
    return max(float(np.max(np.abs(to_numpy(a) - b))) for a, b in pairs)


@each_case
def test_hundred_steps_equal_the_oracle(case: Case):
    found = trajectory(case.optimizer, lambda x: np.asarray(x, dtype="float64"))
    assert largest_difference(found, expected(case)) < 1e-12


@pytest.fixture
def torch():
    """torch with float64 as its default: NAdam keeps its product of momenta in that dtype."""
    torch = pytest.importorskip("torch", reason="torch is not installed: the oracles stand alone")
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield torch
    torch.set_default_dtype(before)


@each_case
def test_hundred_steps_equal_torch(case: Case, torch):
    if case.torch is None:
        pytest.skip("torch.optim does not have this algorithm")
    name, options = case.torch
    first = tree.leaves(first_params())
    params = [torch.tensor(leaf, requires_grad=True) for leaf in first]
    shifts = [torch.tensor(noise(leaf.shape)) for leaf in first]
    theirs = getattr(torch.optim, name)(params, **options)
    ours = trajectory(case.optimizer, lambda x: np.asarray(x, dtype="float64"))
    for t in range(STEPS):
        for p, shift in zip(params, shifts, strict=True):
            p.grad = 0.3 * p.detach() + shift[t]
        theirs.step()
        assert largest_difference(ours[t], [p.detach().numpy() for p in params]) < 1e-12


@each_case
def test_every_backend_goes_the_same_way(case: Case, backend):
    dtype, bound = ("float64", 1e-13) if backend.has_float64 else ("float32", 1e-4)
    found = trajectory(case.optimizer, lambda x: backend.asarray(x, dtype), steps=10)
    assert largest_difference(found, expected(case, 10), backend.to_numpy) < bound
    for leaf in tree.leaves(found):
        assert leaf.dtype == getattr(backend.xp, dtype)


@each_case
def test_float32_follows_float64(case: Case):
    found = trajectory(case.optimizer, lambda x: np.asarray(x, dtype="float32"), steps=30)
    assert largest_difference(found, expected(case, 30)) < 3e-5
    assert {leaf.dtype.name for leaf in tree.leaves(found)} == {"float32"}


@each_case
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numpy_and_strict_agree_bit_for_bit(case: Case, dtype):
    strict = get_backend("array_api_strict")
    host = trajectory(case.optimizer, lambda x: np.asarray(x, dtype=dtype), steps=20)
    other = trajectory(case.optimizer, lambda x: strict.asarray(np.asarray(x, dtype=dtype)), steps=20)
    assert largest_difference(other, host, strict.to_numpy) == 0.0
