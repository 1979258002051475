"""Opening a file whether it is packed or not, with one kind of error for each thing that is wrong."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias, cast

from portnn.data._errors import DataError

if TYPE_CHECKING:
    import zipfile

PathLike: TypeAlias = str | os.PathLike[str]

_PIECE = 1 << 20
_LONGEST_NAME = 100
_GZIP_MAGIC = b"\x1f\x8b"  # RFC 1952, section 2.3.1
_ZIP_MAGIC = b"PK"  # APPNOTE.TXT, sections 4.3.7 and 4.3.16
# Bits 0, 5 and 6 of a member's flags: encrypted, patch data, strong encryption (APPNOTE.TXT, section 4.4.4).
_ZIP_UNREADABLE_FLAGS = 0x61


def as_path(value: PathLike, argument: str) -> Path:
    """`value` as a Path; a TypeError that names the argument if it is no path."""
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"{argument} must be a str or a path, got {type(value).__name__}")
    return Path(value)


def shown(path: Path) -> str:
    """The path as messages show it: its last part if it is long."""
    text = str(path)
    return text if len(text) <= _LONGEST_NAME else "..." + text[3 - _LONGEST_NAME :]


@contextmanager
def open_packed(path: Path) -> Iterator[IO[bytes]]:
    """Open a plain, gzipped or zipped file for reading its unpacked bytes.

    The packing is found from the first bytes and not from the name, because browsers unpack ``.gz`` files
    and keep the name. Damage that shows only while reading is reported as a DataError too.
    """
    import gzip
    import zipfile
    import zlib

    name = shown(path)
    if path.is_dir():
        raise IsADirectoryError(f"{name}: is a folder, expected a file; load_mnist reads folders")
    if not path.exists():
        raise FileNotFoundError(f"{name}: no such file")
    with ExitStack() as stack:
        stream: IO[bytes] = stack.enter_context(path.open("rb"))
        magic = stream.read(2)
        stream.seek(0)
        try:
            if magic == _GZIP_MAGIC:
                stream = cast(IO[bytes], stack.enter_context(gzip.open(stream)))
            elif magic == _ZIP_MAGIC:
                stream = _open_zip(stack, stream, name)
            yield stream
        except (gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, EOFError) as error:
            kind = "gzip" if magic == _GZIP_MAGIC else "zip"
            reason = str(error)[:80]
            raise DataError(f"{name}: damaged {kind} file ({reason}); fetch or pack it again") from error


def _open_zip(stack: ExitStack, stream: IO[bytes], name: str) -> IO[bytes]:
    """Open the one file in an archive, whose damage `zipfile` reports in many ways."""
    import zipfile

    try:
        archive = stack.enter_context(zipfile.ZipFile(stream))
        member = _only_member(archive, name)
        return stack.enter_context(archive.open(member))
    except DataError:
        raise
    # One flipped byte gives any of these: a position before the file, a version of the future, an empty name.
    except (OSError, ValueError, NotImplementedError, IndexError, struct.error) as error:
        raise zipfile.BadZipFile(str(error)) from error


def _only_member(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """The one file in an archive, leaving out folders and what macOS adds."""
    import zipfile

    members = [m for m in archive.infolist() if not m.is_dir() and not m.filename.startswith("__MACOSX/")]
    if len(members) != 1:
        raise DataError(f"{name}: the zip archive holds {len(members)} files, expected exactly one")
    member = members[0]
    if member.flag_bits & _ZIP_UNREADABLE_FLAGS:
        raise DataError(f"{name}: the zip archive is encrypted; unpack it first")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(f"{name}: the zip archive uses a method other than deflate; unpack it first")
    return member


def read_at_most(stream: IO[bytes], size: int) -> bytearray:
    """Up to `size` bytes, in pieces: memory follows what the file holds and not what its header claims."""
    data = bytearray()
    while len(data) < size and (piece := stream.read(min(_PIECE, size - len(data)))):
        data += piece
    return data
