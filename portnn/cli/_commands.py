"""The commands and their options. What a command does is imported when it is called."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import click

from portnn._version import __version__
from portnn.cli._options import (
    ANY,
    FILE,
    Number,
    Whole,
    backend,
    network,
    option,
    separator,
    shape,
    table_options,
    train_options,
)

__all__ = ["make_group"]


def make_group() -> click.Group:
    """``portnn`` with all its commands."""
    group = click.Group("portnn", help="Neural networks on NumPy, CuPy, PyTorch or JAX.", params=[_VERSION])
    makers = (_info, _train, _predict, _evaluate, _summary, _export, _compare, _bench, _completion)
    for make in makers:
        group.add_command(make())
    return group


def _show_version(context: click.Context, option: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        click.echo(f"portnn {__version__}")
        context.exit()


_VERSION = click.Option(
    ["--version"],
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    help="Show the version.",
)


class _Command(click.Command):  # type: ignore[misc]  # click is untyped here
    """A command that refuses an option given twice; click would silently ignore the first."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing:
            _, _, order = self.make_parser(ctx).parse_args(list(args))
            for i, parameter in enumerate(order):
                if isinstance(parameter, click.Option) and parameter in order[:i]:
                    hint = "; separate several columns by commas" if parameter.metavar in _COLUMNS else ""
                    raise click.UsageError(f"{max(parameter.opts, key=len)} is given twice{hint}.", ctx)
        return super().parse_args(ctx, args)


_COLUMNS = ("COLUMN", "COLUMNS")  # metavars of options that take names of columns


def _late(module: str) -> Callable[..., Any]:
    """What a command does: `run` of a module, imported now."""

    def call(debug: bool, **options: Any) -> Any:
        return import_module(f"portnn.cli.{module}").run(**options)

    return call


def _command(
    name: str,
    module: str,
    params: list[click.Parameter],
    text: str,
    epilog: str = "",
    *,
    short: str | None = None,
) -> click.Command:
    """A command with the options that all have."""
    both: list[click.Parameter] = [
        option("--json", "as_json", is_flag=True, help="Write JSON for machines."),
        option("--debug", is_flag=True, help="Show the traceback of an error."),
    ]
    return _Command(
        name,
        callback=_late(module),
        params=[*params, *both],
        help=text,
        epilog=epilog,
        short_help=short,
        context_settings={"show_default": True, "max_content_width": 88},
    )


def _info() -> click.Command:
    return _command("info", "_info", [], "Show versions, backends, and what is missing.")


def _train() -> click.Command:
    text = (
        "Train a network on DATA: a CSV or Parquet table (its first column is the label, unless --label "
        "names another), a folder with MNIST, or a .npz or .npy file. Ctrl-C writes a checkpoint to resume "
        "from."
    )
    return _command(
        "train",
        "_train",
        train_options(),
        text,
        "Example: portnn train iris.csv --label species --epochs 50",
        short="Train a network on a table, arrays, or MNIST.",
    )


def _predict() -> click.Command:
    params: list[click.Parameter] = [
        network(),
        click.Argument(["inputs"], type=ANY, nargs=-1, required=True, metavar="INPUTS..."),
        option("--label", metavar="COLUMN", help="Column of a table to leave out, as for train."),
        option("--header/--no-header", default=None, show_default=False, help="As for train."),
        separator("As for train."),
        option("--shape", metavar="LENGTHS", help="Shape of a picture, such as 28,28, if unknown."),
        option("--invert", is_flag=True, help="Exchange dark and light of pictures."),
        option("--proba", is_flag=True, help="The probability of each class as well."),
        option(
            "--format",
            "style",
            type=click.Choice(["table", "csv"]),
            help="[default: table in a terminal, else csv]",
        ),
        option("--output", "-o", type=FILE, help="File to write CSV to instead."),
        backend(),
    ]
    text = "Predict with NETWORK: one table (CSV, Parquet, .npy), or pictures."
    return _command(
        "predict",
        "_predict",
        params,
        text,
        "Example: portnn predict net.safetensors digit.png --invert",
        short="Predict for a table or for pictures.",
    )


def _evaluate() -> click.Command:
    params: list[click.Parameter] = [
        network(),
        click.Argument(["data"], type=ANY, metavar="DATA"),
        *table_options(),
        option("--plot", type=FILE, help="Draw the confusion matrix to this picture (.png)."),
        backend(),
    ]
    return _command(
        "evaluate",
        "_evaluate",
        params,
        "Measure NETWORK on DATA with labels; of MNIST the test set.",
        short="Measure a network on data with labels.",
    )


def _summary() -> click.Command:
    params = [network(), shape()]
    return _command(
        "summary",
        "_summary",
        params,
        "Show the layers of NETWORK and what the file says of its data.",
        short="Show the layers of a network.",
    )


def _export() -> click.Command:
    params: list[click.Parameter] = [
        network(),
        click.Argument(["output"], type=FILE, metavar="OUTPUT"),
        option("--softmax", is_flag=True, help="End with probabilities instead of logits."),
        shape(),
    ]
    return _command(
        "export", "_export", params, "Write NETWORK as ONNX to OUTPUT.", short="Write a network as ONNX."
    )


def _compare() -> click.Command:
    dtypes = "Dtypes of the two runs, such as float32,float64."
    params: list[click.Parameter] = [
        network(),
        option("--backends", default="cpu,gpu", metavar="A,B", help="Two backends, or one with --dtypes."),
        option("--dtypes", metavar="A,B", help=dtypes),
        option("--gradient", is_flag=True, help="Compare the gradient as well."),
        option("--data", type=ANY, help="Samples to compare with.  [default: random ones]"),
        option("--samples", type=Whole(min=1), default=32, metavar="N", help="How many."),
        shape(),
        option("--seed", type=Whole(min=0), default=0, metavar="N", help="Of random samples."),
    ]
    text = (
        "Run NETWORK on two backends at the same pace; exit 1 if a primitive differs by more than rounding."
    )
    return _command(
        "compare",
        "_compare",
        params,
        text,
        "Example: portnn compare net.safetensors --backends cpu,torch",
        short="Run a network on two backends and look for differences.",
    )


def _bench() -> click.Command:
    positive = Whole(min=1)
    params: list[click.Parameter] = [
        click.Argument(["network"], type=FILE, required=False, metavar="[NETWORK]"),
        option("--features", type=positive, metavar="N", default=784, help="Without NETWORK: its inputs."),
        option("--layers", default="128", metavar="WIDTHS", help="Its hidden layers."),
        option("--classes", type=positive, metavar="N", default=10, help="Its outputs."),
        shape(),
        option("--batch-size", type=positive, metavar="N", default=64, help="Samples a step."),
        option(
            "--seconds",
            type=Number(min=0.1),
            metavar="S",
            default=1.0,
            help="Time of each measurement.",
        ),
        backend(),
    ]
    text = "Measure steps and predictions a second, with random data, of NETWORK or of one that is described."
    return _command("bench", "_bench", params, text, short="Measure steps and predictions a second.")


def _completion() -> click.Command:
    shells = click.Choice(["bash", "zsh", "fish"])

    def run(shell: str) -> None:
        from click.shell_completion import get_completion_class

        kind = get_completion_class(shell)
        assert kind is not None, "click knows the three shells"
        click.echo(kind(make_group(), {}, "portnn", "_PORTNN_COMPLETE").source())

    text = "Print what makes a shell complete commands and options."
    epilog = 'In ~/.bashrc: eval "$(portnn completion bash)"'
    return click.Command(
        "completion", callback=run, params=[click.Argument(["shell"], type=shells)], help=text, epilog=epilog
    )
