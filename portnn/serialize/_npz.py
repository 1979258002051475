"""Trees of arrays as NumPy's .npz, for programs that know no safetensors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile
from zlib import error as ZlibError

import numpy as np

from portnn import tree
from portnn._typing import Tree
from portnn.serialize._error import CheckpointError
from portnn.serialize._tensors import check_tensors, fill, whole_file

__all__ = ["load_npz", "save_npz"]

_ODD = (BadZipFile, ZlibError, OSError, EOFError, ValueError, KeyError, TypeError, RuntimeError, MemoryError)


def save_npz(path: str | os.PathLike[str], tensors: Tree) -> None:
    """Write a tree of NumPy arrays to an .npz file, each under its path in the tree, such as ``0.weight``.

    ``numpy.load`` reads it, without pickle. Unlike a network's own file it has no description and no
    SHA-256, only the CRC-32 of zip. The name is used as it is given.

    Args:
        path: the file; its folder exists.
        tensors: a tree of NumPy arrays of numbers or booleans.

    Raises:
        TypeError: if an array is of objects, which only pickle could write.
        FileNotFoundError: if the folder does not exist.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_npz(f"{folder}/a.npz", ({"weight": np.ones(2)},))
        ...     load_npz(f"{folder}/a.npz")["0.weight"].tolist()
        [1.0, 1.0]
    """
    named = {name: np.asarray(array) for name, array in tree.items(tensors)}
    for name, array in named.items():
        if array.dtype.hasobject:
            raise TypeError(f"tensor {name[:60]!r}: expected numbers, got an array of objects")
    with whole_file(path) as file, ZipFile(file, "w") as archive:
        for name, array in named.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def load_npz(path: str | os.PathLike[str], like: Tree | None = None) -> Any:
    """Read an .npz file, compressed or not, of arrays of numbers; nothing in it is unpickled.

    Args:
        path: the file.
        like: a tree of arrays with the shapes and dtypes that are expected. With it, nothing else is read,
            and names, shapes and dtypes are compared before memory is taken.

    Returns:
        The arrays by name; with `like`, a tree like it.

    Raises:
        FileNotFoundError: if there is no such file.
        CheckpointError: if it is no .npz file, is damaged, has arrays of objects, or does not fit.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.savez(f"{folder}/a.npz", w=np.ones(2))
        ...     load_npz(f"{folder}/a.npz", {"w": np.zeros(2)})
        {'w': array([1., 1.])}
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"cannot load {path}: no such file")
    try:
        with ZipFile(path) as archive:
            names = list(_names(archive))
            if like is not None:
                expected = {name: (a.shape, a.dtype) for name, a in tree.items(like)}
                check_tensors(expected, {name: _header(archive, name) for name in names}, path)
            arrays = {name: _member(archive, name) for name in names}
    except CheckpointError:
        raise
    except _ODD as error:
        raise CheckpointError(f"{path} is no whole .npz file of numbers: {str(error)[:120]}") from None
    return arrays if like is None else fill(like, arrays, path)


def _names(archive: ZipFile) -> Iterator[str]:
    """The names of the arrays, each of which comes once."""
    members = archive.namelist()
    if len(set(members)) != len(members) or not all(name.endswith(".npy") for name in members):
        raise ValueError("expected members that end in .npy, each once")
    return (name.removesuffix(".npy") for name in members)


def _header(archive: ZipFile, name: str) -> Any:
    """An array of the shape and dtype that a member says it has, which takes no memory."""
    with archive.open(f"{name}.npy") as member:
        version = np.lib.format.read_magic(member)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(member)
        elif version == (2, 0):
            shape, _, dtype = np.lib.format.read_array_header_2_0(member)
        else:
            raise ValueError(f"version {version} of the format .npy is for names of fields, not for numbers")
    if dtype.hasobject:
        raise ValueError("an array of objects")
    return np.broadcast_to(np.zeros((), dtype=dtype), shape)


def _member(archive: ZipFile, name: str) -> Any:
    with archive.open(f"{name}.npy") as member:
        array = np.lib.format.read_array(member, allow_pickle=False)
        if member.read(1):  # to the end, where zip compares the CRC
            raise ValueError(f"member {name[:60]!r} is longer than its array")
    return array
