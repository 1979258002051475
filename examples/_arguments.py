"""What the command lines of the examples have in common. Nothing in here learns."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import portnn as pn

MNIST = Path(__file__).parent / "data" / "mnist"


def parser_of(description: str | None, *, plot: str) -> argparse.ArgumentParser:
    """The options that all of them have; `plot` says what is drawn."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backend", default="cpu", metavar="NAME", help="cpu, gpu, auto, torch, jax, ...")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", type=Path, metavar="FILE", help=f"draw {plot}, to .png or .pdf")
    return parser


def add_data(parser: argparse.ArgumentParser) -> None:
    """Where the digits are."""
    parser.add_argument("--data", type=Path, default=MNIST, metavar="DIR", help="IDX or CSV files of MNIST")


def checked(parser: argparse.ArgumentParser, argv: Sequence[str] | None, *counts: str) -> argparse.Namespace:
    """What was asked for; what would fail after the training fails before it."""
    args = parser.parse_args(argv)
    for name in counts:
        if (number := getattr(args, name)) is not None and number < 1:
            parser.error(f"--{name.replace('_', '-')} must be at least 1, got {number}")
    try:
        pn.get_backend(args.backend)
    except (pn.BackendUnavailableError, ValueError) as error:
        parser.error(str(error))
    if args.plot and not find_spec("matplotlib"):
        parser.error('--plot needs matplotlib: python -m pip install -e ".[plot]"')
    for file in (args.plot, vars(args).get("save")):
        if file and not file.resolve().parent.is_dir():
            parser.error(f"there is no folder {file.parent} to write {file.name} to")
    return args
