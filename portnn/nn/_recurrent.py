"""What recurrent layers share: sizes, parameters, and the way through time."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from math import nan
from typing import Any, ClassVar, Literal

from portnn import ops, tree
from portnn._typing import Array, Tree
from portnn.nn import init as initializers
from portnn.nn._checks import check_features, check_flags, check_params, check_share, check_size
from portnn.nn._dropout import Dropout
from portnn.nn._initializers import Initializer
from portnn.nn._layer import Key, Layer, keys_of
from portnn.tracing import in_range, is_kind

__all__ = ["Recurrent"]


@dataclass(frozen=True)
class Recurrent(Layer):
    """What all recurrent layers share: their sizes, parameters, and the way through time.

    The input product of all steps is one product; then the steps follow one another, each of them one
    primitive of `portnn.ops`.
    """

    in_features: int
    hidden_features: int
    _: KW_ONLY
    num_layers: int = 1
    bidirectional: bool = False
    dropout: float = 0.0
    returns: Literal["sequence", "last", "both"] = "sequence"
    bias: bool = True
    input_init: Initializer = field(default_factory=initializers.glorot_uniform)
    hidden_init: Initializer = field(default_factory=initializers.orthogonal)
    bias_init: Initializer = field(default_factory=initializers.zeros)

    parts: ClassVar[int]  # gates, and what else the products hold side by side

    def __post_init__(self) -> None:
        check_flags(self)
        name = type(self).__name__
        for size in ("in_features", "hidden_features", "num_layers"):
            object.__setattr__(self, size, check_size(name, size, getattr(self, size)))
        object.__setattr__(self, "dropout", check_share(name, "dropout", self.dropout))
        if self.returns not in ("sequence", "last", "both"):
            raise ValueError(
                f"{name}: returns must be 'sequence', 'last' or 'both', got {self.returns!r:.60}"
            )

    @property
    def draws(self) -> bool:
        """Whether it draws random numbers in training: for dropout between its layers."""
        return self.dropout > 0.0 and self.num_layers > 1

    @property
    def directions(self) -> int:
        """2 if the sequences are read backwards as well, else 1."""
        return 2 if self.bidirectional else 1

    def init(self, rng: Any, dtype: str = "float32") -> Tree:
        """Draw a dictionary for each layer and direction: layer 0 forwards, layer 0 backwards, layer 1 ..."""
        widths = [self.in_features] + [self.hidden_features * self.directions] * (self.num_layers - 1)
        return tuple(self._init_one(rng, dtype, n) for n in widths for _ in range(self.directions))

    def _init_one(self, rng: Any, dtype: str, width: int) -> Tree:
        """Each part is drawn by itself, as the matrix that it is."""
        n = self.hidden_features
        params = {
            "input": _side_by_side([self.input_init(rng, (width, n), dtype) for _ in range(self.parts)]),
            "hidden": _side_by_side([self.hidden_init(rng, (n, n), dtype) for _ in range(self.parts)]),
        }
        for name in ("bias", "hidden_bias") if self.bias else ():
            params[name] = self.bias_init(rng, (self.parts * n,), dtype)
        return params

    def zero_state(self, n: int, like: Array) -> Tree:
        """The state before the first step, zeros.

        Args:
            n: the number of sequences.
            like: an array whose library, device and dtype it has.

        Returns:
            An entry for each layer and direction, in the order of the parameters: an array of shape
            (n, hidden_features), for `LSTM` a pair of them, the output and the cell.
        """
        zeros = ops.zeros((n, self.hidden_features), dtype=like.dtype, like=like)
        return (self._zero(zeros),) * (self.num_layers * self.directions)

    def step(self, params: Tree, x: Array, state: Tree) -> tuple[Array, Tree]:
        """One step through all layers, for a decoder that makes its own next input.

        Args:
            params: the parameters, as `init` made them.
            x: the input of the step, of shape (n, in_features).
            state: the state before, as `zero_state` or the last step made it.

        Returns:
            The output of the last layer, of shape (n, hidden_features), and the state after.

        Raises:
            ValueError: if the layer reads backwards as well, or shapes do not fit.
        """
        name = type(self).__name__
        if self.bidirectional:
            raise ValueError(f"{name}: a bidirectional layer has no single step; it needs the whole sequence")
        check_features(name, x, self.in_features)
        after = []
        for p, before in zip(self._checked(params), self._checked_state(state), strict=True):
            bias, weights = self._weights(p)
            after.append(self._unit(weights, ops.linear(x, p["input"], bias), before))
            x = self._output(after[-1])
        return x, tuple(after)

    def forward(
        self,
        params: Tree,
        state: Tree,
        x: Array,
        initial: Tree | None = None,
        *,
        lengths: Array | None = None,
        training: bool,
        key: Key | None,
    ) -> tuple[Any, Tree]:
        """Read sequences.

        Args:
            params: the parameters, as `init` made them.
            state: the running state, handed on.
            x: the sequences, of shape (n, time, in_features).
            initial: the state before the first step, as `zero_state` describes it; by default zeros.
            lengths: how many steps of each sequence are valid, integers of shape (n,) from 0 to time. Any
                other length raises a ValueError; inside the user's own ``jax.jit`` its outputs are NaN.
                Invalid steps leave the state unchanged, their outputs are zero, and their contents have no
                effect. The backward direction starts at the end of each sequence.
            training: whether this is a step of training.
            key: a key of `portnn.random`, needed for dropout in training.

        Returns:
            The outputs of the last layer (n, time, directions * hidden_features), or the last of each
            direction (n, directions * hidden_features), or a pair of all outputs and the state after, as
            `returns` says; and the running state.
        """
        lengths = self._check_input(x, lengths)
        n, time = x.shape[:2]
        start = self.zero_state(n, x) if initial is None else self._checked_state(initial)
        x = ops.permute_dims(x, (1, 0, 2))  # a step is then one piece of memory
        keep = None
        if lengths is not None:
            wrong = ops.expand_dims(ops.greater(lengths, time), axis=1)  # where values are unknown
            start = tree.map(lambda h: ops.where(wrong, nan, h), start)
            keep = _within(lengths, time)
            x = ops.where(keep, x, 0.0)  # NaN times a gradient of zero would be NaN
        after: list[Tree] = []
        parts = self._checked(params)
        between = [Dropout(self.dropout)] * (self.num_layers - 1)
        keys = keys_of(key, between)
        for layer in range(self.num_layers):
            if layer:
                drop, own = between[layer - 1], keys[layer - 1]
                x, _ = drop.forward({}, {}, x, training=training, key=own)
            both = []
            for i in range(layer * self.directions, (layer + 1) * self.directions):
                outputs, last = self._through(parts[i], x, start[i], keep, i % self.directions == 1)
                both.append(outputs)
                after.append(last)
            x = both[0] if len(both) == 1 else ops.concat(both, axis=2)
            if keep is not None:
                x = ops.where(keep, x, 0.0)
        return self._result(x, after), state

    def _through(self, p: Tree, x: Array, h: Tree, keep: Array | None, backwards: bool) -> tuple[Array, Tree]:
        """One layer in one direction: outputs of shape (time, n, hidden_features), and the last state."""
        time, n, width = x.shape
        bias, weights = self._weights(p)
        rows = ops.linear(ops.reshape(x, (time * n, width)), p["input"], bias)
        steps = ops.unstack(ops.reshape(rows, (time, n, rows.shape[1])))
        outputs: list[Any] = [None] * time
        for t in reversed(range(time)) if backwards else range(time):
            new = self._unit(weights, steps[t], h)
            h = new if keep is None else _hold(keep, t, new, h)
            outputs[t] = self._output(h)
        return ops.stack(outputs), h

    def _result(self, x: Array, after: Sequence[Tree]) -> Any:
        """What `returns` asks for."""
        if self.returns == "last":
            last = [self._output(h) for h in after[-self.directions :]]
            return last[0] if len(last) == 1 else ops.concat(last, axis=1)
        sequence = ops.permute_dims(x, (1, 0, 2))
        return sequence if self.returns == "sequence" else (sequence, tuple(after))

    def _check_input(self, x: Array, lengths: Array | None) -> Array | None:
        name = type(self).__name__
        if len(x.shape) != 3 or x.shape[1] < 1:
            raise ValueError(
                f"{name}: expected sequences of shape (n, time, {self.in_features}) with at least one step, "
                f"got {tuple(x.shape)}"
            )
        check_features(name, x, self.in_features)
        if lengths is not None:
            if not is_kind(lengths, "integral"):
                raise TypeError(f"{name}: lengths must be integers, got {lengths.dtype}; convert with astype")
            if tuple(lengths.shape) != (x.shape[0],):
                raise ValueError(
                    f"{name}: expected lengths of shape ({x.shape[0]},), one for each sequence, "
                    f"got {tuple(lengths.shape)}"
                )
            lengths = in_range(lengths, what=f"{name}: lengths", high=x.shape[1] + 1)
        return lengths

    def _checked(self, params: Tree) -> Sequence[Tree]:
        wanted = self.num_layers * self.directions
        if not isinstance(params, tuple | list) or len(params) != wanted:
            found = f"{len(params)}" if isinstance(params, tuple | list) else type(params).__name__
            raise ValueError(
                f"{type(self).__name__}: expected a tuple of parameters for {wanted} layers and directions "
                f"as init makes it, got {found}"
            )
        for p in params:
            names = ("input", "hidden", "bias", "hidden_bias")
            check_params(type(self).__name__, p, names if self.bias else names[:2])
        return params

    def _checked_state(self, state: Tree) -> Sequence[Tree]:
        wanted = self.num_layers * self.directions
        if not isinstance(state, tuple | list) or len(state) != wanted:
            found = f"{len(state)}" if isinstance(state, tuple | list) else type(state).__name__
            raise ValueError(
                f"{type(self).__name__}: expected a state as zero_state makes it, a tuple with an entry for "
                f"each of {wanted} layers and directions, got {found}"
            )
        return state

    @abstractmethod
    def _unit(self, weights: tuple[Array, ...], x: Array, state: Tree) -> Tree:
        """The state after a step; `x` is what the input brings in."""

    def _weights(self, p: Tree) -> tuple[Array | None, tuple[Array, ...]]:
        """The bias that is added to the input product of all steps, and what each step needs."""
        return ops.add(p["bias"], p["hidden_bias"]) if self.bias else None, (p["hidden"],)

    def _output(self, state: Tree) -> Array:
        return state

    def _zero(self, zeros: Array) -> Tree:
        return zeros


def _side_by_side(parts: list[Array]) -> Array:
    return parts[0] if len(parts) == 1 else ops.concat(parts, axis=1)


def _within(lengths: Array, time: int) -> Array:
    """Whether a step is real, of shape (time, n, 1)."""
    dtype = (
        "int64" if ops.iinfo(lengths.dtype).bits == 64 else "int32"
    )  # can hold a number beyond every length
    steps = ops.arange(time, dtype=dtype, like=lengths)
    real = ops.less(steps[:, None], ops.astype(lengths, dtype, copy=False)[None, :])
    return ops.expand_dims(real, axis=2)


def _hold(keep: Array, t: int, new: Tree, old: Tree) -> Tree:
    """The new state of the sequences that have a step `t`, the old one of the others."""
    return tree.map(lambda a, b: ops.where(keep[t, ...], a, b), new, old)
