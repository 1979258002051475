"""What a layer is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cache
from inspect import Parameter, signature
from typing import Any, TypeAlias, final

from portnn import ops, tree
from portnn._typing import Array, Tree
from portnn.nn._foreign import refuse_foreign
from portnn.nn._naming import name_layer
from portnn.nn._text import short_repr
from portnn.random import fold_in_each
from portnn.tracing import at_home, is_kind

__all__ = ["DEEPEST", "Key", "Layer", "check_depth", "check_layer", "keys_of", "need_key", "pair", "share"]

Key: TypeAlias = Array
"""A key of `portnn.random`. Containers fold in the place of each member that draws: ``fold_in(key, i)``."""

DEEPEST = 100  # nested layers: Python's limit of 1000 calls allows copies, texts and files of this depth
_OWN = 4  # self, params, state and x
_ANY = 1_000_000  # more inputs than anyone hands on: a layer with *more of its own


class Layer(ABC):
    """A description of a part of a network: hyperparameters, and no array.

    Layers are frozen dataclasses, so they can be compared, printed and saved as plain data. A layer's
    arrays live outside it: `init` makes its parameters, `init_state` what it carries from one batch to the
    next besides (running statistics), and `apply` takes both.

    A new layer is a frozen dataclass that defines `forward`, and `init` if it has parameters. It computes
    with functions of `portnn.ops` and operators, not with NumPy's functions, so that gradients pass.

    Example:
        >>> from dataclasses import dataclass
        >>> import numpy as np
        >>> @dataclass(frozen=True)
        ... class Scale(Layer):
        ...     features: int
        ...
        ...     def init(self, rng, dtype="float32"):
        ...         return {"scale": np.ones(self.features, dtype=dtype)}
        ...
        ...     def forward(self, params, state, x, *, training, key):
        ...         return x * params["scale"], state
        >>> layer = Scale(3)
        >>> layer.apply(layer.init(np.random.default_rng(0)), np.ones((5, 3), dtype=np.float32)).shape
        (5, 3)
    """

    __slots__ = ()

    def __init_subclass__(cls, **options: Any) -> None:
        """Give a class that has no text of its own the short one, before `dataclass` gives it a long one."""
        super().__init_subclass__(**options)
        if "__repr__" not in cls.__dict__:
            cls.__repr__ = Layer.__repr__  # type: ignore[method-assign]  # a class of its own

    def __repr__(self) -> str:
        return short_repr(self)

    @property
    def members(self) -> tuple[Layer, ...]:
        """The layers that this one is made of; none unless it is a container."""
        return ()

    @property
    def draws(self) -> bool:
        """Whether it draws random numbers in training, and so needs a key.

        A layer that does says ``draws = True`` in its class; a container answers for its members.
        """
        return any(member.draws for member in self.members)

    @property
    def further_inputs(self) -> int | None:
        """How many inputs it takes besides `x`; None if its `forward` says that, or its members do."""
        return None

    def init(self, rng: Any, dtype: str = "float32") -> Tree:
        """Draw the parameters.

        Args:
            rng: a `numpy.random.Generator`, for instance ``portnn.random.stream(seed)``.
            dtype: "float32" or "float64".

        Returns:
            A tree of NumPy arrays, empty if the layer has no parameters.
        """
        return {}

    def init_state(self, dtype: str = "float32") -> Tree:
        """The running state before the first batch: a tree of NumPy arrays, empty if there is none."""
        return {}

    @abstractmethod
    def forward(self, params: Tree, state: Tree, x: Array, *more: Any, **options: Any) -> tuple[Array, Tree]:
        """What the layer does: `apply` with everything explicit. Layers define this.

        A layer names what it takes: ``forward(self, params, state, x, *, training, key)`` if that is one
        input, ``forward(self, params, state, x, memory, *, training, key, mask=None)`` if it takes a second
        one and an option.

        Args:
            params: the parameters, as `init` made them.
            state: the running state, as `init_state` or the last call made it.
            x: the input (n, ...), batch first; traced while gradients are computed.
            *more: further inputs, for layers that take some.
            **options: ``training``, whether this is a step of training, for layers that behave differently
                then; ``key``, a key of `portnn.random` for layers that draw random numbers in
                training; and the layer's own options.

        Returns:
            The output and the new running state.
        """

    @final
    @at_home
    def apply(
        self,
        params: Tree,
        x: Array,
        *more: Any,
        state: Tree | None = None,
        training: bool = False,
        key: Key | None = None,
        **options: Any,
    ) -> Any:
        """The layer's output, as a pure function of its parameters and input.

        Args:
            params: the parameters, as `init` made them, on the library and device of `x`.
            x: the input, batch first.
            *more: further inputs, for layers that take some.
            state: the running state; if it is given, the new one is returned as well.
            training: whether this is a step of training.
            key: a key of `portnn.random`, for layers that draw random numbers in training.
            **options: the layer's own options, such as a mask.

        Returns:
            The output; with `state`, a pair of the output and the new state.

        Raises:
            TypeError: if the layer does not take a further input or option, or if its `forward` does not
                return a pair.
            ValueError: if shapes do not fit; it names the layer inside by its place, ``2 Linear(9, 3)``.

        Example:
            >>> import numpy as np
            >>> from portnn.nn import Linear
            >>> from portnn.random import stream
            >>> layer = Linear(3, 2)
            >>> layer.apply(layer.init(stream(0)), np.ones((5, 3), dtype=np.float32)).shape
            (5, 2)
        """
        if more or options:
            _check_further(self, more, options)
        before = _first_state(self, x) if state is None else state
        try:
            result = self.forward(params, before, x, *more, training=training, key=key, **options)
        except (TypeError, ValueError) as error:
            name_layer(self, error)
            raise
        y, after = pair(self, result)
        return y if state is None else (y, after)


def _first_state(layer: Layer, x: Array) -> Tree:
    """The state before the first batch, on the library and device of `x` and in its precision."""

    def place(a: Array) -> Array:
        same = is_kind(a, "real floating") and is_kind(x, "real floating")
        return ops.asarray(a, like=x, dtype=x.dtype if same else None)

    return tree.map(place, layer.init_state())


def check_layer(function: str, layer: Any) -> None:
    """What is asked of a layer is asked of one.

    Raises:
        TypeError: if it is something else.
    """
    if not isinstance(layer, Layer):
        refuse_foreign(layer)
        kind = f"the class {layer.__name__}" if isinstance(layer, type) else type(layer).__name__
        hint = "; make one of them with Sequential" if isinstance(layer, list | tuple) else ""
        if isinstance(getattr(layer, "layer", None), Layer):
            hint = "; pass its layer, net.layer"
        raise TypeError(f"{function}: expected a layer, got {kind:.60}{hint}")


def check_depth(part: Any) -> None:
    """Check that layers, or lists of them, are not nested too deep for Python to copy, print or save.

    Raises:
        ValueError: if they are nested deeper than `DEEPEST`.
    """
    level, depth = [part], 0
    while level:
        depth += 1
        if depth > DEEPEST:
            raise ValueError(
                f"layers are nested deeper than {DEEPEST}; put layers that follow each other into one list"
            )
        inner: dict[int, Any] = {}  # a layer that occurs several times is checked once
        for one in level:
            members = one if isinstance(one, list | tuple) else getattr(one, "members", ())
            inner.update((id(member), member) for member in members)
        level = [*inner.values()]


def keys_of(key: Key | None, members: Sequence[Layer]) -> list[Key | None]:
    """What a container hands to its members: ``fold_in(key, i)`` to member i if it draws, else None."""
    keys: list[Key | None] = [None] * len(members)
    drawing = [i for i, member in enumerate(members) if member.draws] if key is not None else []
    if drawing:
        for i, own in zip(drawing, fold_in_each(key, drawing), strict=True):
            keys[i] = own
    return keys


def need_key(layer: str, key: Key | None) -> Key:
    """The key, which a layer that draws random numbers must have been given.

    Raises:
        TypeError: if there is none.
    """
    if key is None:
        raise TypeError(
            f"{layer} draws random numbers in training and got no key; pass key=portnn.random.key(0). A "
            "layer of your own that holds others names them in members, and hands each that draws a key"
        )
    return key


def pair(layer: Layer, result: Any) -> tuple[Array, Tree]:
    """What a layer's `forward` returned, if it is a pair.

    Raises:
        TypeError: if it is not. An array of two rows would be taken apart without it.
    """
    if type(result) is tuple and len(result) == 2:
        return result
    raise TypeError(
        f"{type(layer).__name__}.forward must return (output, state), got {type(result).__name__}; "
        "a layer without state hands on the one it got"
    )


@cache
def _declared(kind: type[Layer]) -> tuple[int, frozenset[str], bool]:
    """How many further inputs a class names, which options, and whether it takes any others besides."""
    found = signature(kind.forward).parameters.values()
    positional = [p for p in found if p.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)]
    names = {p.name for p in found if p.kind is Parameter.KEYWORD_ONLY} - {"training", "key"}
    names |= {p.name for p in positional[_OWN:]}
    inputs = _ANY if Parameter.VAR_POSITIONAL in [p.kind for p in found] else len(positional) - _OWN
    return inputs, frozenset(names), Parameter.VAR_KEYWORD in [p.kind for p in found]


def _takes(layer: Layer) -> tuple[int, frozenset[str], bool]:
    """The same for a layer: a container takes what any of its members takes, and what it names itself."""
    inputs, names, open_ended = _declared(type(layer))
    members = [_takes(member) for member in layer.members]
    if layer.further_inputs is not None:
        inputs = layer.further_inputs
    if not members or (inputs < _ANY and not open_ended):
        return inputs, names, open_ended
    if inputs == _ANY:
        inputs = max(n for n, _, _ in members)
    if open_ended:
        names = names.union(*[own for _, own, _ in members])
        open_ended = any(more for _, _, more in members)
    return inputs, names, open_ended


def share(layer: Layer, more: tuple[Any, ...], options: Mapping[str, Any]) -> tuple[tuple[Any, ...], Any]:
    """What a container hands to a member: the further inputs if it takes any, the options that it takes."""
    if not more and not options:
        return more, options
    inputs, names, open_ended = _takes(layer)
    return (more if inputs else ()), {n: v for n, v in options.items() if open_ended or n in names}


def _check_further(layer: Layer, more: tuple[Any, ...], options: Mapping[str, Any]) -> None:
    """The layer takes the further inputs and options.

    Raises:
        TypeError: if it does not.
    """
    inputs, names, open_ended = _takes(layer)
    kind = type(layer).__name__
    if len(more) > inputs:
        raise TypeError(
            f"{kind}: takes {'no' if inputs == 0 else f'at most {inputs}'} further input"
            f"{'s' if inputs > 1 else ''} besides x, got {len(more)}"
        )
    odd = sorted(options.keys() - names)
    if odd and not open_ended:
        known = f"its options are {', '.join(sorted(names))}" if names else "it has none"
        raise TypeError(f"{kind}: unexpected option {odd[0]!r}; {known:.200}")
