"""Each option of the standard's functions does what it does in the library, also planned."""

# ruff: noqa: E501  # one row a line, so that it reads as a table

from __future__ import annotations

from itertools import product

import array_api_compat.numpy as xp
import numpy as np
import pytest

from portnn import jit, ops

RNG = np.random.default_rng(1)
F = np.round(RNG.normal(size=(2, 3, 4)), 1)
TIES = RNG.integers(-2, 3, size=(2, 3, 4))
B = TIES > 0
SMALL = RNG.normal(size=(3, 3)).astype(np.float32)
C = RNG.normal(size=(2, 3)) + 1j * RNG.normal(size=(2, 3))
ORDER = RNG.permutation(12)
SORTED = np.sort(F.ravel())


def combined(**options):
    """All combinations of the values of some options."""
    return [dict(zip(options, values, strict=True)) for values in product(*options.values())]


AXES = [None, 0, -1, (0, 2), (-1, 1), ()]
ONE_AXIS = [None, 0, 1, -1]
REDUCED = combined(axis=AXES, keepdims=[False, True])
CASES: dict[str, list[tuple[tuple, dict]]] = {
    **{name: [((x,), o) for x in (F, TIES) for o in REDUCED] for name in ("max", "min", "count_nonzero")},
    **{name: [((F,), o) for o in REDUCED] for name in ("mean", "all", "any")},
    **{
        name: [((x,), o | d) for x in (F, TIES, B) for o in REDUCED for d in ({}, {"dtype": "float32"})]
        for name in ("sum", "prod")
    },
    **{
        name: [((F,), o) for o in combined(axis=AXES[:4], keepdims=[False, True], correction=[0.0, 1, 0.5])]
        for name in ("var", "std")
    },
    **{
        name: [((x,), o) for x in (F, TIES) for o in combined(axis=ONE_AXIS, keepdims=[False, True])]
        for name in ("argmax", "argmin")
    },
    **{
        name: [((x,), o) for x in (F, TIES) for o in combined(axis=[0, 1, -1], descending=[False, True])]
        + [((TIES,), {"stable": True})]
        for name in ("sort", "argsort")
    },
    **{
        name: [((x,), o) for x in (F, TIES, B) for o in combined(axis=[0, 1, -1], include_initial=[False, True])]
        + [((TIES.ravel(),), {"include_initial": True}), ((TIES,), {"axis": 1, "dtype": "float32"})]
        for name in ("cumulative_sum", "cumulative_prod")
    },
    "diff": [((x,), o) for x in (F, TIES) for o in combined(axis=[0, 1, -1], n=[0, 1, 2])]
    + [((F,), {"axis": 1, "prepend": F[:, :1], "append": F[:, 1:]}), ((F,), {"append": F})],
    "flip": [((F,), {"axis": a}) for a in [None, 0, -1, (0, 2)]],
    "roll": [((F, s), {"axis": a}) for s, a in [(5, None), (-1, 1), ((1, 2), (0, 2)), ((1, 1), (1, 1)), (0, 0), (9, -1)]],
    "repeat": [((F, 2), {"axis": a}) for a in ONE_AXIS] + [((F, np.asarray([0, 2, 1])), {"axis": 1})],
    "tile": [((F, r), {}) for r in [(2,), (1, 2, 1), (2, 1, 1, 3), ()]],
    "take": [((F, np.asarray(i, dtype=int)), {"axis": a}) for i in ([2, 0], [1, 1, 1], []) for a in (1, -1, 2)],
    "take_along_axis": [((F, np.argsort(F, axis=a)), {"axis": a}) for a in (0, 1, -1)],
    "expand_dims": [((F,), {"axis": a}) for a in (0, 3, -1, -4, 1)],
    "squeeze": [((F[:, None, :, :, None],), {"axis": a}) for a in (1, -1, (1, 4))],
    "permute_dims": [((F, a), {}) for a in [(2, 0, 1), (0, 2, 1), (-1, 0, 1)]],
    "moveaxis": [((F, a, b), {}) for a, b in [(0, -1), ((0, 1), (2, 0)), (2, 0), ((), ())]],
    "concat": [(([F, F + 1],), {"axis": a}) for a in ONE_AXIS] + [(([F[:, :1], F],), {"axis": 1})],
    "stack": [(([F, F + 1],), {"axis": a}) for a in (0, 1, -1, 3)],
    "unstack": [((F,), {"axis": a}) for a in (0, 1, -1)],
    "broadcast_to": [((F[:, :1], s), {}) for s in [(2, 3, 4), (5, 2, 3, 4)]],
    "broadcast_arrays": [((F, F[0, 0], F[:, :1]), {})],
    "meshgrid": [((F[0, 0], F[0, :, 0]), {"indexing": i}) for i in ("xy", "ij")] + [((F[0, 0],), {})],
    "reshape": [((F, s), {}) for s in [(6, 4), (-1,), (2, -1, 2)]] + [((F, (24,)), {"copy": c}) for c in (True, False)],
    "tril": [((F,), {"k": k}) for k in (-1, 0, 1, 9)],
    "triu": [((F,), {"k": k}) for k in (-1, 0, 1, 9)],
    "matmul": [((F, F[0].T), {}), ((F[0, 0], F[0].T), {}), ((F, F[0, 0]), {}), ((F[0, 0], F[0, 1]), {})],
    "tensordot": [((F, F), {"axes": a}) for a in [3, ([0], [0]), ([0, 2], [0, 2]), 0]] + [((F, F[0].T), {"axes": 1})],
    "vecdot": [((F, F[0]), {}), ((F, F + 1), {"axis": -2}), ((C, C[:1]), {})],
    "searchsorted": [((SORTED, F), {"side": s}) for s in ("left", "right")]
    + [((SORTED[:12][ORDER], F), {"side": "right", "sorter": np.argsort(SORTED[:12][ORDER])})],
    "clip": [((F, lo, hi), {}) for lo, hi in [(-0.5, 0.5), (None, 0.1), (0.1, None), (F[0], 1.0), (-0.2, F[:, :1])]],
    "where": [((B, F, 1.0), {}), ((B, 2, TIES), {}), ((B[0], F, F + 1), {})],
    "nonzero": [((TIES,), {}), ((B,), {})],
    "unique_values": [((TIES,), {})],
    "unique_counts": [((TIES,), {})],
    "unique_inverse": [((TIES,), {})],
    "unique_all": [((TIES,), {})],
    "astype": [((TIES, d), {"copy": c}) for d in (np.float64, np.int8, TIES.dtype) for c in (True, False)],
    "round": [((F * 5,), {}), ((TIES,), {})],
    **{
        name: [((TIES, np.abs(TIES)), {}), ((TIES, 1), {}), ((1, np.abs(TIES)), {})]
        for name in ("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_left_shift", "bitwise_right_shift")
    },
    "bitwise_invert": [((TIES,), {}), ((B,), {})],
    **{name: [((F, F[::-1]), {}), ((F, 0.1), {}), ((0.1, F), {})] for name in (
        "add", "subtract", "multiply", "maximum", "minimum", "hypot", "atan2", "copysign", "logaddexp",
        "less", "less_equal", "greater", "greater_equal", "equal", "not_equal", "nextafter",
    )},
    **{
        name: [((x, y), {}) for x in (F, TIES, 3) for y in (np.where(F > 0, 1.5, -0.5), np.where(B, 2, -3))]
        for name in ("divide", "floor_divide", "remainder")
    },
    **{name: [((B, B[::-1]), {}), ((B, True), {})] for name in ("logical_and", "logical_or", "logical_xor")},
    "linalg.vector_norm": [
        ((F,), o) for o in combined(axis=AXES[:4], keepdims=[False, True], ord=[0, 1, 2, 3.5, np.inf, -np.inf])
    ],
    "linalg.matrix_norm": [
        ((F,), o) for o in combined(keepdims=[False, True], ord=["fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf])
    ],
    "linalg.trace": [((F,), {"offset": k}) for k in (-1, 0, 2)],
    "linalg.diagonal": [((F,), {"offset": k}) for k in (-1, 0, 2)],
    "linalg.matrix_power": [((SMALL, n), {}) for n in (-2, -1, 0, 1, 2, 5)],
    "linalg.cholesky": [((SMALL @ SMALL.T + np.eye(3, dtype="f"),), {"upper": u}) for u in (False, True)],
    "linalg.cross": [((F[:, :, :3], F[:, :, 1:]), {}), ((F, F[::-1]), {"axis": 1})],
    "linalg.qr": [((F[0],), {"mode": m}) for m in ("reduced", "complete")] + [((F[0].T,), {})],
    "linalg.svdvals": [((F,), {})],
    "linalg.tensordot": [((F, F), {"axes": a}) for a in (3, ([0], [0]))],
    "linalg.vecdot": [((F, F[0]), {"axis": -1}), ((F, F + 1), {"axis": -2})],
    "linalg.outer": [((F[0, 0], F[0, 1]), {})],
    "linalg.matrix_rank": [((F,), {}), ((F,), {"rtol": 0.5}), ((F,), {"rtol": np.asarray([0.1, 0.9])})],
    "linalg.pinv": [((F,), {}), ((F,), {"rtol": 0.5})],
    **{
        f"fft.{name}": [((x,), o) for x in (F, C) for o in combined(n=[None, 2, 7], axis=[-1, 0], norm=["backward", "ortho", "forward"])]
        for name in ("fft", "ifft")
    },
    "fft.rfft": [((F,), o) for o in combined(n=[None, 2, 7], axis=[-1, 0, 1], norm=["backward", "ortho", "forward"])],
    "fft.ihfft": [((F,), o) for o in combined(n=[None, 3, 6], axis=[-1, 0, 1], norm=["backward", "ortho", "forward"])],
    "fft.irfft": [((C,), o) for o in combined(n=[None, 3, 6], axis=[-1, 0], norm=["backward", "ortho", "forward"])],
    "fft.hfft": [((C,), o) for o in combined(n=[None, 3, 6], axis=[-1, 0], norm=["backward", "ortho", "forward"])],
    **{
        f"fft.{name}": [((F,), {"norm": norm} | o) for norm in ("backward", "ortho", "forward") for o in (
            {}, {"axes": (0, 2)}, {"s": (3, 3), "axes": (0, 1)}, {"s": (2, 2, 5), "axes": (0, 1, 2)},
        )]
        for name in ("fftn", "ifftn", "rfftn", "irfftn")
    },
    "fft.fftshift": [((F,), {"axes": a}) for a in (None, 0, (0, 2))],
    "fft.ifftshift": [((F,), {"axes": a}) for a in (None, 1, (0, 2))],
}  # fmt: skip
KEPT = {
    "repeat",
    "unique_values",
    "unique_counts",
    "unique_inverse",
    "unique_all",
    "nonzero",
}  # whose shapes no plan knows


def named(module, name):
    for part in name.split("."):
        module = getattr(module, part)
    return module


def listed(result):
    return [*result] if isinstance(result, tuple | list) else [result]


def check(found, wanted, exact):
    assert len(listed(found)) == len(listed(wanted))
    for a, b in zip(listed(found), listed(wanted), strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        if exact:
            np.testing.assert_array_equal(a, b)
        else:
            np.testing.assert_allclose(a, b, rtol=1e-5 if a.dtype == np.float32 else 1e-12, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_options(name):
    ours, theirs = named(ops, name), named(xp, name)
    for args, options in CASES[name]:
        given = {k: getattr(np, v) if k == "dtype" else v for k, v in options.items()}
        wanted = theirs(*args, **given)
        found = ours(*args, **options)
        exact = listed(wanted)[0].dtype.kind not in "fc"
        check(found, wanted, exact)
        if name in KEPT:
            continue
        planned = jit(lambda *a, o=options, rest=args: ours(*a, *rest[len(a) :], **o))
        leading = next((i for i, a in enumerate(args) if not _is_data(a)), len(args))
        for _ in range(2):  # the first call records, the second runs what was recorded
            check(planned(*args[:leading]), found, exact=True)


def _is_data(x):
    return isinstance(x, np.ndarray) or (isinstance(x, list) and all(isinstance(a, np.ndarray) for a in x))


CREATED = {
    "arange": [((5,), {}), ((2, 9), {}), ((2, 9, 3), {}), ((9, 2, -3), {}), ((3, 3), {})],
    "linspace": [((0.0, 2.0, n), {"endpoint": e}) for n in (0, 1, 2, 5) for e in (True, False)],
    "eye": [((3,), {"k": k}) for k in (-1, 0, 2)] + [((2, 4), {"k": k}) for k in (-1, 0, 3)],
    "full": [((s, 2), {}) for s in (3, (2, 0), ())],
    "zeros": [((s,), {}) for s in (3, (2, 3), ())],
    "ones": [((s,), {}) for s in (3, (2, 3), ())],
    "fft.fftfreq": [((n,), {"d": d}) for n in (1, 4, 5) for d in (1.0, 0.1)],
    "fft.rfftfreq": [((n,), {"d": d}) for n in (1, 4, 5) for d in (1.0, 0.1)],
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CREATED)
def test_arrays_from_nothing(name, dtype):
    for args, options in CREATED[name]:
        wanted = named(xp, name)(*args, **options, dtype=getattr(np, dtype))
        check(named(ops, name)(*args, **options, dtype=dtype, like=F), wanted, exact=True)
