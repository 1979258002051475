"""Callbacks: early stopping, checkpoints, learning-rate reduction, and logs.

Pass them to ``Network.fit(callbacks=[...])``. A function of a `portnn.Epoch` is a callback too, and stops the
training when it returns True:

    >>> stop_when_good = lambda epoch: epoch.logs["accuracy"] > 0.99

Monitored quantities are columns of the history: "loss", "accuracy", and with validation data "val_loss" and
"val_accuracy". A callback may be used in several trainings; each resets it. For a callback of your own,
make a subclass of `portnn.train.Callback`.
"""

from typing import TYPE_CHECKING

from portnn._suggest import missing
from portnn.train.callbacks._checkpoint import ModelCheckpoint
from portnn.train.callbacks._csv_log import CSVLogger
from portnn.train.callbacks._early_stopping import EarlyStopping
from portnn.train.callbacks._plateau import ReduceLROnPlateau
from portnn.train.callbacks._tensorboard import TensorBoard
from portnn.train.callbacks._training_checkpoint import Checkpoint

__all__ = ["CSVLogger", "Checkpoint", "EarlyStopping", "ModelCheckpoint", "ReduceLROnPlateau", "TensorBoard"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> None:
        raise missing(__name__, name, __all__)
