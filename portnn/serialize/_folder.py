"""Folders of the checkpoints of one training."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from portnn.serialize._error import CheckpointError
from portnn.serialize._tensors import verify

__all__ = ["checkpoint_path", "checkpoints", "held", "latest", "remove_old", "remove_unfinished"]

_NAME = re.compile(r"checkpoint-(\d{9,})\.safetensors")
_UNFINISHED = re.compile(r"\.checkpoint-\d{9,}\.safetensors\.[0-9a-f]{16}")


def checkpoint_path(folder: str | os.PathLike[str], number: int) -> Path:
    """The file of the checkpoint after so many steps.

    Example:
        >>> checkpoint_path("run", 1200).name
        'checkpoint-000001200.safetensors'
    """
    return Path(folder) / f"checkpoint-{number:09d}.safetensors"


def checkpoints(folder: str | os.PathLike[str]) -> list[Path]:
    """The checkpoints in a folder, the newest first, whole or not; what is no file is none."""
    numbered = [(_number(path), path) for path in Path(folder).iterdir() if path.is_file()]
    return [path for number, path in sorted(numbered, reverse=True) if number >= 0]


def _number(path: Path) -> int:
    found = _NAME.fullmatch(path.name)
    return int(found[1]) if found else -1


def latest(folder: str | os.PathLike[str]) -> Path | None:
    """The newest checkpoint of a training that is whole.

    Every byte is checked, so a damaged file is passed over for the one before.

    Args:
        folder: the folder that `portnn.train.callbacks.Checkpoint` writes to.

    Returns:
        The file; None if the folder has no checkpoints, or is not there.

    Raises:
        CheckpointError: if there are checkpoints and none is whole.

    Example:
        >>> latest("no such folder") is None
        True
    """
    files = checkpoints(folder) if Path(folder).is_dir() else []
    for path in files:
        try:
            verify(path)
        except (CheckpointError, FileNotFoundError) as error:  # another training may tidy up meanwhile
            said = str(error)
        else:
            return path
    if files:
        raise CheckpointError(f"none of {len(files)} checkpoints is whole; the last looked at: {said[-200:]}")
    return None


def remove_old(folder: str | os.PathLike[str], newest: Path, keep: int) -> None:
    """Delete all checkpoints but the newest ones; one that claims more steps is of a branch that was left."""
    files = checkpoints(folder)
    kept = [path for path in files if _number(path) <= _number(newest)][:keep]
    for path in files:
        if path not in kept:
            path.unlink(missing_ok=True)


def remove_unfinished(folder: str | os.PathLike[str]) -> None:
    """Delete what a killed program left of checkpoints that it was about to write."""
    for path in Path(folder).iterdir():
        if _UNFINISHED.fullmatch(path.name):
            path.unlink(missing_ok=True)


@contextmanager
def held(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Keep a folder for one writer, as long as the program lives, where the system has locks of folders.

    The lock is advice that writers of checkpoints ask for. Windows has none, nor have some network drives.

    Raises:
        FileExistsError: if another writer has it.
    """
    if os.name != "posix":
        yield
        return
    import fcntl  # POSIX has it

    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EBADF, errno.ENOLCK, errno.ENOTSUP):  # no locks here
            os.close(handle)
            raise FileExistsError(
                f"another training is writing to the folder {str(folder)[-120:]!r}"
            ) from None
    try:
        yield
    finally:
        os.close(handle)
