"""checkpoint: the same values and derivatives, computed twice and kept never."""

from __future__ import annotations

import numpy as np
import pytest

from portnn import ops
from portnn.autodiff import DifferentiationError, checkpoint, grad, value_and_grad, vjp
from portnn.tracing import TracedArray, strip
from tests.helpers import assert_close

X = np.asarray([0.3, -0.8, 1.4])


def block(x):
    return ops.sin(ops.exp(x) * x)


class Counted:
    """A function that knows how often it ran."""

    def __init__(self, f):
        self.f, self.runs = f, 0

    def __call__(self, *args):
        self.runs += 1
        return self.f(*args)


def chain(f):
    return lambda x: ops.sum(f(f(x)))


def test_values_and_first_derivatives_are_equal(backend):
    x = backend.asarray(X, "float32")
    value, g = value_and_grad(chain(checkpoint(block)))(x)
    plain, expected = value_and_grad(chain(block))(x)
    assert float(value) == float(plain)
    assert_close(g, backend.to_numpy(expected), rtol=0, backend=backend)


@pytest.mark.parametrize("order", [2, 3])
def test_higher_derivatives_are_equal(order):
    def nth(f):
        for _ in range(order - 1):
            f = summed(grad(f))
        return grad(f)

    def summed(f):
        return lambda x: ops.sum(f(x))

    np.testing.assert_allclose(nth(chain(checkpoint(block)))(X), nth(chain(block))(X), rtol=1e-12)


def test_it_runs_once_on_values_and_twice_for_a_gradient():
    f = Counted(block)
    checkpoint(f)(X)
    assert f.runs == 1
    f.runs = 0
    grad(lambda x: ops.sum(checkpoint(f)(x)))(X)
    assert f.runs == 2


def test_nothing_inside_is_kept_between_the_passes():
    kept = []

    def watch(x):
        kept.append(ops.exp(x))  # a constant in the forward pass: not recorded
        return kept[-1] * x

    def f(x):
        y = checkpoint(watch)(x)
        assert type(strip(kept[0])) is np.ndarray
        assert type(strip(y)) is TracedArray
        return ops.sum(y)

    np.testing.assert_allclose(grad(f)(X), np.exp(X) * (1 + X), rtol=1e-14)


def test_trees_and_other_arguments():
    def f(params, x, n, mode, nothing):
        assert nothing is None
        y = params["w"] * x if mode == "times" else x
        return {"power": y**n, "pair": (y, ops.sum(y))}

    def loss(f):
        def total(params, x):
            out = f(params, x, 3, "times", None)
            return ops.sum(out["power"]) + ops.sum(out["pair"][0]) * out["pair"][1]

        return total

    params = {"w": X + 2.0}
    found = grad(loss(checkpoint(f)), (0, 1))(params, X)
    expected = grad(loss(f), (0, 1))(params, X)
    np.testing.assert_allclose(found[0]["w"], expected[0]["w"], rtol=1e-14)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-14)
    assert set(checkpoint(f)(params, X, 2, "times", None)) == {"power", "pair"}


def test_integer_arrays_pass_through():
    def f(table, i):
        return ops.take(table, i, axis=0)

    i = np.asarray([2, 0, 2])
    g = grad(lambda table: ops.sum(checkpoint(f)(table, i)))(X)
    assert g.tolist() == [1.0, 0.0, 2.0]


def test_dtypes_may_be_arguments():
    f = checkpoint(lambda x, dtype: ops.astype(x, dtype))
    assert grad(lambda x: ops.sum(f(x, np.float32)))(X).tolist() == [1.0, 1.0, 1.0]


def test_results_that_are_no_arrays_are_refused():
    f = checkpoint(lambda x: (x, 3))
    for call in (f, grad(lambda x: ops.sum(f(x)[0]))):
        with pytest.raises(TypeError, match="must return a tree of arrays, got int"):
            call(X)


def test_unused_outputs_and_arguments():
    @checkpoint
    def f(x, y):
        return ops.exp(x), ops.sin(x)

    gx, gy = grad(lambda x, y: ops.sum(f(x, y)[1]), (0, 1))(X, X)
    np.testing.assert_allclose(gx, np.cos(X), rtol=1e-14)
    assert gy.tolist() == [0.0, 0.0, 0.0]


def test_nested_checkpoints():
    inner = checkpoint(block)
    both = checkpoint(lambda x: inner(inner(x)))
    np.testing.assert_allclose(grad(lambda x: ops.sum(both(x)))(X), grad(chain(block))(X), rtol=1e-14)


def test_a_traced_array_from_outside_is_refused():
    text = "checkpoint: the function uses a traced array that is not among its arguments"
    with pytest.raises(DifferentiationError, match=text):
        grad(lambda w: ops.sum(checkpoint(lambda x: w * x)(X)))(X)
    with pytest.raises(DifferentiationError, match=text):
        grad(lambda w: ops.sum(checkpoint(lambda x: w * x)(w * 1.0)))(X)


def test_a_pullback_through_it_can_be_used_again():
    _, pullback = vjp(checkpoint(block), X)
    first = pullback(np.ones(3))[0]
    assert (pullback(np.ones(3))[0] == first).all()


def test_it_keeps_name_and_docstring():
    assert checkpoint(block).__name__ == "block"


def assigned(x):
    y = x
    y += x
    y *= x
    return ops.sum(y * y)


def test_assignments_in_place_change_neither_arguments_nor_gradients(backend):
    x = backend.asarray(X, "float32")
    for f in (assigned, lambda x: grad(assigned)(x)[0]):
        expected = backend.to_numpy(grad(f)(x))
        assert_close(grad(checkpoint(f))(x), expected, rtol=1e-6, backend=backend)
        np.testing.assert_array_equal(backend.to_numpy(x), X.astype("float32"))


def test_other_arguments_are_not_changed_in_place():
    counts = np.asarray([1, 2, 3])

    def f(x, n):
        n += 1
        return ops.sum(x * ops.astype(n, x.dtype))

    block = checkpoint(f)
    for _ in range(2):
        assert grad(lambda x: block(x, counts) * 1.0)(X).tolist() == [2.0, 3.0, 4.0]
    assert counts.tolist() == [1, 2, 3]
