"""What is to be learned: samples to learn from and to hold out, and a network for them."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from math import ceil
from typing import Any, final

from click import UsageError

from portnn import nn, ops, random
from portnn._typing import Array
from portnn.backend import get_backend
from portnn.cli._names import LOSSES, activation_of, hidden_of, loss_of
from portnn.cli._scaling import Scaling, measure
from portnn.cli._source import Samples, pixel_like, read_samples
from portnn.cli._targets import Targets, learn_targets
from portnn.data import DataError
from portnn.network import Network

__all__ = ["Problem", "build", "make_problem"]

_LOSSES = {
    "classification": "softmax_cross_entropy",
    "multilabel": "sigmoid_cross_entropy",
    "regression": "squared_error",
}
_SCALED = ("squared_error", "absolute_error", "huber", "log_cosh")  # losses for any numbers
_SPLIT = 5  # what tells this use of the seed from others


@final
@dataclass(frozen=True, eq=False)
class Problem:
    """A training, but for the network.

    Attributes:
        x: inputs.
        y: targets.
        held_out: a pair of both, or None.
        targets: what they mean.
        loss: the name of the loss.
        inputs: how x was scaled; None if it was not.
        outputs: how y was scaled.
        pixels: whether the network divides by 255.
        notes: what the file will say of the data.
        digest: tells other data from these.
        header: how the first row of the table was read; None if the user gave it, or without a table.
    """

    x: Array
    y: Array
    held_out: tuple[Array, Array] | None
    targets: Targets
    loss: str
    inputs: Scaling | None
    outputs: Scaling | None
    pixels: bool
    notes: dict[str, Any]
    digest: str
    header: str | None = None

    @property
    def size(self) -> int:
        """How many samples there are to learn from."""
        return int(self.x.shape[0])

    def steps(self, batch_size: int) -> int:
        """How many steps an epoch has."""
        return ceil(self.size / batch_size)


def make_problem(options: dict[str, Any]) -> Problem:
    """Read the data and prepare them.

    Raises:
        DataError: if they are not as expected.
        UsageError: if an option does not fit them.
    """
    samples = read_samples(options["data"], options)
    loss = options["loss"]
    task = options["task"] or (LOSSES[loss] if loss else None)
    targets = learn_targets(samples, task)
    if loss and LOSSES[loss] != targets.task:
        raise UsageError(f"--loss {loss} is for {LOSSES[loss]}, not for {targets.task}.")
    loss = loss or _LOSSES[targets.task]
    if samples.x.shape[0] != targets.y.shape[0]:
        raise DataError(
            f"{samples.source}: {samples.x.shape[0]} samples, but labels for {targets.y.shape[0]}"
        )
    scale = _scale_of(samples, options["scale"])
    x = ops.astype(samples.x, "float32") if scale != "pixels" and samples.x.dtype.kind != "f" else samples.x
    (x, y), held_out = _split(x, targets.y, options["validation"], options["seed"])
    inputs = measure(x) if scale == "standard" else None
    outputs = measure(y) if loss in _SCALED and scale != "none" else None
    pair = (x, y) if held_out is None else held_out
    (x, y), pair = _scaled((x, y), inputs, outputs), _scaled(pair, inputs, outputs)
    notes = _notes(samples, targets, scale == "pixels")
    digest = sha256(samples.x.tobytes() + targets.y.tobytes()).hexdigest()
    kept = None if held_out is None else pair
    header = samples.table.header if samples.table is not None and samples.table.guessed else None
    return Problem(x, y, kept, targets, loss, inputs, outputs, scale == "pixels", notes, digest, header)


def _scale_of(samples: Samples, given: str) -> str:
    """How inputs are scaled."""
    if given == "standard" and len(samples.x.shape) != 2:
        raise UsageError(f"--scale standard is for columns, the samples have shape {samples.x.shape[1:]}.")
    if given != "auto":
        return given
    if pixel_like(samples.x):
        return "pixels"
    return "standard" if len(samples.x.shape) == 2 else "none"


def _split(
    x: Array, y: Array, share: float, seed: int
) -> tuple[tuple[Array, Array], tuple[Array, Array] | None]:
    """Samples to learn from, and a random share to hold out."""
    n = x.shape[0]
    held = int(n * share)
    if not held:
        return (x, y), None
    order = random.permutation(random.key(seed, _SPLIT), n)
    x, y = ops.take(x, order, axis=0), ops.take(y, order, axis=0)
    return (x[held:, ...], y[held:, ...]), (x[:held, ...], y[:held, ...])


def _scaled(
    pair: tuple[Array, Array], inputs: Scaling | None, outputs: Scaling | None
) -> tuple[Array, Array]:
    x, y = pair
    return (x if inputs is None else inputs.apply(x)), (y if outputs is None else outputs.apply(y))


def _notes(samples: Samples, targets: Targets, pixels: bool) -> dict[str, Any]:
    """What the file will say of the data."""
    found = {
        "classes": targets.classes, "targets": samples.targets, "features": samples.features,
        "shape": list(samples.x.shape[1:]), "pixels": pixels,
    }  # fmt: skip
    return {name: value for name, value in found.items() if value is not None}


def build(problem: Problem, options: dict[str, Any]) -> Network:
    """A network for a problem."""
    size = 1
    for n in problem.x.shape[1:]:
        size *= n
    widths = [size, *hidden_of(options["layers"]), problem.targets.width]
    layers: list[Any] = [nn.Flatten()] if len(problem.x.shape) > 2 else []
    layers += [nn.Rescale()] if problem.pixels else []
    activation = activation_of(options["activation"])
    for i, (inside, outside) in enumerate(pairwise(widths), 1):
        layers.append(nn.Linear(inside, outside))
        if i < len(widths) - 1:
            layers.append(activation)
            layers += [nn.Dropout(options["dropout"])] if options["dropout"] else []
    return Network(
        layers, loss=loss_of(problem.loss), backend=get_backend(options["backend"]), seed=options["seed"]
    )
