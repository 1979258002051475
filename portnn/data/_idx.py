"""The IDX format of MNIST: two zero bytes, a type code, the number of axes, their sizes, the values."""

from __future__ import annotations

import math
import struct
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from portnn.data._errors import DataError
from portnn.data._files import PathLike, as_path, open_packed, read_at_most, shown

# The third byte of the magic number, as the page of the MNIST database lists them.
_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MAX_AXES = 64  # what NumPy 2 can hold
_MAX_ELEMENTS = 2**63


def read_idx(file: PathLike) -> NDArray[Any]:
    """Read an IDX file of any type, plain, gzipped or alone in a zip archive.

    Header and values are big-endian, as defined on the page of the MNIST database. Memory is allocated as
    bytes are read, so a header that claims more than the file holds costs nothing.

    Args:
        file: path of the file.

    Returns:
        A new array of the shape in the header, with any number of axes, in the byte order of the machine:
        uint8 for the images of MNIST; int8, int16, int32, float32 or float64 where the header says so, such
        as the int32 labels of QMNIST.

    Raises:
        DataError: the file is empty, is not an IDX file, is damaged, or is shorter or longer than its header
            says.
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
        dtype, shape = _read_header(stream, name)
        size = math.prod(shape)
        data = read_at_most(stream, size * dtype.itemsize + 1)
    if len(data) < size * dtype.itemsize:
        held = len(data) // dtype.itemsize
        raise DataError(f"{name}: truncated: the header promises {size} values, the file holds {held}")
    if len(data) > size * dtype.itemsize:
        raise DataError(f"{name}: more bytes follow the {size} values that the header promises")
    values = np.frombuffer(data, dtype=dtype).reshape(shape)
    return values if dtype.isnative else values.byteswap(inplace=True).view(dtype.newbyteorder())


def _read_header(stream: IO[bytes], name: str) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Return the type of the values and the sizes of the axes, from a checked header."""
    magic = stream.read(4)
    if not magic:
        raise DataError(f"{name}: the file is empty, expected an IDX header")
    if len(magic) < 4 or magic[:2] != b"\0\0":
        raise DataError(f"{name}: wrong magic number 0x{magic.hex()}, expected an IDX file (0x0000...)")
    if magic[2] not in _TYPES:
        known = ", ".join(f"{code:02x}" for code in _TYPES)
        raise DataError(f"{name}: wrong magic number 0x{magic.hex()}: the third byte must be one of {known}")
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
    return np.dtype(_TYPES[magic[2]]), shape
