"""Programs and steps for the tests of GPU plans, written down with NumPy."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import portnn as pn
from portnn import losses, nn, ops, optim, tree
from portnn.autodiff import value_and_grad
from portnn.compile._cupy import CupyPlan
from portnn.program import record, simplify
from tests.compile.gpu.standin import StandIn

needs_compiler = pytest.mark.skipif(
    shutil.which("gcc") is None, reason="gcc compiles the kernels for the host"
)


def program_of(f, *args):
    return simplify(record(f, args)[0])


def plan_of(f, *args, precision="float32"):
    """A plan of a function on a stand-in, and the stand-in."""
    driver = StandIn()
    return CupyPlan(program_of(f, *args), driver=driver, precision=precision), driver


def net_step(optimizer, layers=None, loss=losses.softmax_cross_entropy):
    """A step of training on uint8 pixels, as ``step(carry, x, y)``, and the first carry."""
    layer = nn.Sequential(layers or [pn.Linear(784, 10), pn.relu, pn.Linear(10, 10)])
    params = layer.init(np.random.default_rng(0))

    def objective(params, x, y):
        return loss(layer.apply(params, ops.astype(x, "float32") / 256.0), y)

    differentiate = value_and_grad(objective)

    def step(carry, x, y):
        params, moments = carry
        value, grads = differentiate(params, x, y)
        updates, moments = optimizer.update(grads, moments, params)
        return (optim.apply_updates(params, updates), moments), value

    return step, (params, optimizer.init(params))


def exact_step():
    """A step whose numbers are all small multiples of powers of two: every order of adding them is exact."""
    rng = np.random.default_rng(3)
    params = [rng.integers(-2, 3, shape).astype("float32") for shape in ((6, 4), (4,), (4, 3), (3,))]

    def objective(params, x, y):
        w, b, v, c = params
        hidden = ops.maximum(ops.matmul(ops.astype(x, "float32"), w) + b, 0.0)
        miss = ops.matmul(hidden, v) + c - y
        return ops.sum(ops.square(miss)) * 0.125

    differentiate = value_and_grad(objective)

    def step(carry, x, y):
        params, _, count = carry
        value, grads = differentiate(params, x, y)
        # The second member hands the gradient on, the third counts: an exchange of places and a 0-d array.
        new = tree.map(lambda p, g: ops.sign(p - g * 0.25) * 2.0, params, grads)
        return (new, grads[0], count + 1), value

    return step, (params, np.zeros((6, 4), "float32"), np.zeros((), "int32"))


def digits(n, seed=1):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 255, (n, 784)).astype("uint8"), rng.integers(0, 10, n)


def same(got, want):
    """Whether two trees hold the same bits."""
    pairs = list(zip(tree.leaves(got), tree.leaves(want), strict=True))
    return all(
        a.dtype == b.dtype and a.shape == b.shape and np.array_equal(a, b, equal_nan=b.dtype.kind == "f")
        for a, b in pairs
    )
