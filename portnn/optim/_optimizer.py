"""The optimiser: two pure functions, their composition, and the sum that applies an update."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial, wraps
from typing import Any, ParamSpec, final

from portnn import ops, tree
from portnn._made import Made
from portnn._suggest import with_known_options
from portnn._typing import Array, Tree
from portnn.ops._half import is_half, widened
from portnn.optim._checks import check_gradients, check_params
from portnn.tracing import at_home

__all__ = ["Optimizer", "apply_updates", "chain", "recipe"]


@final
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Optimizer(Made):
    """A pair of pure functions: one makes the state, one turns gradients into updates.

    The recipes (`sgd`, `adam`, ...) and the small transforms that they are chained from are all of this
    type. To write one of your own, give the two functions; `init` and `update` check what comes in and
    call them. Nothing is changed in place, so a state may be kept, compared, or gone back to. Optimizers of
    recipes compare by recipe and arguments, ``sgd(0.1) == sgd(0.1)``; your own by identity.

    Args:
        start: ``start(params) -> state``, a tree of arrays like the parameters or 0-d.
        advance: ``advance(grads, state, params) -> (updates, state)``.
        name: the call that made it, such as "sgd(0.1, momentum=0.9)", for messages and checkpoints.
        made: the same call as a `functools.partial`, for files of estimators; recipes set it.

    Example:
        >>> import numpy as np
        >>> def advance(grads, state, params):
        ...     return tree.map(lambda g: g * -0.5, grads), state
        >>> halve = Optimizer(lambda params: (), advance)
        >>> params = {"w": np.asarray([1.0, 2.0])}
        >>> updates, state = halve.update({"w": np.asarray([4.0, 0.0])}, halve.init(params), params)
        >>> apply_updates(params, updates)["w"].tolist()
        [-1.0, 2.0]
    """

    start: Callable[[Tree], Tree]
    advance: Callable[[Tree, Tree, Tree], tuple[Tree, Tree]]
    name: str = ""
    made: partial[Optimizer] | None = None

    def __repr__(self) -> str:
        if self.made is not None:
            return Made.__repr__(self)
        return f"<optimizer {self.name or getattr(self.advance, '__qualname__', self.advance)!s:.80}>"

    @at_home
    def init(self, params: Tree) -> Tree:
        """The state before the first step.

        Args:
            params: tree of real floating-point arrays of one library and device; it may have no leaves.

        Returns:
            A tree of arrays of the same library, device and dtypes, float32 for parameters in a half
            precision; steps are counted in 0-d int32.

        Raises:
            TypeError: if a leaf is not a real floating-point array, or the leaves are of several libraries.
        """
        check_params(params)
        return self.start(params)

    @at_home
    def update(self, grads: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        """One step.

        Args:
            grads: tree like `params`: the gradient of the loss by each parameter.
            state: what `init` or the last `update` returned.
            params: the parameters at which the gradient was taken.

        Returns:
            ``(updates, state)``: what `apply_updates` adds to the parameters, and the next state.

        Raises:
            ValueError: if `grads` has another structure or another shape than `params`.
            TypeError: if `grads` is of another library or dtype than `params`.
        """
        check_gradients("grads", grads, params)
        return self.advance(grads, state, params)


P = ParamSpec("P")
_LONGEST = 200  # characters of a name


def recipe(make: Callable[P, Optimizer]) -> Callable[P, Optimizer]:
    """Make a recipe name its optimizers after the call."""
    checked = with_known_options(make)

    @wraps(make)
    def made(*args: P.args, **options: P.kwargs) -> Optimizer:
        found = checked(*args, **options)
        shown = [*map(_shown, args), *(f"{name}={_shown(value)}" for name, value in options.items())]
        name = f"{make.__name__}({', '.join(shown)})"[:_LONGEST]
        return replace(found, name=name, made=partial(made, *args, **options))

    return made


def _shown(value: Any) -> str:
    """Return a short text for an argument of a recipe."""
    if isinstance(value, Optimizer):
        return value.name or "Optimizer"
    if isinstance(value, Made) and value.made is not None:  # a schedule, without its numbers
        return value.made.func.__name__
    if callable(value):
        return str(getattr(value, "__qualname__", type(value).__name__)).partition(".")[0]
    return repr(value)[:40]


def in_float32(
    start: Callable[[Tree], Tree], advance: Callable[[Tree, Tree, Tree], tuple[Tree, Tree]]
) -> Optimizer:
    """Make a transform compute, and keep its state, in float32 where parameters have a half precision.

    In float16, 1e-8 is zero, and so are the squares of gradients below 0.0002; in bfloat16, adding 0.001 of
    a difference does not change a mean. The updates are rounded to the dtype of the gradients, which within
    a chain is float32, so that a chain rounds once.
    """

    def wide_start(params: Tree) -> Tree:
        return start(tree.map(widened, params))

    def wide_advance(grads: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        if not has_half(params):
            return advance(grads, state, params)
        updates, state = advance(tree.map(widened, grads), state, tree.map(widened, params))
        return round_like(updates, grads), state

    return Optimizer(wide_start, wide_advance)


def has_half(params: Tree) -> bool:
    """Return whether a leaf has a half precision."""
    return any(map(is_half, tree.leaves(params)))


def round_like(updates: Tree, grads: Tree) -> Tree:
    """Cast updates to the dtypes of the gradients."""
    return tree.map(lambda u, g: ops.astype(u, g.dtype, copy=False), updates, grads)


@recipe
def chain(*transforms: Optimizer) -> Optimizer:
    """Several transforms one after the other, each given the updates of the one before.

    Args:
        *transforms: optimisers; the first is given the gradients.

    Returns:
        An optimiser whose state is the tuple of their states.

    Example:
        >>> import numpy as np
        >>> from portnn import optim
        >>> optimizer = optim.chain(optim.clip_by_value(1.0), optim.sgd(0.5))
        >>> params = np.asarray([0.0, 0.0])
        >>> optimizer.update(np.asarray([8.0, 1.0]), optimizer.init(params), params)[0].tolist()
        [-0.5, -0.5]
    """
    for i, t in enumerate(transforms):
        if not isinstance(t, Optimizer):
            raise TypeError(
                f"chain: argument {i} must be an Optimizer such as sgd(0.1), got {type(t).__name__}"
            )
    if len(transforms) == 1:
        return transforms[0]

    def start(params: Tree) -> Tree:
        return tuple([t.start(params) for t in transforms])

    def advance(grads: Tree, state: Tree, params: Tree) -> tuple[Tree, Tree]:
        states, half = [], has_half(grads)
        updates = tree.map(widened, grads) if half else grads
        for t, s in zip(transforms, state, strict=True):
            updates, following = t.advance(updates, s, params)
            states.append(following)
        return round_like(updates, grads) if half else updates, tuple(states)

    return Optimizer(start, advance)


@at_home
def apply_updates(params: Tree, updates: Tree) -> Tree:
    """The parameters after a step: ``params + updates``, leaf by leaf.

    Args:
        params: tree of arrays.
        updates: tree of the same structure, shapes and dtypes, from `Optimizer.update`.

    Returns:
        New parameters; the old ones are not changed.

    Raises:
        ValueError: if the structures or shapes differ.
        TypeError: if the libraries or dtypes differ.

    Example:
        >>> import numpy as np
        >>> apply_updates([np.asarray([1.0, 2.0])], [np.asarray([0.5, -0.5])])[0].tolist()
        [1.5, 1.5]
    """

    def add(p: Array, u: Array) -> Array:
        if type(p) is type(u) and p.shape == u.shape and p.dtype == u.dtype:
            return p + u
        check_gradients("updates", updates, params)  # says which does not fit, and why
        return ops.add(p, u)

    return tree.map(add, params, updates)
