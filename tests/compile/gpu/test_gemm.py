"""The arguments for cuBLAS, acted out on flat memory, against np.matmul: every layout."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portnn.compile._cupy._gemm import gemm_arguments
from tests.compile.gpu.host import act_out, flat


def product(a, b, gaps=False):
    """What the arguments make of two arrays, copied as they ask for."""
    a_steps, b_steps = ([s // x.itemsize for s in x.strides] for x in (a, b))
    g = gemm_arguments(a.shape, tuple(a_steps), b.shape, tuple(b_steps), gaps=gaps)
    if g is None:
        return None
    kept, factors = [], []
    for x, operand, size in ((a, g.first, (g.rows, g.inner)), (b, g.second, (g.inner, g.columns))):
        x = x.reshape(size) if operand.copy and x.ndim == 1 else x
        if operand.copy == "columns":
            x = np.ascontiguousarray(x.T)
        elif operand.copy == "rows":
            x = np.ascontiguousarray(
                np.broadcast_to(x, (*g.batch, *size)) if operand.stride and g.batch else x
            )
        kept.append(x)  # flat memory keeps nothing alive
        factors.append(flat(x))
    result = np.full(g.shape, np.nan)
    act_out(g, *factors, flat(result))
    return result


@st.composite
def matrices(draw, rows, columns, batch=()):
    """An array of whole numbers of a shape, in one of many layouts."""
    shape = (*batch, rows, columns)
    order = draw(st.permutations(range(len(shape))))
    pads = [draw(st.integers(0, 2)) for _ in shape]
    start = [draw(st.integers(0, p)) for p in pads]
    big = np.zeros([shape[d] + pads[d] for d in order])
    big = big.transpose([list(order).index(d) for d in range(len(shape))])
    x = big[tuple(slice(s, s + n) for s, n in zip(start, shape, strict=True))]
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    x[...] = rng.integers(-4, 5, shape)
    return x


sizes = st.integers(0, 4)


@given(st.data(), sizes, sizes, sizes, st.booleans())
def test_matrices(data, n, k, m, gaps):
    a, b = data.draw(matrices(n, k)), data.draw(matrices(k, m))
    got = product(a, b, gaps)
    assert (got is None) == (0 in (n, k, m) or n == m == 1)
    if got is not None:
        np.testing.assert_array_equal(got, a @ b)


@given(st.data(), sizes, sizes, st.integers(1, 3), st.booleans())
def test_vectors(data, k, m, step, gaps):
    b = data.draw(matrices(k, m))
    v = np.arange(k * step, dtype=float)[::step]
    got = product(v, b, gaps)
    if got is not None:
        np.testing.assert_array_equal(got, v @ b)
    got = product(b.T, v, gaps)
    if got is not None:
        np.testing.assert_array_equal(got, b.T @ v)


batches = st.sampled_from(
    [((3,), (3,)), ((), (3,)), ((3,), ()), ((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((1,), (1,)),
     ((2, 3), ()), ((1, 3), (2, 3)), ((0,), (0,)), ((1,), (4,))]
)  # fmt: skip


@given(st.data(), sizes, sizes, sizes, batches, st.booleans())
def test_batches(data, n, k, m, batch, gaps):
    a, b = data.draw(matrices(n, k, batch[0])), data.draw(matrices(k, m, batch[1]))
    got = product(a, b, gaps)
    assert (got is None) == (0 in (n, k, m, *batch[0], *batch[1]))
    if got is not None:
        np.testing.assert_array_equal(got, a @ b)


@pytest.mark.parametrize(
    ("a", "b", "letters", "copies"),
    [
        ("C", "C", "NN", ("", "")),
        ("F", "C", "NT", ("", "")),
        ("C", "F", "TN", ("", "")),
        ("F", "F", "TT", ("", "")),
        ("gaps", "C", "NT", ("columns", "")),
        ("C", "gaps", "NN", ("", "rows")),
    ],
)
def test_the_choices_are_those_of_cupy(a, b, letters, copies):
    """`tensordot_core`: cuBLAS is given the second factor first; what is not contiguous is copied."""
    steps = {"C": (5, 1), "F": (1, 4), "gaps": (9, 1)}
    g = gemm_arguments((4, 5), steps[a], (5, 3), {"C": (3, 1), "F": (1, 5), "gaps": (9, 1)}[b])
    assert "NT"[g.second.transpose] + "NT"[g.first.transpose] == letters
    assert (g.first.copy, g.second.copy) == copies
    assert (g.columns, g.rows, g.inner) == (3, 4, 5)


def test_gaps_are_used_where_no_bits_are_promised():
    g = gemm_arguments((4, 5), (9, 1), (5, 3), (1, 7), gaps=True)
    assert (g.first.leading, g.first.copy, g.second.leading, g.second.copy) == (9, "", 7, "")


def test_a_matrix_for_a_whole_batch_is_not_repeated():
    g = gemm_arguments((8, 4, 5), (20, 5, 1), (5, 3), (3, 1))
    assert (g.second.stride, g.second.copy, g.first.stride, g.count) == (0, "", 20, 8)
