"""The state of a network: everything that it is at one moment, as one value."""

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

ARRAYS = ("params", "state")  # what a callback may keep arrays under: trees like those of the network
COUNTS = 2**32  # of epochs and steps: random numbers use 32 bits of the step's number
SEEDS = 2**128  # how many there are: as many as the entropy of `numpy.random.SeedSequence` has bits for


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
    """A network at one moment: its description, its arrays and its counters.

    A `Network` holds one and replaces it as a whole, by one assignment. So after Ctrl-C or an error,
    parameters, counters and the optimizer's state belong to the same step. The trainer takes one and returns
    one; network files and checkpoints are written from one.

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
        notes: the user's plain data.
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
        """The parameters to predict with: the averages if the optimizer keeps some, else `params`."""
        return ema_params(self.opt_state) if self.averaged else self.params

    @property
    def arrays(self) -> Snapshot:
        """The arrays that the next step of the same training begins with."""
        return Snapshot(self.params, self.state, self.opt_state)

    def with_arrays(self, now: Snapshot, optimizer: Optimizer, **counts: int) -> NetState:
        """Return the state after training steps.

        Args:
            now: the arrays that the last step made.
            optimizer: the optimizer of the steps.
            **counts: new values of `seed`, `epochs` and `steps`.
        """
        averaged = ema_params(now.opt_state) is not None
        changes: dict[str, Any] = {"optimizer": optimizer, "averaged": averaged, **counts}
        return replace(self, params=now.params, state=now.state, opt_state=now.opt_state, **changes)

    def moved(self, bring: Callable[[Array], Array], **changes: Any) -> NetState:
        """Return a copy with all arrays moved.

        Args:
            bring: makes an array of the other library.
            **changes: other values to replace.
        """

        def moved(item: Tree) -> Tree:  # an optimizer's state may have Python's numbers
            return tree.map(lambda leaf: bring(leaf) if is_array(leaf) else leaf, item)

        arrays = {name: moved(getattr(self, name)) for name in ("params", "state", "opt_state")}
        return replace(self, **arrays, **changes)


@final
@dataclass(frozen=True)
class EpochProgress:
    """What the first steps of an unfinished epoch gave.

    Attributes:
        step: how many steps of it are done.
        losses: their losses.
        right: what the measure counted in them; None if there is no measure, or nothing is done.
    """

    step: int = 0
    losses: tuple[float, ...] = ()
    right: float | None = None


@final
@dataclass(frozen=True)
class Position:
    """Where a training stands.

    Attributes:
        first_epoch: the number of epochs that the network was trained for before this training.
        first_step: the number of steps before it.
        done: how many epochs of this training are done.
        progress: what is done of the next one.
    """

    first_epoch: int
    first_step: int
    done: int = 0
    progress: EpochProgress = EpochProgress()


@final
@dataclass(frozen=True)
class FitConfig:
    """The options of a training that do not change while it runs.

    Attributes:
        epochs: how often to go through the data.
        batch_size: samples a step; None for all.
        shuffle: whether each epoch has an order of its own.
        accumulate: in how many parts a batch is worked through.
        optimizer: the optimizer, as the callbacks need it.
        penalty: what is added to the loss of a batch, or None.
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
        """How many steps an epoch over so many samples has."""
        return 1 if self.batch_size is None else ceil(samples / self.batch_size)
