"""Log a training to a CSV file."""

from __future__ import annotations

import csv
import os
from math import nan
from pathlib import Path
from typing import Any, final

from portnn.ops._options import check_flag
from portnn.train._callback import Callback, Epoch
from portnn.train._state import NetState
from portnn.train.callbacks._monitor import check_folder, loaded

__all__ = ["CSVLogger"]


@final
class CSVLogger(Callback):
    """Write a line for each epoch: its number, and its metrics in full precision.

    The file exists after the first epoch and is complete after each, so it can be followed during training.

    Args:
        path: the file, in an existing folder.
        append: whether to append to the file of an earlier training instead of replacing it; epoch numbers
            then continue.

    Raises:
        ValueError: in training, if the file to append to has other columns, or a log is new after the first
            epoch.
        FileNotFoundError: at the start of the training, if the folder does not exist.

    Example:
        >>> import tempfile, numpy as np
        >>> from pathlib import Path
        >>> from portnn.network import Network
        >>> from portnn.nn import Linear
        >>> from portnn.train.callbacks import CSVLogger
        >>> x, y = np.eye(4, dtype=np.float32), np.asarray([0, 1, 0, 1])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "log.csv")
        ...     _ = Network([Linear(4, 2)]).fit(x, y, epochs=2, callbacks=[CSVLogger(path)])
        ...     lines = path.read_text().splitlines()
        >>> lines[0], len(lines)
        ('epoch,loss,accuracy', 3)
    """

    def __init__(self, path: str | os.PathLike[str], *, append: bool = False) -> None:
        self._path = Path(path)
        self._append = check_flag("CSVLogger", "append", append)
        self._file: Any = None
        self._columns: list[str] = []
        self._before = self._done = 0
        self._loaded = False

    def on_train_begin(self, state: NetState) -> None:
        """Check the folder, and reset."""
        check_folder("CSVLogger", str(self._path))
        self._before = self._done = 0
        self._loaded = False

    def state_dict(self) -> dict[str, Any]:
        """Return the numbers of epochs in the file before this training, and of this training."""
        return {"before": self._before, "done": self._done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue after the line of the checkpoint's epoch; delete later lines."""
        self._before, self._done = loaded(state["before"], int), loaded(state["done"], int)
        self._loaded = True

    def on_epoch_end(self, epoch: Epoch) -> None:
        """Write a line."""
        if self._file is None:
            self._open(["epoch", *epoch.logs])
        if odd := sorted(epoch.logs.keys() - set(self._columns)):
            raise ValueError(
                f"CSVLogger: the log {odd[0]!r:.60} is new in epoch {epoch.number}, and the file has no "
                "column for it; add it after each epoch, as NaN where it has no value"
            )
        values = [repr(float(epoch.logs.get(name, nan))) for name in self._columns[1:]]
        row = [self._before + epoch.number, *values]
        csv.writer(self._file, lineterminator="\n").writerow(row)
        self._file.flush()
        self._done = epoch.number

    def _open(self, columns: list[str]) -> None:
        """Open the file with its header, or to append."""
        rows: list[list[str]] = []
        if (self._append or self._loaded) and self._path.exists():
            with self._path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.reader(file))
        if self._loaded and rows and {*columns} <= {*rows[0]}:
            columns = rows[0]
        if rows and rows[0] != columns:
            raise ValueError(
                f"CSVLogger: {self._path.name[-60:]} has the columns {', '.join(rows[0])[:80]}, not "
                f"{', '.join(columns)[:80]}; write to another file"
            )
        if self._loaded:
            last = self._before + self._done
            rows = [columns, *(row for row in rows[1:] if int(row[0]) <= last)]
        else:
            self._before = int(rows[-1][0]) if len(rows) > 1 else 0
        self._columns = columns
        self._file = self._path.open("a" if rows and not self._loaded else "w", newline="", encoding="utf-8")
        if self._loaded or not rows:
            csv.writer(self._file, lineterminator="\n").writerows(rows or [columns])

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
