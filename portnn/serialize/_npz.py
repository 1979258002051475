"""Trees of arrays as NumPy's .npz, for programs that know no safetensors."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any, final
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import numpy as np

from portnn import tree
from portnn._typing import Tree
from portnn.serialize._error import CheckpointError
from portnn.serialize._header import header_room
from portnn.serialize._tensors import check_tensors, dtype_name, expected_tensors, fill, host_array
from portnn.serialize._whole import whole_file

__all__ = ["load_npz", "save_npz"]

_HEAD = 1 << 14  # bytes of a member in which NumPy's header must end; it reads no header over 10,000
_DEFLATE = (
    1032  # how many times its size deflate can stand for at most (zlib's own page of technical details)
)


def save_npz(path: str | os.PathLike[str], tensors: Tree) -> None:
    """Write a tree of arrays to an .npz file, each under its path in the tree, such as ``0.weight``.

    ``numpy.load`` reads it, without pickle. Unlike a network's own file it has no description and no
    SHA-256, only the CRC-32 of zip. The name is used as it is given.

    Args:
        path: the file; its folder exists.
        tensors: a tree of arrays of any library, of numbers or booleans.

    Raises:
        TypeError: if an array holds objects, which only pickle could write, or has a dtype that NumPy lacks,
            such as bfloat16; the message names it.
        ValueError: if two arrays have the same path, a name is not valid in an archive, or there are more
            names than `load_npz` would read.
        FileNotFoundError: if the folder does not exist.
        OSError: if the file cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_npz(f"{folder}/a.npz", ({"weight": np.ones(2)},))
        ...     load_npz(f"{folder}/a.npz")["0.weight"].tolist()
        [1.0, 1.0]
    """
    named = {name: _writable(name, array) for name, array in tree.named(tensors).items()}
    with whole_file(path) as file:
        with ZipFile(file, "w") as archive:
            for name, array in named.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)
        listed, size = file.tell() - archive.start_dir, file.tell()
        if listed > _room(size):
            raise ValueError(
                f"cannot save {path}: its list of names takes {listed:,} bytes, a file of {size:,} bytes may "
                f"have {_room(size):,}; join small arrays"
            )


def _writable(name: str, value: Any) -> Any:
    """Return a NumPy array that `load_npz` can read, after checking its name.

    Raises:
        TypeError: if it does not hold numbers.
        ValueError: if the archive would change the name.
    """
    dtype = getattr(value, "dtype", None)
    if getattr(dtype, "hasobject", False):
        raise TypeError(f"tensor {name[:60]!r}: expected numbers, got an array of objects")
    if dtype_name(dtype) == "bfloat16":
        raise TypeError(
            f"tensor {name[:60]!r}: .npz has no bfloat16; use save_tensors, or convert to float32 with astype"
        )
    member = f"{name}.npy"
    try:
        kept = ZipInfo(member).filename == member and len(member.encode()) < 1 << 16
    except UnicodeEncodeError:
        kept = False
    if not kept:
        raise ValueError(f"tensor {name[:60]!r}: a .npz file cannot hold this name; rename it")
    host = host_array(name, value)
    if host.dtype.isbuiltin == 2:  # from another package, such as ml_dtypes
        raise TypeError(
            f"tensor {name[:60]!r}: .npz has no {host.dtype.name}; convert to float32 with astype"
        )
    return host


def load_npz(path: str | os.PathLike[str], like: Tree | None = None) -> Any:
    """Read an .npz file, compressed or not, of arrays of numbers; nothing in it is unpickled.

    Args:
        path: the file.
        like: a tree of arrays of any library with the expected shapes and dtypes. With it, nothing else is
            read, and names, shapes and dtypes are compared before memory is allocated. Without it, a
            compressed file can unpack to a thousand times its size.

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
        with _InParts(path) as file, ZipFile(file) as archive:
            names = list(_names(archive))
            _check_places(archive, file.size)
            headers = {name: _header(archive, name) for name in names}
            if like is not None:
                check_tensors(expected_tensors(like), headers, path)
            arrays = {name: _member(archive, name) for name in names}
    except CheckpointError:
        raise
    except Exception as error:  # noqa: BLE001  # damaged bytes lead zipfile and NumPy's parser to any of them
        raise CheckpointError(f"{path} is no whole .npz file of numbers: {str(error)[:120]}") from None
    return arrays if like is None else fill(like, arrays, path)


def _names(archive: ZipFile) -> Iterator[str]:
    """The names of the arrays, each of which comes once."""
    members = archive.namelist()
    if len(set(members)) != len(members) or not all(name.endswith(".npy") for name in members):
        raise ValueError("expected members that end in .npy, each once")
    return (name.removesuffix(".npy") for name in members)


def _check_places(archive: ZipFile, size: int) -> None:
    """Check that the members do not overlap."""
    if sum([member.compress_size for member in archive.infolist()]) > size:
        raise ValueError("its members overlap")


def _room(size: int) -> int:
    """How many bytes the list of members of a file of `size` bytes may take; read, it takes 20 times that."""
    return header_room(size) // 2


@final
class _InParts(io.BufferedReader):
    """A file of which no more is read at a time than its list of members may take."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self.size = path.stat().st_size

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _room(self.size):
            raise ValueError(
                f"expected a list of members of at most {_room(self.size):,} bytes, got {size:,}"
            )
        return super().read(size)


def _header(archive: ZipFile, name: str) -> Any:
    """An array of the shape and dtype that a member says it has, which takes no memory."""
    with archive.open(f"{name}.npy") as member:
        head = io.BytesIO(member.read(_HEAD))
    version = np.lib.format.read_magic(head)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(head)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(head)
    else:
        raise ValueError(f"version {version} of the format .npy is for names of fields, not for numbers")
    if not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError(f"no array can have the shape {str(shape)[:40]}")
    if dtype.kind not in "biufc":
        raise ValueError(f"an array of {'objects' if dtype.hasobject else str(dtype)[:40]}")
    _check_size(archive.getinfo(f"{name}.npy"), head.tell() + prod(shape) * dtype.itemsize)
    return np.broadcast_to(np.zeros((), dtype=dtype), shape)


def _check_size(member: ZipInfo, size: int) -> None:
    """A member is as long as its array, and what it takes in the file can be unpacked to that.

    Raises:
        ValueError: if it is not.
    """
    name, found = member.filename[:60].removesuffix(".npy"), member.file_size
    if found != size:
        raise ValueError(f"member {name!r} is {'longer' if found > size else 'shorter'} than its array")
    times = {ZIP_STORED: 1, ZIP_DEFLATED: _DEFLATE}.get(member.compress_type, 0)
    if found > times * member.compress_size:
        raise ValueError(f"member {name!r} cannot hold {found:,} bytes in {member.compress_size:,}")


def _member(archive: ZipFile, name: str) -> Any:
    with archive.open(f"{name}.npy") as member:
        array = np.lib.format.read_array(member, allow_pickle=False)
        member.read(1)  # to the end, where zip compares the CRC
    return array
