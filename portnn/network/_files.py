"""Networks as files: the description as plain data, and the tensors."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from inspect import signature
from typing import Any, TypeAlias, TypeVar

from portnn import losses, tree
from portnn._typing import Array
from portnn.backend import Backend, get_backend
from portnn.losses import Loss, task_of
from portnn.network._model import Model
from portnn.nn import describe, from_description
from portnn.serialize import CheckpointError, fill, load_tensors, save_tensors

__all__ = ["FORMAT", "read_network", "write_network"]

M = TypeVar("M", bound=Model)
Path: TypeAlias = str | os.PathLike[str]

FORMAT = 1  # the version of what stands in the header


def describe_loss(loss: Callable[..., Array]) -> dict[str, Any] | None:
    """A loss of portnn as plain data; None for one of the user's own, which a file cannot name."""
    options: dict[str, Any] = {}
    inner: Any = loss
    while isinstance(inner, partial):
        options, inner = {**inner.keywords, **options}, inner.func
    name = getattr(inner, "__name__", "")
    plain = all(value is None or isinstance(value, bool | int | float | str) for value in options.values())
    if name not in losses.__all__ or getattr(losses, name) is not inner or not plain:
        return None
    return {"name": name, "options": options}


def loss_from(data: Any, path: Any) -> Callable[..., Array]:
    """The loss that `describe_loss` made data of.

    Raises:
        CheckpointError: if the data name no loss of portnn, or there are none.
    """
    if data is None:
        raise CheckpointError(
            f"{path}: the network was saved with a loss that a file cannot hold; "
            "pass it: Network.load(path, loss=...)"
        )
    name, options = read_field(data, "name", str, path), read_field(data, "options", dict, path)
    loss = getattr(losses, name) if name in losses.__all__ else None
    if not isinstance(loss, Loss):
        raise CheckpointError(f"{path}: {name[:60]!r} is no loss of this version of portnn")
    if odd := sorted(options.keys() - signature(loss).parameters.keys()):
        raise CheckpointError(f"{path}: the loss {name} has no option {odd[0][:60]!r}")
    return partial(loss, **options) if options else loss


def read_field(data: Any, name: str, kind: type | tuple[type, ...], path: Any) -> Any:
    """One field of the description, of the type that it must have.

    Raises:
        CheckpointError: if it is missing or of another type.
    """
    value = data.get(name) if isinstance(data, dict) else None
    odd = isinstance(value, int) and (isinstance(value, bool) or value < 0)
    if odd or not isinstance(value, kind):
        raise CheckpointError(
            f"{path}: the description lacks a valid {name!r}; the file is damaged or not portnn's"
        )
    return value


def write_network(net: Model, path: Path) -> None:
    """Write a network: its description in the header, and its arrays."""
    description = {
        "format": FORMAT, "layers": describe(net.layer), "loss": describe_loss(net.loss), "seed": net.seed,
        "dtype": net.dtype, "epochs": net.epochs, "steps": net.steps,
    }  # fmt: skip
    save_tensors(
        path, tree.map(net.backend.to_numpy, {"params": net.params, "state": net.state}), description
    )


def read_network(cls: type[M], path: Path, backend: str | Backend, loss: Callable[..., Array] | None) -> M:
    """Read a network that `write_network` wrote.

    Raises:
        CheckpointError: if the file is not what it should be.
        TypeError: if `loss` is not a `portnn.losses.Loss`.
    """
    backend = get_backend(backend)
    if loss is not None:
        task_of(loss)
    arrays, description = load_tensors(path)
    if (version := read_field(description, "format", int, path)) != FORMAT:
        raise CheckpointError(
            f"{path}: the file has format {version}, this portnn reads {FORMAT}; update portnn"
        )
    options = {
        name: read_field(description, name, kind, path) for name, kind in (("seed", int), ("dtype", str))
    }
    loss = loss_from(description.get("loss"), path) if loss is None else loss
    try:
        layer = from_description(read_field(description, "layers", dict, path))
        net = cls(layer, loss=loss, backend=backend, **options)
    except (TypeError, ValueError, OverflowError, MemoryError, RecursionError) as error:
        raise CheckpointError(f"{path}: {str(error)[:220]}") from None
    template = tree.map(net.backend.to_numpy, {"params": net.params, "state": net.state})
    filled = fill(template, arrays, path)
    net.resume(
        filled["params"],
        filled["state"],
        *[read_field(description, n, int, path) for n in ("epochs", "steps")],
    )
    return net
