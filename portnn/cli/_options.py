"""Options that several commands have, and those of `portnn train`."""

from __future__ import annotations

from typing import Any

import click

from portnn.cli._names import ACTIVATIONS, BACKENDS, LOSSES, OPTIMIZERS, SCHEDULES, TASKS

__all__ = ["ANY", "FILE", "backend", "network", "option", "table_options", "train_options"]

FILE = click.Path(dir_okay=False)
ANY = click.Path()


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


def table_options() -> list[click.Parameter]:
    """How a table is read."""
    text = "Column of the labels, by name or number; several by commas.  [default: the first]"
    return [
        option("--label", metavar="COLUMN", help=text),
        option("--labels", "labels_file", type=FILE, help="File of labels (.npy) for inputs that have none."),
        option("--drop", metavar="COLUMNS", help="Columns to leave out."),
        option(
            "--header/--no-header",
            default=None,
            help="Whether a CSV file has names in its first line.  [default: look]",
            show_default=False,
        ),
    ]


def train_options() -> list[click.Parameter]:
    """Those of `portnn train`."""
    positive = click.IntRange(min=1)
    above = click.FloatRange(min=0.0, min_open=True)
    share = click.FloatRange(min=0.0, max=1.0, max_open=True)
    return [
        click.Argument(["data"], type=ANY, required=False, metavar="[DATA]"),
        *table_options(),
        option(
            "--task",
            type=click.Choice(TASKS),
            metavar="NAME",
            help="classification, multilabel or regression.  [default: look at the labels]",
        ),
        option(
            "--loss", type=click.Choice(list(LOSSES)), metavar="NAME", help=f"One of {', '.join(LOSSES)}."
        ),
        option("--layers", default="128", metavar="WIDTHS", help="Hidden layers, such as 128,64; or none."),
        option(
            "--activation",
            type=click.Choice(ACTIVATIONS),
            default="relu",
            metavar="NAME",
            help=f"One of {', '.join(ACTIVATIONS)}.",
        ),
        option(
            "--dropout", type=share, default=0.0, metavar="SHARE", help="Share of hidden units to leave out."
        ),
        option(
            "--scale",
            type=click.Choice(["auto", "standard", "pixels", "none"]),
            default="auto",
            metavar="KIND",
            help="standard (columns to mean 0, deviation 1), pixels (0..255 to 0..1), auto or none.",
        ),
        option(
            "--optimizer",
            type=click.Choice(OPTIMIZERS),
            default="adam",
            metavar="NAME",
            help=f"One of {', '.join(OPTIMIZERS)}.",
        ),
        option("--learning-rate", "--lr", type=above, metavar="RATE", help="[default: the optimizer's own]"),
        option("--momentum", type=share, metavar="SHARE", help="Of sgd and rmsprop."),
        option(
            "--weight-decay",
            type=click.FloatRange(min=0.0),
            metavar="FACTOR",
            help="Pull of weights towards zero.",
        ),
        option(
            "--schedule",
            type=click.Choice(SCHEDULES),
            default="constant",
            metavar="NAME",
            help=f"Course of the learning rate: {', '.join(SCHEDULES)}.",
        ),
        option(
            "--warmup",
            type=click.IntRange(min=0),
            default=0,
            metavar="N",
            help="Steps in which the rate rises.",
        ),
        option("--epochs", type=positive, metavar="N", default=10, help="How often to go through the data."),
        option("--batch-size", type=positive, metavar="N", default=64, help="Samples a step."),
        option(
            "--validation", type=share, default=0.1, metavar="SHARE", help="Share of the samples to hold out."
        ),
        option(
            "--patience", type=positive, metavar="N", help="Stop after so many epochs without improvement."
        ),
        option(
            "--seed",
            type=click.IntRange(min=0),
            default=0,
            metavar="N",
            help="Decides everything that is random.",
        ),
        backend(),
        option(
            "--threads", type=positive, metavar="N", help="Of NumPy's BLAS.  [default: by the layers' sizes]"
        ),
        option("--output", "-o", type=FILE, default="network.safetensors", help="File to write."),
        option(
            "--checkpoints",
            type=click.Path(file_okay=False),
            help="Folder of checkpoints.  [default: OUTPUT.checkpoints]",
        ),
        option(
            "--checkpoint-steps",
            type=positive,
            metavar="N",
            help="Write one after so many steps.  [default: each epoch]",
        ),
        option(
            "--resume", type=click.Path(file_okay=False), metavar="FOLDER", help="Go on from its checkpoint."
        ),
        option("--quiet", "-q", is_flag=True, help="Show no progress."),
    ]
