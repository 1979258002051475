"""Functions that make derivatives of functions: vjp, grad, value_and_grad, stop_gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, wraps
from typing import Any

from portnn import tree
from portnn._typing import Array, Tree
from portnn.autodiff._tape import DifferentiationError, GradTrace, Node, backward, zeros_like
from portnn.tracing import TracedArray, at_home, constant, is_kind, lift, namespace, refuse_objects, strip

__all__ = ["grad", "stop_gradient", "value_and_grad", "vjp"]


@constant
def stop_gradient(x: Array, /) -> Array:
    """The same values, as a constant: no gradient flows through.

    It acts on portnn's own derivatives. Under another library's tracer, use that library's function.

    Args:
        x: an array of any shape and dtype.

    Returns:
        `x` itself, without its record.

    Example:
        >>> import numpy as np
        >>> float(grad(lambda x: x * stop_gradient(x))(np.asarray(3.0)))
        3.0
    """
    namespace(x)
    return x


def _refuse_input(name: str, argument: Tree) -> None:
    """Say which leaf of an argument cannot be differentiated by, and why."""
    for path, leaf in tree.items(argument):
        where = f"{name}[{path}]" if path else name
        if type(leaf) is not TracedArray:
            try:
                namespace(leaf)
            except TypeError as error:
                raise TypeError(f"{where}: {error}") from None
        if not is_kind(leaf, "real floating"):
            raise TypeError(
                f"{where}: expected a real floating-point array to differentiate by, got dtype {leaf.dtype}; "
                "convert it with astype"
            )


def _unbox(trace: GradTrace, value: Any, wrap: bool) -> Any:
    """A result as the caller of the transform sees it, one level below `trace`."""
    if type(value) is TracedArray and value.trace.level > trace.level:
        raise DifferentiationError(
            "the function returned a traced array of an inner call of grad or vjp that is over; "
            "return it from there, with has_aux=True for instance"
        )
    value = value.value if type(value) is TracedArray and value.trace is trace else strip(value)
    return lift(value) if wrap else value


def _box(trace: GradTrace, position: int, argument: Tree) -> tuple[list[TracedArray], Tree, bool]:
    """The leaves of an argument, boxed; the argument with them; and whether a leaf was traced before."""
    boxes: list[TracedArray] = []
    traced = False

    def box(leaf: Any) -> TracedArray:
        nonlocal traced
        try:
            known = is_kind(leaf, "real floating")
        except (AttributeError, TypeError):  # no array
            known = False
        if not known:
            _refuse_input(f"argument {position}", argument)
        if type(leaf) is TracedArray:
            leaf, traced = strip(leaf), True
        boxes.append(trace.leaf(leaf))
        return boxes[-1]

    return boxes, tree.map(box, argument), traced


def _begin(
    positions: Sequence[int], args: Sequence[Tree]
) -> tuple[GradTrace, list[list[TracedArray]], list[Tree], bool]:
    """Open a trace and box the leaves of `args`: the trace, boxes by argument, boxed arguments, and
    whether the caller speaks in traced arrays and is to be answered so.
    """
    trace = GradTrace()
    boxed = [_box(trace, position, arg) for position, arg in zip(positions, args, strict=True)]
    return trace, [b[0] for b in boxed], [b[1] for b in boxed], any(b[2] for b in boxed)


def _collect(
    found: dict[Node, Array], boxes: list[list[TracedArray]], args: list[Tree], wrap: bool
) -> list[Tree]:
    """The gradients by each argument; zeros by what the output does not depend on."""
    results = []
    for arg, leaves in zip(args, boxes, strict=True):
        grads = []
        for box in leaves:
            g = found.get(box.node)
            g = zeros_like(box.value) if g is None else strip(g)
            grads.append(lift(g) if wrap else g)
        results.append(tree.unflatten(arg, grads))
    return results


@at_home
def vjp(f: Callable[..., Tree], *args: Tree) -> tuple[Tree, Callable[[Tree], tuple[Tree, ...]]]:
    """The value of `f` and its pullback: the product of a vector with the Jacobian.

    Args:
        f: a function of trees of arrays that returns a tree of arrays.
        *args: its arguments; every leaf a real floating-point array.

    Returns:
        ``(f(*args), pullback)``. ``pullback(g)`` takes a tree like the output, the gradient of some scalar
        by it, and returns a tuple with the gradient by each argument. It may be called many times.

    Raises:
        TypeError: if a leaf of `args` is not a real floating-point array, or one of `g` is no array.
        ValueError: if `g` has not the structure and shapes of the output.

    Example:
        >>> import numpy as np
        >>> y, pullback = vjp(lambda a, b: a * b, np.asarray([1.0, 2.0]), np.asarray([3.0, 4.0]))
        >>> [g.tolist() for g in pullback(np.asarray([1.0, 10.0]))]
        [[3.0, 40.0], [1.0, 20.0]]
    """
    trees = list(args)
    trace, boxes, boxed, wrap = _begin(range(len(args)), trees)
    out = f(*boxed)
    trace.closed = True
    for y in tree.leaves(out):
        if not hasattr(y, "shape"):
            raise TypeError(f"vjp: the function must return a tree of arrays, got {type(y).__name__}")
    value = tree.map(lambda y: _unbox(trace, y, wrap), out)

    @at_home
    def pullback(g: Tree) -> tuple[Tree, ...]:
        seeds: list[tuple[Node, Array]] = []

        def seed(y: Any, g: Any) -> None:
            if not hasattr(g, "shape"):
                raise TypeError(
                    f"pullback: expected an array of shape {tuple(y.shape)}, got {type(g).__name__}; "
                    "make one with xp.asarray"
                )
            if tuple(g.shape) != tuple(y.shape):
                raise ValueError(
                    f"pullback: expected a gradient of shape {tuple(y.shape)}, got {tuple(g.shape)}; "
                    "it has the shape of the output"
                )
            refuse_objects(g)
            if type(y) is TracedArray and y.trace is trace:
                seeds.append((y.node, strip(g)))

        tree.map(seed, out, g)
        return tuple(_collect(backward(seeds, consume=False), boxes, trees, wrap))

    return value, pullback


def _scalar(loss: Any) -> None:
    if not hasattr(loss, "shape") or not hasattr(loss, "dtype"):
        raise TypeError(
            f"grad: the function must return an array, got {type(loss).__name__}; "
            "return (loss, extras) only with has_aux=True, and compute with portnn.ops"
        )
    if tuple(loss.shape) != ():
        raise ValueError(
            f"grad: the function must return a scalar (shape ()), got shape {tuple(loss.shape)}; "
            "reduce it with mean or sum, or use vjp"
        )
    if not is_kind(loss, "real floating"):
        raise DifferentiationError(
            f"grad: the function must return a real floating-point array, got {loss.dtype}"
        )


def _split(out: Any) -> tuple[Any, Any]:
    """The loss and the extras of a function with ``has_aux=True``."""
    if type(out) is not tuple or len(out) != 2:
        kind = f"a tuple of {len(out)}" if type(out) is tuple else type(out).__name__
        raise TypeError(f"grad: with has_aux=True the function must return (loss, extras), got {kind}")
    loss, aux = out
    return loss, aux


@cache
def _check_positions(positions: tuple[int, ...], n: int) -> None:
    """The arguments to differentiate by exist, and each is named once."""
    if not positions or not all(-n <= i < n for i in positions):
        named = positions[0] if len(positions) == 1 else positions
        raise ValueError(f"grad: argnums={named} is out of range for {n} positional arguments")
    if len({i % n for i in positions}) < len(positions):
        raise ValueError(f"grad: argnums={positions} names an argument twice; name each once")


def value_and_grad(
    f: Callable[..., Any], argnums: int | tuple[int, ...] = 0, *, has_aux: bool = False
) -> Callable[..., tuple[Any, Tree]]:
    """A function that computes `f` and its gradient in one forward and one backward pass.

    Inside `f` the arguments are arrays that carry derivatives: compute with operators and functions of
    `portnn.ops`. ``if x > 0:`` may read their values. A conversion that would drop the derivative, such as
    ``float(x)``, a function of the module `math` or ``numpy.asarray(x)``, raises a TypeError; for the value
    alone write ``float(stop_gradient(x))``.

    Args:
        f: a function of trees of arrays that returns a scalar array, or ``(scalar, extras)`` with
            ``has_aux=True``.
        argnums: the position of the argument, or a tuple of positions, to differentiate by. Each leaf of
            those arguments is a real floating-point array; other arguments may be anything.
        has_aux: whether `f` returns extras (a tree) beside the loss, which are handed on.

    Returns:
        A function of the same arguments. It returns ``(value, gradient)``, or ``((value, extras),
        gradient)`` with ``has_aux``; the gradient is a tree like the argument, a tuple of trees if
        `argnums` is a tuple. Memory of intermediate values is freed as the backward pass consumes it.

    Raises:
        TypeError: on the call, if a leaf to differentiate by is not a real floating-point array.
        ValueError: on the call, if `f` does not return a scalar or `argnums` is out of range.

    Example:
        >>> import numpy as np
        >>> from portnn import ops
        >>> f = value_and_grad(lambda p, x: ops.sum(ops.square(p["w"] * x)))
        >>> value, gradient = f({"w": np.asarray([1.0, 2.0])}, np.asarray([3.0, 1.0]))
        >>> float(value), gradient["w"].tolist()
        (13.0, [18.0, 4.0])
    """
    positions: Any = (argnums,) if isinstance(argnums, int) else argnums
    if not isinstance(positions, tuple | list) or not all(isinstance(i, int) for i in positions):
        raise TypeError(f"grad: argnums must be an integer or a tuple of integers, got {argnums!r:.60}")
    if not isinstance(has_aux, bool):
        raise TypeError(f"grad: has_aux must be True or False, got {type(has_aux).__name__}")
    positions = tuple(positions)

    @wraps(f)
    @at_home
    def wrapper(*args: Any, **options: Any) -> tuple[Any, Tree]:
        _check_positions(positions, len(args))
        chosen = [args[i] for i in positions]
        trace, boxes, boxed, wrap = _begin(positions, chosen)
        full = list(args)
        for i, box in zip(positions, boxed, strict=True):
            full[i] = box
        out = f(*full, **options)
        trace.closed = True
        loss, aux = _split(out) if has_aux else (out, None)
        _scalar(loss)
        value = _unbox(trace, loss, wrap)
        if has_aux:
            value = (value, tree.map(lambda v: _unbox(trace, v, wrap), aux))
        found: dict[Node, Array] = {}
        if type(loss) is TracedArray and loss.trace is trace:
            plain = loss.plain
            node = loss.node
            del out, loss, aux, boxed, full
            found = backward([(node, namespace(plain).ones_like(plain))], consume=True)
        grads = _collect(found, boxes, chosen, wrap)
        return value, grads[0] if isinstance(argnums, int) else tuple(grads)

    return wrapper


def grad(
    f: Callable[..., Any], argnums: int | tuple[int, ...] = 0, *, has_aux: bool = False
) -> Callable[..., Any]:
    """A function that computes the gradient of `f`; `value_and_grad` without the value.

    Args:
        f: as for `value_and_grad`.
        argnums: as for `value_and_grad`.
        has_aux: as for `value_and_grad`; the result is then ``(gradient, extras)``.

    Returns:
        A function of the same arguments that returns the gradient. Nested, it gives higher derivatives.

    Example:
        >>> import numpy as np
        >>> cube = lambda x: x * x * x
        >>> [float(d(np.asarray(2.0))) for d in (grad(cube), grad(grad(cube)), grad(grad(grad(cube))))]
        [12.0, 12.0, 6.0]
    """
    both = value_and_grad(f, argnums, has_aux=has_aux)

    @wraps(f)
    def wrapper(*args: Any, **options: Any) -> Any:
        value, gradient = both(*args, **options)
        return (gradient, value[1]) if has_aux else gradient

    return wrapper
