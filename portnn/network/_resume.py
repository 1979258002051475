"""Trainings as files: what a step changes, where the training stands, and what its callbacks remember."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple, TypeAlias

from portnn import tree
from portnn._typing import Tree
from portnn.network._files import ODD, read_field
from portnn.network._recorder import FORMAT, KIND, Recorder, described, host, settings_of
from portnn.serialize import (
    CheckpointError,
    Header,
    check_tensors,
    latest,
    read_checked,
)  # fmt: skip
from portnn.train import History, Part, Plan, Snapshot, all_finite

__all__ = ["Resumed", "go_on", "read_training"]

_COUNTS = ("seed", "epochs", "steps", "done", "step", "samples", "accumulate")
_FIELDS = {
    "kind", "format", "layers", "loss", "right", "ended", "batch_size", "shuffle", "columns", "callbacks",
    *_COUNTS,
}  # fmt: skip
PathLike: TypeAlias = str | os.PathLike[str]


class Resumed(NamedTuple):
    """Where a training goes on.

    Attributes:
        snapshot: what its next step begins with.
        plan: what is left of it.
        history: what was.
        memories: what the callbacks that remember something are told, in their order.
        trained: how many whole epochs the network has been trained for, and how many steps in them.
        over: whether nothing is left of it.
        path: the file.
    """

    snapshot: Snapshot
    plan: Plan
    history: History
    memories: list[tuple[dict[str, Any], Tree]]
    trained: tuple[int, int]
    over: bool
    path: Path


def go_on(recorder: Recorder, resumed: Resumed) -> None:
    """Tell callbacks what they remembered, and write down what follows from here.

    Raises:
        CheckpointError: if a callback cannot have remembered that.
    """
    for callback, (data, arrays) in zip(recorder.rememberers, resumed.memories, strict=True):
        try:
            callback.recall(data, arrays, recorder.model)
        except ODD as error:
            name = type(callback).__name__
            raise CheckpointError(
                f"{resumed.path}: what {name} remembers is not whole: {error!r:.120}"
            ) from None
    recorder.plan, recorder.history = resumed.plan, resumed.history


def read_training(recorder: Recorder, source: PathLike, moments: Tree) -> Resumed:
    """Read a moment, and leave everything as it is.

    Args:
        recorder: knows the training that shall go on.
        source: a file, or a folder whose newest whole checkpoint is meant.
        moments: a state of the optimiser as it will be used.

    Returns:
        What to go on from.

    Raises:
        FileNotFoundError: if there is no such file, or no checkpoint in the folder.
        CheckpointError: if the file is damaged, or of another training.
    """
    path = _file_of(source)
    model = recorder.model
    template = {"params": model.params, "state": model.state, "moments": moments}
    best = {name: template[name] for name in ("params", "state")}
    like: list[Tree] = []

    def check(header: Header) -> None:
        data = header.description
        _check(recorder, data, path)
        _check_optimizer(recorder, header, moments, path)
        starts = [f"callbacks.{i}." for i in range(len(recorder.rememberers))]
        kept = [best if any(name.startswith(s) for name in header.tensors) else {} for s in starts]
        like.append({**template, "callbacks": kept})
        expected = {n: (a.shape, a.dtype) for n, a in tree.items(tree.map(host().to_numpy, like[0]))}
        real = host().dtype("float64")
        expected["losses"] = (data["step"],), real
        expected |= {f"history.{i}": ((data["done"],), real) for i in range(len(data["columns"]))}
        check_tensors(expected, header.tensors, path)

    arrays, header = read_checked(path, check)
    asarray, data = recorder.data.backend.asarray, header.description
    placed = tree.unflatten(like[0], [asarray(arrays[name]) for name, _ in tree.items(like[0])])
    columns = {name: arrays[f"history.{i}"].tolist() for i, name in enumerate(data["columns"])}
    plan = replace(
        recorder.plan,
        seed=data["seed"],
        first_epoch=data["epochs"],
        first_step=data["steps"],
        done=data["done"],
        part=Part(data["step"], tuple(arrays["losses"].tolist()), data["right"]),
    )
    told = [{name: v for name, v in c.items() if name != "is"} for c in data["callbacks"]]
    memories = list(zip(told, placed["callbacks"], strict=True))
    snapshot = Snapshot(placed["params"], placed["state"], placed["moments"])
    if not all_finite(snapshot.params):
        raise CheckpointError(f"{path} has parameters that are not finite, with which no training goes on")
    over = data["ended"] or plan.done == plan.epochs
    trained = plan.first_epoch + plan.done, plan.first_step + plan.done * recorder.steps
    return Resumed(snapshot, plan, History(**columns), memories, trained, over, path)


def _check(recorder: Recorder, data: dict[str, Any], path: Path) -> None:
    """The description is whole, and of this training.

    Raises:
        CheckpointError: if it is not.
    """
    if (kind := read_field(data, "kind", str, path)) != KIND:
        raise CheckpointError(f"{path}: the file holds a {kind[:40]!r}, expected a {KIND!r} to resume")
    if (version := read_field(data, "format", int, path)) != FORMAT:
        raise CheckpointError(f"{path}: the file has format {version}, this portnn reads {FORMAT}; update")
    if odd := sorted((data.keys() ^ _FIELDS) - {"optimizer"}):  # absent from older checkpoints
        raise CheckpointError(f"{path}: the field {odd[0][:60]!r} is missing or unknown; update portnn")
    for name in _COUNTS:
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
    _check_training(recorder, data, path)


def _check_training(recorder: Recorder, data: dict[str, Any], path: Path) -> None:
    """The training is this one, and has not gone further than this one shall.

    Raises:
        CheckpointError: if it is another.
    """
    steps = recorder.steps
    expected = {**settings_of(recorder), "callbacks": [type(c).__name__ for c in recorder.rememberers]}
    found = {**data, "callbacks": [c.get("is") for c in data["callbacks"]]}
    if data["done"]:
        expected["columns"] = [*recorder.columns]
    for name, value in expected.items():
        if found[name] != value:
            raise CheckpointError(
                f"{path} is of a training with {name}={found[name]!r:.60}; expected {value!r:.60}, "
                "so that it can go on in the same way"
            )
    layers = described(recorder.model.layer)
    if layers is not None and data["layers"] not in (None, layers):
        raise CheckpointError(
            f"{path} is of a network with other layers; expected {recorder.model.layer!r:.120}"
        )
    if data["step"] >= steps or data["done"] + (data["step"] > 0) > recorder.plan.epochs:
        raise CheckpointError(
            f"{path}: {data['done']} epochs and {data['step']} of {steps} steps are done; "
            f"expected at most {recorder.plan.epochs} epochs; epochs= counts those before too"
        )


def _check_optimizer(recorder: Recorder, header: Header, moments: Tree, path: Path) -> None:
    """Check that the state is one of this optimizer; numbers such as the learning rate may differ.

    Raises:
        CheckpointError: if the recipes or the names of the state's arrays differ; it names both optimizers.
    """
    found, expected = header.description.get("optimizer", ""), recorder.optimizer.name
    stored = {name for name in header.tensors if name.partition(".")[0] == "moments"}
    other = "" not in (found, expected) and _recipes(found) != _recipes(expected)
    if other or stored != tree.named({"moments": moments}).keys():
        raise CheckpointError(
            f"{path} is of a training with optimizer={found or 'one without a name':.90}; "
            f"expected {expected or 'the present one, without a name':.90}; pass that training's optimizer"
        )


def _recipes(name: str) -> list[str]:
    """Return the names of the recipes that made an optimizer, without their numbers."""
    return re.findall(r"\w+(?=\()", name)


def _file_of(source: PathLike) -> Path:
    """The file that is meant.

    Raises:
        FileNotFoundError: if there is none.
        TypeError: if it is no path.
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
