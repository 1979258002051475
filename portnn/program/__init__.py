"""Programs: functions written down as lists of calls. README.md in this folder has the idea."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from portnn.program._program import Program
from portnn.program._simplify import simplify
from portnn.program._trace import record, trace

if TYPE_CHECKING:
    from portnn.program._lockstep import lockstep
    from portnn.program._report import LineDifference, LockstepReport

__all__ = ["LineDifference", "LockstepReport", "Program", "lockstep", "record", "simplify", "trace"]

# Training carries programs out and compares none: these are imported when they are used.
_HOMES = {"LineDifference": "_report", "LockstepReport": "_report", "lockstep": "_lockstep"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        globals()[name] = value = getattr(import_module(f"portnn.program.{_HOMES[name]}"), name)
        return value
    raise AttributeError(f"module 'portnn.program' has no attribute {name!r}")
