"""Recomputing instead of keeping: gradients in less memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from portnn import tree
from portnn._typing import Tree
from portnn.autodiff._tape import DifferentiationError
from portnn.autodiff._transforms import vjp
from portnn.tracing import CONSTANT, Primitive, TracedArray, is_kind, lift, strip

__all__ = ["checkpoint"]


def checkpoint(f: Callable[..., Tree]) -> Callable[..., Tree]:
    """The same function, whose intermediate values are computed again in the backward pass, not kept.

    Memory then grows with the arguments and results of `f` alone, at the price of one more forward pass
    (Griewank and Walther, Evaluating Derivatives, 2nd edition, chapter 12).

    Args:
        f: a function of trees of arrays (and of anything else that is not differentiated) that returns
            a tree of arrays. Every traced array that it uses must be an argument.

    Returns:
        A function of the same positional arguments with the same values and derivatives.

    Raises:
        DifferentiationError: on the call, if `f` uses a traced array from outside its arguments.

    Example:
        >>> import numpy as np
        >>> from portnn import autodiff, ops
        >>> block = checkpoint(lambda x: ops.sin(ops.exp(x)))
        >>> round(float(autodiff.grad(block)(np.asarray(0.0))), 4)
        0.5403
    """

    @wraps(f)
    def wrapper(*args: Any) -> Tree:
        leaves, shape = tree.flatten(args)
        outline: list[Tree] = []
        traced = any(type(leaf) is TracedArray for leaf in leaves)

        def run(*values: Any) -> Any:
            # Values kept for the backward pass must not change; `x += y` would change a plain array in place.
            out = f(*tree.unflatten(shape, [lift(v) for v in values] if traced else list(values)))
            outline[:] = [tree.structure(out)]
            results = tuple(strip(y) for y in tree.leaves(out))
            if odd := [type(y).__name__ for y in results if not hasattr(y, "shape")]:
                raise TypeError(f"checkpoint: the function must return a tree of arrays, got {odd[0]}")
            if any(type(y) is TracedArray and y.trace is not CONSTANT for y in results):
                raise DifferentiationError(
                    "checkpoint: the function uses a traced array that is not among its arguments; "
                    "pass every array it differentiates through as an argument"
                )
            return results

        unit: Primitive[..., Any] = Primitive(run)
        unit.name = f"checkpoint({getattr(f, '__name__', 'function')})"
        unit.vjp_joint(_rule(f, shape))
        results = unit(*leaves)
        return tree.unflatten(outline[0], list(results))

    return wrapper


def _rule(f: Callable[..., Tree], shape: Tree) -> Callable[..., list[Any]]:
    """Run `f` again on the kept arguments, this time recorded, and walk back."""

    def rule(g: tuple[Any, ...], y: Any, *values: Any) -> list[Any]:
        arrays = [i for i, v in enumerate(values) if hasattr(v, "dtype") and not isinstance(v, type)]
        chosen = [i for i in arrays if is_kind(values[i], "real floating")]

        def again(*inputs: Any) -> tuple[Any, ...]:
            full = [lift(v) for v in values]
            for i, v in zip(chosen, inputs, strict=True):
                full[i] = v
            return tuple(tree.leaves(f(*tree.unflatten(shape, full))))

        _, pullback = vjp(again, *[values[i] for i in chosen])
        gradients: list[Any] = [None] * len(values)
        for i, d in zip(chosen, pullback(g), strict=True):
            gradients[i] = d
        return gradients

    return rule
