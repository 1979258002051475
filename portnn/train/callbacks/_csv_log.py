"""The course of a training as a CSV file."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any, Self, final

from portnn._typing import Tree
from portnn.ops._options import check_flag
from portnn.train._epoch import Epoch
from portnn.train.callbacks._monitor import check_folder, recalled

__all__ = ["CSVLogger"]


@final
class CSVLogger:
    """Write a line for each epoch: its number, and its values to the last digit.

    The file is there after the first epoch and complete after each, so a training can be watched by it.

    Args:
        path: the file; its folder exists.
        append: whether to go on below what an earlier training wrote, instead of starting anew. Epochs are
            then counted on.

    Raises:
        ValueError: in the training, if the file that is to be appended to has other columns.
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
        self._before = self._done = 0
        self._recalled = False

    def __enter__(self) -> Self:
        check_folder("CSVLogger", str(self._path))
        self._before = self._done = 0
        self._recalled = False
        return self

    def remember(self) -> tuple[dict[str, Any], Tree]:
        """What a checkpoint keeps: the epochs of the file before this training, and those of it."""
        return {"before": self._before, "done": self._done}, {}

    def recall(self, data: dict[str, Any], arrays: Tree, model: Any) -> None:
        """Go on below the line of the last epoch that counts; what came after it goes."""
        self._before, self._done = recalled(data["before"], int), recalled(data["done"], int)
        self._recalled = True

    def __call__(self, epoch: Epoch) -> None:
        if self._file is None:
            self._open(["epoch", *epoch.logs])
        row = [self._before + epoch.number, *(repr(float(v)) for v in epoch.logs.values())]
        csv.writer(self._file, lineterminator="\n").writerow(row)
        self._file.flush()
        self._done = epoch.number

    def _open(self, columns: list[str]) -> None:
        """Open the file with its first line, or at the end of what is there."""
        rows: list[list[str]] = []
        if (self._append or self._recalled) and self._path.exists():
            with self._path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.reader(file))
        if rows and rows[0] != columns:
            raise ValueError(
                f"CSVLogger: {self._path.name[-60:]} has the columns {', '.join(rows[0])[:80]}, not "
                f"{', '.join(columns)[:80]}; write to another file"
            )
        if self._recalled:
            last = self._before + self._done
            rows = [columns, *(row for row in rows[1:] if int(row[0]) <= last)]
        else:
            self._before = int(rows[-1][0]) if len(rows) > 1 else 0
        self._file = self._path.open(
            "a" if rows and not self._recalled else "w", newline="", encoding="utf-8"
        )
        if self._recalled or not rows:
            csv.writer(self._file, lineterminator="\n").writerows(rows or [columns])

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
