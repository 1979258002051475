"""Training: steps, epochs and callbacks.

`Network.fit` trains classifiers and regressors. For a model with several inputs, outputs or losses, write a
custom loop: a step compiled by `jit`, and two `for` loops. Here a network with two heads learns a class and
a number:

    >>> import numpy as np
    >>> import portnn as pn
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(64, 4)).astype(np.float32)
    >>> data = {"x": x, "class": np.argmax(x[:, :3], axis=1), "sum": np.sum(x, axis=1)}
    >>> body, head = pn.MLP([4, 16, 16], activation=pn.tanh), pn.Linear(16, 4)
    >>> stream = pn.random.stream(0)
    >>> params = {"body": body.init(stream), "head": head.init(stream)}
    >>> optimizer = pn.optim.ema(pn.optim.adam(0.02), 0.9)
    >>> state = optimizer.init(params)
    >>> def objective(params, batch):
    ...     y = head.apply(params["head"], pn.tanh(body.apply(params["body"], batch["x"])))
    ...     kind = pn.losses.softmax_cross_entropy(y[:, :3], batch["class"])
    ...     return kind + pn.losses.squared_error(y[:, 3], batch["sum"])
    >>> @pn.jit
    ... def step(params, state, batch):
    ...     loss, grads = pn.value_and_grad(objective)(params, batch)
    ...     updates, state = optimizer.update(grads, state, params)
    ...     return pn.optim.apply_updates(params, updates), state, loss
    >>> for epoch in range(20):
    ...     for batch in pn.train.batches(data, 16, seed=0, epoch=epoch):
    ...         params, state, loss = step(params, state, batch)
    >>> float(objective(pn.optim.ema_params(state), data)) < 0.3
    True

Helpers for such loops: `batches` iterates over data in an order set by a seed,
`portnn.data.batches_by_length` over sequences in few shapes; `portnn.random.fold_in` makes the key of a step
for layers that need one (pass it as an argument); `Progress` shows a bar; `portnn.optim.loss_scale` is the
factor of the loss for half precision. On a GPU, collect losses and read them once per epoch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from portnn._progress import Progress
from portnn._suggest import missing
from portnn.train._batches import batches
from portnn.train._callback import Callback, CheckpointEvent, Epoch
from portnn.train._runners import DivergenceError
from portnn.train._state import FitConfig, NetState, Snapshot
from portnn.train._step import Batch, Dataset, make_gradient, make_step
from portnn.train._trainer import History, Trainer

if TYPE_CHECKING:
    from portnn.train import callbacks

__all__ = [
    "Batch", "Callback", "CheckpointEvent", "Dataset", "DivergenceError", "Epoch", "FitConfig", "History",
    "NetState", "Progress", "Snapshot", "Trainer", "batches", "callbacks", "make_gradient", "make_step",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "callbacks":  # imported on first use
        return import_module("portnn.train.callbacks")
    raise missing(__name__, name, __all__)
