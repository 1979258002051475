"""Labels as they stand in a file become what a network learns, and the other way round."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isnan
from typing import Any, final

from portnn import ops
from portnn._typing import Array
from portnn.backend import get_backend
from portnn.cli._source import Samples, is_text
from portnn.data import DataError

__all__ = ["Targets", "encode", "learn_targets"]

_EXACT = 2.0**53  # whole numbers up to here are exact in float64
_MOST_CLASSES = 100  # whole numbers with more different values are taken for values


@final
@dataclass(frozen=True, eq=False)
class Targets:
    """What is to be learned.

    Attributes:
        task: "classification", "multilabel" or "regression".
        y: class numbers (n,), or float32 (n, k).
        classes: the names of the classes; None if they are 0, 1, ... and have no others.
        width: the number of outputs.
    """

    task: str
    y: Array
    classes: list[str] | None
    width: int


def learn_targets(samples: Samples, task: str | None) -> Targets:
    """Targets to train with; the classes are those that occur.

    Raises:
        DataError: if the labels do not fit the task.
    """
    columns = samples.labels
    if columns is None:
        raise DataError(f"{samples.source}: there are no labels")
    guessed = samples.guessed and task is None  # a slip, more often than not, if it makes no sense
    task = task or _task_of(columns)
    if guessed and task == "regression":
        raise _unlikely(samples, "holds values rather than classes", "regression")
    if task != "classification":
        return Targets(task, _numbers(samples, columns, task), None, len(columns))
    if len(columns) > 1:
        raise DataError(f"{samples.source}: {len(columns)} columns of labels; classification has one column")
    values = _values(samples)
    classes = sorted(set(values), key=_natural)
    numbered = [str(i) for i in range(len(classes))] == classes
    y = _index(samples, values, classes)
    if guessed and 2 < len(classes) == len(values):
        raise _unlikely(samples, "has another one in every row", "classification")
    if len(classes) < 2:
        raise DataError(f"{samples.source}: every label is {classes[0]!r}; there is nothing to tell apart")
    return Targets(task, y, None if numbered else classes, len(classes))


def _unlikely(samples: Samples, what: str, task: str) -> DataError:
    """The error for a first column that nobody named as the label and that does not look like one."""
    name = samples.targets[0] if samples.targets else "1"
    return DataError(
        f"{samples.source}: the label is the first column unless --label names another, and column "
        f"{name[:60]!r} {what}; name the label with --label, or give --task {task} if this is it"
    )


def encode(samples: Samples, notes: dict[str, Any], width: int) -> Targets:
    """Targets for a network that has learned already.

    Raises:
        DataError: if the labels are not those that it knows.
    """
    columns, task = samples.labels, notes["task"]
    if columns is None:
        raise DataError(f"{samples.source}: there are no labels")
    if task != "classification":
        if len(columns) != width:
            raise DataError(
                f"{samples.source}: {len(columns)} columns of labels, the network has {width} outputs"
            )
        return Targets(task, _numbers(samples, columns, task), None, width)
    classes = notes.get("classes") or [str(i) for i in range(width)]
    if len(columns) > 1:
        raise DataError(f"{samples.source}: {len(columns)} columns of labels; classification has one column")
    y = _index(samples, _values(samples), classes)
    return Targets(task, y, notes.get("classes"), width)


def _task_of(columns: tuple[Array, ...]) -> str:
    """What labels look like: text and few whole numbers are classes, several columns of 0 and 1 labels."""
    numbers = [c for c in columns if not is_text(c)]
    if len(columns) > 1:
        binary = len(numbers) == len(columns) and all(set(c.tolist()) <= {0, 1} for c in numbers)
        return "multilabel" if binary else "regression"
    if not numbers or numbers[0].dtype.kind in "iub":
        return "classification"
    values = set(numbers[0].tolist())
    return (
        "classification"
        if len(values) <= _MOST_CLASSES and all(v == v // 1 for v in values)
        else "regression"
    )


def _values(samples: Samples) -> list[str]:
    """Return labels as text: codes keep leading zeros, other integers have no decimal point."""
    assert samples.labels is not None, "checked by the callers"
    column = samples.labels[0]
    if is_text(column):
        values: list[str] = column.tolist()
        missing = next((i for i, v in enumerate(values) if not v), None)
    else:
        numbers = column.tolist()
        missing = next((i for i, v in enumerate(numbers) if v != v), None)  # NaN
        values = [str(int(v)) if v // 1 == v else repr(v) for v in numbers]
        if samples.codes is None and any(isinstance(v, float) and _EXACT < abs(v) < inf for v in numbers):
            raise DataError(
                f"{samples.source}: a label is over 2^53, where numbers cannot be told apart; "
                "put a letter before each, so that they are text"
            )
    if missing is not None:
        raise DataError(f"{samples.source}: there is no label in {samples.place(missing)}")
    return values if samples.codes is None else samples.codes.tolist()


def _natural(text: str) -> tuple[bool, float, str]:
    """Numbers in their order, text after them."""
    try:
        number = float(text)
    except ValueError:
        return True, 0.0, text
    return (True, 0.0, text) if isnan(number) else (False, number, text)


def _index(samples: Samples, values: list[str], classes: list[str]) -> Array:
    """The number of each label among the classes."""
    places = {name: i for i, name in enumerate(classes)}
    odd = next((i for i, v in enumerate(values) if v not in places), None)
    if odd is not None:
        known = ", ".join(classes[:8]) + (", ..." if len(classes) > 8 else "")
        raise DataError(
            f"{samples.source}: {samples.place(odd)} has the label {values[odd][:40]!r}; known: {known}"[:290]
        )
    return get_backend("cpu").asarray([places[v] for v in values], dtype="int64")


def _numbers(samples: Samples, columns: tuple[Array, ...], task: str) -> Array:
    """Columns of numbers as float32 (n, k)."""
    for i, column in enumerate(columns):
        name = samples.targets[i] if samples.targets else str(i + 1)
        if is_text(column):
            what = task if len(columns) == 1 else "more than one column of labels"
            raise DataError(f"{samples.source}: label column {name[:60]!r} holds text; {what} needs numbers")
        wide = ops.astype(column, "float64")
        finite = ops.isfinite(ops.astype(wide, "float32"))
        if not bool(ops.all(finite)):
            place = samples.place(int(ops.argmin(ops.astype(finite, "int32"))))
            raise DataError(
                f"{samples.source}: label column {name[:60]!r} has NaN, infinity or a value "
                f"beyond float32 in {place}"
            )
        if task == "multilabel" and not set(wide.tolist()) <= {0.0, 1.0}:
            raise DataError(f"{samples.source}: label column {name[:60]!r} must hold 0 or 1 for multilabel")
    return ops.stack([ops.astype(c, "float32") for c in columns], axis=1)
