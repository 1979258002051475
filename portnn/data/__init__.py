"""Reading MNIST, tables, arrays and pictures; drawing and changing images, batches of sequences.

What is read are NumPy arrays, pixels as uint8: a network turns them into floats of its own backend.
`augment` works on images of any backend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from portnn._suggest import missing
from portnn.data import augment
from portnn.data._arrays import read_arrays, read_image
from portnn.data._csv import read_mnist_csv
from portnn.data._drawn import center_digit, draw_strokes
from portnn.data._errors import DataError, DownloadError
from portnn.data._idx import read_idx
from portnn.data._lengths import LengthBatch, Remainder, batches_by_length, pad
from portnn.data._mnist import load_mnist
from portnn.data._overlay import overlay
from portnn.data._read_table import read_table
from portnn.data._table import Table

__all__ = [
    "DataError", "DownloadError", "LengthBatch", "Remainder", "Table", "augment", "batches_by_length",
    "center_digit", "draw_strokes", "load_mnist", "overlay", "pad", "read_arrays", "read_idx", "read_image",
    "read_mnist_csv", "read_table",
]  # fmt: skip

if not TYPE_CHECKING:

    def __getattr__(name: str) -> None:
        raise missing(__name__, name, __all__)
