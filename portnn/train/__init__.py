"""Training: steps, epochs, and what watches over them."""

from portnn.train._epoch import Callback, Epoch
from portnn.train._guard import DivergenceError, Guard
from portnn.train._history import History
from portnn.train._loop import Batch, Dataset, Snapshot, make_step
from portnn.train._progress import Progress

__all__ = [
    "Batch", "Callback", "Dataset", "DivergenceError", "Epoch", "Guard", "History", "Progress", "Snapshot",
    "make_step",
]  # fmt: skip
