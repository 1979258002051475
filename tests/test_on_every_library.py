"""Each function of the standard, with each of its options, on the backend under test against NumPy."""

from __future__ import annotations

import inspect

import array_api_compat
import array_api_strict
import numpy as np
import pytest

import portnn as pn
from portnn import ops, tree
from tests.backends import Matrix
from tests.test_as_the_library import CASES, CREATED, F, listed, named

# What a library refuses, or does in another way than the standard.
EXCUSED = {
    ("torch", "std"): "torch's std takes whole corrections only",
    ("torch", "unique_all"): "array-api-compat has it not for torch",
    ("jax", "linalg.matrix_rank"): "JAX takes rtol for an absolute bound",
}


def brought(backend, nested):
    """Return `nested` with its arrays on the backend and its NumPy dtypes as names."""

    def bring(x):
        if isinstance(x, np.dtype | type):
            return np.dtype(x).name
        return backend.asarray(x) if isinstance(x, np.ndarray) else x

    return tree.map(bring, nested)


def needs(backend, name):
    """Skip what the library refuses."""
    if backend.member in (Matrix.NUMPY, Matrix.NUMPY_READONLY):
        pytest.skip("NumPy is what the others are compared with")
    if backend.member.is_strict:
        pytest.skip("the cases mix dtypes, which array-api-strict refuses")
    if (backend.name, name) in EXCUSED:
        pytest.skip(EXCUSED[backend.name, name])


def same(backend, found, wanted):
    assert len(listed(found)) == len(listed(wanted))
    for a, b in zip(listed(found), listed(wanted), strict=True):
        assert backend.backend.owns(a)
        assert tuple(a.shape) == b.shape
        np.testing.assert_allclose(backend.to_numpy(a), b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_options(name, backend):
    needs(backend, name)
    f = named(ops, name)
    for args, options in CASES[name]:
        found = f(*brought(backend, args), **brought(backend, options))
        same(backend, found, f(*args, **options))


def options_of(name):
    """The optional arguments that a function has in the standard."""
    parameters = inspect.signature(named(array_api_strict, name)).parameters.values()
    return {p.name for p in parameters if p.kind is p.KEYWORD_ONLY or p.default is not p.empty}


def functions_with_options():
    modules = {"": array_api_strict, "linalg.": array_api_strict.linalg, "fft.": array_api_strict.fft}
    names = [prefix + name for prefix, module in modules.items() for name in module.__all__]
    ours = {
        f"{prefix}{name}"
        for prefix in modules
        for name in (named(ops, prefix[:-1]) if prefix else ops).__all__
    }
    functions = [n for n in names if n in ours and inspect.isroutine(named(array_api_strict, n))]
    return [n for n in functions if options_of(n)]


@pytest.mark.parametrize("name", functions_with_options())
def test_each_option_has_a_case(name):
    if name == "linalg.svd":
        pytest.skip("of which only the parts' product is determined: see test_singular_values")
    cases = (CASES | CREATED | MADE_LIKE)[name]
    names = [*inspect.signature(named(array_api_strict, name)).parameters]
    given = {o for args, options in cases for o in (*options, *names[: len(args)])}
    assert options_of(name) - given <= {"dtype", "device"}  # see the tests of devices


@pytest.mark.parametrize("full", [True, False])
def test_singular_values(full, backend):
    if not backend.has_float64:
        pytest.skip("float64")
    u, s, vh = map(backend.to_numpy, ops.linalg.svd(backend.asarray(F), full_matrices=full))
    assert u.shape == (2, 3, 3)
    assert vh.shape == ((2, 4, 4) if full else (2, 3, 4))
    np.testing.assert_allclose(u * s[:, None] @ vh[:, :3], F, atol=1e-12)


MADE_LIKE = {
    "zeros_like": [((F,), {})],
    "ones_like": [((F,), {})],
    "empty": [((3,), {})],
    "empty_like": [((F,), {})],
    "full_like": [((F, 2), {})],
    "asarray": [((F,), {"copy": c}) for c in (None, True, False)],
    "from_dlpack": [((F,), {"copy": c}) for c in (None, True, False)],
}
WHERE = [{}, {"device": True}]  # True stands for the device under test


def on(backend, options):
    return options | ({"device": backend.device} if options.get("device") else {})


def agree(backend, found, wanted, exactly=True):
    assert backend.backend.owns(found)
    assert tuple(found.shape) == wanted.shape
    if exactly:
        assert np.array_equal(backend.to_numpy(found), wanted)


@pytest.mark.parametrize("where", WHERE, ids=["", "device"])
@pytest.mark.parametrize("name", [*CREATED, "empty"])
def test_places_of_new_arrays(name, where, backend):
    module = name.rpartition(".")[0]
    if module and not hasattr(backend.xp, module):
        pytest.skip(f"without {module}")
    for args, options in CREATED.get(name, [((s,), {}) for s in (3, (2, 3), ())]):
        for dtype in ("float32", "float64") if backend.has_float64 else ("float32",):
            wanted = named(array_api_compat.numpy, name)(*args, **options, dtype=getattr(np, dtype))
            for like in (backend.backend, backend.asarray([1.0], "float32")):
                found = named(ops, name)(*args, **options, dtype=dtype, like=like, **on(backend, where))
                agree(backend, found, wanted, exactly=name not in ("empty", "linspace"))
                assert backend.backend.dtype(dtype) == found.dtype
            if not backend.member.is_strict:  # which knows no arrays that carry derivatives
                options_there = options | on(backend, where) | {"dtype": backend.backend.dtype(dtype)}
                there = named(pn.ops.differentiable(backend.xp), name)(*args, **options_there).plain
                agree(backend, there, wanted, exactly=name not in ("empty", "linspace"))


@pytest.mark.parametrize("where", WHERE, ids=["", "device"])
@pytest.mark.parametrize("name", [name for name in MADE_LIKE if name != "empty"])
def test_places_of_arrays_from_arrays(name, where, backend):
    if backend.member.is_strict and name == "from_dlpack" and not where:
        pytest.skip("array-api-strict brings it to its default device")
    x = np.arange(3, dtype="float32")
    for args, options in MADE_LIKE[name]:
        like = {"like": backend.backend} if name in ("asarray", "from_dlpack") else {}
        dtypes = [{}] if name == "from_dlpack" else [{}, {"dtype": "float32"}]
        for dtype in dtypes:
            given = backend.asarray(x)
            found = named(ops, name)(given, *args[1:], **options, **dtype, **like, **on(backend, where))
            wanted = {"zeros_like": x * 0, "ones_like": x * 0 + 1, "full_like": x * 0 + 2}.get(name, x)
            agree(backend, found, wanted, exactly=name != "empty_like")
            assert found.dtype == given.dtype


def test_dlpack_of_a_list(backend):
    with pytest.raises(TypeError, match="from_dlpack: x must have __dlpack__, got list"):
        ops.from_dlpack([1.0], like=backend.backend)
