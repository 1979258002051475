"""``portnn info``."""

from __future__ import annotations

from io import StringIO

from portnn._version import __version__
from portnn.backend import available_backends, show_config
from portnn.cli._terminal import emit

__all__ = ["run"]


def run(*, as_json: bool) -> None:
    """Show versions, backends, and what is missing."""
    if as_json:
        emit("", {"portnn": __version__, "backends": available_backends()}, True)
        return
    text = StringIO()
    show_config(text)
    emit(text.getvalue().rstrip(), None, False)
