"""Primitives with rules of one's own: right ones, and wrong ones that must not pass in silence."""

from __future__ import annotations

import numpy as np
import pytest

from portnn import ops
from portnn.autodiff import DifferentiationError, grad, vjp
from portnn.tracing import constant, namespace, primitive
from tests.helpers import assert_close


@primitive
def hypotenuse(a, b, *, scale=1.0):
    """sqrt(a^2 + b^2) times a number."""
    xp = namespace(a, b)
    return scale * xp.sqrt(a * a + b * b)


hypotenuse.vjp(
    lambda g, y, a, b, *, scale=1.0: ops.multiply(g, ops.divide(scale * scale * a, y)),
    lambda g, y, a, b, *, scale=1.0: ops.multiply(g, ops.divide(scale * scale * b, y)),
)


@primitive
def sum_and_difference(a, b):
    """Two results at once."""
    return a + b, a - b


@sum_and_difference.vjp_joint
def _rule(g, y, a, b):
    return ops.add(g[0], g[1]), ops.subtract(g[0], g[1])


def test_a_rule_for_each_argument(backend):
    a, b = backend.asarray([3.0, 5.0], "float32"), backend.asarray([4.0, 12.0], "float32")
    assert_close(hypotenuse(a, b), np.asarray([5.0, 13.0], np.float32), rtol=1e-6, backend=backend)
    by_a, by_b = grad(lambda a, b: ops.sum(hypotenuse(a, b, scale=2.0)), (0, 1))(a, b)
    assert_close(by_a, np.asarray([6 / 5, 10 / 13], np.float32), rtol=1e-6, backend=backend)
    assert_close(by_b, np.asarray([8 / 5, 24 / 13], np.float32), rtol=1e-6, backend=backend)


def test_rules_in_ops_functions_differentiate_again():
    b = np.asarray(4.0)
    second = grad(grad(lambda a: hypotenuse(a, b)))(np.asarray(3.0))
    assert float(second) == pytest.approx(16.0 / 125.0, rel=1e-14)


def test_several_results(backend):
    a, b = backend.asarray([3.0, 5.0], "float32"), backend.asarray([4.0, 1.0], "float32")

    def f(a, b):
        s, d = sum_and_difference(a, b)
        return ops.sum(ops.multiply(s, d))  # a^2 - b^2

    by_a, by_b = grad(f, (0, 1))(a, b)
    assert backend.to_numpy(by_a).tolist() == [6.0, 10.0]
    assert backend.to_numpy(by_b).tolist() == [-8.0, -2.0]


def test_one_of_several_results_or_the_same_twice():
    a, b = np.asarray(3.0), np.asarray(4.0)
    assert [float(g) for g in grad(lambda a, b: sum_and_difference(a, b)[1], (0, 1))(a, b)] == [1.0, -1.0]

    def twice(a):
        s, _ = sum_and_difference(a, b)
        return s * s * s

    assert float(grad(twice)(a)) == 147.0
    assert float(grad(grad(twice))(a)) == 42.0


def test_several_results_in_a_pullback():
    _, pullback = vjp(sum_and_difference, np.asarray(3.0), np.asarray(4.0))
    assert [float(g) for g in pullback((np.asarray(1.0), np.asarray(10.0)))] == [11.0, -9.0]


def test_none_is_no_derivative():
    @primitive
    def masked(x, mask):
        return np.multiply(x, mask)

    masked.vjp(lambda g, y, x, mask: masked(g, mask), None)
    x, mask = np.asarray([1.0, 2.0]), np.asarray([1.0, 0.0])
    by_x, by_mask = grad(lambda x, m: ops.sum(masked(x, m)), (0, 1))(x, mask)
    assert (by_x.tolist(), by_mask.tolist()) == ([1.0, 0.0], [0.0, 0.0])


def test_a_constant_function_stops_every_derivative():
    @constant
    def steps(x):
        return np.floor(x)

    assert float(grad(lambda x: x * steps(x))(np.asarray(2.5))) == 2.0
    assert float(grad(lambda x: steps(x))(np.asarray(2.5))) == 0.0


def times(x, y):
    return np.multiply(x, y)


def spoiled(joint=None, rules=None, name="times"):
    """A product with rules that are wrong in form."""
    unit = primitive(times)
    unit.name = name
    if joint is not None:
        unit.vjp_joint(joint)
    if rules is not None:
        unit.vjp(*rules)
    return lambda: grad(lambda x, y: ops.sum(unit(x, y)), (0, 1))(np.ones(2), np.ones(2))


WRONG = {
    "no rule": (spoiled(), "times has no derivative rule; .* portnn.primitive with a rule"),
    "too few rules": (
        spoiled(rules=[lambda g, y, a, b: g]), "times has 1 rules and was called with 2 arguments"),
    "joint too short": (spoiled(joint=lambda g, y, a, b: (g,)), "times returned 1 gradients for 2 arguments"),
    "joint too long": (spoiled(joint=lambda g, y, a, b: (g, g, g)), "returned 3 gradients for 2 arguments"),
    "joint shape": (
        spoiled(joint=lambda g, y, a, b: (g, ops.sum(g))), r"times returned .* of shape \(\) for .*\(2,\)"),
    "shape": (
        spoiled(rules=[lambda g, y, a, b: ops.sum(g), None]),
        r"rule of times returned a gradient of shape \(\) for an argument of shape \(2,\)"),
    "number": (spoiled(rules=[lambda g, y, a, b: 1.0, None]), "gradient of shape float for an argument of"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "text"), WRONG.values(), ids=WRONG.keys())
def test_rules_of_a_wrong_form_are_named(call, text):
    with pytest.raises(DifferentiationError, match=text) as caught:
        call()
    assert len(str(caught.value)) < 300


def test_a_primitive_of_a_primitive_has_its_own_rule() -> None:
    reversed_ = primitive(ops.negative)
    reversed_.vjp(lambda g, y, x: ops.multiply(g, 5.0))
    assert reversed_.function is ops.negative
    assert float(grad(reversed_)(np.asarray(2.0))) == 5.0
    assert float(grad(ops.negative)(np.asarray(2.0))) == -1.0
