"""Elementwise functions: arithmetic, exponentials, trigonometry, rounding, special functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np

from portnn import ops
from portnn.tracing import strip
from tests.table.engine import (
    CONSTANT_KIND,
    VALUES,
    Maker,
    Row,
    apart,
    between,
    booleans,
    fixed,
    namespace,
    normal,
    to_complex,
)


def exact(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function of mpmath, at 30 digits, as a function of arrays."""

    def one(*xs: float) -> float:
        with mpmath.workdps(30):
            return float(f(*[mpmath.mpf(float(x)) for x in xs]))

    return np.vectorize(one, otypes=[np.float64])


def row(name: str, args: tuple[Any, ...], oracle: Callable[..., Any], **options: Any) -> Row:
    """A row of an elementwise function of `ops`."""
    return Row(f"ops.{name}", options.pop("function", None) or getattr(ops, name), args, oracle,
               elementwise=options.pop("elementwise", True), **options)  # fmt: skip


X: Maker = normal(2, 3)
POSITIVE = between(0.5, 2.0, 2, 3)
INSIDE = between(-0.8, 0.8, 2, 3)
# Away from whole numbers, and from ties with each other.
FRACTIONS = fixed([[-1.7, -0.3, 0.2], [0.7, 1.4, 2.6]])
OTHERS = fixed([[-1.2, -0.6, 0.8], [0.3, 1.1, 2.3]])


def _logaddexp(a: Any, b: Any) -> Any:
    return mpmath.log(mpmath.exp(a) + mpmath.exp(b))


ARITHMETIC = [
    row("add", (X, normal(2, 3)), exact(lambda a, b: a + b)),
    row("subtract", (X, normal(2, 3)), exact(lambda a, b: a - b)),
    row("multiply", (X, normal(2, 3)), exact(lambda a, b: a * b)),
    row("divide", (X, POSITIVE), exact(lambda a, b: a / b)),
    row("maximum", (FRACTIONS, OTHERS), exact(max)),
    row("minimum", (FRACTIONS, OTHERS), exact(min)),
    row("remainder", (FRACTIONS, between(0.85, 1.15, 2, 3)), lambda a, b: a - np.floor(a / b) * b),
    row(
        "floor_divide",
        (FRACTIONS, between(0.85, 1.15, 2, 3)),
        lambda a, b: np.floor(a / b),
        kind=CONSTANT_KIND,
    ),
    row("negative", (X,), exact(lambda a: -a)),
    row("positive", (X,), exact(lambda a: a)),
]

EXPONENTIAL = [
    row("exp", (X,), exact(mpmath.exp)),
    row("expm1", (X,), exact(mpmath.expm1)),
    row("log", (POSITIVE,), exact(mpmath.log)),
    row("log1p", (INSIDE,), exact(mpmath.log1p)),
    row("log2", (POSITIVE,), exact(lambda a: mpmath.log(a, 2))),
    row("log10", (POSITIVE,), exact(mpmath.log10)),
    row("logaddexp", (X, normal(2, 3)), exact(_logaddexp)),
    row("sqrt", (POSITIVE,), exact(mpmath.sqrt)),
    row("square", (X,), exact(lambda a: a * a)),
    row("reciprocal", (POSITIVE,), exact(lambda a: 1 / a)),
    row("hypot", (apart(2, 3, gap=1.0), POSITIVE), exact(mpmath.hypot)),
    row("pow", (POSITIVE, normal(2, 3)), exact(mpmath.power)),
    row("pow", (X, 3), exact(lambda a, b: a**3), case="whole exponent", elementwise=False),
    row("pow", (apart(2, 3), -2.0), exact(lambda a, b: a**-2), case="negative exponent", elementwise=False,
        step=1e-3),
    row("pow", (2.0, X), exact(lambda a, b: 2**b), case="number base", elementwise=False),
]  # fmt: skip

TRIGONOMETRIC = [
    row("sin", (X,), exact(mpmath.sin)),
    row("cos", (X,), exact(mpmath.cos)),
    row("tan", (between(-1.2, 1.2, 2, 3),), exact(mpmath.tan)),
    row("asin", (INSIDE,), exact(mpmath.asin)),
    row("acos", (INSIDE,), exact(mpmath.acos)),
    row("atan", (X,), exact(mpmath.atan)),
    row("atan2", (apart(2, 3, gap=1.0), POSITIVE), exact(mpmath.atan2)),
    row("atan2", (fixed([0.5, -1.0, 2.0]), fixed([-1.0, -2.0, -0.5])), exact(mpmath.atan2), case="left half",
        elementwise=False),
    row("sinh", (X,), exact(mpmath.sinh)),
    row("cosh", (X,), exact(mpmath.cosh)),
    row("tanh", (X,), exact(mpmath.tanh)),
    row("asinh", (X,), exact(mpmath.asinh)),
    row("acosh", (between(1.3, 3.0, 2, 3),), exact(mpmath.acosh)),
    row("atanh", (INSIDE,), exact(mpmath.atanh)),
]  # fmt: skip

ROUNDING = [
    row("abs", (FRACTIONS,), exact(abs)),
    row("sign", (FRACTIONS,), exact(mpmath.sign), kind=CONSTANT_KIND),
    row("floor", (FRACTIONS,), exact(mpmath.floor), kind=CONSTANT_KIND),
    row("ceil", (FRACTIONS,), exact(mpmath.ceil), kind=CONSTANT_KIND),
    row("round", (fixed([[-1.7, -0.5, 0.5], [1.5, 2.5, 0.4]]),), exact(lambda a: round(float(a))),
        kind=CONSTANT_KIND),
    row("trunc", (FRACTIONS,), exact(int), kind=CONSTANT_KIND),
    row("copysign", (FRACTIONS, apart(2, 3)), exact(lambda a, b: abs(a) if b > 0 else -abs(a))),
    row("nextafter", (FRACTIONS, OTHERS), lambda a, b: a + 0.0 * b, rtol=1e-15, rtol32=2e-7),
    row("nextafter", (FRACTIONS, OTHERS), lambda a, b: np.ones_like(a), kind=CONSTANT_KIND, case="moves",
        function=lambda a, b: ops.sign((ops.nextafter(a, b) - a) * (b - a)), elementwise=False),
    row("clip", (FRACTIONS, -1.0, 1.0), lambda a, low, high: np.minimum(np.maximum(a, low), high)),
    row("clip", (FRACTIONS, OTHERS, None), lambda a, low, high: np.maximum(a, low), case="array bound",
        elementwise=False),
    row("clip", (FRACTIONS, OTHERS, between(2.35, 2.5, 2, 3)), lambda a, low, high: np.minimum(np.maximum(a, low), high),
        case="two array bounds", elementwise=False),
    row("clip", (FRACTIONS, fixed([0.5]), fixed([[1.0], [2.0]])),
        lambda a, low, high: np.minimum(np.maximum(a, low), high), case="broadcast bounds", elementwise=False),
    row("conj", (X,), lambda a: a),
    row("real", (X,), lambda a: a),
    row("real", (X,), lambda a: a, kind=VALUES, case="complex", elementwise=False,
        function=lambda x: ops.real(to_complex(x))),
    row("imag", (X,), lambda a: np.full(a.shape, 2.0), kind=VALUES, elementwise=False,
        function=lambda x: ops.imag(to_complex(x) + 2j)),
    row("conj", (X,), lambda a: a - 2j, kind=VALUES, case="complex", elementwise=False,
        function=lambda x: ops.conj(to_complex(x) + 2j)),
]  # fmt: skip

SPECIAL = [
    row("sigmoid", (X,), exact(lambda a: 1 / (1 + mpmath.exp(-a)))),
    row("erf", (X,), exact(mpmath.erf)),
    row("erfc", (X,), exact(mpmath.erfc)),
    row("erf", (fixed([-6.5, -3.0, -1.9, -0.3, 0.0, 1e-9, 0.4, 0.6, 1.1, 2.5, 3.7, 6.2]),), exact(mpmath.erf),
        case="ranges", elementwise=False),
    row("erfc", (fixed([-6.5, -3.0, -1.9, -0.3, 0.0, 0.4, 0.6, 1.1, 2.5, 3.7]),), exact(mpmath.erfc),
        case="ranges", elementwise=False),
    row("where", (booleans(2, 3), X, normal(2, 3)), np.where),
    row("where", (booleans(3), normal(2, 3), 0.5), np.where, case="number", elementwise=False),
]  # fmt: skip


def _with_derivatives(x: Any) -> Any:
    """exp(x) - x in the namespace that carries derivatives, given a plain or a traced array."""
    xp = ops.differentiable(namespace(x))
    y = xp.asarray(x)
    result = xp.exp(y) - y
    return strip(result)


NAMESPACE = [
    row(
        "differentiable",
        (X,),
        exact(lambda a: mpmath.exp(a) - a),
        function=_with_derivatives,
        elementwise=False,
    ),
]

ROWS = [*NAMESPACE, *ARITHMETIC, *EXPONENTIAL, *TRIGONOMETRIC, *ROUNDING, *SPECIAL]
