"""Programs: functions written down as lists of calls. README.md in this folder has the idea."""

from portnn.program._lockstep import lockstep
from portnn.program._program import Program
from portnn.program._report import LineDifference, LockstepReport
from portnn.program._simplify import simplify
from portnn.program._trace import record, trace

__all__ = ["LineDifference", "LockstepReport", "Program", "lockstep", "record", "simplify", "trace"]
