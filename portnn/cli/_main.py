"""From arguments to an exit code: 0 all is well, 1 it failed, 2 the command was written wrongly."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from warnings import catch_warnings, filterwarnings

from portnn.cli._terminal import note

__all__ = ["main"]

_LONGEST = 284  # characters of an error after "portnn: error: "


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out a command line.

    Args:
        argv: the arguments; None for those of the process.

    Returns:
        The exit code: 0, 1 if it failed (data, a file, a backend), 2 if the command was written wrongly. An
        error is one line on standard error; with ``--debug`` its traceback comes before.

    Example:
        >>> main(["summary", "no-such-file.safetensors"])
        1
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        for package in ("click", "rich"):  # asked for now, and not missed in the middle of a training
            import_module(package)
        return _carry_out(arguments)
    except ImportError as error:
        return _fail(f'the command line needs {error.name}: pip install "portnn[cli]"', 1)
    except KeyboardInterrupt:
        return _fail("interrupted", 1)


def _carry_out(arguments: list[str]) -> int:
    """Carry out a command; what goes wrong becomes one line."""
    import click

    from portnn.cli._commands import make_group

    try:
        with catch_warnings():
            # NumPy's words for an infinity or NaN; commands show these, or end with an error of their own.
            filterwarnings("ignore", r"\w+( \w+)? encountered in ", RuntimeWarning)
            code = make_group().main(arguments or ["--help"], prog_name="portnn", standalone_mode=False)
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "portnn"
        see = f" (see {path} --help)"
        return _fail(_cut(error.format_message(), _LONGEST - len(see)) + see, 2)
    except BrokenPipeError:  # whoever read has enough; nothing more may be written, not even at the exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except click.Abort:  # what click makes of Ctrl-C
        return _fail("interrupted", 1)
    except Exception as error:  # noqa: BLE001  # the outermost place: one line instead of a traceback
        if "--debug" in arguments:
            note(traceback.format_exc().rstrip("\n"))
        return _fail(_say(error), 1)
    return code if isinstance(code, int) else 0


def _say(error: Exception) -> str:
    """An error in one line; what nobody has foreseen says so."""
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    foreseen = isinstance(
        error, ValueError | TypeError | OSError | ImportError | RuntimeError | ArithmeticError
    )
    if isinstance(error, MemoryError):
        text = f"not enough memory{text and ': '}{text}"
    elif not foreseen or not text:
        text = f"{type(error).__name__}: {text} (--debug shows where)"
    return _cut(text)


def _cut(text: str, most: int = _LONGEST) -> str:
    """Return an error text on one line, cut to `most` characters."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 3] + "..."


def _fail(text: str, code: int) -> int:
    """Say what is wrong on standard error, in one line."""
    red = sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    note(text, before="\x1b[31mportnn: error:\x1b[0m " if red else "portnn: error: ")
    return code
