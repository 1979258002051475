"""``portnn predict``."""

from __future__ import annotations

import csv
import sys
from io import StringIO
from typing import Any

from portnn.cli._saved import inputs_of, open_network
from portnn.cli._source import is_picture
from portnn.cli._terminal import decimal, emit, emit_csv, note, save_text, short, table

__all__ = ["run"]


def run(
    *, network: str, inputs: tuple[str, ...], label: str | None, header: bool | None, separator: str | None,
    shape: str | None, invert: bool, proba: bool, style: str | None, output: str | None, backend: str,
    as_json: bool,
) -> None:  # fmt: skip
    """Predict with a network."""
    net, notes = open_network(network, backend)
    options = {
        "label": label, "header": header, "separator": separator, "shape": shape, "invert": invert,
    }  # fmt: skip
    x = inputs_of(net, notes, list(inputs), options)
    files = ["file"] if all(map(is_picture, inputs)) else []
    head, rows = _columns(net, notes, x, proba)
    if files:
        head, rows = [*files, *head], [[source, *row] for source, row in zip(inputs, rows, strict=True)]
    if as_json:
        emit("", [dict(zip(head, row, strict=True)) for row in rows], True)
    elif output is None and (style == "table" or (style is None and sys.stdout.isatty())):
        emit(
            table([short(n) for n in head], [[_cell(v) for v in row] for row in rows], left=len(files)),
            None,
            False,
        )
    else:
        text = _csv(head, rows)
        if output is None:
            emit_csv(text.removesuffix("\n"))
        else:
            save_text(output, text)
            note(f"{output}: {len(rows):,} predictions")


def _columns(net: Any, notes: dict[str, Any], x: Any, proba: bool) -> tuple[list[str], list[list[Any]]]:
    """The names of what is predicted, and a row for each sample."""
    if notes["task"] == "regression":
        values = net.predict(x)
        values = values.reshape(values.shape[0], -1).tolist()
        return _named(notes, "targets", len(values[0]), "prediction"), values
    probabilities = net.predict_proba(x).tolist()
    width = len(probabilities[0])
    if notes["task"] == "multilabel":
        names = _named(notes, "targets", width, "label")
        rows = [[int(p > 0.5) for p in row] for row in probabilities]
    else:
        names = _named(notes, "classes", width, "")
        best = net.predict(x).tolist()
        rows = [[names[i], row[i]] for i, row in zip(best, probabilities, strict=True)]
    head = names if notes["task"] == "multilabel" else ["prediction", "probability"]
    if proba:
        head = [*head, *(f"p({name})" for name in names)]
        rows = [[*row, *p] for row, p in zip(rows, probabilities, strict=True)]
    return head, rows


def _named(notes: dict[str, Any], kind: str, width: int, word: str) -> list[str]:
    """The names that the file knows, or numbers."""
    names = notes.get(kind)
    if names and len(names) == width:
        return list(names)
    if width == 1 and word:
        return [word]
    return [f"{word} {i}".strip() for i in range(width)]


def _cell(value: Any) -> str:
    return decimal(value) if isinstance(value, float) else short(str(value))


def _csv(head: list[str], rows: list[list[Any]]) -> str:
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([[f"{v:.7g}" if isinstance(v, float) else v for v in row] for row in rows])
    return text.getvalue()
