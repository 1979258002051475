"""``portnn evaluate``."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import Any

from click import UsageError

from portnn import metrics, ops
from portnn._typing import Array
from portnn.cli._saved import labelled, open_network, width_of
from portnn.cli._targets import Targets, encode
from portnn.cli._terminal import decimal, emit, note, short, table
from portnn.network import Network

__all__ = ["run"]

_SHOWN = 20  # more classes than that make no table that a terminal could show


def run(
    *, network: str, data: str, label: str | None, labels_file: str | None, drop: str | None,
    header: bool | None, separator: str | None, plot: str | None, backend: str, as_json: bool,
) -> None:  # fmt: skip
    """Measure a network on data with labels."""
    net, notes = open_network(network, backend)
    if plot and notes["task"] != "classification":
        raise UsageError(f"--plot draws the confusion matrix of classes; the network is for {notes['task']}.")
    options = {
        "label": label, "labels_file": labels_file, "drop": drop, "header": header, "separator": separator,
    }  # fmt: skip
    samples, x = labelled(data, net, notes, options)
    targets = encode(samples, notes, width_of(net, notes, x))
    if x.shape[0] != targets.y.shape[0]:
        raise ValueError(f"{samples.source}: {x.shape[0]} samples, but labels for {targets.y.shape[0]}")
    measures: dict[str, Any] = {"samples": int(x.shape[0]), **net.evaluate(x, targets.y)}
    # One column holds all classes; several outputs have one each.
    columns = None if notes["task"] == "classification" else samples.targets
    names = targets.classes or columns or [str(i) for i in range(targets.width)]
    more, text = {
        "classification": _classes, "multilabel": _labels, "regression": _values,
    }[notes["task"]](net, x, targets, names)  # fmt: skip
    measures |= more
    if plot:
        _draw(plot, more["confusion_matrix"], [short(name) for name in names])
        note(f"{plot}: the confusion matrix")
    lines = [
        f"{name:<25}{_shown(value)}" for name, value in measures.items() if not isinstance(value, list | dict)
    ]
    emit("\n".join([*lines, *text]), measures, as_json)


def _draw(path: str, matrix: Any, names: list[str]) -> None:
    """Save the confusion matrix as a picture, in the format that the file's name says."""
    from portnn.plot import confusion_matrix
    from portnn.serialize import whole_file

    figure = confusion_matrix(matrix, names)
    with whole_file(path) as file:
        figure.savefig(file, dpi=150, format=Path(path).suffix[1:] or None)


def _shown(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else "not defined" if value is None else decimal(value)


def _number(value: Any) -> float | None:
    """A number that JSON can hold."""
    return float(value) if isfinite(float(value)) else None


def _classes(net: Network, x: Array, targets: Targets, names: list[str]) -> tuple[dict[str, Any], list[str]]:
    """Precision, recall and F1 of each class, and which was taken for which."""
    y, found = targets.y, net.predict(x)
    n = len(names)
    each = [
        f(y, found, average=None, n_classes=n).tolist()
        for f in (metrics.precision, metrics.recall, metrics.f1)
    ]
    matrix = metrics.confusion_matrix(y, found, n_classes=n).tolist()
    per_class = {
        name: {"precision": p, "recall": r, "f1": f, "samples": sum(row)}
        for name, p, r, f, row in zip(names, *each, matrix, strict=True)
    }
    macro = float(metrics.f1(y, found, average="macro", n_classes=n))
    measures = {"f1 (macro)": macro, "classes": per_class, "labels": names, "confusion_matrix": matrix}
    rows = [
        (short(name), *(f"{v[k]:.4f}" for k in ("precision", "recall", "f1")), f"{v['samples']:,}")
        for name, v in per_class.items()
    ]
    text = ["", table(("class", "precision", "recall", "f1", "samples"), rows), ""]
    if n > _SHOWN:
        return measures, [*text, f"the confusion matrix has {n} classes; draw it with --plot FILE.png"]
    head = ("true \\ predicted", *(short(name, 10) for name in names))
    return measures, [
        *text,
        table(head, [(short(name), *map(_blank, row)) for name, row in zip(names, matrix, strict=True)]),
    ]


def _blank(count: int) -> str:
    """A zero says as much by a dot, and the others can be seen."""
    return str(count) if count else "."


def _labels(net: Network, x: Array, targets: Targets, names: list[str]) -> tuple[dict[str, Any], list[str]]:
    """Precision, recall and F1 of each label."""
    y, found = ops.astype(targets.y, "int64"), ops.astype(net.predict(x), "int64")
    per_label = {}
    for i, name in enumerate(names):
        pair = (y[:, i], found[:, i])
        values = [
            f(*pair, average=None, n_classes=2).tolist()[1]
            for f in (metrics.precision, metrics.recall, metrics.f1)
        ]
        per_label[name] = dict(zip(("precision", "recall", "f1"), values, strict=True))
    rows = [(short(name), *(f"{v:.4f}" for v in values.values())) for name, values in per_label.items()]
    return {"labels": per_label}, ["", table(("label", "precision", "recall", "f1"), rows)]


def _values(net: Network, x: Array, targets: Targets, names: list[str]) -> tuple[dict[str, Any], list[str]]:
    """How far off the values are."""
    found = ops.astype(net.predict(x), "float64")
    y = ops.reshape(ops.astype(targets.y, "float64"), found.shape)
    measures = {
        "r2": _number(metrics.r2(y, found)),
        "mean absolute error": _number(metrics.mean_absolute_error(y, found)),
        "root mean squared error": _number(metrics.root_mean_squared_error(y, found)),
    }
    return measures, []
