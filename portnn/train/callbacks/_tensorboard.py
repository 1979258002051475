"""Log a training to TensorBoard files."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any, final

from portnn.train._callback import Callback, Epoch
from portnn.train._state import NetState

__all__ = ["TensorBoard"]

_WRITERS = ("tensorboardX", "torch.utils.tensorboard")


@final
class TensorBoard(Callback):
    """Write the metrics of each epoch to a TensorBoard folder.

    Training and validation metrics share a chart: "loss/train" and "loss/val". The files are written by
    tensorboardX, or by torch's writer if that is installed.

    Args:
        folder: the folder of the files; one per training.

    Raises:
        ImportError: at the start of the training, if neither package is installed.

    Example:
        >>> from portnn.train.callbacks import TensorBoard
        >>> log = TensorBoard("runs/first")  # fit(..., callbacks=[log]); then: tensorboard --logdir runs
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = os.fspath(folder)
        self._writer: Any = None

    def on_train_begin(self, state: NetState) -> None:
        """Open the files."""
        self._writer = _writer_class()(self._folder)

    def on_epoch_end(self, epoch: Epoch) -> None:
        """Write the metrics of the epoch."""
        for name, value in epoch.logs.items():
            part = "val" if name.startswith("val_") else "train"
            self._writer.add_scalar(f"{name.removeprefix('val_')}/{part}", float(value), epoch.number)
        self._writer.flush()

    def __exit__(self, *error: object) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _writer_class() -> Any:
    """Return the first writer that is installed."""
    for name in _WRITERS:
        try:
            return import_module(name).SummaryWriter
        except ImportError:
            continue
    raise ImportError('TensorBoard needs a package that writes its files: pip install "portnn[tensorboard]"')
