"""Opening a file whether it is packed or not, with one kind of error for each thing that is wrong."""

from __future__ import annotations

import os
import select
import stat
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import BufferedReader, RawIOBase
from pathlib import Path
from tempfile import SpooledTemporaryFile
from time import monotonic, sleep
from typing import IO, TYPE_CHECKING, Any, TypeAlias, cast

from portnn.data._errors import DataError

if TYPE_CHECKING:
    import zipfile

PathLike: TypeAlias = str | os.PathLike[str]

_PIECE = 1 << 20
_LONGEST_NAME = 100
_GZIP_MAGIC = b"\x1f\x8b"  # RFC 1952, section 2.3.1
# A member, or the end of an archive without any: APPNOTE.TXT, sections 4.3.7 and 4.3.16.
_ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
# Bits 0, 5 and 6 of a member's flags: encrypted, patch data, strong encryption (APPNOTE.TXT, section 4.4.4).
_ZIP_UNREADABLE_FLAGS = 0x61
# Deflate compresses zeros 1000 times. Real data seldom compress 100 times, and small files are harmless.
_MOST_SHRUNK = 100
_HARMLESS = 1 << 26
_MOST_PIPED = 1 << 32
_IN_MEMORY = 1 << 26
_PATIENCE = 2.0  # seconds to wait for a writer of a pipe


def as_path(value: PathLike, argument: str) -> Path:
    """Return `value` as a Path; raise a TypeError if it is not one, an OSError if no file can have it."""
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"{argument} must be a str or a path, got {type(value).__name__}")
    path = Path(value)
    try:
        path.exists()
    except OSError as error:  # the name is too long, for one
        raise OSError(error.errno, f"{shown(path)}: {error.strerror}") from None
    return path


def shown(path: Path) -> str:
    """The path as messages show it: its last part if it is long."""
    text = str(path)
    return text if len(text) <= _LONGEST_NAME else "..." + text[3 - _LONGEST_NAME :]


@contextmanager
def open_packed(path: Path, harmless: int = _HARMLESS) -> Iterator[IO[bytes]]:
    """Open a plain, gzipped or zipped file for reading its unpacked bytes.

    The packing is found from the first bytes and not from the name, because browsers unpack ``.gz`` files
    and keep the name. Damage that shows only while reading is reported as a DataError too, and so is a file
    that unpacks to a multiple of its size and to more than `harmless` bytes.
    """
    import gzip
    import zipfile
    import zlib

    name = shown(path)
    with ExitStack() as stack:
        stream: IO[bytes] = stack.enter_context(open_file(path))
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        magic = stream.read(4)
        stream.seek(0)
        try:
            if magic[:2] == _GZIP_MAGIC:
                packed = cast(IO[bytes], stack.enter_context(gzip.open(stream)))
                stream = _limited(packed, max(harmless, _MOST_SHRUNK * size), name)
            elif magic in _ZIP_MAGICS:
                member = _open_zip(stack, stream, name)
                stream = _limited(member, max(harmless, _MOST_SHRUNK * size), name)
            yield stream
        except (gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, EOFError) as error:
            kind = "gzip" if magic[:2] == _GZIP_MAGIC else "zip"
            reason = str(error)[:80]
            raise DataError(f"{name}: damaged {kind} file ({reason}); fetch or pack it again") from error


def open_file(path: Path) -> IO[bytes]:
    """Open a file for reading; from a pipe, all that it yields is copied to a temporary file first.

    Raises:
        DataError: it is a device or a socket, or the pipe has no writer.
        FileNotFoundError: there is no such file.
        IsADirectoryError: the path is a folder.
    """
    name = shown(path)
    if not path.exists():
        raise FileNotFoundError(f"{name}: no such file")
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"{name}: is a folder, expected a file; load_mnist reads folders")
    if stat.S_ISFIFO(mode):
        return _copied(path, name)
    if not stat.S_ISREG(mode):
        raise DataError(f"{name}: is a terminal, a device or a socket, expected a file or a pipe")
    return path.open("rb")


def _copied(path: Path, name: str) -> IO[bytes]:
    """Copy what a pipe yields to a temporary file, which can be read from any position.

    Opening a pipe without a writer would block for ever. A non-blocking read returns nothing if there is no
    writer, and fails if the writer has not written yet.
    """
    copy = cast(IO[bytes], SpooledTemporaryFile(max_size=_IN_MEMORY))  # noqa: SIM115  # the caller closes it
    pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        deadline = monotonic() + _PATIENCE
        while copy.tell() <= _MOST_PIPED:
            try:
                piece = os.read(pipe, _PIECE)
            except BlockingIOError:
                select.select([pipe], [], [])
                continue
            if not piece and (copy.tell() or monotonic() > deadline):
                break
            copy.write(piece)
            if not piece:
                sleep(0.01)
    finally:
        os.close(pipe)
    if not 0 < copy.tell() <= _MOST_PIPED:
        size = "more than 4 GiB" if copy.tell() else "nothing"
        copy.close()
        raise DataError(f"{name}: {size} came through this pipe; write the data to a file, and pass that")
    copy.seek(0)
    return copy


class _Limited(RawIOBase):
    """Unpacked bytes, up to a limit."""

    def __init__(self, stream: IO[bytes], limit: int, name: str) -> None:
        self._stream, self._left, self._limit, self._name = stream, limit, limit, name

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._stream.read(len(buffer))
        self._left -= len(piece)
        if self._left < 0:
            raise DataError(
                f"{self._name}: unpacks to over {self._limit >> 20:,} MiB, {_MOST_SHRUNK} times its size or "
                "more; unpack it first if you trust it"
            )
        buffer[: len(piece)] = piece
        return len(piece)


def _limited(stream: IO[bytes], limit: int, name: str) -> IO[bytes]:
    """Unpacked bytes up to a limit, with the methods that readers of a file need."""
    return BufferedReader(_Limited(stream, limit, name), _PIECE)


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
