"""Plans: functions made ready to be carried out again and again. README.md in this folder has the idea."""

from portnn.compile._jit import Jitted, jit
from portnn.compile._warnings import PlanWarning, RetraceWarning

__all__ = ["Jitted", "PlanWarning", "RetraceWarning", "jit"]
