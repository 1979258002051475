"""Options that several commands have, and those of `portnn train`."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

import click

from portnn.cli._names import ACTIVATIONS, BACKENDS, LOSSES, OPTIMIZERS, SCHEDULES, TASKS

__all__ = [
    "ANY",
    "FILE",
    "Number",
    "Whole",
    "backend",
    "network",
    "option",
    "separator",
    "shape",
    "table_options",
    "train_options",
]

FILE = click.Path(dir_okay=False)
ANY = click.Path()


class Whole(click.IntRange):  # type: ignore[misc]  # click is untyped here
    """An integer in the digits 0 to 9; Python would also read digits of other scripts, and 1_0."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        _check_digits(self, value, param, ctx)
        found: int = super().convert(value, param, ctx)
        return found


class Number(click.FloatRange):  # type: ignore[misc]  # click is untyped here
    """A finite number; click's bounds would let NaN pass."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        _check_digits(self, value, param, ctx)
        found: float = super().convert(value, param, ctx)
        if not isfinite(found):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return found


def _check_digits(
    kind: click.ParamType, value: Any, param: click.Parameter | None, ctx: click.Context | None
) -> None:
    if isinstance(value, str) and (not value.isascii() or "_" in value):
        kind.fail(f"{value[:40]!r} is not a number.", param, ctx)


def option(*names: str, **more: Any) -> click.Option:
    """An option."""
    return click.Option(list(names), **more)


def backend(**more: Any) -> click.Option:
    """Where to compute."""

    def complete(context: click.Context, parameter: click.Parameter, start: str) -> list[str]:
        return [name for name in BACKENDS if name.startswith(start)]

    more = {"default": "cpu", "metavar": "NAME", **more}
    text = "Where to compute: cpu, gpu, gpu:1, auto, torch, jax, ..."
    return option("--backend", shell_complete=complete, **{"help": text, **more})


def network() -> click.Argument:
    """A file of a network."""
    return click.Argument(["network"], type=FILE, metavar="NETWORK")


def shape() -> click.Option:
    """The shape of a sample."""
    text = "Shape of a sample, such as 28,28, if the file does not say."
    return option("--shape", metavar="LENGTHS", help=text)


def separator(text: str) -> click.Option:
    r"""Return the option for the separator of fields; ``\t`` stands for a tab."""

    def read(context: click.Context, parameter: click.Parameter, given: str | None) -> str | None:
        return "\t" if given == r"\t" else given

    return option("--separator", metavar="SIGN", callback=read, help=text)


def table_options() -> list[click.Parameter]:
    """How a table is read."""
    label = "Column of the labels, by name or number; several by commas.  [default: the first column]"
    labels = "File of labels (.npy) for inputs that have none."
    header = "Whether the first row of a CSV file has names.  [default: yes if it is text without numbers]"
    text = "Separator of a CSV file, ' ' for runs of spaces.  [default: detected]"
    return [
        option("--label", metavar="COLUMN", help=label),
        option("--labels", "labels_file", type=FILE, help=labels),
        option("--drop", metavar="COLUMNS", help="Columns to leave out."),
        option("--header/--no-header", default=None, help=header, show_default=False),
        separator(text),
    ]


_MOST_THREADS = 1 << 16
_POSITIVE = Whole(min=1)
_NATURAL = Whole(min=0)
_ABOVE = Number(min=0.0, min_open=True)
_SHARE = Number(min=0.0, max=1.0, max_open=True)


def train_options() -> list[click.Parameter]:
    """Those of `portnn train`."""
    data = click.Argument(["data"], type=ANY, required=False, metavar="[DATA]")
    return [data, *table_options(), *_network_options(), *_optimizer_options(), *_run_options(), *_files()]


def _choice(name: str, words: Sequence[str], text: str, **more: Any) -> click.Option:
    """An option that takes one of some words, which its help lists where {} stands."""
    kind = click.Choice(words)
    return option(name, type=kind, metavar="NAME", help=text.format(", ".join(words)), **more)


def _network_options() -> list[click.Parameter]:
    """What is learned, and by what network."""
    layers = "Hidden layers, such as 128,64; or none."
    dropout = "Share of hidden units to leave out."
    scale = "standard (columns to mean 0, deviation 1), pixels (0..255 to 0..1), auto or none."
    return [
        _choice("--task", TASKS, "{}.  [default: look at the labels]"),
        _choice("--loss", list(LOSSES), "One of {}."),
        option("--layers", default="128", metavar="WIDTHS", help=layers),
        _choice("--activation", ACTIVATIONS, "One of {}.", default="relu"),
        option("--dropout", type=_SHARE, default=0.0, metavar="SHARE", help=dropout),
        _choice("--scale", ("auto", "standard", "pixels", "none"), scale, default="auto"),
    ]


def _optimizer_options() -> list[click.Parameter]:
    """By what steps it is learned."""
    rate = "[default: the optimizer's own]"
    decay = "Pull of weights towards zero."
    warmup = "Steps in which the rate rises."
    return [
        _choice("--optimizer", OPTIMIZERS, "One of {}.", default="adam"),
        option("--learning-rate", "--lr", type=_ABOVE, metavar="RATE", help=rate),
        option("--momentum", type=_SHARE, metavar="SHARE", help="Of sgd and rmsprop."),
        option("--weight-decay", type=Number(min=0.0), metavar="FACTOR", help=decay),
        option("--clip-norm", type=_ABOVE, metavar="NORM", help="Bound on the norm of the gradient."),
        _choice("--schedule", SCHEDULES, "Course of the learning rate: {}.", default="constant"),
        option("--warmup", type=_NATURAL, default=0, metavar="N", help=warmup),
    ]


def _run_options() -> list[click.Parameter]:
    """How long, on what, and what is shown."""
    epochs = "How often to go through the data."
    validation = "Share of the samples to hold out."
    patience = "Stop after so many epochs without improvement."
    seed = "Decides everything that is random."
    threads = "Of NumPy's BLAS.  [default: by the layers' sizes]"
    return [
        option("--epochs", type=_POSITIVE, metavar="N", default=10, help=epochs),
        option("--batch-size", type=_POSITIVE, metavar="N", default=64, help="Samples a step."),
        option("--validation", type=_SHARE, default=0.1, metavar="SHARE", help=validation),
        option("--patience", type=_POSITIVE, metavar="N", help=patience),
        option("--seed", type=_NATURAL, default=0, metavar="N", help=seed),
        backend(),
        option("--threads", type=Whole(1, _MOST_THREADS), metavar="N", help=threads),
        option("--quiet", "-q", is_flag=True, help="Show no progress."),
    ]


def _files() -> list[click.Parameter]:
    """What is written, and where a training goes on."""
    folder = click.Path(file_okay=False)
    checkpoints = "Folder of checkpoints.  [default: OUTPUT.checkpoints]"
    steps = "Write one after so many steps.  [default: each epoch]"
    restart = "Train anew where there are checkpoints; they go when the first new one is whole."
    return [
        option("--output", "-o", type=FILE, default="network.safetensors", help="File to write."),
        option("--checkpoints", type=folder, help=checkpoints),
        option("--checkpoint-steps", type=_POSITIVE, metavar="N", help=steps),
        option("--resume", type=folder, metavar="FOLDER", help="Go on from its checkpoint."),
        option("--restart", is_flag=True, help=restart),
    ]
