"""What a training leaves behind, and what of it goes along when a network is copied, or pickled by others."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any, NamedTuple, Self

from portnn import optim, tree
from portnn._typing import Array, Tree
from portnn.backend import Backend
from portnn.optim import Optimizer, ema_params
from portnn.tracing import is_array
from portnn.train import Snapshot

__all__ = ["Copied", "Fitted", "TrainState", "going_on"]


class Fitted(NamedTuple):
    """What the last training left behind.

    Attributes:
        optimizer: its optimiser; None after the network was pickled.
        moments: the optimiser's state.
        params: the parameters that steps go on from; not what the network shows if that is their average.
    """

    optimizer: Optimizer | None
    moments: Tree
    params: Tree


class TrainState(NamedTuple):
    """Everything in a network that training changes.

    A network replaces it as a whole, by one assignment. So after Ctrl-C or an error, parameters, counters
    and the optimizer's state belong to the same step.

    Attributes:
        backend: the backend of the arrays.
        params: the parameters that the network shows.
        state: the running state of the layers.
        seed: the seed of all random numbers.
        epochs: how many epochs the network has been trained for.
        steps: how many steps.
        fitted: what the last training left behind; None before any.
    """

    backend: Backend
    params: Tree
    state: Tree
    seed: int
    epochs: int = 0
    steps: int = 0
    fitted: Fitted | None = None

    def moved(self, bring: Callable[[Array], Array]) -> TrainState:
        """Return a copy with all arrays moved; parameters that are the average stay the same object as it."""

        def moved(item: Tree) -> Tree:  # an optimizer's state may have Python's numbers
            return tree.map(lambda leaf: bring(leaf) if is_array(leaf) else leaf, item)

        params, state = moved(self.params), moved(self.state)
        if self.fitted is None:
            return self._replace(params=params, state=state)
        moments, trained = moved(self.fitted.moments), moved(self.fitted.params)
        if self.params is ema_params(self.fitted.moments):
            params = ema_params(moments)
        return self._replace(
            params=params, state=state, fitted=Fitted(self.fitted.optimizer, moments, trained)
        )


class Copied:
    """Copies have everything but plans; what leaves the program has no optimiser, which is made of functions.

    The state of the optimiser goes along, so `partial_fit` goes on from it once it is given the optimiser.
    """

    _now: TrainState

    @property
    def _fitted(self) -> Fitted | None:
        """What the last training left behind."""
        return self._now.fitted

    def _kept(self) -> dict[str, Any]:
        return {**vars(self), "_predictors": {}}  # plans are made anew where a network is copied to

    def __getstate__(self) -> dict[str, Any]:
        now = self._now.moved(self._now.backend.to_numpy)  # CuPy unpickles arrays on the current GPU
        without = None if now.fitted is None else now.fitted._replace(optimizer=None)
        return {**self._kept(), "_now": now._replace(fitted=without)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._now = self._now.moved(self._now.backend.asarray)

    def __copy__(self) -> Self:
        copied = type(self).__new__(type(self))
        vars(copied).update(self._kept())
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        copied = memo[id(self)] = type(self).__new__(type(self))
        with self._now.backend.activate():
            vars(copied).update(deepcopy(self._kept(), memo))
        return copied


def going_on(model: Any, optimizer: Optimizer | None) -> tuple[Optimizer, Snapshot]:
    """The optimiser of a single step, and what it begins with.

    Raises:
        ValueError: if nobody has said which optimiser.
    """
    before: Fitted | None = model._fitted
    known = None if before is None else before.optimizer
    if before is not None and known is None:
        if optimizer is None:
            raise ValueError("partial_fit: a network that was pickled has no optimiser; pass optimizer=...")
        if tree.structure(optimizer.init(model.params)) == tree.structure(before.moments):
            return optimizer, model._present(before)
    if before is None or known is None or (optimizer is not None and optimizer != known):
        optimizer = optim.adam(0.001) if optimizer is None else optimizer
        return optimizer, Snapshot(model.params, model.state, optimizer.init(model.params))
    return known, model._present(before)
