"""Recurrent layers: simple ones, gated recurrent units, long short-term memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

from portnn import ops
from portnn._typing import Array, Tree
from portnn.nn._activations import relu, tanh
from portnn.nn._recurrent import Recurrent

__all__ = ["GRU", "LSTM", "RNN"]


@final
@dataclass(frozen=True)
class RNN(Recurrent):
    """Simple recurrent layers, ``h = f(x W + b + h V)``.

    Elman, Finding structure in time (1990). The parameters are a tuple with a dictionary for each layer and
    direction: ``input`` W of shape (in, hidden), ``hidden`` V of shape (hidden, hidden), ``bias`` and
    ``hidden_bias`` (hidden,), whose sum is b: two as in PyTorch, so that parameters go there and back.

    Args:
        in_features: the length of the vectors in the sequences.
        hidden_features: the number of units in each layer and direction.
        num_layers: how many layers stand on one another.
        bidirectional: whether each layer reads the sequences backwards as well, with parameters of its own.
        dropout: the share of the outputs of each layer but the last that is set to zero in training.
        returns: "sequence" for the outputs of all steps (n, time, directions * hidden), "last" for those at
            each direction's end (n, directions * hidden), "both" for a pair: all outputs, and the state.
        bias: whether there are biases.
        input_init: what draws W; by default Glorot's uniform distribution.
        hidden_init: what draws V; by default an orthogonal matrix.
        bias_init: what draws the bias; by default zeros.
        activation: f, `portnn.tanh` or `portnn.relu`.

    Raises:
        TypeError: if a size is no integer.
        ValueError: if a size is not positive, or an option is none of those named.

    Example:
        >>> import numpy as np
        >>> from portnn.random import stream
        >>> layer = RNN(3, 4, returns="last")
        >>> x = np.ones((2, 5, 3), dtype=np.float32)
        >>> layer.apply(layer.init(stream(0)), x, lengths=np.asarray([5, 2])).shape
        (2, 4)
    """

    activation: Callable[..., Array] = tanh

    parts: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.activation not in (tanh, relu):
            name = getattr(self.activation, "__name__", type(self.activation).__name__)
            raise ValueError(f"RNN: activation must be portnn.tanh or portnn.relu, got {name:.60}")

    def _unit(self, weights: tuple[Array, ...], x: Array, state: Tree) -> Tree:
        return ops.rnn_step(x, state, *weights, activation="relu" if self.activation is relu else "tanh")


@final
@dataclass(frozen=True)
class GRU(Recurrent):
    """Layers of gated recurrent units; the reset gate acts after the product with the state.

    Cho et al., Learning phrase representations using RNN encoder-decoder for statistical machine translation
    (2014). The parameters are a tuple with a dictionary for each layer and direction: ``input`` of shape
    (in, 3 hidden), ``hidden`` (hidden, 3 hidden), ``bias`` and ``hidden_bias`` (3 hidden,), one added to each
    product. The gates stand in the order reset, update, new; all as in PyTorch, but for transposed weights.

    Args:
        in_features: the length of the vectors in the sequences.
        hidden_features: the number of units in each layer and direction.
        num_layers: how many layers stand on one another.
        bidirectional: whether each layer reads the sequences backwards as well, with parameters of its own.
        dropout: the share of the outputs of each layer but the last that is set to zero in training.
        returns: "sequence" for the outputs of all steps (n, time, directions * hidden), "last" for those at
            each direction's end (n, directions * hidden), "both" for a pair: all outputs, and the state.
        bias: whether there are biases.
        input_init: what draws ``input``, each gate by itself; by default Glorot's uniform distribution.
        hidden_init: what draws ``hidden``, each gate by itself; by default orthogonal matrices.
        bias_init: what draws the biases; by default zeros.

    Raises:
        TypeError: if a size is no integer.
        ValueError: if a size is not positive, or an option is none of those named.

    Example:
        >>> import numpy as np
        >>> from portnn.random import stream
        >>> layer = GRU(3, 4, num_layers=2, bidirectional=True, returns="both")
        >>> y, state = layer.apply(layer.init(stream(0)), np.ones((2, 5, 3), dtype=np.float32))
        >>> y.shape, [h.shape for h in state]
        ((2, 5, 8), [(2, 4), (2, 4), (2, 4), (2, 4)])
    """

    parts: ClassVar[int] = 3
    names: ClassVar[tuple[str, ...]] = ("bias", "hidden_bias")

    def _weights(self, p: Tree) -> tuple[Array | None, tuple[Array, ...]]:
        if not self.bias:
            return None, (p["hidden"],)
        n = 2 * self.hidden_features
        bias, more = p["bias"], p["hidden_bias"]
        return ops.concat([ops.add(bias[:n], more[:n]), bias[n:]]), (p["hidden"], more[n:])

    def _unit(self, weights: tuple[Array, ...], x: Array, state: Tree) -> Tree:
        return ops.gru_step(x, state, *weights)


@final
@dataclass(frozen=True)
class LSTM(Recurrent):
    """Layers of long short-term memory.

    Hochreiter and Schmidhuber, Long short-term memory (1997); Gers, Schmidhuber and Cummins, Learning to
    forget (2000). The parameters are a tuple with a dictionary for each layer and direction: ``input`` of
    shape (in, 4 hidden), ``hidden`` (hidden, 4 hidden), ``bias`` and ``hidden_bias`` (4 hidden,), of which
    only the sum counts. The gates stand in the order input, forget, cell, output; all as in PyTorch, but
    for transposed weights. The state of a layer is a pair, the output and the cell.

    Args:
        in_features: the length of the vectors in the sequences.
        hidden_features: the number of units in each layer and direction.
        num_layers: how many layers stand on one another.
        bidirectional: whether each layer reads the sequences backwards as well, with parameters of its own.
        dropout: the share of the outputs of each layer but the last that is set to zero in training.
        returns: "sequence" for the outputs of all steps (n, time, directions * hidden), "last" for those at
            each direction's end (n, directions * hidden), "both" for a pair: all outputs, and the state.
        bias: whether there are biases.
        input_init: what draws ``input``, each gate by itself; by default Glorot's uniform distribution.
        hidden_init: what draws ``hidden``, each gate by itself; by default orthogonal matrices.
        bias_init: what draws the bias; by default zeros.

    Raises:
        TypeError: if a size is no integer.
        ValueError: if a size is not positive, or an option is none of those named.

    Example:
        >>> import numpy as np
        >>> from portnn.random import stream
        >>> layer = LSTM(3, 4)
        >>> params = layer.init(stream(0))
        >>> state = layer.zero_state(2, like=params[0]["bias"])
        >>> y, state = layer.step(params, np.ones((2, 3), dtype=np.float32), state)
        >>> y.shape, len(state), len(state[0])
        ((2, 4), 1, 2)
    """

    parts: ClassVar[int] = 4

    def _unit(self, weights: tuple[Array, ...], x: Array, state: Tree) -> Tree:
        h, c = state
        return ops.lstm_step(x, h, c, *weights)

    def _checked_state(self, state: Tree) -> Sequence[Tree]:
        found = super()._checked_state(state)
        if any(not isinstance(s, tuple | list) or len(s) != 2 for s in found):
            raise ValueError(
                "LSTM: expected a state as zero_state makes it, a pair of output and cell for each layer"
            )
        return found

    def _output(self, state: Tree) -> Array:
        return state[0]

    def _zero(self, zeros: Array) -> Tree:
        return (zeros, zeros)
