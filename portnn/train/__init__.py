"""Training: steps, epochs, and what watches over them."""

from portnn.train import callbacks
from portnn.train._epoch import Callback, Epoch
from portnn.train._epochs import Plan, count_steps, run_epochs
from portnn.train._guard import DivergenceError, Guard
from portnn.train._history import History
from portnn.train._loop import Batch, Dataset, Snapshot, make_step
from portnn.train._planned import plan_training, run_planned_epochs
from portnn.train._progress import Progress

__all__ = [
    "Batch", "Callback", "Dataset", "DivergenceError", "Epoch", "Guard", "History", "Plan", "Progress",
    "Snapshot", "callbacks", "count_steps", "make_step", "plan_training", "run_epochs", "run_planned_epochs",
]  # fmt: skip
