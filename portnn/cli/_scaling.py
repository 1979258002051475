"""Columns brought to mean 0 and deviation 1 for the training, and the network that does without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

from portnn import ops
from portnn._typing import Array
from portnn.network import Network
from portnn.nn import Linear

__all__ = ["Scaling", "fold", "measure"]


@final
@dataclass(frozen=True, eq=False)
class Scaling:
    """Mean and deviation of each column, float64 (k,)."""

    mean: Array
    deviation: Array

    def apply(self, x: Array) -> Array:
        """Columns with mean 0 and deviation 1, float32."""
        wide = ops.divide(ops.subtract(ops.astype(x, "float64"), self.mean), self.deviation)
        return ops.astype(wide, "float32")


def measure(x: Array) -> Scaling:
    """The scaling of columns (n, k); a constant one is only shifted."""
    wide = ops.astype(x, "float64")
    deviation = ops.std(wide, axis=0)
    # What rounding leaves of a constant column is no deviation.
    floor = ops.multiply(ops.max(ops.abs(wide), axis=0), 1e-9)
    return Scaling(ops.mean(wide, axis=0), ops.where(deviation > floor, deviation, ops.ones_like(deviation)))


def fold(net: Network, inputs: Scaling | None, outputs: Scaling | None) -> Network:
    """A network that takes and gives numbers as they are in the data.

    ``((x - m) / s) w + b = x (w / s) + (b - (m / s) w)``, and likewise behind the last layer.

    Args:
        net: a network that learned from scaled numbers; a sequence with a linear layer first and last.
        inputs: the scaling of what goes in.
        outputs: the scaling of what comes out.
    """
    layers: Any = net.layer.members
    params = [
        dict(p) if isinstance(layer, Linear) else p for layer, p in zip(layers, net.params, strict=True)
    ]
    linear = [i for i, layer in enumerate(layers) if isinstance(layer, Linear)]
    if inputs is not None:
        w, b = _wide(net, params[linear[0]])
        scaled = ops.divide(w, ops.expand_dims(inputs.deviation, axis=1))
        _set(net, params[linear[0]], scaled, ops.subtract(b, ops.matmul(inputs.mean, scaled)))
    if outputs is not None:
        w, b = _wide(net, params[linear[-1]])
        b = ops.add(ops.multiply(b, outputs.deviation), outputs.mean)
        _set(net, params[linear[-1]], ops.multiply(w, outputs.deviation), b)
    folded = Network(net.layer, loss=net.loss, backend=net.backend, seed=net.seed, dtype=net.dtype)
    folded.load_params(tuple(params), net.state, epochs=net.epochs, steps=net.steps)
    return folded


def _wide(net: Network, params: Any) -> tuple[Array, Array]:
    host = net.backend.to_numpy
    return ops.astype(host(params["weight"]), "float64"), ops.astype(host(params["bias"]), "float64")


def _set(net: Network, params: Any, w: Array, b: Array) -> None:
    params["weight"] = net.backend.asarray(w, dtype=net.dtype)
    params["bias"] = net.backend.asarray(b, dtype=net.dtype)
