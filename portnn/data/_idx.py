"""The IDX format of MNIST: two zero bytes, a type code, the number of axes, their sizes, the values."""

from __future__ import annotations

import math
import struct
from typing import IO

import numpy as np
from numpy.typing import NDArray

from portnn.data._errors import DataError
from portnn.data._files import PathLike, as_path, open_packed, read_at_most, shown

_UNSIGNED_BYTE = 0x08
_MAX_AXES = 64  # what NumPy 2 can hold
_MAX_ELEMENTS = 2**63


def read_idx(file: PathLike) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, plain, gzipped or alone in a zip archive.

    The header is read as big-endian, as the page of the MNIST database lays it down. Memory is taken as
    the file yields bytes, so a header that claims more than the file holds costs nothing.

    Args:
        file: path of the file.

    Returns:
        A new uint8 array of the shape in the header, with any number of axes.

    Raises:
        DataError: the file is empty, is no IDX file, holds another type than unsigned bytes, is damaged,
            or is shorter or longer than its header says.
        FileNotFoundError: there is no such file.
        IsADirectoryError: the path is a folder.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder) / "labels-idx1-ubyte"
        ...     _ = file.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
        ...     read_idx(file)
        array([7, 2, 1], dtype=uint8)
    """
    path = as_path(file, "file")
    name = shown(path)
    with open_packed(path) as stream:
        shape = _read_shape(stream, name)
        size = math.prod(shape)
        data = read_at_most(stream, size + 1)
    if len(data) < size:
        raise DataError(f"{name}: truncated: the header promises {size} values, the file holds {len(data)}")
    if len(data) > size:
        raise DataError(f"{name}: more bytes follow the {size} values that the header promises")
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)


def _read_shape(stream: IO[bytes], name: str) -> tuple[int, ...]:
    """The sizes of the axes, from a checked header."""
    magic = stream.read(4)
    if not magic:
        raise DataError(f"{name}: the file is empty, expected an IDX header")
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise DataError(f"{name}: wrong magic number 0x{magic.hex()}, expected an IDX file (0x0000...)")
    if magic[2] != _UNSIGNED_BYTE:
        raise DataError(f"{name}: wrong magic number 0x{magic.hex()}: the third byte must be 08 (bytes)")
    n_axes = magic[3]
    if n_axes > _MAX_AXES:
        raise DataError(f"{name}: the header claims {n_axes} axes, at most {_MAX_AXES} can be read")
    sizes = stream.read(4 * n_axes)
    if len(sizes) < 4 * n_axes:
        raise DataError(f"{name}: truncated inside the header, expected {4 + 4 * n_axes} bytes of it")
    shape = struct.unpack(f">{n_axes}I", sizes)
    # Zeros are left out: NumPy refuses a shape whose other axes overflow, though it holds nothing.
    if math.prod(n for n in shape if n) >= _MAX_ELEMENTS:
        raise DataError(f"{name}: the header claims a shape of 2**63 values or more")
    return shape
