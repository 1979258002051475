"""Samples from whatever a path leads to: inputs, labels as they stand there, and the names of both."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path
from re import compile as pattern
from shlex import quote
from typing import Any, final

from click import UsageError

from portnn import ops
from portnn._typing import Array
from portnn.data import DataError, Table, load_mnist, read_arrays, read_table

__all__ = [
    "Samples",
    "as_table",
    "columns_named",
    "is_picture",
    "is_table",
    "is_text",
    "only_array",
    "pixel_like",
    "read_samples",
    "real",
    "split_names",
    "whole",
]

_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
TABLES = (".csv", ".tsv", ".tab", ".txt", ".data", ".dat", ".gz", ".zip", ".parquet", ".pq")
_PAIRS = {
    "train": (("x_train", "y_train"), ("x", "y"), ("images", "labels"), ("data", "target")),
    "test": (("x_test", "y_test"), ("x", "y"), ("images", "labels"), ("data", "target")),
}
_WIDEST = 8  # bytes of an integer
_PIXELS, _DARK = (
    64,
    100.0,
)  # so many columns of whole numbers, of which one is above this, are taken for pixels

_WITH_COMMAS = pattern(r"[-+]?[0-9]+(,[0-9]+)+(\.[0-9]+)?")
_THOUSANDS = pattern(r"[-+]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?")
_NUMBER = pattern(r"-?[0-9]{1,9}")  # of a column


@final
@dataclass(frozen=True, eq=False)
class Samples:
    """What was read.

    Attributes:
        source: where from, for messages.
        x: inputs (n, ...), float32 or uint8.
        labels: columns of labels (n,), text or float64; or one array (n, k); None if there are none.
        features: names of the columns of x, if they have some.
        targets: names of the columns of labels, likewise.
        table: the table that they come from, if any.
        guessed: whether the labels are the first column because nobody named another.
        codes: a single column of labels as text, if they are numbers with leading zeros.
    """

    source: str
    x: Array
    labels: tuple[Array, ...] | None
    features: list[str] | None = None
    targets: list[str] | None = None
    table: Table | None = None
    guessed: bool = False
    codes: Array | None = None

    def place(self, i: int) -> str:
        """Where sample `i`, counted from 0, stands, for messages."""
        return f"row {i + 1}" if self.table is None else self.table.place(i)


def is_picture(path: str) -> bool:
    """Whether a file is a picture, by its name."""
    return Path(path).suffix.lower() in _PICTURES


def is_table(path: str) -> bool:
    """Return whether a file is a table, by its name; pipes without a name count as tables."""
    nameless = not Path(path).suffix and (Path(path).is_fifo() or path.startswith("/dev/"))
    return Path(path).suffix.lower() in TABLES or nameless


def is_text(column: Array) -> bool:
    """Return whether a column holds text, of fixed or variable length."""
    return column.dtype.kind in "UT"


def split_names(text: str | None) -> list[str]:
    """Words that are separated by commas."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def read_samples(path: str, options: dict[str, Any], split: str = "train") -> Samples:
    """Read inputs with labels.

    Args:
        path: a table, arrays, or a folder with MNIST.
        options: label, labels_file, drop, header, separator, as on the command line.
        split: which part of MNIST, and of arrays that are in two parts.

    Raises:
        DataError: if the data are not as expected.
        FileNotFoundError: if there is nothing.
    """
    if Path(path).is_dir():
        x, y = load_mnist(path, split)
        return Samples(path, x, (y,))
    if not Path(path).exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    if is_table(path):
        table = read_table(path, header=options.get("header"), separator=options.get("separator"))
        return from_table(table, options)
    if Path(path).suffix.lower() in (".npy", ".npz"):
        return _from_arrays(path, options, split)
    raise DataError(f"{path}: expected a table ({', '.join(TABLES)}), .npy, .npz, or a folder with MNIST")


def from_table(table: Table, options: dict[str, Any]) -> Samples:
    """Columns of labels, and the others as inputs."""
    named = columns_named(table, options, "label")
    dropped = set(columns_named(table, options, "drop"))
    guessed = not named and not options.get("labels_file")
    if options.get("labels_file"):
        targets, labels = [], _read_labels(options["labels_file"], table.rows)
    else:
        targets = named or [n for n in table.names if n not in dropped][:1]
        labels = tuple(table.column(name) for name in targets)
    if both := dropped.intersection(targets):
        raise DataError(f"{table.source}: column {min(both)[:60]!r} cannot be the label and be dropped")
    features = [name for name in table.names if name not in targets and name not in dropped]
    if len(table.names) == 1 and not options.get("labels_file"):
        raise DataError(
            f"{table.source}: has the one column {table.names[0][:60]!r}; expected labels and inputs, "
            "separated by commas, semicolons, tabs or blanks"
        )
    if not features:
        raise DataError(f"{table.source}: no columns are left for the inputs")
    _check_inputs(table, features, targets[0] if guessed else None)
    x = whole(table.numbers(features))
    inputs, outputs = (features, targets or None) if table.named else (None, None)
    codes = table.texts.get(targets[0]) if len(targets) == 1 else None
    return Samples(table.source, x, labels, inputs, outputs, table, guessed, codes)


def _check_inputs(table: Table, features: list[str], guessed: str | None) -> None:
    """See that no input is text: one slip makes a column of numbers one of text."""
    label = "" if guessed is None else f" (without --label it is the first, {guessed[:40]!r})"
    for name in features:
        column, given = table.column(name), _given(table, name)
        if not is_text(column):
            continue
        try:
            table.numbers([name])
        except DataError as error:
            hint = f"leave it out (--drop {given})"
            commas = [field for field in column.tolist() if _WITH_COMMAS.fullmatch(field)]
            if commas and all(
                map(_THOUSANDS.fullmatch, commas)
            ):  # 7,404: seven thousand, or seven point four
                hint = "leave out commas between thousands; if they are decimal, write points"
            elif commas:
                hint = "write numbers with a point instead of the comma"
            elif any(column.tolist()):
                hint = f"mend it, {hint}, or is it the label (--label {given})?{label}"
            raise DataError(f"{error}; {hint}") from None


def _given(table: Table, name: str) -> str:
    """What stands for a column on the command line: its name, or its number where a name would not do."""
    if not name or "," in name or len(name) > 60:
        return str(table.names.index(name) + 1)
    return quote(name)


def columns_named(table: Table, options: dict[str, Any], option: str) -> list[str]:
    """Return the columns that an option names, each at most once; a list holds names, not numbers."""
    given = options.get(option)
    if isinstance(given, list):
        for name in given:
            table.column(name)  # raises an error that lists the columns
        return given
    names = [column_of(table, name) for name in split_names(given)]
    if given is not None and not names:
        raise UsageError(f"--{option}: expected names or numbers of columns, got {given[:40]!r}.")
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise UsageError(f"--{option}: column {twice[:60]!r} is named twice.")
    return names


def column_of(table: Table, name: str) -> str:
    """A column by its name, or by its number counted from 1 (from -1 at the end)."""
    number = _NUMBER.fullmatch(name) and name not in table.names
    if number and 1 <= abs(int(name)) <= len(table.names):
        i = int(name)
        return table.names[i - 1 if i > 0 else i]
    table.column(name)  # raises an error that lists the columns
    return name


def whole(x: Array) -> Array:
    """Pixels as bytes: whole numbers from 0 to 255 in many columns."""
    return ops.astype(x, "uint8") if pixel_like(x) else x


def pixel_like(x: Array) -> bool:
    """Whether numbers look like pixels."""
    if str(x.dtype) == "uint8":
        return len(x.shape) > 2 or x.shape[1] >= _PIXELS
    if len(x.shape) < 2 or x.shape[1] < _PIXELS or float(ops.min(x)) < 0.0:
        return False
    return _DARK < float(ops.max(x)) <= 255.0 and bool(ops.all(ops.equal(x, ops.floor(x))))


def _from_arrays(path: str, options: dict[str, Any], split: str) -> Samples:
    arrays = read_arrays(path)
    if "" in arrays:
        return _from_array(path, arrays[""], options)
    for x, y in _PAIRS[split]:
        if x in arrays and y in arrays:
            return Samples(path, _inputs(path, arrays[x]), _columns(path, arrays[y], arrays[x].shape[0]))
    known = ", ".join(arrays) or "nothing"
    raise DataError(f"{path}: expected the arrays x and y, or x_train and y_train; it holds {known}"[:290])


def _from_array(path: str, array: Array, options: dict[str, Any]) -> Samples:
    """One array: inputs with the labels in another file, or a table without names."""
    if options.get("labels_file"):
        n = array.shape[0] if array.shape else 0
        return Samples(path, _inputs(path, array), _read_labels(options["labels_file"], n))
    if len(array.shape) != 2 or array.shape[1] < 2:
        raise DataError(
            f"{path}: an array of shape {array.shape} has no column of labels; give --labels FILE"
        )
    return from_table(as_table(path, array), options)


def as_table(path: str, array: Array) -> Table:
    """An array (n, k) as a table whose columns have no names."""
    names = tuple(str(i + 1) for i in range(array.shape[1]))
    numbers = real(path, array)
    if not prod(array.shape):
        raise DataError(f"{path}: expected rows of numbers, got the empty shape {array.shape}")
    # 64-bit integers keep their dtype: float64 cannot represent all of them.
    columns = [numbers[:, i] for i in range(len(names))]
    keep = [c.dtype.kind in "iu" and c.dtype.itemsize == _WIDEST for c in columns]
    columns = [c if k else ops.astype(c, "float64") for c, k in zip(columns, keep, strict=True)]
    return Table(path, names, tuple(columns), False)


def only_array(path: str) -> Array:
    """Return the array of a file that holds exactly one."""
    arrays = list(read_arrays(path).values())
    if len(arrays) != 1:
        raise DataError(f"{path}: expected one array, it holds {len(arrays)}")
    return arrays[0]


def _read_labels(path: str, n: int | None = None) -> tuple[Array, ...]:
    return _columns(path, only_array(path), n)


def _columns(path: str, y: Array, n: int | None) -> tuple[Array, ...]:
    """Labels as columns."""
    if len(y.shape) not in (1, 2) or not prod(y.shape) or (n is not None and y.shape[0] != n):
        raise DataError(f"{path}: expected labels for {'' if n is None else n} samples, got shape {y.shape}")
    y = y if is_text(y) else real(path, y, "labels")
    return (y,) if len(y.shape) == 1 else tuple(y[:, i] for i in range(y.shape[1]))


def _inputs(path: str, x: Array) -> Array:
    """Return inputs as uint8, or as finite float32 numbers."""
    if not x.shape or not prod(x.shape):
        raise DataError(f"{path}: expected a non-empty array with a batch axis, got shape {x.shape}")
    x = real(path, x)
    if str(x.dtype) == "uint8":
        return x
    narrow = ops.astype(x, "float32")
    if not bool(ops.all(ops.isfinite(narrow))):
        finite = ops.reshape(ops.isfinite(narrow), (x.shape[0], -1))
        row = int(ops.argmin(ops.astype(ops.all(finite, axis=1), "int32"))) + 1
        raise DataError(
            f"{path}: row {row} has NaN, infinity, or a value beyond float32; replace it or remove the row"
        )
    return narrow


def real(path: str, x: Array, what: str = "numbers") -> Array:
    """Return an array of real numbers; raise an error that names any other dtype."""
    kind = x.dtype.kind
    if kind == "c":
        raise DataError(
            f"{path}: expected real {what}, got {x.dtype}; pass real and imaginary parts as columns"
        )
    if kind not in "biuf":
        form = "store text as str (dtype U)" if kind == "S" else "convert or remove it"
        raise DataError(f"{path}: expected {what}, got dtype {str(x.dtype)[:60]}; {form}")
    return x
