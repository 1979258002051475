"""MNIST from a folder, in whichever of its usual forms the folder holds it, or from a mirror."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from portnn.data._csv import read_mnist_csv
from portnn.data._download import fetch_mnist
from portnn.data._errors import DataError
from portnn.data._files import PathLike, as_path, shown
from portnn.data._idx import read_idx

_SIDE = 28
_MAX_LABEL = 9
_PREFIXES = {"train": "train", "test": "t10k"}


def load_mnist(
    path: PathLike | None = None, split: str = "train"
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Load the images and labels of handwritten digits.

    A folder may hold the IDX files (``train-images-idx3-ubyte`` and so on, with ``.idx3`` too, plain or
    ``.gz``) or the CSV files ``mnist_train.csv`` and ``mnist_test.csv`` (plain, ``.gz`` or ``.zip``). A
    complete pair of IDX files is preferred. Without a folder the files are downloaded once by pooch
    (``pip install "portnn[data]"``), compared with their known SHA-256, and kept in the user's cache.

    Args:
        path: folder with the files, or None to download them.
        split: ``"train"`` (60,000 images) or ``"test"`` (10,000 images).

    Returns:
        The images, uint8 of shape (n, 28, 28), 0 for paper and 255 for ink, and the labels, uint8 of shape
        (n,), from 0 to 9.

    Raises:
        DataError: a file is malformed, or images and labels do not belong together.
        DownloadError: no mirror could be reached, or none had the right files.
        FileNotFoundError: the folder does not exist, or holds no complete set of files of this split.
        ImportError: there is no path, and pooch is not installed.
        NotADirectoryError: the path is a file.
        ValueError: the split is another word.

    The database is described in LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to
    document recognition", Proceedings of the IEEE 86 (1998), section III.A.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     images = bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 28, 0, 0, 0, 28]) + bytes(784)
        ...     labels = bytes([0, 0, 8, 1, 0, 0, 0, 1, 5])
        ...     _ = pathlib.Path(folder, "train-images-idx3-ubyte").write_bytes(images)
        ...     _ = pathlib.Path(folder, "train-labels-idx1-ubyte").write_bytes(labels)
        ...     x, y = load_mnist(folder, "train")
        >>> x.shape, y.tolist()
        ((1, 28, 28), [5])
    """
    if str(split) not in _PREFIXES:
        raise ValueError(f"split must be 'train' or 'test', got {str(split)[:40]!r}")
    if path is None:
        return _read_pair(*fetch_mnist(_PREFIXES[split]))
    folder = as_path(path, "path")
    _check_folder(folder)
    images, labels = _find_idx(folder, split, "images"), _find_idx(folder, split, "labels")
    if images and labels:
        return _read_pair(images, labels)
    table = _first(folder, [f"mnist_{split}{end}" for end in (".csv", ".csv.gz", ".csv.zip", ".zip")])
    if table:
        return read_mnist_csv(table)
    raise FileNotFoundError(_missing(folder, split, images, labels))


def _check_folder(folder: Path) -> None:
    """See that there is a folder at all."""
    if not folder.exists():
        raise FileNotFoundError(f"{shown(folder)}: no such folder")
    if not folder.is_dir():
        raise NotADirectoryError(
            f"{shown(folder)}: is a file, expected a folder; read_idx and read_mnist_csv read single files"
        )


def _idx_name(split: str, kind: str) -> str:
    """The name that the database's authors gave to a file, without packing."""
    return f"{_PREFIXES[split]}-{kind}-idx{3 if kind == 'images' else 1}-ubyte"


def _find_idx(folder: Path, split: str, kind: str) -> Path | None:
    """The IDX file of images or of labels under one of its names."""
    name = _idx_name(split, kind)
    dotted = name.replace("-idx", ".idx")
    return _first(folder, [name, name + ".gz", dotted, dotted + ".gz"])


def _first(folder: Path, names: list[str]) -> Path | None:
    """The first of the names that is there: a file, or else a folder, of which the reader will complain."""
    found = [folder / name for name in names if (folder / name).exists()]
    return next((file for file in found if file.is_file()), found[0] if found else None)


def _missing(folder: Path, split: str, images: Path | None, labels: Path | None) -> str:
    """What to say of a folder without a complete set of files."""
    present = images or labels
    if present:
        kind = "labels" if images else "images"
        return f"{shown(folder)}: holds {present.name} without {kind}; add {_idx_name(split, kind)} (or .gz)"
    pair = " and ".join(_idx_name(split, kind) for kind in ("images", "labels"))
    return f"{shown(folder)}: no {split} data; expected {pair} (or .gz), or mnist_{split}.csv (or .gz, .zip)"


def _read_pair(images_file: Path, labels_file: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images and labels from two IDX files that must fit together."""
    labels = read_idx(labels_file)
    if labels.ndim != 1:
        raise DataError(f"{shown(labels_file)}: labels have one axis, this file has {labels.ndim}")
    if labels.dtype.kind not in "iu":
        raise DataError(f"{shown(labels_file)}: labels are whole numbers, this file holds {labels.dtype}")
    wrong = (labels > _MAX_LABEL) | (labels < 0)
    if wrong.any():
        place = int(np.argmax(wrong))
        what = f"is over {_MAX_LABEL}" if labels[place] > 0 else "is below 0"
        raise DataError(f"{shown(labels_file)}: label {labels[place]} at index {place} {what}")
    images = read_idx(images_file)
    if images.dtype != np.uint8:
        raise DataError(f"{shown(images_file)}: pixels are unsigned bytes, this file holds {images.dtype}")
    if images.shape[1:] != (_SIDE, _SIDE):
        raise DataError(f"{shown(images_file)}: shape {images.shape[:4]}, expected (n, {_SIDE}, {_SIDE})")
    if images.shape[0] != labels.shape[0]:
        counts = f"{images.shape[0]} images, but {labels.shape[0]} labels in {labels_file.name}"
        raise DataError(f"{shown(images_file)}: {counts}")
    if not images.shape[0]:
        raise DataError(f"{shown(images_file)}: holds no images")
    return images, labels.astype(np.uint8, copy=False)
