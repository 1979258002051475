"""The same promises on a real GPU, against eager CuPy, bit for bit. They run with ``--backend gpu``."""

import warnings
from operator import attrgetter

import numpy as np
import pytest
from array_api_compat import array_namespace
from hypothesis import given, settings

import portnn as pn
from portnn import optim, tree
from portnn.compile import PlanWarning
from portnn.compile._cupy import CupyLoop, CupyPlan
from portnn.compile._cupy._elementwise import _FLOATING, _TRUTH
from portnn.compile._cupy._left import _SAFE
from portnn.program import record, simplify
from tests.compile.gpu.helpers import digits, exact_step, net_step
from tests.compile.gpu.test_expressions import (
    COMPARISONS,
    FLOATS,
    INTEGERS,
    cast_to,
    each,
    numbers,
    shifts,
    whole_names,
)
from tests.compile.gpu.test_fusion import programs
from tests.compile.gpu.test_routines import ties

LAYERS = {
    "article": ([pn.Linear(784, 10), pn.relu, pn.Linear(10, 10)], 64),
    "hidden 128": ([pn.Linear(784, 128), pn.gelu, pn.Linear(128, 10)], 64),
    "two of 1024": (
        [pn.Linear(784, 1024), pn.tanh, pn.Linear(1024, 1024), pn.relu, pn.Linear(1024, 10)],
        256,
    ),
}
OPTIMIZERS = {
    "sgd": optim.sgd(0.1),
    "adam": optim.adam(1e-3),
    "schedule": optim.sgd(lambda step: 0.1 / (step + 1.0), momentum=0.9),
}


def moved(gpu, nested):
    return tree.map(gpu.backend.asarray, nested)


def to_bytes(gpu, nested):
    """The bytes of each leaf, with one NaN for all."""
    hosts = [gpu.to_numpy(x) for x in tree.leaves(nested)]
    return [
        np.where(x != x, x.dtype.type(np.nan), x).tobytes() if x.dtype.kind == "f" else x.tobytes()
        for x in hosts
    ]


def check(gpu, f, *arrays):
    """A plan, called twice with other values, and eager CuPy: the same bytes, as one graph."""
    plan = CupyPlan(simplify(record(f, arrays)[0]))
    for turn in (arrays, tree.map(lambda x: x[::-1].copy() if x.ndim else x, arrays), arrays):
        assert to_bytes(gpu, plan(*tree.leaves(turn))) == to_bytes(gpu, f(*turn)), plan.explain()
    assert "runs as one CUDA graph" in plan.explain()


@pytest.mark.parametrize("dtype", FLOATS)
def test_floating_functions(gpu, dtype):
    x, y = moved(gpu, [numbers(dtype, 0), numbers(dtype, 1)])
    check(gpu, each([*_FLOATING, *COMPARISONS, "isnan", "isinf", "isfinite"]), x, y)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_whole_numbers(gpu, dtype):
    x, y = moved(gpu, [numbers(dtype, 0), numbers(dtype, 1)])
    check(gpu, each(whole_names(dtype)), x, y)
    check(gpu, shifts, x)
    check(gpu, each(COMPARISONS), x, y)


@pytest.mark.parametrize("dtype", FLOATS)
def test_clip(gpu, dtype):
    check(
        gpu,
        lambda x: [array_namespace(x).clip(x, *b) for b in ((-1, 2), (0, None))],
        *moved(gpu, [numbers(dtype)]),
    )


@pytest.mark.parametrize("dtype", [*INTEGERS, *FLOATS])
def test_clip_by_arrays(gpu, dtype):
    x, low, high = moved(gpu, [numbers(dtype, n) for n in (0, 1, 0)])

    def f(x, low, high):
        xp = array_namespace(x)
        return (
            xp.clip(x, low, high),
            xp.clip(x, high[3], None),
            xp.clip(x, max=low),
            xp.clip(x[None], low[:, None]),
        )

    check(gpu, f, x, low, high)


def test_truth(gpu):
    check(gpu, each([*_TRUTH, *COMPARISONS]), *moved(gpu, [numbers("bool", 0), numbers("bool", 1)]))


@pytest.mark.parametrize("source", ["bool", *INTEGERS, *FLOATS])
def test_casts(gpu, source):
    x = numbers(source)
    if source in FLOATS:
        x = np.nan_to_num(np.abs(x), nan=3, posinf=100).clip(0, 100).astype(source)
    check(gpu, cast_to([t for t in ("bool", *INTEGERS, *FLOATS) if t != source]), *moved(gpu, [x]))


@settings(max_examples=30)
@given(f=programs())
def test_random_programs(gpu, f):
    x = np.arange(12, dtype="float32").reshape(3, 4) * 0.25 - 1.0
    arrays = moved(gpu, [x, x[:, ::-1] * 0.5, np.asarray([0.5, -2.0, 3.0, 0.0], "float32")])
    check(gpu, f, *arrays)


def test_kernels_read_views_of_every_layout(gpu):
    rng = np.random.default_rng(0)
    x, y = moved(gpu, [rng.normal(size=s).astype("float32") for s in ((6, 8), (8, 6))])
    check(gpu, lambda x, y: (x.T * 2.0 + y, x[1::2, ::-1] * y.T[:3], x[:1] - y.T, x[..., None] * 0.5), x, y)


TWO = {"add", "divide", "multiply", "subtract", "maximum", "minimum", "pow", "hypot", "copysign", "nextafter",
       "logaddexp", "remainder", "floor_divide", *COMPARISONS}  # fmt: skip
ALONG = {"sum", "prod", "mean", "std", "var", "max", "min"}
SPECIAL = {
    "bitwise_left_shift": lambda xp, f, x, y, index, small: f(index, small),
    "bitwise_right_shift": lambda xp, f, x, y, index, small: f(index, small),
    "take": lambda xp, f, x, y, index, small: f(x, small, axis=1),
    "where": lambda xp, f, x, y, index, small: f(x > 0.5, x, y),
    "astype": lambda xp, f, x, y, index, small: f(x * 1.0, xp.float64),
    "reshape": lambda xp, f, x, y, index, small: f(xp.matrix_transpose(x), (-1,)),
    "logical_and": lambda xp, f, x, y, index, small: f(x > 0.5, y > 0.5),
    "logical_or": lambda xp, f, x, y, index, small: f(x > 0.5, y > 0.5),
    "logical_not": lambda xp, f, x, y, index, small: f(x > 0.5),
    "all": lambda xp, f, x, y, index, small: f(x > 0.01, axis=1),
    "any": lambda xp, f, x, y, index, small: f(x > 0.99, axis=1),
    "argmax": lambda xp, f, x, y, index, small: f(x, axis=1),
    "argmin": lambda xp, f, x, y, index, small: f(x, axis=1),
    "count_nonzero": lambda xp, f, x, y, index, small: [f(x > 0.5), f(x > 0.5, axis=1)],
    "cumulative_prod": lambda xp, f, x, y, index, small: f(x, axis=1),
    "cumulative_sum": lambda xp, f, x, y, index, small: f(x, axis=1),
    "diff": lambda xp, f, x, y, index, small: [f(x), f(x, axis=0, n=2, append=y)],
    "full_like": lambda xp, f, x, y, index, small: f(x, 2.0) * x,
    "ones_like": lambda xp, f, x, y, index, small: f(x) * x,
    "linalg.cross": lambda xp, f, x, y, index, small: f(x[:, :3], y[:, :3]),
    "linalg.outer": lambda xp, f, x, y, index, small: f(x[0], y[1]),
    "linalg.vector_norm": lambda xp, f, x, y, index, small: [
        f(x, axis=axis, ord=order) for axis in (None, 1) for order in (0, 1, 2, 3, float("inf"))
    ],
    "roll": lambda xp, f, x, y, index, small: [f(x, 3), f(x, (1, -2), axis=(0, 1))],
    "searchsorted": lambda xp, f, x, y, index, small: [
        f(xp.cumulative_sum(x[0]), y * 9.0, side=side) for side in ("left", "right")
    ],
    "tile": lambda xp, f, x, y, index, small: f(x, (2, 1, 3)),
    "zeros_like": lambda xp, f, x, y, index, small: f(x) * x,
}


def along(f, x):
    return [f(x), f(x, axis=0), f(x, axis=1, keepdims=True), f(x.T, axis=0)]


@pytest.mark.parametrize("name", sorted(_SAFE))
def test_what_counts_as_safe_to_capture_is(gpu, name):
    """Each function that is left to CuPy inside a graph, alone: launched again, it sees the new values."""

    def f(x, y, index, small):
        xp = array_namespace(x)
        function = attrgetter(name)(xp)
        if name in SPECIAL:
            return SPECIAL[name](xp, function, x, y, index, small)
        if name in ALONG:
            return along(function, x)
        return function(x, y) if name in TWO else function(x)

    if not hasattr(gpu.xp, name.partition(".")[0]):
        pytest.skip(f"this CuPy has no {name}")
    rng = np.random.default_rng(0)
    x, y = (rng.uniform(0.1, 1.0, (37, 53)).astype("float32") for _ in range(2))
    index = rng.integers(0, 9, 7)
    check(gpu, f, *moved(gpu, [x, y, index, index % 5]))


@pytest.mark.parametrize("dtype", ["bool", *INTEGERS, *FLOATS])
@pytest.mark.parametrize("size", [1, 32, 33, 300])
def test_sorting_takes_the_order_of_eager_cupy(gpu, dtype, size):
    def f(x):
        xp = array_namespace(x)
        made = [
            g(x, axis=a, descending=d) for g in (xp.sort, xp.argsort) for a in (0, 1) for d in (False, True)
        ]
        return made + [g(x[0], stable=False) for g in (xp.sort, xp.argsort)]

    check(gpu, f, *moved(gpu, [ties(dtype, (3, size))]))


def test_parts_are_joined(gpu):
    def f(x, y):
        xp = array_namespace(x)
        parts = [x[:, 3:], y, x[:, ::2]]
        made = [g(k * parts, axis=1) for g, k in ((xp.concat, 1), (xp.concat, 4))]
        return [*made, xp.stack([x, x[::-1]] * 5, axis=1), xp.concat([x, y] * 5, axis=None)]

    rng = np.random.default_rng(0)
    check(gpu, f, *moved(gpu, [rng.normal(size=(4, 7)).astype("float32"), rng.normal(size=(4, 2))]))


def test_sums_of_products(gpu):
    def f(x, y, w):
        xp = array_namespace(x)
        made = [
            xp.vecdot(x, y),
            xp.vecdot(x, y, axis=0),
            xp.vecdot(x, y[0]),
            xp.vecdot(w, w),
            xp.vecdot(x.T, x.T),
        ]
        return [
            *made,
            xp.tensordot(x, y, axes=((1,), (1,))),
            xp.tensordot(x, y),
            xp.tensordot(x, w[:7], axes=1),
        ]

    rng = np.random.default_rng(0)
    for dtype in ("float32", "float64", "int32"):
        sizes = ((5, 7), (5, 7), (100,))
        check(gpu, f, *moved(gpu, [(rng.normal(size=s) * 9).astype(dtype) for s in sizes]))


def test_elements_are_taken_by_indices(gpu):
    def f(x, i):
        xp = array_namespace(x)
        along = [xp.take_along_axis(x, i[:, :k], axis=1) for k in (1, 5)]
        return [*along, x[i[0], :], x[:, i[0]], x[i[0], i], xp.repeat(x, 3, axis=1)]

    rng = np.random.default_rng(0)
    check(gpu, f, *moved(gpu, [rng.normal(size=(5, 6)), rng.integers(-5, 5, (5, 5))]))


@pytest.mark.parametrize(
    "shape", [(64, 784, 10), (10, 64, 10), (784, 64, 10), (33, 65, 129), (1024, 1024, 1024)]
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_of_every_layout(gpu, shape, dtype):
    n, k, m = shape
    rng = np.random.default_rng(0)
    a, b = moved(gpu, [rng.normal(size=(n, k)).astype(dtype), rng.normal(size=(k, m)).astype(dtype)])
    at, bt = moved(gpu, [rng.normal(size=(k, n)).astype(dtype), rng.normal(size=(m, k)).astype(dtype)])
    check(
        gpu, lambda a, b, c, d: (a @ b, c.T @ b, a @ d.T, c.T @ d.T, a[:, : k - 1] @ b[1:, :]), a, b, at, bt
    )


def test_products_of_batches_and_vectors(gpu):
    rng = np.random.default_rng(0)
    a, b, v = moved(gpu, [rng.normal(size=s).astype("float32") for s in ((5, 8, 16), (5, 16, 4), (16,))])
    check(gpu, lambda a, b, v: (a @ b, a @ b[0], v @ b[0], a[0] @ v, v @ v, a @ b.mT.mT), a, b, v)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("net", LAYERS)
def test_steps_of_training(gpu, net, optimizer):
    layers, batch = LAYERS[net]
    step, carry = net_step(OPTIMIZERS[optimizer], layers)
    carry, x, y = moved(gpu, (carry, *digits(batch)))
    check(gpu, step, carry, x, y)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("net", LAYERS)
def test_epochs(gpu, net, optimizer):
    """Two epochs with a last smaller batch: the losses and all that is carried."""
    layers, batch = LAYERS[net]
    step, carry = net_step(OPTIMIZERS[optimizer], layers)
    n = batch * 45 + 7
    host = digits(n)
    carry, *data = moved(gpu, (carry, *host))
    loop = CupyLoop(step, carry, data, batch)
    for seed in range(2):
        order = np.random.default_rng(seed).permutation(n)
        got, losses = loop.run(order, 0, 46), []
        for start in range(0, n, batch):
            rows = gpu.backend.asarray(order[start : start + batch])
            carry, loss = step(carry, *[x[rows] for x in data])
            losses.append(gpu.to_numpy(loss))
        assert got.tobytes() == np.asarray(losses).tobytes()
        assert to_bytes(gpu, loop.carry()) == to_bytes(gpu, carry)
    assert "runs as CUDA graphs" in loop.explain()


def test_streamed_data_give_what_resident_data_give(gpu, monkeypatch):
    step, carry = exact_step()
    rng = np.random.default_rng(7)
    data = [rng.integers(-2, 3, (1003, 6)).astype("int8"), rng.integers(-2, 3, (1003, 3)).astype("float32")]
    resident = CupyLoop(step, moved(gpu, carry), moved(gpu, data), 4)
    monkeypatch.setattr(type(resident._driver), "free_bytes", lambda self: 1000)
    streamed = CupyLoop(step, moved(gpu, carry), data, 4)
    assert "streamed in chunks" in streamed.explain()
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(1003)
        assert streamed.run(order, 0, 251).tobytes() == resident.run(order, 0, 251).tobytes()
    assert to_bytes(gpu, streamed.carry()) == to_bytes(gpu, resident.carry())


@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
def test_precision(gpu, precision):
    """The error of a product is that of the factors' precision, and every run gives the same bits."""
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(512, 512)).astype("float32") for _ in range(2))
    plan = CupyPlan(simplify(record(lambda x, y: x @ y, tuple(moved(gpu, [a, b])))[0]), precision=precision)
    got = [gpu.to_numpy(plan(*moved(gpu, [a, b]))) for _ in range(3)]
    want = a.astype("float64") @ b.astype("float64")
    error = np.linalg.norm(got[0] - want) / np.linalg.norm(want)
    low, high = {"float32": (0, 2e-6), "tf32": (5e-5, 1e-3), "bfloat16": (1e-3, 1e-2)}[precision]
    assert low <= error <= high
    assert got[0].tobytes() == got[1].tobytes() == got[2].tobytes()


def test_what_cannot_be_captured_runs_eagerly(gpu):
    rng = np.random.default_rng(0)
    x, y = moved(gpu, [rng.normal(size=(10, 10)), rng.normal(size=(10, 10)).astype("float32")])
    with pytest.warns(PlanWarning, match="matmul: CuPy refuses cuBLAS"):
        plan = CupyPlan(simplify(record(lambda x, y: x @ y, (x, y))[0]))
    assert to_bytes(gpu, plan(x, y)) == to_bytes(gpu, x @ y)


def test_launches_take_no_more_memory(gpu):
    import cupy

    step, carry = net_step(optim.adam(1e-3))
    carry, *data = moved(gpu, (carry, *digits(640)))
    loop = CupyLoop(step, carry, data, 64)
    loop.run(None, 0, 10)
    before = cupy.cuda.runtime.memGetInfo()[0]
    for _ in range(200):
        loop.run(None, 0, 10)
    assert before - cupy.cuda.runtime.memGetInfo()[0] < 2**22


def test_jit_and_fit_use_plans(gpu):
    """`jit` and `Network.fit` give what they give without plans."""
    x, y = digits(700)
    images = (x / 256.0).astype("float32")
    nets = []
    for compile_ in (True, False):
        net = pn.Network(LAYERS["article"][0], loss=pn.losses.softmax_cross_entropy, backend="gpu", seed=0)
        with warnings.catch_warnings():
            warnings.simplefilter("error", PlanWarning)
            net.fit(images, y, epochs=2, batch_size=64, optimizer=optim.adam(1e-3), compile=compile_)
        nets.append(to_bytes(gpu, net.params))
    assert nets[0] == nets[1]

    def f(x):
        return pn.softmax(x * 2.0)

    a = gpu.backend.asarray(images[:50])
    planned = pn.jit(f)
    assert to_bytes(gpu, [planned(a), planned(a + 1.0)]) == to_bytes(gpu, [f(a), f(a + 1.0)])
