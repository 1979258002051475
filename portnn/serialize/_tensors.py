"""Trees of arrays in safetensors files: numbers and names, never code."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from secrets import token_hex
from typing import Any

import numpy as np

from portnn import tree
from portnn._typing import Tree

__all__ = ["CheckpointError", "fill", "load_tensors", "save_tensors"]

_KEY = "portnn"  # where the description stands among the metadata of the file


class CheckpointError(ValueError):
    """A file does not hold what it should; the message names the file and the tensor."""


def save_tensors(path: str | os.PathLike[str], tensors: Tree, description: Mapping[str, Any]) -> None:
    """Write a tree of NumPy arrays and a description of it to a safetensors file.

    The file is written under a temporary name in the same folder, flushed to the disk and renamed, so that
    at every moment `path` holds either the old file or the new one, whole.

    Args:
        path: the file; its folder exists.
        tensors: a tree of NumPy arrays; each is stored under its path in the tree, such as ``0.weight``.
        description: plain data that JSON can hold, stored in the header.

    Raises:
        FileNotFoundError: if the folder does not exist.
        IsADirectoryError: if `path` is a folder.
        TypeError: if the description is not plain data.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_tensors(f"{folder}/a.safetensors", {"w": np.ones(2)}, {"version": 1})
        ...     arrays, description = load_tensors(f"{folder}/a.safetensors")
        >>> arrays["w"].tolist(), description
        ([1.0, 1.0], {'version': 1})
    """
    from safetensors.numpy import save

    path = Path(path)
    if path.is_symlink():
        path = path.resolve()  # the renaming would replace the link and leave its target as it was
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot save {path}: the folder {path.parent} does not exist; make it first")
    if path.is_dir():
        raise IsADirectoryError(f"cannot save {path}: it is a folder; name a file in it")
    named = {name: np.asarray(array, order="C") for name, array in tree.items(tensors)}
    content = save(named, metadata={_KEY: json.dumps(description, allow_nan=False)})
    # Not tempfile's: that makes files that nobody else may read, and the renamed file would stay so.
    temporary = path.with_name(f".{path.name}.{token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make the renaming last through a power cut, on systems where folders can be synced."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def load_tensors(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a file that `save_tensors` wrote.

    Args:
        path: the file.

    Returns:
        The arrays by name, and the description.

    Raises:
        FileNotFoundError: if there is no such file.
        CheckpointError: if it is not a safetensors file, is damaged, or was not written by portnn.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"cannot load {path}: {'it is a folder' if path.is_dir() else 'no such file'}"
        )
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
    except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
        raise CheckpointError(f"{path} is not a whole safetensors file: {str(error)[:120]}") from None
    if _KEY not in metadata:
        raise CheckpointError(f"{path} was not written by portnn: its header has no entry {_KEY!r}")
    try:
        description = json.loads(metadata[_KEY])
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: the description in the header is damaged: {str(error)[:120]}"
        ) from None
    if not isinstance(description, dict):
        raise CheckpointError(f"{path}: the description in the header is not an object")
    return arrays, description


def fill(template: Tree, arrays: Mapping[str, Any], path: str | os.PathLike[str]) -> Tree:
    """Put the arrays of a file into a tree, each at the place that its name says.

    So the parameters of a network on NumPy with layers of your own, which `Network.save` refuses, are saved
    by ``save_tensors(path, net.params, {})`` and come back, into a network that was built in the same way,
    by ``net.params = fill(net.params, load_tensors(path)[0], path)``.

    Args:
        template: a tree of arrays with the shapes and dtypes that are expected.
        arrays: the arrays by name.
        path: the file they came from, for messages.

    Returns:
        A tree like the template.

    Raises:
        CheckpointError: if a name is missing or unknown, or a shape or dtype differs.

    Example:
        >>> fill({"w": np.zeros(2)}, {"w": np.ones(2)}, "a.safetensors")["w"].tolist()
        [1.0, 1.0]
    """
    expected = dict(tree.items(template))
    if odd := sorted(expected.keys() ^ arrays.keys()):
        kind = "lacks" if odd[0] in expected else "has the unknown"
        raise CheckpointError(
            f"{path} {kind} tensor {odd[0][:60]!r}; expected {len(expected)} tensors, got {len(arrays)}"
        )
    for name, array in expected.items():
        found = arrays[name]
        if found.shape != array.shape or found.dtype != array.dtype:
            raise CheckpointError(
                f"{path}: tensor {name!r} has shape {found.shape} and dtype {found.dtype}; "
                f"expected {array.shape} and {array.dtype}"
            )
        if not np.isfinite(found).all():
            raise CheckpointError(f"{path}: tensor {name!r} has values that are not finite")
    return tree.unflatten(template, [arrays[name] for name in expected])
