"""Primitives: functions of arrays whose calls are written down when an argument is traced."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar, final

from portnn.tracing._array import CONSTANT, Trace, TracedArray, lift, strip
from portnn.tracing._carry_out import carry_out
from portnn.tracing._namespace import namespace, number_for, numpy_scalars
from portnn.tracing._placement import is_anywhere, on_device_of
from portnn.tracing._recorded import is_array
from portnn.tracing._tape import open_tapes

__all__ = ["Primitive", "constant", "primitive"]

P = ParamSpec("P")
R = TypeVar("R")


def _beside_arrays(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Convert NumPy scalars to what the library of the other arguments accepts; see `number_for`."""
    others = [a.plain if type(a) is TracedArray else a for a in args if not numpy_scalars[type(a)]]
    arrays = [a for a in others if is_array(a)]
    if not arrays:
        return args
    xp = namespace(*arrays)
    return tuple([number_for(xp, a) if numpy_scalars[type(a)] else a for a in args])


@final
class Primitive(Generic[P, R]):
    """A function of arrays with a rule for its derivative beside it.

    On plain arrays it is just the function. On traced ones the function is carried out on their values
    and the call is recorded. Arrays are positional arguments and options are keywords; the function must
    not change its arguments.

    Made by the decorator `primitive`; rules are given by `vjp` or `vjp_joint`. Without a rule, the
    function works on values and differentiating it is an error.
    """

    def __init__(self, function: Callable[P, R], *, constant: bool = False) -> None:
        if not isinstance(constant, bool):
            raise TypeError(f"Primitive: constant must be True or False, got {type(constant).__name__}")
        update_wrapper(self, function)  # first: it brings all attributes that the function has
        self.function = function
        self.name = function.__name__
        self.constant = constant
        self.rules: tuple[Callable[..., Any] | None, ...] | None = None
        self.joint: Callable[..., Any] | None = None
        self.saving: Callable[..., Any] | None = None

    def vjp(self, *rules: Callable[..., Any] | None) -> None:
        """Give the derivative, a rule per positional argument.

        Each rule is called as ``rule(g, y, *args, **options)``, where ``y`` is what the function returned
        and ``g`` the gradient of the loss by ``y``; it returns the gradient by its argument, of that
        argument's shape and dtype. None stands for an argument that has no derivative. Rules written in
        `portnn.ops` are themselves differentiable.

        Example:
            >>> import numpy as np
            >>> from portnn import ops
            >>> @primitive
            ... def cube(x):
            ...     return ops.multiply(x, ops.multiply(x, x))
            >>> cube.vjp(lambda g, y, x: ops.multiply(g, 3.0 * ops.square(x)))
            >>> float(cube(np.asarray(2.0)))
            8.0
        """
        self.rules = rules

    def vjp_joint(self, rule: Callable[..., Any]) -> None:
        """Give the derivative by one rule that returns the gradients by all arguments.

        For functions with any number of arguments or much shared work: ``rule(g, y, *args, **options)``
        returns a sequence as long as ``args``, None where there is no derivative.
        """
        self.joint = rule

    def saves(self, function: Callable[P, Any]) -> Callable[P, Any]:
        """Give a variant that returns ``(y, saved)``: the result, and what the rule can use of the work.

        It is called in place of the function when the call is recorded and nothing below is traced. The
        rules then get ``saved=...`` as an option; without it they work everything out in primitives, which
        is what higher derivatives need.
        """
        self.saving = function
        return function

    def __call__(self, *args: P.args, **options: P.kwargs) -> R:
        for a in args:
            if type(a) not in is_anywhere:
                return self._placed(args, options)
        if open_tapes:
            return self._carry_out(self.function, args, options)
        return self.function(*args, **options)

    def _placed(self, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Call it with traced arrays, NumPy scalars, or arrays that need their device as the current one."""
        if any(numpy_scalars[type(a)] for a in args):
            args = _beside_arrays(args)
        anywhere = True
        for a in args:
            if type(a) is TracedArray:
                return self._traced(args, options)
            anywhere = anywhere and (type(a) in is_anywhere or numpy_scalars[type(a)])
        if anywhere:
            return self._carry_out(self.function, args, options)
        with on_device_of(args):
            return self._carry_out(self.function, args, options)

    def _carry_out(self, function: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Call the function, or the variant that saves, on plain arrays; an open tape takes note of it."""
        return carry_out(self.name, function, args, options) if open_tapes else function(*args, **options)

    def _traced(self, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        top: Trace = CONSTANT
        for a in args:
            if type(a) is TracedArray and a.trace.level > top.level:
                top = a.trace
        # One level down: the values, which may still be traced at a lower level, and where they come from.
        inner: list[Any] = []
        nodes: list[Any] = []
        deeper = False
        for a in args:
            value, node = a, None
            if type(a) is TracedArray:
                if a.trace is top:
                    value, node = a.value, a.node
                elif a.trace is CONSTANT:
                    value = a.value
                deeper = deeper or type(value) is TracedArray
            inner.append(value)
            nodes.append(node)
        if deeper:
            out: Any = self._traced(tuple(inner), options)
        elif self.saving is None or top is CONSTANT:
            out = self._carry_out(self.function, tuple(inner), options)
        else:
            out, saved = self._carry_out(self.saving, tuple(inner), options)
            options = {**options, "saved": saved}
        if top is CONSTANT:
            return lift(out)
        self._refuse_hidden(out, top)
        return lift(out) if self.constant else top.record(self, nodes, inner, options, strip(out))

    def _refuse_hidden(self, out: Any, top: Trace) -> None:
        """Raise if a result has a derivative by anything that is not an argument."""
        for part in out if type(out) is tuple else (out,):
            if type(part) is TracedArray and part.trace.level >= top.level:
                raise TypeError(
                    f"{self.name}: an option, or an array that the function closes over, carries a "
                    "derivative, which would be lost; pass such arrays as positional arguments"
                )

    def __reduce__(self) -> str:
        name: str = vars(self)["__qualname__"]
        return name  # pickled by it, as functions are

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


def primitive(function: Callable[P, R]) -> Primitive[P, R]:
    """Make a function of arrays a primitive: one unit in every record, with a rule of its own.

    Args:
        function: takes arrays as positional arguments and options as keywords, returns an array or a
            tuple of arrays, and is given plain arrays or arrays of lower levels.

    Returns:
        A `Primitive`, called like the function. Give its derivative with `Primitive.vjp`: a rule for each
        argument, called with `g`, the gradient by the result, `y`, the result, and the arguments. Prove it
        with `portnn.testing.check_gradients`.

    Example:
        >>> import numpy as np
        >>> from portnn import autodiff, ops
        >>> @primitive
        ... def halve(x):
        ...     return ops.multiply(x, 0.5)
        >>> halve.vjp(lambda g, y, x: halve(g))
        >>> float(autodiff.grad(halve)(np.asarray(3.0)))
        0.5
    """
    return Primitive(function)


def constant(function: Callable[P, R]) -> Primitive[P, R]:
    """Make a function whose derivative is zero wherever it exists, such as a comparison or `floor`.

    What it returns is a constant for every trace.
    """
    return Primitive(function, constant=True)
