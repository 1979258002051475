"""Network files: the configuration as plain data, and the tensors."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias
from warnings import warn

from portnn import tree
from portnn._typing import Array, Tree
from portnn.backend import Backend, get_backend
from portnn.losses import task_of
from portnn.losses._config import loss_config, loss_from_config
from portnn.network._mistakes import check_save_path
from portnn.nn import Layer, describe, from_description, outline
from portnn.serialize import CheckpointError, Header, check_tensors, fill, read_checked, write_checked
from portnn.train import NetState
from portnn.train._checkpoint import FORMAT, ODD, read_field
from portnn.train._state import COUNTS

__all__ = ["read_network", "write_network"]

Path: TypeAlias = str | os.PathLike[str]

KIND = "network"
LARGEST = 2**24  # bound of an integer in a layer's configuration, unless a tensor has that length
_FIELDS = {
    "kind", "format", "layers", "loss", "seed", "dtype", "epochs", "steps", "notes", "sample_shape",
    "flat_targets",
}  # fmt: skip


def loss_from(data: Any, path: Any) -> Callable[..., Array]:
    """Return the loss of a configuration.

    Raises:
        CheckpointError: if it is missing or not one of portnn's.
    """
    if data is None:
        raise CheckpointError(
            f"{path}: the network was saved with a loss that a file cannot hold; "
            "pass it: Network.load(path, loss=...)"
        )
    try:
        return loss_from_config(data if isinstance(data, dict) else {})
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from None


def write_network(state: NetState, path: Path) -> None:
    """Write a network: its configuration, in the header, and its arrays.

    Raises:
        TypeError: if a part of it is not portnn's own.
        ValueError: if `read_network` would reject the file.
    """
    check_save_path(path)
    description = {
        "kind": KIND,
        "format": FORMAT,
        "layers": describe(state.layer),
        "loss": loss_config(state.loss),
        "seed": state.seed,
        "dtype": state.dtype,
        "epochs": state.epochs,
        "steps": state.steps,
        "notes": state.notes,
        "sample_shape": None if state.sample_shape is None else [*state.sample_shape],
        "flat_targets": state.flat_targets,
    }
    arrays = tree.map(state.backend.to_numpy, {"params": state.shown, "state": state.state})

    def check(header: Header) -> None:
        found = _described(header, state.loss if description["loss"] is None else None, state.backend, path)
        fill({"params": found.params, "state": found.state}, tree.named(arrays), path)

    write_checked(path, arrays, description, check)


def _from_1(description: dict[str, Any]) -> dict[str, Any]:
    """Add the kind of file, which format 1 lacks."""
    return {"kind": KIND, **description, "format": 2}


def _from_2(description: dict[str, Any]) -> dict[str, Any]:
    """Add the shapes of a sample and of targets, which format 2 lacks."""
    return {"sample_shape": None, "flat_targets": False, **description, "format": 3}


_UPGRADES = {1: _from_1, 2: _from_2}


def upgraded(description: dict[str, Any], path: Any) -> dict[str, Any]:
    """Convert a configuration of any format to the current format.

    Raises:
        CheckpointError: if the format is unknown.
    """
    while (version := read_field(description, "format", int, path)) != FORMAT:
        if version not in _UPGRADES:
            raise CheckpointError(
                f"{path}: the file has format {version}, this portnn reads 1 to {FORMAT}; update portnn"
            )
        description = _UPGRADES[version](description)
    return description


def read_network(path: Path, backend: str | Backend, loss: Callable[..., Array] | None) -> NetState:
    """Read a network that `write_network` wrote.

    Raises:
        CheckpointError: if the file is invalid.
        TypeError: if `loss` is not a `portnn.losses.Loss`.
    """
    backend = get_backend(backend)
    if loss is not None:
        task_of(loss)
    found: list[NetState] = []

    def check(header: Header) -> None:
        found.append(_described(header, loss, backend, path))

    arrays, header = read_checked(path, check)
    [state] = found
    filled = fill({"params": state.params, "state": state.state}, arrays, path)
    params, running = tree.map(backend.asarray, (filled["params"], filled["state"]))
    if not header.checked:
        warn(
            f"{path} has no digests, so damage to it would not be seen; save the network again", stacklevel=3
        )
    return replace(state, params=params, state=running)


def _described(header: Header, loss: Callable[..., Array] | None, backend: Backend, path: Path) -> NetState:
    """Return the network of a header, with shapes and dtypes in place of arrays.

    Raises:
        CheckpointError: if the configuration is incomplete, or the tensors do not match it.
    """
    if header.description.get("format") != 1 and not header.checked:
        raise CheckpointError(f"{path} is damaged: files of this format have digests, and it has none")
    data = upgraded(header.description, path)
    if (kind := read_field(data, "kind", str, path)) != KIND:
        raise CheckpointError(f"{path}: the file holds a {kind[:40]!r}, expected a {KIND!r}")
    if odd := sorted(data.keys() - _FIELDS):
        raise CheckpointError(f"{path}: the description has the unknown field {odd[0][:60]!r}; update portnn")
    numbers = {name: read_field(data, name, int, path) for name in ("seed", "epochs", "steps")}
    if (dtype := read_field(data, "dtype", str, path)) not in ("float32", "float64"):
        raise CheckpointError(f"{path}: dtype must be 'float32' or 'float64', got {dtype[:40]!r}")
    loss = loss_from(data.get("loss"), path) if loss is None else loss
    layers, notes = [read_field({"notes": {}, **data}, name, dict, path) for name in ("layers", "notes")]
    if not isinstance(flat := data.get("flat_targets"), bool):
        raise CheckpointError(f"{path}: the description lacks a valid 'flat_targets'")
    shape = _sample_shape(data, path)
    layer, params, state = _layers_from(layers, header, dtype, path)
    arrays = {"params": params, "state": state}
    rest: dict[str, Any] = {**numbers, **arrays, "notes": notes, "sample_shape": shape, "flat_targets": flat}
    return NetState(layer, loss, backend, dtype, **rest)


def _sample_shape(data: dict[str, Any], path: Path) -> tuple[int, ...] | None:
    """Return the shape of a sample; None if unknown."""
    shape = data.get("sample_shape")
    if shape is None:
        return None
    if not isinstance(shape, list) or any(type(n) is not int or not 0 <= n < COUNTS for n in shape):
        raise CheckpointError(f"{path}: the description lacks a valid 'sample_shape'")
    return tuple(shape)


def _layers_from(layers: dict[str, Any], header: Header, dtype: str, path: Path) -> tuple[Layer, Tree, Tree]:
    """Return the layers, and their parameters and state as shapes, before tensors are read.

    Raises:
        CheckpointError: if they are not layers, or the tensors do not match them.
    """
    # Somewhat more than there is, so that the error names the tensor that does not fit.
    size = 2 * sum(spec.size for spec in header.tensors.values()) + (1 << 16)
    try:
        check_counts(layers, len(header.tensors), path)
        layer = from_description(layers)
        if not isinstance(layer, Layer):
            raise TypeError(f"the description is of a {type(layer).__name__}, expected a layer")
        params, state = outline(layer, dtype, limit=size)  # raises beyond the size of the tensors
        check_numbers(layers, max([0, *(n for spec in header.tensors.values() for n in spec.shape)]), path)
    except CheckpointError:
        raise
    except ODD as error:
        raise CheckpointError(f"{path}: {str(error)[:200]}") from None
    expected = tree.items({"params": params, "state": state})
    check_tensors({name: (a.shape, a.dtype) for name, a in expected}, header.tensors, path)
    return layer, params, state


def check_numbers(data: Any, longest: int, path: Any) -> None:
    """Check that no integer in a configuration is huge, unless a tensor has an axis of that length.

    Raises:
        CheckpointError: if there is such an integer.
    """
    for name, value in data.items() if isinstance(data, dict) else enumerate(data):
        if type(value) is int and abs(value) > max(LARGEST, longest):
            shown = value if abs(value) < 2**64 else "a huge number"
            raise CheckpointError(
                f"{path}: the description has {str(name)[:40]}={shown}; expected at most {LARGEST:,}, or the "
                f"length of a tensor, {longest:,}"
            )
        if isinstance(value, dict | list):
            check_numbers(value, longest, path)


def check_counts(data: Any, most: int, path: Any) -> None:
    """Check a number of equal layers: each has tensors, whose number bounds it.

    Raises:
        CheckpointError: if there are too many.
    """
    for name, value in data.items() if isinstance(data, dict) else enumerate(data):
        if name == "num_layers" and not (isinstance(value, int) and value <= most):
            raise CheckpointError(
                f"{path}: the description has num_layers={str(value)[:40]}; expected at most {most}"
            )
        if isinstance(value, dict | list):
            check_counts(value, most, path)
