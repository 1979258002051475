"""What goes on inside a network: the outputs of its layers, and the gradient of its loss."""

from __future__ import annotations

from typing import Any

from portnn import tree
from portnn._typing import Array, Tree
from portnn.autodiff import value_and_grad
from portnn.network._survey import label_of
from portnn.nn import Layer, Visit, watched
from portnn.random import key as make_key
from portnn.train import Dataset

__all__ = ["gradients_of", "outputs_of"]


def outputs_of(layer: Layer, params: Tree, state: Tree, x: Array) -> dict[str, Array]:
    """What each layer makes of `x`, by its place and what it is.

    Args:
        layer: the network's description.
        params: its parameters.
        state: its running state.
        x: inputs, on the backend.

    Returns:
        The outputs of the layers without members in the order of their calls; one that is called several
        times, or has several outputs, is there as often, with a number behind its name.
    """
    found: dict[str, Array] = {}

    def see(visit: Visit) -> None:
        if visit.layer.members:
            return
        name = f"{'.'.join(map(str, visit.path)) or '0'} {label_of(visit.layer)}"
        for y in tree.leaves(visit.output):
            times = sum([known.partition(" #")[0] == name for known in found])
            found[f"{name} #{times + 1}" if times else name] = y

    watched(layer, see).apply(params, x, state=state)
    return found


def gradients_of(layer: Layer, loss: Any, params: Tree, state: Tree, data: Dataset, seed: int) -> Tree:
    """The gradient of the loss on all of the data as a step of training sees it.

    Args:
        layer: the network's description.
        loss: its loss.
        params: its parameters.
        state: its running state, which stays as it is.
        data: inputs, targets and weights, on the backend.
        seed: of the noise of layers that draw.
    """
    options = {} if data.weight is None else {"sample_weight": data.weight}
    key = make_key(seed, like=data.x) if layer.draws else None

    def objective(p: Tree) -> Array:
        predictions, _ = layer.forward(p, state, data.x, training=True, key=key)
        return loss(predictions, data.y, **options)

    return value_and_grad(objective)(params)[1]
