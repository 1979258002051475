"""The header of a safetensors file: written with digests, and read without trusting a byte of it.

A file is eight bytes with the length of its header, the header in JSON, and the tensors one after the other
without gaps (safetensors' own page "Format"). That format has no checksum, so three entries stand among its
metadata, which any other reader hands on as text:

- ``portnn``: the description of what the file holds.
- ``portnn.tensors``: the SHA-256 of each tensor's bytes, by names.
- ``portnn.sha256``: the SHA-256 of the length and the header, in which these 64 digits are zeros. The header
  holds the digests of the tensors and the tensors fill the rest of the file, so this is one of everything.

Digests show damage. They do not show who wrote a file.

JSON becomes objects of up to 45 times its size: a list takes 88 bytes and is written with two. So the length
of a header and how many values it has are bounded by the size of its file, and looked at before it is read.

The same checks run on a header before it is written: what they refuse is not written.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from math import isfinite, prod
from typing import Any, Never, final

import numpy as np

from portnn.serialize._error import CheckpointError

__all__ = ["CODES", "Header", "Spec", "bytes_of", "header_room", "make_header", "parse_header"]

_ROOM = 2 << 20  # bytes of header that the smallest file may have: 10,000 tensors
_SHARE = 64  # larger files may have a 64th of theirs
_MOST_ROOM = 100_000_000  # safetensors' own reader takes no more
_DENSE = 16  # bytes of that room for each value; a long header of portnn's has as many
_AXES = 32
_MOST = 2**63  # bytes or elements: more than any file has
_DEPTH = 300  # levels of lists and dicts: 100 nested layers have 200, and Python reads 900
_DESCRIPTION, _TENSORS, _WHOLE = "portnn", "portnn.tensors", "portnn.sha256"
_ZEROS = "0" * 64
_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1", "BF16": "<f4",
}  # fmt: skip
_STORED = {
    **_DTYPES,
    "BF16": "<u2",
}  # NumPy has no bfloat16: its bits are the upper half of those of a float32
CODES = {np.dtype(own): code for code, own in _DTYPES.items() if code != "BF16"}


@final
@dataclass(frozen=True)
class Spec:
    """What a tensor is, and where it lies.

    Attributes:
        name: its name.
        dtype: the NumPy dtype of the array that is read.
        stored: the dtype of its bytes in the file: the same, except for bfloat16, which is read as float32.
        shape: its shape.
        start: its first byte, counted from the beginning of the file.
        digest: the SHA-256 of its bytes in hexadecimal; None in a file without digests.
    """

    name: str
    dtype: Any
    stored: Any
    shape: tuple[int, ...]
    start: int
    digest: str | None

    @property
    def size(self) -> int:
        """Return the number of its bytes in the file."""
        return prod(self.shape) * int(self.stored.itemsize)


@final
@dataclass(frozen=True)
class Header:
    """A header that was checked in full.

    Attributes:
        description: what the file says it holds.
        tensors: the tensors in the order in which they lie, by names.
        checked: whether the file has digests, and that of the header is right.
    """

    description: dict[str, Any]
    tensors: dict[str, Spec]
    checked: bool


def header_room(size: int) -> int:
    """How many bytes the header of a file of `size` bytes may have."""
    return min(max(_ROOM, size // _SHARE), _MOST_ROOM)


def _overfull(text: bytes, size: int) -> str:
    """Why a file of `size` bytes may not have this header; empty if it may."""
    room = header_room(size)
    values = sum([text.count(c) for c in (b"{", b"[", b":", b",")])
    if len(text) <= room and values <= room // _DENSE:
        return ""
    return (
        f"names and description take {len(text):,} bytes with {values:,} values, "
        f"a file of {size:,} bytes may have {room:,} with {room // _DENSE:,}"
    )


def bytes_of(array: Any) -> Any:
    """The bytes of a contiguous array, as an array that shares them."""
    return array.reshape(-1).view(np.uint8)


def make_header(arrays: Mapping[str, tuple[str, Any]], description: Mapping[str, Any]) -> bytes:
    """The beginning of a file: the length of the header, and the header.

    Args:
        arrays: the format's name of the dtype and a contiguous NumPy array of the bytes, by the names of the
            tensors, in the order of the file.
        description: plain data.

    Raises:
        TypeError: if the description is not plain data.
        ValueError: if the header is too long for the size of the file, or would be refused when read.
    """
    entries: dict[str, Any] = {}
    end = 0
    if "__metadata__" in arrays:
        raise ValueError("the name '__metadata__' is that of the description; call the tensor something else")
    for name, (code, a) in arrays.items():
        _check_name(name)
        entries[name] = {"dtype": code, "shape": list(a.shape), "data_offsets": [end, end := end + a.nbytes]}
    metadata = {
        _DESCRIPTION: _as_json(description),
        _TENSORS: json.dumps({name: sha256(bytes_of(a)).hexdigest() for name, (_, a) in arrays.items()}),
        _WHOLE: _ZEROS,
    }
    text = json.dumps({"__metadata__": metadata, **entries}, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the tensors are aligned
    if reason := _overfull(text, 8 + len(text) + end):
        raise ValueError(f"cannot save: {reason}; put long lists into files of their own")
    raw = struct.pack("<Q", len(text)) + text
    return raw.replace(_entry(_ZEROS), _entry(sha256(raw).hexdigest()))


def _check_name(name: str) -> None:
    """Check that a name is valid Unicode for all readers: JSON would allow a lone surrogate."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError(f"tensor {name[:60]!r}: a file cannot hold this name; rename it") from None


def _as_json(description: Mapping[str, Any]) -> str:
    """Return a description as JSON that reads back as the same value.

    Raises:
        TypeError: if it is not plain data: a dict key that is not a str would come back as one.
        ValueError: if a number is not finite, or it is nested too deep.
    """
    if not isinstance(description, Mapping):
        raise TypeError(f"the description must be a dict, got {type(description).__name__}")
    if _depth(description) > _DEPTH:
        raise ValueError(f"cannot save: the description is nested deeper than {_DEPTH} levels")
    return json.dumps(dict(description), allow_nan=False)


def _depth(data: Any) -> int:
    """Return the depth of nested lists and dicts, at most one more than is allowed.

    Raises:
        TypeError: if a dict has a key that is not a str.
    """
    level, depth = [data], 0
    while depth <= _DEPTH:
        inner: list[Any] = []
        for value in level:
            if isinstance(value, Mapping):
                if odd := [key for key in value if not isinstance(key, str)]:
                    kind = type(odd[0]).__name__
                    raise TypeError(f"description: keys must be text, as in JSON, got {kind} {odd[0]!r:.40}")
                inner += value.values()
            elif isinstance(value, list | tuple):
                inner += value
        level = [value for value in inner if isinstance(value, Mapping | list | tuple)]
        depth += 1
        if not level:
            break
    return depth


def _entry(digits: str) -> bytes:
    """The entry of the digest of the whole, as it is written."""
    return f'"{_WHOLE}":"{digits}"'.encode()


def parse_header(raw: bytes, size: int, path: Any) -> Header:
    """Read and check what stands before the tensors.

    Args:
        raw: the length of the header, and the header.
        size: how many bytes the file has.
        path: the file, for messages.

    Raises:
        CheckpointError: if anything is not as it should be.
    """
    text = raw[8:]
    if reason := _overfull(text, size):
        raise CheckpointError(f"{path} is no file of portnn: {reason}")
    try:
        entries = _parsed(text.decode())
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged: its header is no JSON: {str(error)[:120]}") from None
    metadata = entries.pop("__metadata__", None) if isinstance(entries, dict) else None
    if not isinstance(metadata, dict) or _DESCRIPTION not in metadata:
        raise CheckpointError(f"{path} was not written by portnn: its header has no entry {_DESCRIPTION!r}")
    if odd := sorted(metadata.keys() - {_DESCRIPTION, _TENSORS, _WHOLE}):
        raise CheckpointError(f"{path} is damaged or was changed: the header has the unknown {odd[0][:60]!r}")
    checked = len(metadata) > 1
    if checked:
        _check_whole(raw, metadata.get(_WHOLE), path)
    digests = _plain(metadata[_TENSORS], path) if checked and _TENSORS in metadata else {}
    if checked and digests.keys() != entries.keys():
        raise CheckpointError(f"{path} is damaged: expected a digest for each tensor, got {len(digests)}")
    tensors = _layout(entries, digests, len(raw), size, path)
    return Header(_plain(metadata[_DESCRIPTION], path), tensors, checked)


def _parsed(text: str) -> Any:
    """Parse JSON; raise for duplicate names and numbers that are not finite."""
    return json.loads(text, object_pairs_hook=_once, parse_constant=_refuse, parse_float=_finite)


def _finite(text: str) -> float:
    """Parse a number; Python would read 1e400 as infinity, which cannot be saved again."""
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"{text[:20]} is beyond float64")
    return number


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON whose names come once."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands there twice")
    return found


def _refuse(name: str) -> Never:
    raise ValueError(f"{name} is no number of JSON")


def _plain(text: Any, path: Any) -> dict[str, Any]:
    """An object that stands as text among the metadata."""
    try:
        found = _parsed(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: the description in the header is damaged: {str(error)[:120]}"
        ) from None
    if not isinstance(found, dict):
        raise CheckpointError(f"{path}: the description in the header is not an object")
    if _depth(found) > _DEPTH:
        raise CheckpointError(f"{path}: the description in the header is nested deeper than {_DEPTH} levels")
    return found


def _check_whole(raw: bytes, digits: Any, path: Any) -> None:
    """The digest of the header is right."""
    written = _entry(digits) if isinstance(digits, str) and len(digits) == 64 else b""
    if not written or raw.count(written) != 1:
        raise CheckpointError(f"{path} is damaged: expected the SHA-256 of the whole once in its header")
    found = sha256(raw.replace(written, _entry(_ZEROS))).hexdigest()
    if found != digits:
        raise CheckpointError(
            f"{path} is damaged: its header has the SHA-256 {found[:16]}..., expected {digits[:16]!r}..."
        )


def _layout(
    entries: dict[str, Any], digests: dict[str, Any], start: int, size: int, path: Any
) -> dict[str, Spec]:
    """The tensors in the order in which they lie, if they fill the file from the header to its end."""
    found = sorted(
        (_spec(name, e, digests.get(name), path) for name, e in entries.items()), key=lambda t: t[1:]
    )
    end = 0
    tensors = {}
    for spec, first, last in found:
        if first != end or last - first != spec.size:
            raise CheckpointError(
                f"{path}: tensor {spec.name[:60]!r} of {str(spec.size)[:40]} bytes should lie at {end}, "
                f"but the header has it from {first} to {last}"
            )
        tensors[spec.name] = replace(spec, start=start + first)
        end = last
    if start + end != size:
        raise CheckpointError(f"{path} is not whole: expected {start + end} bytes, the file has {size}")
    return tensors


def _spec(name: str, entry: Any, digest: Any, path: Any) -> tuple[Spec, int, int]:
    """A tensor, and where the header says that it begins and ends."""
    given = entry if isinstance(entry, dict) else {}
    code: Any = given.get("dtype")
    shape: Any = given.get("shape")
    offsets: Any = given.get("data_offsets")
    known = len(given) == 3 and isinstance(code, str) and code in _DTYPES
    if not (known and _counts(shape, _AXES) and _counts(offsets, 2) and len(offsets) == 2):
        text = f"dtype {str(code)[:20]!r}, shape {str(shape)[:40]}"
        raise CheckpointError(f"{path}: tensor {name[:60]!r} has no place, dtype and shape of NumPy: {text}")
    if digest is not None and not isinstance(digest, str):
        raise CheckpointError(f"{path}: the digest of tensor {name[:60]!r} is no text")
    dtype, stored = np.dtype(_DTYPES[code]), np.dtype(_STORED[code])
    # NumPy's limit also holds for arrays without elements.
    if prod([n for n in shape if n]) * dtype.itemsize >= _MOST:
        raise CheckpointError(
            f"{path}: tensor {name[:60]!r} has a shape that no array can have: {str(shape)[:60]}"
        )
    return Spec(name, dtype, stored, tuple(shape), 0, digest), offsets[0], offsets[1]


def _counts(values: Any, most: int) -> bool:
    """Whether these are a few numbers that count something."""
    return (
        isinstance(values, list)
        and len(values) <= most
        and all(type(n) is int and 0 <= n < _MOST for n in values)
    )
