"""Checkpoint files: the arrays, progress and callback states of a training."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any, TypeAlias, final

from portnn import tree
from portnn._typing import Tree
from portnn.backend import get_backend
from portnn.losses._config import loss_config
from portnn.nn import Layer, describe
from portnn.serialize import (
    CheckpointError,
    Header,
    check_tensors,
    latest,
    read_checked,
    save_tensors,
)  # fmt: skip
from portnn.train._callback import Callback
from portnn.train._runners import all_finite
from portnn.train._state import ARRAYS, COUNTS, SEEDS, EpochProgress, FitConfig, NetState, Position, Snapshot

__all__ = [
    "FORMAT", "ODD", "Resumed", "Training", "read_field", "read_training", "write_training",
]  # fmt: skip

FORMAT = 3  # the version of the header of network files and checkpoints
KIND = "training"

# Raised for plain data that is not a valid layer or callback state.
ODD = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, MemoryError, RecursionError)

_NUMBERS = ("seed", "epochs", "steps", "done", "step", "samples", "accumulate")
_FIELDS = {
    "kind", "format", "layers", "loss", "right", "ended", "batch_size", "shuffle", "columns", "callbacks",
    "optimizer", *_NUMBERS,
}  # fmt: skip
_COLUMNS = ("loss", "accuracy", "val_loss", "val_accuracy")  # not added by callbacks
PathLike: TypeAlias = str | os.PathLike[str]


@final
@dataclass(frozen=True)
class Training:
    """The fixed properties of a training, for checkpoints.

    Attributes:
        config: its options.
        samples: the number of samples per epoch.
        columns: the names of the metrics of every epoch.
        callbacks: the callbacks with a state.
        adding: whether a callback may add columns.
    """

    config: FitConfig
    samples: int
    columns: list[str]
    callbacks: Sequence[Callback]
    adding: bool = False

    @property
    def steps(self) -> int:
        """The number of steps per epoch."""
        return self.config.steps(self.samples)


def write_training(
    path: PathLike,
    training: Training,
    state: NetState,
    now: Snapshot,
    position: Position,
    history: Mapping[str, list[float]],
    callbacks: Sequence[tuple[str, dict[str, Any]]],
    ended: bool,
) -> None:
    """Write a checkpoint.

    Args:
        path: the file.
        training: the training.
        state: the network after its last complete epoch, with the seed of the training.
        now: the arrays after its last step.
        position: the progress of the training.
        history: the metrics of the completed epochs.
        callbacks: the names and states of the callbacks with a state.
        ended: whether a callback stopped the training.

    Raises:
        TypeError: if the state of a callback is not plain data.
    """
    for name, own in callbacks:
        _check_plain(name, own)
    host, progress = get_backend("numpy"), position.progress
    kept = [{name: value for name, value in own.items() if name in ARRAYS} for _, own in callbacks]
    tensors = tree.map(
        state.backend.to_numpy,
        {"params": now.params, "state": now.state, "opt_state": now.opt_state, "callbacks": kept},
    )
    tensors["history"] = [host.asarray(values, dtype="float64") for values in history.values()]
    tensors["losses"] = host.asarray([*progress.losses], dtype="float64")
    description = {
        "kind": KIND,
        "format": FORMAT,
        "layers": _described(state.layer),
        "optimizer": training.config.optimizer.name,
        "seed": state.seed,
        "epochs": position.first_epoch,
        "steps": position.first_step,
        "done": position.done,
        "step": progress.step,
        "right": progress.right,
        "ended": ended,
        "columns": [*history],
        "callbacks": [
            {"is": name, **{key: v for key, v in own.items() if key not in ARRAYS}} for name, own in callbacks
        ],
        **_settings(training, state),
    }
    save_tensors(path, tensors, description)


def _check_plain(name: str, own: Any) -> None:
    """Check what the `state_dict` of a callback returned.

    Raises:
        TypeError: if a file cannot hold it.
    """
    if not isinstance(own, Mapping):
        raise TypeError(f"{name:.60}.state_dict: must return a dict, got {type(own).__name__}")
    if "is" in own:
        raise TypeError(f"{name:.60}.state_dict: the key 'is' is taken in checkpoints; choose another")
    for key, value in own.items():
        if key not in ARRAYS and not _is_plain(value):
            raise TypeError(
                f"{name:.60}.state_dict: {key!r:.60} must be plain data (finite numbers, text, lists), "
                f"got {value!r:.60} of type {type(value).__name__:.40}; write float(...), .tolist() or None"
            )


def _is_plain(value: Any) -> bool:
    """Return whether JSON can hold a value."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


@final
@dataclass(frozen=True)
class Resumed:
    """A checkpoint that was read.

    Attributes:
        path: the file.
        snapshot: the arrays before its next step.
        seed: the seed of the training.
        position: its progress.
        columns: the history so far.
        states: the states of the callbacks with a state, in order.
        trained: the numbers of complete epochs, and of steps in them, that the network was trained for.
        over: whether the training is complete.
    """

    path: Path
    snapshot: Snapshot
    seed: int
    position: Position
    columns: dict[str, list[float]]
    states: list[dict[str, Any]]
    trained: tuple[int, int]
    over: bool

    def load_callbacks(self, callbacks: Sequence[Callback]) -> None:
        """Restore the states of callbacks.

        Raises:
            CheckpointError: if a state is invalid.
        """
        for callback, state in zip(callbacks, self.states, strict=True):
            try:
                callback.load_state_dict(state)
            except ODD as error:
                name = type(callback).__name__
                raise CheckpointError(
                    f"{self.path}: the state of {name} is not whole: {error!r:.120}"
                ) from None


def read_training(training: Training, state: NetState, source: PathLike, start: Snapshot) -> Resumed:
    """Read a checkpoint.

    Args:
        training: the training to continue.
        state: the network.
        source: a file, or a folder, whose newest complete checkpoint is read.
        start: arrays with the structure of those to read.

    Raises:
        FileNotFoundError: if there is no such file, or no checkpoint in the folder.
        CheckpointError: if the file is damaged, or of another training.
    """
    path = _file_of(source)
    template = {"params": start.params, "state": start.state, "opt_state": start.opt_state}
    best = {name: template[name] for name in ARRAYS}
    like: list[Tree] = []

    def check(header: Header) -> None:
        data = header.description
        _check(training, state, data, path)
        _check_optimizer(training, header, start.opt_state, path)
        starts = [f"callbacks.{i}." for i in range(len(training.callbacks))]
        kept = [_kept(best, [name for name in header.tensors if name.startswith(s)], s) for s in starts]
        like.append({**template, "callbacks": kept})
        host = get_backend("numpy")
        expected = {n: (a.shape, a.dtype) for n, a in tree.items(tree.map(host.to_numpy, like[0]))}
        real = host.dtype("float64")
        expected["losses"] = (data["step"],), real
        expected |= {f"history.{i}": ((data["done"],), real) for i in range(len(data["columns"]))}
        check_tensors(_old_names(expected, data), header.tensors, path)

    arrays, header = read_checked(path, check)
    data = header.description
    placed = {
        new: state.backend.asarray(arrays[old])
        for new, old in zip(tree.named(like[0]), _old_names(tree.named(like[0]), data), strict=True)
    }
    filled = tree.unflatten(like[0], [*placed.values()])
    snapshot = Snapshot(filled["params"], filled["state"], filled["opt_state"])
    if not all_finite(snapshot.params):
        raise CheckpointError(f"{path} has parameters that are not finite; no training can continue from it")
    own = [{name: value for name, value in c.items() if name != "is"} for c in data["callbacks"]]
    progress = EpochProgress(data["step"], tuple(arrays["losses"].tolist()), data["right"])
    return Resumed(
        path,
        snapshot,
        data["seed"],
        Position(data["epochs"], data["steps"], data["done"], progress),
        {name: arrays[f"history.{i}"].tolist() for i, name in enumerate(data["columns"])},
        [{**plain, **kept} for plain, kept in zip(own, filled["callbacks"], strict=True)],
        (data["epochs"] + data["done"], data["steps"] + data["done"] * training.steps),
        data["ended"] or data["done"] == training.config.epochs,
    )


def _kept(best: Mapping[str, Tree], names: Sequence[str], start: str) -> dict[str, Tree]:
    """Return the arrays in a callback's state, by tensor name; a tree without arrays has none."""
    if not names:
        return {}
    return {
        key: like
        for key, like in best.items()
        if not tree.named(like) or any(name.startswith(f"{start}{key}.") for name in names)
    }


def _old_names(expected: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """Rename tensors to the file's format: format 1 called `opt_state` "moments"."""
    if data["format"] != 1:
        return dict(expected)
    return {
        f"moments{name.removeprefix('opt_state')}" if name.partition(".")[0] == "opt_state" else name: value
        for name, value in expected.items()
    }


def _check(training: Training, state: NetState, data: dict[str, Any], path: Path) -> None:
    """Check that the description is complete and belongs to this training.

    Raises:
        CheckpointError: if it is not.
    """
    if (kind := read_field(data, "kind", str, path)) != KIND:
        raise CheckpointError(f"{path}: the file holds a {kind[:40]!r}, expected a {KIND!r} to resume")
    if (version := read_field(data, "format", int, path)) not in (1, FORMAT):
        raise CheckpointError(
            f"{path}: the file has format {version}, this portnn reads 1 and {FORMAT}; update portnn"
        )
    absent = {"optimizer"} if version == 1 else set[str]()  # missing in the oldest files
    if odd := sorted((data.keys() ^ _FIELDS) - absent):
        raise CheckpointError(f"{path}: the field {odd[0][:60]!r} is missing or unknown; update portnn")
    for name in _NUMBERS:
        read_field(data, name, int, path)
    for name, inner in (("columns", str), ("callbacks", dict)):
        if not all(isinstance(value, inner) for value in read_field(data, name, list, path)):
            raise CheckpointError(f"{path}: the description lacks a valid {name!r}")
    if "optimizer" in data:
        read_field(data, "optimizer", str, path)
    right = read_field(data, "right", (int, float, NoneType), path)
    if right is not None and not 0 <= right < 2**53:
        raise CheckpointError(f"{path}: the description has right={right}; expected a count of samples")
    if not isinstance(data["ended"], bool):
        raise CheckpointError(f"{path}: the description lacks a valid 'ended'")
    _check_training(training, state, data, path)


def _check_training(training: Training, state: NetState, data: dict[str, Any], path: Path) -> None:
    """Check that the checkpoint is of this training, and within its number of epochs.

    Raises:
        CheckpointError: if it is not.
    """
    steps, epochs = training.steps, training.config.epochs
    expected = {**_settings(training, state), "callbacks": [type(c).__name__ for c in training.callbacks]}
    found = {**data, "callbacks": [c.get("is") for c in data["callbacks"]]}
    if data["done"]:
        expected["columns"] = training.columns
        known = training.columns if training.adding else _COLUMNS
        if [name for name in data["columns"] if name in known] == training.columns:
            found["columns"] = training.columns
    for name, value in expected.items():
        if found[name] != value:
            raise CheckpointError(
                f"{path} is of a training with {name}={found[name]!r:.60}; expected {value!r:.60}, "
                "so that it can continue in the same way"
            )
    layers = _described(state.layer)
    if layers is not None and data["layers"] not in (None, layers):
        raise CheckpointError(f"{path} is of a network with other layers; expected {state.layer!r:.120}")
    if data["step"] > steps or data["done"] + (data["step"] > 0) > epochs:
        raise CheckpointError(
            f"{path}: {data['done']} epochs and {data['step']} of {steps} steps are done; "
            f"expected at most {epochs} epochs; epochs= counts those before too"
        )


def _check_optimizer(training: Training, header: Header, opt_state: Tree, path: Path) -> None:
    """Check that the state belongs to this optimizer; numbers such as the learning rate may differ.

    Raises:
        CheckpointError: if the recipes or the names of the state's arrays differ; it names both optimizers.
    """
    found, expected = header.description.get("optimizer", ""), training.config.optimizer.name
    names = _old_names(tree.named({"opt_state": opt_state}), header.description).keys()
    stored = {name for name in header.tensors if name.partition(".")[0] in ("opt_state", "moments")}
    other = "" not in (found, expected) and _recipes(found) != _recipes(expected)
    if other or stored != names:
        raise CheckpointError(
            f"{path} is of a training with optimizer={found or 'one without a name':.90}; "
            f"expected {expected or 'the present one, without a name':.90}; pass that training's optimizer"
        )


def _recipes(name: str) -> list[str]:
    """Return the names of an optimizer's recipes, without their numbers."""
    return re.findall(r"\w+(?=\()", name)


def _settings(training: Training, state: NetState) -> dict[str, Any]:
    """Return the settings that a resumed training must share."""
    config = training.config
    return {
        "samples": training.samples,
        "batch_size": config.batch_size,
        "shuffle": config.shuffle,
        "accumulate": config.accumulate,
        "loss": loss_config(state.loss),
    }


def _described(layer: Layer) -> Any:
    """Return layers as plain data; None with user-defined parts, which are not compared."""
    try:
        return describe(layer)
    except TypeError:
        return None


def read_field(data: Any, name: str, kind: type | tuple[type, ...], path: Any) -> Any:
    """Return a field of a description, checked for its type.

    Raises:
        CheckpointError: if it is missing or of another type.
    """
    value = data.get(name) if isinstance(data, dict) else None
    if type(value) is int and value >= COUNTS and name != "seed":
        raise CheckpointError(
            f"{path}: the description has {name}={value if value < 2**64 else 'a huge number'}; "
            "expected less than 2^32"
        )
    odd = isinstance(value, int) and (isinstance(value, bool) or not 0 <= value < SEEDS)
    if odd or not isinstance(value, kind):
        raise CheckpointError(
            f"{path}: the description lacks a valid {name!r}; the file is damaged or not portnn's"
        )
    return value


def _file_of(source: PathLike) -> Path:
    """Return the checkpoint file of a path.

    Raises:
        FileNotFoundError: if there is none.
        TypeError: if it is not a path.
    """
    if not isinstance(source, str | os.PathLike):
        raise TypeError(f"fit: resume must be a file or a folder of checkpoints, got {type(source).__name__}")
    path = Path(source)
    found = latest(path) if path.is_dir() else path
    if found is None:
        raise FileNotFoundError(
            f"fit: resume: there is no checkpoint in {str(path)[-120:]!r}; leave resume out to begin"
        )
    return found
