"""Analytic gradients against five-point central differences, in float64.

For a smooth function s of one variable (Abramowitz and Stegun, Handbook of Mathematical Functions, 25.3.6)

    s'(0) = (8 (s(h) - s(-h)) - (s(2h) - s(-2h))) / 12 h + O(h⁴ s⁽⁵⁾),

so a step of 1e-2 costs about 1e-9 in the formula and 1e-14 in roundoff: enough room to see a rule that is
wrong by one part in 10⁶. A random direction sees every entry at once and a random cotangent every output,
so that errors have nothing to hide under.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import sqrt
from random import Random
from typing import Any, NamedTuple

import array_api_compat

from portnn import tree
from portnn._typing import Array, Tree
from portnn.autodiff import vjp
from portnn.testing._arrays import direction as random_direction
from portnn.testing._arrays import entry, norm, size, total, unit, values_like
from portnn.tracing import TracedArray, at_home, namespace

__all__ = ["check_gradients"]

_FULL = 64  # entries of a Jacobian up to which every one of them is checked
_SHRINK = (1.0, 0.25, 0.0625)  # each is 256 times more exact than the one before, until roundoff takes over
_SHARE = 1e-2  # a gradient smaller than this part of the largest is measured by that: it may vanish
_EPS = 2.0**-52
_ROUNDOFF = 32.0  # roundings, in units of the last place, that a function may make

Function = Callable[..., list[Array]]


@at_home
def check_gradients(
    f: Callable[..., Tree],
    args: Sequence[Tree],
    order: int = 2,
    *,
    directions: int = 3,
    step: float = 1e-2,
    tolerance: float = 1e-8,
    seed: int = 0,
) -> None:
    """Check the derivatives of `f` that portnn computes against finite differences; return if they agree.

    Each array is moved along random unit directions, and by itself along each of its entries if the
    Jacobian has at most 64 entries; `f` has to be smooth within two steps of `args`. Where the two sides
    differ, they are compared again at a quarter and a sixteenth of the step, extrapolated: the error of the
    formula shrinks by 256 and more, that of a wrong rule stays. Second order checks, in the same way, the
    gradient of the product of the gradient with a random vector.

    Args:
        f: a function of trees of arrays that returns an array or a tree of them; a random cotangent makes
            a scalar of what it returns. Results that are not real floating-point are passed over.
        args: its arguments, a list or tuple of trees. Every float64 array in them is checked, in any
            library of the standard; integers, booleans, None and other objects are handed on.
        order: how many times to differentiate, 1 or more.
        directions: how many random directions to try for each array.
        step: length of a step, times the magnitude of what is moved where that is over 1.
        tolerance: the largest difference allowed, as a part of the norm of the gradient by that array;
            a few roundings of the function's own values are allowed besides.
        seed: chooses directions and cotangents; the same seed makes the same check.

    Raises:
        AssertionError: if a gradient differs; the message names the argument, the direction or entry, and
            both values.
        ValueError: if an array is of lower precision than float64 or complex, or nothing is there to check.
        TypeError: if `args` is not a list or tuple.

    Example:
        >>> import numpy as np
        >>> check_gradients(lambda x, y: x * y, (np.asarray([1.0, 2.0]), np.asarray(3.0)))
    """
    if order < 1 or directions < 1 or not step > 0.0 or not tolerance > 0.0:
        raise ValueError(
            "check_gradients: order and directions are at least 1, step and tolerance positive, "
            f"got order={order}, directions={directions}, step={step}, tolerance={tolerance}"
        )
    names, leaves, call = _split(f, args)
    function: Function = call
    outputs = [f"output[{path}]" if path else "output" for path, _ in _floating_items(f(*args))]
    if not outputs:
        raise ValueError("check_gradients: the function returned no real floating-point array to check")
    rng = Random(seed)  # noqa: S311  # directions need no secrecy
    scale = 0.0
    for k in range(1, order + 1):
        row = _Check(function, names, leaves, f"order {k}", step, tolerance, scale).run(
            outputs, directions, rng
        )
        # A gradient that cancels to nearly nothing keeps the roundoff of what it was made from.
        scale = max(scale, row.scale)
        function = partial(_gradients, function, row.cotangents)
        outputs = [f"gradient by {name}" for name in names]


def _plain(x: Array) -> Array:
    return x.plain if type(x) is TracedArray else x


def _is_dtype(x: Array, kind: str) -> bool:
    return bool(namespace(_plain(x)).isdtype(x.dtype, kind))


def _floating_items(out: Tree) -> list[tuple[str, Array]]:
    """The real floating-point arrays of a result, each with its path."""
    return [
        (path, y)
        for path, y in tree.items(out)
        if array_api_compat.is_array_api_obj(_plain(y)) and _is_dtype(y, "real floating")
    ]


def _split(f: Callable[..., Tree], args: Sequence[Tree]) -> tuple[list[str], list[Array], Function]:
    """The float64 arrays in `args`, their names, and `f` as a function of them alone."""
    if not isinstance(args, list | tuple):
        raise TypeError(
            f"check_gradients: args must be a list or tuple of arguments, got {type(args).__name__}; "
            "write (x,) for a single array"
        )
    everything = tree.leaves(list(args))
    names: dict[int, str] = {}
    for place, (path, leaf) in enumerate(tree.items(list(args))):
        argument, _, inside = path.partition(".")
        name = f"argument {argument}[{inside}]" if inside else f"argument {argument}"
        if _is_checked(name, leaf):
            names[place] = name
    if not names:
        raise ValueError("check_gradients: args hold no float64 array, nothing to check")

    def call(*leaves: Array) -> list[Array]:
        full = list(everything)
        for place, leaf in zip(names, leaves, strict=True):
            full[place] = leaf
        return [y for _, y in _floating_items(f(*tree.unflatten(list(args), full)))]

    return list(names.values()), [everything[place] for place in names], call


def _is_checked(name: str, leaf: Any) -> bool:
    """Whether a leaf is an array to differentiate by; an error if it should be one and cannot."""
    if not array_api_compat.is_array_api_obj(leaf):
        return False
    xp = namespace(leaf)
    if xp.isdtype(leaf.dtype, ("real floating", "complex floating")):
        if leaf.dtype != xp.float64:
            raise ValueError(
                f"check_gradients: {name} has dtype {leaf.dtype}; finite differences need float64, "
                "convert it with astype(x, float64)"
            )
        return True
    return False


def _gradients(function: Function, cotangents: list[Array], *leaves: Array) -> list[Array]:
    """The gradients of ``Σ cotangent · output`` as a function of the same arrays."""
    return list(vjp(function, *leaves)[1](cotangents))


class _Row(NamedTuple):
    """One scalar ``Σ cotangent · output``, its analytic gradients, their norms, and the size of its terms."""

    label: str
    cotangents: list[Array]
    gradients: list[Array]
    norms: list[float]
    scale: float


class _Column(NamedTuple):
    """The numeric derivative of one output, the output two steps ahead, and how far extrapolation moved."""

    derivative: Array
    ahead: Array
    moved: Array | float = 0.0


def _extrapolated(before: list[_Column], now: list[_Column]) -> list[_Column]:
    """Derivatives at a quarter of the step, less the error that they still have: a 256th of the one before.

    Richardson's extrapolation, which takes the order of the error from h⁴ to h⁶.
    """
    if not before:
        return now
    moves = [(b.derivative - a.derivative) / 255.0 for a, b in zip(before, now, strict=True)]
    return [_Column(b.derivative + m, b.ahead, m) for b, m in zip(now, moves, strict=True)]


@dataclass(frozen=True)
class _Check:
    """One order of differentiation of one function at one point."""

    function: Function
    names: list[str]
    leaves: list[Array]
    label: str
    step: float
    tolerance: float
    scale: float

    def run(self, outputs: list[str], directions: int, rng: Random) -> _Row:
        """Check the gradients of the function and return the row of the random cotangents."""
        values, pullback = vjp(self.function, *self.leaves)
        cotangents = [values_like(y, [rng.gauss(0.0, 1.0) for _ in range(size(y))]) for y in values]
        row = self._row("random cotangent", cotangents, values, pullback)
        for name, gradient, x in zip(self.names, row.gradients, self.leaves, strict=True):
            self._check_form(name, gradient, x)
        for i, x in enumerate(self.leaves):
            for k in range(directions if size(x) else 0):
                self._compare(i, f"random direction {k}", random_direction(x, rng), [row])
        if 0 < sum(map(size, self.leaves)) * sum(map(size, values)) <= _FULL:
            rows = self._jacobian_rows(outputs, values, pullback)
            for i, x in enumerate(self.leaves):
                for k in range(size(x)):
                    self._compare(i, f"entry {entry(x, k)}".strip(), unit(x, k), rows)
        return row

    def _row(self, label: str, cotangents: list[Array], values: list[Array], pullback: Any) -> _Row:
        scale = sqrt(sum(norm(c * y) ** 2 for c, y in zip(cotangents, values, strict=True)))
        gradients = list(pullback(cotangents))
        return _Row(label, cotangents, gradients, [norm(g) for g in gradients], scale)

    def _jacobian_rows(self, outputs: list[str], values: list[Array], pullback: Any) -> list[_Row]:
        """A row for each entry of each output."""
        zeros = [namespace(y).zeros_like(y) for y in values]
        rows = []
        for i, (name, y) in enumerate(zip(outputs, values, strict=True)):
            for k in range(size(y)):
                cotangents = [*zeros[:i], unit(y, k), *zeros[i + 1 :]]
                rows.append(self._row(name + entry(y, k), cotangents, values, pullback))
        return rows

    def _check_form(self, name: str, gradient: Array, x: Array) -> None:
        """The gradient is an array of the shape, dtype, library and device of its argument."""
        for what, found, expected in (
            ("shape", tuple(gradient.shape), tuple(x.shape)),
            ("dtype", gradient.dtype, x.dtype),
            ("namespace", namespace(gradient).__name__, namespace(x).__name__),
            ("device", array_api_compat.device(gradient), array_api_compat.device(x)),
        ):
            if found != expected:
                raise AssertionError(
                    f"gradient by {name}, {self.label}: {what} is {found}, that of the argument {expected}"
                )

    def _compare(self, i: int, where: str, direction: Array, rows: list[_Row]) -> None:
        """Compare the derivatives of all rows along a direction of argument `i`."""
        x = self.leaves[i]
        # For a random direction the norm is about the root mean square of x, for an entry its magnitude.
        h = self.step * max(1.0, norm(x * direction))
        largest = max(max(row.norms) for row in rows)
        report = ""
        before: list[_Column] = []
        for shrink in _SHRINK:
            now = self._differences(i, direction, h * shrink)
            before, columns = now, _extrapolated(before, now)
            report = ""
            for row in rows:
                report = report or self._disagreement(i, direction, columns, row, h * shrink, largest)
            if not report:
                return
        raise AssertionError(f"gradient by {self.names[i]}, {self.label}, {where}, {report}")

    def _disagreement(
        self, i: int, direction: Array, columns: list[_Column], row: _Row, h: float, largest: float
    ) -> str:
        """What differs between the analytic and the numeric derivative; empty if they agree."""
        analytic = total(row.gradients[i] * direction)
        pairs = list(zip(row.cotangents, columns, strict=True))
        numeric = sum(total(c * d.derivative) for c, d in pairs)
        near = sqrt(sum(norm(c * d.ahead) ** 2 for c, d in pairs))
        # Extrapolation leaves a small part of what it removes; that counts where the function is flat.
        left = 0.01 * abs(sum(total(c * d.moved) for c, d in pairs))
        roundoff = _ROUNDOFF * _EPS * max(near, row.scale, self.scale) / h
        allowed = self.tolerance * max(row.norms[i], _SHARE * largest) + roundoff + left
        # Written so that NaN, which compares as false, is a disagreement.
        if abs(analytic - numeric) <= allowed:
            return ""
        return (
            f"{row.label}: analytic {analytic:.12g}, numeric {numeric:.12g}, "
            f"difference {abs(analytic - numeric):.3g}, allowed {allowed:.3g}"
        )

    def _differences(self, i: int, direction: Array, h: float) -> list[_Column]:
        """The derivative of every output along a direction of argument `i`, by the five-point formula."""
        ahead, back, far_ahead, far_back = (
            self.function(*self.leaves[:i], self.leaves[i] + direction * (k * h), *self.leaves[i + 1 :])
            for k in (1.0, -1.0, 2.0, -2.0)
        )
        return [
            _Column(((a - b) * 8.0 - (fa - fb)) / (12.0 * h), fa)
            for a, b, fa, fb in zip(ahead, back, far_ahead, far_back, strict=True)
        ]
