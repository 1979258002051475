"""Fusion: which calls share a kernel, in which order, and random programs through everything, bit for bit."""

import numpy as np
import pytest
from array_api_compat import array_namespace
from hypothesis import given, settings
from hypothesis import strategies as st

from portnn.compile._cupy._fusion import fuse
from portnn.compile._cupy._plan import make_plan
from portnn.compile._cupy._steps import Kernel, LeftToCuPy, View, made_by, read_by
from tests.compile.gpu.helpers import needs_compiler, plan_of, program_of, same


def groups_of(f, *arrays):
    return [s for s in fuse(program_of(f, *arrays)) if isinstance(s, list)]


def names(group):
    return [m.call.name for m in group.members]


def xp_of(x):
    return array_namespace(x)


X = np.arange(12, dtype="float32").reshape(3, 4)


def test_a_chain_with_numbers_a_row_and_a_cast_is_one_kernel():
    def f(x, row, k):
        xp = xp_of(x)
        y = xp.exp(xp.astype(k, xp.float32) * 0.5 + x) / row
        return xp.where(y > 1.0, y, 0.0)

    (stage,) = groups_of(f, X, X[1], np.arange(12, dtype="int8").reshape(3, 4))
    (group,) = stage
    assert names(group) == ["astype", "multiply", "add", "exp", "divide", "greater", "where"]
    assert (len(group.inputs), len(group.outputs)) == (3, 1)


def test_a_reduction_ends_a_kernel_and_its_reader_begins_another():
    def f(x):
        xp = xp_of(x)
        y = x * 2.0
        return y - xp.max(y, axis=1, keepdims=True)

    steps = make_plan(program_of(f, X)).steps
    assert [type(s) for s in steps] == [Kernel, LeftToCuPy, Kernel]
    assert [v.shape for v in made_by(steps[0])] == [(3, 4)]


def test_no_kernel_waits_for_what_waits_for_it():
    """x + 1 and the last product have one shape, but a sum of the first is a factor of the second."""

    def f(x):
        y = x + 1.0
        return y, x * xp_of(x).sum(y)

    assert len(groups_of(f, X)) == 2


def test_a_column_that_only_one_kernel_reads_is_computed_in_it():
    def f(x, column):
        return x - (column * 2.0 + 1.0)

    ((group,),) = groups_of(f, X, X[:, :1].copy())
    assert names(group) == ["multiply", "add", "subtract"]
    assert group.shape == (3, 4)


def test_an_expensive_function_is_not_computed_again_for_a_thousand_elements():
    def f(x, number):
        return x * xp_of(x).exp(number)

    wide = np.ones((40, 50), "float32")
    assert len(groups_of(f, wide, np.ones((), "float32"))) == 2
    assert len(groups_of(f, X, np.ones((), "float32"))) == 1


def test_a_column_that_is_a_result_too_keeps_a_kernel_of_its_own():
    def f(x, column):
        y = column * 2.0
        return x - y, y

    assert [len(stage) for stage in groups_of(f, X, X[:, :1].copy())] == [1, 1]


def test_kernels_of_several_shapes_that_are_ready_together_run_side_by_side():
    def f(x, y):
        return x * 2.0, y * 3.0

    (stage,) = groups_of(f, X, X[0])
    assert sorted(g.shape for g in stage) == [(3, 4), (4,)]


def test_kernels_that_depend_on_each_other_are_never_side_by_side():
    def f(x, y):
        z = x * 2.0
        return z, y + xp_of(x).sum(z, axis=0), z[0] - 1.0

    for stage in groups_of(f, X, X[0]):
        made = {id(v) for g in stage for v in g.outputs}
        assert not made & {id(v) for g in stage for v in g.inputs}


def test_parameters_of_a_kernel_stay_below_four_kibibytes():
    arrays = [np.full(n + 1, n, "float32") for n in range(300)]

    def f(*arrays):
        return [x * 2.0 for x in arrays]

    stages = groups_of(f, *arrays)
    counts = [sum(len(g.inputs) + len(g.outputs) for g in stage) for stage in stages]
    assert sum(counts) == 600
    assert max(counts) * 8 <= 4096
    same_shape = groups_of(
        lambda *arrays: [x * 2.0 for x in arrays], *[np.ones(7, "float32") for _ in range(300)]
    )
    assert all(sum(len(g.inputs) + len(g.outputs) for g in stage) <= 512 for stage in same_shape)


@st.composite
def programs(draw):
    """A function of three arrays: random calls whose results are exact, of which some are results."""
    script = [
        (
            draw(st.sampled_from(OPERATIONS)),
            draw(st.integers(0, 30)),
            draw(st.integers(0, 30)),
            draw(st.integers(0, 30)),
        )
        for _ in range(draw(st.integers(1, 14)))
    ]
    wanted = draw(st.lists(st.integers(0, 30), min_size=1, max_size=4))

    def f(x, y, z):
        xp = xp_of(x)
        values = [x, y, z, x > 0.0]
        for operation, i, j, k in script:
            made = operation(xp, *[values[n % len(values)] for n in (i, j, k)])
            if made is not None:
                values.append(made)
        return [values[-1 - n % len(values)] for n in wanted]

    return f


def _number(xp, a):
    return a if a.dtype != xp.bool else xp.where(a, 1.0, -0.5)


def _pair(f):
    def operation(xp, a, b, c):
        a, b = _number(xp, a), _number(xp, b)
        if not all(n == m or 1 in (n, m) for n, m in zip(a.shape[::-1], b.shape[::-1], strict=False)):
            return None
        return f(xp, a, b)

    return operation


def _one(f):
    return lambda xp, a, b, c: f(xp, _number(xp, a))


def _where(xp, a, b, c):
    a, b = _number(xp, a), _number(xp, b)
    shapes = [v.shape for v in (a, b, c)]
    if c.dtype != xp.bool or len(set(shapes)) > 1:
        return None
    return xp.where(c, a, b)


def _halves(xp, a, b):
    """Sums stay exact: few bits, and none that grow."""
    return xp.minimum(xp.maximum(a * 0.5 + b, -8.0), 8.0)


OPERATIONS = [
    _pair(_halves),
    _pair(lambda xp, a, b: xp.maximum(a, b)),
    _pair(lambda xp, a, b: a > b),
    _pair(lambda xp, a, b: xp.abs(a - b)),
    _one(lambda xp, a: -a),
    _one(lambda xp, a: xp.sign(a)),
    _one(lambda xp, a: xp.astype(xp.astype(a, xp.int32), xp.float32)),
    _one(lambda xp, a: xp.matrix_transpose(a) if a.ndim > 1 else xp.broadcast_to(a, (3, *a.shape))),
    _one(lambda xp, a: a[..., None]),
    _one(lambda xp, a: a[0, ...] if a.ndim else None),
    _one(lambda xp, a: a[..., ::-1] if a.ndim else None),
    _one(lambda xp, a: xp.max(a, axis=-1, keepdims=True) if a.ndim else None),
    _one(lambda xp, a: xp.min(a, axis=0) if a.ndim else None),
    _one(lambda xp, a: xp.reshape(a, (-1,))),
    _where,
]


def test_what_lies_alike_shares_one_index():
    columns = np.asfortranarray(X)
    for x in (X, columns):
        (step,) = make_plan(program_of(lambda x, y: x * y + 1.0, x, x)).steps
        assert "g0_out0[i] = " in step.source.text
        assert "rest" not in step.source.text
    (step,) = make_plan(program_of(lambda x, y: x * y, X, columns)).steps
    assert "rest" in step.source.text


@needs_compiler
@settings(max_examples=60)
@given(programs())
def test_random_programs(f):
    """Through fusion, generated kernels, memory that is given again, and a captured graph launched twice."""
    arrays = [np.arange(12, dtype="float32").reshape(3, 4) * 0.25 - 1.0]
    arrays += [arrays[0][:, ::-1] * 0.5, np.asarray([0.5, -2.0, 3.0, 0.0], "float32")]
    plan, driver = plan_of(f, *arrays)
    for factor in (1.0, -0.5):
        given_now = [x * np.float32(factor) for x in arrays]
        got, want = plan(*given_now), f(*given_now)
        assert same(got, [np.asarray(w) for w in want]), plan.explain()
    assert driver.captures == 1


@given(programs())
def test_every_call_is_in_one_step_and_reads_what_is_there(f):
    arrays = [X, X[:, ::-1] * 0.5, X[0]]
    program = program_of(f, *arrays)
    plan = make_plan(program)
    calls = [m.call for s in plan.steps if isinstance(s, Kernel) for g in s.groups for m in g.members] + [
        s.call for s in plan.steps if not isinstance(s, Kernel)
    ]
    assert sorted(map(id, calls)) == sorted(map(id, program.calls))
    there = {id(v) for v in program.inputs}
    for step, over in zip(plan.steps, plan.releases, strict=True):
        assert all(id(v) in there or v.constant is not None for v in read_by(step))
        there |= {id(v) for v in made_by(step)}
        there -= {id(v) for v in over}
    assert there >= {id(v) for v in plan.program.result if v.constant is None}


def test_views_take_no_step_of_the_device():
    plan = make_plan(program_of(lambda x: x.T[None, ..., 1:] * 2.0, X))
    assert [type(s) for s in plan.steps] == [View, View, Kernel]


@pytest.mark.parametrize(
    ("f", "word"),
    [
        (lambda x: x[xp_of(x).asarray([True] * 4)], "getitem: CuPy counts the elements"),
        (lambda x: xp_of(x).linalg.inv(x[:3, :3]), "linalg.inv: not known"),
        (
            lambda x: xp_of(x).concat([xp_of(x).astype(x, "complex64")] * 9),
            "concat: CuPy sends the addresses",
        ),
        (lambda x: x @ xp_of(x).astype(x, "float64"), "matmul: CuPy refuses cuBLAS"),
    ],
)
def test_what_a_graph_cannot_hold_is_named(f, word):
    x = np.eye(4, dtype="float32")
    plan = make_plan(program_of(f, x))
    assert any(word in obstacle for obstacle in plan.obstacles)
    assert f"cannot be captured: {word}" in plan.explain()
