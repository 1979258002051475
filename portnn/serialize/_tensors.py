"""Trees of arrays in safetensors files: numbers and names, never code."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from portnn import ops, tree
from portnn._typing import Tree
from portnn.backend import get_backend
from portnn.serialize._error import CheckpointError
from portnn.serialize._header import CODES, Header, Spec, bytes_of, header_room, make_header, parse_header
from portnn.serialize._whole import whole_file

__all__ = [
    "check_tensors", "expected_tensors", "fill", "host_array", "load_tensors", "read_checked", "save_tensors",
    "verify", "write_checked",
]  # fmt: skip

_CHUNK = 1 << 20  # bytes read and looked at in one go


def save_tensors(path: str | os.PathLike[str], tensors: Tree, description: Mapping[str, Any]) -> None:
    """Write a tree of arrays and a description of it to a safetensors file, with SHA-256 of all.

    The file is written under a temporary name in the same folder, flushed to the disk and renamed, so that
    at every moment `path` holds either the old file or the new one, whole.

    Args:
        path: the file; its folder exists.
        tensors: a tree of arrays of any library; each is stored under its path in the tree, such as
            ``0.weight``. bfloat16 of PyTorch, JAX and ml_dtypes is stored as the format's BF16.
        description: plain data that JSON can hold, stored in the header.

    Raises:
        FileNotFoundError: if the folder does not exist.
        IsADirectoryError: if `path` is a folder.
        OSError: if the file cannot be written, as when the disk is full; `path` is as it was.
        TypeError: if the description is not plain data, or the format has no such dtype; the message names
            the tensor.
        ValueError: if two tensors have the same path, or if `load_tensors` would refuse the file, because
            names and description are too long for its size, or the description is nested too deep.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_tensors(f"{folder}/a.safetensors", {"w": np.ones(2)}, {"version": 1})
        ...     arrays, description = load_tensors(f"{folder}/a.safetensors")
        >>> arrays["w"].tolist(), description
        ([1.0, 1.0], {'version': 1})
    """
    write_checked(path, tensors, description, lambda _: None)


def write_checked(
    path: str | os.PathLike[str],
    tensors: Tree,
    description: Mapping[str, Any],
    check: Callable[[Header], None],
) -> None:
    """Write a file after checking its header as if it had been read.

    Args:
        path: the file.
        tensors: as for `save_tensors`.
        description: likewise.
        check: called with the header; raises `CheckpointError` if `load` would refuse the file.

    Raises:
        OSError: as for `save_tensors`.
        TypeError: likewise.
        ValueError: likewise, and if the check refuses the header.
    """
    named = {name: _stored(name, array) for name, array in tree.named(tensors).items()}
    # Wide dtypes first, so that each tensor is aligned as its numbers need it.
    order = sorted(named, key=lambda name: (-named[name][1].dtype.itemsize, name))
    arrays = {name: named[name] for name in order}
    header = make_header(arrays, description)
    try:
        check(parse_header(header, len(header) + sum(a.nbytes for _, a in arrays.values()), path))
    except CheckpointError as error:
        raise ValueError(f"cannot save {str(error)[:270]}") from None
    with whole_file(path) as file:
        file.write(header)
        for _, array in arrays.values():
            file.write(bytes_of(array))


def dtype_name(dtype: Any) -> str:
    """Return the standard's name of a dtype of any library, such as "float32" or "bfloat16"."""
    return str(getattr(dtype, "name", dtype)).rpartition(".")[2]


def host_array(name: str, value: Any) -> Any:
    """Return a tensor as a NumPy array.

    Raises:
        TypeError: if it does not hold numbers, or NumPy lacks its dtype; the message names the tensor.
        ValueError: if its library cannot convert it, likewise.
    """
    try:
        return get_backend("numpy").to_numpy(value)
    except (TypeError, ValueError) as error:
        raise type(error)(f"tensor {name[:60]!r}: {str(error).removeprefix('x ')[:200]}") from None


def _stored(name: str, value: Any) -> tuple[str, Any]:
    """Return the format's name of a tensor's dtype, and a contiguous little-endian array of it.

    Raises:
        TypeError: if the format has no such dtype.
    """
    if dtype_name(getattr(value, "dtype", "")) == "bfloat16":
        wide = np.asarray(host_array(name, ops.astype(value, "float32")), order="C")
        return "BF16", (wide.view(np.uint32) >> 16).astype("<u2")
    host = host_array(name, value)
    array = np.asarray(host, dtype=host.dtype.newbyteorder("<"), order="C")
    code = CODES.get(array.dtype)
    if code is None:
        raise TypeError(
            f"tensor {name[:60]!r}: the format has no dtype {array.dtype.name}; convert with astype"
        )
    return code, array


def load_tensors(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a file that `save_tensors` wrote; every byte of it is checked.

    Files of portnn before version 0.2 have no digests; of these the layout alone can be checked.

    Args:
        path: the file.

    Returns:
        The NumPy arrays by name, and the description. NumPy has no bfloat16: such tensors are read as
        float32, which represents all their values exactly.

    Raises:
        FileNotFoundError: if there is no such file.
        CheckpointError: if it is not a safetensors file, is damaged, or was not written by portnn.
    """
    arrays, header = read_checked(path, lambda _: None)
    return arrays, header.description


def read_checked(
    path: str | os.PathLike[str], check: Callable[[Header], None], *, keep: bool = True
) -> tuple[dict[str, Any], Header]:
    """Read a file whose header is looked at before any memory is taken for its tensors.

    The file is read in pieces and not mapped into memory, where it would count twice and end the program if
    someone cut it off meanwhile.

    Args:
        path: the file.
        check: is given the header, and raises if it is not what it should be.
        keep: whether the arrays are wanted, or the check of their digests alone.

    Returns:
        The arrays by name (none if they are not to be kept), and the header.

    Raises:
        FileNotFoundError: if there is no such file.
        CheckpointError: if it is damaged or was not written by portnn.
    """
    path = Path(path)
    try:
        _check_file(path)
        with path.open("rb") as file:
            header = _read_header(file, path)
            check(header)
            arrays = {}
            for spec in header.tensors.values():  # in the order in which they lie
                array = _read_tensor(file, spec, path, keep)
                if keep:
                    arrays[spec.name] = array
    except FileNotFoundError:
        raise
    except OSError as error:
        raise CheckpointError(
            f"{str(path)[-120:]} cannot be read: {error.strerror or error!s:.120}"
        ) from None
    return arrays, header


def _check_file(path: Path) -> None:
    if not path.is_file():
        kind = "it is a folder" if path.is_dir() else "no such file"
        raise FileNotFoundError(f"cannot load {path}: {kind}")


def _read_header(file: BinaryIO, path: Path) -> Header:
    size = os.fstat(file.fileno()).st_size
    first = file.read(8)
    length = struct.unpack("<Q", first)[0] if len(first) == 8 else 0
    if not 2 <= length <= min(size - 8, header_room(size)):
        raise CheckpointError(
            f"{path} is not a whole safetensors file: its {size} bytes do not begin with a header"
        )
    raw = first + file.read(length)
    if len(raw) != length + 8:
        raise CheckpointError(f"{path} is not a whole safetensors file: it ends within its header")
    return parse_header(raw, size, path)


def _read_tensor(file: BinaryIO, spec: Spec, path: Path, keep: bool) -> Any:
    """The next tensor of a file, if its digest is right; None if it is not kept."""
    array = np.empty(spec.shape if keep else 0, dtype=spec.stored)
    view = bytes_of(array)
    scratch: Any = np.empty(0 if keep else min(_CHUNK, spec.size), dtype=np.uint8)
    digest = sha256()
    for start in range(0, spec.size, _CHUNK):
        count = min(_CHUNK, spec.size - start)
        piece = view[start : start + count] if keep else scratch[:count]
        if file.readinto(piece) != count:  # type: ignore[attr-defined]  # typeshed lacks it
            raise CheckpointError(f"{path} is not whole: it ends within tensor {spec.name[:60]!r}")
        if spec.dtype.kind == "b" and piece.max() > 1:
            raise CheckpointError(f"{path}: tensor {spec.name[:60]!r} has booleans that are neither 0 nor 1")
        digest.update(piece)
    if spec.digest is not None and digest.hexdigest() != spec.digest:
        raise CheckpointError(
            f"{path} is damaged: tensor {spec.name[:60]!r} has the SHA-256 {digest.hexdigest()[:16]}..., "
            f"expected {spec.digest[:16]!r}..."
        )
    if not keep:
        return None
    if spec.stored == spec.dtype:
        return array
    return (array.astype("<u4") << 16).view(spec.dtype)  # bfloat16 is the upper half of a float32


def verify(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Check every byte of a file against its digests, in no more memory than its header takes.

    Args:
        path: the file.

    Returns:
        The description.

    Raises:
        FileNotFoundError: if there is no such file.
        CheckpointError: if the file is damaged, has no digests, or was not written by portnn.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_tensors(f"{folder}/a.safetensors", {"w": np.ones(2)}, {"version": 1})
        ...     verify(f"{folder}/a.safetensors")
        {'version': 1}
    """

    def check(header: Header) -> None:
        if not header.checked:
            raise CheckpointError(f"{path} has no digests, it was written by an old portnn; save it again")

    return read_checked(path, check, keep=False)[1].description


def check_tensors(
    expected: Mapping[str, tuple[tuple[int, ...], Any]], found: Mapping[str, Any], path: Any
) -> None:
    """Compare names, shapes and dtypes of tensors with those that are expected.

    Args:
        expected: shapes and dtypes by names.
        found: arrays, or what else has a shape and a dtype, by names.
        path: the file, for messages.

    Raises:
        CheckpointError: if a name is missing or unknown, or a shape or dtype differs.
    """
    if odd := sorted(expected.keys() ^ found.keys()):
        kind = "lacks" if odd[0] in expected else "has the unknown"
        raise CheckpointError(
            f"{path} {kind} tensor {odd[0][:60]!r}; expected {len(expected)} tensors, got {len(found)}"
        )
    for name, (shape, dtype) in expected.items():
        there = found[name]
        if there.shape != shape or there.dtype != dtype:
            raise CheckpointError(
                f"{path}: tensor {name[:60]!r} has shape {str(there.shape)[:60]} and dtype {there.dtype}; "
                f"expected {str(shape)[:60]} and {dtype}"
            )


def expected_tensors(template: Tree) -> dict[str, tuple[tuple[int, ...], Any]]:
    """Return the shape and NumPy dtype, by name, that each array of a tree has when read from a file.

    Raises:
        ValueError: if two arrays have the same name.
    """
    return {
        name: (
            tuple(a.shape),
            np.dtype({"bfloat16": "float32"}.get(dtype_name(a.dtype), dtype_name(a.dtype))),
        )
        for name, a in tree.named(template).items()
    }


def fill(template: Tree, arrays: Mapping[str, Any], path: str | os.PathLike[str]) -> Tree:
    """Put the arrays of a file into a tree, each at the place that its name says.

    So the parameters of a network on NumPy with layers of your own, which `Network.save` refuses, are saved
    by ``save_tensors(path, net.params, {})`` and come back, into a network that was built in the same way,
    by ``net.load_params(load_tensors(path)[0])``, or checked against the file's dtypes too by
    ``net.load_params(fill(net.params, load_tensors(path)[0], path))``.

    Args:
        template: a tree of arrays of any library with the expected shapes and dtypes; float32 stands for
            bfloat16, as in `load_tensors`.
        arrays: the NumPy arrays by name.
        path: the file they came from, for messages.

    Returns:
        A tree like the template.

    Raises:
        CheckpointError: if a name is missing or unknown, a shape or dtype differs, or a value is not finite.

    Example:
        >>> fill({"w": np.zeros(2)}, {"w": np.ones(2)}, "a.safetensors")["w"].tolist()
        [1.0, 1.0]
    """
    expected = expected_tensors(template)
    check_tensors(expected, arrays, path)
    for name in expected:
        flat = arrays[name].reshape(-1)
        pieces = range(0, flat.size, _CHUNK)
        if flat.dtype.kind == "f" and not all(np.isfinite(flat[i : i + _CHUNK]).all() for i in pieces):
            raise CheckpointError(f"{path}: tensor {name!r} has values that are not finite")
    return tree.unflatten(template, [arrays[name] for name in expected])
