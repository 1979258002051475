"""The command line: ``portnn`` or ``python -m portnn``, with ``pip install "portnn[cli]"``.

Built on click and rich, five small packages of Python; typer would bring pydantic and its compiled core
besides. Tables are read by pandas. Nothing else of portnn knows of the command line, and strings become
layers, losses and optimizers here and nowhere else.
"""

from portnn.cli._main import main

__all__ = ["main"]
