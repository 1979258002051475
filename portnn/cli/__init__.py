"""The command line: ``portnn`` or ``python -m portnn``, with ``pip install "portnn[cli]"``.

Built on click and rich, five small packages of Python; typer would bring pydantic and its compiled core
besides. Nothing else of portnn knows of it, and strings become layers, losses and optimisers here and
nowhere else.
"""

from portnn.cli._main import main

__all__ = ["main"]
