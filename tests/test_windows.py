"""Windows of every small size, step, spread and padding, against sums written out element by element."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from portnn import jit, ops, vjp

RNG = np.random.default_rng(0)
GRID = [*product((1, 2, 3), (1, 2, 3, 4), (1, 2, 3))]  # kernel, stride, dilation
PLACES = [(n, p) for n in (7, 8) for p in (0, 1, 2)]  # length, padding


def places(n, k, s, d, p):
    """For each window, the elements of the signal that it sees, as (place in the window, element)."""
    count = (n + 2 * p - d * (k - 1) - 1) // s + 1
    all_ = [[(a, i * s + a * d - p) for a in range(k)] for i in range(count)]
    return [[(a, j) for a, j in window if 0 <= j < n] for window in all_]


def matrix(n, w, s, d, p):
    """The correlation with a kernel as a matrix."""
    windows = places(n, len(w), s, d, p)
    result = np.zeros((len(windows), n))
    for i, window in enumerate(windows):
        for a, j in window:
            result[i, j] += w[a]
    return result


@pytest.mark.parametrize(("k", "s", "d"), GRID)
def test_convolution_of_signals(k, s, d):
    for n, p in PLACES:
        x, w = RNG.normal(size=n), RNG.normal(size=k)
        wanted = matrix(n, w, s, d, p)
        g = RNG.normal(size=len(wanted))
        options = {"stride": s, "dilation": d, "padding": p}
        y, back = vjp(lambda x, w, o=options: ops.conv1d(x, w, **o), x[None, None], w[None, None])
        np.testing.assert_allclose(y[0, 0], wanted @ x, atol=1e-13)
        by_x, by_w = back(g[None, None])
        np.testing.assert_allclose(by_x[0, 0], wanted.T @ g, atol=1e-13)
        each = [g @ matrix(n, np.eye(k)[a], s, d, p) @ x for a in range(k)]
        np.testing.assert_allclose(by_w[0, 0], each, atol=1e-13)


@pytest.mark.parametrize(("k", "s", "d"), GRID)
def test_transposed_convolution_of_signals(k, s, d):
    """The matrix transposed; `output_padding` makes the longer signal that has the same windows."""
    for n, p in PLACES:
        w = RNG.normal(size=k)
        there = matrix(n, w, s, d, p)
        x = RNG.normal(size=len(there))
        more = n - ((len(x) - 1) * s - 2 * p + d * (k - 1) + 1)
        if more >= max(s, d):
            continue
        options = {"stride": s, "dilation": d, "padding": p, "output_padding": more}
        y, back = vjp(lambda x, w, o=options: ops.conv_transpose1d(x, w, **o), x[None, None], w[None, None])
        np.testing.assert_allclose(y[0, 0], there.T @ x, atol=1e-13)
        g = RNG.normal(size=n)
        by_x, by_w = back(g[None, None])
        np.testing.assert_allclose(by_x[0, 0], there @ g, atol=1e-13)
        each = [x @ matrix(n, np.eye(k)[a], s, d, p) @ g for a in range(k)]
        np.testing.assert_allclose(by_w[0, 0], each, atol=1e-13)


@pytest.mark.parametrize(("k", "s", "d"), GRID)
def test_pools_of_signals(k, s, d):
    for n, p in PLACES:
        if 2 * p > k:
            continue
        x = RNG.permutation(n) + 0.5
        windows = places(n, k, s, d, p)
        g = RNG.normal(size=len(windows))
        highest = [max((x[j], j) for _, j in window) for window in windows]
        y, back = vjp(
            lambda x, s=s, d=d, p=p: ops.max_pool1d(x, k, stride=s, dilation=d, padding=p), x[None, None]
        )
        np.testing.assert_array_equal(y[0, 0], [value for value, _ in highest])
        wanted = np.zeros(n)
        np.add.at(wanted, [j for _, j in highest], g)
        np.testing.assert_allclose(back(g[None, None])[0][0, 0], wanted, atol=1e-13)
        for whole in (True, False) if d == 1 else ():
            mean = matrix(n, np.ones(k), s, 1, p) / np.asarray([[k if whole else len(w)] for w in windows])
            options = {"stride": s, "padding": p, "count_include_pad": whole}
            y, back = vjp(lambda x, o=options: ops.avg_pool1d(x, k, **o), x[None, None])
            np.testing.assert_allclose(y[0, 0], mean @ x, atol=1e-13)
            np.testing.assert_allclose(back(g[None, None])[0][0, 0], mean.T @ g, atol=1e-13)


BOTH = [*product([(1, 1, 1), (2, 1, 2), (2, 3, 1), (3, 2, 2), (3, 4, 1)], repeat=2)]


@pytest.mark.parametrize(("down", "across"), BOTH)
def test_convolution_of_images(down, across):
    """Other options down than across; two images, two groups of channels; the same as a plan."""
    x, w = RNG.normal(size=(2, 4, 8, 7)), RNG.normal(size=(2, 2, down[0], across[0]))
    b = RNG.normal(size=2)
    stride, dilation = [(down[i], across[i]) for i in (1, 2)]

    def f(x, w, b):
        return ops.conv2d(x, w, b, stride=stride, dilation=dilation, padding=(0, 1), groups=2)

    units = {(i, j): np.eye(down[0])[i] for i in range(down[0]) for j in range(across[0])}
    maps = {
        (i, j): (matrix(8, unit, *down[1:], 0), matrix(7, np.eye(across[0])[j], *across[1:], 1))
        for (i, j), unit in units.items()
    }
    y, back = vjp(f, x, w, b)
    groups = x.reshape(2, 2, 2, 8, 7)  # image, group, channel
    wanted = b[:, None, None] + sum(
        np.einsum("gc,ph,qw,ngchw->ngpq", w[:, :, i, j], v, u, groups) for (i, j), (v, u) in maps.items()
    )
    np.testing.assert_allclose(y, wanted, atol=1e-12)
    g = RNG.normal(size=y.shape)
    by_x, by_w, by_b = back(g)
    wanted_x = sum(
        np.einsum("gc,ph,qw,ngpq->ngchw", w[:, :, i, j], v, u, g) for (i, j), (v, u) in maps.items()
    )
    np.testing.assert_allclose(by_x, wanted_x.reshape(x.shape), atol=1e-12)
    for (i, j), (v, u) in maps.items():
        each = np.einsum("ngpq,ph,qw,ngchw->gc", g, v, u, groups)
        np.testing.assert_allclose(by_w[:, :, i, j], each, atol=1e-12)
    np.testing.assert_allclose(by_b, g.sum((0, 2, 3)), atol=1e-12)
    planned = jit(lambda x, w, b, g: (f(x, w, b), vjp(f, x, w, b)[1](g)))
    for a, e in zip([planned(x, w, b, g)[0], *planned(x, w, b, g)[1]], [y, by_x, by_w, by_b], strict=True):
        np.testing.assert_array_equal(a, e)


@pytest.mark.parametrize(
    "layer", ["conv1d", "conv2d", "max_pool1d", "max_pool2d", "avg_pool1d", "avg_pool2d"]
)
def test_words_for_padding(layer):
    """None, and as many zeros as keep the size; where they are odd, the last comes behind."""
    axes = int(layer[-2])
    x = RNG.normal(size=(1, 1, *(6, 5)[:axes]))
    kernel = np.ones((1, 1, *(2, 3)[:axes])) if layer.startswith("conv") else (2, 3)[:axes]
    f = getattr(ops, layer)
    options = {} if layer.startswith("conv") else {"stride": 1}
    np.testing.assert_array_equal(
        f(x, kernel, padding="valid", **options), f(x, kernel, padding=0, **options)
    )
    same = f(x, kernel, padding="same", **options)
    assert same.shape == x.shape
    edge = -np.inf if layer.startswith("max") else 0.0
    around = np.pad(x, [(0, 0), (0, 0), *((0, 1), (1, 1))[:axes]], constant_values=edge)
    np.testing.assert_array_equal(same, f(around, kernel, **options))


@pytest.mark.parametrize("groups", [1, 2, 3])
def test_groups_of_transposed_convolutions(groups):
    """Each group by itself, then the bias; three outputs of each."""
    x, w = RNG.normal(size=(2, 2 * groups, 4, 5)), RNG.normal(size=(2 * groups, 3, 2, 3))
    b = RNG.normal(size=3 * groups)
    options = {"stride": (2, 1), "padding": (0, 1), "output_padding": (1, 0)}
    parts = [slice(2 * g, 2 * g + 2) for g in range(groups)]
    wanted = np.concatenate([ops.conv_transpose2d(x[:, p], w[p], **options) for p in parts], axis=1)
    found = ops.conv_transpose2d(x, w, b, groups=groups, **options)
    np.testing.assert_allclose(found, wanted + b[:, None, None], atol=1e-12)
    with pytest.raises(ValueError, match=rf"expected a bias of shape \({3 * groups},\), got \(3{groups},\)"):
        ops.conv_transpose2d(x, w, RNG.normal(size=30 + groups), groups=groups)
