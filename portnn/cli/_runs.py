"""The folder of a training: its checkpoints, and the options to go on with.

A training that is begun anew in a folder with checkpoints (``--restart``) moves them into a folder within.
They are deleted when it has a whole checkpoint of its own, and come back if it ends without one. The file of
options moves last and comes back first: where it lies tells which training owns the folder, also after the
program was killed at any moment.
"""

from __future__ import annotations

import json
from pathlib import Path
from shlex import quote
from typing import Any

import click
from click.core import ParameterSource

from portnn.cli._terminal import save_text
from portnn.serialize import CheckpointError, checkpoints, held, latest

__all__ = ["begin_run", "check_run", "finish_run", "leave_run", "resumed_options", "resuming"]

_FILE = "training.json"
_ASIDE = "before-restart"
_FORMAT = 1
# What may be different when a training goes on.
_FREE = ("data", "resume", "restart", "output", "epochs", "backend", "threads")
_NOT_KEPT = {"resume", "restart"}
_PATHS = ("data", "labels_file", "output")


def check_run(options: dict[str, Any]) -> Path:
    """The folder of a training; it is looked at, and not changed yet.

    Raises:
        FileExistsError: if there are checkpoints of another training.
        FileNotFoundError: if the folder that it is to be made in is not there.
    """
    if options["resume"]:
        return Path(options["resume"])
    folder = Path(options["checkpoints"] or f"{options['output']}.checkpoints")
    if not folder.parent.is_dir():
        raise FileNotFoundError(
            f"--checkpoints {folder}: the folder {folder.parent} does not exist; make it first"
        )
    if not folder.exists():
        return folder
    if checkpoints(folder) and not (folder / _FILE).is_file() and not (folder / _ASIDE).is_dir():
        raise FileExistsError(
            f"{folder} has checkpoints that are not of the command line ({_FILE} is missing); "
            "give another folder with --checkpoints"
        )
    if (checkpoints(folder) or (folder / _ASIDE).is_dir()) and not options["restart"]:
        raise FileExistsError(
            f"{folder} has checkpoints of another training; go on with: {resuming(folder)}, "
            "or train anew with --restart, or give another folder with --checkpoints"
        )
    return folder


def resuming(folder: Path) -> str:
    """The command that goes on with a training."""
    return f"portnn train --resume {quote(str(folder))}"


def begin_run(options: dict[str, Any], folder: Path, digest: str) -> None:
    """Make the folder of a training, or see that the data are those of the one to go on with.

    Raises:
        CheckpointError: if the data are others.
        FileExistsError: if another program is training there.
    """
    if options["resume"]:
        if options["digest"] != digest:
            raise CheckpointError(f"{options['data']}: the data are not those that the training began with")
        return
    folder.mkdir(exist_ok=True)
    kept = {name: value for name, value in options.items() if name not in _NOT_KEPT}
    kept |= {name: str(Path(kept[name]).resolve()) for name in _PATHS if kept[name]}
    text = json.dumps({"format": _FORMAT, "digest": digest, "options": kept}, indent=1)
    with held(folder):
        _settle(folder)
        if checkpoints(folder):
            _move(folder, folder / _ASIDE)
        save_text(str(folder / _FILE), text + "\n")


def leave_run(folder: Path) -> None:
    """Tidy up after a training that did not come to its end: what nobody can go on from is not kept."""
    if not folder.is_dir():
        return
    with held(folder):
        _settle(folder)
        if not checkpoints(folder):
            _clear(folder)


def _move(source: Path, target: Path) -> None:
    """Move a training into an empty folder; its options last."""
    target.mkdir(exist_ok=True)
    for path in (*checkpoints(source), source / _FILE):
        path.replace(target / path.name)


def _settle(folder: Path) -> None:
    """Let one training own the folder: the new one if it has a whole checkpoint, else the one before."""
    aside = folder / _ASIDE
    if not aside.is_dir():
        return
    if (aside / _FILE).is_file():
        if _has_whole(folder):
            _clear(aside)
            return
        for path in checkpoints(folder):
            path.unlink(missing_ok=True)
        (aside / _FILE).replace(folder / _FILE)
    for path in checkpoints(aside):
        path.replace(folder / path.name)
    aside.rmdir()


def _has_whole(folder: Path) -> bool:
    """Whether a training can go on from here."""
    try:
        return latest(folder) is not None
    except CheckpointError:
        return False


def _clear(folder: Path) -> None:
    """Delete a training, and its folder if nothing else is in it; its options last."""
    for path in (*checkpoints(folder), folder / _FILE):
        path.unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()


def finish_run(options: dict[str, Any], folder: Path) -> None:
    """Delete the checkpoints of a training that is done, unless the folder was asked for."""
    _settle(folder)
    if options["checkpoints"]:
        return
    _clear(folder)


def resumed_options(given: dict[str, Any]) -> dict[str, Any]:
    """The options that a training began with, and those that are given now.

    Raises:
        FileExistsError: if another program is training there.
        FileNotFoundError: if the folder is of no training.
        CheckpointError: if its file is damaged.
        click.UsageError: if an option is given that cannot be changed.
    """
    if given["restart"]:
        raise click.UsageError("--resume goes on and --restart begins anew; give one of them.")
    path = Path(given["resume"]) / _FILE
    if path.parent.is_dir():
        with held(path.parent):
            _settle(path.parent)
    if not path.is_file():
        raise FileNotFoundError(
            f"{given['resume']}: no training to go on with: it ended, or never began ({_FILE} is missing)"
        )
    saved = _read(path, set(given) - _NOT_KEPT)
    context = click.get_current_context()
    new = {n for n in given if context.get_parameter_source(n) is ParameterSource.COMMANDLINE}
    if odd := sorted(new - set(_FREE)):
        name = odd[0].replace("_", "-")
        raise click.UsageError(
            f"--{name} cannot be changed with --resume; it stays as the training began", context
        )
    return {**saved, **{name: given[name] for name in new}, "resume": given["resume"], "restart": False}


def _read(path: Path, names: set[str]) -> dict[str, Any]:
    """The options in a file."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        options, digest = data["options"], data["digest"]
        whole = data["format"] == _FORMAT and options.keys() == names and isinstance(digest, str)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        whole = False
    if not whole:
        raise CheckpointError(f"{path}: damaged, or of another version of portnn")
    return {**options, **{name: _near(options[name]) for name in _PATHS if options[name]}, "digest": digest}


def _near(path: str) -> str:
    """A path seen from here, if it leads downwards."""
    return str(Path(path).relative_to(Path.cwd())) if Path(path).is_relative_to(Path.cwd()) else path
