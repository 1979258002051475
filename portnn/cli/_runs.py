"""The folder of a training: its checkpoints, and the options to go on with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from portnn.cli._terminal import save_text
from portnn.serialize import CheckpointError, checkpoints

__all__ = ["begin_run", "finish_run", "resumed_options"]

_FILE = "training.json"
_FORMAT = 1
# What may be different when a training goes on.
_FREE = ("data", "resume", "output", "epochs", "backend", "threads")
_PATHS = ("data", "labels_file", "output")


def begin_run(options: dict[str, Any], digest: str) -> Path:
    """Make the folder of a training, or see that it is of this one.

    Raises:
        CheckpointError: if the data are not those that it began with.
        FileExistsError: if it is of another training.
    """
    if options["resume"]:
        if options["digest"] != digest:
            raise CheckpointError(f"{options['data']}: the data are not those that the training began with")
        return Path(options["resume"])
    folder = Path(options["checkpoints"] or f"{options['output']}.checkpoints")
    if not folder.parent.is_dir():
        raise FileNotFoundError(
            f"--checkpoints {folder}: the folder {folder.parent} does not exist; make it first"
        )
    folder.mkdir(exist_ok=True)
    if checkpoints(folder):
        raise FileExistsError(
            f"{folder} has checkpoints of another training; go on with: portnn train --resume {folder}, "
            "or delete it, or give another with --checkpoints"
        )
    kept = {name: value for name, value in options.items() if name != "resume"}
    kept |= {name: str(Path(kept[name]).resolve()) for name in _PATHS if kept[name]}
    text = json.dumps({"format": _FORMAT, "digest": digest, "options": kept}, indent=1)
    save_text(str(folder / _FILE), text + "\n")
    return folder


def finish_run(options: dict[str, Any], folder: Path) -> None:
    """Delete the checkpoints of a training that is done, unless the folder was asked for."""
    if options["checkpoints"]:
        return
    for path in (*checkpoints(folder), folder / _FILE):
        path.unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()


def resumed_options(given: dict[str, Any]) -> dict[str, Any]:
    """The options that a training began with, and those that are given now.

    Raises:
        FileNotFoundError: if the folder is of no training.
        CheckpointError: if its file is damaged.
        click.UsageError: if an option is given that cannot be changed.
    """
    import click
    from click.core import ParameterSource

    path = Path(given["resume"]) / _FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"{given['resume']}: no training to go on with: it ended, or never began ({_FILE} is missing)"
        )
    saved = _read(path, set(given) - {"resume"})
    context = click.get_current_context()
    new = {n for n in given if context.get_parameter_source(n) is ParameterSource.COMMANDLINE}
    if odd := sorted(new - set(_FREE)):
        name = odd[0].replace("_", "-")
        raise click.UsageError(
            f"--{name} cannot be changed with --resume; it stays as the training began", context
        )
    return {**saved, **{name: given[name] for name in new}, "resume": given["resume"]}


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
