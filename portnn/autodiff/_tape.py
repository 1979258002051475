"""The record that reverse differentiation reads: nodes, and the walk back over them.

Reverse mode (Griewank and Walther, Evaluating Derivatives, 2nd edition, section 3.2): each node holds
what its primitive's rule needs; the walk visits the nodes in the reverse of the order in which they were
made and hands each the sum of the gradients that arrived at it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Any, final

from portnn._typing import Array
from portnn.tracing import Primitive, Trace, TracedArray, is_kind, lift, namespace

__all__ = ["DifferentiationError", "GradTrace", "Node", "backward"]

_order = count()


class DifferentiationError(TypeError):
    """Something was differentiated that has no derivative, or none that portnn knows."""


@final
class Node:
    """One recorded call: the primitive, what it was given and what it returned."""

    __slots__ = ("args", "index", "options", "parents", "primitive", "value")

    def __init__(
        self,
        primitive: Any,
        parents: Sequence[Node | None],
        args: Any,
        options: dict[str, Any],
        value: Any,
    ) -> None:
        self.primitive = primitive
        self.parents = parents
        self.args = args
        self.options = options
        self.value = value
        self.index = next(_order)

    def release(self) -> None:
        """Let go of the intermediate values; the node cannot be walked again."""
        self.args = self.value = None
        self.parents = ()


@final
class GradTrace(Trace):
    """The trace of one call of `grad` or `vjp`.

    It is closed when the function has returned: an array that outlives it has no gradient to give, and
    using one would lose derivatives in silence.
    """

    __slots__ = ("closed",)

    def __init__(self) -> None:
        super().__init__()
        self.closed = False

    def leaf(self, value: Array) -> TracedArray:
        """An input with respect to which one differentiates."""
        return TracedArray(value, self, Node(None, (), (), {}, value))

    def record(
        self,
        primitive: Primitive[..., Any],
        nodes: list[Node | None],
        inner: list[Any],
        options: dict[str, Any],
        out: Any,
    ) -> Any:
        if self.closed:
            raise DifferentiationError(
                f"{primitive.name} got a traced array from a call of grad or vjp that is over; "
                "return what is needed later, with has_aux=True for instance, or keep portnn.stop_gradient(x)"
            )
        rules = primitive.rules
        if rules is None:
            if primitive.joint is None:
                raise DifferentiationError(
                    f"{primitive.name} has no derivative rule; treat its argument as a constant with "
                    "portnn.stop_gradient(x), or make your own portnn.primitive with a rule"
                )
        elif len(nodes) > len(rules):
            raise DifferentiationError(
                f"{primitive.name} has {len(rules)} rules and was called with {len(nodes)} arguments; "
                "give vjp a rule for each, None where there is no derivative"
            )
        elif None in rules:
            nodes = [node if rule is not None else None for node, rule in zip(nodes, rules, strict=False)]
            if nodes.count(None) == len(nodes):
                return lift(out)
        node = Node(primitive, nodes, inner, options, out)
        if type(out) is tuple:
            return tuple(
                [TracedArray(o, self, Node(_pick, (node,), (i, len(out)), {}, o)) for i, o in enumerate(out)]
            )
        return TracedArray(out, self, node)


def _pick_rule(g: Array, y: Array, i: int, n: int) -> tuple[Array | None, ...]:
    """The gradient by a tuple of which one member was used."""
    return tuple([g if k == i else None for k in range(n)])


_pick = Primitive(lambda y, i, n: y[i])
_pick.rules = (_pick_rule,)


def add(a: Any, b: Any) -> Any:
    """The sum of two gradients; members of tuples may be None, which is zero."""
    if type(a) is tuple:
        return tuple([y if x is None else x if y is None else add(x, y) for x, y in zip(a, b, strict=True)])
    # array-api-strict refuses `plain + traced`, so the traced operand goes first.
    return b + a if type(b) is TracedArray and type(a) is not TracedArray else a + b


def zeros_like(x: Array) -> Array:
    """Zeros of the shape, dtype, library and device of `x`, which may be traced."""
    x = x.plain if type(x) is TracedArray else x
    return namespace(x).zeros_like(x)


def backward(seeds: Iterable[tuple[Node, Array]], *, consume: bool) -> dict[Node, Array]:
    """Walk back from the outputs and collect the gradients that arrive at the leaves.

    Args:
        seeds: output nodes, each with the gradient by its value.
        consume: release each node's values once its rule has run, so that the memory of the forward
            pass shrinks as the walk goes on; the record can then be walked only once.

    Returns:
        The gradient at each leaf that was reached.

    Raises:
        DifferentiationError: if a complex value lies on the way, or a rule returns a wrong shape.
    """
    gradients: dict[Node, Any] = {}
    waiting: list[tuple[int, Node]] = []  # a heap: the latest node first, its uses being later still
    for node, g in seeds:
        _arrive(node, g, gradients, waiting)
    found: dict[Node, Array] = {}
    while waiting:
        node = heappop(waiting)[1]
        g = gradients.pop(node)
        if node.primitive is None:
            found[node] = g
            continue
        for parent, d in _parents_gradients(node, g):
            _arrive(parent, d, gradients, waiting)
        if consume:
            node.release()
    return found


def _arrive(node: Node, g: Any, gradients: dict[Node, Any], waiting: list[tuple[int, Node]]) -> None:
    """Add a gradient to those that have reached `node` already."""
    before = gradients.get(node)
    if before is None:
        gradients[node] = g
        heappush(waiting, (-node.index, node))
    else:
        gradients[node] = add(before, g)


def _parents_gradients(node: Node, g: Any) -> list[tuple[Node, Any]]:
    """What reaches each parent of `node`, by its primitive's rules."""
    primitive, y, args, options = node.primitive, node.value, node.args, node.options
    if type(y) is tuple:
        g = tuple([zeros_like(v) if part is None else part for part, v in zip(g, y, strict=True)])
    elif is_kind(y, "complex floating"):
        raise DifferentiationError(
            f"{primitive.name} gave a complex array; portnn differentiates real functions only, "
            "split it into real and imaginary part, or use portnn.stop_gradient"
        )
    rules = primitive.rules
    joint = None if rules is not None else _joint_gradients(node, g)
    reached = []
    for i, parent in enumerate(node.parents):
        if parent is None:
            continue
        d = rules[i](g, y, *args, **options) if joint is None else joint[i]
        if d is None:
            continue
        if type(d) is not tuple and getattr(d, "shape", None) != args[i].shape:
            raise _wrong_gradient(primitive, d, args[i])
        reached.append((parent, d))
    return reached


def _joint_gradients(node: Node, g: Any) -> list[Any]:
    """What a joint rule says, one gradient for each argument."""
    ds = list(node.primitive.joint(g, node.value, *node.args, **node.options))
    if len(ds) != len(node.args):
        raise DifferentiationError(
            f"the joint rule of {node.primitive.name} returned {len(ds)} gradients for {len(node.args)} "
            "arguments; it returns one for each, None where there is no derivative"
        )
    return ds


def _wrong_gradient(primitive: Any, d: Any, a: Array) -> DifferentiationError:
    found = tuple(d.shape) if hasattr(d, "shape") else type(d).__name__
    return DifferentiationError(
        f"the rule of {primitive.name} returned a gradient of shape {found} "
        f"for an argument of shape {tuple(a.shape)}; a rule gives back an array of that shape"
    )
