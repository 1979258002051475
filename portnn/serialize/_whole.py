"""Files that are the old one or the new one, whole, whatever happens while they are written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from stat import S_IMODE
from typing import BinaryIO

__all__ = ["whole_file"]

_KEPT = 50  # characters of the name in that of the temporary file, which may have 255 bytes


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file to write that takes its name when all is written and flushed; until then nothing has changed.

    A file that it replaces passes its permissions on.

    Args:
        path: the file; a link is written through.

    Raises:
        FileNotFoundError: if the folder does not exist.
        IsADirectoryError: if `path` is a folder.
        OSError: if the file cannot be written, as when the disk is full.
    """
    with _explained(path):
        target, mode = _target(Path(path))
        # Not tempfile's: that makes files that nobody else may read, and the renamed file would stay so.
        temporary = target.with_name(f".{target.name[:_KEPT]}.{token_hex(8)}")
        with _synced(target.parent):
            try:
                with temporary.open("xb") as file:
                    if mode is not None:
                        temporary.chmod(mode)
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(target)
            except BaseException:
                with suppress(OSError):  # the first error is the one to be told of
                    temporary.unlink()
                raise


@contextmanager
def _explained(path: str | os.PathLike[str]) -> Iterator[None]:
    """Errors of the system say what could not be done."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # one of our own
            raise
        text = f"cannot save {str(path)[-120:]}: {error.strerror}; what was there is as it was"
        raise OSError(error.errno, text) from None


def _target(path: Path) -> tuple[Path, int | None]:
    """The file that is meant, and its permissions if there is one already.

    Raises:
        FileNotFoundError: if the folder does not exist.
        IsADirectoryError: if it is a folder.
        OSError: if it is a device, a pipe, or a file that may not be written.
    """
    if path.is_symlink():  # the renaming would replace the link and leave its target as it was
        path = Path(os.path.realpath(path))
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot save {path}: the folder {path.parent} does not exist; make it first")
    if path.is_dir():
        raise IsADirectoryError(f"cannot save {path}: it is a folder; name a file in it")
    if not path.exists():
        return path, None
    if not path.is_file():
        raise OSError(f"cannot save {path}: it is a device or a pipe; name an ordinary file")
    path.open("r+b").close()  # renaming does not ask whether the file may be written
    return path, S_IMODE(path.stat().st_mode)


@contextmanager
def _synced(folder: Path) -> Iterator[None]:
    """Make a renaming last through a power cut, on systems where folders can be synced.

    The folder is opened first: once the renaming is done, there is nothing left that could be refused.
    """
    if os.name != "posix":
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        yield
        os.fsync(handle)
    finally:
        os.close(handle)
