"""The complete state of a network as one value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import ceil
from typing import Any, final

from portnn import tree
from portnn._typing import Array, Tree
from portnn.backend import Backend
from portnn.compile import Precision
from portnn.nn import Layer
from portnn.optim import Optimizer, ema_params
from portnn.tracing import is_array

__all__ = [
    "ARRAYS",
    "COUNTS",
    "SEEDS",
    "EpochProgress",
    "FitConfig",
    "NetState",
    "Position",
    "Snapshot",
]

ARRAYS = ("params", "state")  # keys of arrays in a callback's state: trees like those of the network
COUNTS = 2**32  # of epochs and steps: random numbers use 32 bits of the step's number
SEEDS = 2**128  # as many as the entropy of `numpy.random.SeedSequence` has bits for


@final
@dataclass(frozen=True)
class Snapshot:
    """The arrays that a training step replaces.

    Attributes:
        params: the parameters.
        state: the running state of the layers.
        opt_state: the optimizer's state.
    """

    params: Tree
    state: Tree
    opt_state: Tree


@final
@dataclass(frozen=True)
class NetState:
    """The configuration, arrays and counters of a network.

    A `Network` replaces its state by one assignment, so after Ctrl-C or an error, parameters, counters and
    the optimizer's state belong to the same step. The trainer takes and returns a state; network files and
    checkpoints are written from one.

    Attributes:
        layer: the layers, as one layer.
        loss: the loss; it decides the task.
        backend: the backend of the arrays.
        dtype: "float32" or "float64".
        seed: the seed of all random numbers.
        params: the parameters that training continues from.
        state: the running state of the layers.
        opt_state: the optimizer's state; None before any training.
        optimizer: the optimizer that `opt_state` belongs to; None before any training, and after pickling.
        averaged: whether the network predicts with the averages in `opt_state` instead of with `params`.
        epochs: the number of epochs trained so far.
        steps: the number of steps trained so far.
        sample_shape: the shape of one sample, if known.
        flat_targets: whether targets were (n,) for a network with one output, so that predictions are (n,).
        notes: plain data of the user.
    """

    layer: Layer
    loss: Callable[..., Array]
    backend: Backend
    dtype: str
    seed: int
    params: Tree
    state: Tree
    opt_state: Tree = None
    optimizer: Optimizer | None = None
    averaged: bool = False
    epochs: int = 0
    steps: int = 0
    sample_shape: tuple[int, ...] | None = None
    flat_targets: bool = False
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def shown(self) -> Tree:
        """The parameters to predict with: the averages if the optimizer keeps them, else `params`."""
        return ema_params(self.opt_state) if self.averaged else self.params

    @property
    def arrays(self) -> Snapshot:
        """The arrays before the next step of the same training."""
        return Snapshot(self.params, self.state, self.opt_state)

    def with_arrays(self, now: Snapshot, optimizer: Optimizer, **counts: int) -> NetState:
        """Return the state after training steps.

        Args:
            now: the arrays after the last step.
            optimizer: the optimizer of the steps.
            **counts: new values of `seed`, `epochs` and `steps`.
        """
        averaged = ema_params(now.opt_state) is not None
        changes: dict[str, Any] = {"optimizer": optimizer, "averaged": averaged, **counts}
        return replace(self, params=now.params, state=now.state, opt_state=now.opt_state, **changes)

    def moved(self, bring: Callable[[Array], Array], **changes: Any) -> NetState:
        """Return a copy with all arrays moved.

        Args:
            bring: converts an array to the other library.
            **changes: other fields to replace.
        """

        def moved(item: Tree) -> Tree:  # an optimizer's state may have Python numbers
            return tree.map(lambda leaf: bring(leaf) if is_array(leaf) else leaf, item)

        arrays = {name: moved(getattr(self, name)) for name in ("params", "state", "opt_state")}
        return replace(self, **arrays, **changes)


@final
@dataclass(frozen=True)
class EpochProgress:
    """The progress of an epoch.

    Attributes:
        step: the number of completed steps.
        losses: their losses.
        right: the total of the measure; None without a measure, or before the first step.
    """

    step: int = 0
    losses: tuple[float, ...] = ()
    right: float | None = None


@final
@dataclass(frozen=True)
class Position:
    """The progress of a training.

    Attributes:
        first_epoch: the number of epochs that the network was trained for before this training.
        first_step: the number of steps before it.
        done: the number of completed epochs of this training.
        progress: the progress of the next epoch.
    """

    first_epoch: int
    first_step: int
    done: int = 0
    progress: EpochProgress = EpochProgress()


@final
@dataclass(frozen=True)
class FitConfig:
    """The fixed options of a training.

    Attributes:
        epochs: the number of passes through the data.
        batch_size: samples per step; None for all.
        shuffle: whether to shuffle the samples in each epoch.
        accumulate: the number of parts of a batch whose gradients are accumulated.
        optimizer: the optimizer, adjustable if a callback needs it.
        penalty: a term added to the loss of a batch, or None.
        compile: whether steps are compiled.
        threads: as for `portnn.compile.make_loop`.
        precision: likewise.
        progress: as for `Network.fit`.
    """

    epochs: int
    batch_size: int | None
    shuffle: bool
    accumulate: int
    optimizer: Optimizer
    penalty: Callable[[Tree, Any], Array] | None = None
    compile: bool = True
    threads: int | None = None
    precision: Precision = "float32"
    progress: Any = False

    def steps(self, samples: int) -> int:
        """Return the number of steps per epoch for a number of samples."""
        return 1 if self.batch_size is None else ceil(samples / self.batch_size)
