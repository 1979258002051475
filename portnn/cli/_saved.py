"""Networks from files, with what the files say of the data, and inputs for them."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

from click import UsageError

from portnn import losses, ops
from portnn._typing import Array
from portnn.cli._names import lengths_of
from portnn.cli._source import (
    TABLES,
    as_table,
    columns_named,
    is_picture,
    is_table,
    is_text,
    only_array,
    read_samples,
    real,
    whole,
)
from portnn.cli._terminal import count
from portnn.data import DataError, Table, load_mnist, read_image, read_table
from portnn.losses import Task
from portnn.network import Network
from portnn.nn import Linear

__all__ = ["inputs_of", "labelled", "open_network", "shape_of", "width_of"]

_LARGEST = 2**25  # numbers of a sample; no tensor bounds what a note claims
_TASKS = {Task.CLASSES: "classification", Task.LABELS: "multilabel", Task.VALUES: "regression"}


def open_network(path: str, backend: str) -> tuple[Network, dict[str, Any]]:
    """A network, and what its file says of the data it learned from."""
    net = Network.load(path, backend=backend)
    for name in ("classes", "targets", "features"):
        words = net.notes.get(name, [])
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise DataError(f"{path}: the note {name!r} must be a list of names")
    lengths = net.notes.get("shape", [])
    if not isinstance(lengths, list) or not all(type(n) is int and n > 0 for n in lengths):
        raise DataError(f"{path}: the note 'shape' must be a list of lengths")
    if prod(lengths) > _LARGEST:
        raise DataError(f"{path}: the note 'shape' describes samples of more than {_LARGEST:,} numbers")
    return net, {**net.notes, "task": _TASKS[losses.task_of(net.loss)]}


def shape_of(net: Network, notes: dict[str, Any], given: str | None) -> tuple[int, ...]:
    """The shape of a sample: as given, as noted, or as the first linear layer says.

    Raises:
        UsageError: if it is not known.
    """
    if given:
        lengths = lengths_of(given)
        if lengths is None:
            raise UsageError(f"--shape: expected lengths such as 28,28, got {given[:40]!r}.")
        return tuple(lengths)
    if "shape" in notes:
        return tuple(notes["shape"])
    first = (net.layer.members or (net.layer,))[0]
    if isinstance(first, Linear):
        return (first.in_features,)
    raise UsageError("the file does not say what shape a sample has; give --shape, such as 28,28.")


def width_of(net: Network, notes: dict[str, Any], x: Array) -> int:
    """The number of outputs."""
    if notes["task"] == "regression":
        return int(prod(net.predict(x[:1]).shape[1:]))
    return int(net.predict_proba(x[:1]).shape[-1])


def inputs_of(net: Network, notes: dict[str, Any], paths: list[str], options: dict[str, Any]) -> Array:
    """Inputs without labels, for predictions.

    Raises:
        DataError: if the data are not as expected.
        UsageError: if there are several files that are no pictures.
    """
    shape = shape_of(net, notes, options.get("shape"))
    if all(is_picture(path) for path in paths):
        if len(_picture_shape(shape)) == 1:
            raise DataError(
                f"{paths[0]}: the network takes {count(shape[0], 'column')} of numbers, not pictures; "
                "if they are pixels, say how they lie: --shape HEIGHT,WIDTH"
            )
        return ops.stack(
            [read_image(p, _picture_shape(shape), invert=options["invert"]) for p in paths], axis=0
        )
    if len(paths) > 1:
        raise UsageError("Give either one table or any number of pictures.")
    [path] = paths
    if Path(path).is_dir():
        return load_mnist(path, "test")[0]
    if is_table(path):
        read = read_table(path, header=options.get("header"), separator=options.get("separator"))
        return _columns_of(read, notes, shape, options)
    if Path(path).suffix.lower() not in (".npy", ".npz"):
        raise DataError(
            f"{path}: expected a table ({', '.join(TABLES)}), .npy, pictures, or a folder with MNIST"
        )
    x = real(path, only_array(path))
    if len(x.shape) == 2 and len(shape) == 1 and (options.get("label") or x.shape[1] != shape[0]):
        return _columns_of(as_table(path, x), notes, shape, options)
    return _checked(path, ops.expand_dims(x, axis=0) if tuple(x.shape) == shape else x, shape)


def _picture_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a picture: rows of pixels of a square one have none of their own."""
    side = round(prod(shape) ** 0.5)
    return (side, side) if len(shape) == 1 and side * side == shape[0] else shape


def _columns_of(
    table: Table, notes: dict[str, Any], shape: tuple[int, ...], options: dict[str, Any]
) -> Array:
    """Inputs from a table: the columns that the network knows by name, else all but the label's."""
    left_out = set(columns_named(table, options, "label"))
    known = notes.get("features")
    names = [name for name in table.names if name not in left_out]
    if table.named and known:
        _check_names(table.source, names, known)
        names = known
    elif len(names) != prod(shape):
        raise DataError(_miscounted(table, names, prod(shape), known))
    x = table.numbers(names)
    return _checked(table.source, whole(x) if notes.get("pixels") else x, shape)


def _check_names(source: str, names: list[str], known: list[str]) -> None:
    """See that all columns are there that the network learned from."""
    missing = [name for name in known if name not in names]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        there = ", ".join(name[:30] for name in names[:4]) + (", ..." if len(names) > 4 else "")
        raise DataError(
            f"{source}: there is no column {missing[0][:60]!r}{more}, which the network learned from; "
            f"there are {there or 'no others'}"
        )


def _miscounted(table: Table, names: list[str], n: int, known: list[str] | None) -> str:
    """What to say of columns without names that are not as many as the network takes."""
    listed = f" ({', '.join(known)[:60]})" if known else ""
    said = f"{table.source}: has {count(len(names), 'column')}, the network takes {n}{listed}"
    if len(names) < n:
        return f"{said}: {n - len(names)} too few"
    text = [name for name in names if is_text(table.column(name))]
    what = (
        f"column {text[0][:40]} holds text; is it the label? " if text else "if one is the label, say which: "
    )
    return f"{said}: {len(names) - n} too many; {what}--label {text[0][:40] if text else names[0][:40]}"


def _checked(path: str, x: Array, shape: tuple[int, ...]) -> Array:
    """Samples of the right size, in the right shape."""
    if not prod(x.shape):
        raise DataError(f"{path}: expected samples, got the empty shape {tuple(x.shape)}")
    if len(x.shape) < 2 or prod(x.shape[1:]) != prod(shape):
        if len(x.shape) == 2 and len(shape) == 1:
            raise DataError(f"{path}: {count(x.shape[1], 'column')} of inputs, the network takes {shape[0]}")
        raise DataError(f"{path}: samples have shape {tuple(x.shape[1:])}, the network takes {shape}")
    return ops.reshape(x, (x.shape[0], *shape))


def labelled(path: str, net: Network, notes: dict[str, Any], options: dict[str, Any]) -> Any:
    """Samples with labels, for `portnn evaluate`; columns are found by the names that the network knows."""
    known = notes.get("targets")
    if not options.get("label") and known and is_table(path):
        options = {**options, "label": known}
    samples = read_samples(path, options, "test")
    features = notes.get("features")
    if samples.features is not None and features and samples.features != features:
        _check_names(path, samples.features, features)
        order = [samples.features.index(name) for name in features]
        return samples, ops.stack([samples.x[:, i] for i in order], axis=1)
    return samples, _checked(
        path, samples.x, shape_of(net, notes, None) if "shape" in notes else samples.x.shape[1:]
    )
