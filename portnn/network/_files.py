"""Networks as files: the description as plain data, and the tensors."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from inspect import signature
from typing import Any, NamedTuple, TypeAlias, TypeVar
from warnings import warn

from portnn import losses, tree
from portnn._typing import Array, Tree
from portnn.backend import Backend, get_backend
from portnn.losses import Loss, task_of
from portnn.network._fitted import TrainState
from portnn.network._loading import COUNTS
from portnn.network._model import Model
from portnn.network._options import SEEDS
from portnn.nn import Layer, describe, from_description, outline
from portnn.serialize import CheckpointError, Header, check_tensors, fill, read_checked, write_checked

__all__ = ["FORMAT", "read_network", "write_network"]

M = TypeVar("M", bound=Model)
Path: TypeAlias = str | os.PathLike[str]

FORMAT = 2  # the version of what stands in the header
KIND = "network"
LARGEST = 2**24  # bound of an integer in the description of a layer, unless a tensor has that length
_FIELDS = {"kind", "format", "layers", "loss", "seed", "dtype", "epochs", "steps", "notes"}

# What Python raises over a description that is plain data and still no layer.
ODD = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, MemoryError, RecursionError)


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
    if odd := sorted(data.keys() - {"name", "options"}):
        raise CheckpointError(f"{path}: the loss {name} has the unknown field {odd[0][:60]!r}")
    if any(isinstance(value, dict | list) for value in options.values()):
        raise CheckpointError(f"{path}: the loss {name} has an option that is neither number nor text")
    if odd := sorted(options.keys() - signature(loss).parameters.keys()):
        raise CheckpointError(f"{path}: the loss {name} has no option {odd[0][:60]!r}")
    return partial(loss, **options) if options else loss


def read_field(data: Any, name: str, kind: type | tuple[type, ...], path: Any) -> Any:
    """One field of the description, of the type that it must have.

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


def write_network(net: Model, path: Path) -> None:
    """Write a network: its description, in the header, and its arrays.

    Raises:
        TypeError: if a part of it is not portnn's own.
        ValueError: if `read_network` would refuse the file.
    """
    description = {
        "kind": KIND,
        "format": FORMAT,
        "layers": describe(net.layer),
        "loss": describe_loss(net.loss),
        "seed": net.seed,
        "dtype": net.dtype,
        "epochs": net.epochs,
        "steps": net.steps,
        "notes": net.notes,
    }
    arrays = tree.map(net.backend.to_numpy, {"params": net.params, "state": net.state})

    def check(header: Header) -> None:
        found = _plan(header, net.loss if description["loss"] is None else None, path)
        fill({"params": found.params, "state": found.state}, tree.named(arrays), path)

    write_checked(path, arrays, description, check)


def _from_1(description: dict[str, Any]) -> dict[str, Any]:
    """Format 1 did not say what kind of file it is."""
    return {"kind": KIND, **description, "format": 2}


_UPGRADES = {1: _from_1}


def upgraded(description: dict[str, Any], path: Any) -> dict[str, Any]:
    """A description of any format as one of the present format.

    Raises:
        CheckpointError: if the file is of a format that is not known.
    """
    while (version := read_field(description, "format", int, path)) != FORMAT:
        if version not in _UPGRADES:
            raise CheckpointError(
                f"{path}: the file has format {version}, this portnn reads 1 to {FORMAT}; update portnn"
            )
        description = _UPGRADES[version](description)
    return description


def read_network(cls: type[M], path: Path, backend: str | Backend, loss: Callable[..., Array] | None) -> M:
    """Read a network that `write_network` wrote.

    Raises:
        CheckpointError: if the file is not what it should be.
        TypeError: if `loss` is not a `portnn.losses.Loss`.
    """
    backend = get_backend(backend)
    if loss is not None:
        task_of(loss)
    plan: list[_Plan] = []

    def check(header: Header) -> None:
        plan.append(_plan(header, loss, path))

    arrays, header = read_checked(path, check)
    [found] = plan
    filled = fill({"params": found.params, "state": found.state}, arrays, path)
    params, state = tree.map(backend.asarray, (filled["params"], filled["state"]))
    now = TrainState(backend, params, state, found.seed, found.epochs, found.steps)
    net = cls.revive(found.layer, found.loss, now, found.dtype)
    net.notes = found.notes
    if not header.checked:
        warn(
            f"{path} has no digests, so damage to it would not be seen; save the network again", stacklevel=3
        )
    return net


class _Plan(NamedTuple):
    """What a header says about a network; parameters and state without numbers."""

    layer: Layer
    loss: Callable[..., Array]
    seed: int
    dtype: str
    epochs: int
    steps: int
    notes: dict[str, Any]
    params: Tree
    state: Tree


def _plan(header: Header, loss: Callable[..., Array] | None, path: Path) -> _Plan:
    """What a network will be, before memory is taken for its tensors.

    Raises:
        CheckpointError: if the description is not whole, or the tensors are not those that it needs.
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
    # Somewhat more than there is, so that the tensor that does not fit is named.
    size = 2 * sum(spec.size for spec in header.tensors.values()) + (1 << 16)
    try:
        check_counts(layers, len(header.tensors), path)
        layer = from_description(layers)
        if not isinstance(layer, Layer):
            raise TypeError(f"the description is of a {type(layer).__name__}, expected a layer")
        params, state = outline(layer, dtype, limit=size)  # what has tensors is refused by their size
        check_numbers(layers, max([0, *(n for spec in header.tensors.values() for n in spec.shape)]), path)
    except CheckpointError:
        raise
    except ODD as error:
        raise CheckpointError(f"{path}: {str(error)[:200]}") from None
    expected = tree.items({"params": params, "state": state})
    check_tensors({name: (a.shape, a.dtype) for name, a in expected}, header.tensors, path)
    return _Plan(layer, loss, **numbers, dtype=dtype, notes=notes, params=params, state=state)


def check_numbers(data: Any, longest: int, path: Any) -> None:
    """Check that no integer in a description of layers is huge, unless a tensor has an axis of that length.

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
    """Equal layers are told apart by a number, and each has tensors: that many there can be at most.

    Raises:
        CheckpointError: if there are more.
    """
    for name, value in data.items() if isinstance(data, dict) else enumerate(data):
        if name == "num_layers" and not (isinstance(value, int) and value <= most):
            raise CheckpointError(
                f"{path}: the description has num_layers={str(value)[:40]}; expected at most {most}"
            )
        if isinstance(value, dict | list):
            check_counts(value, most, path)
