"""``portnn info``."""

from __future__ import annotations

from io import StringIO

from portnn._version import __version__
from portnn.backend import available_backends, get_backend, show_config
from portnn.cli._terminal import emit

__all__ = ["run"]


def run(*, as_json: bool) -> None:
    """Show versions, backends, and what is missing."""
    if as_json:
        names = available_backends()
        devices = {name: get_backend(name).hardware for name in names}
        emit("", {"portnn": __version__, "backends": names, "devices": devices}, True)
        return
    text = StringIO()
    show_config(text)
    emit(text.getvalue().rstrip(), None, False)
